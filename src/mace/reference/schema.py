"""What the onnx package knows about operators: which exist, what their attributes are, which are functions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx.defs import OpSchema

ML_DOMAIN = "ai.onnx.ml"


@cache
def newest_opset(domain: str = "") -> int:
    """Version of the newest opset of a domain; 1 for a domain that onnx does not know."""
    from onnx import defs

    if domain == "":
        return int(defs.onnx_opset_version())
    return max((s.since_version for s in _all_schemas() if s.domain == domain), default=1)


@cache
def _all_schemas() -> tuple[OpSchema, ...]:
    from onnx import defs

    return tuple(defs.get_all_schemas())


@cache
def schema(op: str, domain: str = "") -> OpSchema | None:
    """The newest schema of an operator, or None when onnx has none."""
    from onnx import defs

    try:
        return defs.get_schema(op, newest_opset(domain), domain)
    except defs.SchemaError:
        return None


@cache
def since_version(op: str, opset: int, domain: str = "") -> int | None:
    """Version that introduced the form of an operator which ``opset`` means, or None when it has none."""
    from onnx import defs

    try:
        return int(defs.get_schema(op, opset, domain).since_version)
    except defs.SchemaError:
        return None


@cache
def operator_names(domain: str = "") -> frozenset[str]:
    """Every operator of a domain."""
    return frozenset(s.name for s in _all_schemas() if s.domain == domain)


def is_function(op: str, domain: str = "") -> bool:
    """Whether onnx defines the operator by other operators."""
    known = schema(op, domain)
    return known is not None and (known.has_function or known.has_context_dependent_function)


@cache
def has_reference(op: str, domain: str = "") -> bool:
    """Whether onnx's reference evaluator can run the operator, by code of its own or through its function body."""
    return is_function(op, domain) or _has_implementation(op, domain)


def _has_implementation(op: str, domain: str) -> bool:
    import importlib

    module = {
        "": "onnx.reference.ops._op_list",
        ML_DOMAIN: "onnx.reference.ops.aionnxml._op_list",
        "ai.onnx.preview": "onnx.reference.ops.aionnx_preview._op_list",
        "ai.onnx.preview.training": "onnx.reference.ops.aionnx_preview_training._op_list",
    }.get(domain)
    if module is None:
        return False
    try:
        names = dir(importlib.import_module(module))
    except ImportError:
        return False
    return any(name == op or name.startswith(f"{op}_") for name in names)
