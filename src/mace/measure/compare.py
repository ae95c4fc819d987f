"""Two bench records side by side, with a verdict that knows the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mace.errors import ConfigError
from mace.measure.statistics import Interval, ratio_of_medians

Verdict = Literal["faster", "slower", "noise"]

MARGIN = 0.01
"""A difference smaller than this is nobody's concern, however sure."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity: seconds before and after, their ratio with its interval, and what to make of it."""

    name: str
    before: float
    after: float
    ratio: Interval
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "ratio": self.ratio.estimate,
            "low": self.ratio.low,
            "high": self.ratio.high,
            "confidence": self.ratio.confidence,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two records have in common. ``paired``: they were taken side by side, so the machine's mood cancels."""

    paired: bool
    rows: tuple[Compared, ...]
    cautions: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """That of the steady latency, or else of the first quantity there is."""
        return next((r.verdict for r in self.rows if r.name == "latency"), self.rows[0].verdict)

    def to_json(self) -> dict[str, Any]:
        return {
            "record": "comparison",
            "paired": self.paired,
            "verdict": self.verdict,
            "rows": [r.to_json() for r in self.rows],
            "cautions": list(self.cautions),
        }


def compare_records(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """Compare two bench records, the second with the first. Raises ``ConfigError`` when they share no measurement.

    Timings of one process share its luck (addresses, clock, neighbours), so the bootstrap draws processes first and runs
    within them. Records of one session were taken in turn, and their rounds are drawn in pairs.
    """
    paired = before["session"] == after["session"]
    rows = [
        _compared(name, a, b, paired)
        for name in ("latency", "cold", "storage", "program")
        if (a := _rounds(before, name)) and (b := _rounds(after, name))
    ]
    if not rows:
        raise ConfigError("the two records have no measurement in common")
    return Comparison(paired, tuple(rows), tuple(_cautions(before, after, paired)))


def _rounds(record: Mapping[str, Any], name: str) -> list[list[float]]:
    """Seconds in rounds: the runs of each process, or the start of each process by itself."""
    if name == "latency":
        return list((record.get("latency") or {}).get("rounds", []))
    starts = record.get("starts", {}).get(name)
    return [[t] for t in starts["seconds"]["answer"]] if starts else []


def _compared(name: str, a: list[list[float]], b: list[list[float]], paired: bool) -> Compared:
    ratio = ratio_of_medians(a, b, paired=paired)
    label = name if name == "latency" else f"start: {name}"
    if len(a) < 2 or len(b) < 2:
        verdict: Verdict = "noise"  # one round shows no spread between rounds
    elif ratio.high < 1.0 and ratio.estimate < 1.0 - MARGIN:
        verdict = "faster"
    elif ratio.low > 1.0 and ratio.estimate > 1.0 + MARGIN:
        verdict = "slower"
    else:
        verdict = "noise"
    return Compared(label, _median(a), _median(b), ratio, verdict)


def _median(rounds: list[list[float]]) -> float:
    from statistics import median

    return median(median(r) for r in rounds)


def _cautions(before: Mapping[str, Any], after: Mapping[str, Any], paired: bool) -> list[str]:
    found = []
    if not paired:
        found.append(
            "the two were not taken side by side: a change of the machine's mood between them looks like a difference; "
            "`mace bench A.mace B.mace` measures both in turn"
        )
    if before["device"]["digest"] != after["device"]["digest"]:
        found.append(f"the devices differ: {before['device']['label']} and {after['device']['label']}")
    if before["host"]["cpu"] != after["host"]["cpu"]:
        found.append("the machines differ")
    for record in (before, after):
        rounds = _rounds(record, "latency")
        if 0 < len(rounds) < 4:
            found.append(f"rounds: {len(rounds)}; the spread between processes shows from four on")
            break
    return found
