"""A progress bar on standard error for what takes longer than a second and is watched by a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mace.cli.output import console, plain

Report = Callable[[int, int, str], None]
"""Called with how many steps are done, how many there are, and what is being done."""

PATIENCE = 1.0
"""Seconds before a bar appears."""


@contextmanager
def progress_bar(what: str) -> Iterator[Report]:
    """A function that draws how far the work is: ``report(done, total, detail)``."""
    if not sys.stderr.isatty():
        yield lambda done, total, detail: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)
    start, shown = time.monotonic(), False

    def report(done: int, total: int, detail: str = "") -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > PATIENCE:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total, description=f"{what} {plain(detail)}".strip())

    try:
        yield report
    finally:
        bar.stop()
