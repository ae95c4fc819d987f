"""LSTM, GRU and RNN (ONNX LSTM-22, GRU-22, RNN-22).

The products of all inputs with the input weights are one matrix product. One kernel then goes through time, a work-group per
batch element and direction, with the state in local memory, so that nothing waits for the host between steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mace.graph.ir import Node
from mace.ops.contract.common import all_have_kernels
from mace.ops.contract.matmul import lower_gemm
from mace.ops.contract.matmul_tiled import pack_panels
from mace.ops.lowering import Arg, Constant, Define, KernelCall, Local, LowerContext, Operator, Read, Scratch, Write
from mace.ops.move.strided import fits_int32
from mace.ops.packing import packer
from mace.ops.recurrent.activations import activations
from mace.ops.storage import compute_type, storage_defines
from mace.tensor import Array, DType, TensorType


@dataclass(frozen=True, slots=True)
class _Cell:
    """What tells the three operators apart."""

    number: int
    gates: int
    functions: tuple[str, ...]
    states: int
    """Vectors of hidden size that one work-group keeps in local memory."""


_CELLS = {
    "RNN": _Cell(0, 1, ("Tanh",), 2),
    "GRU": _Cell(1, 3, ("Sigmoid", "Tanh"), 3),
    "LSTM": _Cell(2, 4, ("Sigmoid", "Tanh", "Tanh"), 3),
}
_OPTIONAL_INPUTS = {"RNN": "B LENGTHS H0", "GRU": "B LENGTHS H0", "LSTM": "B LENGTHS H0 C0 P"}
_OUTPUTS = ("Y", "YH", "YC")
_MOST_ITEMS = 256


@packer("recurrent_input")
def pack_input(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Input weights, directions × outputs × inputs, as the panels of one matrix product."""
    return pack_panels([arrays[0].reshape(-1, arrays[0].shape[-1])], params)


