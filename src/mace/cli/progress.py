"""How far long work is, on standard error: nothing in the first second, nothing where no person is watching."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mace.cli.output import console, plain

PATIENCE = 1.0
"""Seconds before a bar appears."""


class Report(Protocol):
    """Called with the step that is being done and, where that is known, the share of the work that is done (0…1)."""

    def __call__(self, step: str, share: float | None = None, /) -> None: ...


@contextmanager
def progress_bar(what: str) -> Iterator[Report]:
    """A function that draws how far the work is, in place; the bar goes away when the work ends."""
    if not sys.stderr.isatty():
        yield lambda step, share=None: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)
    start, shown = time.monotonic(), False

    def report(step: str, share: float | None = None, /) -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > PATIENCE:
            bar.start()
            shown = True
        bar.update(task, description=f"{what}: {plain(step)}", completed=share, total=None if share is None else 1.0)

    try:
        yield report
    finally:
        bar.stop()
