"""How far long work is, on standard error: a bar for a person who is watching, structured lines where they were asked for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mace.cli import logs
from mace.cli.output import console, plain

PATIENCE = 1.0
"""Seconds before a bar appears."""
LINE_SECONDS = 0.5
"""Seconds between two structured lines about one step."""


class Report(Protocol):
    """Called with the step that is being done and, where that is known, the share of the work that is done (0…1)."""

    def __call__(self, step: str, share: float | None = None, /) -> None: ...


@contextmanager
def progress_bar(what: str) -> Iterator[Report]:
    """A function that draws how far the work is, in place; the bar goes away when the work ends."""
    if logs.structured():
        yield _lines(what)
        return
    if not sys.stderr.isatty():
        yield lambda step, share=None: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)
    soon = threading.Timer(PATIENCE, bar.start)  # also where the first step takes long by itself
    soon.daemon = True
    soon.start()

    def report(step: str, share: float | None = None, /) -> None:
        bar.update(task, description=f"{what}: {plain(step)}", completed=share, total=None if share is None else 1.0)

    try:
        yield report
    finally:
        soon.cancel()
        soon.join()
        bar.stop()


def _lines(what: str) -> Report:
    """A function that logs each new step, and the share of the work done at most twice a second."""
    start, last, told = time.monotonic(), "", 0.0

    def report(step: str, share: float | None = None, /) -> None:
        nonlocal last, told
        now = time.monotonic()
        if step == last and now - told < LINE_SECONDS:
            return
        last, told = step, now
        known = share is not None and 0.0 < share <= 1.0
        remaining = round((now - start) * (1.0 - share) / share, 3) if known and share else None
        logs.emit(
            "progress", work=what, step=step, share=share, seconds=round(now - start, 3), remaining_seconds=remaining
        )

    return report
