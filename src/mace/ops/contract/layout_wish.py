"""Layouts that contractions with channel-blocked variants ask for."""

from __future__ import annotations

from dataclasses import replace

from mace.graph.ir import Node
from mace.ops.contract.vectors import tail_wishes
from mace.ops.lowering import Layout, LayoutWish, Lower, LowerContext, Wish


def wish_of(fast: Lower) -> Wish:
    """A wish for a blocked output, and for the first input as the variant that then runs needs it."""

    def wish(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
        rest = (False,) * (len(node.main_inputs) - 1) + tail_wishes(node, ctx)
        # What the tail reads in blocks, the variant would find in blocks as its input, too, whatever was wanted of that.
        in_tail = any(blocked and v == node.inputs[0] for v, blocked in zip(node.inputs[1:], rest, strict=True))
        for blocked_input in (True,) if in_tail else (False, True):
            wanted = LayoutWish((blocked_input, *rest), (True,), eager=True)
            if fast(node, _as_wished(node, ctx, wanted, block)):
                return wanted
        return None

    return wish


def _as_wished(node: Node, ctx: LowerContext, wanted: LayoutWish, block: int) -> LowerContext:
    """The context as it will be when the wish is fulfilled."""
    layouts = {v: Layout(block) for v, blocked in zip(node.inputs, wanted.inputs, strict=True) if blocked}
    layouts |= {v: Layout(block) for v, blocked in zip(node.outputs, wanted.outputs, strict=True) if blocked}
    return replace(ctx, layouts=layouts)