@packer("recurrent_state")
def pack_state(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Recurrent weights, directions × (gates × hidden) × hidden, as directions × panels × hidden × gates × lanes."""
    lanes, gates = int(params["lanes"]), int(params["gates"])
    directions, rows, hidden = arrays[0].shape
    panels = arrays[0].reshape(directions, gates, rows // gates // lanes, lanes, hidden)
    return panels.transpose(0, 2, 4, 1, 3)


def _projection(node: Node, ctx: LowerContext, gates: TensorType) -> list[KernelCall] | None:
    """``gates = X Wᵀ`` for all steps and directions, into scratch memory: a Gemm like any other."""
    x, w = node.inputs[:2]
    rows, columns = gates.dims
    width = ctx.dims(x)[-1]
    target = "\0gates"  # no value of a graph is called so
    types = {
        **ctx.types,
        x: TensorType(ctx.type(x).dtype, (rows, width)),
        w: TensorType(ctx.type(w).dtype, (columns, width)),
        target: gates,
    }
    known = {k: v.reshape(columns, width) if k == w else v for k, v in ctx.constants.items() if k in (x, w)}
    inner = replace(ctx, types=types, constants=known)
    calls = lower_gemm(Node("Gemm", (x, w), (target,), {"transB": 1}), inner)
    if calls is None:
        return None

    def renamed(arg: Arg) -> Arg:
        if arg == Write(target):
            return Scratch("gates", gates.nbytes)
        if isinstance(arg, Constant) and arg.pack == "matmul_panels":
            return replace(arg, pack="recurrent_input")
        return arg

    return [replace(c, args=tuple(renamed(a) for a in c.args)) for c in calls]


def _state_weights(node: Node, ctx: LowerContext, gates: int) -> tuple[Arg, int]:
    """The recurrent weights, and how many hidden units a work-item computes: more than one from packed float32 weights."""
    r = node.inputs[2]
    hidden = ctx.dims(r)[2]
    lanes = next((v for v in (16, 8, 4) if v <= ctx.device.vector_width and hidden % v == 0), 1)
    if ctx.constant(r) is None or ctx.type(r).dtype is not DType.FLOAT32 or lanes == 1:
        return Read(r), 1
    return Constant((r,), "recurrent_state", (("lanes", lanes), ("gates", gates))), lanes


def _optional(node: Node) -> dict[str, str]:
    """Macro stem → value of each optional input that is there."""
    stems = _OPTIONAL_INPUTS[node.op].split()
    return {stem: node.input(i) for i, stem in enumerate(stems, start=3) if node.input(i)}


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    cell = _CELLS[node.op]
    x, r = node.inputs[0], node.inputs[2]
    dtype = ctx.type(x).dtype
    optional = _optional(node)
    outputs = {stem: o for stem, o in zip(_OUTPUTS, node.outputs, strict=False) if o}
    values = [x, node.inputs[1], r, *outputs.values()]
    lengths = optional.get("LENGTHS")
    if lengths and ctx.type(lengths).dtype is not DType.INT32:
        return None
    directions, rows, hidden = ctx.dims(r)
    bodies = activations(node, cell.functions, directions)
    acc = compute_type(dtype)
    itemsize = 8 if acc == "double" else 4
    state = cell.states * hidden * itemsize
    if not dtype.is_float or not all_have_kernels(values, ctx) or not fits_int32(*values, ctx=ctx):
        return None
    if bodies is None or state > ctx.device.local_memory:
        return None
    batch_first = bool(node.int("layout", 0))
    first, second, _ = ctx.dims(x)
    batch, steps = (first, second) if batch_first else (second, first)
    gates = TensorType(DType.FLOAT64 if acc == "double" else DType.FLOAT32, (batch * steps, directions * rows))
    if 0 in (batch, steps, hidden):
        return None
    projection = _projection(node, ctx, gates)
    if projection is None:
        return None
    weights, lanes = _state_weights(node, ctx, cell.gates)
    defines: dict[str, Define] = {
        **storage_defines("X", dtype),
        **{
            f"HAS_{stem}": int(stem in optional or stem in outputs)
            for stem in ("B", "LENGTHS", "H0", "C0", "P", *_OUTPUTS)
        },
        "ACC": acc,
        "CELL": cell.number,
        "STEPS": steps,
        "BATCH": batch,
        "HIDDEN": hidden,
        "LANES": lanes,
        "DIRECTIONS": directions,
        "BATCH_FIRST": int(batch_first),
        "BACKWARD": int(node.str("direction", "forward") == "reverse"),
        "RESET_AFTER": node.int("linear_before_reset", 0),
        "COUPLED": node.int("input_forget", 0),
    }
    if "clip" in node.attrs:
        defines |= {"HAS_CLIP": 1, "CLIP": node.float("clip", 0.0)}
    items = min(_MOST_ITEMS, ctx.device.max_work_group, hidden // lanes)
    args: tuple[Arg, ...] = (
        Scratch("gates", gates.nbytes),
        weights,
        *(Read(v) for v in optional.values()),
        *(Write(v) for v in outputs.values()),
        Local(state),
    )
    flops = 2 * steps * batch * hidden * rows
    return [*projection, *_launches(defines, args, bodies, (items, batch), flops)]


def _launches(
    defines: dict[str, Define], args: tuple[Arg, ...], bodies: list[tuple[str, ...]], size: tuple[int, int], flops: int
) -> list[KernelCall]:
    """One launch for both directions where they use the same functions, else one for each."""
    groups = [(0, len(bodies))] if len(set(bodies)) == 1 else [(d, 1) for d in range(len(bodies))]
    calls = []
    for first, count in groups:
        functions = {f"{letter}(x)": body for letter, body in zip("FGH", bodies[first], strict=False)}
        macros = {**defines, **functions, "FIRST": first}
        calls.append(KernelCall("recurrent", macros, args, (*size, count), (size[0], 1, 1), flops=flops * count))
    return calls


OPERATORS = tuple(Operator(name, lower) for name in _CELLS)
