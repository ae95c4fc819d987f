"""Convert an ONNX model to a model.mace, which any device can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.progress import progress_bar
from mace.cli.summary import show, summarise
from mace.cli.target import ConfigOption, ModelNameOption, read_spec
from mace.deployment.checksum import check_sum
from mace.errors import ConfigError

app = typer.Typer(add_completion=False)


@app.command()
def convert(
    source: Annotated[
        Path | None, typer.Argument(help="The model, as an .onnx file, or --config.", show_default=False)
    ] = None,
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; by default beside the source, as .mace.")
    ] = None,
    dump: Annotated[Path | None, typer.Option(help="Folder to write the graph to after each pass, as text.")] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    as_json: JsonOption = False,
) -> None:
    import mace

    source, target = _paths(source, destination, config, name)
    with progress_bar("converting") as progress:
        made = mace.convert(source, target, dump=dump, progress=progress)
    record = {"path": target, "bytes": made.nbytes, "sha256": made.sha256, **summarise(made.graph, made.coverage)}
    if as_json:
        output.emit_json(record)
        return
    output.line("wrote {}: {}", target, output.size(record["bytes"]))
    show(record)


def _paths(source: Path | None, destination: Path | None, config: Path | None, name: str | None) -> tuple[Path, Path]:
    """The source, and where to write to: as given, or as a deployment file has them, its checksum holding."""
    if config is None:
        if source is None:
            raise typer.BadParameter("say which model to convert: an .onnx file, or --config with a deployment file")
        return source, destination or source.with_suffix(".mace")
    if source is not None:
        raise typer.BadParameter(f"'{source}' and --config both name a model; one of them is enough")
    spec = read_spec(config, name)
    if spec.platform in ("caffe", "megengine"):
        hint = "Export it to ONNX and write platform: onnx"
        raise ConfigError(f"models.{spec.name}: '{spec.platform}' models are not read", path=config, hint=hint)
    check_sum(spec)
    return spec.source, destination or spec.mace_file
