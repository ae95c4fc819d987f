"""Upstream MACE's files. The bytes compared with are those of genuine files.

``specimens/upstream-*.bin`` were written by upstream's own ``FileStorage`` and ``Tuner``, compiled from its sources at v0.9.0,
v1.0.4 and 0fc55a5 (the head of its repository), with keys and values chosen for these tests: ``plain`` ones without
``MACE_OBFUSCATE_LITERALS``, the ``shorter`` one over the file beside it.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.errors import IntegrityError, LimitError, ProgramFormatError
from mace.program.codec import FileLayout, decode_program, recognise
from mace.program.content import Entry, ProgramContent
from mace.program.conversion import encode_as
from mace.program.inspecting import inspect_program
from mace.program.limits import Limits
from mace.program.obfuscate import obfuscate
from mace.program.upstream import (
    DEVICE_KEY,
    HASH_PREFIX,
    PLATFORM_KEY,
    UpstreamFile,
    encode_upstream,
    parse_upstream,
)
from mace.program.upstream_content import PlatformInfo, from_upstream, to_upstream, tuning_to_upstream

KERNEL = "arg_buffer_to_image"
KEY = f"buffer_to_image -DCMD_DATA_TYPE=f -DDATA_TYPE=float -D{KERNEL}={obfuscate(KERNEL)}"
PLATFORM = "Intel(R) OpenCL, FULL_PROFILE, OpenCL 3.1 LINUX, v1.1.1-23-g0fc55a5"
ROWS = bytes.fromhex(
    "0adf8a0c0a5d6275666665725f746f5f696d616765202d44434d445f44415441"
    "5f545950453d66202d44444154415f545950453d666c6f6174202d446172675f"
    "6275666665725f746f5f696d6167653d613778687544303131456f4945724146"
)
TUNED = bytes.fromhex("0a300a26" + b"du6A0F3D1n1DDMv7uJ9IyJESPHP58_G9EADHDG".hex() + "1820180418011800")


def genuine(size: int = 197_098) -> bytes:
    """A file of one program whose first bytes are the genuine ones: its entry has 0xdf 0x8a 0x0c bytes."""
    pairs = {
        KEY: b"\x7fELF" + bytes(size - 4),
        HASH_PREFIX + KEY: b"0123456789abcdef0123",
        PLATFORM_KEY: PLATFORM.encode(),
        DEVICE_KEY: b"",
    }
    return encode_upstream(UpstreamFile("current", pairs))


def test_sample_rows_decode() -> None:
    """A file that begins with the genuine rows is recognised, and its first key reads as it should."""
    entry_bytes = 0x5F & 0x7F | 0x0A << 7 | 0x0C << 14
    size = entry_bytes - 2 - len(KEY) - 4
    data = genuine(size)
    assert data[: len(ROWS)] == ROWS
    assert recognise(data) is FileLayout.UPSTREAM
    assert next(iter(parse_upstream(data).values)) == KEY


def test_example_tuned_entry_decodes() -> None:
    """The documented tuned entry gives its numbers, under its plain name."""
    data = TUNED + zlib.crc32(TUNED).to_bytes(4, "little")
    file = parse_upstream(data)
    assert file.is_tuning
    assert list(file.values.values()) == [(32, 4, 1, 0)]
    content = from_upstream(data)
    assert content.entries[0].key == "depthwise_conv2d_ocl_kernel_128_4_14_1"
    assert encode_upstream(tuning_to_upstream(content)) == data


def test_packed_numbers_are_read() -> None:
    """A tuned entry in protobuf's packed form gives the same numbers."""
    body = b"\x0a\x0b\x0a\x03abc\x1a\x04\x20\x04\x01\x00"
    assert parse_upstream(body + zlib.crc32(body).to_bytes(4, "little")).values == {"abc": (32, 4, 1, 0)}


@pytest.mark.parametrize("generation", ["current", "old"])
def test_programs_come_back_byte_for_byte(generation: str) -> None:
    """Reading a program file and writing it again changes no byte."""
    values = parse_upstream(genuine(100)).values
    data = encode_upstream(UpstreamFile(generation, values))
    back = encode_upstream(to_upstream(from_upstream(data), generation=generation))
    assert back == data


