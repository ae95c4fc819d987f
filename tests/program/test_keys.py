from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mace.errors import IntegrityError, ProgramFormatError, StorageError, TrustError
from mace.program import envelope
from mace.program.content import ProgramContent
from mace.program.conversion import encode_as
from mace.program.files import read_program, write_program
from mace.program.keys import KeyPair, TrustStore, generate_keys
from mace.program.signatures import sign_file, verify_file
from mace.program.signing import Algorithm


@pytest.fixture(params=["ecdsa", "rsa"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> KeyPair:
    """A key pair of each kind, protected by a passphrase."""
    algorithm: Algorithm = request.param
    return generate_keys(tmp_path / "key.pem", passphrase="open sesame", algorithm=algorithm)


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    """An empty trust store."""
    return TrustStore(tmp_path / "trust")


@pytest.fixture
def file(tmp_path: Path, content: ProgramContent) -> Path:
    """An unsigned program file."""
    return write_program(tmp_path / "program.bin", content).path


def test_key_files_are_private_and_protected(pair: KeyPair) -> None:
    """The private key has mode 0600 and is encrypted."""
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in pair.private.read_bytes()


def test_a_passphrase_is_the_default(tmp_path: Path) -> None:
    """Going without must be said."""
    with pytest.raises(ValueError, match="passphrase"):
        generate_keys(tmp_path / "k", passphrase=None)
    assert generate_keys(tmp_path / "k", passphrase=None, unprotected=True).private.exists()
    with pytest.raises(StorageError, match="never overwritten"):
        generate_keys(tmp_path / "k", passphrase=None, unprotected=True)


def test_signed_and_verified(pair: KeyPair, store: TrustStore, file: Path, content: ProgramContent) -> None:
    """A signature by a trusted key names the key, and the content is as before."""
    store.trust(pair.public.read_bytes(), name="builder")
    assert sign_file(file, pair.private, passphrase="open sesame") == pair.id
    assert verify_file(file, store).name == "builder"
    assert read_program(file).content == content


def test_unsigned(store: TrustStore, file: Path) -> None:
    """An unsigned file is refused by the name of the rule."""
    with pytest.raises(TrustError, match="not signed"):
        verify_file(file, store)


def test_unknown_key(pair: KeyPair, store: TrustStore, file: Path) -> None:
    """A key nobody trusts does not count."""
    sign_file(file, pair.private, passphrase="open sesame")
    with pytest.raises(TrustError, match="no key of the trust store"):
        verify_file(file, store)


def test_wrong_passphrase(pair: KeyPair, file: Path) -> None:
    """A wrong or missing passphrase is told from a broken key."""
    with pytest.raises(TrustError, match="passphrase"):
        sign_file(file, pair.private, passphrase="wrong")
    with pytest.raises(TrustError, match="no passphrase was given"):
        sign_file(file, pair.private)


def test_expired_and_revoked(pair: KeyPair, store: TrustStore, file: Path) -> None:
    """An expired trust and a revoked key are refused by name."""
    sign_file(file, pair.private, passphrase="open sesame")
    store.trust(pair.public.read_bytes(), name="old", expires=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(TrustError, match="'old', whose key is expired"):
        verify_file(file, store)
    store.trust(pair.public.read_bytes(), name="old", expires=datetime.now(UTC) + timedelta(days=1))
    assert verify_file(file, store).name == "old"
    store.revoke("old")
    with pytest.raises(TrustError, match="revoked"):
        verify_file(file, store)
    with pytest.raises(TrustError, match="0 keys"):
        store.revoke("nobody")


def test_swapped_payload(pair: KeyPair, store: TrustStore, file: Path) -> None:
    """Another payload under the same header does not have the signed hash."""
    store.trust(pair.public.read_bytes(), name="builder")
    sign_file(file, pair.private, passphrase="open sesame")
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError):
        verify_file(file, store)


def test_signature_over_other_bytes(pair: KeyPair, store: TrustStore, file: Path, content: ProgramContent) -> None:
    """A signature moved to another file is refused."""
    store.trust(pair.public.read_bytes(), name="builder")
    sign_file(file, pair.private, passphrase="open sesame")
    signature = file.read_bytes()[0x50:0x150]
    other = write_program(file.with_name("other.bin"), ProgramContent(content.entries[:1])).path
    data = other.read_bytes()
    other.write_bytes(data[:0x50] + signature + data[0x150:])
    with pytest.raises(TrustError, match="over other bytes"):
        verify_file(other, store)


def test_every_flip_in_a_signature_is_refused(pair: KeyPair, store: TrustStore, file: Path) -> None:
    """No bit of the 256 bytes can change."""
    store.trust(pair.public.read_bytes(), name="builder")
    sign_file(file, pair.private, passphrase="open sesame")
    data = file.read_bytes()
    for bit in range(0, 256 * 8, 13):
        changed = bytearray(data)
        changed[0x50 + bit // 8] ^= 1 << bit % 8
        with pytest.raises((TrustError, ProgramFormatError)):
            store.signer(envelope.parse_header(bytes(changed)))


def test_only_envelopes_are_signed(pair: KeyPair, file: Path, content: ProgramContent) -> None:
    """A bare table has no room for a signature, and the error says what to do."""
    file.write_bytes(encode_as(content, "table"))
    with pytest.raises(ProgramFormatError, match="Convert the file first"):
        sign_file(file, pair.private, passphrase="open sesame")


def test_a_trust_store_others_can_write_is_not_trusted(pair: KeyPair, store: TrustStore, file: Path) -> None:
    """Once the folder is open to others, no key in it counts."""
    store.trust(pair.public.read_bytes(), name="builder")
    sign_file(file, pair.private, passphrase="open sesame")
    store.folder.chmod(0o777)
    with pytest.raises(TrustError):
        verify_file(file, store)


def test_other_kinds_of_keys_are_refused(store: TrustStore) -> None:
    """Only the two kinds in use go into the store."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

    from mace.program.signing import public_pem

    with pytest.raises(TrustError, match="P-256"):
        store.trust(public_pem(generate_private_key(SECP384R1()).public_key()), name="x")
