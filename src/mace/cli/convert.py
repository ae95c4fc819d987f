"""Convert an ONNX model to a model.mace, which any device can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.progress import progress_bar
from mace.cli.summary import show, summarise

app = typer.Typer(add_completion=False)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The model, as an .onnx file.", show_default=False)],
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; by default beside the source, as .mace.")
    ] = None,
    dump: Annotated[Path | None, typer.Option(help="Folder to write the graph to after each pass, as text.")] = None,
    as_json: JsonOption = False,
) -> None:
    import mace

    target = destination or source.with_suffix(".mace")
    with progress_bar("converting") as progress:
        made = mace.convert(source, target, dump=dump, progress=progress)
    record = {"path": target, "bytes": made.nbytes, "sha256": made.sha256, **summarise(made.graph, made.coverage)}
    if as_json:
        output.emit_json(record)
        return
    output.line("wrote {}: {}", target, output.size(record["bytes"]))
    show(record)