SPECIMENS = Path(__file__).with_name("specimens")
CONV = "conv_2d_1x1 -DBIAS -DCMD_DATA_TYPE=f -DDATA_TYPE=float -DUSE_RELUX -Dconv_2d_1x1="
PAD = "pad -DCMD_DATA_TYPE=f -DDATA_TYPE=float -DPAD_TYPE=0 -Dpad_input="
ADRENO = (
    "QUALCOMM Snapdragon(TM), FULL_PROFILE, OpenCL 2.0 QUALCOMM build: commit #3fad7ed changeid #Ib4 "
    "Date: 03/27/18 Tue Local Branch:  Remote Branch: , v1.0.4-0-gabc1234"
)
TUNINGS = {
    "depthwise_conv2d_ocl_kernel_128_4_14_1": [32, 4, 1, 0],
    "conv2d_1x1_opencl_kernel_1_14_14_96": [4, 4, 8, 7],
    "deconv2d_opencl_kernel__0_1_28_28_64": [16, 2, 0],
    "softmax_opencl_kernel_1_1_1_1000": [300, 70000, 4294967295, 0],
    "MACE_OPENCL_QUEUE_WINDOW_SIZE": [30],
}


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("0fc55a5", "current"),
        ("0fc55a5.plain", "current"),
        ("1.0.4", "old"),
        ("0.9.0", "old"),
    ],
)
def test_program_files_written_by_upstream(name: str, generation: str) -> None:
    """Each is recognised, says what it holds, and comes back byte for byte."""
    data = (SPECIMENS / f"upstream-{name}.programs.bin").read_bytes()
    file, content = parse_upstream(data), from_upstream(data)
    conv, pad = ("conv_2d_1x1", "Dpad_input") if "plain" in name else ("c44CimyloKq", "D5rvi28AGG")
    assert (file.generation, file.leftover, file.is_tuning) == (generation, 0, False)
    assert {e.key: [k.name for k in e.kernels] for e in content.entries} == {
        "buffer_transform": ["buffer_transform"],
        CONV + conv: ["conv_2d_1x1"],
        PAD + pad: ["Dpad_input"],
    }
    binary = b"\x7fELF" + bytes(40) + b"code"
    assert [bytes(e.payload) for e in content.entries] == [b"", binary, binary + b"2"]
    (device,) = content.devices
    assert device.platform_name == "QUALCOMM Snapdragon(TM)"
    assert device.engine_version == "v1.0.4-0-gabc1234"
    assert device.device_name == ("Adreno(TM) 540" if generation == "current" else "")
    assert bytes(file.values[PLATFORM_KEY]) == ADRENO.encode()
    assert encode_upstream(to_upstream(content, generation=file.generation)) == data


@pytest.mark.parametrize(
    ("name", "generation"),
    [("0fc55a5", "current"), ("0fc55a5.plain", "current"), ("1.0.4", "old"), ("1.0.4.plain", "old")],
)
def test_tuned_files_written_by_upstream(name: str, generation: str) -> None:
    """Keys are read, obfuscated or not, in whatever order; written again, each has its own form, and the numbers are the same."""
    data = (SPECIMENS / f"upstream-{name}.tuned.bin").read_bytes()
    file, content = parse_upstream(data), from_upstream(data)
    assert (file.generation, file.is_tuning) == (generation, True)
    assert {e.key: json.loads(bytes(e.payload)) for e in content.entries} == TUNINGS
    assert ("conv2d_1x1_opencl_kernel_1_14_14_96" in file.values) == ("plain" in name)
    again = encode_upstream(tuning_to_upstream(content, generation=file.generation))
    assert parse_upstream(again).values == file.values
    assert len(again) == len(data)


def test_what_a_longer_file_left_behind() -> None:
    """v0.9.0 writes a shorter file over a longer one without cutting it: the rest is passed over, and told."""
    data = (SPECIMENS / "upstream-0.9.0.shorter.programs.bin").read_bytes()
    longer = (SPECIMENS / "upstream-0.9.0.programs.bin").read_bytes()
    file = parse_upstream(data)
    assert len(data) == len(longer)
    assert 0 < file.leftover < len(data)
    assert data[-file.leftover :] == longer[-file.leftover :]
    assert set(file.values) == {"buffer_transform", CONV + "c44CimyloKq", PLATFORM_KEY}
    assert any(f"last {file.leftover} bytes" in sentence for sentence in inspect_program(data).words)
    assert encode_upstream(file) == data[: -file.leftover]


def test_old_generation_is_told_apart() -> None:
    """A count of ten looks like a protobuf tag in its first byte; the zeros behind it decide."""
    pairs = {f"{KEY} -DN={n}": b"binary" for n in range(10)}
    data = encode_upstream(UpstreamFile("old", pairs))
    assert data[:8] == b"\x0a" + bytes(7)
    assert recognise(data) is FileLayout.UPSTREAM_OLD
    assert parse_upstream(data).values == pairs


def test_old_tuned_parameters() -> None:
    """Rows of numbers in an old file are told from programs."""
    file = UpstreamFile("old", {obfuscate("conv2d_1x1_opencl_kernel_1_2_3_4"): (4, 4, 1, 0)})
    assert parse_upstream(encode_upstream(file)) == file


def test_empty_values_are_written() -> None:
    """An empty value still has its field."""
    data = encode_upstream(UpstreamFile("current", {DEVICE_KEY: b""}))
    assert data[:-4].endswith(b"\x12\x00")
    assert parse_upstream(data).values == {DEVICE_KEY: b""}


@pytest.mark.parametrize("data", [bytes(4), bytes(8)])
def test_empty_files(data: bytes) -> None:
    """Neither generation minds a file of nothing."""
    assert parse_upstream(data).values == {}


