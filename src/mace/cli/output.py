"""What commands print: a record as JSON for programs, or tables and lines for people; errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mace.cli import logs
from mace.errors import MaceError
from mace.report.text import duration, plain, size

__all__ = ["console", "duration", "emit_json", "error", "line", "pairs", "plain", "size", "table", "warning"]


def console(*, stderr: bool = False) -> Console:
    """A console on the standard streams of this moment; wide when nobody is looking, so that nothing is cut."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=True)


def _jsonable(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, (Path, BaseException)):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, Iterable) else str(value)


def emit_json(record: Any) -> None:
    """Print one JSON document to standard output."""
    sys.stdout.write(json.dumps(record, default=_jsonable, indent=2, ensure_ascii=True) + "\n")


def raw(text: str) -> None:
    """Write a document to standard output as it is."""
    sys.stdout.write(text)


def line(text: str, *values: object, style: str = "") -> None:
    """Print one line; ``{}`` in ``text`` is filled with values made safe for a terminal (numbers may have a format)."""
    console().print(Text(text.format(*(v if isinstance(v, int | float) else plain(v) for v in values)), style=style))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print rows under their headings; numbers are set to the right."""
    body = [list(row) for row in rows]
    made = Table(title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[i], (int, float)) for row in body)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        made.add_row(*(Text(plain(cell)) for cell in row))
    console().print(made, soft_wrap=False)


def pairs(record: Mapping[str, object]) -> None:
    """Print names and values in two columns."""
    width = max((len(plain(k)) for k in record), default=0)
    for name, value in record.items():
        line("{}  {}", f"{plain(name):<{width}}", value)


def error(problem: BaseException, *, as_json: bool = False) -> None:
    """Print an error as one message: on standard error, and as the JSON document where one was asked for.

    One that mace does not raise on purpose is named as what it is, a defect, with the way to see more of it.
    """
    kind = type(problem).__name__
    message = str(problem)
    if not isinstance(problem, (MaceError, OSError)):
        message = f"unexpected {kind}: {message or 'without a message'}. This is a defect of mace; --debug shows where"
    if as_json:
        emit_json({"error": {"type": kind, "message": message}})
    if logs.structured():
        logs.emit("error", "error", type=kind, message=message)
        return
    console(stderr=True).print(Text("error: ", style="bold red") + Text(plain(message)))


def warning(problem: Warning) -> None:
    """Print a warning on standard error."""
    if logs.structured():
        logs.emit("warning", "warning", type=type(problem).__name__, message=str(problem))
        return
    console(stderr=True).print(Text("warning: ", style="yellow") + Text(plain(problem)))
