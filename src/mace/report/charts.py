"""Charts as plain SVG text: drawn here, so that a page needs no script and no network.

Each is 360 units wide, so that its text is as large on a telephone as on a page. Every text is escaped, every colour is
a class that the page's style sheet fills in for light, dark and paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from math import ceil, floor, log10
from typing import TypeAlias

from mace.report.text import plain

Captions: TypeAlias = tuple[str, str]
"""What the axis along and the one up count."""

WIDTH = 360
ROW = 38
BAR = 14
PLOT_HEIGHT = 190
BINS = 24
MARGIN = (12, 10, 34, 46)
"""Top, right, bottom and left of a plot, in units."""

_ids = count(1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is, its parts from left to right, and how its length is written."""

    label: str
    parts: tuple[float, ...]
    shown: str

    @property
    def whole(self) -> float:
        return sum(self.parts)


@dataclass(frozen=True, slots=True)
class Series:
    """Points to be joined or dotted; ``style`` is the number of its colour."""

    name: str
    points: tuple[tuple[float, float], ...]
    style: int = 1
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate with its interval, around zero or a level."""

    label: str
    low: float
    middle: float
    high: float
    shown: str


def bars(title: str, summary: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from zero, each under its label; parts of a bar have colours of their own."""
    longest = max((r.whole for r in rows), default=0.0) or 1.0
    height = ROW * len(rows) + 4
    out = []
    for i, row in enumerate(rows):
        top = i * ROW
        out.append(_text(0, top + 14, row.label, "label", width=WIDTH - 78))
        out.append(_text(WIDTH, top + 14, row.shown, "value end"))
        at = 0.0
        out.append(f'<rect class="track" x="0" y="{top + 19}" width="{WIDTH}" height="{BAR}" rx="2"/>')
        for style, part in enumerate(row.parts, 1):
            width = part / longest * WIDTH
            out.append(
                f'<rect class="s{style}" x="{at:.2f}" y="{top + 19}" width="{max(width, 0.0):.2f}" height="{BAR}"/>'
            )
            at += width
    return _svg(title, summary, height, out)


def histogram(
    title: str,
    summary: str,
    values: Sequence[float],
    unit: float,
    marks: Sequence[tuple[str, float]],
    captions: Captions = ("", ""),
) -> str:
    """How often values fall where; ``marks`` are named places. What lies far out is gathered in the last column."""
    low, most = min(values), max(values)
    body = sorted(v for _, v in marks)[-2:-1] or [most]
    high = max(min(most, low + (body[0] - low) * 2.0), low * 1.0001 + 1e-12)
    counts = [0] * BINS
    for v in values:
        counts[min(BINS - 1, int((v - low) / (high - low) * BINS))] += 1
    plot = _Plot(
        (low / unit, high / unit), (0.0, float(max(counts))), top=MARGIN[0] + 13 * (len(marks) + bool(captions[1]))
    )
    out = [*plot.axes(ticks_y=3), *plot.captions(captions)]
    step = (high - low) / BINS / unit
    for i, n in enumerate(counts):
        x0, x1 = plot.x(low / unit + i * step), plot.x(low / unit + (i + 1) * step)
        place = f'x="{x0 + 0.5:.2f}" y="{plot.y(float(n)):.2f}" width="{max(x1 - x0 - 1, 0.5):.2f}"'
        out.append(f'<rect class="s1" {place} height="{plot.bottom - plot.y(float(n)):.2f}"/>')
    for i, (name, value) in enumerate(marks):
        x, y = plot.x(min(value, high) / unit), MARGIN[0] + 13 * (i + bool(captions[1]))
        out.append(f'<line class="mark" x1="{x:.2f}" x2="{x:.2f}" y1="{y}" y2="{plot.bottom}"/>')
        end = " end" if x > WIDTH / 2 else ""
        arrow = " →" if value > high else ""
        out.append(_text(x + (-4 if end else 4), y + 6, f"{name} {_number(value / unit)}{arrow}", f"tick{end}"))
    return _svg(title, summary, PLOT_HEIGHT, out)


def lines(
    title: str,
    summary: str,
    series: Sequence[Series],
    captions: Captions = ("", ""),
    *,
    from_zero: bool = True,
    logarithmic: bool = False,
) -> str:
    """Series over a common axis, as lines or dots; ``captions`` say what lies along and up."""
    points = [p for s in series for p in s.points]
    xs, ys = [p[0] for p in points] or [0.0], [p[1] for p in points] or [0.0]
    bottom = 0.0 if from_zero and not logarithmic else min(ys)
    plot = _Plot((min(xs), max(xs)), (bottom, max(ys)), logarithmic, top=MARGIN[0] + 13 * bool(captions[1]))
    out = [*plot.axes(), *plot.captions(captions)]
    for s in series:
        at = [(plot.x(x), plot.y(y)) for x, y in s.points]
        if s.joined and len(at) > 1:
            out.append(f'<polyline class="l{s.style}" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in at)}"/>')
        radius = 2.6 if len(at) <= 60 else 1.4
        out += [f'<circle class="s{s.style}" cx="{x:.2f}" cy="{y:.2f}" r="{radius}"/>' for x, y in at]
    return _svg(title, summary, PLOT_HEIGHT, out)


