from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mace.errors import ProgramFormatError
from mace.program.codec import FileLayout, decode_program, encode_program
from mace.program.conversion import extract_section
from mace.program.movidius import read_facts


def blob(size: int = 416 + 64, **changes: int) -> bytes:
    """The smallest blob there can be: an ELF-like header, twenty numbers, zeros."""
    facts = [9709, size, 6, 0, 1, 1, 3, 64, 64, 1, 4096, 8, 8, 1, 1, 0, 416, 416, 416, 416]
    for place, value in changes.items():
        facts[int(place[1:])] = value
    elf = b"\x7felf" + bytes(12) + struct.pack("<HHIIIIIHHHHHH", 1, 2, 2, 0, 0, 0, 0, 416, 0, 0, 0, 0, 0)
    return (elf + struct.pack("<20I", *facts)).ljust(size, b"\0")


def test_header_facts() -> None:
    """Counts, sizes and flags are read from where they are."""
    facts = read_facts(blob())
    assert (facts.stages, facts.shaves, facts.cmx_slices, facts.has_hw, facts.has_dma) == (3, 8, 8, 1, 0)


def test_kept_and_extracted_unchanged(tmp_path: Path) -> None:
    """A blob goes into a program file and comes out byte for byte, its facts beside it."""
    file = decode_program(blob())
    assert file.layout is FileLayout.MOVIDIUS
    back = decode_program(encode_program(file.content).to_bytes()).content
    assert back.entries[0].meta["movidius"]["stages"] == 3
    extract_section(back, back.entries[0].key, tmp_path / "net.blob")
    assert (tmp_path / "net.blob").read_bytes() == blob()


@pytest.mark.parametrize("change", [{"_0": 1}, {"_1": 3}, {"_16": 1 << 20}, {"_19": 1 << 31}])
def test_facts_that_cannot_be(change: dict[str, int]) -> None:
    """A wrong magic, a wrong size and offsets outside are refused."""
    with pytest.raises(ProgramFormatError):
        decode_program(blob(**change))


def test_empty_and_cut_blobs() -> None:
    """Every cut shows in the header's size."""
    for size in (16, 52, 131, 400):
        with pytest.raises(ProgramFormatError):
            decode_program(blob()[:size])
