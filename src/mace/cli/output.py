"""What commands print: a record as JSON for programs, or tables and lines for people; errors on standard error."""

from __future__ import annotations

import json
import os
import re
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
from mace.report.text import counted, duration, plain, size

__all__ = [
    "compiled",
    "console",
    "counted",
    "duration",
    "emit_json",
    "error",
    "line",
    "pairs",
    "plain",
    "raw",
    "shortened",
    "size",
    "table",
    "warning",
]

PIPE_WIDTH = 200
"""Columns of a table that nobody is looking at."""
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(e[-+]?\d+)?( ?(s|ms|µs|ns|%|dB|B|KiB|MiB|GiB|x))?|equal|-|")


def console(*, stderr: bool = False) -> Console:
    """A console on the standard streams of this moment; wide when nobody is looking, so that nothing is cut."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=True)


def compiled(stats: Mapping[str, Any]) -> str:
    """How many programs an engine had to compile, and from what, by its statistics."""
    words = f"{counted(stats['programs_from_source'], 'program')} compiled from source"
    return f"{words}, {stats['programs_from_spirv']} from SPIR-V" if stats["programs_from_spirv"] else words


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


def line(text: str, *values: object, style: str = "", whole: bool = False) -> None:
    """Print one line; ``{}`` in ``text`` is filled with values made safe for a terminal (numbers may have a format).

    Where a person is looking, a long one is broken between words, unless it has to stay ``whole`` as a command does.
    """
    shown = text.format(*(v if isinstance(v, int | float) else _one_line(v) for v in values))
    screen = console()
    screen.print(Text(shown, style=style), soft_wrap=whole or not screen.is_terminal)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print rows under their headings; numbers, also with a unit, are set to the right."""
    body = [[_one_line(cell) for cell in row] for row in rows]
    made = Table(title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(columns):
        numeric = bool(body) and all(_NUMBER.fullmatch(row[i]) for row in body)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        made.add_row(*map(Text, row))
    screen = console()
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = PIPE_WIDTH
    screen.print(made, soft_wrap=False)


def pairs(record: Mapping[str, object]) -> None:
    """Print names and values in two columns."""
    screen = console()
    width = max((len(_one_line(k)) for k in record), default=0)
    made = Table.grid(padding=(0, 2))
    for name, value in record.items():
        if screen.is_terminal:
            made.add_row(Text(f"{_one_line(name):<{width}}"), Text(_one_line(value), overflow="fold"))
        else:
            line("{}  {}", f"{_one_line(name):<{width}}", value)
    if screen.is_terminal:
        screen.print(made, soft_wrap=False)


def shortened(text: str, room: int) -> str:
    """The text with its middle left out where it is longer than ``room`` characters."""
    return text if len(text) <= room else f"{text[: room // 3]}…{text[len(text) - (room - room // 3 - 1) :]}"


def _one_line(value: object) -> str:
    """A value made safe, so that it cannot begin a line of its own."""
    return plain(value).replace("\n", "\\n")


def _indented(message: object) -> str:
    """A message made safe; its further lines are indented, so that none passes for a message of its own."""
    return re.sub(r"\n(?! )", "\n  ", plain(message))


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
    console(stderr=True).print(Text("error: ", style="bold red") + Text(_indented(message)))


def warning(problem: Warning) -> None:
    """Print a warning on standard error."""
    if logs.structured():
        logs.emit("warning", "warning", type=type(problem).__name__, message=str(problem))
        return
    console(stderr=True).print(Text("warning: ", style="yellow") + Text(_indented(problem)))
