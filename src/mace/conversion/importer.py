"""ModelProto → Graph in the newest forms, with types: the order of the steps of an import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mace.conversion.constants import lift_constants
from mace.conversion.functions import inline_schema_functions
from mace.conversion.normalise import normalise
from mace.conversion.source import Source, opsets
from mace.conversion.structure import sort_nodes
from mace.conversion.support import KnownOperators, check_supported
from mace.errors import ConvertError
from mace.graph.ir import Graph
from mace.reference.from_onnx import graph_from_proto
from mace.reference.schema import newest_opset

if TYPE_CHECKING:
    import onnx


def import_model(source: Source, known: KnownOperators) -> Graph:
    """The source's graph with every operator in its newest form, function operators inlined and all types inferred.

    Raises ``ConvertError`` for a broken model and ``UnsupportedOperatorError`` listing every node that nobody can run.
    """
    try:
        return _import(source, known)
    except ConvertError as error:
        if error.where.path is not None or source.path is None:
            raise
        raise ConvertError(error.message, path=source.path, field=error.where.field, hint=error.hint) from error


def _import(source: Source, known: KnownOperators) -> Graph:
    proto = _with_local_functions_inlined(source.proto)
    versions = opsets(proto)
    opset = versions.get("", newest_opset())
    if opset > newest_opset():
        raise ConvertError(
            f"opset {opset} is newer than the newest known one, {newest_opset()}",
            field="opset_import",
            hint=f"Export the model with opset {newest_opset()} or an older one, or install a newer onnx package",
        )
    graph = graph_from_proto(proto.graph, opset, source.read)
    graph = sort_nodes(lift_constants(graph))
    check_supported(graph, versions, known)
    graph = normalise(graph, opset)
    return inline_schema_functions(graph, known)


def _with_local_functions_inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Functions that the model itself defines are always inlined."""
    if not proto.functions:
        return proto
    from onnx import inliner

    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner raises what its C++ part raises
        raise ConvertError(f"the model's own functions cannot be inlined: {error}", field="functions") from error
