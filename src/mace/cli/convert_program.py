"""Write a file of compiled programs in another layout: ours, or that of XiaoMi's MACE.

What it writes is no more trusted than what it read; `mace sign` or `--trust any` come after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import KeyFileOption, PassphraseOption, ProgramArgument, read_secret
from mace.errors import ConfigError

app = typer.Typer(add_completion=False)


@app.command(name="convert-program")
def convert_program(
    file: ProgramArgument,
    destination: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    layout: Annotated[str, typer.Option("--to", help="envelope, table, upstream or upstream-old.")] = "envelope",
    compressed: Annotated[bool, typer.Option("--compress", help="Compress it (envelope only).")] = False,
    mace_version: Annotated[
        str, typer.Option("--mace-version", help="The version that upstream's file should be for, such as v1.1.1.")
    ] = "",
    device: Annotated[
        str,
        typer.Option(
            "--for", help="Part of the name of the device that upstream's file is for, where it holds several."
        ),
    ] = "",
    encrypt_with: Annotated[
        Path | None, typer.Option("--encrypt-with", help="Encrypt it with the key in this file (envelope only).")
    ] = None,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt it with a passphrase (envelope only; $MACE_PASSPHRASE sets it).")
    ] = False,
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    from mace.program.conversion import TargetLayout, convert_file
    from mace.program.files import read_program
    from mace.program.trust import Trust

    targets: dict[str, TargetLayout] = {n: n for n in ("envelope", "table", "upstream", "upstream-old")}
    if layout not in targets:
        raise ConfigError(f"--to '{layout}' is none of {', '.join(targets)}")
    read = read_program(file, secret=read_secret(key_file, passphrase))
    lock, target = read_secret(encrypt_with, encrypt, confirm=True), targets[layout]
    try:
        nbytes = convert_file(
            read,
            destination,
            target,
            Trust(),
            compressed=compressed,
            secret=lock,
            device=device,
            mace_version=mace_version,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if as_json:
        output.emit_json({"path": destination, "from": read.layout, "to": layout, "bytes": nbytes})
        return
    output.line("wrote {}: {}, {}", destination, layout, output.size(nbytes))
