"""YAML with places: every value keeps the line it stands on, so that a message can point at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace.errors import ConfigError

if TYPE_CHECKING:
    import yaml

FILE_BYTES_MAX = 1 << 20
ENTRIES_MAX = 20_000
"""Values of one file, those that aliases repeat counted each time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the document: its line (from 1), its dotted key, and its text, its items or its fields."""

    line: int
    key: str
    content: str | list[Entry] | dict[str, Entry]
    tag: str = "str"
    """What YAML takes a text for: ``str``, ``int``, ``float``, ``bool`` or ``null``."""

    @property
    def text(self) -> str | None:
        return self.content if isinstance(self.content, str) else None

    @property
    def items(self) -> list[Entry]:
        """The items of a list; a single value counts as a list of itself, nothing as an empty one."""
        if isinstance(self.content, list):
            return self.content
        return [] if self.tag == "null" else [self]

    @property
    def fields(self) -> dict[str, Entry]:
        return self.content if isinstance(self.content, dict) else {}

    @property
    def kind(self) -> str:
        """What it is, in a word for messages."""
        if isinstance(self.content, dict):
            return "a mapping"
        return "a list" if isinstance(self.content, list) else f"'{self.content}'" if self.tag != "null" else "empty"


def read_document(path: str | os.PathLike[str]) -> Entry:
    """The document in a file. Raises ``ConfigError`` naming line and column where it is no YAML."""
    import yaml

    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=path) from error
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"is larger than {FILE_BYTES_MAX} bytes, so it is no deployment file", path=path)
    try:
        root = yaml.compose(raw, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}{error.problem or error}", path=path) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"is no YAML: {error}", path=path) from error
    if root is None:
        raise ConfigError("is empty", path=path)
    return _Reader(os.fspath(path)).entry(root, "")


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0

    def entry(self, node: yaml.Node, key: str, depth: int = 0, line: int = 0) -> Entry:
        self._count += 1
        line = line or node.start_mark.line + 1
        if self._count > ENTRIES_MAX or depth > 32:
            raise ConfigError(f"line {line}: nests or repeats more than a deployment file does", path=self._path)
        tag = str(node.tag).rpartition(":")[2]
        import yaml

        match node:
            case yaml.SequenceNode():
                items = [self.entry(n, f"{key}[{i}]", depth + 1) for i, n in enumerate(node.value)]
                return Entry(line, key, items, tag)
            case yaml.MappingNode():
                return Entry(line, key, dict(self._fields(node.value, key, depth)), tag)
        return Entry(line, key, str(node.value), tag)

    def _fields(self, pairs: list[tuple[Any, Any]], key: str, depth: int) -> Iterator[tuple[str, Entry]]:
        seen: set[str] = set()
        for name, value in pairs:
            line = name.start_mark.line + 1
            if name.id != "scalar":
                raise ConfigError(f"line {line}: {key or 'a key'} has a key that is no plain text", path=self._path)
            if name.value in seen:
                raise ConfigError(f"line {line}: the key '{name.value}' comes twice", path=self._path)
            seen.add(name.value)
            yield name.value, self.entry(value, f"{key}.{name.value}" if key else name.value, depth + 1, line)
