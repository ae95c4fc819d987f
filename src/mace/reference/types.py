"""Element types, tensor types and arrays between mace and the onnx package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mace.errors import ModelError
from mace.graph.subgraphs import UNTYPED
from mace.tensor import Array, Dim, DType, TensorType

if TYPE_CHECKING:
    import onnx


def dtype_of_code(code: int) -> DType:
    """Element type of a ``TensorProto.DataType`` number. Raises ``ModelError`` for one that is not known."""
    try:
        return DType.from_onnx(code)
    except TypeError as error:
        raise ModelError(str(error)) from None


def type_to_proto(known: TensorType | None) -> onnx.TypeProto:
    """The type as onnx says it; an empty ``TypeProto`` when nothing is known."""
    import onnx

    proto = onnx.TypeProto()
    if known is None or known == UNTYPED:
        return proto
    inner = proto
    for word in known.container.split():
        inner = inner.sequence_type.elem_type if word == "sequence" else inner.optional_type.elem_type
    inner.tensor_type.elem_type = known.dtype.onnx_code
    if known.shape is not None:
        inner.tensor_type.shape.SetInParent()
        for dim in known.shape:
            slot = inner.tensor_type.shape.dim.add()
            if isinstance(dim, int):
                slot.dim_value = dim
            elif dim is not None:
                slot.dim_param = dim
    return proto


def type_from_proto(proto: onnx.TypeProto) -> TensorType | None:
    """What a ``TypeProto`` says, or None when it does not even tell the element type (or is a map)."""
    words = []
    while (kind := proto.WhichOneof("value")) in ("sequence_type", "optional_type"):
        words.append("sequence" if kind == "sequence_type" else "optional")
        proto = proto.sequence_type.elem_type if kind == "sequence_type" else proto.optional_type.elem_type
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return None
    tensor = proto.tensor_type if kind == "tensor_type" else proto.sparse_tensor_type
    if tensor.elem_type == 0:
        return None
    shape: tuple[Dim, ...] | None = None
    if tensor.HasField("shape"):
        shape = tuple(_dim(d) for d in tensor.shape.dim)
    return TensorType(dtype_of_code(tensor.elem_type), shape, " ".join(words))


def _dim(proto: onnx.TensorShapeProto.Dimension) -> Dim:
    match proto.WhichOneof("value"):
        case "dim_value":
            return proto.dim_value if proto.dim_value >= 0 else None
        case "dim_param":
            return proto.dim_param if isinstance(proto.dim_param, str) and proto.dim_param else None
        case _:
            return None


def array_to_proto(array: Array, name: str = "") -> onnx.TensorProto:
    """An array as a tensor. Text becomes a string tensor."""
    from onnx import numpy_helper

    if array.dtype.kind in "OUST":
        array = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in array.reshape(-1)], object).reshape(
            array.shape
        )
    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def array_from_proto(proto: onnx.TensorProto, folder: str = "") -> Array:
    """The array of a tensor; ``folder`` is where its external data lie.

    Raises ``ModelError`` when the data do not fit the declared shape, ``OSError`` when an external file cannot be read.
    """
    from onnx import numpy_helper

    try:
        array: Array = numpy_helper.to_array(proto, folder)
    except OSError:
        raise
    except Exception as error:
        raise ModelError(f"tensor '{proto.name}' cannot be read: {error}") from error
    if tuple(array.shape) != tuple(proto.dims):
        raise ModelError(f"tensor '{proto.name}' has {array.shape} elements where {tuple(proto.dims)} are declared")
    return array


def array_from_sparse(proto: onnx.SparseTensorProto, folder: str = "") -> Array:
    """A sparse tensor as a dense array (onnx.proto3, SparseTensorProto: linear or per-axis indices)."""
    values, indices = array_from_proto(proto.values, folder), array_from_proto(proto.indices, folder)
    dims = tuple(proto.dims)
    dense = np.zeros(dims, values.dtype)
    try:
        if indices.ndim == 1:
            dense.reshape(-1)[indices] = values
        else:
            dense[tuple(indices.T)] = values
    except IndexError as error:
        raise ModelError(f"sparse tensor '{proto.values.name}' has an index outside {dims}") from error
    return dense


def value_type(value: object) -> TensorType | None:
    """The type of a run-time value: an array, a list of them, or None."""
    if isinstance(value, np.ndarray):
        return TensorType(DType.of(value.dtype), value.shape)
    if isinstance(value, list):
        inner = value_type(value[0]) if value else None
        return TensorType(inner.dtype, None, f"sequence {inner.container}".strip()) if inner else None
    return None
