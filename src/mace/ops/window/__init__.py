"""Operators that look at neighbourhoods: pooling, regions of interest, sampling, resizing."""

from __future__ import annotations

from mace.ops.lowering import Operator

OPERATORS: tuple[Operator, ...] = ()
