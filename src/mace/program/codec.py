"""Bytes to content and back: recognises a layout by content, unfolds it layer by layer, and folds it again.

Nothing here decides whom to trust and nothing touches a disk. Between the envelope and what is inside it stands
``gate``: it sees the verified header first and refuses by raising, so that no byte of a refused file is decrypted or
unfolded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mace.errors import ProgramFormatError
from mace.program import envelope, table
from mace.program.content import Bytes, ProgramContent
from mace.program.envelope import EnvelopeHeader
from mace.program.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from mace.program.encrypt import Secret


class FileLayout(StrEnum):
    """Every layout that carries the name ``mace_cl_compiled_program.bin``, and what may lie beside it."""

    ENVELOPE = "envelope"
    TABLE = "kernel table"
    UPSTREAM = "upstream MACE, v1.1.1 and later"
    UPSTREAM_OLD = "upstream MACE, v0.6.1 to v1.0.4"
    MOVIDIUS = "Movidius blob"


class Seal(NamedTuple):
    """What is known of a file before it is unfolded. ``digest`` names its bytes: the SHA-256 of an envelope's
    header, a kernel table's own trailing hash, the SHA-256 of everything in the other layouts.
    """

    layout: FileLayout
    digest: str
    header: EnvelopeHeader | None = None


Gate: TypeAlias = Callable[[Seal], None]


class ProgramFile(NamedTuple):
    """A file that was read: what it was wrapped in, and what it holds. ``nbytes`` is its size in bytes."""

    seal: Seal
    content: ProgramContent
    nbytes: int
    compressed: bool = False
    encrypted: bool = False

    @property
    def layout(self) -> FileLayout:
        return self.seal.layout


def recognise(data: Bytes) -> FileLayout:
    """The layout these bytes have, by content alone. Raises ``ProgramFormatError`` for none of them."""
    from mace.program import movidius, upstream

    if envelope.is_envelope(data):
        return FileLayout.ENVELOPE
    if table.is_table(data):
        return FileLayout.TABLE
    if movidius.is_blob(data):
        return FileLayout.MOVIDIUS
    generation = upstream.recognise(data)
    if generation is not None:
        return FileLayout.UPSTREAM if generation == "current" else FileLayout.UPSTREAM_OLD
    raise ProgramFormatError("is none of the layouts of a compiled-program file", offset=0, field="magic")


def digest_of(data: Bytes) -> str:
    """What names a file's bytes (:class:`Seal`), where they were verified before or have just been made."""
    if envelope.is_envelope(data):
        return envelope.parse_header(data).digest
    if table.is_table(data):
        return bytes(data[-table.HASH_BYTES :]).hex()
    return hashlib.sha256(data).hexdigest()


def decode_program(
    data: Bytes,
    *,
    verify: bool = True,
    secret: Secret | None = None,
    gate: Gate | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ProgramFile:
    """The content of a program file of any layout.

    ``verify=False`` leaves the hashes out: for bytes that were verified before and cannot have changed since. Payloads
    are views of ``data`` where it is neither compressed nor encrypted. Raises a ``ProgramFileError``, or what ``gate``
    raises.
    """
    view = memoryview(data)
    limits.check("file_bytes", len(view))
    if not envelope.is_envelope(view):
        return _decode_bare(view, verify, gate, limits)
    header = envelope.parse_header(view)
    payload, body_sha256 = view[envelope.HEADER_BYTES :], None
    if verify:
        body_sha256 = envelope.verify_payload(header, view).body_sha256
    seal = Seal(FileLayout.ENVELOPE, header.digest, header)
    if gate:
        gate(seal)
    base, encrypted, compressed = envelope.HEADER_BYTES, False, False
    if not table.is_table(payload):  # so that a plain file needs neither module
        from mace.program import compress, encrypt

        if encrypted := encrypt.is_encrypted(payload):
            payload, base = memoryview(encrypt.decrypt(payload, secret, limits=limits)), 0
        if compressed := compress.is_compressed(payload):
            payload, base = memoryview(compress.decompress(payload, limits=limits)), 0
    if not table.is_table(payload):
        raise ProgramFormatError("the envelope holds no kernel table", offset=base, field="payload")
    if compressed or encrypted:
        body_sha256 = None
    content = table.decode_table(payload, base=base, verify=verify, body_sha256=body_sha256, limits=limits)
    return ProgramFile(seal, content, len(view), compressed, encrypted)


class EncodedProgram(NamedTuple):
    """A file in pieces to be written in order, its envelope's header first; ``index_sha256`` names its index."""

    header: EnvelopeHeader
    payload: list[Bytes]
    entries: int
    index_sha256: str

    @property
    def pieces(self) -> list[Bytes]:
        return [self.header.encode(), *self.payload]

    def to_bytes(self) -> bytes:
        return b"".join(self.pieces)


def encode_program(
    content: ProgramContent, *, compressed: bool = False, secret: Secret | None = None
) -> EncodedProgram:
    """An unsigned envelope around the content. Equal content gives equal bytes, unless it is encrypted."""
    plain = not compressed and secret is None
    encoded = table.encode_table(content, base=envelope.HEADER_BYTES if plain else 0)
    payload = encoded.pieces
    if compressed:
        from mace.program import compress

        payload = [compress.compress(b"".join(payload))]
    if secret is not None:
        from mace.program import encrypt

        payload = [encrypt.encrypt(b"".join(payload), secret)]
    return EncodedProgram(envelope.header_for(payload), payload, len(content.entries), encoded.index_sha256)


def _decode_bare(view: memoryview, verify: bool, gate: Gate | None, limits: Limits) -> ProgramFile:
    layout = recognise(view)
    if layout is FileLayout.TABLE:
        seal = Seal(layout, digest_of(view))
        content = table.decode_table(view, verify=verify, limits=limits)
        if gate:
            gate(seal)
        return ProgramFile(seal, content, len(view))
    seal = Seal(layout, digest_of(view))
    if gate:
        gate(seal)
    if layout is FileLayout.MOVIDIUS:
        from mace.program import movidius

        return ProgramFile(seal, ProgramContent((movidius.blob_entry(view),)), len(view))
    from mace.program import upstream_content

    return ProgramFile(seal, upstream_content.from_upstream(view, limits=limits), len(view))
