"""Key files and the trust store: which public keys this user trusts to sign program files, until when."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mace.errors import StorageError, TrustError
from mace.files.atomic import atomic_write
from mace.files.folders import is_private, make_private, read_private, state_folder
from mace.program import signing
from mace.program.envelope import EnvelopeHeader
from mace.program.signing import Algorithm

KEY_FILE_BYTES_MAX = 64 << 10
"""Bytes of a key file that are read."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key in the trust store. Times are ISO 8601 in UTC; ``expires`` None = never."""

    id: str
    name: str
    algorithm: str
    public_pem: str
    added: str
    expires: str | None = None
    revoked: str | None = None

    def status(self, now: datetime) -> str:
        """``trusted``, ``expired`` or ``revoked``."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and datetime.fromisoformat(self.expires) <= now else "trusted"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a new key, and its identifier."""

    private: Path
    public: Path
    id: str


def generate_keys(
    path: str | os.PathLike[str],
    *,
    passphrase: str | None,
    algorithm: Algorithm = "ecdsa",
    unprotected: bool = False,
) -> KeyPair:
    """Write a new private key (mode 0600) to ``path`` and its public key beside it, with ``.pub`` added.

    Raises ``ValueError`` without a passphrase unless ``unprotected`` says so, ``StorageError`` where a file exists
    already.
    """
    if not passphrase and not unprotected:
        raise ValueError("a private key needs a passphrase; unprotected=True goes without")
    private = Path(path)
    public = private.with_name(private.name + ".pub")
    for file in (private, public):
        if file.exists() or file.is_symlink():
            raise StorageError("exists already, and a key is never overwritten", path=file)
    key = signing.generate_private(algorithm)
    atomic_write(private, [signing.private_pem(key, passphrase.encode() if passphrase else None)], mode=0o600)
    atomic_write(public, [signing.public_pem(key.public_key())])
    return KeyPair(private, public, signing.key_id(key.public_key()))


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a key file. Raises ``StorageError``."""
    try:
        with Path(path).open("rb") as file:
            return file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error


class TrustStore:
    """Trusted public keys, one small file each, in a private folder. Without a private folder nothing is trusted."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else Path(state_folder(), "trust")

    def keys(self) -> tuple[TrustedKey, ...]:
        """Every key, revoked and expired ones too, in the order of their names."""
        found = []
        if is_private(self.folder):
            for path in self.folder.glob("*.json"):
                with suppress(OSError, ValueError, TypeError):
                    found.append(TrustedKey(**json.loads(read_private(path, KEY_FILE_BYTES_MAX))))
        return tuple(sorted(found, key=lambda k: (k.name, k.id)))

    def trust(self, public_pem: bytes, *, name: str, expires: datetime | None = None) -> TrustedKey:
        """Trust a key, or trust it anew with another name or end. Raises ``TrustError`` or ``StorageError``."""
        key = signing.load_public(public_pem)
        pem = signing.public_pem(key).decode()
        if expires is not None and expires.tzinfo is None:
            raise ValueError("the end of trust needs a time zone")
        end = expires.astimezone(UTC).isoformat() if expires else None
        added = datetime.now(UTC).isoformat(timespec="seconds")
        return self._put(TrustedKey(signing.key_id(key), name, signing.algorithm_of(key), pem, added, end))

    def revoke(self, key: str) -> TrustedKey:
        """Never trust a key again, given by name or by the start of its identifier. Raises ``TrustError`` if none
        fits.
        """
        found = [k for k in self.keys() if k.name == key or (len(key) >= 8 and k.id.startswith(key))]
        if len(found) != 1:
            raise TrustError(f"{len(found)} keys of the trust store are called '{key}'")
        return self._put(replace(found[0], revoked=datetime.now(UTC).isoformat(timespec="seconds")))

    def signer(self, header: EnvelopeHeader, *, now: datetime | None = None) -> TrustedKey:
        """The trusted key that signed. Raises ``TrustError`` that says which rule was broken."""
        if not header.is_signed:
            raise TrustError("the file is not signed", field="signature")
        for key in self.keys():
            if signing.is_signed_by(header, signing.load_public(key.public_pem.encode())):
                status = key.status(now or datetime.now(UTC))
                if status != "trusted":
                    when = key.revoked or key.expires
                    raise TrustError(
                        f"the file is signed by '{key.name}', whose key is {status} ({when})", field="signature"
                    )
                return key
        raise TrustError("the signature is by no key of the trust store, or over other bytes", field="signature")

    def _put(self, key: TrustedKey) -> TrustedKey:
        if not make_private(self.folder):
            raise StorageError("is not a folder that only this user can use", path=self.folder)
        atomic_write(self.folder / f"{key.id}.json", [json.dumps(asdict(key), indent=1).encode()], mode=0o600)
        return key
