"""Convolutions and matrix products of random geometry, from the ONNX node to the result, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from mace import onnx_backend
from mace.tensor import Array
from tests.ops.runtime_reference import onnxruntime_reference

few = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
many = settings(few, max_examples=150)


def compare(device: str, op: str, inputs: list[Array], attrs: dict[str, Any]) -> None:
    """The node on the device, weights being inputs, must give what ONNX Runtime gives."""
    expected = onnxruntime_reference(op, inputs, attrs)[0]
    node = helper.make_node(op, [f"x{i}" for i in range(len(inputs))], ["y"], **attrs)
    (got,) = onnx_backend.run_node(node, inputs, device)
    assert got.shape == expected.shape
    scale = max(float(np.abs(expected).max(initial=0.0)), 1.0)
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=2e-6)


def numbers(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[list[Array], dict[str, Any]]:
    """Inputs and attributes of a Conv over one to three dimensions that fits its padded input."""
    rank = draw(st.integers(1, 3))
    group = draw(st.sampled_from([1, 1, 2, 3, 4]))
    ins, outs = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    kernel = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    dilations = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    strides = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    attrs: dict[str, Any] = {"group": group, "dilations": dilations, "strides": strides}
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto == "NOTSET":
        attrs["pads"] = [draw(st.integers(0, r - 1)) for r in (*reach, *reach)]
    else:
        attrs["auto_pad"] = auto
        if auto != "VALID":  # ONNX Runtime has no SAME_* with dilations
            attrs["dilations"] = [1] * rank
    extents = [draw(st.integers(r, r + 12)) for r in reach]
    seed = draw(st.integers(0, 99))
    inputs = [
        numbers(seed, draw(st.integers(1, 3)), ins * group, *extents),
        numbers(seed + 1, outs * group, ins, *kernel),
    ]
    if draw(st.booleans()):
        inputs.append(numbers(seed + 2, outs * group))
    return inputs, attrs


@st.composite
def transposed_convolutions(draw: st.DrawFn) -> tuple[list[Array], dict[str, Any]]:
    """Inputs and attributes of a ConvTranspose over one or two dimensions."""
    rank = draw(st.integers(1, 2))
    group = draw(st.sampled_from([1, 1, 2, 3]))
    ins, outs = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    kernel = draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    strides = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    dilations = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    attrs: dict[str, Any] = {"group": group, "strides": strides, "dilations": dilations}
    if draw(st.booleans()):  # with SAME_*, onnx's inference adds output_padding and ONNX Runtime does not
        attrs["output_padding"] = [draw(st.integers(0, s - 1)) for s in strides]
        attrs["pads"] = [draw(st.integers(0, (k - 1) * d // 2)) for k, d in zip(kernel, dilations, strict=True)] * 2
    else:
        attrs["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    seed = draw(st.integers(0, 99))
    extents = [draw(st.integers(2, 9)) for _ in range(rank)]
    inputs = [
        numbers(seed, draw(st.integers(1, 2)), ins * group, *extents),
        numbers(seed + 1, ins * group, outs, *kernel),
    ]
    if draw(st.booleans()):
        inputs.append(numbers(seed + 2, outs * group))
    return inputs, attrs


@st.composite
def products(draw: st.DrawFn) -> list[Array]:
    """Operands of a MatMul: vectors, matrices, and batches that broadcast."""
    m, k, n = (draw(st.integers(1, 40)) for _ in range(3))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    left = [draw(st.sampled_from([b, 1])) for b in batch][draw(st.integers(0, len(batch))) :]
    right = [draw(st.sampled_from([b, 1])) for b in batch][draw(st.integers(0, len(batch))) :]
    a, b = [*left, m, k], [*right, k, n]
    seed = draw(st.integers(0, 99))
    if not left and draw(st.booleans()):
        a = [k]
    elif not right and draw(st.booleans()):
        b = [k]
    return [numbers(seed, *a), numbers(seed + 1, *b)]


@st.composite
def affine_products(draw: st.DrawFn) -> tuple[list[Array], dict[str, Any]]:
    """Inputs and attributes of a Gemm, its bias in any shape that broadcasts."""
    m, k, n = (draw(st.integers(1, 30)) for _ in range(3))
    attrs = {"transA": draw(st.integers(0, 1)), "transB": draw(st.integers(0, 1))}
    attrs |= {"alpha": draw(st.sampled_from([1.0, 0.5])), "beta": draw(st.sampled_from([1.0, -2.0]))}
    seed = draw(st.integers(0, 99))
    a, b = ((k, m) if attrs["transA"] else (m, k)), ((n, k) if attrs["transB"] else (k, n))
    inputs = [numbers(seed, *a), numbers(seed + 1, *b)]
    shape = draw(st.sampled_from([None, (), (1,), (n,), (m, 1), (1, n), (m, n)]))
    if shape is not None:
        inputs.append(numbers(seed + 2, *shape))
    return inputs, attrs


@few
@given(problem=convolutions())
def test_convolution(device_spec: str, problem: tuple[list[Array], dict[str, Any]]) -> None:
    """Groups, strides, dilations, pads of either kind, with and without bias."""
    compare(device_spec, "Conv", *problem)


@few
@given(problem=transposed_convolutions())
def test_transposed_convolution(device_spec: str, problem: tuple[list[Array], dict[str, Any]]) -> None:
    """The same, with output padding."""
    compare(device_spec, "ConvTranspose", *problem)


@few
@given(operands=products())
def test_matrix_product(device_spec: str, operands: list[Array]) -> None:
    """Any ranks, batches broadcast against each other."""
    compare(device_spec, "MatMul", operands, {})


@few
@given(problem=affine_products())
def test_gemm(device_spec: str, problem: tuple[list[Array], dict[str, Any]]) -> None:
    """Transposed operands, scales, and every shape of bias."""
    compare(device_spec, "Gemm", *problem)


@pytest.mark.slow
@many
@given(problem=convolutions())
def test_many_convolutions(device_spec: str, problem: tuple[list[Array], dict[str, Any]]) -> None:
    """Convolutions again, many."""
    compare(device_spec, "Conv", *problem)


@pytest.mark.slow
@many
@given(problem=transposed_convolutions())
def test_many_transposed_convolutions(device_spec: str, problem: tuple[list[Array], dict[str, Any]]) -> None:
    """Transposed convolutions again, many."""
    compare(device_spec, "ConvTranspose", *problem)
