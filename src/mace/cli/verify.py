"""Say which trusted key signed a file of compiled programs. The exit code is 6 when none did, or a hash does not
hold.
"""

from __future__ import annotations

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import ProgramArgument

app = typer.Typer(add_completion=False)


@app.command()
def verify(file: ProgramArgument, as_json: JsonOption = False) -> None:
    from mace.program.signatures import verify_file

    key = verify_file(file)
    if as_json:
        output.emit_json({"path": file, "key": key.id, "name": key.name, "expires": key.expires})
        return
    output.line("{} is whole, and signed by '{}' ({})", file, key.name, key.id)
