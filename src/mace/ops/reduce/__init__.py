"""The reducing family: Reduce operators, arg-extremes, softmax, normalisations, running sums, the k largest."""

from __future__ import annotations

from mace.ops.lowering import Operator
from mace.ops.reduce import arg_extreme, batch_norm, normalization, reduction, running, softmax

OPERATORS: tuple[Operator, ...] = (
    *reduction.OPERATORS,
    *arg_extreme.OPERATORS,
    *softmax.OPERATORS,
    *normalization.OPERATORS,
    *batch_norm.OPERATORS,
    *running.OPERATORS,
)
