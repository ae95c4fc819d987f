"""Every reader of a file that somebody else may have written, by name, with the files that its fuzzing starts from.

Inner readers are given bytes as they stand behind a hash, so that a fuzzer reaches them.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mace.model_file.header import read_header
from mace.model_file.layout import PREFIX_SIZE, Prefix, round_up
from mace.model_file.read import load_model
from mace.plan.serialise import plan_from_json
from mace.program import compress, encrypt, envelope, movidius, obfuscate, spirv, table, upstream, upstream_content
from mace.program.codec import decode_program
from mace.program.conversion import encode_as
from mace.program.limits import MIB, Limits
from mace.tuning.database import TuningFile

SEEDS = Path(__file__).with_name("seeds")
SPECIMENS = Path(__file__).parents[1] / "program" / "specimens"
VECTORS = Path(__file__).parents[1] / "program" / "vectors"
LIMITS = Limits(file_bytes=16 * MIB, decompressed_bytes=4 * MIB, window_bytes=4 * MIB, scrypt_bytes=MIB)
KEY = encrypt.Secret.raw(bytes(range(32)))
_BLOB_SIZE = movidius.ELF_BYTES + 4


@dataclass(frozen=True, slots=True)
class Reader:
    """One of them. ``read`` may raise a ``MaceError`` and nothing else; ``seeds`` gives files it is meant for."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]


def _vectors(start: str = "") -> Iterator[bytes]:
    yield from (p.read_bytes() for p in sorted(VECTORS.glob(f"{start}*.bin")))


def _upstream(pattern: str = "*") -> Iterator[bytes]:
    """Vectors, and files that upstream's own code wrote."""
    yield from _vectors("upstream-old" if pattern != "*" else "upstream")
    yield from (p.read_bytes() for p in sorted(SPECIMENS.glob(f"upstream-{pattern}.bin")))


def _payloads() -> Iterator[bytes]:
    """What the envelopes among the vectors hold, and the tables that are bare."""
    yield from (f[envelope.HEADER_BYTES :] for f in _vectors("envelope") if f[:4] == envelope.MAGIC)
    yield from _vectors("table")


def _seeds(pattern: str) -> Iterator[bytes]:
    yield from (p.read_bytes() for p in sorted(SEEDS.glob(pattern)))


def _resealed(data: bytes) -> object:
    """A table whose own hashes hold again, so that everything behind them is reached."""
    return table.decode_table(data + hashlib.sha256(data).digest(), verify=False, limits=LIMITS)


def _in_envelope(data: bytes) -> object:
    size, digest = envelope.HEADER_BYTES + len(data), hashlib.sha256(data).hexdigest()
    whole = envelope.EnvelopeHeader(size, digest, bytes(256)).encode() + data
    return decode_program(whole, secret=KEY, limits=LIMITS)


def _with_crc(data: bytes) -> object:
    return upstream_content.from_upstream(data + zlib.crc32(data).to_bytes(4, "little"), limits=LIMITS)


def _there_and_back(data: bytes) -> object:
    file = upstream.parse_upstream(data + zlib.crc32(data).to_bytes(4, "little"), limits=LIMITS)
    assert upstream.parse_upstream(upstream.encode_upstream(file)).values == file.values
    return file


def _through_content(data: bytes) -> object:
    """An old file as content, and that as a current file, which must be read again."""
    content = upstream_content.from_upstream(data, limits=LIMITS)
    return upstream.parse_upstream(encode_as(content, "upstream"))


def _names(data: bytes) -> object:
    return obfuscate.obfuscate(obfuscate.likely_name(data.decode("latin-1")))


def _blob(data: bytes) -> object:
    """A Movidius blob that says its right size."""
    sized = data[:_BLOB_SIZE] + len(data).to_bytes(4, "little") + data[_BLOB_SIZE + 4 :]
    return movidius.blob_entry(sized if len(data) > _BLOB_SIZE + 4 else data)


def _as_file(data: bytes, read: Callable[[str], object]) -> object:
    handle = os.memfd_create("fuzz")
    try:
        os.write(handle, data)
        return read(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _model(data: bytes) -> object:
    return _as_file(data, lambda path: (read_header(path), load_model(path)))


def _model_header(data: bytes) -> object:
    """The part of a model file behind its digest: signature, a zero byte, header; eight kilobytes of weights follow."""
    signature, _, header = data.partition(b"\0")
    weights = round_up(PREFIX_SIZE + len(signature) + len(header), 4096)
    prefix = Prefix(weights + 8192, len(signature), len(header), weights, bytes(32))
    prefix = prefix._replace(digest=prefix.digest_of(signature, header))
    whole = (prefix.pack() + signature + header).ljust(weights + 8192, b"\0")
    return _as_file(whole, lambda path: (read_header(path), load_model(path, verify=False)))


def _model_parts() -> Iterator[bytes]:
    for file in _seeds("*.mace"):
        signature_size = int.from_bytes(file[24:32], "little")
        header_size = int.from_bytes(file[32:40], "little")
        signature = file[PREFIX_SIZE : PREFIX_SIZE + signature_size]
        yield signature + b"\0" + file[PREFIX_SIZE + signature_size :][:header_size]


READERS = {
    "program": Reader(lambda data: decode_program(data, secret=KEY, limits=LIMITS), _vectors),
    "envelope-header": Reader(envelope.parse_header, lambda: _vectors("envelope")),
    "envelope-payload": Reader(_in_envelope, _payloads),
    "table": Reader(_resealed, lambda: (f[:-32] for f in _payloads())),
    "table-index": Reader(lambda data: table.decode_index(data, limits=LIMITS), _payloads),
    "compression": Reader(lambda data: compress.decompress(data, limits=LIMITS), _payloads),
    "encryption": Reader(lambda data: encrypt.decrypt(data, KEY, limits=LIMITS), _payloads),
    "upstream": Reader(_with_crc, lambda: (f[:-4] for f in _upstream())),
    "upstream-old": Reader(
        lambda data: upstream_content.from_upstream(data, limits=LIMITS), lambda: _upstream("[01].[09]*")
    ),
    "upstream-there-and-back": Reader(_there_and_back, lambda: (f[:-4] for f in _upstream())),
    "upstream-through-content": Reader(_through_content, lambda: _upstream("[01].[09]*")),
    "upstream-names": Reader(_names, lambda: iter([b"du6A0F3D1n1DDMv7uJ9IyJESPHP58_G9EADHDG"])),
    "spirv": Reader(spirv.spirv_in, lambda: (p.read_bytes() for p in SPECIMENS.glob("twice*.bin"))),
    "movidius": Reader(_blob, lambda: _vectors("movidius")),
    "tuned-parameters": Reader(TuningFile.from_bytes, lambda: _seeds("tuning*.json")),
    "plan": Reader(plan_from_json, lambda: _seeds("plan*.json")),
    "model": Reader(_model, lambda: _seeds("*.mace")),
    "model-header": Reader(_model_header, _model_parts),
}
