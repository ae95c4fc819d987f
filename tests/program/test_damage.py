"""Bit flips and truncation: every one is found before a driver could see a byte, and nothing else is ever raised."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mace.device import DeviceIdentity
from mace.errors import ProgramFileError
from mace.program.codec import decode_program, encode_program
from mace.program.content import Entry, EntryKind, KernelRecord, ProgramContent
from mace.program.conversion import encode_as
from mace.program.encrypt import Secret
from mace.program.opening import open_trusted
from mace.program.table import encode_table
from mace.program.trust import Trust

FLIPS = 10_000
KEY = Secret.raw(bytes(32))


def files(content: ProgramContent) -> dict[str, tuple[bytes, Secret | None]]:
    return {
        "envelope": (encode_program(content).to_bytes(), None),
        "compressed": (encode_program(content, compressed=True).to_bytes(), None),
        "encrypted": (encode_program(content, secret=KEY).to_bytes(), KEY),
        "table": (b"".join(encode_table(content).pieces), None),
        "upstream": (encode_as(content, "upstream"), None),
    }


@pytest.mark.parametrize("name", ["envelope", "compressed", "encrypted", "table", "upstream"])
def test_random_flips_are_found(content: ProgramContent, name: str) -> None:
    """Each of many single-bit flips in a file that carries a checksum is refused with an error of ours."""
    data, secret = files(content)[name]
    rng = random.Random(20261120)
    flips = min(len(data) * 8, 2_000)
    for bit in rng.sample(range(len(data) * 8), flips):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProgramFileError):
            decode_program(bytes(changed), secret=secret)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["envelope", "table", "upstream"])
def test_ten_thousand_flips_are_found(content: ProgramContent, name: str) -> None:
    """The long form, for the record."""
    data, secret = files(content)[name]
    rng = random.Random(1)
    for _ in range(FLIPS):
        bit = rng.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProgramFileError):
            decode_program(bytes(changed), secret=secret)


@pytest.mark.parametrize("flips", [2_000, pytest.param(FLIPS, marks=pytest.mark.slow)])
def test_flips_in_an_old_upstream_file_are_parsed_safely(content: ProgramContent, trust: Trust, flips: int) -> None:
    """The one layout without a checksum gives content or an error of ours, and never reaches a driver by itself."""
    data = encode_as(content, "upstream-old")
    rng = random.Random(7)
    for number in range(flips):
        changed = bytearray(data)
        bit = rng.randrange(len(data) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ProgramFileError):
            decode_program(bytes(changed))
        if number % 100 == 0:
            with pytest.raises(ProgramFileError):
                open_trusted(bytes(changed), trust)


@pytest.mark.parametrize("name", ["envelope", "compressed", "encrypted", "table", "upstream"])
def test_truncation_at_every_length(content: ProgramContent, name: str) -> None:
    """A file cut anywhere is refused with an error of ours."""
    data, secret = files(content)[name]
    for size in range(len(data)):
        try:
            decode_program(data[:size], secret=secret)
        except ProgramFileError:
            continue
        raise AssertionError(f"{name} cut to {size} of {len(data)} bytes was accepted")


def test_truncated_old_upstream(content: ProgramContent) -> None:
    """A count says how many entries follow, so every cut shows, but for the file of none."""
    data = encode_as(content, "upstream-old")
    for size in range(len(data)):
        with pytest.raises(ProgramFileError):
            decode_program(data[:size])


texts = st.text(st.characters(codec="utf-8"), max_size=20)
sizes = st.one_of(st.none(), st.lists(st.integers(1, 1024), min_size=1, max_size=3).map(tuple))
hashes = st.one_of(st.just(""), st.binary(min_size=32, max_size=32).filter(any).map(bytes.hex))
identities = st.builds(
    DeviceIdentity, texts, texts, texts, texts, texts, st.integers(0, 2**32 - 1), texts, texts, texts
)
entries = st.builds(
    lambda kind, key, payload, device, kernels, meta: Entry.make(
        kind, key, payload, device=device, kernels=kernels, meta=meta
    ),
    st.sampled_from(list(EntryKind)),
    texts.filter(bool),
    st.binary(max_size=200),
    st.one_of(st.none(), identities),
    st.lists(st.builds(KernelRecord, texts, texts, hashes, sizes), max_size=3),
    st.dictionaries(
        texts.filter(lambda k: k != "movidius"), st.one_of(texts, st.integers(), st.booleans()), max_size=3
    ),
)
contents = st.lists(entries, max_size=5, unique_by=lambda e: e.id).map(lambda e: ProgramContent(tuple(e)))


@settings(max_examples=60, deadline=None)
@given(contents)
def test_any_content_comes_back(content: ProgramContent) -> None:
    """Encoding and decoding are inverse for whatever an entry may hold."""
    back = decode_program(encode_program(content).to_bytes()).content
    assert back == content
    assert [bytes(e.payload) for e in back.entries] == [bytes(e.payload) for e in content.entries]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"MACE\2\0\1\0", b"MCLP\0\0\1\0", b"\x0a", bytes(8), b"\x7felf" + bytes(12)]),
)
def test_rubbish_raises_only_our_errors(tail: bytes, head: bytes) -> None:
    """Any bytes behind any beginning are refused, or read, but never crash a reader."""
    with contextlib.suppress(ProgramFileError):
        decode_program(head + tail)
