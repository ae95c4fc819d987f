"""Text of loads, stores and folds that the reducing templates are specialised with."""

from __future__ import annotations

from mace.ops.expression import Value, Writer, vector_type
from mace.ops.pointwise_code import load_text, store_text
from mace.ops.storage import compute_type
from mace.tensor import DType


def loaded(dtype: DType, pointer: str, at: str, lanes: int, base: str) -> str:
    """Consecutive elements as values of scalar type ``base`` in ``lanes`` lanes."""
    text = load_text(dtype, pointer, f"({at})", lanes)
    return text if base == compute_type(dtype) else f"convert_{vector_type(base, lanes)}({text})"


def stored(dtype: DType, pointer: str, at: str, value: str, lanes: int, base: str) -> str:
    """Statement that writes values of scalar type ``base``; ``value`` must be a variable if there are several lanes."""
    if base != compute_type(dtype):
        value = f"convert_{vector_type(compute_type(dtype), lanes)}({value})"
    return store_text(Writer(width=lanes), Value(value, dtype), pointer, f"({at})", lanes).rstrip(";")


def fold_lanes(base: str, lanes: int, many: str, one: str, join: str = "JOIN") -> str:
    """Statements that join the lanes of the vector ``many`` into the variable ``one``, by halves."""
    statements, source = [], many
    while lanes > 1:
        lanes //= 2
        target = f"fold{lanes}"
        statements.append(f"const {vector_type(base, lanes)} {target} = {join}({source}.lo, {source}.hi);")
        source = target
    return " ".join([*statements, f"{one} = {source};"])
