"""Graphs written as text, and the comparison of a graph with what a pass made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx.parser
import onnxruntime as ort
import pytest

from mace.conversion.importer import import_model
from mace.conversion.source import open_source
from mace.graph.check import check_graph
from mace.graph.ir import Graph
from mace.reference.interpreter import run_graph
from mace.reference.to_onnx import model_to_proto
from mace.tensor import DType


def _graph(text: str, constants: Mapping[str, Any] | None = None, opset: int = 21) -> Graph:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items())
    return import_model(open_source(model), lambda op, domain: True)


@pytest.fixture(scope="session")
def graph_of() -> Callable[..., Graph]:
    """Makes an imported, not yet optimised graph of text in onnx's own notation, with constants beside it."""
    return _graph


def _values(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    made = {}
    for name, known in graph.inputs.items():
        shape = [d if isinstance(d, int) else sizes.get(str(d), 2) for d in known.shape or ()]
        if known.dtype.is_float:
            made[name] = rng.standard_normal(shape).astype(known.dtype.numpy)
        elif known.dtype is DType.BOOL:
            made[name] = np.asarray(rng.random(shape) > 0.5)
        else:
            made[name] = rng.integers(0, 3, shape).astype(known.dtype.numpy)
    return made


def _run(graph: Graph, values: Mapping[str, Any]) -> list[Any]:
    """The outputs by onnxruntime without its own optimisations, or by our interpreter for what it does not know."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    model = model_to_proto(graph, opset=23)
    model.ir_version = 10
    try:
        session = ort.InferenceSession(model.SerializeToString(), options)
    except Exception:  # onnxruntime's own exceptions
        return list(run_graph(graph, values))
    return list(session.run(None, dict(values)))


@pytest.fixture(scope="session")
def same_results() -> Callable[..., None]:
    """Asserts that two graphs are sound and compute equal outputs for random inputs."""

    def compare(before: Graph, after: Graph, rtol: float = 1e-5, **sizes: int) -> None:
        check_graph(after)
        assert before.outputs == after.outputs
        values = _values(before, sizes)
        for a, b in zip(_run(before, values), _run(after, values), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(np.asarray(b, np.float64), np.asarray(a, np.float64), rtol=rtol, atol=1e-5)

    return compare
