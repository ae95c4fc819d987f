"""What a record's numbers look like: each figure is a chart, the words for it, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mace.report import charts
from mace.report.text import counted, duration, size

STARTS = {"cold": "Nothing compiled", "storage": "From the storage", "program": "From the program file"}
STEPS = (("python", "interpreter"), ("imports", "imports"), ("load", "load"), ("first_run", "first run"))
LAUNCHES_SHOWN = 15
NARROW_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text; a column of numbers is marked by a leading ``#`` in its heading."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``chart`` is SVG text, empty where a table says it all; ``legend`` names the colours in order."""

    key: str
    title: str
    words: str
    chart: str
    table: Table
    legend: tuple[str, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether its table needs the whole width of a page."""
        return len(self.table.columns) > NARROW_COLUMNS or self.key == "accuracy"


def figures_of(record: Mapping[str, Any]) -> list[Figure]:
    """Every figure that a report record's results have numbers for."""
    results = record["results"]
    found: list[Figure] = []
    if results["bench"]:
        found += _of_bench(results["bench"])
    if results["validation"]:
        found += _of_validation(results["validation"])
    return found


def _of_bench(bench: Mapping[str, Any]) -> Iterator[Figure]:
    if bench["starts"]:
        yield _starts(bench["starts"])
    if bench["latency"]:
        yield _latency(bench["latency"])
        yield _warm_up(bench["latency"])
    if any(r["per_second"] for r in bench["throughput"]):
        yield _throughput([r for r in bench["throughput"] if r["per_second"]])
    if bench["profile"] and bench["profile"]["operators"]:
        yield _operators(bench["profile"])
        yield _launches(bench["profile"])
    if bench["memory"]:
        yield _memory(bench["memory"])


def _of_validation(validation: Mapping[str, Any]) -> Iterator[Figure]:
    yield _outputs(validation)
    if validation["layers"]:
        yield _layers(validation["layers"])
    if validation.get("accuracy"):
        yield from _accuracy(validation["accuracy"])


def _starts(starts: Mapping[str, Any]) -> Figure:
    rows, bars = [], []
    for kind, name in STARTS.items():
        if kind not in starts:
            continue
        seconds = starts[kind]["seconds"]
        parts = tuple(_median(seconds[step]) for step, _ in STEPS)
        bars.append(charts.Bar(name, parts, duration(sum(parts))))
        compiled = [str(max(starts[kind][f"programs_from_{origin}"])) for origin in ("source", "spirv")]
        rows.append((name, *(duration(p) for p in parts), duration(_median(seconds["answer"])), *compiled))
    words = "From the start of a fresh process to the first answer, medians."
    if "cold" in starts and "program" in starts:
        own = {k: _median(starts[k]["seconds"]["load"]) + _median(starts[k]["seconds"]["first_run"]) for k in starts}
        words += (
            f" Load and first run take {duration(own['cold'])} with nothing compiled and {duration(own['program'])} from the "
            f"program file: {own['cold'] / own['program']:.0f} times less."
        )
    table = Table(
        ("Start", *(f"#{n}" for _, n in STEPS), "#to first answer", "#from source", "#from SPIR-V"), tuple(rows)
    )
    chart = charts.bars("Start-up time", words, bars)
    return Figure("starts", "Start-up, with and without the file", words, chart, table, tuple(n for _, n in STEPS))


def _latency(latency: Mapping[str, Any]) -> Figure:
    flat = [t for r in latency["rounds"] for t in r]
    unit, name = (1e-3, "ms") if latency["median"] >= 1e-3 else (1e-6, "µs")
    marks = [(k, latency[k]) for k in ("median", "p95", "p99")]
    words = (
        f"{latency['count']} steady runs in {len(latency['rounds'])} processes; one count per run, in {name}. "
        f"Half of them take at most {duration(latency['median'])}, 99 % at most {duration(latency['p99'])}."
    )
    columns = ("Quantity", "#time")
    names = {"median": "median", "p95": "95 %", "p99": "99 %", "mean": "mean", "low": "least", "high": "most"}
    rows = [(label, duration(latency[key])) for key, label in names.items()]
    rows.append(("spread (median distance from the median)", duration(latency["mad"])))
    chart = charts.histogram(f"Steady latency in {name}", words, flat, unit, marks, (f"{name} a run", "runs"))
    return Figure("latency", "Steady latency", words, chart, Table(columns, tuple(rows)))


def _warm_up(latency: Mapping[str, Any]) -> Figure:
    rounds = [[*w, *r[:20]] for w, r in zip(latency["warm_up"], latency["rounds"], strict=False)]
    series = [
        charts.Series(f"process {i + 1}", tuple((float(n + 1), t * 1e3) for n, t in enumerate(r)), i % 5 + 1)
        for i, r in enumerate(rounds)
    ]
    warm = len(latency["warm_up"][0]) if latency["warm_up"] else 0
    words = (
        f"The first runs of each process after its first answer, in ms by number of run; the first {warm} are taken as warm-up "
        "and left out of the figures above."
    )
    rows = tuple(
        (f"process {i + 1}", *(duration(t) for t in (r[0] if r else 0.0, _median(r[warm:] or r or [0.0]))))
        for i, r in enumerate(rounds)
    )
    chart = charts.lines("Warm-up", words, series, ("number of the run", "ms"))
    return Figure("warm-up", "Warm-up", words, chart, Table(("Process", "#second run", "#steady"), rows))


def _throughput(rates: Sequence[Mapping[str, Any]]) -> Figure:
    def name(r: Mapping[str, Any]) -> str:
        return f"batch {r['batch']}, {r['threads']} thread" + ("s" if r["threads"] != 1 else "")

    bars = [charts.Bar(name(r), (r["per_second"],), f"{r['per_second']:.1f}/s") for r in rates]
    words = "Answers per second, a batch of n counting as n; threads call one engine at once."
    rows = tuple((str(r["batch"]), str(r["threads"]), f"{r['per_second']:.1f}") for r in rates)
    table = Table(("#batch", "#threads", "#answers per second"), rows)
    return Figure("throughput", "Throughput", words, charts.bars("Throughput", words, bars), table)


def _operators(profile: Mapping[str, Any]) -> Figure:
    operators = profile["operators"]
    bars = [charts.Bar(o["op"], (o["seconds"],), f"{o['share']:.0%}") for o in operators[:12]]
    took = duration(profile["device_seconds"])
    words = f"Share of the {took} that all calls take, each launched by itself, on the device's own clock."
    rows = tuple(
        (o["op"], str(o["launches"]), duration(o["seconds"]), f"{o['share']:.1%}", f"{o['gflops']:.1f}", f"{o['gbs']:.1f}",
         f"{o['of_limit']:.0%}")
        for o in operators
    )  # fmt: skip
    columns = ("Operator", "#launches", "#time", "#share", "#GFLOP/s", "#GB/s", "#of the limit")
    return Figure(
        "operators", "Time by operator", words, charts.bars("Time by operator", words, bars), Table(columns, rows)
    )


def _launches(profile: Mapping[str, Any]) -> Figure:
    top = sorted(profile["launches"], key=lambda r: -r["seconds"])[:LAUNCHES_SHOWN]
    peak = profile["peak"]
    bands = ", ".join(
        f"{b['bytes_per_second'] / 1e9:.0f} GB/s over {size(b['working_set'])}" for b in peak["bandwidths"]
    )
    words = (
        f"The {len(top)} costliest of {len(profile['launches'])} launches. Measured on this device: at most "
        f"{peak['flops'] / 1e9:.0f} GFLOP/s; {bands}. The limit of a launch is the time its arithmetic or its traffic must take."
    )
    bars = [charts.Bar(f"{r['node']} ({r['template']})", (r["seconds"],), duration(r["seconds"])) for r in top]
    rows = tuple(
        (str(r["index"]), r["node"], r["template"], duration(r["seconds"]), f"{r['gflops']:.1f}", f"{r['gbs']:.1f}",
         f"{r['of_limit']:.0%}")
        for r in top
    )  # fmt: skip
    columns = ("#no.", "Node", "Kernel", "#time", "#GFLOP/s", "#GB/s", "#of the limit")
    chart = charts.bars("The costliest launches", words, bars)
    return Figure("launches", "The costliest launches", words, chart, Table(columns, rows))


def _memory(memory: Mapping[str, Any]) -> Figure:
    names = {
        "constants_bytes": "weights as the device keeps them",
        "arena_bytes": "tensors on the device",
        "peak_live_bytes": "of them in use at once",
        "resident_before": "process before mace was imported",
        "peak_resident": "process at its largest",
    }
    rows = tuple((label, size(memory[key])) for key, label in names.items() if key in memory)
    bars = [charts.Bar(label, (float(memory[k]),), size(memory[k])) for k, label in names.items() if k in memory]
    words = "Memory of one engine, and of the process around it."
    chart = charts.bars("Memory", words, bars)
    return Figure("memory", "Memory", words, chart, Table(("What", "#size"), rows))


def _outputs(validation: Mapping[str, Any]) -> Figure:
    outputs = validation["outputs"]
    verdict = "Every output is within its thresholds." if validation["passed"] else "Something misses its threshold."
    words = (
        f"The worst of {counted(validation['samples'], 'sample')} beside {validation['source']['runtime']}, as "
        "signal-to-noise in decibels: "
        f"every 20 dB are one more right digit. {verdict}"
    )
    bars = [
        charts.Bar(o["name"], (max(o["snr_db"], 0.0),), "equal" if not o["differing"] else f"{o['snr_db']:.0f} dB")
        for o in outputs
    ]
    rows = tuple(
        (o["name"], f"{o['max_abs']:.3g}", f"{o['mean_abs']:.3g}", f"{o['cosine']:.7f}", f"{o['snr_db']:.1f}",
         "; ".join(o["broken"]) or "within")
        for o in outputs
    )  # fmt: skip
    columns = ("Output", "#largest error", "#mean error", "#cosine", "#SNR, dB", "thresholds")
    chart = charts.bars("Accuracy against the source", words, bars)
    return Figure("outputs", "Accuracy against the source", words, chart, Table(columns, rows))


def _layers(layers: Mapping[str, Any]) -> Figure:
    points = tuple((float(i), x["snr_db"]) for i, x in enumerate(layers["layers"]))
    bad = tuple((float(i), x["snr_db"]) for i, x in enumerate(layers["layers"]) if x["broken"])
    series = [
        charts.Series("layer", points, 1),
        *([charts.Series("misses its threshold", bad, 2, joined=False)] if bad else []),
    ]
    first = layers["first"]
    words = (
        f"Signal-to-noise of {layers['compared']} inner values in the order they are computed, in decibels; "
        f"{layers['hidden']} more are fused into others. "
        + (f"The first to part is {first['node']}." if first else "None parts.")
    )
    worst = sorted(layers["layers"], key=lambda x: x["snr_db"])[:10]
    rows = tuple(
        (x["node"], x["op"], f"{x['snr_db']:.1f}", f"{x['relative']:.2g}", "; ".join(x["broken"]) or "within")
        for x in worst
    )
    columns = ("Layer", "Operator", "#SNR, dB", "#error over span", "thresholds")
    chart = charts.lines("Layer by layer", words, series, ("layers in order", "dB"), from_zero=False)
    legend = ("layer", "misses its threshold") if bad else ()
    return Figure("layers", "Layer by layer", words, chart, Table(columns, rows), legend)


def _accuracy(accuracy: Mapping[str, Any]) -> Iterator[Figure]:
    names = list(accuracy["contenders"][0]["scores"])
    first = names[0]
    bars = [charts.Bar(c["name"], (c["scores"][first],), f"{c['scores'][first]:.2%}") for c in accuracy["contenders"]]
    words = f"Mean {first} over {accuracy['samples']} labelled samples."
    rows = tuple((c["name"], *(f"{c['scores'][n]:.2%}" for n in names)) for c in accuracy["contenders"])
    table = Table(("Form", *(f"#{n}" for n in names)), rows)
    yield Figure("accuracy", "Accuracy on a labelled set", words, charts.bars("Accuracy", words, bars), table)
    if not accuracy["comparisons"]:
        return
    said = {"drop": "a drop", "gain": "a gain", "noise": "noise", "same": "the same answers"}
    spans = [
        charts.Span(f"{c['contender']}: {c['score']}", c["low"], c["difference"], c["high"], said[c["verdict"]])
        for c in accuracy["comparisons"]
    ]
    words = "Difference from the source over the same samples, with its 95 % interval."
    rows = tuple(
        (c["contender"], c["score"], f"{c['difference']:+.2%}", f"{c['low']:+.2%} to {c['high']:+.2%}",
         "" if c["p"] is None else f"{c['p']:.3f}", said[c["verdict"]])
        for c in accuracy["comparisons"]
    )  # fmt: skip
    columns = ("Form", "Score", "#difference", "#interval", "#p", "verdict")
    chart = charts.spans("Difference from the source", words, spans)
    yield Figure("accuracy-difference", "Difference from the source", words, chart, Table(columns, rows))


def _median(values: Sequence[float]) -> float:
    from statistics import median

    return float(median(values))
