"""Write ``docs/performance.md``, its chart and ``docs/roofline.md`` from the recorded results: ``python bench/page.py``.

``bench/results/peers.json`` is what ``bench/peers.py --record`` wrote, ``bench/results/roofline.json`` what
``bench/roofline.py --record`` did; ``start.json`` and ``transfers.json`` are by the scripts of those names.
``peers-busy.json`` holds rows that another recording replaced, and the files that end in one of ``OTHERS`` those of another
machine.
Nothing on the pages is typed by hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from shares import Row, best_peer, middle, share

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
DOCS = ROOT / "docs"
COLOURS = {
    "mace": "#0b6e4f",
    "mace tuned": "#12a174",
    "mace PoCL": "#7fbf9f",
    "onnxruntime": "#8a8f98",
    "openvino": "#b48a3c",
    "ncnn": "#7a6aa8",
    "mnn": "#a85c5c",
}
OTHERS = {
    "-short-vectors": (
        "On a processor without AVX-512",
        """Another machine, whose vectors hold 8 floats ([what mace does there](adr/0035-short-vectors.md)). Other tenants kept it
busy, so shares say more than times.""",
    ),
    "-half-vectors": (
        "On a processor that halves its vectors",
        """A third machine, which has AVX-512 and works on half a vector at a time. mace takes it for one
that works on whole ones.""",
    ),
}
"""How the names of another machine's records end: `make bench SUFFIX=…`; its heading, and what is to be known of it."""
BUILDS = ("mace generic", "mace PoCL")
"""Rows that a table of their own compares with mace's."""
ROW, GAP, LEFT, WIDTH = 14, 18, 150, 460
COSTLIEST = 3


def shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def table(head: list[str], rows: list[list[str]], left: int = 1) -> list[str]:
    """A Markdown table whose first ``left`` columns hold words."""
    rule = "|---" * left + "|---:" * (len(head) - left) + "|"
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)]


def beside_peers(networks: Mapping[str, Row], column: str, digits: int) -> list[str]:
    """One row per network: every runtime's figure, and mace's as shares of the best peer's and of ONNX Runtime's."""
    runtimes = [r for r in runtimes_of(networks) if r not in BUILDS]
    ours = [r for r in runtimes if r.startswith("mace")]
    rows = []
    for network, row in networks.items():
        shares = [f"**{shown(share(row, column, r))}**" if r in row["measured"] else "–" for r in ours]
        others = [shown(share(row, column, r, "onnxruntime")) for r in ours]
        figures = [shown(middle(row, r, column), digits) for r in runtimes]
        rows.append([network, *figures, best_peer(row, column) or "–", *shares, *others])
    head = ["network", *runtimes, "best peer", *(f"{r} / best" for r in ours), *(f"{r} / ORT" for r in ours)]
    return table(head, rows)


def builds(networks: Mapping[str, Row]) -> list[str]:
    """What tuning and specialising gain, and the second OpenCL implementation."""
    head = ["network", "tuned, ms", "untuned / tuned", "generic, ms", "generic / untuned", "PoCL, ms", "PoCL / Intel"]
    rows = []
    for network, row in networks.items():
        if {"mace tuned", *BUILDS}.isdisjoint(row["measured"]):
            continue
        tuned, generic, pocl = (middle(row, r, "steady") for r in ("mace tuned", *BUILDS))
        rows.append(
            [network, shown(tuned), shown(share(row, "steady", "mace", "mace tuned")), shown(generic, 1)]
            + [shown(share(row, "steady", "mace generic", "mace"), 1), shown(pocl)]
            + [shown(share(row, "steady", "mace PoCL", "mace"))]
        )
    return table(head, rows) if rows else []


def pocl_shares(networks: Mapping[str, Row]) -> list[str]:
    """The second OpenCL implementation's share of the first one's time, by network."""
    measured = {n: row for n, row in networks.items() if {"mace", "mace PoCL"} <= row["measured"].keys()}
    return [f"{n} {shown(share(row, 'steady', 'mace PoCL', 'mace'))}" for n, row in measured.items()]


def runtimes_of(networks: Mapping[str, Row]) -> list[str]:
    """Every runtime that took part anywhere, mace's first."""
    return list(dict.fromkeys(r for row in networks.values() for r in row["measured"]))


def notes(networks: Mapping[str, Row]) -> list[str]:
    """Who was left out, and how far results are apart."""
    lines = [
        f"- {network}: {runtime} is left out: {why}."
        for network, row in networks.items()
        for runtime, why in row["notes"].items()
    ]
    worst: dict[str, float] = defaultdict(float)
    for row in networks.values():
        for runtime, difference in row["differences"].items():
            worst[runtime] = max(worst[runtime], difference)
    if worst:
        each = ", ".join(f"{r} {d:.0e}" for r, d in worst.items())
        lines.append(f"- Largest difference from ONNX Runtime's results, as a share of an output's range: {each}.")
    return lines


