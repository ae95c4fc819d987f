"""Reports in each form: complete, self-contained, and safe whatever names hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from markdown_it import MarkdownIt

from mace.report.figures import figures_of
from mace.report.html import render_html
from mace.report.keys import key_figures
from mace.report.markdown import render_markdown
from mace.report.text import duration, markdown, markdown_block, markdown_code, moment, plain, size
from tests.report.conftest import HOSTILE

Make = Callable[..., dict[str, Any]]


class Page(HTMLParser):
    """What a page is made of: tags with their attributes, and all its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_five_parts_are_there(record: Make) -> None:
    """Overview, program file, workflow, results, troubleshooting: in HTML and in Markdown."""
    page, text = render_html(record()), render_markdown(record())
    for number, part in enumerate(
        ("Project overview", "The program file", "Deployment workflow", "Results", "Troubleshooting"), 1
    ):
        assert f"{number}. {part}" in page
        assert f"## {number}. {part}" in text


def test_the_key_figures_come_first(record: Make) -> None:
    """Start, run, error and findings at a glance, a missed threshold and a finding marked as bad; the same in Markdown."""
    made = record()
    keys = {k.name: k for k in key_figures(made)}
    assert {"Load and first run", "One run", "Largest error", "mace doctor"} <= set(keys)
    assert "times as long" in keys["Load and first run"].words
    page = render_html(made)
    assert page.index('class="keys"') < page.index("1. Project overview")
    assert all(k.value.replace("-", "\\-").replace(".", "\\.") in render_markdown(made) for k in keys.values())
    made["troubleshooting"]["findings"] = []
    made["results"]["validation"]["outputs"][0]["broken"] = ["signal-to-noise 3"]
    moods = {k.name: k.mood for k in key_figures(made)}
    assert (moods["mace doctor"], moods["Largest error"]) == ("good", "bad")


def test_every_figure_has_a_chart_and_a_table(record: Make) -> None:
    """Start-up, latency, throughput, operators, accuracy and the others: each drawn, each in numbers."""
    page = Page(render_html(record()))
    figures = [a["id"] for tag, a in page.tags if tag == "figure"]
    wanted = (
        "starts",
        "latency",
        "warm-up",
        "throughput",
        "operators",
        "launches",
        "memory",
        "outputs",
        "layers",
        "accuracy",
    )
    assert {f"figure-{name}" for name in wanted} <= set(figures)
    assert len([t for t, _ in page.tags if t == "svg"]) == len(figures)


def test_what_a_start_compiled_is_told_apart(record: Make) -> None:
    """Of each start: programs from source and programs from SPIR-V, which spared the front end and no more."""
    (starts,) = [f for f in figures_of(record()) if f.key == "starts"]
    columns = [starts.table.columns.index(name) for name in ("#from source", "#from SPIR-V")]
    assert {row[0]: tuple(row[c] for c in columns) for row in starts.table.rows} == {
        "Nothing compiled": ("2", "0"),
        "From the storage": ("0", "0"),
        "From the program file": ("0", "3"),
    }


def test_a_page_is_self_contained(record: Make) -> None:
    """No script, no reference to anything outside the page, and a policy that forbids both."""
    text = render_html(record())
    page = Page(text)
    assert not [t for t, _ in page.tags if t in ("script", "iframe", "img", "object", "embed")]
    links = [a.get("href") or a.get("src") or "" for _, a in page.tags if "href" in a or "src" in a]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_a_page_can_be_used_without_eyes_or_mouse(record: Make) -> None:
    """Landmarks, headings in order, a skip link, named charts, tables with scoped headings, reachable scroll areas."""
    page = Page(render_html(record()))
    tags = [t for t, _ in page.tags]
    assert {"main", "nav", "header", "footer", "h1"} <= set(tags)
    assert [a.get("lang") for t, a in page.tags if t == "html"] == ["en"]
    levels = [int(t[1]) for t in tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(a.get("aria-labelledby") for t, a in page.tags if t == "svg")
    assert all(a.get("scope") for t, a in page.tags if t == "th")
    assert all("tabindex" in a for _, a in page.tags if a.get("class") == "scroll")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_names_do_no_harm_in_html(record: Make) -> None:
    """Markup, quotes, template syntax and controls in every name are text; direction overrides are spelt out."""
    text = render_html(record(HOSTILE))
    page = Page(text)
    assert not [t for t, _ in page.tags if t == "script"]
    assert [a for _, a in page.tags if any(k.startswith("on") for k in a)] == []
    whole = "".join(page.text)
    assert "<script>alert(1)</script>" in whole
    assert "{{7*7}}" in whole
    assert "עברית 🙂" in whole
    assert not set("\u202e\u202c\x1b") & set(text)
    assert "\\u202e" in whole


def test_names_do_no_harm_in_markdown(record: Make) -> None:
    """No name ends a table cell, opens a tag or a span, or starts a heading; every table keeps its columns."""
    text = render_markdown(record(HOSTILE))
    parser = MarkdownIt("commonmark").enable("table")
    page = Page(parser.render(text))
    assert not [t for t, _ in page.tags if t in ("script", "a", "em", "img")]
    assert "<script>alert(1)</script>" in "".join(page.text)
    assert [t for t, _ in page.tags].count("h1") == 1
    assert not set("\u202e\u202c\x1b") & set(text)
    columns = None
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        columns = columns or count
        assert count == columns, line


def test_names_do_no_harm_in_json(record: Make) -> None:
    """A record goes through JSON and back unchanged."""
    made = record(HOSTILE)
    assert json.loads(json.dumps(made, ensure_ascii=True, allow_nan=False)) == made


def test_reports_with_nothing_measured(record: Make) -> None:
    """Without measurements, source, program file and device the report says what is missing and how to get it."""
    made = record()
    made["results"] = {"bench": None, "validation": None}
    made["program"] = None
    made["overview"]["source"] = made["overview"]["device"] = None
    made["troubleshooting"]["findings"] = []
    for text in (render_html(made), render_markdown(made)):
        assert "not measured" in text
    assert "nothing wrong" in render_html(made)
    made["program"] = {"path": "x.bin", "problem": "is no program file"}
    made["overview"]["source"] = {"path": "x.onnx", "problem": "is no ONNX model"}
    assert "is no program file" in render_html(made)
    assert "is no ONNX model" in render_markdown(made).replace("\\", "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.50 s"), (0.25, "250 ms"), (0.0123, "12.3 ms"), (4.2e-6, "4.20 µs"), (3e-9, "3 ns")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    """Times come in the unit that suits them, with three digits."""
    assert duration(seconds) == text


def test_text_for_people() -> None:
    """Sizes in binary units; code spans that hold back-ticks; nothing invisible."""
    assert (size(10), size(1536)) == ("10 B", "1.5 KiB")
    assert markdown_code("a ``b`` c") == "```a ``b`` c```"
    assert markdown("a|b\n<c>") == "a\\|b &lt;c&gt;"
    assert plain("a\u200bb") == "a\\u200bb"
    assert moment("2026-11-05T07:08:09+00:00") == "5 November 2026, 07:08 UTC"
    assert moment("<b>") == "<b>"
    assert markdown_block("a\n```\nb", indent=2) == "\n  ````\n  a\n  ```\n  b\n  ````\n"
