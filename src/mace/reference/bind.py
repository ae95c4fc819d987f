"""Gives a graph's inputs concrete shapes and works out what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mace.errors import InputError, ModelError
from mace.graph.ir import Graph
from mace.reference.optimise import optimise
from mace.tensor import Dim, TensorType


def bind_shapes(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> Graph:
    """The graph with these input shapes: types inferred anew, and every pass run again, as more folds now.

    Inputs that ``shapes`` does not name keep their type, with symbolic dimensions replaced that other inputs fixed.
    Shapes that depend on data stay open. Raises ``InputError`` for an unknown input, a wrong rank, a number that
    contradicts the model, or two numbers for one symbolic dimension.
    """
    symbols: dict[str, int] = {}
    for name, dims in shapes.items():
        if name not in graph.inputs:
            raise InputError(f"the model has no input '{name}'; its inputs are {', '.join(graph.inputs) or '(none)'}")
        _match(name, graph.inputs[name], tuple(dims), symbols)
    inputs = {}
    for name, known in graph.inputs.items():
        shape = (
            tuple(shapes[name]) if name in shapes else known.shape and tuple(_bound(d, symbols) for d in known.shape)
        )
        inputs[name] = TensorType(known.dtype, shape, known.container)
    types = {n: _bound_type(t, symbols) for n, t in graph.types.items()}
    try:
        return optimise(graph.with_(inputs=inputs, types=types))
    except ModelError as error:
        given = ", ".join(f"{n} {tuple(d)}" for n, d in shapes.items())
        raise InputError(f"the model cannot take these input shapes ({given}): {error}") from error


def _match(name: str, declared: TensorType, dims: tuple[int, ...], symbols: dict[str, int]) -> None:
    if declared.shape is None:
        return
    if len(declared.shape) != len(dims):
        raise InputError(f"input '{name}' is {declared}; a shape of rank {len(dims)} was given: {dims}")
    for want, have in zip(declared.shape, dims, strict=True):
        if isinstance(want, int) and want != have:
            raise InputError(f"input '{name}' is {declared}; the shape given is {dims}")
        if isinstance(want, str) and symbols.setdefault(want, have) != have:
            raise InputError(f"input '{name}' has shape {dims}, but dimension '{want}' is {symbols[want]} already")


def _bound(dim: Dim, symbols: Mapping[str, int]) -> Dim:
    return symbols.get(dim, dim) if isinstance(dim, str) else dim


def _bound_type(known: TensorType, symbols: Mapping[str, int]) -> TensorType:
    if known.shape is None:
        return known
    return TensorType(known.dtype, tuple(_bound(d, symbols) for d in known.shape), known.container)
