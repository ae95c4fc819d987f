"""Files made without our code are read, and files that we write are read without it (``by_hand``)."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mace.errors import IntegrityError, LimitError, ProgramFileError, ProgramFormatError
from mace.program.codec import FileLayout, decode_program, encode_program, recognise
from mace.program.content import ProgramContent
from mace.program.conversion import encode_as
from mace.program.obfuscate import obfuscate
from tests.program import by_hand
from tests.program.by_hand import ANY_DEVICE, Kernel, Section, Table

VECTORS = Path(__file__).with_name("vectors")
DEVICE = {
    "platform_name": "P", "platform_version": "OpenCL 3.0", "device_name": "D", "device_version": "OpenCL 3.0",
    "driver_version": "1.2", "vendor_id": 4098, "architecture": "x86_64", "os": "Linux", "engine_version": "1.0.0",
}  # fmt: skip


def example() -> Table:
    """Two devices, four kinds of section, two kernels."""
    return Table(
        [DEVICE, {**DEVICE, "driver_version": "1.3"}],
        [
            Section(b"PLAN", 0, "plan-1", b'{"version":1}', {"model": {"name": "digits"}}),
            Section(b"PROG", 0, "aa" * 32, b"\x7fELF one", {}),
            Section(b"PROG", 1, "aa" * 32, b"\x7fELF another", {}),
            Section(b"WGHT", ANY_DEVICE, "bb" * 32, bytes(range(250)), {}),
        ],
        [Kernel(1, (8, 4, 1), "conv_1", "-cl-mad-enable", b"\xab" * 32), Kernel(2, (0, 0, 0), "add", "", bytes(32))],
    )


def as_by_hand(content: ProgramContent) -> Table:
    """Our content in the terms of ``by_hand``, with its devices in the order they are written in."""
    devices = [d.to_json() for d in content.devices]
    tags = {"plan": b"PLAN", "tuning": b"TUNE", "program": b"PROG", "il": b"SPIR", "blob": b"BLOB", "weights": b"WGHT"}
    sections, kernels = [], []
    for number, e in enumerate(content.entries):
        owner = devices.index(e.device.to_json()) if e.device else ANY_DEVICE
        sections.append(Section(tags[e.kind], owner, e.key, bytes(e.payload), dict(e.meta)))
        for k in e.kernels:
            group = (*(k.local_size or ()), 0, 0, 0)[:3]
            source = bytes.fromhex(k.source_sha256) if k.source_sha256 else bytes(32)
            kernels.append(Kernel(number, group, k.name, k.options, source))
    return Table(devices, sections, kernels)


def test_a_table_made_by_hand_is_read() -> None:
    """Bare, under either magic, and in an envelope."""
    bare = by_hand.table(example())
    content = decode_program(bare).content
    assert sorted(as_by_hand(content).sections) == sorted(
        s._replace(device=content.devices.index(content.entries[n].device)) if s.device != ANY_DEVICE else s
        for n, s in enumerate(example().sections)
    )
    assert decode_program(by_hand.table(example(), magic=b"MACE")).content == content
    file = decode_program(by_hand.envelope(by_hand.table(example(), base=0x150)))
    assert (file.layout, file.content) == (FileLayout.ENVELOPE, content)


def test_what_we_write_is_read_by_hand(content: ProgramContent) -> None:
    """Envelope and table, every byte accounted for."""
    payload = by_hand.open_envelope(encode_program(content).to_bytes())
    assert by_hand.open_table(payload, base=0x150) == as_by_hand(content)
    assert by_hand.open_table(encode_as(content, "table")) == as_by_hand(content)


def test_both_make_the_same_bytes(content: ProgramContent) -> None:
    """What is written by hand in the order of T11 equals what we write."""
    assert by_hand.table(as_by_hand(content), base=0x150) == by_hand.open_envelope(encode_program(content).to_bytes())


@pytest.mark.parametrize("name", ["envelope", "envelope-empty"])
def test_stored_vectors_are_read_by_hand(name: str) -> None:
    """So are the vectors in the repository; an empty table has no index."""
    payload = by_hand.open_envelope((VECTORS / f"{name}.bin").read_bytes())
    if name == "envelope":
        assert len(by_hand.open_table(payload, base=0x150).sections) == 6
    else:
        assert len(payload) >= 20 + 32


Change = Callable[[bytearray, int], None]


def at(place: int, layout: str, value: int) -> Change:
    """Replace a number at a place from the index's first section record."""
    return lambda data, record: struct.pack_into(layout, data, record + place, value)


