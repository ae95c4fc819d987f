"""A zstd frame around a payload. Clauses: docs/program-file.md, part Z."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mace.errors import LimitError, MissingExtraError, ProgramFormatError
from mace.program.content import Bytes
from mace.program.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from types import ModuleType

MAGIC = bytes.fromhex("28b52ffd")
LEVEL = 12


def is_compressed(data: Bytes) -> bool:
    """Whether these bytes begin like a zstd frame (Z1)."""
    return bytes(data[:4]) == MAGIC


def compress(payload: Bytes, *, level: int = LEVEL) -> bytes:
    """One frame with its content size and checksum; equal input gives equal bytes."""
    zstd = _zstandard()
    result: bytes = zstd.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(payload)
    return result


def decompress(frame: Bytes, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """What one frame unfolds to. The frame says how much that is (Z2) and nothing follows it (Z3).

    Raises ``ProgramFormatError`` or ``LimitError``; memory stays within ``decompressed_bytes`` and ``window_bytes``.
    """
    zstd = _zstandard()
    try:
        facts = zstd.get_frame_parameters(frame)
        if facts.content_size == zstd.CONTENTSIZE_UNKNOWN:
            raise ProgramFormatError("the zstd frame does not say its content size", field="zstd")
        limits.check("decompressed_bytes", facts.content_size)
        if facts.window_size > max(limits.window_bytes, facts.content_size):
            raise LimitError(f"the zstd frame asks for a window of {facts.window_size} bytes", field="window_bytes")
        unfold = zstd.ZstdDecompressor(max_window_size=_power_of_two(limits.window_bytes)).decompressobj()
        result: bytes = unfold.decompress(frame)
        if not unfold.eof or len(result) != facts.content_size:
            raise ProgramFormatError("the zstd frame is cut short", field="zstd")
        if unfold.unused_data:
            raise ProgramFormatError("something follows the zstd frame", field="zstd")
    except zstd.ZstdError as error:
        raise ProgramFormatError(f"the zstd frame is damaged: {error}", field="zstd") from None
    return result


def _power_of_two(value: int) -> int:
    return 1 << max(10, min(31, value.bit_length() - 1))


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(
            "a compressed program file needs the package zstandard: pip install zstandard"
        ) from None
    return zstandard
