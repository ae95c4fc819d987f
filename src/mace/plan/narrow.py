"""Storage in 16 bits: a float32 graph whose tensors lie in memory as float16 or bfloat16, while sums stay in float32.

Kernels load narrow numbers into float32 registers and round where they store, so only memory and its traffic shrink; no
device needs an extension for it. Inputs and outputs of the graph stay float32. A value ``v`` keeps its name for its
float32 form, and ``v@fp16`` names the narrow one: whoever needs the other form gets a Cast.

What becomes narrow: results of contractions and pointwise nodes, the weights they read, and whatever other operators
make of narrow values. Vectors among constants (biases, factors) stay wide, and so do constants that float16 cannot hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from mace.graph.ir import MACE_DOMAIN, Graph, Node, fresh_name
from mace.graph.parameters import parameter_inputs
from mace.graph.pointwise_table import POINTWISE
from mace.ops.lowering import LowerContext
from mace.ops.registry import find
from mace.plan.options import Storage
from mace.tensor import Array, DType, TensorType

NARROW: Final[dict[Storage, DType]] = {"fp16": DType.FLOAT16, "bf16": DType.BFLOAT16}

_NORMS = ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization")
MIXING: Final = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "Pointwise", *_NORMS, *POINTWISE})
"""Operators whose kernels read every operand in a type of its own."""

WIDE: Final = frozenset(
    {"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "GridSample", "RoiAlign"}
    | {"MaxRoiPool", "AffineGrid", "Range", "CumSum", "CumProd", "NonMaxSuppression", "TopK", "BatchNormalization"}
)
"""Operators left alone: those about types, positions in a picture, long running sums, ranks, small variances."""


def store_narrow(graph: Graph, context: LowerContext, storage: Storage) -> Graph:
    """The bound graph with its tensors stored as ``storage`` says. ``context`` is the one its nodes would be lowered in."""
    if storage == "fp32":
        return graph
    return _Narrower(graph, context, storage).run()


def fits(array: Array, dtype: DType) -> bool:
    """Whether every finite number of the array stays finite in the narrow type."""
    largest = np.abs(array[np.isfinite(array)]).max(initial=0)
    with np.errstate(over="ignore"):
        return bool(np.isfinite(largest.astype(dtype.numpy)))


class _Narrower:
    def __init__(self, graph: Graph, context: LowerContext, storage: Storage) -> None:
        self.graph, self.storage, self.dtype = graph, storage, NARROW[storage]
        self.types = dict(context.types)
        self.constants = dict(graph.constants)
        self.context = replace(context, types=self.types, constants=self.constants)
        self.taken = graph.names()
        self.nodes: list[Node] = []
        self.narrow: dict[str, str] = {}
        """Value → the value that holds it in 16 bits."""
        self.wide = {*graph.inputs, *graph.constants}
        """Values that exist in their own type."""

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if not self._add_narrow(node):
                for value in node.reads():
                    self._want_wide(value)
                self.nodes.append(node)
                self.wide.update(o for o in node.outputs if o)
        for value in self.graph.outputs:
            self._want_wide(value)
        added = {n: t for n, t in self.types.items() if n not in self.graph.inputs and n not in self.constants}
        types = {**self.graph.types, **added}
        return self.graph.with_(nodes=tuple(self.nodes), constants=self.constants, types=types)

    # ---- one node ---------------------------------------------------------------------------------------------------
    def _add_narrow(self, node: Node) -> bool:
        """Add the node with narrow tensors; False where it has to stay as it is."""
        record = find(node.op, node.domain)
        mixing = node.op in MIXING and node.domain in ("", MACE_DOMAIN)
        if record is None or node.op in WIDE or any(node.subgraphs()) or not any(map(self._is_float, node.outputs)):
            return False
        if not mixing and not any(v in self.narrow for v in node.inputs):
            return False
        parameters = parameter_inputs(node)
        if not mixing and not all(self._fits(v) for v in node.inputs if v not in parameters):
            return False
        constants = dict(self.constants)
        inputs = [v if v in parameters else self._input(v, mixing, constants) for v in node.inputs]
        outputs = [self._name(v) if self._is_float(v) else v for v in node.outputs]
        types = {**self.types, **self._types_of(node.inputs, inputs), **self._types_of(node.outputs, outputs)}
        changed = node.with_(inputs=tuple(inputs), outputs=tuple(outputs))
        trial = replace(self.context, types=types, constants=constants)
        if not record.metadata_only and record.lower(changed, trial) is None:
            return False
        for value, name in zip(node.inputs, inputs, strict=True):
            if name != value:
                self._provide(value, name)
            elif value:
                self._want_wide(value)
        self.types.update(self._types_of(node.outputs, outputs))
        self.nodes.append(changed)
        for value, name in zip(node.outputs, outputs, strict=True):
            if name != value:
                self.narrow[value] = name
                self.taken.add(name)
            elif value:
                self.wide.add(value)
        return True

    def _input(self, value: str, mixing: bool, constants: dict[str, Array]) -> str:
        """The name under which a node reads a value: its narrow form wherever that serves."""
        if not self._is_float(value) or value in self.narrow:
            return self.narrow.get(value, value)
        array = self.graph.constants.get(value)
        if array is None:
            return value if mixing else self._name(value)
        if mixing and (array.size == max(array.shape, default=1) or not self._fits(value)):
            return value
        name = self._name(value)
        constants[name] = array.astype(self.dtype.numpy)
        return name

    def _fits(self, value: str) -> bool:
        """Whether a value, if it is a constant, keeps its finite numbers in the narrow type."""
        array = self.graph.constants.get(value)
        return array is None or not self._is_float(value) or fits(array, self.dtype)

    def _is_float(self, value: str) -> bool:
        known = self.types.get(value)
        return known is not None and known.dtype is DType.FLOAT32 and known.is_static

    def _name(self, value: str) -> str:
        return self.narrow.get(value) or fresh_name(f"{value}@{self.storage}", self.taken)

    def _types_of(self, values: tuple[str, ...], names: list[str]) -> Mapping[str, TensorType]:
        """The types of those names that stand for a narrow form."""
        pairs = zip(values, names, strict=True)
        return {name: replace(self.types[value], dtype=self.dtype) for value, name in pairs if name != value}

    # ---- the other form of a value ----------------------------------------------------------------------------------
    def _provide(self, value: str, name: str) -> None:
        """Make the narrow form of a value under this name, unless there is one."""
        if value in self.narrow:
            return
        self.narrow[value] = name
        self.taken.add(name)
        self.types[name] = replace(self.types[value], dtype=self.dtype)
        if value in self.constants:
            self.constants[name] = self.constants[value].astype(self.dtype.numpy)
        else:
            self.nodes.append(_cast(value, name, self.dtype))

    def _want_wide(self, value: str) -> None:
        """Make sure that a value exists in its own type."""
        if value not in self.wide and value in self.narrow:
            self.nodes.append(_cast(self.narrow[value], value, DType.FLOAT32))
            self.wide.add(value)


def _cast(source: str, target: str, dtype: DType) -> Node:
    return Node("Cast", (source,), (target,), {"to": dtype.onnx_code}, name=target)
