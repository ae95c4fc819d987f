"""Measure how fast a model starts and runs: fresh processes, steady rounds, throughput, launch by launch.

Several models are measured side by side, round by round in turn, and compared. With --compare two records written
before are compared instead; the verdict comes from a bootstrap over processes and runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mace.cli import data_options as options
from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, ShapeOption, parse_shapes
from mace.cli.program_options import TrustOption, read_trust
from mace.cli.progress import progress_bar
from mace.cli.target import ConfigOption, ModelNameOption, read_target
from mace.deployment.settings import RunSettings
from mace.errors import InputError

app = typer.Typer(add_completion=False)

NODE_WIDTH = 17
"""Characters of a node's name in a table that has to fit 80 columns beside the longest kernel's name."""


@app.command()
def bench(
    models: Annotated[
        list[Path] | None, typer.Argument(help="One or more model.mace, or --config.", show_default=False)
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option("--compare", metavar="A.json B.json", help="Compare two records.")
    ] = None,
    program: Annotated[Path | None, typer.Option("--program", "-p", help="Start from this program file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short look: too little to compare with.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Processes that start from the file and run.")] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Timed runs in each round.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Time for the runs of a round, at most.")] = None,
    cold: Annotated[int | None, typer.Option(min=0, help="Starts with nothing compiled.")] = None,
    batches: Annotated[
        str | None, typer.Option(help="Batch sizes for throughput, as in 1,2,4; empty for none.")
    ] = None,
    threads: Annotated[str | None, typer.Option(help="Numbers of threads for throughput, as in 1,2.")] = None,
    profile: Annotated[bool, typer.Option(help="Time every launch.")] = True,
    trust: TrustOption = "own",
    shapes: ShapeOption = None,
    ranges: options.RangeOption = None,
    record: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the record here; for several models a folder.")
    ] = None,
    config: ConfigOption = None,
    name: ModelNameOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    from mace.measure.bench import QUICK, BenchOptions
    from mace.measure.bench import bench as run_bench
    from mace.measure.compare import compare_records
    from mace.measure.records import own_command, read_record, write_record

    if compare is not None:
        found = compare_records(*(read_record(path, "bench") for path in compare)).to_json()
        output.emit_json(found) if as_json else show_comparison(found)
        return
    target = None if models else read_target(None, config, name)
    if models and config is not None:
        raise typer.BadParameter("a model and --config both name what to measure; one of them is enough")
    if program is not None and len(models or ()) > 1:
        raise InputError("--program belongs to one model; without it each gets a file made for the measurement")
    chosen: dict[str, Any] = {
        "rounds": rounds,
        "runs": runs,
        "seconds": seconds,
        "cold": cold,
        "batches": _counts("--batches", batches),
        "threads": _counts("--threads", threads),
    }
    start_from = target.program(program) if target else program
    if target:
        target.warn_of_unmeasured()
    wanted = replace(
        QUICK if quick else BenchOptions(),
        device=target.device(device) if target else device,
        program=str(start_from) if start_from else "",
        trust=read_trust(trust).policy,
        profile=profile,
        shapes={**(target.shapes() if target else {}), **parse_shapes(shapes)},
        ranges=options.read_ranges(ranges),
        settings=target.settings if target else RunSettings(),
        **{k: v for k, v in chosen.items() if v is not None},
    )
    with progress_bar("measuring") as say:
        records = run_bench(
            models or [target.model] if target else models or [], wanted, command=own_command(), progress=say
        )
    if record is not None:
        for path, made in zip(_places(record, records), records, strict=True):
            write_record(path, made)
    comparisons = [compare_records(records[0], r).to_json() for r in records[1:]]
    if as_json:
        output.emit_json(records[0] if len(records) == 1 else {"records": records, "comparisons": comparisons})
        return
    for made in records:
        show_bench(made)
    for made, found in zip(records[1:], comparisons, strict=True):
        output.line("{} beside {}:", made["model"]["path"], records[0]["model"]["path"], style="bold")
        show_comparison(found)


def _places(record: Path, records: Sequence[Mapping[str, Any]]) -> list[Path]:
    if len(records) == 1:
        return [record]
    record.mkdir(parents=True, exist_ok=True)
    return [record / f"{i}-{Path(r['model']['path']).stem}.json" for i, r in enumerate(records)]


def _counts(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        counts = tuple(int(part) for part in text.split(",") if part.strip())
        if any(c < 1 for c in counts):
            raise ValueError
    except ValueError:
        raise InputError(f"{option} '{text}' is no list of whole numbers") from None
    return counts


def show_bench(record: Mapping[str, Any]) -> None:
    """Print a bench record."""
    output.line("{} on {}", Path(record["model"]["path"]).name, record["device"]["label"], style="bold")
    if settings := RunSettings.from_json(record.get("settings", {})).words():
        output.line("as its deployment file says: {}", ", ".join(settings))
    output.line("")
    words = {"cold": "nothing compiled", "storage": "from the storage", "program": "from the program file"}
    rows = [
        (words[kind], len(s["programs_from_source"]), output.duration(s["answer"]["median"]),
         output.duration(s["seconds"]["load"][0] + s["seconds"]["first_run"][0]),
         max(s["programs_from_source"]), max(s["programs_from_spirv"]))
        for kind, s in record["starts"].items()
    ]  # fmt: skip
    output.table(("start", "times", "to first answer", "load, first run", "from source", "from SPIR-V"), rows)
    if latency := record["latency"]:
        output.line("")
        values = [output.duration(latency[k]) for k in ("median", "p95", "p99", "low", "mad")]
        output.table(("steady", "median", "p95", "p99", "least", "spread"), [(f"{latency['count']} runs", *values)])
    rates = [(r["batch"], r["threads"], f"{r['per_second']:.1f}") for r in record["throughput"] if r["per_second"]]
    if rates:
        output.line("")
        output.table(("batch", "threads", "answers per second"), rates)
    if record["profile"]:
        output.line("")
        show_profile(record["profile"])
    if memory := record["memory"]:
        names = {"peak_resident": "the process at most", "constants_bytes": "weights", "arena_bytes": "tensors"}
        output.line("")
        output.table(("memory", ""), [(name, output.size(memory[k])) for k, name in names.items()])


def show_profile(profile: Mapping[str, Any]) -> None:
    """Print where the time goes."""
    rows = [
        (o["op"], o["launches"], output.duration(o["seconds"]), f"{o['share']:.1%}", f"{o['gflops']:.1f}",
         f"{o['gbs']:.1f}", f"{o['of_limit']:.0%}")
        for o in profile["operators"]
    ]  # fmt: skip
    output.table(("operator", "launches", "time", "share", "GFLOP/s", "GB/s", "of limit"), rows)
    output.line("")
    top = sorted(profile["launches"], key=lambda r: -r["seconds"])[:10]
    rows = [
        (r["index"], output.shortened(r["node"], NODE_WIDTH), r["template"], output.duration(r["seconds"]),
         f"{r['gflops']:.1f}", f"{r['gbs']:.1f}", f"{r['of_limit']:.0%}")
        for r in top
    ]  # fmt: skip
    output.table(
        ("no.", "node", "kernel", "time", "GFLOP/s", "GB/s", "of limit"), rows, f"the {len(rows)} costliest launches"
    )
    peak = profile["peak"]
    output.line("")
    limits = {"limit, arithmetic": f"{peak['flops'] / 1e9:.0f} GFLOP/s"}
    for b in peak["bandwidths"]:
        limits[f"limit, {output.size(b['working_set'])}"] = f"{b['bytes_per_second'] / 1e9:.0f} GB/s"
    output.pairs(limits)
    if profile["host_steps"]:
        output.line("run on the host between launches: {}", ", ".join(profile["host_steps"]), style="yellow")


def show_comparison(found: Mapping[str, Any]) -> None:
    """Print a comparison of two records."""
    words = {"faster": "faster", "slower": "slower", "noise": "within noise"}
    rows = [
        (r["name"], output.duration(r["before"]), output.duration(r["after"]), f"{r['ratio']:.3f}",
         f"{r['low']:.3f} to {r['high']:.3f}", words[r["verdict"]])
        for r in found["rows"]
    ]  # fmt: skip
    output.table(("", "first", "second", "ratio", "95 % interval", ""), rows)
    for caution in found["cautions"]:
        output.line("caution: {}", caution, style="yellow")
