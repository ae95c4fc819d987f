"""The envelope ("MACE", layout 1): 0x150 bytes in front of a payload. Clauses: docs/program-file.md, part E."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from typing import NamedTuple

from mace.errors import IntegrityError, ProgramFormatError
from mace.program.content import Bytes
from mace.records import record

MAGIC = b"MACE"
VERSION = 0x0001_0002
SIGNED_BYTES = 0x50
SIGNATURE_BYTES = 256
HEADER_BYTES = 0x150
MAX_DER_BYTES = 72
"""Longest DER form of an ECDSA signature on P-256."""
RSA_ZEROS_MAX = 16
"""Zero bytes that an RSA signature may have; about one is to be expected, this many never come about."""

_HEADER = struct.Struct("<4sIQ64s256s")
_UNSIGNED = bytes(SIGNATURE_BYTES)
_HEX = frozenset(b"0123456789abcdef")


@record
class EnvelopeHeader:
    """Fields of an envelope: size of the whole file in bytes, SHA-256 of the payload in hexadecimal, signature."""

    total_bytes: int
    payload_sha256: str
    signature: bytes = _UNSIGNED

    @property
    def is_signed(self) -> bool:
        """Whether the signature field holds anything."""
        return self.signature != _UNSIGNED

    @property
    def signed_bytes(self) -> bytes:
        """What a signature covers (E5): magic, version, size and payload hash."""
        return self.encode()[:SIGNED_BYTES]

    @property
    def digest(self) -> str:
        """SHA-256 of the 0x150 bytes in hexadecimal: with the payload hash in them, it names every byte of the file."""
        return hashlib.sha256(self.encode()).hexdigest()

    def encode(self) -> bytes:
        """The 0x150 bytes."""
        return _HEADER.pack(MAGIC, VERSION, self.total_bytes, self.payload_sha256.encode("ascii"), self.signature)


def is_envelope(data: Bytes) -> bool:
    """Whether these bytes begin like an envelope (E1)."""
    return bytes(data[:8]) == MAGIC + VERSION.to_bytes(4, "little")


def header_for(payload: Iterable[Bytes]) -> EnvelopeHeader:
    """The unsigned header for a payload given in pieces."""
    digest, size = hashlib.sha256(), 0
    for piece in payload:
        digest.update(piece)
        size += len(piece)
    return EnvelopeHeader(HEADER_BYTES + size, digest.hexdigest())


def parse_header(data: Bytes) -> EnvelopeHeader:
    """The header of a whole file. Raises ``ProgramFormatError`` or, where the declared size is not the real one,
    ``IntegrityError``.
    """
    header = parse_fields(data)
    if header.total_bytes != len(data):  # E2
        raise IntegrityError(
            f"the file has {len(data)} bytes, its header says {header.total_bytes}", offset=0x08, field="size"
        )
    return header


def parse_fields(data: Bytes) -> EnvelopeHeader:
    """The header from a file's first 0x150 bytes, its declared size not compared. Raises ``ProgramFormatError``."""
    if len(data) < HEADER_BYTES:
        raise ProgramFormatError(
            f"the file has {len(data)} bytes, an envelope alone {HEADER_BYTES}", offset=len(data), field="header"
        )
    magic, version, total, digest, signature = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:  # E1
        raise ProgramFormatError(
            f"magic {magic!r}, version {version:#x} are not an envelope's", offset=0, field="magic"
        )
    if not is_plausible_signature(signature):  # E4
        raise ProgramFormatError("the signature field holds no signature", offset=SIGNED_BYTES, field="signature")
    if not _HEX.issuperset(digest):  # E3
        raise ProgramFormatError(
            "the payload hash is not 64 lower-case hexadecimal digits", offset=0x10, field="payload hash"
        )
    return EnvelopeHeader(total, digest.decode("ascii"), signature)


def is_plausible_signature(field: bytes) -> bool:
    """Whether 256 bytes can be a signature at all (E4): none, ECDSA's two DER numbers and zeros, or RSA's 256 bytes."""
    if field == _UNSIGNED or field.count(0) < RSA_ZEROS_MAX:
        return True
    size = 2 + field[1]
    if field[0] != 0x30 or size > MAX_DER_BYTES or any(field[size:]):
        return False
    r = field[3]
    s_at = 4 + r
    return field[2] == 0x02 and s_at + 2 <= size and field[s_at] == 0x02 and s_at + 2 + field[s_at + 1] == size


class VerifiedPayload(NamedTuple):
    """A payload whose hash was found right. ``body_sha256`` is the hash of all of it but the last 32 bytes, found in
    the same pass: a kernel table's own hash is compared with it.
    """

    data: memoryview
    body_sha256: bytes


def verify_payload(header: EnvelopeHeader, data: Bytes) -> VerifiedPayload:
    """The payload of the file ``data``, once its hash was found right (E3). Raises ``IntegrityError``."""
    payload = memoryview(data)[HEADER_BYTES:]
    body = max(0, len(payload) - hashlib.sha256().digest_size)
    digest = hashlib.sha256(payload[:body])
    body_sha256 = digest.digest()
    digest.update(payload[body:])
    if not hmac.compare_digest(digest.hexdigest(), header.payload_sha256):
        raise IntegrityError(
            "the payload does not have the hash its header gives", offset=HEADER_BYTES, field="payload hash"
        )
    return VerifiedPayload(payload, body_sha256)
