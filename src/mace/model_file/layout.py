"""The fixed part of a ``.mace`` file: magic, version, sizes, digest. ``docs/model-file.md`` §1 describes it."""

from __future__ import annotations

import hashlib
import struct
from typing import Final, NamedTuple

from mace.errors import ModelFileError

MAGIC: Final = b"MACEMODL"
VERSION: Final = 1
PAGE: Final = 4096
"""Alignment in bytes of the weights and of every constant of at least this size."""
SMALL_ALIGNMENT: Final = 64
"""Alignment in bytes of smaller constants."""
_PREFIX: Final = struct.Struct("<8sIIQQQQ32s")
PREFIX_SIZE: Final = _PREFIX.size
MAX_SIGNATURE: Final = 1 << 20
"""Bytes of the signature block, at most."""
MAX_HEADER: Final = 1 << 28
"""Bytes of the header, at most."""


class Prefix(NamedTuple):
    """The first 80 bytes. Offsets and sizes are in bytes; ``digest`` covers the sizes, the signature and the header."""

    file_size: int
    signature_size: int
    header_size: int
    weights_offset: int
    digest: bytes

    @property
    def header_offset(self) -> int:
        return PREFIX_SIZE + self.signature_size

    def pack(self) -> bytes:
        return _PREFIX.pack(
            MAGIC, VERSION, 0, self.file_size, self.signature_size, self.header_size, self.weights_offset, self.digest
        )

    def digest_of(self, signature: bytes, header: bytes) -> bytes:
        """SHA-256 over everything but the weights; the header holds the SHA-256 of each of those."""
        sizes = Prefix(self.file_size, self.signature_size, self.header_size, self.weights_offset, bytes(32))
        return hashlib.sha256(sizes.pack() + signature + header).digest()


def round_up(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def unpack_prefix(raw: bytes, actual_size: int, path: str) -> Prefix:
    """Read and check the first 80 bytes of a file of ``actual_size`` bytes. Raises ``ModelFileError``."""
    if not raw.startswith(MAGIC):
        raise ModelFileError("is no .mace model", path=path, offset=0, field="magic", hint=_hint(raw))
    if len(raw) < PREFIX_SIZE:
        raise ModelFileError(
            f"the file is cut: {len(raw)} bytes are less than its fixed part", path=path, offset=len(raw)
        )
    _, version, flags, file_size, signature_size, header_size, weights, digest = _PREFIX.unpack(raw[:PREFIX_SIZE])
    if version != VERSION:
        raise ModelFileError(
            f"format version {version} is not known, only {VERSION}",
            path=path,
            offset=8,
            field="version",
            hint="Convert the model again with this version of mace",
        )
    if flags:
        raise ModelFileError(f"unknown flags {flags:#x}", path=path, offset=12, field="flags")
    if file_size != actual_size:
        state = "cut" if actual_size < file_size else "longer than it says"
        raise ModelFileError(
            f"the file is {state}: {actual_size} bytes of {file_size}", path=path, offset=16, field="file_size"
        )
    if signature_size > MAX_SIGNATURE:
        raise ModelFileError(f"{signature_size} bytes are over the limit", path=path, offset=24, field="signature_size")
    if header_size > MAX_HEADER:
        raise ModelFileError(f"{header_size} bytes are over the limit", path=path, offset=32, field="header_size")
    end = PREFIX_SIZE + signature_size + header_size
    if weights != round_up(end, PAGE) or weights > file_size:
        raise ModelFileError(f"weights cannot begin at {weights}", path=path, offset=40, field="weights_offset")
    return Prefix(file_size, signature_size, header_size, weights, digest)


def _hint(raw: bytes) -> str | None:
    if raw[:4] in (b"MACE", b"MCLP"):
        return "It is a compiled-program file; the model is the .mace file it was made from"
    if raw[:1] == b"\x08":
        return "If it is an ONNX model, convert it first: mace convert"
    return None
