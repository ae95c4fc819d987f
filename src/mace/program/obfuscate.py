"""Upstream MACE's obfuscated names: how they are made, and how they are read again. Clauses: docs/program-file.md, U6.

The first character stays. Every later one is shifted through a table of 63 characters by its place. Upper-case letters
share their codes with digits and lower-case letters (a slip of upstream's), so a name cannot always be told from its
code alone: a dictionary of names decides, and without one the lower-case reading is the likely one.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

_TABLE = string.ascii_uppercase + string.ascii_lowercase + string.digits + "_"
_SHIFT = 31
_CODES = {
    **{c: n for n, c in enumerate(string.digits)},
    **{c: 10 + n for n, c in enumerate(string.ascii_lowercase)},
    **{c: 4 + n for n, c in enumerate(string.ascii_uppercase)},
    "_": 62,
}
_LIKELY = {_CODES[c]: c for c in string.digits + string.ascii_lowercase + "_"}
QUEUE_WINDOW_KEY = "MACE_OPENCL_QUEUE_WINDOW_SIZE"
"""The one tuned-parameter key that is written as it is."""


def obfuscate(name: str) -> str:
    """The name as upstream writes it."""
    return "".join(
        _TABLE[(_CODES[c] + i + _SHIFT) % len(_TABLE)] if i and c in _CODES else c for i, c in enumerate(name)
    )


def likely_name(code: str) -> str:
    """The name behind a code, upper-case letters read as what shares their code; what is no code stays."""
    letters = []
    for i, c in enumerate(code):
        place = _TABLE.find(c)
        letters.append(_LIKELY.get((place - i - _SHIFT) % len(_TABLE), c) if i and place >= 0 else c)
    return "".join(letters)


def known_name(code: str, names: Iterable[str]) -> str | None:
    """The one name of a dictionary that has this code, or None when none or several have."""
    found = {name for name in names if len(name) == len(code) and obfuscate(name) == code}
    return found.pop() if len(found) == 1 else None


def plain_name(code: str, names: Iterable[str] = ()) -> str:
    """The dictionary's name for a code, else the likely one."""
    return known_name(code, names) or likely_name(code)


def plain_key(key: str) -> str:
    """A tuned-parameter key in plain words."""
    return key if key == QUEUE_WINDOW_KEY else likely_name(key)


def coded_key(key: str) -> str:
    """A plain tuned-parameter key as upstream writes it."""
    return key if key == QUEUE_WINDOW_KEY else obfuscate(key)
