"""What the onnx package knows about operators: which exist, what their attributes are, which are functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx
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
    known: Any = schema(op, domain)
    return known is not None and bool(known.has_function or known.has_context_dependent_function)


def function_body(node: onnx.NodeProto, input_types: Sequence[onnx.TypeProto]) -> onnx.FunctionProto | None:
    """The operators that define the node's operator, or None when it is no function or has no body for these types."""
    from onnx import FunctionProto

    known: Any = schema(node.op_type, node.domain)
    if known is None or not is_function(node.op_type, node.domain):
        return None
    if known.has_function:
        body: onnx.FunctionProto = known.function_body
        return body
    try:
        raw = known.get_context_dependent_function(
            node.SerializeToString(), [t.SerializeToString() for t in input_types]
        )
    except (RuntimeError, ValueError):  # onnx's own way to say that there is none
        return None
    return FunctionProto.FromString(raw) if raw else None


def attribute_kinds(op: str, domain: str = "") -> dict[str, int]:
    """Attribute name → its kind in ``AttributeProto.AttributeType``, as far as the operator is known."""
    known: Any = schema(op, domain)
    return {} if known is None else {k: int(a.type.value) for k, a in known.attributes.items()}


def attribute_defaults(op: str, domain: str = "") -> dict[str, onnx.AttributeProto]:
    """Attribute name → its default, where it has one."""
    from onnx import AttributeProto

    known: Any = schema(op, domain)
    attributes = {} if known is None else known.attributes
    found = {k: AttributeProto.FromString(a.default_value.SerializeToString()) for k, a in attributes.items()}
    return {k: a for k, a in found.items() if a.name}


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
