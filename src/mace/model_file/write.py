"""Writes ``.mace`` files: the same graph always gives the same bytes, and a file appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mace.errors import StorageError
from mace.graph.ir import Graph
from mace.graph.serialise import array_to_json, node_to_json, type_to_json
from mace.model_file.layout import PAGE, PREFIX_SIZE, SMALL_ALIGNMENT, Prefix, round_up
from mace.model_file.signature import Signature
from mace.tensor import Array, DType


def save_model(path: str | PathLike[str], graph: Graph) -> str:
    """Write the graph as a ``.mace`` file and return its SHA-256 in hexadecimal, which names the model.

    Raises ``StorageError`` when the file cannot be written; an older file is left as it was then.
    """
    target = Path(path)
    segments, table = _segments(graph)
    signature = Signature.of(graph).to_bytes()
    header = _header(graph, table)
    weights = round_up(PREFIX_SIZE + len(signature) + len(header), PAGE)
    size = weights + (segments[-1][0] + segments[-1][1].nbytes if segments else 0)
    draft = Prefix(size, len(signature), len(header), weights, bytes(32))
    digest = draft.digest_of(signature, header)
    prefix = Prefix(size, len(signature), len(header), weights, digest)
    _write_whole(target, _chunks(prefix, signature, header, segments))
    return digest.hex()


def _segments(graph: Graph) -> tuple[list[tuple[int, Array]], dict[str, Any]]:
    """Constants with their offsets from the start of the weights, and the table that describes them.

    Large ones come first, each on a page of its own; small ones follow. Equal bytes are stored once.
    """
    placed: list[tuple[int, Array]] = []
    table: dict[str, Any] = {}
    known: dict[str, int] = {}
    end = 0
    arrays = [(name, np.asarray(array)) for name, array in graph.constants.items()]
    for large in (True, False):
        for name, array in arrays:
            dtype = DType.of(array.dtype)
            if dtype is DType.STRING or (array.nbytes >= PAGE) is not large:
                continue
            raw = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
            digest = hashlib.sha256(raw.data).hexdigest()
            if digest not in known:
                known[digest] = round_up(end, PAGE if large else SMALL_ALIGNMENT)
                if raw.size:
                    placed.append((known[digest], raw))
                    end = known[digest] + raw.size
            table[name] = [dtype.value, list(array.shape), known[digest], raw.size, digest]
    for name, array in arrays:
        if DType.of(array.dtype) is DType.STRING:
            table[name] = array_to_json(array)
    return placed, {name: table[name] for name in graph.constants}


def _header(graph: Graph, table: dict[str, Any]) -> bytes:
    """The graph as JSON, one node, constant or type per line."""

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=True)

    def block(entries: list[str], brackets: str) -> str:
        return brackets[0] + ("\n" + ",\n".join(entries) + "\n" if entries else "") + brackets[1]

    fields = {
        "name": text(graph.name),
        "opset": text(graph.opset),
        "inputs": block([f"{text(k)}:{text(type_to_json(t))}" for k, t in graph.inputs.items()], "{}"),
        "outputs": text(list(graph.outputs)),
        "nodes": block([text(node_to_json(n)) for n in graph.nodes], "[]"),
        "constants": block([f"{text(k)}:{text(v)}" for k, v in table.items()], "{}"),
        "types": block([f"{text(k)}:{text(type_to_json(t))}" for k, t in graph.types.items()], "{}"),
    }
    return ("{\n" + ",\n".join(f"{text(k)}:{v}" for k, v in fields.items()) + "\n}\n").encode()


def _chunks(prefix: Prefix, signature: bytes, header: bytes, segments: list[tuple[int, Array]]) -> Iterator[Any]:
    yield prefix.pack()
    yield signature
    yield header
    at = PREFIX_SIZE + len(signature) + len(header)
    for offset, raw in segments:
        start = prefix.weights_offset + offset
        yield bytes(start - at)
        yield raw.data
        at = start + raw.size
    yield bytes(prefix.file_size - at)


def _write_whole(path: Path, chunks: Iterator[Any]) -> None:
    """Write beside the target, flush to the disk, then put it in the target's place in one step."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise StorageError(f"cannot be written: {error.strerror or error}", path=path) from error


def _umask() -> int:
    """The process's file-mode mask; the system has no call that only reads it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
