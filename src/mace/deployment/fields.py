"""How single values of a deployment file are read: each reader returns a value or leaves a problem with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mace.deployment.document import Entry
from mace.deployment.records import Note

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass
class Findings:
    """Problems (the file cannot be used) and notes (a value has no effect here), each with its line."""

    problems: list[Note] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def problem(self, entry: Entry, text: str, key: str = "") -> None:
        self.problems.append(Note(entry.line, key or entry.key, text))

    def note(self, entry: Entry, text: str) -> None:
        self.notes.append(Note(entry.line, entry.key, text))


def read_text(entry: Entry, found: Findings) -> str:
    """Any single value as it stands in the file."""
    if entry.text is None:
        found.problem(entry, f"is {entry.kind}, a single value was expected")
        return ""
    return entry.text


def read_choice(entry: Entry, found: Findings, choices: Iterable[str]) -> str:
    """One of several words, in any case."""
    choices = tuple(choices)
    text = read_text(entry, found).strip()
    by_lower = {c.lower(): c for c in choices}
    if text.lower() not in by_lower:
        if entry.text is not None:
            found.problem(entry, f"'{text}' is none of {', '.join(choices)}")
        return choices[0]
    return by_lower[text.lower()]


def read_switch(entry: Entry, found: Findings) -> bool:
    """0 or 1, or the words YAML has for them."""
    text = read_text(entry, found).lower()
    if text not in _TRUE | _FALSE and entry.text is not None:
        found.problem(entry, f"'{text}' is neither 0 nor 1")
    return text in _TRUE


def read_int(entry: Entry, found: Findings, *, allowed: tuple[int, ...] = (), most: int = 10**18) -> int:
    """A whole number from 0 to ``most``, or one of those allowed."""
    text = read_text(entry, found)
    if not re.fullmatch(r"\d{1,18}", text):
        if entry.text is not None:
            found.problem(entry, f"'{text}' is no whole number")
        return allowed[0] if allowed else 0
    value = int(text)
    if allowed and value not in allowed:
        found.problem(entry, f"{value} is none of {', '.join(map(str, allowed))}")
        return allowed[0]
    if value > most:
        found.problem(entry, f"{value} is over {most}")
        return most
    return value


def read_number(entry: Entry, found: Findings) -> float:
    """A number."""
    text = read_text(entry, found)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        found.problem(entry, f"'{text}' is no number")
        return 0.0
    return value


def read_texts(entry: Entry, found: Findings) -> list[str]:
    """A list of values, or a single one."""
    if entry.fields:
        found.problem(entry, "is a mapping, a list was expected")
        return []
    return [read_text(item, found) for item in entry.items]


def read_shapes(entry: Entry, found: Findings) -> list[tuple[int, ...] | None]:
    """Shapes, each as ``1,224,224,3`` or as a list of numbers."""
    rows = entry.items
    if rows and all(isinstance(r.content, str) and re.fullmatch(r"\d+", r.content) for r in rows) and len(rows) > 1:
        rows = [entry]  # one shape as a list of numbers: [1, 224, 224, 3]
    return [_shape(row, found) for row in rows]


def _shape(entry: Entry, found: Findings) -> tuple[int, ...] | None:
    parts = [i.text or "" for i in entry.items] if entry.text is None else entry.text.split(",")
    sizes = [p.strip() for p in parts if p.strip()]
    if not all(re.fullmatch(r"\d{1,12}", s) and int(s) > 0 for s in sizes):
        shown = entry.text if entry.text is not None else ", ".join(parts)
        found.problem(entry, f"'{shown}' is no shape; write it as 1,224,224,3")
        return None
    return tuple(int(s) for s in sizes)


def read_ranges(entry: Entry, found: Findings) -> list[tuple[float, float] | None]:
    """Ranges, each as ``-1.0,1.0``."""
    return [_range(item, found) for item in entry.items]


def _range(entry: Entry, found: Findings) -> tuple[float, float] | None:
    parts = [i.text or "" for i in entry.items] if entry.text is None else entry.text.split(",")
    try:
        low, high = (float(p) for p in parts)
    except ValueError:
        found.problem(entry, f"'{', '.join(parts)}' is no range; write it as -1.0,1.0")
        return None
    if not low <= high:
        found.problem(entry, f"the range {low:g},{high:g} is upside down")
        return None
    return low, high


def read_sha256(entry: Entry, found: Findings) -> str:
    """64 hexadecimal digits."""
    text = read_text(entry, found).strip().lower()
    if text and not re.fullmatch(r"[0-9a-f]{64}", text):
        found.problem(
            entry, f"'{text}' is no SHA-256: 64 hexadecimal digits were expected, {len(text)} characters found"
        )
        return ""
    return text


def mention(
    known: Mapping[str, Entry],
    foreign_keys: Mapping[str, str],
    own_keys: tuple[str, ...],
    found: Findings,
    *,
    quiet: tuple[str, ...] = (),
    caffe: bool = False,
) -> None:
    """Note each key that has no effect here unless it asks for nothing; a key that nobody knows is a problem."""
    for key, entry in known.items():
        if key in own_keys:
            continue
        if key not in foreign_keys:
            near = _nearest(key, (*own_keys, *foreign_keys))
            found.problem(entry, "is no key of a deployment file" + (f"; did you mean '{near}'?" if near else ""))
        elif (entry.text or "x") not in ("0", "", *quiet) and not (caffe and key.startswith("weight_")):
            found.note(entry, foreign_keys[key])


def _nearest(key: str, choices: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(key, choices, 1, 0.75)), "")
