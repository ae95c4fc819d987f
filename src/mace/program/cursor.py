"""A bounded reader: takes structures off a buffer and says where it stood when something does not fit."""

from __future__ import annotations

import json
import struct
from typing import Any

from mace.errors import ProgramFormatError
from mace.program.content import Bytes


class Cursor:
    """Reads ``data[start:end]`` from front to back. Every method raises ``ProgramFormatError`` rather than read past
    the end.

    ``base`` is what offsets in error messages are counted from, so that they name the place in the file.
    """

    __slots__ = ("_view", "at", "base", "end")

    def __init__(self, data: Bytes, start: int = 0, end: int | None = None, *, base: int = 0) -> None:
        self._view = memoryview(data)
        self.end = len(self._view) if end is None else end
        self.at = start
        self.base = base
        if not 0 <= start <= self.end <= len(self._view):
            raise ProgramFormatError("a part lies outside its file", offset=base + start)

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self.end - self.at

    def fail(self, message: str, field: str) -> ProgramFormatError:
        """An error that names the present place."""
        return ProgramFormatError(message, offset=self.base + self.at, field=field)

    def take(self, count: int, field: str) -> memoryview:
        """The next ``count`` bytes, not copied."""
        if count < 0 or count > self.left:
            raise self.fail(f"needs {count} bytes where {self.left} are left", field)
        self.at += count
        return self._view[self.at - count : self.at]

    def unpack(self, layout: struct.Struct, field: str) -> tuple[Any, ...]:
        """The next structure."""
        return layout.unpack(self.take(layout.size, field))

    def text(self, count: int, field: str) -> str:
        """The next ``count`` bytes as UTF-8."""
        at = self.at
        try:
            return str(self.take(count, field), "utf-8")
        except UnicodeDecodeError:
            raise ProgramFormatError("is not UTF-8 text", offset=self.base + at, field=field) from None

    def json_object(self, count: int, field: str) -> dict[str, Any]:
        """The next ``count`` bytes as a JSON object."""
        at = self.at
        try:
            value = json.loads(self.text(count, field), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ProgramFormatError("is not JSON", offset=self.base + at, field=field) from None
        if not isinstance(value, dict):
            raise ProgramFormatError("is not a JSON object", offset=self.base + at, field=field)
        return value

    def zeros(self, count: int, field: str) -> None:
        """Pass over padding, which must be zero."""
        at = self.at
        if bytes(self.take(count, field)).strip(b"\0"):
            raise ProgramFormatError("padding is not zero", offset=self.base + at, field=field)

    def align(self, step: int, field: str) -> None:
        """Pass over padding up to the next multiple of ``step``, counted from the start of the buffer."""
        self.zeros(-self.at % step, field)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
