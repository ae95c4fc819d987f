"""Write ``docs/performance.md`` and its chart from the recorded results: ``python bench/page.py``.

``bench/results/peers.json`` is what ``bench/peers.py --record`` wrote. Nothing on the page is typed by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "peers.json"
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
COLOURS = {"mace": "#0b6e4f", "onnxruntime": "#8a8f98", "openvino": "#b48a3c", "ncnn": "#7a6aa8", "mnn": "#a85c5c"}
ROW, GAP, LEFT, WIDTH = 14, 18, 150, 460


def best_peer(row: dict[str, dict[str, float]], column: str) -> tuple[str, float]:
    """Name and figure of the fastest runtime other than mace."""
    peers = {r: m[column] for r, m in row.items() if r != "mace"}
    name = min(peers, key=lambda r: peers[r])
    return name, peers[name]


def table(record: dict[str, Any], column: str, digits: int) -> list[str]:
    """One row per network: every runtime's figure, and mace's as a share of the best peer's and of ONNX Runtime's."""
    runtimes = list(record["versions"])
    lines = [
        f"| network | {' | '.join(runtimes)} | mace / best peer | mace / ONNX Runtime |",
        f"|---|{'---:|' * (len(runtimes) + 2)}",
    ]
    for network, row in record["networks"].items():
        cells = [f"{row[r][column]:.{digits}f}" if r in row else "–" for r in runtimes]
        name, best = best_peer(row, column)
        share = row["mace"][column] / best
        other = row["mace"][column] / row["onnxruntime"][column] if "onnxruntime" in row else float("nan")
        lines.append(f"| {network} | {' | '.join(cells)} | **{share:.2f}** ({name}) | {other:.2f} |")
    return lines


def chart(record: dict[str, Any]) -> str:
    """Steady time per network as bars, each network scaled to its slowest runtime."""
    parts: list[str] = []
    y = 10
    for network, row in record["networks"].items():
        longest = max(m["steady"] for m in row.values())
        parts.append(f'<text x="0" y="{y + ROW}" class="network">{escape(network)}</text>')
        for runtime, medians in row.items():
            length = medians["steady"] / longest * WIDTH
            colour = COLOURS.get(runtime, "#888888")
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 3}" fill="{colour}"/>')
            label = f"{runtime} {medians['steady']:.2f} ms"
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + ROW - 4}">{escape(label)}</text>')
            y += ROW
        y += GAP
    style = "text{font:11px sans-serif;fill:#666}.network{font-weight:bold}"
    size = f'viewBox="0 0 {LEFT + WIDTH + 150} {y}" role="img" aria-label="Steady time per network and runtime"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style>{"".join(parts)}</svg>\n'


def page(record: dict[str, Any]) -> str:
    """The page as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    tuned = record.get("tuned_seconds")
    how = f"mace was tuned for {tuned:.0f} s per network beforehand" if tuned else "mace was not tuned"
    lines = [
        "# Performance",
        "",
        "Written by `python bench/page.py` from `bench/results/peers.json`, which",
        "`python bench/peers.py --runtimes mace,onnxruntime,openvino,ncnn,mnn --record bench/results/peers.json` measured.",
        "",
        f"{record['date']}, {record['machine']}. {versions}. Two threads, batch 1, float32; medians of {record['rounds']} rounds,",
        f"each runtime in a fresh process in turn; {how}. Compare within a row only.",
        "",
        "![Steady time per network and runtime](performance.svg)",
        "",
        "## Steady: one run of many, ms",
        "",
        *table(record, "steady", 2),
        "",
        "## Start: a whole process, from its start to its first result, caches warm, ms",
        "",
        *table(record, "process", 0),
        "",
        "## First: from an interpreter that has numpy to the first result, ms",
        "",
        *table(record, "first", 0),
        "",
        "## Peak memory of the process, MiB",
        "",
        *table(record, "memory", 0),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(record), encoding="utf-8")
    CHART.write_text(chart(record), encoding="utf-8")


if __name__ == "__main__":
    main()