def when_and_where(networks: Mapping[str, Row]) -> list[str]:
    """Dates, machine and versions; networks that were measured under other circumstances are named."""
    groups: dict[str, list[str]] = defaultdict(list)
    for network, row in networks.items():
        versions = ", ".join(f"{name} {number}" for name, number in row["versions"].items())
        devices = "; ".join(dict.fromkeys(row["devices"].values()))
        tuned = f"; mace tuned for {row['tuned_seconds']:.0f} s beforehand" if "mace tuned" in row["measured"] else ""
        groups[
            f"{row['date']}, {row['machine']}{f', {devices}' if devices else ''}. {versions}. "
            f"Medians of {row['rounds']} rounds{tuned}."
        ].append(network)
    if len(groups) == 1:
        return list(groups)
    return [f"- {', '.join(members)}: {words}" for words, members in groups.items()]


def spread(networks: Mapping[str, Row]) -> str:
    """How much slower a runtime's slowest round was than its fastest."""
    factor, network, runtime = max(
        (max(figures["steady"]) / min(figures["steady"]), network, runtime)
        for network, row in networks.items()
        for runtime, figures in row["measured"].items()
    )
    return f"The same run took up to {factor:.1f} times as long in one round as in another ({runtime}, {network})."


def busy_beside(networks: Mapping[str, Row], busy: Mapping[str, Row]) -> list[str]:
    """mace's shares of the best peer's time in both recordings."""
    rows = [
        [
            name,
            *(
                shown(share(record[name], "steady", runtime))
                for runtime in ("mace", "mace tuned")
                for record in (networks, busy)
            ),
        ]
        for name in busy
        if name in networks
    ]
    return table(["network", "mace / best", "busy", "mace tuned / best", "busy"], rows)


def chart(networks: Mapping[str, Row]) -> str:
    """Steady time per network as bars, each network scaled to its slowest runtime."""
    parts: list[str] = []
    y = 10
    for network, row in networks.items():
        medians = {r: median(figures["steady"]) for r, figures in row["measured"].items() if r in COLOURS}
        longest = max(medians.values())
        parts.append(f'<text x="0" y="{y + ROW}" class="network">{escape(network)}</text>')
        for runtime, steady in medians.items():
            length = steady / longest * WIDTH
            place = f'x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 3}"'
            parts.append(f'<rect {place} fill="{COLOURS[runtime]}"/>')
            label = f"{runtime} {steady:.2f} ms"
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + ROW - 4}">{escape(label)}</text>')
            y += ROW
        y += GAP
    style = "text{font:11px sans-serif;fill:#666}.network{font-weight:bold}"
    size = f'viewBox="0 0 {LEFT + WIDTH + 150} {y}" role="img" aria-label="Steady time per network and runtime"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style>{"".join(parts)}</svg>\n'


def limits(profiles: Mapping[str, Row]) -> list[str]:
    """A network a row: what its launches take together, the share of the limit, and the costliest launches."""
    rows = []
    for network, profile in profiles.items():
        launches, whole = profile["launches"], profile["device_seconds"]
        least = sum(row["limit_seconds"] for row in launches)
        costly = sorted(launches, key=lambda row: -(row["seconds"] - row["limit_seconds"]))[:COSTLIEST]
        where = ", ".join(
            f"{r['template']} at {r['node']} {1e3 * (r['seconds'] - r['limit_seconds']):.2f}" for r in costly
        )
        rate = sum(row["flops"] for row in launches) / whole * 1e-9
        counts = [str(len(launches)), shown(whole * 1e3), shown(rate, 0), f"{least / whole:.0%}"]
        rows.append([f"[{network}](roofline.md#{network})", *counts, where])
    return table(["network", "launches", "ms", "GFLOP/s", "of the limit", "most above it, ms"], rows)


def moved(record: Row) -> list[str]:
    """What inputs and outputs cost, by size."""
    ways = ("copied", "in place", "on the device")
    rows = [
        [
            network,
            f"{row['bytes'] / 2**20:.2f}",
            *(shown(row[w], 0) for w in ways),
            shown(row["copied"] / row["in place"]),
        ]
        for network, row in record["networks"].items()
    ]
    return [
        f"{record['date']}, {record['machine']}, {record['device']}. A network of one small kernel; µs per run.",
        "",
        *table(["input and output", "MiB each", *ways, "copied / in place"], rows),
    ]


