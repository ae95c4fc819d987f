"""What a command tells while it works: text for people, or with ``--log-format json`` one JSON object per line.

Structured lines go to standard error, never between the lines of a result. Each has ``time`` (ISO 8601, UTC), ``level``
and ``event``: ``start``, ``progress``, ``warning``, ``error`` or ``end``, and fields of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from mace.errors import ConfigError

Format = Literal["text", "json"]
OPTION = "--log-format"
VARIABLE = "MACE_LOG_FORMAT"
JOURNAL = "MACE_JOURNAL"

_structured = False


def take_format(words: Sequence[str]) -> list[str]:
    """The words of a command line without ``--log-format``, wherever it stands; the format holds from now on.

    Raises ``ConfigError`` for a format that there is not.
    """
    global _structured  # noqa: PLW0603  (one process writes one log)
    rest: list[str] = []
    chosen = os.environ.get(VARIABLE, "text")
    words = list(words)
    while words:
        word = words.pop(0)
        if word == OPTION:
            chosen = words.pop(0) if words else ""
        elif word.startswith(f"{OPTION}="):
            chosen = word.partition("=")[2]
        else:
            rest.append(word)
    _structured = chosen == "json"
    if chosen not in ("text", "json"):
        raise ConfigError(f"{OPTION} '{chosen}' is neither text nor json")
    return rest


def note_in_journal(words: Sequence[str], exit_code: int, seconds: float) -> None:
    """Append a command to the journal that ``MACE_JOURNAL`` names; a report shows it as a step of the deployment.

    A journal that cannot be written is no reason for a command to fail.
    """
    path = os.environ.get(JOURNAL)
    if not path or not words or {"--help", "--version"} & set(words):
        return
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["mace", *words],
        "exit_code": exit_code,
        "seconds": round(seconds, 3),
    }
    with suppress(OSError), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=True) + "\n")


def structured() -> bool:
    """Whether logs are lines of JSON."""
    return _structured


def emit(event: str, level: str = "info", **fields: object) -> None:
    """Write one structured line to standard error; nothing where logs are text."""
    if not _structured:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str, ensure_ascii=True)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
