"""AES-256-GCM around a payload, with an authenticated header. Clauses: docs/program-file.md, part C."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from mace.errors import DecryptionError, LimitError, MissingExtraError, ProgramFormatError
from mace.program.content import Bytes
from mace.program.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"MCEN"
VERSION = 0x0001_0000
KEY_BYTES = 32
TAG_BYTES = 16

_HEADER = struct.Struct("<4sIIIIIQ16s12s4s")
_RAW, _SCRYPT = 0, 1
_LOG_N, _R, _P = 15, 8, 1
"""scrypt's cost: 32 MiB and about a tenth of a second."""

Source: TypeAlias = Literal["raw", "scrypt"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What a file is encrypted with: 32 raw bytes, or a passphrase that scrypt makes them from."""

    source: Source
    value: bytes

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    @classmethod
    def raw(cls, key: bytes) -> Secret:
        """A key of 32 bytes. Raises ``ValueError`` for another length."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"an AES-256 key has {KEY_BYTES} bytes, not {len(key)}")
        return cls("raw", bytes(key))

    @classmethod
    def passphrase(cls, text: str) -> Secret:
        """A passphrase. Raises ``ValueError`` for an empty one."""
        if not text:
            raise ValueError("the passphrase is empty")
        return cls("scrypt", text.encode())

    @classmethod
    def file(cls, path: str | os.PathLike[str]) -> Secret:
        """The key in a file: 32 bytes, or 64 hexadecimal digits. Raises ``DecryptionError``."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(1024)
        except OSError as error:
            raise DecryptionError(f"the key file cannot be read: {error.strerror}", path=path) from error
        if len(data) != KEY_BYTES:
            try:
                data = bytes.fromhex(data.decode("ascii").strip())
            except ValueError:
                data = b""
        if len(data) != KEY_BYTES:
            raise DecryptionError("a key file holds 32 bytes or 64 hexadecimal digits", path=path)
        return cls("raw", data)


def is_encrypted(data: Bytes) -> bool:
    """Whether these bytes begin like an encryption header (C1)."""
    return bytes(data[:4]) == MAGIC


def encrypt(payload: Bytes, secret: Secret, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Header, cipher text and tag. Salt and nonce are new each time, so equal input gives different bytes."""
    limits.check("encrypted_bytes", len(payload))
    salt, nonce = os.urandom(16), os.urandom(12)
    if secret.source == "raw":
        header = _HEADER.pack(MAGIC, VERSION, _RAW, 0, 0, 0, len(payload), bytes(16), nonce, bytes(4))
    else:
        header = _HEADER.pack(MAGIC, VERSION, _SCRYPT, _LOG_N, _R, _P, len(payload), salt, nonce, bytes(4))
    key = secret.value if secret.source == "raw" else _derive(secret.value, salt, _LOG_N, _R, _P)
    return header + _cipher(key).encrypt(nonce, bytes(payload), header)


def decrypt(data: Bytes, secret: Secret | None, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The payload. Raises ``DecryptionError``, ``ProgramFormatError`` or ``LimitError``."""
    if len(data) < _HEADER.size + TAG_BYTES:
        raise ProgramFormatError("the encryption header is cut short", field="encryption header")
    magic, version, kdf, log_n, r, p, size, salt, nonce, reserved = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION or kdf not in (_RAW, _SCRYPT) or any(reserved):  # C1, C2
        raise ProgramFormatError("the encryption header is not one this version knows", field="encryption header")
    if len(data) != _HEADER.size + size + TAG_BYTES:  # C3
        raise ProgramFormatError(f"the cipher text should have {size} bytes", field="encryption header")
    limits.check("encrypted_bytes", size)
    if kdf == _SCRYPT:  # C4: bounded before scrypt allocates
        if not (1 <= log_n <= 30 and r >= 1 and p >= 1) or (128 * r) << log_n > limits.scrypt_bytes:
            raise LimitError("the encryption header asks for too much memory", field="scrypt_bytes")
        limits.check("scrypt_rounds", p)
    if secret is None:
        wanted = "a passphrase" if kdf == _SCRYPT else "a key"
        raise DecryptionError(f"the file is encrypted and {wanted} was not given", field="encryption header")
    if (secret.source == "scrypt") != (kdf == _SCRYPT):
        raise DecryptionError(
            "the file is encrypted with a passphrase, not a key"
            if kdf == _SCRYPT
            else "the file is encrypted with a key, not a passphrase"
        )
    key = _derive(secret.value, salt, log_n, r, p) if kdf == _SCRYPT else secret.value
    from cryptography.exceptions import InvalidTag

    view = memoryview(data)
    try:
        return _cipher(key).decrypt(nonce, bytes(view[_HEADER.size :]), bytes(view[: _HEADER.size]))
    except InvalidTag:
        raise DecryptionError("the key is wrong, or the file was changed", field="encryption tag") from None


def _derive(passphrase: bytes, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    import hashlib

    return hashlib.scrypt(
        passphrase, salt=salt, n=1 << log_n, r=r, p=p, maxmem=((128 * r) << log_n) + (1 << 26), dklen=KEY_BYTES
    )


def _cipher(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingExtraError(
            "an encrypted program file needs the package cryptography: pip install cryptography"
        ) from None
    return AESGCM(key)
