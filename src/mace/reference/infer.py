"""Types of a node's outputs: by onnx's own inference, bettered where a shape operand is only half known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mace.errors import ModelError
from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Node
from mace.graph.symbolic import Partial
from mace.reference.schema import newest_opset, schema
from mace.reference.to_onnx import node_to_proto
from mace.reference.types import array_to_proto, type_from_proto, type_to_proto
from mace.tensor import Array, Dim, DType, TensorType

if TYPE_CHECKING:
    import onnx

_EQUATION = re.compile(r"[A-Za-z., ]*(->[A-Za-z. ]*)?")
"""What an Einsum equation is made of; onnx's inference never returns from some others."""

_DATA_LIMIT = 1024
"""Elements up to which a constant input is shown to onnx's inference: shapes, axes, scales."""


def infer_outputs(
    node: Node,
    types: Mapping[str, TensorType],
    constants: Mapping[str, Array],
    partial: Mapping[str, Partial] | None = None,
) -> list[TensorType | None]:
    """The type of each output, None where nothing can be told.

    ``types`` are the types of the values in sight (outer ones included, for subgraphs), ``constants`` the arrays known,
    ``partial`` half-known integer values. Raises ``ModelError`` when the node contradicts its operator's definition.
    """
    if node.domain == MACE_DOMAIN and node.op == "Pointwise":
        return [_pointwise(node, node.attrs["expr"], [types.get(i) for i in node.inputs])]
    tail = node.tail
    if tail is not None:
        attrs = {k: v for k, v in node.attrs.items() if k != "tail"}
        plain = node.with_(inputs=node.main_inputs, attrs=attrs)
        main = infer_outputs(plain, types, constants, partial)[0]
        return [_pointwise(node, tail, [main, *(types.get(i) for i in node.tail_inputs)])]
    found = _by_onnx(node, types, constants)
    own = _OWN_RULES.get(node.op) if not node.domain else None
    if own is not None and partial is not None and found and not (found[0] and found[0].is_static):
        better = own(node, types, partial)
        if better is not None:
            found[0] = merge(found[0], better)
    return found


def merge(a: TensorType | None, b: TensorType | None) -> TensorType | None:
    """What two descriptions of one value say together; numbers win over names, names over nothing."""
    if a is None or b is None:
        return a or b
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return a if a.shape is not None else b
    dims = (
        x if isinstance(x, int) or (not isinstance(y, int) and x is not None) else y
        for x, y in zip(a.shape, b.shape, strict=True)
    )
    return TensorType(a.dtype, tuple(dims), a.container)


def _by_onnx(node: Node, types: Mapping[str, TensorType], constants: Mapping[str, Array]) -> list[TensorType | None]:
    from onnx import shape_inference

    known = schema(node.op, node.domain)
    if known is None:
        return [None] * len(node.outputs)
    reads = dict.fromkeys(node.reads())
    if any(r not in types for r in reads):
        return [None] * len(node.outputs)
    data = {
        i: _data(_known(node, constants[i])) for i in node.inputs if i in constants and constants[i].size <= _DATA_LIMIT
    }
    if node.op == "Einsum" and not node.domain and not _EQUATION.fullmatch(node.str("equation", "")):
        raise ModelError(f"Einsum '{node.name or node.outputs[0]}': the equation is malformed")
    try:
        found = shape_inference.infer_node_outputs(
            known,
            node_to_proto(node),
            {r: type_to_proto(types[r]) for r in reads},
            input_data=data,
            opset_imports=list(_imports(node.domain)),
        )
    except Exception as error:  # onnx raises InferenceError, ValidationError, ValueError, RuntimeError …
        raise ModelError(f"{node.op} '{node.name or node.outputs[0]}': {_first_line(error)}") from error
    return [type_from_proto(found[o]) if o in found else None for o in node.outputs]


def _known(node: Node, array: Array) -> Array:
    """A constant as inference wants it: Range's may come as vectors of one, which every implementation takes."""
    return array.reshape(()) if node.op == "Range" and array.size == 1 else array


def _data(array: Array) -> onnx.TensorProto:
    return array_to_proto(array)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


@cache
def _imports(domain: str) -> tuple[onnx.OperatorSetIdProto, ...]:
    from onnx import helper

    return tuple(helper.make_opsetid(d, newest_opset(d)) for d in {"", domain})


