"""Looking after a store as a whole: list its files, keep it within a size, empty it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mace.files.atomic import TEMPORARY_SUFFIX
from mace.files.folders import programs_folder
from mace.program.files import DEFAULT_NAME
from mace.program.limits import STORE_BYTES
from mace.program.usage import last_use, usage_path

LEFTOVER_SECONDS = 3_600
"""A temporary file older than this belongs to a process that was killed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A program file of a store: its path, size in bytes, and when it was last used (seconds since 1970)."""

    path: Path
    nbytes: int
    last_used: float


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: paths, and bytes together."""

    paths: tuple[Path, ...]
    nbytes: int


def stored_files(folder: str | os.PathLike[str] | None = None) -> tuple[StoredFile, ...]:
    """Every program file of a store, the most recently used first."""
    found = []
    for path in _program_files(_root(folder)):
        with suppress(OSError):
            found.append(StoredFile(path, path.stat().st_size, last_use(path)))
    return tuple(sorted(found, key=lambda f: -f.last_used))


def collect(folder: str | os.PathLike[str] | None = None, *, max_bytes: int = STORE_BYTES) -> Removed:
    """Remove what killed processes left and what was set aside, then the files used longest ago until the rest fits."""
    root = _root(folder)
    doomed = [p for p in _beside(root) if _is_leftover(p) or _is_set_aside(p)]
    removed = _remove(root, doomed)
    trimmed = trim(root, max_bytes=max_bytes, keep=Path())
    return Removed(removed.paths + trimmed.paths, removed.nbytes + trimmed.nbytes)


def trim(folder: str | os.PathLike[str], *, max_bytes: int, keep: Path) -> Removed:
    """Remove the files used longest ago until the rest fits, but never ``keep``."""
    files = stored_files(folder)
    excess, doomed = sum(f.nbytes for f in files) - max_bytes, []
    for file in reversed(files):
        if excess > 0 and file.path != keep:
            doomed += [file.path, Path(usage_path(file.path))]
            excess -= file.nbytes
    return _remove(Path(folder), doomed)


def clear(folder: str | os.PathLike[str] | None = None) -> Removed:
    """Remove every file that a store made. Files of other names stay."""
    root = _root(folder)
    return _remove(root, [p for p in _beside(root) if not p.name.endswith(".lock")])


def _root(folder: str | os.PathLike[str] | None) -> Path:
    return Path(folder if folder is not None else programs_folder())


def _program_files(root: Path) -> Iterator[Path]:
    for pattern in (DEFAULT_NAME, f"*/{DEFAULT_NAME}"):
        yield from (p for p in root.glob(pattern) if p.is_file() and not p.is_symlink())


def _beside(root: Path) -> list[Path]:
    """Program files, and the files that belong to them: locks, usage, temporary files, files set aside."""
    found = []
    for prefix in ("", "*/"):
        for pattern in (f"{DEFAULT_NAME}*", f".{DEFAULT_NAME}*{TEMPORARY_SUFFIX}"):
            found += [p for p in root.glob(prefix + pattern) if p.is_file() or p.is_symlink()]
    return found


def _is_leftover(path: Path) -> bool:
    with suppress(OSError):
        return path.name.endswith(TEMPORARY_SUFFIX) and path.stat().st_mtime < time.time() - LEFTOVER_SECONDS
    return False


def _is_set_aside(path: Path) -> bool:
    return any(f"{DEFAULT_NAME}.{word}-" in path.name for word in ("corrupt", "foreign"))


def _remove(root: Path, paths: list[Path]) -> Removed:
    removed, freed = [], 0
    for path in dict.fromkeys(paths):
        with suppress(OSError):
            size = path.lstat().st_size
            path.unlink()
            removed.append(path)
            freed += size
    for folder in {p.parent for p in removed} - {root}:
        with suppress(OSError):
            (folder / f"{DEFAULT_NAME}.lock").unlink(missing_ok=True)
            folder.rmdir()
    return Removed(tuple(removed), freed)
