"""A report as Markdown, for a repository or a ticket: the same numbers as tables, without the charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mace.report import sections
from mace.report.figures import Figure, figures_of
from mace.report.keys import key_figures
from mace.report.text import markdown, markdown_block, markdown_code, moment


def render_markdown(record: Mapping[str, Any]) -> str:
    """The report; every value from elsewhere escaped."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {markdown(record['title'])}"
    yield "\n| | | |\n|---|---|---|"
    for key in key_figures(record):
        yield _row((key.name, key.value, key.words))
    yield "\n## 1. Project overview"
    for heading, pairs in sections.overview(record).items():
        yield f"\n### {heading}\n"
        yield from _pairs(pairs)
    yield "\n## 2. The program file\n"
    yield from _pairs(sections.program(record))
    yield "\n## 3. Deployment workflow\n"
    for number, step in enumerate(record["workflow"], 1):
        done = f" (run {markdown(moment(step['when']))})" if step["when"] else ""
        yield f"{number}. **{markdown(step['name'])}**: {markdown(step['purpose'])}{done}"
        yield markdown_block(step["command"], indent=3)
    yield "\n## 4. Results"
    for text, command in sections.missing(record):
        yield f"\n{markdown(text)} {markdown_code(command)}"
    for figure in figures_of(record):
        yield from _figure(figure)
    yield "\n## 5. Troubleshooting and maintenance\n"
    yield from _findings(record["troubleshooting"])


def _figure(figure: Figure) -> Iterator[str]:
    yield f"\n### {markdown(figure.title)}\n\n{markdown(figure.words)}\n"
    yield _row([c.lstrip("#") for c in figure.table.columns])
    yield "|" + "|".join("---:" if c.startswith("#") else "---" for c in figure.table.columns) + "|"
    for row in figure.table.rows:
        yield _row(row)


def _findings(diagnosis: Mapping[str, Any]) -> Iterator[str]:
    if not diagnosis["findings"]:
        yield "Nothing is wrong with these files on this machine."
    for f in diagnosis["findings"]:
        yield f"- **{markdown(f['code'])}** {markdown(f['subject'])}: {markdown(f['detail'])}. {markdown(f['cost'])}"
        yield f"  Mended by {markdown_code(f['command'])}"


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in pairs:
        yield _row((name, value))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown(c) for c in cells) + " |"