def spans(title: str, summary: str, rows: Sequence[Span]) -> str:
    """Intervals beside the line of zero."""
    reach = max((max(abs(r.low), abs(r.high)) for r in rows), default=0.0) * 1.1 or 0.01
    middle = WIDTH / 2
    out = [f'<line class="axis" x1="{middle}" x2="{middle}" y1="0" y2="{ROW * len(rows)}"/>']
    for i, r in enumerate(rows):
        y = i * ROW + 27
        out.append(_text(0, i * ROW + 14, r.label, "label", width=WIDTH - 130))
        out.append(_text(WIDTH, i * ROW + 14, r.shown, "value end"))
        low, mid, high = (middle + v / reach * (WIDTH / 2 - 6) for v in (r.low, r.middle, r.high))
        out.append(f'<line class="whisker" x1="{low:.2f}" x2="{high:.2f}" y1="{y}" y2="{y}"/>')
        out += [f'<line class="whisker" x1="{x:.2f}" x2="{x:.2f}" y1="{y - 5}" y2="{y + 5}"/>' for x in (low, high)]
        out.append(f'<circle class="s1" cx="{mid:.2f}" cy="{y}" r="4.5"/>')
    return _svg(title, summary, ROW * len(rows) + 4, out)


class _Plot:
    """The frame of a plot: where values lie, and its axes."""

    def __init__(
        self, xs: tuple[float, float], ys: tuple[float, float], logarithmic: bool = False, top: int = 0
    ) -> None:
        self.top, right, below, self.left = MARGIN
        self.top = top or self.top
        self.right, self.bottom = WIDTH - right, PLOT_HEIGHT - below
        self._log = logarithmic and ys[0] > 0
        self._xs = xs if xs[1] > xs[0] else (xs[0], xs[0] + 1.0)
        if self._log:
            ys = (10.0 ** floor(log10(ys[0])), 10.0 ** ceil(log10(max(ys[1], ys[0] * 1.001))))
        self._ys = ys if ys[1] > ys[0] else (ys[0], ys[0] + (abs(ys[0]) or 1.0))

    def x(self, value: float) -> float:
        low, high = self._xs
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self._ys
        share = log10(max(value, low) / low) / log10(high / low) if self._log else (value - low) / (high - low)
        return self.bottom - share * (self.bottom - self.top)

    def axes(self, ticks_x: int = 4, ticks_y: int = 4) -> Iterator[str]:
        for value in self._ticks_y(ticks_y):
            y = self.y(value)
            yield f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y:.2f}" y2="{y:.2f}"/>'
            yield _text(self.left - 5, y + 4, _number(value), "tick end")
        for value in nice_ticks(*self._xs, ticks_x):
            yield _text(self.x(value), self.bottom + 15, _number(value), "tick mid")
        yield f'<line class="axis" x1="{self.left}" x2="{self.right}" y1="{self.bottom}" y2="{self.bottom}"/>'

    def captions(self, texts: Captions) -> Iterator[str]:
        """What the axes count: below the right end, and above the left."""
        along, up = texts
        if along:
            yield _text(self.right, self.bottom + 29, along, "tick end")
        if up:
            yield _text(0, 10, up, "tick")

    def _ticks_y(self, wanted: int) -> list[float]:
        if not self._log:
            return nice_ticks(*self._ys, wanted)
        first, last = round(log10(self._ys[0])), round(log10(self._ys[1]))
        return [10.0**e for e in range(first, last + 1)]


def nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers between two values, about as many as wanted."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / max(1, wanted)
    scale = 10.0 ** floor(log10(rough))
    step = next(s * scale for s in (1, 2, 5, 10) if s * scale >= rough)
    first = ceil(low / step - 1e-9)
    return [i * step for i in range(first, floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.0e}"


def _text(x: float, y: float, text: str, classes: str, width: float | None = None) -> str:
    """Text at a place; one that would be too long is cut in the middle, its whole in a tooltip."""
    whole = plain(text).replace("\n", " ")
    room = int((width or WIDTH) / 6.4)
    shown = whole if len(whole) <= room else f"{whole[: room // 2 - 1]}…{whole[-(room // 2) + 1 :]}"
    tip = f"<title>{escape(whole)}</title>" if shown != whole else ""
    return f'<text class="{classes}" x="{x:.2f}" y="{y:.2f}">{tip}{escape(shown)}</text>'


def _svg(title: str, summary: str, height: float, parts: Sequence[str]) -> str:
    number = next(_ids)
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height}" aria-labelledby="t{number} d{number}">'
        f'<title id="t{number}">{escape(plain(title))}</title><desc id="d{number}">{escape(plain(summary))}</desc>'
        f"{''.join(parts)}</svg>"
    )
