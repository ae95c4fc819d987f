"""Write the test vectors: small program files, valid and hostile, with what a reader must make of each.

``python tests/program/make_vectors.py`` replaces ``tests/program/vectors``. Everything but the encrypted, compressed and
signed files comes out the same every time.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from pathlib import Path

from mace.device import DeviceIdentity
from mace.program import envelope, signing
from mace.program.codec import encode_program
from mace.program.content import Entry, KernelRecord, ProgramContent
from mace.program.conversion import encode_as
from mace.program.encrypt import Secret
from mace.program.table import encode_table

FOLDER = Path(__file__).parent / "vectors"
KEY = bytes(range(32))
PASSPHRASE = "correct horse battery staple"
INTEL = DeviceIdentity(
    "Intel(R) OpenCL", "OpenCL 3.1 LINUX", "A CPU", "OpenCL 3.1", "2026.2", 0x8086, "x86_64", "Linux", "1.0.0"
)
MALI = DeviceIdentity(
    "ARM Platform", "OpenCL 3.0", "Mali-G78", "OpenCL 3.0", "r38", 0x13B5, "aarch64", "Linux", "1.0.0"
)
TUNED = bytes.fromhex("0a300a26") + b"du6A0F3D1n1DDMv7uJ9IyJESPHP58_G9EADHDG" + bytes.fromhex("1820180418011800")


def content() -> ProgramContent:
    """Two devices, every kind of section."""
    kernels = [KernelRecord("conv_1", "-cl-std=CL1.2", "ab" * 32, (8, 4, 1)), KernelRecord("add_2")]
    return ProgramContent(
        (
            Entry.make("program", "aa" * 32, b"\x7fELF intel", device=INTEL, kernels=kernels),
            Entry.make("program", "aa" * 32, b"\x7fELF mali", device=MALI, kernels=kernels[:1]),
            Entry.make("plan", "plan-1", b'{"version":1}', device=INTEL, meta={"model": {"name": "digits"}}),
            Entry.make("tuning", "conv", b'{"tile":4}', device=INTEL),
            Entry.make("il", "aa" * 32, b"\x03\x02\x23\x07"),
            Entry.make("weights", "bb" * 32, bytes(range(256))),
        )
    )


def wrap(payload: bytes, total: int | None = None, signature: bytes = bytes(256)) -> bytes:
    """An envelope around any bytes, its hash right."""
    size = envelope.HEADER_BYTES + len(payload) if total is None else total
    return envelope.EnvelopeHeader(size, hashlib.sha256(payload).hexdigest(), signature).encode() + payload


def reseal(table: bytes) -> bytes:
    """A table whose trailing hash holds again."""
    return table[:-32] + hashlib.sha256(table[:-32]).digest()


def patch(data: bytes, offset: int, layout: str, value: int) -> bytes:
    """``data`` with a number replaced."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, offset, value)
    return bytes(changed)


def crc(body: bytes) -> bytes:
    """Upstream's current layout around a message."""
    return body + struct.pack("<I", zlib.crc32(body))


def blob() -> bytes:
    """The smallest Movidius blob there can be: an ELF-like header, twenty numbers, zeros."""
    size = 416 + 64
    facts = [9709, size, 6, 0, 1, 1, 3, 64, 64, 1, 4096, 8, 8, 1, 1, 0, 416, 416, 416, 416]
    elf = b"\x7felf" + bytes(12) + struct.pack("<HHIIIIIHHHHHH", 1, 2, 2, 0, 0, 0, 0, 416, 0, 0, 0, 0, 0)
    return (elf + struct.pack("<20I", *facts)).ljust(size, b"\0")


def unfolds_to_more() -> bytes:
    """A zstd frame that says it holds a mebibyte, and whose repeated blocks unfold to 256 MiB (RFC 8878, 3.1.1)."""
    block = struct.pack("<I", 131072 << 3 | 1 << 1)[:3] + b"A"
    last = struct.pack("<I", 131072 << 3 | 1 << 1 | 1)[:3] + b"A"
    return bytes.fromhex("28b52ffd") + b"\xa0" + struct.pack("<I", 1 << 20) + block * 2047 + last


