"""Compare a model with the one it was made from, run by onnxruntime.

Each output is held against thresholds; with --layers every inner value that survives conversion too, so that the first
layer that parts is named; with --accuracy a labelled set is scored for all forms side by side. The exit code is 9 when
something misses its threshold or an accuracy drops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mace.cli import data_options as options
from mace.cli import output
from mace.cli.options import FOUND_WANTING, DeviceOption, JsonOption, ShapeOption, StorageOption
from mace.cli.progress import progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, OptionalModelArgument, Target, read_target
from mace.errors import InputError

app = typer.Typer(add_completion=False)


@app.command()
def validate(
    model: OptionalModelArgument = None,
    against: Annotated[Path | None, typer.Option("--against", help="The source model, as an .onnx file.")] = None,
    data: options.DataOption = None,
    ranges: options.RangeOption = None,
    shapes: ShapeOption = None,
    samples: options.SamplesOption = None,
    seed: options.SeedOption = 0,
    resize: options.ResizeOption = "stretch",
    scale: options.ScaleOption = 1 / 255,
    mean: options.MeanOption = "0",
    std: options.StdOption = "1",
    order: options.OrderOption = "rgb",
    layers: Annotated[bool, typer.Option("--layers", help="Compare layer by layer too.")] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="As in cosine=0.99, snr_db=40, relative=0.01, max_abs=0.1, mean_abs=0.01, differing=0.001."),
    ] = None,
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16 or int8; by default what the weights are.")] = "",
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Score the labelled set too, with Top-1 and Top-5 or as --plugin says.")
    ] = False,
    plugin: Annotated[
        Path | None, typer.Option(help="A Python file with preprocess, postprocess and score; implies --accuracy.")
    ] = None,
    labelled: Annotated[
        str | None, typer.Option(help="The labelled set: an .npz with `labels`, or a folder of images; else --data.")
    ] = None,
    label_limit: Annotated[int | None, typer.Option(min=1, help="Labelled samples at most.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Another form to score: NAME=x.mace, NAME=x.onnx, fp16 or bf16. May be repeated."),
    ] = None,
    program: Annotated[Path | None, typer.Option("--program", "-p", help="A program file to start from.")] = None,
    record: Annotated[Path | None, typer.Option("--output", "-o", help="Write the record to this JSON file.")] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from mace.measure.records import own_command, write_record
    from mace.measure.validate import ValidationOptions
    from mace.measure.validate import validate as run_validation

    target = read_target(model, config, name)
    source = against or target.source
    if source is None:
        raise InputError("say which model to compare with: --against model.onnx")
    images = options.read_images(resize, scale, mean, std, order)
    wanted = ValidationOptions(
        data=options.read_data(target, data, ranges, shapes, samples, seed, images),
        precision=precision,
        thresholds=read_thresholds(threshold),
        declared=target.spec.subgraphs if target.spec else (),
        layers=layers,
    )
    arguments: dict[str, Any] = {
        "device": target.device(device),
        "storage": target.storage(storage),
        **target.engine_arguments(),
    }
    start_from = target.program(program)
    script = plugin or _declared_plugin(target)
    with progress_bar("validating") as say:
        done = run_validation(
            target.model,
            source,
            wanted,
            command=own_command(),
            progress=say,
            engine_arguments={**arguments, "compiled_program": start_from},
        )
        result = done.record
        if accuracy or script is not None:
            place = labelled or next((p for p in wanted.data.paths), None)
            if place is None:
                raise InputError("say which labelled set to score: --labelled digits.npz")
            say("accuracy", 0.7)
            result |= _accuracy(target, source, start_from, also or [], place, script, images, label_limit, arguments)
            result["passed"] = result["passed"] and not result["accuracy"]["dropped"]
    if record is not None:
        write_record(record, result)
    if as_json:
        output.emit_json(result)
    else:
        show_validation(result)
    if not result["passed"]:
        raise typer.Exit(FOUND_WANTING)


def read_thresholds(texts: Sequence[str] | None) -> dict[str, float]:
    """Thresholds by name from ``cosine=0.99`` …; which names there are is checked later. Raises ``InputError``."""
    found: dict[str, float] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--threshold '{text}' is not of the form cosine=0.99")
    return found


def _declared_plugin(target: Target) -> Path | None:
    scripts = [part.accuracy_script for part in target.spec.subgraphs if part.accuracy_script] if target.spec else []
    return Path(scripts[0]) if scripts else None


def _accuracy(
    target: Target,
    source: Path,
    program: Path | None,
    also: Sequence[str],
    place: str,
    script: Path | None,
    images: Any,
    limit: int | None,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    from mace.measure.accuracy import measure_accuracy
    from mace.measure.contenders import named, opened
    from mace.measure.labelled import labelled_items
    from mace.measure.plugin import DEFAULT_PLUGIN, load_plugin
    from mace.measure.source import SourceModel

    plugin = load_plugin(script) if script is not None else DEFAULT_PLUGIN
    items = labelled_items(place, limit)
    models: dict[str, str | Path] = {"converted": target.model, **named(also)}
    with opened(SourceModel(source), models, program, **arguments) as contenders:
        measured = measure_accuracy(contenders, items, plugin, images=images)
    dropped = [f"{c.contender}: {c.score}" for c in measured.dropped]
    return {"accuracy": {**measured.to_json(), "data": place, "plugin": plugin.path, "dropped": dropped}}


def show_validation(record: Mapping[str, Any]) -> None:
    """Print a validation record."""
    rows = [
        (o["name"], f"{o['max_abs']:.3g}", f"{o['mean_abs']:.3g}", f"{o['cosine']:.7f}", _decibels(o), _verdict(o))
        for o in record["outputs"]
    ]
    output.table(("output", "largest error", "mean error", "cosine", "SNR", ""), rows)
    for o in record["outputs"]:
        for sentence in o["broken"]:
            output.line("{}: {}", o["name"], sentence, style="red")
    if record["layers"]:
        _show_layers(record["layers"])
    if record.get("accuracy"):
        _show_accuracy(record["accuracy"])
    text = "passed" if record["passed"] else "found wanting"
    samples = (
        f"{output.counted(record['samples'], 'sample')}, {record['precision']}, beside {record['source']['runtime']}"
    )
    output.line("{}: {}", text, samples, style="bold green" if record["passed"] else "bold red")


def _show_layers(layers: Mapping[str, Any]) -> None:
    first = layers["first"]
    output.line("{} layers compared, {} more are fused into others", layers["compared"], layers["hidden"])
    if first is None:
        return
    fused = f" (with {', '.join(first['fused'])} fused into it)" if first["fused"] else ""
    output.line("the first to part is {}: {}{}", first["node"], first["op"], fused, style="bold red")
    output.line("  {}", "; ".join(first["broken"]))


def _show_accuracy(accuracy: Mapping[str, Any]) -> None:
    names = list(accuracy["contenders"][0]["scores"])
    rows = [(c["name"], *(f"{c['scores'][n]:.2%}" for n in names)) for c in accuracy["contenders"]]
    output.table((f"on {accuracy['samples']} samples", *names), rows)
    for c in accuracy["comparisons"]:
        if c["verdict"] in ("drop", "gain"):
            span = f"{c['difference']:+.2%}, {c['low']:+.2%} to {c['high']:+.2%} at {c['confidence']:.0%}"
            style = "red" if c["verdict"] == "drop" else "green"
            output.line("{}: a {} of {} ({})", c["contender"], c["verdict"], c["score"], span, style=style)


def _decibels(row: Mapping[str, Any]) -> str:
    return "equal" if row["differing"] == 0 else f"{row['snr_db']:.1f} dB"


def _verdict(row: Mapping[str, Any]) -> str:
    return "wanting" if row["broken"] else "ok"