@pytest.mark.parametrize(
    "change",
    [
        at(4, "<I", 7),  # a device that does not exist
        at(8, "<I", 0x14),  # over the vendor headers
        at(8, "<I", 0x7FFFFFFF),  # outside
        at(12, "<I", 0xFFFFFFFF),  # endless
        at(12, "<I", 0),  # leaves a hole
        at(16, "<I", 0),  # no key
        at(16, "<I", 0xFFFFFFFF),  # an endless key
        at(20, "<I", 0xFFFFFFFF),  # an endless description
        at(0, "<I", 0),  # an unknown kind
        at(-40, "<I", 0xFFFFFFFF),  # endless sections
        at(-40, "<I", 3),  # a section too few
        at(-36, "<I", 1),  # a reserved field in use
    ],
)
def test_lies_behind_hashes_that_hold(change: Change) -> None:
    """An index that lies is refused though each of its hashes was made anew."""
    data = bytearray(by_hand.table(example()))
    (index,) = struct.unpack_from("<I", data, 0x10)
    change(data, index + 40)
    end = data.index(b"END\0") + 8
    data[index + 8 : index + 40] = hashlib.sha256(bytes(data[4:end]) + bytes(data[index + 40 : -32])).digest()
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    with pytest.raises((ProgramFormatError, LimitError, IntegrityError)):
        decode_program(bytes(data))


@pytest.mark.parametrize(
    "table",
    [
        example()._replace(sections=[*example().sections, example().sections[0]]),
        example()._replace(kernels=[Kernel(9, (1, 1, 1), "k", "", bytes(32))]),
        example()._replace(kernels=[Kernel(0, (0, 4, 1), "k", "", bytes(32))]),
        example()._replace(devices=[DEVICE]),
        example()._replace(devices=[{**DEVICE, "vendor_id": "x"}, DEVICE]),
    ],
)
def test_contents_that_cannot_be(table: Table) -> None:
    """A section twice, a kernel of no section, a work-group with a hole, a device too few, an identity of wrong types."""
    with pytest.raises(ProgramFileError):
        decode_program(by_hand.table(table))


def test_padding_holds_nothing() -> None:
    """A byte hidden between two sections is refused."""
    data = bytearray(by_hand.table(example()))
    data[data.index(b"\x7fELF one") + 9] = 1
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    with pytest.raises(ProgramFormatError, match="zero"):
        decode_program(bytes(data))


PROGRAM = b"conv_2d_1x1 -DBIAS -DCMD_DATA_TYPE=f -DDATA_TYPE=float -DUSE_RELUX -Dconv_2d_1x1=c44CimyloKq"
PAIRS: dict[bytes, bytes | list[int]] = {
    PROGRAM: b"\x7fELF" + bytes(300),
    b"program_hash_ " + PROGRAM: b"0123456789abcdef0123",
    b"mace_opencl_precompiled_platform_info_key": b"Portable Computing Language, FULL_PROFILE, OpenCL 3.0 PoCL 3.1"
    b"+debian  Linux, None+Asserts, RELOC, SPIR, LLVM 15.0.6, v1.1.1-23-g0fc55a5",
    b"mace_opencl_precompiled_device_name_key": b"",
}
TUNED: dict[bytes, bytes | list[int]] = {
    b"du6A0F3D1n1DDMv7uJ9IyJESPHP58_G9EADHDG": [32, 4, 1, 0],
    b"MACE_OPENCL_QUEUE_WINDOW_SIZE": [300],
}
BARE: dict[bytes, bytes | list[int]] = {PROGRAM: b"binary"}


