"""SPIR-V in a program file: sections of its own, and binaries that are nothing else.

Some drivers (rusticl) return SPIR-V behind a short head of their own as a program's binary: no device code is in it, so it
serves other versions of the driver, and other drivers, as a section made on purpose does (docs/adr/0017).
"""

from __future__ import annotations

import struct

from mace.program.content import OUTPUTS, Bytes, Entry, EntryKind, ProgramContent

HEAD_BYTES_MAX = 64
"""Bytes that a driver may put in front of the module."""
_HEADER = struct.Struct("<5I")
_MAGIC = 0x07230203
_MINORS = range(7)


def spirv_in(binary: Bytes) -> memoryview | None:
    """The SPIR-V module that a binary consists of, behind at most :data:`HEAD_BYTES_MAX` bytes; None when it does not.

    A module is words of 32 bits, the first five of them its header: magic number, version 1.0 to 1.6, generator, bound of the
    ids and zero (SPIR-V specification, 2.3).
    """
    view = memoryview(binary)
    for at in range(0, min(HEAD_BYTES_MAX, len(view) - _HEADER.size) + 1, 4):
        magic, version, _, bound, schema = _HEADER.unpack_from(view, at)
        known = version in {1 << 16 | minor << 8 for minor in _MINORS}
        if magic == _MAGIC and known and bound and not schema and (len(view) - at) % 4 == 0:
            return view[at:]
    return None


def spirv_of(content: ProgramContent, key: str) -> list[Entry]:
    """The SPIR-V of a program, for any device: sections of their own, then binaries that consist of it.

    What such a binary was noted to compute goes with it.
    """
    own = [e for e in content.entries if e.kind is EntryKind.IL and e.key == key and e.device is None]
    given = []
    for entry in content.entries:
        if entry.kind is EntryKind.PROGRAM and entry.key == key and (module := spirv_in(entry.payload)) is not None:
            given.append(Entry.make(EntryKind.IL, key, module, meta={OUTPUTS: dict(entry.meta.get(OUTPUTS, {}))}))
    return own + given


def count_spirv(content: ProgramContent) -> int:
    """Programs of which the content has SPIR-V."""
    keys = {e.key for e in content.entries if e.kind is EntryKind.IL and e.device is None}
    return len(keys | {e.key for e in content.entries if e.kind is EntryKind.PROGRAM and spirv_in(e.payload)})
