"""Files of upstream MACE, both generations: pairs of key and value. Clauses: docs/program-file.md, part U.

A value is bytes (a program, or text about it) or numbers (tuned parameters). Nothing of either layout says who wrote
it; only the newer one has a checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mace.errors import IntegrityError, ProgramFormatError
from mace.program import protobuf
from mace.program.content import Bytes
from mace.program.cursor import Cursor
from mace.program.limits import DEFAULT_LIMITS, Limits

Generation = Literal["current", "old"]
Numbers: TypeAlias = tuple[int, ...]

PLATFORM_KEY = "mace_opencl_precompiled_platform_info_key"
DEVICE_KEY = "mace_opencl_precompiled_device_name_key"
HASH_PREFIX = "program_hash_ "
CRC_BYTES = 4

_COUNT = struct.Struct("<q")
_LENGTH = struct.Struct("<i")
_CRC = struct.Struct("<I")
_TUNED_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """Pairs in the order of the file. Either all values are bytes, or (tuned parameters) all are numbers."""

    generation: Generation
    values: Mapping[str, Bytes | Numbers]
    leftover: int = 0
    """Bytes behind the last pair that belong to a longer file which this one was written over (U4)."""

    @property
    def is_tuning(self) -> bool:
        """Whether it holds tuned parameters rather than programs."""
        return any(isinstance(v, tuple) for v in self.values.values())


def recognise(data: Bytes) -> Generation | None:
    """The generation these bytes have by their beginning, or None (U1). Nothing is verified yet."""
    head = bytes(data[:12])
    if len(data) < CRC_BYTES:
        return None
    if len(data) == CRC_BYTES:
        return "current" if head == bytes(4) else None
    if len(head) >= 8 and not any(head[3:8]):  # an old count: fewer than 2²⁴ entries
        if len(data) == 8:
            return "old" if head == bytes(8) else None
        return "old" if len(head) == 12 and 0 < int.from_bytes(head[8:12], "little") <= 1 << 16 else None
    return "current" if head[:1] == b"\x0a" else None


def parse_upstream(data: Bytes, *, limits: Limits = DEFAULT_LIMITS) -> UpstreamFile:
    """The pairs of a file of either generation. Raises ``ProgramFormatError``, ``IntegrityError`` or ``LimitError``."""
    limits.check("file_bytes", len(data))
    generation = recognise(data)
    if generation is None:
        raise ProgramFormatError("is no file of upstream MACE", offset=0)
    if generation == "current":
        return UpstreamFile(generation, _parse_current(data, limits))
    return _parse_old(data, limits)


def encode_upstream(file: UpstreamFile) -> bytes:
    """The file's bytes, keys sorted bytewise. Equal pairs give equal bytes."""
    pairs = sorted((_key_bytes(k), v) for k, v in file.values.items())
    if file.generation == "old":
        return _COUNT.pack(len(pairs)) + b"".join(_old_pair(k, v) for k, v in pairs)
    body = b"".join(protobuf.write_bytes(1, _current_pair(k, v)) for k, v in pairs)
    return body + _CRC.pack(zlib.crc32(body))


def _parse_current(data: Bytes, limits: Limits) -> dict[str, Bytes | Numbers]:
    view = memoryview(data)
    end = len(view) - CRC_BYTES
    if zlib.crc32(view[:end]) != _CRC.unpack(view[end:])[0]:  # U2
        raise IntegrityError("the CRC-32 of the file does not hold", offset=end, field="crc")
    values: dict[str, Bytes | Numbers] = {}
    cursor = Cursor(view, 0, end)
    for number, wire, pair in protobuf.read_fields(cursor):  # U3
        if number != 1 or wire != protobuf.BYTES or not isinstance(pair, memoryview):
            raise cursor.fail(f"field {number} is unknown", "pairs")
        key, value = _parse_pair(Cursor(pair, base=cursor.at - len(pair)), limits)
        _add(values, key, value, cursor, limits)
    return values


def _parse_pair(cursor: Cursor, limits: Limits) -> tuple[str, Bytes | Numbers]:
    key, data, numbers = "", None, []
    for number, wire, value in protobuf.read_fields(cursor):
        if number == 1 and isinstance(value, memoryview):
            key = _key_text(value, limits)
        elif number == 2 and isinstance(value, memoryview):
            data = value
        elif number == 3 and isinstance(value, memoryview):  # packed
            packed = Cursor(value, base=cursor.base + cursor.at - len(value))
            while packed.left:
                numbers.append(protobuf.uint32(protobuf.read_varint(packed, "number"), packed, "number"))
                limits.check("upstream_numbers", len(numbers))
        elif number == 3 and isinstance(value, int):
            numbers.append(protobuf.uint32(value, cursor, "number"))
            limits.check("upstream_numbers", len(numbers))
        else:
            raise cursor.fail(f"field {number} of wire type {wire} is unknown", "pair")
    if data is not None and numbers:
        raise cursor.fail("a pair has both bytes and numbers", "pair")
    return key, (tuple(numbers) if data is None else data)


def _parse_old(data: Bytes, limits: Limits) -> UpstreamFile:
    cursor = Cursor(data)
    (count,) = cursor.unpack(_COUNT, "count")
    limits.check("upstream_pairs", count, offset=0)
    values: dict[str, Bytes | Numbers] = {}
    for _ in range(count):  # U4
        key = _key_text(cursor.take(cursor.unpack(_LENGTH, "key length")[0], "key"), limits)
        _add(values, key, cursor.take(cursor.unpack(_LENGTH, "value length")[0], "value"), cursor, limits)
    if _looks_tuned(values):
        values = {k: _unpack_numbers(v) for k, v in values.items()}
    return UpstreamFile("old", values, cursor.left)


def _add(values: dict[str, Bytes | Numbers], key: str, value: Bytes | Numbers, cursor: Cursor, limits: Limits) -> None:
    if not key or key in values:
        raise cursor.fail("a key is missing" if not key else "a key comes twice", "key")
    values[key] = value
    limits.check("upstream_pairs", len(values))


def _looks_tuned(values: Mapping[str, Bytes | Numbers]) -> bool:
    """Whether an old file holds tuned parameters (U5): no key of a program, and only short rows of whole numbers."""
    if not values or any(" -D" in k or k in (PLATFORM_KEY, DEVICE_KEY) or k.startswith(HASH_PREFIX) for k in values):
        return False
    return all(len(v) and len(v) % 4 == 0 and len(v) <= _TUNED_BYTES_MAX for v in values.values())


def _unpack_numbers(value: Bytes | Numbers) -> Numbers:
    return value if isinstance(value, tuple) else tuple(memoryview(bytes(value)).cast("I"))


def _current_pair(key: bytes, value: Bytes | Numbers) -> bytes:
    head = protobuf.write_bytes(1, key)
    if isinstance(value, tuple):
        return head + b"".join(protobuf.write_number(3, n) for n in value)
    return head + protobuf.write_bytes(2, bytes(value))


def _old_pair(key: bytes, value: Bytes | Numbers) -> bytes:
    data = struct.pack(f"<{len(value)}I", *value) if isinstance(value, tuple) else bytes(value)
    return _LENGTH.pack(len(key)) + key + _LENGTH.pack(len(data)) + data


def _key_text(data: memoryview, limits: Limits) -> str:
    limits.check("key_bytes", len(data))
    return str(data, "utf-8", "surrogateescape")


def _key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
