"""List the OpenCL devices of this machine, and the drivers that could not be used."""

from __future__ import annotations

import typer

from mace.cli import output
from mace.cli.options import JsonOption

app = typer.Typer(add_completion=False)


@app.command()
def devices(as_json: JsonOption = False) -> None:
    from mace.opencl.listing import list_devices

    output.emit_json(list_devices()) if as_json else print(list_devices())
