"""Write what a model is, how it was deployed and how it does on a device, as one page that needs nothing else.

What no record is given for is measured, unless --no-measure says otherwise. The ending of --output chooses the form:
.html, .md or .json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, StorageOption
from mace.cli.progress import Report, progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, OptionalModelArgument, Target, read_target
from mace.errors import ConfigError, InputError

app = typer.Typer(add_completion=False)

FORMS = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}


@app.command()
def report(
    model: OptionalModelArgument = None,
    destination: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; report.html by default.")
    ] = None,
    against: Annotated[Path | None, typer.Option("--against", help="The source model, as an .onnx file.")] = None,
    program: Annotated[
        Path | None, typer.Option("--program", "-p", help="The program file; by default the one beside the model.")
    ] = None,
    bench: Annotated[Path | None, typer.Option("--bench", help="A record written by `mace bench -o`.")] = None,
    validation: Annotated[
        Path | None, typer.Option("--validation", help="A record written by `mace validate -o`.")
    ] = None,
    measure: Annotated[bool, typer.Option(help="Measure what no record is given for.")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Measure less.")] = False,
    journal: Annotated[
        Path | None,
        typer.Option(envvar="MACE_JOURNAL", help="The journal of the commands that were run (see $MACE_JOURNAL)."),
    ] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    as_json: JsonOption = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of writing a file.")] = False,
) -> None:
    from mace.files.atomic import atomic_write
    from mace.measure.records import own_command, read_record
    from mace.report.collect import collect, program_beside

    target = read_target(model, config, name)
    source = against or target.source
    device, storage = target.device(device), target.storage(storage)
    start_from = target.program(program) or program_beside(target.model)
    form = _form(destination)
    measured = read_record(bench, "bench") if bench else None
    validated = read_record(validation, "validate") if validation else None
    with progress_bar("reporting") as say:
        if measure and measured is None:
            measured = _bench(target, start_from, quick, device, say)
        if measure and validated is None and source is not None:
            validated = _validate(target, source, start_from, device, storage, say)
        say("gathering", 0.95)
        record = collect(
            target.model,
            source=source,
            program=start_from,
            bench=measured,
            validation=validated,
            journal=read_journal(journal) if journal else (),
            device=device,
            storage=storage,
            command=own_command(),
        )
    if as_json or as_markdown:
        if as_json:
            output.emit_json(record)
        else:
            output.raw(_rendered(record, "markdown"))
        if destination is None:
            return
    path = destination or Path("report.html")
    atomic_write(path, [_rendered(record, form).encode()])
    if not as_json and not as_markdown:
        output.line("wrote {}: {}", path, output.size(path.stat().st_size))


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; an empty list when there is none yet. Raises ``ConfigError`` for a broken line."""
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("command"), list):
                raise ValueError
        except ValueError:
            raise ConfigError(f"line {number} is no entry of a journal", path=path) from None
        entries.append(entry)
    return entries


def _form(destination: Path | None) -> str:
    suffix = destination.suffix.lower() if destination else ".html"
    if suffix not in FORMS:
        raise InputError(f"--output '{destination}' must end in {', '.join(FORMS)}")
    return FORMS[suffix]


def _rendered(record: Mapping[str, Any], form: str) -> str:
    if form == "html":
        from mace.report.html import render_html

        return render_html(record)
    if form == "markdown":
        from mace.report.markdown import render_markdown

        return render_markdown(record)
    return json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _bench(target: Target, program: Path | None, quick: bool, device: str, say: Report) -> dict[str, Any]:
    from dataclasses import replace

    from mace.measure.bench import QUICK, BenchOptions
    from mace.measure.bench import bench as run_bench

    target.warn_of_unmeasured()
    options = replace(
        QUICK if quick else BenchOptions(),
        device=device,
        program=str(program) if program else "",
        shapes=target.shapes(),
        settings=target.settings,
    )
    command = ["mace", "bench", str(target.model), *(["--program", str(program)] if program else [])]
    (record,) = run_bench([target.model], options, command=command, progress=lambda s, share: say(s, 0.7 * share))
    return record


def _validate(
    target: Target, source: Path, program: Path | None, device: str, storage: Path | None, say: Report
) -> dict[str, Any]:
    from mace.cli.data_options import read_data
    from mace.measure.validate import ValidationOptions, validate

    options = ValidationOptions(
        data=read_data(target, None, None, None, 4, 0),
        declared=target.spec.subgraphs if target.spec else (),
        layers=True,
    )
    command = ["mace", "validate", str(target.model), "--against", str(source), "--samples", "4", "--layers"]
    return validate(
        target.model,
        source,
        options,
        command=command,
        progress=lambda step, share: say(step, 0.7 + 0.25 * share),
        engine_arguments={
            **target.engine_arguments(),
            "device": device,
            "storage": storage,
            "compiled_program": program,
        },
    ).record
