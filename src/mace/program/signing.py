"""RSA-PSS and ECDSA signatures in the envelope's 256 bytes. Clauses: docs/program-file.md, part S."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mace.errors import MissingExtraError, TrustError
from mace.program.envelope import SIGNATURE_BYTES, EnvelopeHeader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
    PublicKey = RSAPublicKey | EllipticCurvePublicKey

Algorithm = Literal["ecdsa", "rsa"]
RSA_BITS = 2048

_WRONG_KIND = "only RSA keys of 2048 bits and ECDSA keys on the curve P-256 are in use"


def generate_private(algorithm: Algorithm) -> PrivateKey:
    """A new key: ECDSA on P-256, or RSA of 2048 bits."""
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if algorithm == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def private_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """PKCS #8 in PEM, encrypted when there is a passphrase."""
    from cryptography.hazmat.primitives import serialization as ser

    protection = ser.BestAvailableEncryption(passphrase) if passphrase else ser.NoEncryption()
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, protection)


def public_pem(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in PEM."""
    from cryptography.hazmat.primitives import serialization as ser

    return key.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)


def load_private(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    """The private key in a PEM text. Raises ``TrustError`` for a wrong passphrase or a key of another kind."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as ser

    try:
        key = ser.load_pem_private_key(pem, passphrase)
    except TypeError:
        need = (
            "is protected and no passphrase was given" if passphrase is None else "has no passphrase, but one was given"
        )
        raise TrustError(f"the private key {need}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError("the private key cannot be read: wrong passphrase, or not a PEM key") from None
    return _known_private(key)


def load_public(pem: bytes) -> PublicKey:
    """The public key in a PEM text. Raises ``TrustError`` for a key of another kind."""
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as ser

    try:
        key = ser.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise TrustError("the public key cannot be read: not a PEM public key") from None
    return _known_public(key)


def key_id(key: PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo in DER, in hexadecimal."""
    from cryptography.hazmat.primitives import serialization as ser

    return hashlib.sha256(key.public_bytes(ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def algorithm_of(key: PublicKey) -> Algorithm:
    """Which of the two kinds a key is."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    return "rsa" if isinstance(key, RSAPublicKey) else "ecdsa"


def sign_header(header: EnvelopeHeader, key: PrivateKey) -> EnvelopeHeader:
    """The header with its signature (S1–S3)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        signature = key.sign(header.signed_bytes, pss, hashes.SHA256())
    else:
        signature = key.sign(header.signed_bytes, ec.ECDSA(hashes.SHA256()))
    return replace(header, signature=signature + bytes(SIGNATURE_BYTES - len(signature)))


def is_signed_by(header: EnvelopeHeader, key: PublicKey) -> bool:
    """Whether the header's signature is by this key. The key's kind says how the 256 bytes are read (S1)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
            key.verify(header.signature, header.signed_bytes, pss, hashes.SHA256())
        else:
            key.verify(_der(header.signature), header.signed_bytes, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(field: bytes) -> bytes:
    """The DER signature at the start of the field; what follows must be zero (S3). Raises ``ValueError``."""
    size = 2 + field[1]
    if field[0] != 0x30 or field[1] > 0x7F or any(field[size:]):
        raise ValueError("no DER signature")
    return field[:size]


def _known_private(key: object) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPrivateKey) and key.key_size == RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise TrustError(_WRONG_KIND)


def _known_public(key: object) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey) and key.key_size == RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise TrustError(_WRONG_KIND)


def require_cryptography() -> None:
    """Raises ``MissingExtraError`` where the package cryptography is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtraError("signatures need the package cryptography: pip install cryptography") from None
