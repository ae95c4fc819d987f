"""Search for the fastest kernel parameters on a device of this machine. A search that is broken off goes on where it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, ShapeOption, StorageOption, parse_shapes
from mace.cli.progress import progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, OptionalModelArgument, read_target
from mace.errors import InputError

app = typer.Typer(add_completion=False)


@app.command()
def tune(
    model: OptionalModelArgument = None,
    budget: Annotated[str, typer.Option(help="Time to spend, such as 60s, 5m or 1h.")] = "60s",
    level: Annotated[str, typer.Option(help="fast, normal or exhaustive: how many candidates are tried.")] = "normal",
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the compiled program, tuned parameters inside.")
    ] = None,
    parameters: Annotated[Path | None, typer.Option(help="Also write the tuned parameters, as readable JSON.")] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    shapes: ShapeOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    import mace
    from mace.files.atomic import atomic_write
    from mace.tuning.database import LEVELS

    if level not in LEVELS:
        raise InputError(f"--level '{level}' is none of {', '.join(LEVELS)}")
    seconds = parse_duration(budget)
    target = read_target(model, config, name)
    wanted = {**target.shapes(), **parse_shapes(shapes)}
    arguments = {"device": target.device(device), "storage": target.storage(storage), **target.engine_arguments()}
    with progress_bar("tuning") as progress, mace.load(target.model, **arguments) as engine:
        report = engine.tune(seconds, level, engine.example_inputs(wanted), progress)
        if destination is not None:
            engine.save_compiled_program(destination)
        if parameters is not None:
            atomic_write(parameters, [engine.tunings().own.to_bytes()])
        kept = engine.tunings().path
    if as_json:
        output.emit_json({**asdict(report), "tunings": kept})
        return
    already = f", {report.already} were before" if report.already else ""
    problems, tried = output.counted(report.problems, "problem"), output.counted(report.tried, "candidate")
    output.line("{} of {} tuned{}, {} tried in {:.0f} s", report.done, problems, already, tried, report.seconds)
    if report.gain > 1.0:
        output.line("the tuned launches run {:.2f} times as fast as untuned", report.gain)
    elif report.tried:
        output.line("nothing was found that is faster than the usual parameters")
    if not report.complete:
        output.line("the budget was spent first; run it again to go on")


def parse_duration(text: str) -> float:
    """Seconds in ``60``, ``60s``, ``5m`` or ``1h``. Raises ``InputError``."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise InputError(f"--budget '{text}' is no time such as 60s, 5m or 1h")
    return seconds
