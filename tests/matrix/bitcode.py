"""Where LLVM bitcode holds its additions: a reader of the bit stream that knows nothing but records and their bits.

Source: LLVM Bitcode File Format (llvm.org/docs/BitCodeFormat.html) for the stream, and ``llvm/Bitcode/LLVMBitCodes.h`` for the
numbers of blocks, records and operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"BC\xc0\xde"
_BLOCKINFO, _FUNCTION = 0, 12
_SET_BLOCK, _BINARY_OPERATION = 1, 2
_ADD, _MULTIPLY = 0, 2
_FORWARD = 1 << 31
"""Relative numbers from here on mean a value that comes later; its type then stands between the operands."""
_END, _ENTER, _DEFINE, _UNABBREVIATED = 0, 1, 2, 3
_LITERAL, _FIXED, _VARIABLE, _ARRAY, _CHARACTER, _BLOB = range(6)

_Abbreviation = list[tuple[int, int]]
"""Encodings with their widths in bits, or values of literals."""


class Field(NamedTuple):
    """A number of a record, and the bit of the stream where it begins; -1 for a literal, which has none."""

    value: int
    bit: int


def addition_bits(binary: bytes) -> Iterator[int]:
    """The bits that make a multiplication of an addition, in order. Raises ``ValueError`` for what is no bitcode.

    Additions with flags are left out, which are those of signed numbers: a counter that multiplies by one never ends its loop.
    """
    for block, code, fields in records(binary):
        if block == _FUNCTION and code == _BINARY_OPERATION and len(fields) == 3 and fields[0].value < _FORWARD:
            operation = fields[2]
            if operation.value == _ADD and operation.bit >= 0:
                yield operation.bit + _MULTIPLY.bit_length() - 1


def records(binary: bytes) -> Iterator[tuple[int, int, list[Field]]]:
    """Each record of a stream: number of its block, code, and what it holds. Raises ``ValueError`` for what is no bitcode."""
    if not binary.startswith(MAGIC):
        raise ValueError("the bitcode's magic number is missing")
    reader = _Reader(binary)
    reader.at = 32
    known: dict[int, list[_Abbreviation]] = {}
    while reader.at + 32 <= len(binary) * 8:
        if reader.fixed(2) != _ENTER:
            raise ValueError("the bitcode holds something beside blocks")
        yield from _block(reader, known)


def _block(reader: _Reader, known: dict[int, list[_Abbreviation]]) -> Iterator[tuple[int, int, list[Field]]]:
    block, width = reader.variable(8), reader.variable(4)
    reader.align()
    reader.fixed(32)  # its length
    own = list(known.get(block, []))
    about = -1
    while True:
        number = reader.fixed(width)
        if number == _END:
            reader.align()
            return
        if number == _ENTER:
            yield from _block(reader, known)
        elif number == _DEFINE:
            (known.setdefault(about, []) if block == _BLOCKINFO else own).append(_definition(reader))
        else:
            if number == _UNABBREVIATED:
                code, count = reader.variable(6), reader.variable(6)
                fields = [reader.field(_VARIABLE, 6) for _ in range(count)]
            else:
                first, *fields = _abbreviated(reader, own[number - _UNABBREVIATED - 1])
                code = first.value
            if block == _BLOCKINFO and code == _SET_BLOCK:
                about = fields[0].value
            yield block, code, fields


def _definition(reader: _Reader) -> _Abbreviation:
    made: _Abbreviation = []
    for _ in range(reader.variable(5)):
        if reader.fixed(1):
            made.append((_LITERAL, reader.variable(8)))
        else:
            encoding = reader.fixed(3)
            made.append((encoding, reader.variable(5) if encoding in (_FIXED, _VARIABLE) else 6))
    return made


def _abbreviated(reader: _Reader, abbreviation: _Abbreviation) -> Iterator[Field]:
    encodings = iter(abbreviation)
    for encoding, width in encodings:
        if encoding == _ARRAY:
            element = next(encodings)
            for _ in range(reader.variable(6)):
                yield reader.field(*element)
        elif encoding == _BLOB:
            count = reader.variable(6)
            reader.align()
            reader.at += count * 8
            reader.align()
        else:
            yield reader.field(encoding, width)


class _Reader:
    """Goes over the stream; ``at`` is its place in bits."""

    def __init__(self, binary: bytes) -> None:
        self._bits = int.from_bytes(binary, "little")
        self._end = len(binary) * 8
        self.at = 0

    def fixed(self, width: int) -> int:
        if self.at + width > self._end:
            raise ValueError("the bitcode ends in the middle")
        value = self._bits >> self.at & (1 << width) - 1
        self.at += width
        return value

    def variable(self, width: int) -> int:
        """Groups of bits, lowest first; the highest bit of each says whether another follows."""
        value, shift, more = 0, 0, 1 << width - 1
        while True:
            group = self.fixed(width)
            value |= (group & more - 1) << shift
            if not group & more:
                return value
            shift += width - 1

    def field(self, encoding: int, width: int) -> Field:
        if encoding == _LITERAL:
            return Field(width, -1)
        at = self.at
        if width == 0:
            return Field(0, -1)
        return Field(self.variable(width) if encoding == _VARIABLE else self.fixed(width), at)

    def align(self) -> None:
        """On to the next 32 bits."""
        self.at = -(-self.at // 32) * 32
