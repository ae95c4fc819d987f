"""Text from elsewhere made fit to be shown: names of models, paths and devices may hold anything."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from html import escape

_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # controls, direction overrides, surrogates, unassigned
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~])")


def plain(value: object) -> str:
    """The text of a value in which nothing is invisible: controls and direction overrides are spelt out."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE and c != "\n" else c
        for c in str(value)
    )


def markdown(value: object) -> str:
    """The text of a value on one line of Markdown, where none of its characters means anything."""
    return escape(_MARKDOWN.sub(r"\\\1", " ".join(plain(value).split())), quote=False)


def markdown_code(value: object) -> str:
    """The text of a value as a code span of one line."""
    text = " ".join(plain(value).split())
    fence = "`" * (max((len(m) for m in re.findall(r"`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|')}{space}{fence}"


def markdown_block(value: object, indent: int = 0) -> str:
    """Text of several lines as a code block; ``indent`` spaces put it below an item of a list."""
    lines = plain(value).split("\n")
    fence = "`" * max(3, max((len(m) for m in re.findall(r"`+", "\n".join(lines))), default=0) + 1)
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in ["", fence, *lines, fence, ""])


def moment(text: str) -> str:
    """A time in ISO 8601 as people write it, to the minute; any other text as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = " UTC" if when.utcoffset() == timedelta(0) else f" UTC{when:%z}" if when.utcoffset() is not None else ""
    return f"{when.day} {when:%B %Y, %H:%M}{zone}"


def counted(count: int, thing: str) -> str:
    """``no programs``, ``1 program``, ``2 programs``."""
    return f"{count or 'no'} {thing}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """A number of bytes in binary units."""
    scaled, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while scaled >= 1024 and len(units) > 1:
        scaled /= 1024
        del units[0]
    return f"{int(count)} B" if units[0] == "B" else f"{scaled:.1f} {units[0]}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it, to about three digits."""
    if seconds >= 1.0:
        return f"{seconds:.2f} s"
    for unit, scale in (("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            value = seconds / scale
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return f"{seconds * 1e9:.0f} ns"
