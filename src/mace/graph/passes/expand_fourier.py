"""Writes Fourier transforms (ONNX DFT-20, STFT-17) as matrix products and convolutions, as soon as all extents are numbers."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node
from mace.graph.passes.writer import NodeWriter
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array, DType

_LARGEST = 1 << 22
"""Elements of a transform's matrix, at most: longer transforms are the host's, whose algorithm is a fast one."""
_COMPUTED = frozenset({DType.FLOAT32, DType.FLOAT64})


def expand_fourier(graph: Graph) -> Graph:
    """Every transform of known extents, whose length, axis and step are constants, becomes a product with its matrix."""
    taken = graph.names()
    constants = dict(graph.constants)
    nodes: list[Node] = []
    for node in graph.nodes:
        node = map_subgraphs(node, expand_fourier)
        expand = None if node.domain else {"DFT": _expand_dft, "STFT": _expand_stft}.get(node.op)
        written = expand(graph, node, NodeWriter(node.outputs[0], taken, constants)) if expand else None
        nodes.extend([node] if written is None else written)
    return graph.with_(nodes=tuple(nodes), constants=constants)


def _expand_dft(graph: Graph, node: Node, writer: NodeWriter) -> list[Node] | None:
    """The axis goes to the end, together with real and imaginary parts, and is multiplied by the matrix."""
    known = graph.type_of(node.inputs[0])
    extent_given, axis_given = _number(graph, node.input(1), 0), _number(graph, node.input(2), -2)
    if (
        known is None
        or not known.is_static
        or known.dtype not in _COMPUTED
        or extent_given is None
        or axis_given is None
    ):
        return None
    *dims, channels = known.dims
    rank, axis = len(dims), axis_given % len(known.dims)
    if 0 in dims or channels not in (1, 2) or axis >= rank:
        return None
    inverse, onesided = bool(node.int("inverse", 0)), bool(node.int("onesided", 0))
    extent = dims[axis]
    length = extent_given or (2 * (extent - 1) if inverse and onesided else extent)
    if length <= 0 or extent * channels * length * 2 > _LARGEST:
        return None
    matrix = _matrix(extent, channels, length, inverse=inverse, onesided=onesided)
    parts = 1 if inverse and onesided else 2
    order = (*(i for i in range(rank) if i != axis), axis, rank)
    others = [dims[i] for i in order[:-2]]
    value = node.inputs[0] if axis == rank - 1 else writer.add("Transpose", node.inputs[0], perm=order)
    rows = writer.reshaped(value, [int(np.prod(others)), extent * channels])
    product = writer.add("MatMul", rows, writer.constant("matrix", matrix.astype(known.dtype.numpy)))
    result = [*others, matrix.shape[1] // parts, parts]
    if axis == rank - 1:
        return writer.reshaped_to(node, product, result)
    back = tuple(int(i) for i in np.argsort(order))
    last = Node("Transpose", (writer.reshaped(product, result),), node.outputs, {"perm": back}, node.name)
    return [*writer.nodes, last]


def _expand_stft(graph: Graph, node: Node, writer: NodeWriter) -> list[Node] | None:
    """A convolution whose filters are the matrix's columns, times the window. A signal may lack the last axis, of extent 1."""
    known = graph.type_of(node.inputs[0])
    step, given = _number(graph, node.input(1), 0), _number(graph, node.input(3), 0)
    window = graph.type_of(node.input(2)) if node.input(2) else None
    if known is None or not known.is_static or known.dtype not in _COMPUTED or not step or given is None:
        return None
    if (node.input(2) and (window is None or not window.is_static)) or len(known.dims) not in (2, 3):
        return None
    batch, extent, *rest = known.dims
    channels = rest[0] if rest else 1
    length = given or (window.size if window else extent)
    if 0 in known.dims or channels not in (1, 2) or not 0 < length <= extent or (window and window.dims != (length,)):
        return None
    if length * channels * length * 2 > _LARGEST:
        return None
    matrix = _matrix(length, channels, length, inverse=False, onesided=bool(node.int("onesided", 1)) and channels == 1)
    filters = np.ascontiguousarray(matrix.T.reshape(-1, length, channels).transpose(0, 2, 1))
    weight = writer.constant("filters", filters.astype(known.dtype.numpy))
    if window:
        weight = writer.add("Mul", weight, node.input(2))
    if channels == 1:
        signal = writer.reshaped(node.inputs[0], [batch, 1, extent])
    else:
        signal = writer.add("Transpose", node.inputs[0], perm=(0, 2, 1))
    found = writer.add("Conv", signal, weight, kernel_shape=(length,), strides=(step,))
    frames = (extent - length) // step + 1
    turned = writer.add("Transpose", found, perm=(0, 2, 1))
    return writer.reshaped_to(node, turned, [batch, frames, len(filters) // 2, 2])


def _matrix(extent: int, channels: int, length: int, *, inverse: bool, onesided: bool) -> Array:
    """(extent · channels) × (results · parts), in float64: the transforms of the unit vectors.

    The signal is cut or filled with zeros to ``length``. Its channels and the result's parts are real and imaginary; an inverse
    of one side is real alone.
    """
    unit = np.eye(extent * channels).reshape(-1, extent, channels)
    signal = unit[..., 0] + (1j * unit[..., 1] if channels == 2 else 0)
    if inverse and onesided:
        result = np.fft.irfft(signal, length)[..., None]
    else:
        spectrum = (np.fft.ifft if inverse else np.fft.fft)(signal, length)
        spectrum = spectrum[:, : length // 2 + 1] if onesided else spectrum
        result = np.stack([spectrum.real, spectrum.imag], -1)
    matrix: Array = result.reshape(extent * channels, -1)
    return matrix


def _number(graph: Graph, name: str, default: int) -> int | None:
    """The constant of one element by this name, ``default`` for an input left out, None when it is not known."""
    if not name:
        return default
    array = graph.constants.get(name)
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