def test_crc_is_checked() -> None:
    """A wrong checksum is named as such."""
    data = bytearray(genuine(10))
    data[30] ^= 1
    with pytest.raises(IntegrityError, match="CRC"):
        parse_upstream(bytes(data))


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x04\x12\x02ab",  # no key
        b"\x0a\x05\x0a\x01a\x12\x00" * 2,  # a key twice
        b"\x0a\x05\x0a\x01a\x22\x00",  # unknown field
        b"\x0a\x7f\x0a\x01a",  # length beyond the end
        b"\x0a\x0e\x0a\x01a\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # varint too long
        b"\x0a\x09\x0a\x01a\x18\xff\xff\xff\xff\x7f",  # more than 32 bits
        b"\x0a\x09\x0a\x01a\x12\x00\x18\x01",  # bytes and numbers
        b"\x0a\x08\x0a\x01a\x1d\x00\x00\x00\x00",  # another wire type
    ],
)
def test_hostile_messages(body: bytes) -> None:
    """What protobuf could say but upstream never writes is refused behind a checksum that holds."""
    with pytest.raises(ProgramFormatError):
        parse_upstream(body + zlib.crc32(body).to_bytes(4, "little"))


def test_old_lengths_are_bounded() -> None:
    """Negative and endless lengths in an old file are refused."""
    for length in (-1, 1 << 30):
        data = (
            (1).to_bytes(8, "little") + (3).to_bytes(4, "little") + b"abc" + length.to_bytes(4, "little", signed=True)
        )
        with pytest.raises(ProgramFormatError):
            parse_upstream(data)
    with pytest.raises(LimitError):
        parse_upstream(genuine(100), limits=Limits(upstream_pairs=2))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (PLATFORM, ("Intel(R) OpenCL", "FULL_PROFILE", "OpenCL 3.1 LINUX", "v1.1.1-23-g0fc55a5")),
        (
            "Portable Computing Language, FULL_PROFILE, OpenCL 3.0 PoCL 3.1, LLVM 15, RELOC, v1.0.4",
            ("Portable Computing Language", "FULL_PROFILE", "OpenCL 3.0 PoCL 3.1, LLVM 15, RELOC", "v1.0.4"),
        ),
        ("QUALCOMM, FULL_PROFILE, OpenCL 2.0", ("QUALCOMM", "FULL_PROFILE", "OpenCL 2.0", "")),
        ("ARM Platform, FULL_PROFILE, OpenCL 2.0 v1.r9p0", ("ARM Platform", "FULL_PROFILE", "OpenCL 2.0 v1.r9p0", "")),
        ("ARM, FULL_PROFILE, OpenCL 2.0, unknown", ("ARM", "FULL_PROFILE", "OpenCL 2.0", "unknown")),
        ("ARM, FULL_PROFILE, OpenCL 2.0, r0.1-7-g0fc55a5", ("ARM", "FULL_PROFILE", "OpenCL 2.0", "r0.1-7-g0fc55a5")),
        ("", ("", "", "", "")),
    ],
)
def test_platform_texts(text: str, parts: tuple[str, ...]) -> None:
    """The platform text splits where it should, commas in a version and missing parts included."""
    info = PlatformInfo.parse(text)
    assert (info.name, info.profile, info.version, info.mace_version) == parts
    assert str(info) == text


def test_kernel_names_are_read() -> None:
    """The obfuscated kernel of a program comes back in plain letters, with its options."""
    entry = from_upstream(genuine(10)).entries[0]
    assert [k.name for k in entry.kernels] == [KERNEL]
    assert entry.meta["upstream"]["source_hash"] == "0123456789abcdef0123"
    assert entry.device is not None
    assert entry.device.engine_version == "v1.1.1-23-g0fc55a5"


def test_programs_of_ours_become_upstream_s(content: ProgramContent, identity: DeviceIdentity) -> None:
    """Our programs for one device are written with platform text and device name, and read back."""
    data = encode_as(content, "upstream", mace_version="v1.1.1")
    file = parse_upstream(data)
    assert bytes(file.values[PLATFORM_KEY]) == b"Intel(R) OpenCL, FULL_PROFILE, OpenCL 3.1 LINUX, v1.1.1"
    assert bytes(file.values[DEVICE_KEY]) == b""
    assert [e.key for e in decode_program(data).content.entries] == ["aa" * 32]


def test_one_upstream_file_is_for_one_device(content: ProgramContent, identity: DeviceIdentity) -> None:
    """With programs for two devices the caller must say which."""
    from dataclasses import replace

    other = replace(identity, device_name="Mali-G78")
    both = ProgramContent((*content.entries, Entry.make("program", "x", b"y", device=other)))
    with pytest.raises(ValueError, match="2 devices"):
        to_upstream(both)
    assert bytes(to_upstream(both, device=other).values[DEVICE_KEY]) == b"Mali-G78"
