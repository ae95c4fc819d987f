"""Every case that onnx generates for its operators is imported, optimised and computed on the host."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from mace.conversion import convert
from mace.errors import MaceError
from mace.graph.check import check_graph
from mace.reference.interpreter import run_graph

_SAMPLE = 25
"""One case in so many is tried in every run."""


@cache
def _cases() -> tuple[Any, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(sorted(load_model_tests(kind="node"), key=lambda c: c.name))


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _assert_equal(expected: Any, found: Any) -> None:
    if expected is None or found is None:
        assert expected is None
        assert found is None
    elif isinstance(expected, list):
        assert len(expected) == len(found)
        for e, f in zip(expected, found, strict=True):
            _assert_equal(e, f)
    else:
        expected, found = np.asarray(expected), np.asarray(found)
        assert expected.shape == found.shape
        if expected.dtype.kind in "OUS":
            assert (expected.astype(str) == found.astype(str)).all()
            return
        assert expected.dtype == found.dtype
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        loose = expected.dtype.itemsize <= 2 and expected.dtype.kind not in "iub"
        np.testing.assert_allclose(found.astype(wide), expected.astype(wide), rtol=1e-3, atol=2e-2 if loose else 1e-5)


def _run(case: Any) -> None:
    graph = convert(case.model).graph
    check_graph(graph)
    if "bernoulli" in case.name:
        return  # draws random numbers
    inputs, outputs = case.data_sets[0]
    feeds = {p.name: _array(v) for p, v in zip(case.model.graph.input, inputs, strict=False)}
    for expected, found in zip(outputs, run_graph(graph, feeds), strict=True):
        _assert_equal(_array(expected), found)


def test_a_sample_of_cases() -> None:
    """A sample is imported and computes what onnx expects."""
    for case in _cases()[::_SAMPLE]:
        _run(case)


@pytest.mark.slow
def test_all_cases() -> None:
    """All are imported and compute what onnx expects."""
    wrong = []
    for case in _cases():
        try:
            _run(case)
        except Exception as error:
            wrong.append(f"{case.name}: {error}")
    assert not wrong


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_altered_models_raise_our_errors(data: st.DataObject) -> None:
    """A model with a few bytes changed is imported or refused with an error of ours, nothing else."""
    raw = bytearray(data.draw(st.sampled_from(_cases()), label="case").model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MaceError):
        convert(bytes(raw))
