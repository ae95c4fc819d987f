"""A report as one page that needs nothing else: no network, no script, style and charts inline."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from mace.errors import MissingExtraError
from mace.report import sections
from mace.report.figures import Figure, figures_of
from mace.report.keys import key_figures
from mace.report.text import moment, plain, size


def render_html(record: Mapping[str, Any]) -> str:
    """The page. Raises ``MissingExtraError`` without jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingExtraError("an HTML report needs jinja2: pip install 'mace-cl[report]'") from error

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.finalize = _shown
    environment.filters["size"] = size
    environment.filters["moment"] = moment
    # Charts and the style sheet are made here, every text in them escaped already.
    template = environment.from_string(_file("report.html.j2"))
    page: str = template.render(
        record=record,
        style=Markup(_file("report.css")),  # noqa: S704
        keys=key_figures(record),
        overview=sections.overview(record),
        program=sections.program(record),
        missing=sections.missing(record),
        figures=[(f, Markup(f.chart)) for f in figures_of(record)],  # noqa: S704
        number=is_number_column,
        steps=record["workflow"],
        diagnosis=record["troubleshooting"],
    )
    return page


def is_number_column(figure: Figure, index: int) -> bool:
    """Whether a column of a figure's table holds numbers."""
    return figure.table.columns[index].startswith("#")


def _shown(value: Any) -> Any:
    """Every text that the template prints loses its invisible characters; markup made here stays as it is."""
    return plain(value) if type(value) is str else value


def _file(name: str) -> str:
    return resources.files("mace.report").joinpath("templates", name).read_text(encoding="utf-8")