def valid() -> dict[str, tuple[bytes, str]]:
    """Name → bytes and layout."""
    programs = ProgramContent(tuple(e for e in content().entries if e.device == INTEL))
    plain = encode_program(content())
    key = signing.generate_private("ecdsa")
    (FOLDER / "signer.pub").write_bytes(signing.public_pem(key.public_key()))
    signed = signing.sign_header(plain.header, key)
    return {
        "envelope": (plain.to_bytes(), "envelope"),
        "envelope-empty": (encode_program(ProgramContent()).to_bytes(), "envelope"),
        "envelope-zstd": (encode_program(content(), compressed=True).to_bytes(), "envelope"),
        "envelope-key": (encode_program(content(), secret=Secret.raw(KEY)).to_bytes(), "envelope"),
        "envelope-passphrase-zstd": (
            encode_program(content(), compressed=True, secret=Secret.passphrase(PASSPHRASE)).to_bytes(),
            "envelope",
        ),
        "envelope-signed": (signed.encode() + b"".join(plain.payload), "envelope"),
        "table": (b"".join(encode_table(content()).pieces), "kernel table"),
        "table-bare": (reseal(struct.pack("<4sIIII", b"MCLP", 0x10000, 0, 0, 0x14) + bytes(32)), "kernel table"),
        "upstream": (encode_as(programs, "upstream"), "upstream MACE, v1.1.1 and later"),
        "upstream-tuned": (crc(TUNED), "upstream MACE, v1.1.1 and later"),
        "upstream-old": (encode_as(programs, "upstream-old"), "upstream MACE, v0.6.1 to v1.0.4"),
        "movidius": (blob(), "Movidius blob"),
    }


def hostile() -> dict[str, tuple[bytes, str]]:
    """Name → bytes and the error a reader must raise. Every hash holds unless the name says otherwise."""
    table = b"".join(encode_table(content()).pieces)
    plain = encode_program(content()).to_bytes()
    at = struct.unpack_from("<I", table, 0x10)[0]
    record = at + 40
    return {
        "empty": (b"", "ProgramFormatError"),
        "text": (b"#!/bin/sh\necho hello\n", "ProgramFormatError"),
        "envelope-cut": (plain[:-1], "IntegrityError"),
        "envelope-longer": (plain + b"\0", "IntegrityError"),
        "envelope-wrong-hash": (plain[:-1] + bytes([plain[-1] ^ 1]), "IntegrityError"),
        "envelope-signature-rubbish": (wrap(table, signature=bytes(255) + b"\1"), "ProgramFormatError"),
        "envelope-in-envelope": (wrap(plain), "ProgramFormatError"),
        "envelope-no-table": (wrap(b"nothing"), "ProgramFormatError"),
        "zstd-bomb": (wrap(bytes.fromhex("28b52ffde0ffffffffffffff7f") + bytes(64)), "LimitError"),
        "zstd-unfolds-to-more": (wrap(unfolds_to_more()), "ProgramFormatError"),
        "zstd-rubbish": (wrap(bytes.fromhex("28b52ffd") + bytes(40)), "ProgramFormatError"),
        "scrypt-bomb": (
            wrap(
                struct.pack("<4sIIIIIQ16s12s4s", b"MCEN", 0x10000, 1, 30, 8, 1, 4, bytes(16), bytes(12), bytes(4))
                + bytes(20)
            ),
            "LimitError",
        ),
        "encryption-cut": (wrap(b"MCEN" + bytes(40)), "ProgramFormatError"),
        "table-wrong-hash": (table[:-1] + bytes([table[-1] ^ 1]), "IntegrityError"),
        "table-kernels": (reseal(patch(table, 0x08, "<I", 0xFFFFFFFF)), "LimitError"),
        "table-offset-outside": (reseal(patch(table, 0x10, "<I", 0xFFFFFFF0)), "ProgramFormatError"),
        "table-index-changed": (reseal(patch(table, record + 8, "<I", 0)), "IntegrityError"),
        "table-payload-changed": (reseal(table.replace(b"ELF intel", b"ELF Intel")), "IntegrityError"),
        "table-cut-to-header": (reseal(table[:0x14] + bytes(32)), "ProgramFormatError"),
        "upstream-wrong-crc": (crc(TUNED)[:-1] + b"\0", "IntegrityError"),
        "upstream-length-beyond": (crc(b"\x0a\x7f\x0a\x01a"), "ProgramFormatError"),
        "upstream-varint": (crc(b"\x0a" + b"\xff" * 11), "ProgramFormatError"),
        "upstream-old-count": (struct.pack("<qi", 1 << 23, 3) + b"abc", "LimitError"),
        "upstream-old-negative": (struct.pack("<qi3si", 1, 3, b"abc", -1), "ProgramFormatError"),
        "movidius-cut": (b"\x7felf" + bytes(12), "ProgramFormatError"),
    }


def main() -> None:
    """Write every file and the list of outcomes."""
    FOLDER.mkdir(exist_ok=True)
    outcomes: dict[str, dict[str, object]] = {}
    for name, (data, layout) in valid().items():
        (FOLDER / f"{name}.bin").write_bytes(data)
        outcomes[name] = {"layout": layout}
    for name, (data, error) in hostile().items():
        (FOLDER / f"{name}.bin").write_bytes(data)
        outcomes[name] = {"error": error}
    (FOLDER / "expected.json").write_text(json.dumps(outcomes, indent=1) + "\n")


if __name__ == "__main__":
    main()
