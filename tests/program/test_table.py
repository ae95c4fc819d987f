from __future__ import annotations

import hashlib
import struct

import pytest

from mace.errors import IntegrityError, LimitError, ProgramFormatError
from mace.program.content import Entry, KernelRecord, ProgramContent
from mace.program.limits import Limits
from mace.program.table import NO_DEVICE, decode_index, decode_table, encode_table


def encoded(content: ProgramContent, base: int = 0) -> bytes:
    return b"".join(encode_table(content, base=base).pieces)


def resealed(data: bytes) -> bytes:
    """The same table with a hash that holds again."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_content_comes_back(content: ProgramContent) -> None:
    """What was encoded is decoded, payloads and kernel records included."""
    back = decode_table(encoded(content))
    assert back == content
    assert [bytes(e.payload) for e in back.entries] == [bytes(e.payload) for e in content.entries]


def test_header_fields(content: ProgramContent) -> None:
    """The header has magic, version, kernel count, binary size and table offset where the layout says."""
    magic, version, kernels, size, table = struct.unpack_from("<4sIIII", encoded(content))
    assert (magic, version, kernels, size) == (b"MCLP", 0x00010000, 2, content.nbytes)
    assert 0x14 < table < len(encoded(content)) - 32


def test_hash_ends_the_table(content: ProgramContent) -> None:
    """The last 32 bytes are the SHA-256 of everything before."""
    data = encoded(content)
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()


@pytest.mark.parametrize("base", [0, 0x150])
def test_sections_are_aligned_in_the_file(content: ProgramContent, base: int) -> None:
    """Weights lie at multiples of 4096 of the file and other sections of 64, whatever comes before the table."""
    data = encoded(content, base)
    for e in content.entries:
        at = base + data.index(bytes(e.payload))
        assert at % (4096 if e.kind == "weights" else 64) == 0


def test_other_magic_is_read(content: ProgramContent) -> None:
    """A reader takes MACE with the table's version as well."""
    assert decode_table(resealed(b"MACE" + encoded(content)[4:])) == content


def test_empty_table_of_the_bare_layout() -> None:
    """A header, no sections and a hash are a valid file of nothing."""
    header = struct.pack("<4sIIII", b"MCLP", 0x00010000, 0, 0, 0x14)
    assert decode_table(header + hashlib.sha256(header).digest()) == ProgramContent()
    assert decode_table(encoded(ProgramContent())) == ProgramContent()


def test_equal_content_gives_equal_bytes(content: ProgramContent) -> None:
    """The order in which entries were added does not show."""
    assert encoded(ProgramContent(tuple(reversed(content.entries)))) == encoded(content)


def test_movidius_facts_lie_in_a_vendor_header() -> None:
    """A blob's header facts come back as its meta data."""
    blob = ProgramContent((Entry.make("blob", "net", b"blob", meta={"movidius": {"shaves": 8}, "note": "x"}),))
    data = encoded(blob)
    assert b"MVID" in data
    assert decode_table(data).entries[0].meta == {"movidius": {"shaves": 8}, "note": "x"}


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (0x08, 1 << 30, LimitError),  # kernels
        (0x0C, 1, ProgramFormatError),  # binary size
        (0x10, 0xFFFFFFF0, ProgramFormatError),  # table offset beyond the file
        (0x10, 0x04, ProgramFormatError),  # table offset inside the header
    ],
)
def test_header_fields_are_checked(content: ProgramContent, offset: int, value: int, error: type[Exception]) -> None:
    """A header field that cannot be true is refused even behind a hash that holds."""
    data = bytearray(encoded(content))
    struct.pack_into("<I", data, offset, value)
    with pytest.raises(error):
        decode_table(resealed(bytes(data)), verify=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [(4, 9), (8, 0), (8, 0xFFFFFFF0), (12, 0xFFFFFFFF), (12, 1 << 20), (16, 0), (16, 1 << 31), (20, 1 << 30)],
)
def test_section_fields_are_checked(content: ProgramContent, field: int, value: int) -> None:
    """Owner, offset, size and lengths of a section record are bounded before they are believed."""
    data = bytearray(encoded(content))
    table = struct.unpack_from("<I", data, 0x10)[0]
    struct.pack_into("<I", data, table + 40 + field, value)
    with pytest.raises((ProgramFormatError, LimitError)):
        decode_table(resealed(bytes(data)), verify=False)


def test_padding_must_be_zero(content: ProgramContent) -> None:
    """Nothing can hide between sections."""
    data = bytearray(encoded(content))
    at = data.index(bytes(content.entries[-1].payload)) - 1
    data[at] = 1
    with pytest.raises(ProgramFormatError, match="padding"):
        decode_table(resealed(bytes(data)), verify=False)


def test_section_hash_is_checked(content: ProgramContent) -> None:
    """A payload that was changed behind a hash that holds again is found by its section's hash."""
    data = bytearray(encoded(content))
    data[data.index(b"\x7fELF") + 9] ^= 0x10
    with pytest.raises(IntegrityError, match="program section"):
        decode_table(resealed(bytes(data)))


def test_index_hash_is_checked(content: ProgramContent) -> None:
    """A work-group size changed behind a hash that holds again is found by the index's hash."""
    data = bytearray(encoded(content))
    at = data.index(struct.pack("<III", 8, 4, 0))
    data[at] = 9
    with pytest.raises(IntegrityError, match="index"):
        decode_index(resealed(bytes(data)))


def test_limits_are_settings(content: ProgramContent) -> None:
    """A smaller limit refuses what the default accepts, and names itself."""
    with pytest.raises(LimitError, match="sections"):
        decode_table(encoded(content), limits=Limits(sections=2))


def test_device_independent_entries_have_no_owner(content: ProgramContent) -> None:
    """Weights are stored without a device."""
    assert struct.pack("<4sI", b"WGHT", NO_DEVICE) in encoded(content)


def test_work_groups_have_three_extents_at_most(content: ProgramContent) -> None:
    """A kernel record that cannot be written is refused by name."""
    bad = Entry.make("program", "k", b"x", kernels=[KernelRecord("many", local_size=(1, 2, 3, 4))])
    with pytest.raises(ValueError, match="many"):
        encode_table(ProgramContent((bad,)))
