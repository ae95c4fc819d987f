"""Run a model once on arrays from files and write what it answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.arrays import read_inputs, write_outputs
from mace.cli.options import DeviceOption, JsonOption, ModelArgument, StorageOption
from mace.cli.progress import progress_bar

app = typer.Typer(add_completion=False)


@app.command()
def run(
    model: ModelArgument,
    inputs: Annotated[
        list[str],
        typer.Option("--input", "-i", help="NAME=x.npy for each input; x.npy for a single one; x.npz for several."),
    ],
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the output to this .npy, or the outputs to this .npz.")
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--program", "-p", help="The file of compiled programs made by `mace compile`.")
    ] = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    import mace

    start = time.perf_counter()
    with (
        progress_bar("preparing") as progress,
        mace.load(model, device=device, compiled_program=program, storage=storage, progress=progress) as engine,
    ):
        loaded = time.perf_counter()
        outputs = engine.run(read_inputs(inputs, list(engine.inputs)))
        finished = time.perf_counter()
        stats = engine.stats.to_json()
    if destination is not None:
        write_outputs(destination, outputs)
    shapes = {name: f"{value.dtype}{list(value.shape)}" for name, value in outputs.items()}
    record = {
        "outputs": shapes,
        "written": destination,
        "load_seconds": loaded - start,
        "run_seconds": finished - loaded,
        "stats": stats,
    }
    if as_json:
        output.emit_json(record)
        return
    output.table(("output", "type"), shapes.items())
    output.line(
        "{} on {}; {} program(s) compiled from source",
        f"loaded in {(loaded - start) * 1e3:.0f} ms, ran in {(finished - loaded) * 1e3:.1f} ms",
        stats["device"],
        stats["programs_from_source"],
    )
    if destination is not None:
        output.line("wrote {}", destination)
