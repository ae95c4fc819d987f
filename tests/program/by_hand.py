"""Program files put together and taken apart with ``struct`` alone, from the specification and not from our code.

Nothing of mace is imported here, so that what the reader and the writer agree on by mistake shows.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any, NamedTuple

ANY_DEVICE = 0xFFFFFFFF


class Section(NamedTuple):
    """One section: kind tag, number of its device, key, payload, description."""

    tag: bytes
    device: int
    key: str
    payload: bytes
    meta: dict[str, Any]


class Kernel(NamedTuple):
    """One kernel record: number of its section, work-group, name, build options, hash of its source."""

    section: int
    group: tuple[int, int, int]
    name: str
    options: str
    source: bytes


class Table(NamedTuple):
    """All of a kernel table."""

    devices: list[dict[str, Any]]
    sections: list[Section]
    kernels: list[Kernel]


def padded(data: bytes, step: int = 4) -> bytes:
    return data + bytes(-len(data) % step)


def as_json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def envelope(payload: bytes, signature: bytes = bytes(256)) -> bytes:
    """Layout 1."""
    head = b"MACE" + struct.pack("<IQ", 0x00010002, 0x150 + len(payload)) + hashlib.sha256(payload).hexdigest().encode()
    assert len(head) == 0x50
    return head + signature + payload


def open_envelope(data: bytes) -> bytes:
    """The payload, everything about the envelope asserted."""
    magic, version, size = struct.unpack_from("<4sIQ", data, 0)
    assert (magic, version, size) == (b"MACE", 0x00010002, len(data))
    assert data[0x10:0x50] == hashlib.sha256(data[0x150:]).hexdigest().encode()
    assert data[0x50:0x150] == bytes(256)
    return data[0x150:]


def table(content: Table, base: int = 0, magic: bytes = b"MCLP") -> bytes:
    """Layout 2, as it stands ``base`` bytes into a file."""
    vendors = b"".join(b"CLDV" + struct.pack("<I", len(as_json(d))) + padded(as_json(d)) for d in content.devices)
    body = bytearray(20) + vendors + b"END\0" + bytes(4)
    records = b""
    for s in content.sections:
        step = 4096 if s.tag == b"WGHT" else 64
        body += bytes(-(base + len(body)) % step)
        key, meta = s.key.encode(), as_json(s.meta)
        record = s.tag + struct.pack("<5I", s.device, len(body), len(s.payload), len(key), len(meta))
        records += record + hashlib.sha256(s.payload).digest() + padded(key + meta)
        body += s.payload
    for k in content.kernels:
        name, options = k.name.encode(), k.options.encode()
        records += struct.pack("<6I", k.section, *k.group, len(name), len(options)) + k.source + padded(name + options)
    body += bytes(-len(body) % 8)
    total = sum(len(s.payload) for s in content.sections)
    struct.pack_into("<4s4I", body, 0, magic, 0x00010000, len(content.kernels), total, len(body))
    head = 20 + len(vendors) + 8
    index_hash = hashlib.sha256(bytes(body[4:head]) + records).digest()
    whole = bytes(body) + struct.pack("<2I", len(content.sections), 0) + index_hash + records
    return whole + hashlib.sha256(whole).digest()


def open_table(data: bytes, base: int = 0) -> Table:
    """What a table holds, every byte of it accounted for."""
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    magic, version, kernel_count, total, index = struct.unpack_from("<4s4I", data, 0)
    assert (magic, version) == (b"MCLP", 0x00010000)
    devices, at = [], 20
    while True:
        tag, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if tag == b"END\0":
            assert size == 0
            break
        assert tag == b"CLDV"
        devices.append(json.loads(data[at : at + size]))
        at += len(padded(data[at : at + size]))
    head = at
    section_count, reserved = struct.unpack_from("<2I", data, index)
    assert reserved == 0
    assert data[index + 8 : index + 40] == hashlib.sha256(data[4:head] + data[index + 40 : -32]).digest()
    sections, kernels, record = [], [], index + 40
    for _ in range(section_count):
        tag, device, offset, size, key_size, meta_size = struct.unpack_from("<4s5I", data, record)
        digest, text = data[record + 24 : record + 56], data[record + 56 :][: key_size + meta_size]
        assert (base + offset) % (4096 if tag == b"WGHT" else 64) == 0
        assert not any(data[at:offset])
        payload = data[offset : offset + size]
        assert hashlib.sha256(payload).digest() == digest
        sections.append(Section(tag, device, text[:key_size].decode(), payload, json.loads(text[key_size:])))
        at, record = offset + size, record + 56 + len(padded(text))
    assert index - at < 8
    assert not any(data[at:index])
    assert sum(len(s.payload) for s in sections) == total
    for _ in range(kernel_count):
        section, x, y, z, name_size, options_size = struct.unpack_from("<6I", data, record)
        source, text = data[record + 24 : record + 56], data[record + 56 :][: name_size + options_size]
        kernels.append(Kernel(section, (x, y, z), text[:name_size].decode(), text[name_size:].decode(), source))
        record += 56 + len(padded(text))
    assert record == len(data) - 32
    return Table(devices, sections, kernels)


def varint(value: int) -> bytes:
    """Protobuf's."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def upstream(pairs: dict[bytes, bytes | list[int]], *, packed: bool = False) -> bytes:
    """Layout 3 as upstream MACE v1.1.1 and later write it: keys sorted, numbers one by one unless ``packed``."""
    body = b""
    for key, value in sorted(pairs.items()):
        entry = b"\x0a" + varint(len(key)) + key
        if isinstance(value, bytes):
            entry += b"\x12" + varint(len(value)) + value
        elif packed:
            numbers = b"".join(varint(n) for n in value)
            entry += b"\x1a" + varint(len(numbers)) + numbers
        else:
            entry += b"".join(b"\x18" + varint(n) for n in value)
        body += b"\x0a" + varint(len(entry)) + entry
    return body + struct.pack("<I", zlib.crc32(body))


def upstream_old(pairs: dict[bytes, bytes | list[int]]) -> bytes:
    """Layout 3 as v0.6.1 to v1.0.4 write it."""
    out = struct.pack("<q", len(pairs))
    for key, value in sorted(pairs.items()):
        data = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}I", *value)
        out += struct.pack("<i", len(key)) + key + struct.pack("<i", len(data)) + data
    return out


def obfuscated(name: str) -> str:
    """Upstream's names, letter by letter from the rule."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
    out = name[:1]
    for i, c in enumerate(name[1:], 1):
        if c.isdigit():
            index = ord(c) - ord("0")
        elif c.islower():
            index = 10 + ord(c) - ord("a")
        elif c.isupper():
            index = 36 + ord(c) - ord("a")
        elif c == "_":
            index = 62
        else:
            out += c
            continue
        out += letters[(index + i + 31) % 63]
    return out
