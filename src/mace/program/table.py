"""The kernel table ("MCLP", layout 2): header, vendor headers, sections, index, hash.

Clauses: docs/program-file.md, part T.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from mace.device import DeviceIdentity
from mace.errors import IntegrityError, LimitError, ProgramFormatError
from mace.program.content import Bytes, Entry, EntryKind, KernelRecord, ProgramContent, canonical_json
from mace.program.cursor import Cursor
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.records import replace

MAGIC = b"MCLP"
MAGICS = (MAGIC, b"MACE")
VERSION = 0x0001_0000
HASH_BYTES = 32
SECTION_ALIGNMENT = 64
WEIGHTS_ALIGNMENT = 4096
TABLE_ALIGNMENT = 8
NO_DEVICE = 0xFFFF_FFFF

_HEADER = struct.Struct("<4sIIII")
_VENDOR = struct.Struct("<4sI")
_INDEX = struct.Struct("<II32s")
_SECTION = struct.Struct("<4sIIIII32s")
_KERNEL = struct.Struct("<IIIIII32s")
_OPENCL, _MOVIDIUS, _VENDOR_END = b"CLDV", b"MVID", b"END\0"
_TAGS = {
    EntryKind.PLAN: b"PLAN",
    EntryKind.TUNING: b"TUNE",
    EntryKind.PROGRAM: b"PROG",
    EntryKind.IL: b"SPIR",
    EntryKind.BLOB: b"BLOB",
    EntryKind.WEIGHTS: b"WGHT",
}
_KINDS = {tag: kind for kind, tag in _TAGS.items()}


def is_table(data: Bytes) -> bool:
    """Whether these bytes begin like a kernel table (T1)."""
    return bytes(data[:4]) in MAGICS and bytes(data[4:8]) == VERSION.to_bytes(4, "little")


class EncodedTable(NamedTuple):
    """A table as pieces to be written one after the other, and the hash of its index (T5) in hexadecimal."""

    pieces: list[Bytes]
    index_sha256: str


def encode_table(content: ProgramContent, *, base: int = 0) -> EncodedTable:
    """The table's bytes: equal content gives equal bytes.

    ``base`` is the offset in the file where the table will begin: sections are aligned in the *file*, so that they can
    be mapped in place. Raises ``LimitError`` when the content does not fit the table's 32-bit fields.
    """
    devices = content.devices
    numbers = {d: n for n, d in enumerate(devices)}
    vendors = [(_OPENCL, d.to_json()) for d in devices]
    owners: list[int] = []
    for e in content.entries:
        if facts := _movidius(e):
            vendors.append((_MOVIDIUS, facts))
            owners.append(len(vendors) - 1)
        else:
            owners.append(numbers[e.device] if e.device else NO_DEVICE)
    head = b"".join(_vendor(tag, body) for tag, body in vendors) + _VENDOR.pack(_VENDOR_END, 0)
    pieces: list[Bytes] = [head]
    at = _HEADER.size + len(head)
    sections, kernels = bytearray(), bytearray()
    kernel_count = 0
    for number, (e, owner) in enumerate(zip(content.entries, owners, strict=True)):
        step = WEIGHTS_ALIGNMENT if e.kind is EntryKind.WEIGHTS else SECTION_ALIGNMENT
        pad = -(base + at) % step
        pieces += [bytes(pad), e.payload]
        at += pad
        _fits(at + e.nbytes)
        key, meta = e.key.encode(), canonical_json(_stored_meta(e))
        sections += _SECTION.pack(_TAGS[e.kind], owner, at, e.nbytes, len(key), len(meta), bytes.fromhex(e.sha256))
        sections += key + meta + bytes(-(len(key) + len(meta)) % 4)
        at += e.nbytes
        kernel_count += len(e.kernels)
        kernels += b"".join(_kernel(number, k) for k in e.kernels)
    pad = -at % TABLE_ALIGNMENT
    pieces.append(bytes(pad))
    header = _HEADER.pack(MAGIC, VERSION, kernel_count, content.nbytes, _fits(at + pad))
    index_sha256 = hashlib.sha256(header[len(MAGIC) :] + head + sections + kernels).digest()
    pieces = [header, *pieces, _INDEX.pack(len(content.entries), 0, index_sha256), bytes(sections), bytes(kernels)]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return EncodedTable([*(p for p in pieces if len(p)), digest.digest()], index_sha256.hex())


class TableIndex(NamedTuple):
    """A table whose structure was checked: its content, and the hash over header, vendor headers and index (T5)."""

    content: ProgramContent
    sha256: str


def decode_table(
    data: Bytes,
    *,
    base: int = 0,
    verify: bool = True,
    body_sha256: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ProgramContent:
    """The content of a table; payloads are views of ``data``.

    ``base`` is where the table begins in its file, for messages. ``verify`` hashes the table and every section; without
    it only the structure is checked, which suits bytes that were verified before. ``body_sha256`` is the hash of
    everything before the table's own, where the caller found it already. Raises ``ProgramFormatError``,
    ``IntegrityError`` or ``LimitError``.
    """
    view = memoryview(data)
    if verify and len(view) >= HASH_BYTES:  # T9
        digest = body_sha256 or hashlib.sha256(view[:-HASH_BYTES]).digest()
        if not hmac.compare_digest(digest, view[-HASH_BYTES:]):
            offset = base + len(view) - HASH_BYTES
            raise IntegrityError("the kernel table's own hash does not hold", offset=offset, field="sha256")
    content = decode_index(view, base=base, verify=verify, limits=limits).content
    if verify:
        for entry in content.entries:
            entry.verify()
    return content


def decode_index(data: Bytes, *, base: int = 0, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> TableIndex:
    """Structure and index of a table. ``verify`` hashes the index only, not the sections and not the whole (T5)."""
    view = memoryview(data)
    limits.check("file_bytes", len(view))
    cursor = Cursor(view, 0, max(0, len(view) - HASH_BYTES), base=base)
    magic, version, kernel_count, binary_bytes, table_at = cursor.unpack(_HEADER, "header")
    if magic not in MAGICS or version != VERSION:  # T1
        message = f"magic {magic!r}, version {version:#x} are not a kernel table's"
        raise ProgramFormatError(message, offset=base, field="magic")
    if not cursor.at <= table_at <= cursor.end:  # T3
        message = f"table offset {table_at:#x} lies outside the file"
        raise ProgramFormatError(message, offset=base + 0x10, field="table offset")
    limits.check("kernels", kernel_count, offset=base + 0x08)
    index = Cursor(view, table_at, cursor.end, base=base)
    if index.left == 0:  # T10: an empty table
        if kernel_count or binary_bytes or cursor.at != table_at:
            raise ProgramFormatError("the table has no index", offset=base + table_at, field="index")
        return TableIndex(ProgramContent(), hashlib.sha256(view[: _HEADER.size]).hexdigest())
    body = Cursor(view, cursor.at, table_at, base=base)
    vendors = list(_read_vendors(body, limits))
    count, reserved, index_sha256 = index.unpack(_INDEX, "index")
    if reserved:
        raise index.fail("a reserved field is not zero", "index")
    if verify:  # T5
        digest = hashlib.sha256(view[len(MAGIC) : body.at])
        digest.update(view[index.at : index.end])
        if not hmac.compare_digest(digest.digest(), index_sha256):
            raise IntegrityError("the index's hash does not hold", offset=base + table_at, field="index hash")
    entries = list(
        _read_sections(index, body, limits.check("sections", count, offset=base + table_at), vendors, limits)
    )
    if sum(e.nbytes for e in entries) != binary_bytes:  # T2
        message = "the total binary size is not that of the sections"
        raise ProgramFormatError(message, offset=base + 0x0C, field="binary size")
    _attach_kernels(index, entries, kernel_count, limits)
    if index.left:  # T8
        raise index.fail(f"{index.left} bytes lie between the index and the hash", "index")
    try:
        return TableIndex(ProgramContent(tuple(entries)), index_sha256.hex())
    except ValueError as error:
        raise ProgramFormatError(str(error), offset=base + table_at, field="index") from None


def _vendor(tag: bytes, body: dict[str, Any]) -> bytes:
    data = canonical_json(body)
    return _VENDOR.pack(tag, len(data)) + data + bytes(-len(data) % 4)


def _movidius(entry: Entry) -> dict[str, Any] | None:
    facts = entry.meta.get("movidius")
    return facts if entry.kind is EntryKind.BLOB and isinstance(facts, dict) else None


def _stored_meta(entry: Entry) -> dict[str, Any]:
    return {k: v for k, v in entry.meta.items() if k != "movidius" or not _movidius(entry)}


def _kernel(section: int, k: KernelRecord) -> bytes:
    local = k.local_size or ()
    if len(local) > 3:
        raise ValueError(f"kernel {k.name}: a work-group has at most three extents, not {len(local)}")
    name, options = k.name.encode(), k.options.encode()
    source = bytes.fromhex(k.source_sha256) if k.source_sha256 else bytes(32)
    head = _KERNEL.pack(section, *local, *[0] * (3 - len(local)), len(name), len(options), source)
    return head + name + options + bytes(-(len(name) + len(options)) % 4)


def _fits(offset: int) -> int:
    if offset >= 1 << 32:
        raise LimitError("the kernel table's offsets have 32 bits; this content needs more than 4 GiB", field="offset")
    return offset


def _read_vendors(body: Cursor, limits: Limits) -> Iterator[DeviceIdentity | dict[str, Any]]:
    """Vendor headers up to their end mark (T4)."""
    count = 0
    while True:
        at = body.base + body.at
        tag, size = body.unpack(_VENDOR, "vendor header")
        if tag == _VENDOR_END and size == 0:
            return
        if tag not in (_OPENCL, _MOVIDIUS):
            raise ProgramFormatError(f"vendor header {tag!r} is unknown", offset=at, field="vendor header")
        count = limits.check("devices", count + 1, offset=at)
        facts = body.json_object(limits.check("device_bytes", size, offset=at), "vendor header")
        body.zeros(-size % 4, "vendor header")
        if tag == _MOVIDIUS:
            yield facts
            continue
        try:
            yield DeviceIdentity.from_json(facts)
        except ValueError as error:
            raise ProgramFormatError(str(error), offset=at, field="vendor header") from None


def _read_sections(
    index: Cursor, body: Cursor, count: int, vendors: list[DeviceIdentity | dict[str, Any]], limits: Limits
) -> Iterator[Entry]:
    """Section records (T6): in order of offset, no overlap, and nothing but zero padding between them."""
    for _ in range(count):
        tag, owner, at, size, key_size, meta_size, digest = index.unpack(_SECTION, "section")
        kind = _KINDS.get(tag)
        if kind is None:
            raise index.fail(f"section kind {tag!r} is unknown", "section kind")
        key = index.text(limits.check("key_bytes", key_size), "section key")
        meta = index.json_object(limits.check("meta_bytes", meta_size), "section meta")
        index.zeros(-(key_size + meta_size) % 4, "section meta")
        if not key:
            raise index.fail("a section has no key", "section key")
        step = WEIGHTS_ALIGNMENT if kind is EntryKind.WEIGHTS else SECTION_ALIGNMENT
        if not body.at <= at < body.at + step or at + size > body.end:
            message = f"the section at {at:#x} of {size} bytes overlaps another, leaves a hole or lies outside"
            raise index.fail(message, "section offset")
        body.zeros(at - body.at, "padding")
        payload = body.take(size, "section")
        if owner != NO_DEVICE and owner >= len(vendors):
            raise index.fail(f"vendor header {owner} of {len(vendors)} does not exist", "section device")
        device = None if owner == NO_DEVICE else vendors[owner]
        if isinstance(device, dict):
            meta, device = {**meta, "movidius": device}, None
        yield Entry(kind, key, payload, digest.hex(), device, (), meta)
    if body.left >= TABLE_ALIGNMENT:  # T6
        raise body.fail(f"{body.left} bytes belong to no section", "padding")
    body.zeros(body.left, "padding")


def _attach_kernels(index: Cursor, entries: list[Entry], count: int, limits: Limits) -> None:
    """Kernel records (T7), each put into the entry of its section."""
    found: dict[int, list[KernelRecord]] = {}
    for _ in range(count):
        section, x, y, z, name_size, options_size, source = index.unpack(_KERNEL, "kernel")
        if section >= len(entries):
            raise index.fail(f"section {section} of {len(entries)} does not exist", "kernel section")
        if (y and not x) or (z and not y):
            raise index.fail(f"work-group {x}×{y}×{z} has a hole", "kernel work-group")
        name = index.text(limits.check("key_bytes", name_size), "kernel name")
        options = index.text(limits.check("key_bytes", options_size), "kernel options")
        index.zeros(-(name_size + options_size) % 4, "kernel options")
        local = tuple(v for v in (x, y, z) if v) or None
        found.setdefault(section, []).append(KernelRecord(name, options, source.hex() if any(source) else "", local))
    for section, kernels in found.items():
        entries[section] = replace(entries[section], kernels=tuple(kernels))
