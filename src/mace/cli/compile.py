"""Compile a model's kernels for a device of this machine, and save them as the file that spares every later start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, ShapeOption, StorageOption, parse_shapes
from mace.cli.progress import progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, OptionalModelArgument, read_target

app = typer.Typer(add_completion=False)


@app.command(name="compile")
def compile_model(
    model: OptionalModelArgument = None,
    destination: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; mace_cl_compiled_program.bin, or as --config names it."
        ),
    ] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    shapes: ShapeOption = None,
    storage: StorageOption = None,
    spirv: Annotated[
        bool,
        typer.Option("--spirv", help="Add the programs as SPIR-V too; takes clang and llvm-spirv on this machine."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    import mace

    target = read_target(model, config, name)
    wanted = {**target.shapes(), **parse_shapes(shapes)}
    arguments = {"storage": target.storage(storage), **target.engine_arguments()}
    destination = destination or target.program_to_write() or Path("mace_cl_compiled_program.bin")
    with (
        progress_bar("compiling") as progress,
        mace.load(target.model, device=target.device(device), progress=progress, **arguments) as engine,
    ):
        engine.warm_up(engine.example_inputs(wanted))
        saved = engine.save_compiled_program(destination, spirv=spirv)
        stats = engine.stats.to_json()
    if as_json:
        times = {"reload_seconds": saved.reload_seconds, "first_run_seconds": saved.first_run_seconds}
        times |= {"compare_seconds": saved.compare_seconds, "compared_kernels": saved.compared_kernels}
        output.emit_json(
            {"path": str(saved.path), "entries": saved.entries, "bytes": saved.bytes, **times, "stats": stats}
        )
        return
    output.line("wrote {}: {} entries, {}", saved.path, saved.entries, output.size(saved.bytes))
    output.line("{} for {}", output.compiled(stats), stats["device"])
    if spirv:
        output.line("the file has the same programs as SPIR-V, for drivers that no binary fits")
    if saved.reload_seconds is not None and saved.first_run_seconds is not None:
        output.line(
            "loaded again in a child process: programs in {:.1f} ms, a first run of every kernel in {:.1f} ms",
            saved.reload_seconds * 1e3,
            saved.first_run_seconds * 1e3,
        )
    if saved.compared_kernels and saved.compare_seconds is not None:
        compared = output.counted(saved.compared_kernels, "kernel")
        output.line("{} compared with general variants in {:.1f} s", compared, saved.compare_seconds)
