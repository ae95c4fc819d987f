from __future__ import annotations

import hashlib
import struct

import pytest

from mace.errors import IntegrityError, ProgramFormatError
from mace.program.codec import FileLayout, decode_program, encode_program, recognise
from mace.program.content import ProgramContent
from mace.program.envelope import HEADER_BYTES, EnvelopeHeader, is_plausible_signature, parse_header


def test_fields_lie_where_the_layout_says(content: ProgramContent) -> None:
    """Magic, version, size, hash in hexadecimal text, and an empty signature."""
    data = encode_program(content).to_bytes()
    magic, version, size = struct.unpack_from("<4sIQ", data)
    assert (magic, version, size) == (b"MACE", 0x00010002, len(data))
    assert data[0x10:0x50] == hashlib.sha256(data[0x150:]).hexdigest().encode()
    assert data[0x50:0x150] == bytes(256)
    assert recognise(data) is FileLayout.ENVELOPE


def test_content_comes_back(content: ProgramContent) -> None:
    """An envelope around a table gives the content, and the bytes are the same every time."""
    assert decode_program(encode_program(content).to_bytes()).content == content
    assert encode_program(content).to_bytes() == encode_program(content).to_bytes()


def test_nothing_may_follow(content: ProgramContent) -> None:
    """One byte more than declared is refused."""
    with pytest.raises(IntegrityError, match="header says"):
        decode_program(encode_program(content).to_bytes() + b"\0")


def test_payload_hash_is_checked(content: ProgramContent) -> None:
    """A changed payload is refused."""
    data = bytearray(encode_program(content).to_bytes())
    data[-1] ^= 1
    with pytest.raises(IntegrityError, match="payload"):
        decode_program(bytes(data))


def test_hash_is_lower_case_text(content: ProgramContent) -> None:
    """The right hash in upper case is not the layout's."""
    data = bytearray(encode_program(content).to_bytes())
    data[0x10:0x50] = data[0x10:0x50].upper()
    with pytest.raises(ProgramFormatError, match="hexadecimal"):
        decode_program(bytes(data))


def test_what_is_no_table_is_refused() -> None:
    """An envelope around anything else is refused."""
    payload = b"something else entirely"
    header = EnvelopeHeader(HEADER_BYTES + len(payload), hashlib.sha256(payload).hexdigest())
    with pytest.raises(ProgramFormatError, match="kernel table"):
        decode_program(header.encode() + payload)


def test_signature_field_must_look_like_one() -> None:
    """All zero, DER and zeros, or 256 random bytes; a single flipped bit is none of them."""
    assert is_plausible_signature(bytes(256))
    assert is_plausible_signature(bytes.fromhex("3006020101020101") + bytes(248))
    assert is_plausible_signature(hashlib.shake_256(b"rsa").digest(256))
    assert not is_plausible_signature(bytes(255) + b"\1")
    assert not is_plausible_signature(bytes.fromhex("3006020101020101") + bytes(247) + b"\1")


def test_short_files_are_refused() -> None:
    """A header cut short says how long it should be."""
    with pytest.raises(ProgramFormatError, match="336"):
        parse_header(b"MACE")