@pytest.mark.parametrize("pairs", [PAIRS, TUNED, BARE], ids=["program", "tuned", "before v0.8.0"])
@pytest.mark.parametrize("layout", ["upstream", "upstream-old"])
def test_upstream_comes_back_byte_for_byte(layout: Any, pairs: dict[bytes, bytes | list[int]]) -> None:
    """Through our content, and through an envelope of ours, a file of either generation stays the same."""
    data = by_hand.upstream(pairs) if layout == "upstream" else by_hand.upstream_old(pairs)
    content = decode_program(data).content
    assert recognise(data) is (FileLayout.UPSTREAM if layout == "upstream" else FileLayout.UPSTREAM_OLD)
    assert encode_as(content, layout) == data
    assert encode_as(decode_program(encode_program(content).to_bytes()).content, layout) == data


def test_upstream_from_one_generation_to_the_other() -> None:
    """Converted, a file has the bytes that the other generation would have written for the same pairs."""
    for pairs in (PAIRS, TUNED):
        current, old = by_hand.upstream(pairs), by_hand.upstream_old(pairs)
        assert encode_as(decode_program(current).content, "upstream-old") == old
        assert encode_as(decode_program(old).content, "upstream") == current


def test_packed_numbers_are_read_and_written_unpacked() -> None:
    """Protobuf's packed form is read; what is written is the form that upstream writes."""
    content = decode_program(by_hand.upstream(TUNED, packed=True)).content
    assert encode_as(content, "upstream") == by_hand.upstream(TUNED)


def test_what_we_write_is_read_by_protobuf() -> None:
    """The protobuf package itself reads our file, by upstream's own message."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="kv.proto", package="kv", syntax="proto2")
    pair, container = file.message_type.add(name="KVPair"), file.message_type.add(name="PairContainer")
    field = descriptor_pb2.FieldDescriptorProto
    pair.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    pair.field.add(name="bytes_value", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_BYTES)
    pair.field.add(name="uint32s_value", number=3, label=field.LABEL_REPEATED, type=field.TYPE_UINT32)
    container.field.add(
        name="pairs", number=1, label=field.LABEL_REPEATED, type=field.TYPE_MESSAGE, type_name=".kv.KVPair"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("kv.PairContainer"))
    for pairs in (PAIRS, TUNED):
        data = encode_as(decode_program(by_hand.upstream(pairs)).content, "upstream")
        message = kind.FromString(data[:-4])
        assert message.SerializeToString() == data[:-4]
        read = {
            p.key.encode(): p.bytes_value if p.HasField("bytes_value") else list(p.uint32s_value) for p in message.pairs
        }
        assert read == pairs


@pytest.mark.parametrize("name", ["conv_2d_1x1", "depthwise_conv2d_ocl_kernel_128_4_14_1", "N_H_W_C", "a.b-c", ""])
def test_names_by_the_rule(name: str) -> None:
    """Names come out as the rule says, worked out letter by letter."""
    assert obfuscate(name) == by_hand.obfuscated(name)


def test_an_identity_is_its_nine_fields() -> None:
    """A device header with a field more or less does not pass for one with nine."""
    less = {k: v for k, v in DEVICE.items() if k != "driver_version"}
    with pytest.raises(ProgramFileError):
        decode_program(by_hand.table(example()._replace(devices=[less, DEVICE])))
    content = decode_program(by_hand.table(example())).content
    assert json.loads(json.dumps(content.devices[0].to_json())) in (DEVICE, {**DEVICE, "driver_version": "1.3"})
    assert replace(content.devices[0], os="other") not in content.devices
