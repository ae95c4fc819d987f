"""Sign a program file on disk, and say who signed one."""

from __future__ import annotations

import os

from mace.errors import ProgramFileError, ProgramFormatError
from mace.files.atomic import atomic_write
from mace.files.mapping import open_file
from mace.program import envelope, signing
from mace.program.files import placed
from mace.program.keys import TrustedKey, TrustStore, read_key_file
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.trust import Trust


def sign_file(
    path: str | os.PathLike[str],
    private_key: str | os.PathLike[str],
    *,
    passphrase: str | None = None,
    trust: Trust | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Put a signature into an envelope's header; the identifier of the key that signed.

    The file is verified first and replaced atomically; an own file stays one. Raises ``TrustError`` for a key that
    cannot be used, and ``ProgramFileError`` or ``StorageError`` for the file.
    """
    key = signing.load_private(read_key_file(private_key), passphrase.encode() if passphrase else None)
    opened = open_file(path, max_bytes=limits.file_bytes)
    try:
        if not envelope.is_envelope(opened.data):
            raise ProgramFormatError("only an envelope has room for a signature", hint="Convert the file first")
        header = envelope.parse_header(opened.data)
        payload = envelope.verify_payload(header, opened.data).data
    except ProgramFileError as error:
        raise placed(error, path) from error
    signed = signing.sign_header(header, key)
    atomic_write(path, [signed.encode(), payload], mode=opened.state.st_mode & 0o777)
    judge = trust or Trust()
    if judge.is_own(header.digest):
        judge.note_own(signed.digest)
    return signing.key_id(key.public_key())


def verify_file(
    path: str | os.PathLike[str], store: TrustStore | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> TrustedKey:
    """The trusted key that signed a file whose hashes hold. Raises ``TrustError`` or another ``ProgramFileError``."""
    opened = open_file(path, max_bytes=limits.file_bytes)
    try:
        if not envelope.is_envelope(opened.data):
            raise ProgramFormatError("only an envelope can be signed")
        header = envelope.parse_header(opened.data)
        envelope.verify_payload(header, opened.data)
        return (store or TrustStore()).signer(header)
    except ProgramFileError as error:
        raise placed(error, path) from error
