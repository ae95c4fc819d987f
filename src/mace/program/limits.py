"""Named maxima: nothing a file says about its own size is believed before it was compared with one of these."""

from __future__ import annotations

from mace.errors import LimitError
from mace.records import record

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
STORE_BYTES = 4 * GIB
"""Size that the files of a store are kept within, in bytes."""


@record
class Limits:
    """What a reader accepts. Every field is a setting; sizes are in bytes, the others are counts."""

    file_bytes: int = 4 * GIB
    """A whole file, envelope included. The kernel table's own fields are 32 bits wide, so more cannot be written."""
    decompressed_bytes: int = GIB
    """What a zstd frame may unfold to."""
    encrypted_bytes: int = (1 << 31) - 1
    """Plain text under one AES-GCM tag; the cryptography package takes no more in one call."""
    window_bytes: int = 128 * MIB
    """Memory that a zstd frame may ask for to look back in."""
    scrypt_bytes: int = 256 * MIB
    """Memory that an encryption header may ask scrypt for (128 · N · r)."""
    scrypt_rounds: int = 16
    """Parallelism p that an encryption header may ask scrypt for."""
    devices: int = 256
    """Vendor headers in a kernel table."""
    device_bytes: int = 64 * KIB
    """One vendor header."""
    sections: int = 65_536
    """Sections in a kernel table."""
    kernels: int = 1_000_000
    """Kernel records in a kernel table."""
    key_bytes: int = 4 * KIB
    """Key of a section; also the name or the options of a kernel."""
    meta_bytes: int = 4 * MIB
    """Descriptive data of one section."""
    upstream_pairs: int = 1_000_000
    """Entries of an upstream MACE file."""
    upstream_numbers: int = 4_096
    """Numbers in one tuned-parameter entry of upstream MACE."""

    def check(self, name: str, value: int, *, offset: int | None = None) -> int:
        """``value``, when it is within the limit of that name. Raises ``LimitError``."""
        limit: int = getattr(self, name)
        if value > limit:
            raise LimitError(f"{value} is over the limit '{name}' of {limit}", offset=offset, field=name)
        return value


DEFAULT_LIMITS = Limits()
