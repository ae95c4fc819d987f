"""Operators that look at neighbourhoods: pooling, regions of interest, sampling, resizing."""

from __future__ import annotations

from mace.ops.window import affine_grid, global_pool, grid_sample, pool, regions, resize, unpool

OPERATORS = (
    *pool.OPERATORS,
    *global_pool.OPERATORS,
    *unpool.OPERATORS,
    *regions.OPERATORS,
    *affine_grid.OPERATORS,
    *grid_sample.OPERATORS,
    *resize.OPERATORS,
)