# ---- own rules ----------------------------------------------------------------------------------------------------------
def broadcast(shapes: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...] | None:
    """Shape that numpy broadcasting gives, or None when numbers contradict. A name beside an unknown stays unknown."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[Dim] = []
    for axis in range(rank):
        dims = [s[axis - rank + len(s)] for s in shapes if axis - rank + len(s) >= 0]
        numbers = {d for d in dims if isinstance(d, int) and d != 1}
        if len(numbers) > 1:
            return None
        others = [d for d in dims if not isinstance(d, int)]
        if numbers:
            result.append(numbers.pop())
        elif not others:
            result.append(1)
        else:
            result.append(others[0] if len(set(others)) == 1 else None)
    return tuple(result)


def _pointwise(node: Node, expr: object, operands: Sequence[TensorType | None]) -> TensorType | None:
    if not isinstance(expr, Expr) or any(t is None for t in operands):
        return None
    known = [t for t in operands if t is not None]
    dtype = DType(expr.steps[-1].dtype) if expr.steps else known[0].dtype
    shapes = [t.shape for t in known if t.shape is not None]
    if len(shapes) < len(known):
        return TensorType(dtype, None)
    shape = broadcast(shapes)
    if shape is None:
        raise ModelError(f"{node.op} '{node.outputs[0]}': shapes {', '.join(map(str, known))} do not broadcast")
    return TensorType(dtype, shape)


def _reshape(node: Node, types: Mapping[str, TensorType], partial: Mapping[str, Partial]) -> TensorType | None:
    data, shape = types.get(node.input(0)), partial.get(node.input(1))
    if data is None or shape is None:
        return None
    copied = node.int("allowzero", 0) == 0
    dims: list[Dim] = []
    for i, item in enumerate(shape.items):
        if item == 0 and copied:
            dims.append(data.shape[i] if data.shape is not None and i < len(data.shape) else None)
        else:
            dims.append(item)
    if -1 in dims:
        dims[dims.index(-1)] = _rest(data.shape, [d for d in dims if d != -1])
    return TensorType(data.dtype, tuple(dims))


def _rest(source: tuple[Dim, ...] | None, others: Sequence[Dim]) -> Dim:
    """The extent that -1 stands for: what is left of the source when equal symbolic dimensions cancel."""
    if source is None:
        return None
    above, below = list(source), list(others)
    for dim in [d for d in below if isinstance(d, str)]:
        if dim in above:
            above.remove(dim)
            below.remove(dim)
    names = [d for d in above if not isinstance(d, int)]
    numbers = prod(d for d in above if isinstance(d, int))
    if any(not isinstance(d, int) for d in below):
        return None
    divisor = prod(d for d in below if isinstance(d, int))
    if not names:
        return numbers // divisor if divisor else None
    if len(names) == 1 and numbers == divisor:
        return names[0]
    return None


def _expand(node: Node, types: Mapping[str, TensorType], partial: Mapping[str, Partial]) -> TensorType | None:
    data, shape = types.get(node.input(0)), partial.get(node.input(1))
    if data is None or data.shape is None or shape is None:
        return None
    dims = broadcast([data.shape, shape.items])
    return None if dims is None else TensorType(data.dtype, dims)


def _constant_of_shape(
    node: Node, types: Mapping[str, TensorType], partial: Mapping[str, Partial]
) -> TensorType | None:
    shape = partial.get(node.input(0))
    if shape is None:
        return None
    value = node.attrs.get("value")
    dtype = DType.of(value.dtype) if isinstance(value, np.ndarray) else DType.FLOAT32
    return TensorType(dtype, shape.items)


def _affine_grid(node: Node, types: Mapping[str, TensorType], partial: Mapping[str, Partial]) -> TensorType | None:
    theta, size = types.get(node.input(0)), partial.get(node.input(1))
    if theta is None or size is None:
        return None
    n, _, *extents = size.items
    return TensorType(theta.dtype, (n, *extents, len(extents)))


def _like_first(node: Node, types: Mapping[str, TensorType], _partial: Mapping[str, Partial]) -> TensorType | None:
    return types.get(node.input(0))


_OwnRule = Callable[[Node, Mapping[str, TensorType], Mapping[str, Partial]], "TensorType | None"]
_OWN_RULES: dict[str, _OwnRule] = {
    "AffineGrid": _affine_grid,
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "GroupNormalization": _like_first,
}
