"""The fast variants of Conv: which one runs a node, and the layouts it wants."""

from __future__ import annotations

from dataclasses import replace

from mace.graph.ir import Node
from mace.ops.contract.conv_blocked import conv_blocked
from mace.ops.contract.conv_depthwise import conv_depthwise
from mace.ops.contract.conv_image import conv_image, weights_key
from mace.ops.contract.conv_local import conv_local
from mace.ops.contract.conv_planar import conv_planar
from mace.ops.contract.conv_winograd import algorithm_key, conv_winograd
from mace.ops.contract.layout_wish import wish_of
from mace.ops.lowering import KernelCall, LowerContext
from mace.ops.tunable import SEPARATOR


def fast(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The variant for the layouts that input and output have; None when they are plain or no variant fits."""
    return conv_depthwise(node, ctx) or conv_winograd(node, ctx) or _direct(node, ctx) or conv_planar(node, ctx)


def _direct(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The direct form, labelled with the choices against Winograd and images where there were any."""
    calls, keys = conv_image(node, ctx), [algorithm_key(node, ctx)]
    if calls is None:
        calls = conv_local(node, ctx) or conv_blocked(node, ctx)
        keys.append(weights_key(node, ctx))
    keys = [key for key in keys if key]
    return [replace(c, tuning_key=SEPARATOR.join([*keys, c.tuning_key])) for c in calls] if calls and keys else calls


wish = wish_of(fast)
