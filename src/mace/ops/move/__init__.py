"""Operators that move elements without computing with them."""

from __future__ import annotations

from mace.ops.move import col2im, gather, generate, pad, rearrange, reorder, scatter

OPERATORS = (
    *rearrange.OPERATORS,
    *pad.OPERATORS,
    *gather.OPERATORS,
    *scatter.OPERATORS,
    *generate.OPERATORS,
    *col2im.OPERATORS,
    *reorder.OPERATORS,
)
