"""Setting a file aside that is damaged or not ours, so that it is never tried again and can still be looked into."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

KEPT = 3
"""Files set aside that are kept beside one program file; older ones are removed."""


def set_aside(path: Path, word: str = "corrupt") -> Path | None:
    """Rename ``name`` to ``name.<word>-<UTC time>``. None where that cannot be done; nothing is raised."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    target = path.with_name(f"{path.name}.{word}-{stamp}-{time.time_ns() % 1_000_000_000:09d}")
    try:
        path.rename(target)
    except OSError:
        return None
    with suppress(OSError):
        for old in sorted(path.parent.glob(f"{path.name}.{word}-*"))[:-KEPT]:
            old.unlink()
    return target