def starts(networks: Mapping[str, Row]) -> list[str]:
    """What a start spends, by network: whole processes, and of mace's the engine alone, warm and cold."""
    head = [
        "network",
        "numpy alone",
        "and the device",
        "onnxruntime",
        "mace",
        "mace / ORT",
        "numpy first",
        "engine, warm",
        "engine, cold",
        "cold / warm",
        "less the device",
    ]
    rows, groups = [], defaultdict(list)
    accounts = {
        n: a / b
        for n, row in networks.items()
        if (a := middle(row, "cold", "account")) and (b := middle(row, "mace", "account"))
    }
    told = "*engine.stats* is cold to warm by the engine's own account: with the driver, without imports and first run."
    for network, row in networks.items():
        groups[f"{row['date']}, {row['machine']}; medians of {row['rounds']} rounds"].append(network)
        figures = [shown(middle(row, r, "wall"), 0) for r in ("numpy", "device", "onnxruntime", "mace")]
        early, late = (shown(share(row, "wall", r, "onnxruntime")) for r in ("mace", "numpy_first"))
        warm, cold = (middle(row, r, "engine") for r in ("mace", "cold"))
        device = middle(row, "device", "engine")
        saved = shown(cold / warm if cold and warm else None, 0)
        own = shown((cold - device) / (warm - device) if cold and warm and device and warm > device else None, 0)
        account = [shown(accounts.get(network), 0)] if accounts else []
        rows.append([network, *figures, f"**{early}**", late, shown(warm, 0), shown(cold, 0), saved, own, *account])
    return [
        *(
            [f"{words} of `bench/start.py`, ms." for words in groups]
            if len(groups) == 1
            else [f"- {', '.join(members)}: {words} of `bench/start.py`, ms." for words, members in groups.items()]
        ),
        "*Numpy first* is mace's share where numpy was imported before mace, so that numpy's threads spin through the start",
        "([why](adr/0024-what-a-start-spends.md)). *Cold* has neither a program file nor anything stored.",
        "*Less the device* is cold to warm without the time in which the driver opens the device, which no file can spare.",
        *([told] if accounts else []),
        "",
        *table(head + ["engine.stats"] * bool(accounts), rows),
    ]


def kept(networks: Mapping[str, Row]) -> list[str]:
    """What the engine adds to the memory of a process, beside what it keeps of the network."""
    head = ["network", "the device alone", "with the engine", "added", "weights", "arena", "most alive at once"]
    rows = []
    for network, row in networks.items():
        device, mace = (middle(row, r, "memory") for r in ("device", "mace"))
        added = mace - device if device and mace else None
        sizes = [shown(row["sizes"][what], 1) for what in ("weights", "arena", "alive")]
        rows.append([network, shown(device, 0), shown(mace, 0), shown(added, 1), *sizes])
    return [
        "Measured with the starts above: the most that the process held until its first result. *Weights* are packed for the",
        "device and mapped from the program file. *Alive at once* is the least that any arena could have.",
        "",
        *table(head, rows),
    ]


def page(
    networks: Mapping[str, Row],
    profiles: Mapping[str, Row],
    transfers: Row | None = None,
    started: Row | None = None,
    busy: Mapping[str, Row] | None = None,
    others: Mapping[str, tuple[Mapping[str, Row], Row]] | None = None,
) -> str:
    """The page of results as Markdown; ``others`` has the rows beside the peers and the starts of other machines (``OTHERS``)."""
    lines = [
        "# Performance",
        "",
        "`make bench` measures everything on this page anew and writes it, from `bench/results`. Two threads, batch 1, float32,",
        "each runtime in a fresh process in turn; compare within a row only. Times are medians over the rounds; shares are medians",
        "of the shares within each round, since a machine that slows down slows all of them. *best* is the best of the runtimes",
        "that are not mace, in the same row.",
        "",
        *when_and_where(networks),
        "",
        spread(networks),
        "",
        "![Steady time per network and runtime](performance.svg)",
        "",
        "## Steady: one run of many, ms",
        "",
        *beside_peers(networks, "steady", 2),
        "",
        "## Start: a whole process, from its start to its first result, caches warm, ms",
        "",
        *beside_peers(networks, "process", 0),
        "",
        "## First: from an interpreter that has numpy to the first result, ms",
        "",
        *beside_peers(networks, "first", 0),
        "",
        "## Peak memory of the process, MiB",
        "",
        *beside_peers(networks, "memory", 0),
    ]
    if busy:
        lines += [
            "",
            "## While other tenants kept the machine busy: steady",
            "",
            "The machine is shared. These networks were recorded more than once; above is the recording in which MNN took the",
            "least time, whatever mace took, here one of the others (`bench/results/peers-busy.json`).",
            "",
            *busy_beside(networks, busy),
        ]
    if compared := builds(networks):
        lines += [
            "",
            "## Tuned, untuned, generic; a second OpenCL implementation",
            "",
            "*generic* is the same network as a library would run it that cannot specialise: general variants only, one output per",
            "work-item, vectors of four, no tuning. *PoCL* is Debian's OpenCL implementation on the same cores, untuned, beside",
            "Intel's runtime untuned.",
            "",
            *compared,
        ]
    if profiles:
        lines += [
            "",
            "## Where the time goes",
            "",
            "Every launch on the device's own clock, beside the time that its arithmetic or its bytes must take at the least by",
            "what two kernels that do nothing else reach on the device. Launch by launch: [roofline](roofline.md).",
            "Arithmetic is counted as a direct convolution's, which Winograd's does with less: its share may exceed 100%.",
            "",
            *limits(profiles),
        ]
    if started:
        lines += ["", "## What a start spends", "", *starts(started)]
        lines += ["", "## What the engine adds to a process, MiB", "", *kept(started)]
    if transfers:
        lines += ["", "## Inputs and outputs: [copied, in place, on the device](tensors.md)", "", *moved(transfers)]
    for suffix, (rows, starting) in (others or {}).items():
        lines += ["", *another_machine(suffix, rows, starting)]
    if remarks := notes(networks):
        lines += ["", "## Notes", "", *remarks]
    return "\n".join(lines) + "\n"


