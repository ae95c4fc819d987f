"""Charts are well-formed SVG with words for those who cannot see them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mace.report import charts

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> ElementTree.Element:
    """A chart as a tree."""
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_bars_are_as_long_as_their_values() -> None:
    """The longest bar has the whole width, others their share, parts their own."""
    root = parse(charts.bars("T", "words", [charts.Bar("a", (3.0, 1.0), "4"), charts.Bar("b", (1.0,), "1")]))
    widths = [float(r.get("width") or 0) for r in root.iter(f"{SVG}rect") if (r.get("class") or "").startswith("s")]
    assert widths == pytest.approx([270.0, 90.0, 90.0])
    assert root.get("role") == "img"
    named = [root.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert [n.text for n in named if n is not None] == ["T", "words"]
    assert root.get("aria-labelledby") == " ".join(n.get("id") or "" for n in named if n is not None)


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, 2.0, 50.0], [0.0, 0.0]])
def test_histograms_of_few_or_equal_values(values: list[float]) -> None:
    """Nothing is divided by zero, and every value is counted."""
    root = parse(
        charts.histogram("T", "w", values, 1.0, [("median", values[0]), ("p95", max(values)), ("p99", max(values))])
    )
    assert len(list(root.iter(f"{SVG}rect"))) == charts.BINS


def test_lines_stay_inside_the_plot() -> None:
    """Points of any size lie within the frame, also on a logarithmic axis."""
    series = [charts.Series("a", ((1.0, -5.0), (2.0, 1e9))), charts.Series("b", ((1.5, 3.0),), 2, joined=False)]
    for options in ({}, {"from_zero": False}):
        for circle in parse(charts.lines("T", "w", series, **options)).iter(f"{SVG}circle"):
            assert 0 <= float(circle.get("cx") or -1) <= charts.WIDTH
    log = charts.lines("T", "w", [charts.Series("a", ((1.0, 0.01), (2.0, 1e4)))], logarithmic=True)
    assert all(0 <= float(c.get("cy") or -1) <= charts.PLOT_HEIGHT for c in parse(log).iter(f"{SVG}circle"))


def test_spans_keep_zero_in_the_middle() -> None:
    """An interval around zero is drawn to both sides of the middle line."""
    root = parse(charts.spans("T", "w", [charts.Span("a", -0.04, -0.02, 0.01, "drop")]))
    (circle,) = root.iter(f"{SVG}circle")
    assert float(circle.get("cx") or 0) < charts.WIDTH / 2


@pytest.mark.parametrize(("low", "high", "ticks"), [(0, 1, [0, 0.5, 1.0]), (3, 47, [20, 40]), (5, 5, [5])])
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    """Ticks are round numbers within the span."""
    assert charts.nice_ticks(low, high, 3) == pytest.approx(ticks)


def test_long_labels_are_cut_and_kept_in_a_tooltip() -> None:
    """A label that is too long loses its middle, not its ends; the whole is in its tooltip."""
    root = parse(charts.bars("T", "w", [charts.Bar("a" * 80 + "END", (1.0,), "1")]))
    text = next(t for t in root.iter(f"{SVG}text") if t.get("class") == "label")
    title = text.find(f"{SVG}title")
    assert title is not None
    assert title.text == "a" * 80 + "END"
    assert (title.tail or "").endswith("END")
    assert "…" in (title.tail or "")
