"""Compression and encryption inside the envelope."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mace.errors import DecryptionError, LimitError, ProgramFormatError
from mace.program.codec import decode_program, encode_program
from mace.program.compress import compress, decompress
from mace.program.content import ProgramContent
from mace.program.encrypt import Secret, decrypt, encrypt
from mace.program.limits import Limits

KEY = Secret.raw(bytes(range(32)))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("secret", [None, KEY, Secret.passphrase("correct horse")])
def test_every_wrapping_comes_back(content: ProgramContent, compressed: bool, secret: Secret | None) -> None:
    """Content survives compression, encryption and both, and the reader says which there was."""
    data = encode_program(content, compressed=compressed, secret=secret).to_bytes()
    file = decode_program(data, secret=secret)
    assert file.content == content
    assert (file.compressed, file.encrypted) == (compressed, secret is not None)


def test_wrong_key(content: ProgramContent) -> None:
    """Another key is refused by a tag that does not hold."""
    data = encode_program(content, secret=KEY).to_bytes()
    with pytest.raises(DecryptionError, match="wrong"):
        decode_program(data, secret=Secret.raw(bytes(32)))


def test_missing_key(content: ProgramContent) -> None:
    """Without a key the error says what is missing."""
    with pytest.raises(DecryptionError, match="a key was not given"):
        decode_program(encode_program(content, secret=KEY).to_bytes())
    with pytest.raises(DecryptionError, match="passphrase, not a key"):
        decode_program(encode_program(content, secret=Secret.passphrase("x")).to_bytes(), secret=KEY)


@pytest.mark.parametrize("offset", [8, 12, 16, 20, 24, 33, 49, 60])
def test_header_is_authenticated(offset: int) -> None:
    """A change anywhere in the encryption header is refused."""
    data = bytearray(encrypt(b"payload", Secret.passphrase("x")))
    data[offset] ^= 1
    with pytest.raises((DecryptionError, ProgramFormatError, LimitError)):
        decrypt(bytes(data), Secret.passphrase("x"))


def test_scrypt_cannot_be_made_to_eat_memory() -> None:
    """A header that asks for gigabytes is refused before any are taken."""
    data = bytearray(encrypt(b"payload", Secret.passphrase("x")))
    struct.pack_into("<I", data, 12, 24)
    with pytest.raises(LimitError, match="memory"):
        decrypt(bytes(data), Secret.passphrase("x"))


def test_key_files(tmp_path: Path) -> None:
    """A key file holds 32 bytes or their hexadecimal digits; anything else is refused."""
    path = tmp_path / "key"
    path.write_bytes(KEY.value)
    assert Secret.file(path) == KEY
    path.write_text(KEY.value.hex() + "\n")
    assert Secret.file(path) == KEY
    path.write_text("short")
    with pytest.raises(DecryptionError, match="32 bytes"):
        Secret.file(path)


def test_secrets_do_not_show() -> None:
    """A secret's text form holds nothing of it."""
    assert "horse" not in repr(Secret.passphrase("horse"))


def test_zstd_bombs_are_refused() -> None:
    """A frame that would unfold beyond the limit is refused by its own header."""
    frame = compress(bytes(1 << 20))
    with pytest.raises(LimitError, match="decompressed_bytes"):
        decompress(frame, limits=Limits(decompressed_bytes=1 << 16))


def test_a_frame_without_its_size_is_refused() -> None:
    """The size must be known before memory is taken."""
    import zstandard

    stream = zstandard.ZstdCompressor(write_content_size=False).compress(b"abc")
    with pytest.raises(ProgramFormatError, match="content size"):
        decompress(stream)


def test_nothing_follows_a_frame() -> None:
    """A second frame behind the first is refused."""
    with pytest.raises(ProgramFormatError, match="follows"):
        decompress(compress(b"abc") + compress(b"def"))


def test_a_cut_frame_is_refused() -> None:
    """Every truncation of a frame is an error of ours."""
    frame = compress(b"abc" * 100)
    for size in range(4, len(frame)):
        with pytest.raises(ProgramFormatError):
            decompress(frame[:size])
