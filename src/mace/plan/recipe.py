"""The recipe of plans: a digest of the sources that make them, kernel templates among them.

A stored plan names kernels by their place in a program and constants by their packing, so it belongs to the sources that
planned it. Its key holds their digest, and a plan made by others is not found. A wheel brings the digest with it, written
when it was built. A checkout hashes its sources, and again only when the size or time of one of them has changed; to see
that nothing has takes a millisecond of a start.

``hatch_build.py`` loads this file by itself, so it imports nothing of mace at the top.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECORDED = "plan/recipe.txt"
"""The digest in an installed wheel, from the package's folder."""
MAKERS = ("device.py", "tensor.py", "engine/binding.py", "execution", "graph", "kernels", "ops", "plan", "reference")
"""What a plan depends on: files and folders of the package."""
SUFFIXES = (".py", ".cl")
STAMP = "recipe"
"""Kind of the stamp that keeps a checkout's digest."""


@cache
def recipe() -> str:
    """Sixteen hexadecimal digits that are the same for equal sources, on every machine."""
    try:
        with open(os.path.join(PACKAGE, RECORDED), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return _of_checkout()


def digest_of(package: str) -> str:
    """The digest of the sources in a package's folder, from their names and contents."""
    digest = hashlib.sha256()
    for name, path in _sources(package):
        with open(path, "rb") as file:
            content = file.read()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _of_checkout() -> str:
    from mace.files.stamps import StampBook

    states = hashlib.sha256()
    for name, path in _sources(PACKAGE):
        found = os.stat(path)
        states.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    stamps, state = StampBook(), states.hexdigest()
    known = stamps.get(STAMP, PACKAGE)
    if known is not None and known.get("state") == state:
        return str(known["digest"])
    digest = digest_of(PACKAGE)
    stamps.put(STAMP, PACKAGE, {"state": state, "digest": digest})
    return digest


def _sources(package: str) -> Iterator[tuple[str, str]]:
    """Name from the package's folder, and path, of every source, in the order of the names."""
    found: list[str] = []
    for maker in MAKERS:
        if maker.endswith(".py"):
            found.append(maker)
        else:
            _walk(os.path.join(package, maker), maker, found)
    return ((name, os.path.join(package, name)) for name in sorted(found))


def _walk(path: str, name: str, found: list[str]) -> None:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIXES):
                found.append(f"{name}/{entry.name}")
            elif "." not in entry.name and entry.name != "__pycache__":
                _walk(entry.path, f"{name}/{entry.name}", found)