def another_machine(suffix: str, networks: Mapping[str, Row], started: Row) -> list[str]:
    """The section of a machine that the page's other figures are not from."""
    heading, about = OTHERS[suffix]
    pocl = pocl_shares(networks)
    lines = [
        f"## {heading}",
        "",
        f"{about} `make bench SUFFIX={suffix}`.",
        "",
        *when_and_where(networks),
        "",
        "Steady, ms:",
        "",
        *beside_peers(networks, "steady", 2),
        "",
        *([f"PoCL / Intel, steady: {', '.join(pocl)}.", ""] if pocl else []),
        "The whole process to its first result, ms:",
        "",
        *beside_peers(networks, "process", 0),
    ]
    return [*lines, "", *starts(started)] if started else lines


def roofline(profiles: Mapping[str, Row]) -> str:
    """The page of launches as Markdown."""
    lines = [
        "# Roofline",
        "",
        "Written by `bench/page.py` from `bench/results/roofline.json`, which `bench/roofline.py` measured; see",
        "[performance](performance.md). *of the limit* is the share of a launch's time that its arithmetic or its bytes must",
        "take at the least on this device.",
    ]
    for network, profile in profiles.items():
        peak = profile["peak"]
        sizes = ", ".join(
            f"{b['bytes_per_second'] * 1e-9:.0f} GB/s in {b['working_set'] / 2**20:g} MiB" for b in peak["bandwidths"]
        )
        rows = [
            [row["node"].replace("|", "/"), row["op"], row["template"], f"{row['seconds'] * 1e6:.0f}"]
            + [shown(row["gflops"], 1), shown(row["gbs"], 1), f"{row['of_limit']:.0%}"]
            for row in profile["launches"]
        ]
        about = (
            f"{profile['date']}, {profile['device']}, {profile['build']}: {profile['device_seconds'] * 1e3:.2f} ms, medians of "
            f"{profile['passes']} passes. The device reaches {peak['flops'] * 1e-9:.0f} GFLOP/s; {sizes}."
        )
        lines += [
            "",
            f"## {network}",
            "",
            about,
            "",
            *table(["node", "operator", "template", "µs", "GFLOP/s", "GB/s", "of the limit"], rows, left=3),
        ]
    return "\n".join(lines) + "\n"


def record(file: str) -> dict[str, Any] | None:
    """A recorded result, or None where there is none yet."""
    path = RESULTS / file
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def networks(file: str) -> dict[str, Row]:
    """A record's rows by network, none where there is no record yet."""
    found: dict[str, Row] = (record(file) or {"networks": {}})["networks"]
    return found


def pages() -> dict[str, str]:
    """What each file in the docs is to hold by what is recorded."""
    rows, profiles, started, busy = map(networks, ("peers.json", "roofline.json", "start.json", "peers-busy.json"))
    others = {s: (networks(f"peers{s}.json"), networks(f"start{s}.json")) for s in OTHERS}
    return {
        "performance.md": page(rows, profiles, record("transfers.json"), started, busy, others),
        "performance.svg": chart(rows),
        "roofline.md": roofline(profiles),
    }


def main() -> None:
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
