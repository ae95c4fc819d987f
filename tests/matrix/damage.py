"""Ways to damage a compiled binary, each behind a hash that holds again."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from mace.program.codec import encode_program
from mace.program.content import Entry, EntryKind, ProgramContent
from mace.program.files import read_program
from tests.matrix import bitcode

_ELF64 = b"\x7fELF\x02\x01"
_PREFIX = rb"(?:\xc5([\x00-\xff])|\xc4([\x00-\xff])[\x00-\xff]|\x62([\x00-\xff])[\x00-\xff]{2})"
_ARITHMETIC = re.compile(_PREFIX + rb"([\x58\x98\xa8\xb8])", re.DOTALL)
"""A VEX or EVEX prefix, of which one byte tells the map, and an opcode (Intel SDM, volume 2): in map 1, 58 is ``vaddps``
and its kin, and 59 multiplies; in map 2, 98, A8 and B8 are ``vfmadd…``, which four more negate.
"""
SPIRV_ADD, SPIRV_MUL = 5 << 16 | 129, 5 << 16 | 133
"""First words of ``OpFAdd`` and ``OpFMul`` (SPIR-V specification, 3.42.13)."""
_SPIRV_MAGIC = struct.pack("<I", 0x07230203)


def programs_of(data: bytes) -> list[Entry]:
    """The compiled binaries in a program file."""
    return [e for e in read_program(data).content.entries if e.kind is EntryKind.PROGRAM]


def with_binaries(data: bytes, change: Callable[[int, bytes], bytes]) -> bytes:
    """The file with each binary changed (given its number and bytes), and every hash made anew."""
    entries, number = [], 0
    for e in read_program(data).content.entries:
        if e.kind is EntryKind.PROGRAM:
            made = Entry.make(e.kind, e.key, change(number, bytes(e.payload)), device=e.device, meta=e.meta)
            e, number = replace(made, kernels=e.kernels), number + 1
        entries.append(e)
    return encode_program(ProgramContent(tuple(entries))).to_bytes()


def flip(data: bytes, number: int, bit: int) -> bytes:
    """The file with one bit of one binary flipped."""

    def change(which: int, binary: bytes) -> bytes:
        if which != number:
            return binary
        changed = bytearray(binary)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return with_binaries(data, change)


def plain_flip(data: bytes) -> bytes:
    """The file with a bit in its middle flipped, and its hashes left alone."""
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return bytes(changed)


def random_flips(data: bytes, count: int, seed: int) -> Iterator[tuple[str, int, int]]:
    """Where, binary and bit of so many flips: every other one in machine code where there is some to be found."""
    rng = random.Random(seed)
    binaries = [bytes(e.payload) for e in programs_of(data)]
    for number in range(count):
        which = rng.randrange(len(binaries))
        ranges = code_ranges(binaries[which]) if number % 2 else []
        if ranges:
            part = rng.choices(ranges, [len(r) for r in ranges])[0]
            yield "code", which, rng.choice(part) * 8 + rng.randrange(8)
        else:
            yield "any", which, rng.randrange(len(binaries[which]) * 8)


def aimed_flips(data: bytes, count: int, seed: int) -> list[tuple[str, int, int]]:
    """Flips that change what is computed and nothing else, as many as there are up to ``count``, from all of the code."""
    found = []
    for which, entry in enumerate(programs_of(data)):
        binary = bytes(entry.payload)
        for part in code_ranges(binary):
            found += [(what, which, bit) for what, bit in _arithmetic(binary, part)]
        if binary.startswith(bitcode.MAGIC):
            found += [("add to multiply", which, bit) for bit in bitcode.addition_bits(binary)]
        start = binary.find(_SPIRV_MAGIC)
        if 0 <= start < 64:
            words = range(start, len(binary) - 3, 4)
            adds = [at for at in words if binary[at : at + 4] == struct.pack("<I", SPIRV_ADD)]
            found += [("add to multiply", which, at * 8 + 2) for at in adds]
    return random.Random(seed).sample(found, min(count, len(found)))


def _arithmetic(binary: bytes, part: range) -> Iterator[tuple[str, int]]:
    """The bits to flip in vector instructions of a part of the code."""
    for match in _ARITHMETIC.finditer(binary, part.start, part.stop):
        short, vex, evex, opcode = match.groups()
        which = 1 if short else vex[0] & 31 if vex else evex[0] & 7
        place = (match.end() - 1) * 8
        if which == 1 and opcode == b"\x58":
            yield "add to multiply", place
        elif which == 2 and opcode != b"\x58":
            yield "multiply-add negated", place + 2


def cuts(binary: bytes) -> dict[str, bytes]:
    """A binary shortened, lengthened and replaced."""
    return {
        "half": binary[: len(binary) // 2],
        "64 bytes": binary[:64],
        "64 bytes and zeros": binary[:64] + bytes(1000),
        "100 bytes more": binary + bytes(100),
        "text": b"this is no program",
        "one byte": binary[:1],
    }


def code_ranges(binary: bytes) -> list[range]:
    """Byte ranges of executable sections in the ELF files of 64 bits that a binary is or holds."""
    found, at = [], binary.find(_ELF64)
    while at >= 0:
        found += list(_executable_sections(binary, at))
        at = binary.find(_ELF64, at + 1)
    return found


def _executable_sections(binary: bytes, base: int) -> Iterator[range]:
    try:
        (table,) = struct.unpack_from("<Q", binary, base + 0x28)
        size, count = struct.unpack_from("<HH", binary, base + 0x3A)
        for number in range(count):
            kind, flags, _, offset, length = struct.unpack_from("<IQQQQ", binary, base + table + number * size + 4)
            if kind == 1 and flags & 4 and length > 0 and base + offset + length <= len(binary):
                yield range(base + offset, base + offset + length)
    except struct.error:
        return
