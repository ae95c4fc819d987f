"""Open a program file to be used: verified, trusted, and not verified again while it stays the same.

The result's payloads are the bytes that were verified: a mapping of a file that only this user and the administrator
can change, or memory of ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from mace.errors import IntegrityError, LimitError, ProgramFileError, ProgramFormatError, TrustError
from mace.files.mapping import OpenedFile, open_file
from mace.files.stamps import StampBook
from mace.program import envelope, table
from mace.program.codec import FileLayout, ProgramFile, Seal, decode_program, encode_program
from mace.program.content import Bytes, Entry, ProgramContent
from mace.program.files import SavedProgram, placed, write_encoded
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.trust import Origin, Trust, Verdict

if TYPE_CHECKING:
    from mace.program.encrypt import Secret

OWN_INDEX_STAMP = "own-index"


class TrustedProgram(NamedTuple):
    """A program file whose bytes may reach a driver."""

    where: str
    file: ProgramFile
    verdict: Verdict
    verified_before: bool
    """Whether the hashes were found right at an earlier start and the file has not changed since."""


def open_trusted(
    source: str | os.PathLike[str] | Bytes,
    trust: Trust,
    *,
    secret: Secret | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> TrustedProgram:
    """Open a file, or bytes handed in. Raises ``StorageError`` or a ``ProgramFileError`` that names the file."""
    if isinstance(source, bytes | memoryview | bytearray):
        return _open_bytes(memoryview(bytes(source)), "bytes handed in", trust, None, secret, limits)
    opened = open_file(source, max_bytes=limits.file_bytes)
    stamps = trust.stamps or StampBook()
    known = stamps.file_digest(opened.state) if opened.stable else None
    try:
        program = _open_bytes(opened.data, opened.path, trust, known, secret, limits)
    except ProgramFileError as error:
        raise placed(error, opened.path) from error
    if known is None and opened.stable:
        stamps.stamp_file(opened.state, program.file.seal.digest)
    return program


def _open_bytes(
    data: memoryview, where: str, trust: Trust, known: str | None, secret: Secret | None, limits: Limits
) -> TrustedProgram:
    verdicts: list[Verdict] = []

    def gate(seal: Seal) -> None:
        if known is not None and seal.digest != known:
            raise IntegrityError("the file is not the one that was verified", field="payload hash")
        verdicts.append(trust.judge(seal))

    file = decode_program(data, verify=known is None, secret=secret, gate=gate, limits=limits)
    return TrustedProgram(where, file, verdicts[0], known is not None)


def salvage(opened: OpenedFile, trust: Trust, *, limits: Limits = DEFAULT_LIMITS) -> TrustedProgram:
    """What is intact of a damaged file of this user's own store; perhaps nothing.

    A section is taken over when the file's index is one that mace wrote for this user, and the section has the hash that
    the index gives. Raises a ``ProgramFileError`` when the index is damaged, or the file is compressed or encrypted.
    """
    data, base = opened.data, 0
    if envelope.is_envelope(data):
        data, base = data[envelope.HEADER_BYTES :], envelope.HEADER_BYTES
    index = table.decode_index(data, base=base, limits=limits)
    if not opened.is_own or (trust.stamps or StampBook()).get(OWN_INDEX_STAMP, index.sha256) is None:
        raise TrustError("the index of the damaged file is not one that mace wrote here", path=opened.path)
    content = ProgramContent(tuple(e for e in index.content.entries if _is_intact(e)))
    file = ProgramFile(Seal(FileLayout.ENVELOPE if base else FileLayout.TABLE, ""), content, len(opened.data))
    return TrustedProgram(opened.path, file, Verdict(Origin.OWN), False)


def save_own(
    path: str | os.PathLike[str],
    content: ProgramContent,
    trust: Trust,
    *,
    compressed: bool = False,
    secret: Secret | None = None,
    mode: int = 0o644,
) -> SavedProgram:
    """Write a file and remember that this user's mace wrote it. Raises ``StorageError``.

    It is noted as own before it is written, so that a process killed in between leaves no file that is not trusted.
    """
    encoded = encode_program(content, compressed=compressed, secret=secret)
    stamps = trust.stamps or StampBook()
    trust.note_own(encoded.header.digest)
    stamps.put(OWN_INDEX_STAMP, encoded.index_sha256, {})
    saved = write_encoded(path, encoded, mode=mode)
    stamps.stamp_file(saved.state, saved.digest, wait=True)
    return saved


def is_damage(error: ProgramFileError) -> bool:
    """Whether the error means that the bytes are broken, rather than foreign, locked or not trusted."""
    return isinstance(error, IntegrityError | ProgramFormatError | LimitError)


def _is_intact(entry: Entry) -> bool:
    try:
        entry.verify()
    except IntegrityError:
        return False
    return True
