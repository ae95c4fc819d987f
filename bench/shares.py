"""What one runtime takes as a share of another: compared round by round, for a machine that slows down slows both.

A *row* is what ``peers.py`` records of one network: under ``measured``, by runtime and column, one figure a round.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

Row = Mapping[str, Any]


def middle(row: Row, runtime: str, column: str) -> float | None:
    """The median over the rounds; None for a runtime that did not take part, or of which this was not recorded."""
    figures = row["measured"].get(runtime, {}).get(column)
    return median(figures) if figures else None


def best_peer(row: Row, column: str) -> str | None:
    """The runtime other than mace with the least median, if any took part."""
    peers = {r: median(figures[column]) for r, figures in row["measured"].items() if not r.startswith("mace")}
    return min(peers, key=lambda r: peers[r], default=None)


def share(row: Row, column: str, runtime: str, other: str | None = None) -> float | None:
    """The median over the rounds of one runtime's figure as a share of another's, or of the best peer's, in that round.

    None where one of the two did not take part.
    """
    measured, reference = row["measured"], best_peer(row, column) if other is None else other
    if runtime not in measured or reference not in measured:
        return None
    return median(a / b for a, b in zip(measured[runtime][column], measured[reference][column], strict=True))
