"""The header of a Movidius blob (Myriad X, compiled by OpenVINO), kept as an opaque section. Facts only: nothing is
run.

Clauses: docs/program-file.md, part V.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import asdict, dataclass

from mace.errors import ProgramFormatError
from mace.program.content import Bytes, Entry, EntryKind

ELF_BYTES = 0x34
HEADER_BYTES = ELF_BYTES + 20 * 4
BLOB_MAGIC = 9709

_IDENT = b"\x7felf" + bytes(12)
_ELF = struct.Struct("<16sHHIIIIIHHHHHH")
_FACTS = struct.Struct("<20I")
_OFFSETS = ("input_info", "output_info", "stage_section", "constant_section")


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """What a blob's header says. Sizes and offsets are in bytes, the rest are counts or flags."""

    magic: int
    file_bytes: int
    version_major: int
    version_minor: int
    inputs: int
    outputs: int
    stages: int
    inputs_bytes: int
    outputs_bytes: int
    batch: int
    bss_bytes: int
    cmx_slices: int
    shaves: int
    has_hw: int
    has_shave: int
    has_dma: int
    input_info: int
    output_info: int
    stage_section: int
    constant_section: int


def is_blob(data: Bytes) -> bool:
    """Whether these bytes begin like a blob (V1): an ELF-like identification in lower case."""
    return bytes(data[:16]) == _IDENT


def read_facts(data: Bytes) -> BlobFacts:
    """The header's facts. Raises ``ProgramFormatError`` when it is cut, or names places outside the blob (V2, V3)."""
    if len(data) < HEADER_BYTES:
        raise ProgramFormatError(
            f"a Movidius blob's header has {HEADER_BYTES} bytes, not {len(data)}", field="blob header"
        )
    if not is_blob(data):
        raise ProgramFormatError("is not a Movidius blob", offset=0, field="magic")
    _, kind, machine, version, *_ = _ELF.unpack_from(data)
    if (kind, machine, version) != (1, 2, 2):
        raise ProgramFormatError(
            f"ELF type {kind}, machine {machine}, version {version} are not a Movidius blob's", offset=0x10
        )
    facts = BlobFacts(*_FACTS.unpack_from(data, ELF_BYTES))
    if facts.magic != BLOB_MAGIC:
        raise ProgramFormatError(f"magic {facts.magic} should be {BLOB_MAGIC}", offset=ELF_BYTES, field="blob magic")
    if facts.file_bytes != len(data):
        raise ProgramFormatError(
            f"says it has {facts.file_bytes} bytes, has {len(data)}", offset=ELF_BYTES + 4, field="blob size"
        )
    for name in _OFFSETS:
        if getattr(facts, name) > len(data):
            raise ProgramFormatError(f"offset {getattr(facts, name):#x} lies outside the blob", field=name)
    return facts


def blob_entry(data: Bytes, *, key: str | None = None) -> Entry:
    """The blob as a section, unchanged. Its key is the SHA-256 of its bytes unless one is given."""
    facts = asdict(read_facts(data))
    return Entry.make(EntryKind.BLOB, key or hashlib.sha256(data).hexdigest(), data, meta={"movidius": facts})
