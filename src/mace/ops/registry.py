"""Operator name → record. Each family module lists its operators in ``OPERATORS``; this is the one place they meet."""

from __future__ import annotations

from functools import cache

from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LowerContext, Operator
from mace.tensor import TensorType


@cache
def operators() -> dict[tuple[str, str], Operator]:
    """(domain, operator name) → record, over all families."""
    from mace.ops import assemble, contract, move, pointwise, recurrent, reduce, shape, window

    families = (contract, pointwise, assemble, reduce, window, move, shape, recurrent)
    return {(op.domain, op.name): op for family in families for op in family.OPERATORS}


def find(op: str, domain: str = "") -> Operator | None:
    """The record of an operator, or None when no family has it."""
    return operators().get((domain, op))


def on_device(known: TensorType | None) -> bool:
    """Whether a value of this type can lie on a device: its shape is known, and OpenCL C has its type."""
    return known is not None and known.is_static and known.dtype.opencl is not None


def lowered(node: Node, context: LowerContext) -> list[KernelCall] | None:
    """A node's launches. None where it has no kernel, or one of its values is no constant and cannot lie on a device."""
    record = find(node.op, node.domain)
    values = (v for v in (*node.reads(), *node.outputs) if v and v not in context.constants)
    return record.lower(node, context) if record and all(on_device(context.types.get(v)) for v in values) else None
