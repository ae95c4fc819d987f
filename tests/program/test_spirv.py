"""SPIR-V in a program file: what is recognised as such, and in which order it is looked for.

The specimen is what rusticl of Mesa 22.3 returned as the binary of
``__kernel void twice(__global float *x) { size_t i = get_global_id(0); x[i] = x[i] + x[i]; }``.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mace.device import DeviceIdentity
from mace.program.codec import encode_program
from mace.program.content import OUTPUTS, Entry, EntryKind, ProgramContent
from mace.program.library import ProgramLibrary
from mace.program.reasons import Reason
from mace.program.spirv import HEAD_BYTES_MAX, count_spirv, spirv_in, spirv_of
from mace.program.trust import Trust

RUSTICL = Path(__file__).with_name("specimens") / "twice.rusticl-22.3.bin"
BARE = struct.pack("<5I", 0x07230203, 0x10000, 0, 8, 0)


def test_a_driver_s_binary_that_is_spirv() -> None:
    """Behind rusticl's twelve bytes, of which the second word is its size, the module is found whole."""
    binary = RUSTICL.read_bytes()
    module = spirv_in(binary)
    assert module is not None
    assert len(module) == struct.unpack_from("<I", binary, 4)[0] == len(binary) - 12
    assert bytes(spirv_in(module) or b"") == bytes(module)


@pytest.mark.parametrize(
    "binary",
    [
        b"",
        b"\x7fELF" + bytes(100),
        BARE[:16],
        BARE + b"x",  # no whole words
        struct.pack("<5I", 0x07230203, 0x20000, 0, 8, 0),  # another major version
        struct.pack("<5I", 0x07230203, 0x10700, 0, 8, 0),  # a later minor version
        struct.pack("<5I", 0x07230203, 0x10000, 0, 0, 0),  # no ids
        struct.pack("<5I", 0x07230203, 0x10000, 0, 8, 1),  # another schema
        struct.pack(">5I", 0x07230203, 0x10000, 0, 8, 0),  # the other byte order
        bytes(HEAD_BYTES_MAX + 4) + BARE,  # deep inside something else
    ],
)
def test_what_is_no_spirv(binary: bytes) -> None:
    """The header must be right in every word."""
    assert spirv_in(binary) is None


def test_header_alone() -> None:
    """The bare header is a module, right away and behind as many bytes as are looked past."""
    assert bytes(spirv_in(BARE) or b"") == BARE
    assert bytes(spirv_in(bytes(HEAD_BYTES_MAX) + BARE) or b"") == BARE


def _library(content: ProgramContent, device: DeviceIdentity, trust: Trust, **more: Any) -> ProgramLibrary:
    data = encode_program(content).to_bytes()
    return ProgramLibrary(device, programs=[data], trust=replace(trust, policy="any"), **more)


def test_sections_go_before_binaries(identity: DeviceIdentity) -> None:
    """A section of its own comes first; a binary keeps the note of what it computes."""
    binary, noted = RUSTICL.read_bytes(), {"a" * 32: "b" * 32}
    given = Entry.make("program", "k", binary, device=identity, meta={OUTPUTS: noted})
    made = Entry.make("il", "k", BARE)
    others = Entry.make("program", "other", b"\x7fELF", device=identity)
    found = spirv_of(ProgramContent((given, made, others)), "k")
    assert [bytes(e.payload) for e in found] == [BARE, binary[12:]]
    assert all(e.kind is EntryKind.IL and e.device is None for e in found)
    assert found[1].meta == {OUTPUTS: noted}
    assert spirv_of(ProgramContent((given, others)), "other") == []
    assert count_spirv(ProgramContent((given, made, others))) == 1


def test_the_library_finds_it(identity: DeviceIdentity, trust: Trust) -> None:
    """SPIR-V is found with a reason; that there is none leaves no look, and what failed is passed over, also later."""
    older = replace(identity, driver_version="0")
    given = Entry.make("program", "k", RUSTICL.read_bytes(), device=older)
    content = ProgramContent((given, Entry.make("il", "k", BARE)))
    library = _library(content, identity, trust)
    assert library.find_spirv("nothing") is None
    assert [look.sought for look in library.looks] == [""]
    made = library.find_spirv("k")
    assert made is not None and bytes(made.payload) == BARE
    assert made in library.content().entries
    library.reject(made)
    second = library.find_spirv("k")
    assert second is not None and len(second.payload) == len(RUSTICL.read_bytes()) - 12
    assert not library.content().entries, "a binary of another driver is not taken over"
    library.reject(second, Reason.CRASHED)
    assert library.find_spirv("k") is None
    assert library.looks[-1].reason is Reason.BAD_BINARY
    assert _library(content, identity, trust).find_spirv("k") is None
    assert _library(content, identity, trust, reuse="none").find_spirv("k") is None
