"""The little of protobuf's wire format that upstream MACE's files need: a bounded reader, and a writer."""

from __future__ import annotations

from collections.abc import Iterator

from mace.errors import ProgramFormatError
from mace.program.cursor import Cursor

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BYTES_MAX = 10


def read_varint(cursor: Cursor, field: str) -> int:
    """The next varint, at most 64 bits."""
    value = 0
    for shift in range(0, 7 * VARINT_BYTES_MAX, 7):
        byte = cursor.take(1, field)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value
    raise cursor.fail("a varint is longer than 64 bits", field)


def read_fields(cursor: Cursor) -> Iterator[tuple[int, int, int | memoryview]]:
    """Field number, wire type and value of each field up to the cursor's end. Only varints and lengths are known."""
    while cursor.left:
        tag = read_varint(cursor, "tag")
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            yield number, wire, read_varint(cursor, f"field {number}")
        elif wire == BYTES:
            yield number, wire, cursor.take(read_varint(cursor, f"field {number}"), f"field {number}")
        else:
            raise cursor.fail(f"wire type {wire} of field {number} is not in use here", "tag")


def write_varint(value: int) -> bytes:
    """A non-negative number as a varint. Raises ``ValueError`` for a negative one."""
    if value < 0:
        raise ValueError(f"{value} is negative")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(number: int, value: bytes) -> bytes:
    """A field that holds bytes."""
    return write_varint(number << 3 | BYTES) + write_varint(len(value)) + value


def write_number(number: int, value: int) -> bytes:
    """A field that holds a number."""
    return write_varint(number << 3 | VARINT) + write_varint(value)


def uint32(value: int, cursor: Cursor, field: str) -> int:
    """``value``, when it has at most 32 bits. Raises ``ProgramFormatError``."""
    if value >> 32:
        raise ProgramFormatError(f"{value} has more than 32 bits", offset=cursor.base + cursor.at, field=field)
    return value
