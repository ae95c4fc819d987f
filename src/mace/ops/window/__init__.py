"""Operators that look at neighbourhoods: pooling, regions of interest, sampling, resizing."""

from __future__ import annotations

from mace.ops.window import global_pool, pool, resize

OPERATORS = (*pool.OPERATORS, *global_pool.OPERATORS, *resize.OPERATORS)
