"""Run a model once on arrays from files and write what it answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.arrays import read_inputs, write_outputs
from mace.cli.options import DeviceOption, JsonOption, ShapeOption, StorageOption
from mace.cli.program_options import (
    KeyFileOption,
    PassphraseOption,
    ReuseOption,
    TrustOption,
    read_policy,
    read_reuse,
    read_secret,
)
from mace.cli.progress import progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, OptionalModelArgument, Target, read_target
from mace.errors import InputError
from mace.tensor import Array, TensorType

app = typer.Typer(add_completion=False)


@app.command()
def run(
    model: OptionalModelArgument = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="NAME=x.npy for each input; x.npy for a single one; x.npz for several."),
    ] = None,
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the output to this .npy, or the outputs to this .npz.")
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--program", "-p", help="The file of compiled programs made by `mace compile`.")
    ] = None,
    shapes: ShapeOption = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    reuse: ReuseOption = "",
    trust: TrustOption = "own",
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    import mace

    target = read_target(model, config, name)
    device, program = target.device(device), target.program(program)
    arguments = {"compiled_program": program, "storage": target.storage(storage), **target.engine_arguments()}
    arguments |= {"trust": read_policy(trust), "secret": read_secret(key_file, passphrase)}
    if reuse:
        arguments["reuse"] = read_reuse(reuse)
    start = time.perf_counter()
    with (
        progress_bar("preparing") as progress,
        mace.load(target.model, device=device, progress=progress, **arguments) as engine,
    ):
        loaded = time.perf_counter()
        outputs = engine.run(_feeds(inputs, shapes, target, engine.inputs))
        finished = time.perf_counter()
        stats = engine.stats.to_json()
    if destination is None and target.run_config is not None:
        destination = target.run_config.file("output")
    if destination is not None:
        write_outputs(destination, outputs)
    kinds = {name: f"{value.dtype}{list(value.shape)}" for name, value in outputs.items()}
    record = {
        "outputs": kinds,
        "written": destination,
        "load_seconds": loaded - start,
        "run_seconds": finished - loaded,
        "stats": stats,
    }
    if as_json:
        output.emit_json(record)
        return
    output.table(("output", "type"), kinds.items())
    output.line(
        "{} on {}; {}",
        f"loaded in {(loaded - start) * 1e3:.0f} ms, ran in {(finished - loaded) * 1e3:.1f} ms",
        stats["device"],
        output.compiled(stats),
    )
    if destination is not None:
        output.line("wrote {}", destination)


def _feeds(
    texts: list[str] | None, shapes: list[str] | None, target: Target, inputs: Mapping[str, TensorType]
) -> dict[str, Array]:
    """What ``--input`` gives, or else the first sample that the file of ``--config`` declares or lets be made up."""
    if not texts and target.run_config is not None and (named := target.run_config.file("input")):
        texts = [str(named)]
    if texts or not inputs:
        return read_inputs(texts or [], list(inputs))
    if target.spec is None and target.run_config is None:
        raise InputError(f"--input is missing; the model's inputs are {', '.join(inputs)}")
    from mace.cli.data_options import read_data

    return next(iter(read_data(target, None, None, shapes, 1, 0).samples(inputs)))
