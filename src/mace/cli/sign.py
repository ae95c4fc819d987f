"""Sign a file of compiled programs, so that machines that trust the key load it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import ProgramArgument, ask_passphrase

app = typer.Typer(add_completion=False)


@app.command()
def sign(
    file: ProgramArgument,
    key: Annotated[Path, typer.Option("--key", "-k", help="The private key made by `mace keys generate`.")],
    as_json: JsonOption = False,
) -> None:
    from mace.program.keys import read_key_file
    from mace.program.signatures import sign_file

    protected = b"ENCRYPTED" in read_key_file(key)
    signer = sign_file(file, key, passphrase=ask_passphrase("Passphrase of the key") if protected else None)
    if as_json:
        output.emit_json({"path": file, "key": signer})
        return
    output.line("signed {} with the key {}", file, signer)
