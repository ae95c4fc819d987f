"""Reads ``.mace`` files: nothing in them is believed before it is checked, and weights are mapped, not read."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from mace.errors import ModelFileError
from mace.graph.check import check_graph
from mace.graph.ir import Graph
from mace.graph.serialise import array_from_json, node_from_json, type_from_json
from mace.model_file.header import open_model
from mace.model_file.layout import SMALL_ALIGNMENT, Prefix
from mace.tensor import Array, DType, TensorType

DIMS_MAX = 32
"""Dimensions of one constant, at most (numpy before version 2 has no more)."""
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)
"""What reading JSON of another shape than expected raises."""


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model: its graph, its SHA-256 in hexadecimal, and the path it came from."""

    graph: Graph
    sha256: str
    path: str


def load_model(path: str | PathLike[str], verify: bool = True) -> Model:
    """The model in a ``.mace`` file; its constants are read-only views of the mapped file.

    With ``verify`` every byte of the weights is hashed and compared; the rest is always verified. Raises
    ``ModelFileError`` naming offset and field for a file that is missing, cut, altered or no ``.mace`` file.
    """
    where, prefix, _, header = open_model(path)
    data = _parse_header(header, prefix, where)
    mapped = _map(where, prefix)
    constants = {n: _constant(n, entry, mapped, prefix, where, verify) for n, entry in data["constants"].items()}
    if verify:
        _check_padding(data["constants"], mapped, prefix, where)
    try:
        graph = Graph(
            name=_text(data["name"]),
            inputs=_types(data["inputs"]),
            outputs=tuple(_text(o) for o in data["outputs"]),
            nodes=tuple(node_from_json(n) for n in data["nodes"]),
            constants=constants,
            types=_types(data["types"]),
            opset=int(data["opset"]),
        )
        check_graph(graph)
    except _MALFORMED as error:
        raise _broken(f"the graph is malformed: {error}", prefix, where) from error
    return Model(graph, prefix.digest.hex(), where)


def _parse_header(raw: bytes, prefix: Prefix, where: str) -> dict[str, Any]:
    kinds = {
        "name": str,
        "opset": int,
        "inputs": dict,
        "outputs": list,
        "nodes": list,
        "constants": dict,
        "types": dict,
    }
    try:
        data: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _broken(f"is no JSON: {error}", prefix, where) from error
    for name, kind in kinds.items():
        if not isinstance(data, dict) or not isinstance(data.get(name), kind):
            raise _broken(f"'{name}' is missing or of the wrong kind", prefix, where)
    return data


def _broken(message: str, prefix: Prefix, where: str) -> ModelFileError:
    return ModelFileError(message, path=where, offset=prefix.header_offset, field="header")


def _map(where: str, prefix: Prefix) -> mmap.mmap:
    try:
        with open(where, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be mapped: {error}", path=where) from error
    if len(mapped) != prefix.file_size:
        raise ModelFileError("the file changed while it was read", path=where, offset=16, field="file_size")
    return mapped


def _constant(name: str, entry: Any, mapped: mmap.mmap, prefix: Prefix, where: str, verify: bool) -> Array:
    field = f"constants.{name}"
    try:
        if entry[0] == DType.STRING.value:
            return array_from_json(entry)
        kind, shape, offset, nbytes, digest = entry
        dtype, dims = DType(kind).numpy, tuple(shape)
        if not all(type(d) is int and d >= 0 for d in (*dims, offset, nbytes)):
            raise ValueError("a size is no whole number")
        if len(dims) > DIMS_MAX:
            raise ValueError(f"{len(dims)} dimensions are over the limit of {DIMS_MAX}")
        if math.prod(max(1, d) for d in dims) >> 48:  # numpy refuses such extents of an empty array too
            raise ValueError(f"{dims} are over the limit of 2⁴⁸ elements")
    except _MALFORMED as error:
        raise ModelFileError(f"malformed: {error}", path=where, offset=prefix.header_offset, field=field) from error
    count = math.prod(dims)
    start = prefix.weights_offset + offset
    past_end = nbytes > 0 and start + nbytes > prefix.file_size  # where an empty one lies does not matter
    if nbytes != count * dtype.itemsize or offset % SMALL_ALIGNMENT or past_end:
        raise ModelFileError(
            f"{nbytes} bytes at {start} do not hold {kind}{list(dims)} inside the file",
            path=where,
            offset=start,
            field=field,
        )
    if not count:
        return np.zeros(dims, dtype)
    if verify and hashlib.sha256(memoryview(mapped)[start : start + nbytes]).hexdigest() != digest:
        raise ModelFileError(
            "the weights were altered: their hash does not hold", path=where, offset=start, field=field
        )
    array: Array = np.frombuffer(mapped, dtype, count, start).reshape(dims)
    return array


def _check_padding(table: dict[str, Any], mapped: mmap.mmap, prefix: Prefix, where: str) -> None:
    """Bytes that no constant holds must be zero: nothing hides between them."""
    spans = sorted({(e[2], e[3]) for e in table.values() if e[0] != DType.STRING.value})
    view = memoryview(mapped)
    at = prefix.header_offset + prefix.header_size
    for offset, nbytes in [*spans, (prefix.file_size - prefix.weights_offset, 0)]:
        start = prefix.weights_offset + offset
        if start < at and nbytes:
            raise ModelFileError("constants overlap", path=where, offset=start, field="constants")
        if any(view[at:start]):
            raise ModelFileError("bytes between the constants are not zero", path=where, offset=at, field="padding")
        at = max(at, start + nbytes)


def _types(data: dict[str, Any]) -> dict[str, TensorType]:
    return {_text(k): t for k, v in data.items() if (t := type_from_json(v)) is not None}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
