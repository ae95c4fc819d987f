"""Say what a file is, a model.mace or a file of compiled programs: what it holds and what it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption

app = typer.Typer(add_completion=False)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A model.mace or a file of compiled programs.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    output.line("{}", file)
