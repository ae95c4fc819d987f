"""Operator name → record. Each family module lists its operators in ``OPERATORS``; this is the one place they meet."""

from __future__ import annotations

from functools import cache

from mace.ops.lowering import Operator


@cache
def operators() -> dict[tuple[str, str], Operator]:
    """(domain, operator name) → record, over all families."""
    from mace.ops import contract, move, pointwise, recurrent, reduce, shape, window

    families = (contract, pointwise, reduce, window, move, shape, recurrent)
    return {(op.domain, op.name): op for family in families for op in family.OPERATORS}


def find(op: str, domain: str = "") -> Operator | None:
    """The record of an operator, or None when no family has it."""
    return operators().get((domain, op))
