"""Binaries of Intel's CPU runtime without the intermediate code that loading them would parse again and again.

Such a binary is a file in ELF's layout (System V ABI, chapter 4) with four sections: LLVM bitcode as the front end left it, what
the kernels are called and take, machine code, and the layout's version. The runtime runs the machine code alone, but
parses all of the bitcode when the program is loaded and when its first kernel is made, which is most of either's time.
Here a program is given the bitcode of an empty one in its place. Where the machine code cannot be used, the runtime
refuses such a binary as it refuses the whole one: it never compiles what stands in the bitcode.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mace.errors import DeviceError
from mace.opencl.traits import family_of

if TYPE_CHECKING:
    from mace.opencl.context import Context
    from mace.opencl.kernel import Program

LAYOUTS = (22, 23)
"""Versions of the layout that this was tried with: the runtimes 2025.2 and 2026.2. Others are left as they are."""
_CODE, _VERSION = b".ocl.ir", b".ocl.ver"
_SECTIONS = (b"", _CODE, b".ocl.meta", b".ocl.obj", _VERSION, b"")
_MAGIC, _TYPE = b"\x7fELF\x02\x01", 0xFF04
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_EMPTY = "__kernel void intermediate_code_left_out() {}\n"
"""No kernel of any program is called so: what is compiled from it cannot be taken for one."""


class Trimmer:
    """Trims programs of one context; the empty program is compiled once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._empty: bytes | None = None

    def trim(self, program: Program, options: str) -> tuple[Program, bytes] | None:
        """A program just compiled anew from its trimmed binary, and that; None where the driver's binaries are of another kind.

        Its kernels need not have run before: this driver's binary is complete once it is compiled. Others are not asked.
        """
        if family_of(self._context.device.info) != "intel-cpu":
            return None
        binary = program.binary()
        if not is_trimmable(binary):
            return None
        try:
            if self._empty is None:
                self._empty = self._context.build_from_source(_EMPTY).binary()
            smaller = without_intermediate_code(binary, self._empty)
            if smaller is None:
                return None
            trimmed = self._context.build_from_binary(smaller, options)
        except DeviceError:
            return None
        trimmed.log = program.log
        return trimmed, smaller


def is_trimmable(binary: bytes) -> bool:
    """Whether the binary has the layout, in a version that is known."""
    return _sections(binary) is not None


def without_intermediate_code(binary: bytes, empty: bytes) -> bytes | None:
    """The binary with the intermediate code of another, or None where they do not have the same known layout."""
    sections, others = _sections(binary), _sections(empty)
    if sections is None or others is None or sections.version != others.version:
        return None
    contents = [*sections.contents]
    contents[_SECTIONS.index(_CODE)] = others.contents[_SECTIONS.index(_CODE)]
    header, body, position = bytearray(sections.header), b"", len(sections.header)
    for index, content in enumerate(contents[1:], start=1):
        place = sections.table + index * _SECTION.size + 24  # of the section's offset and size
        struct.pack_into("<QQ", header, place, position, len(content))
        body += content
        position += len(content)
    return bytes(header) + body


class _Sections(NamedTuple):
    header: bytes
    """ELF header and section table, which come first."""
    table: int
    """Where the section table begins."""
    contents: list[bytes]
    version: int


def _sections(binary: bytes) -> _Sections | None:
    """The parts of a binary of this kind; None for anything else."""
    if len(binary) < _HEADER.size or not binary.startswith(_MAGIC):
        return None
    _, kind, _, _, _, _, table, _, _, _, _, size, count, names = _HEADER.unpack_from(binary)
    end = table + count * size
    if (kind, table, size, count, names) != (_TYPE, _HEADER.size, _SECTION.size, len(_SECTIONS), count - 1):
        return None
    if len(binary) < end:
        return None
    rows = [_SECTION.unpack_from(binary, table + index * size) for index in range(count)]
    contents, position = [b""], end
    for _, _, _, _, offset, length, *_ in rows[1:]:
        if offset != position or offset + length > len(binary):
            return None
        contents.append(binary[offset : offset + length])
        position = offset + length
    called = tuple(contents[-1][row[0] :].split(b"\0", 1)[0] for row in rows[:-1])
    version = int.from_bytes(contents[_SECTIONS.index(_VERSION)], "little")
    if position != len(binary) or called != _SECTIONS[:-1] or version not in LAYOUTS:
        return None
    return _Sections(binary[:end], table, contents, version)
