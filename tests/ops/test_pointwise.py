"""Pointwise operators on the device against onnx's reference evaluator."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace.graph.expr import Expr, Step
from mace.ops.lowering import Layout
from mace.tensor import Array, DType, TensorType
from tests.ops.kernel_harness import NodeRun, available_devices, available_kinds, check, traits_of

DEVICES = available_devices()
_random = np.random.default_rng(7)


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    """Standard-normal values."""
    return _random.standard_normal(shape).astype(dtype)


def whole(low: int, high: int, *shape: int, dtype: Any = np.int32) -> Array:
    """Integers in low … high."""
    return _random.integers(low, high, shape, endpoint=True).astype(dtype)


FINITE = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, -1.5, 88.0, -100.0, 1e-30, *(3 * normal(40))], np.float32)
X = np.concatenate([np.array([np.nan, np.inf, -np.inf], np.float32), FINITE])

UNARY: dict[str, tuple[str, Array, dict[str, Any]]] = {
    **{
        op: (op, X, {})
        for op in (
            *("Abs", "Asinh", "Atan", "Ceil", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity"),
            *("LeakyRelu", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign"),
            *("Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Celu", "IsNaN", "IsInf"),
        )
    },
    **{op: (op, FINITE, {}) for op in ("Gelu", "Mish", "Swish")},
    **{op: (op, np.clip(X, -20, 20), {}) for op in ("Sin", "Cos", "Tan", "Sinh", "Cosh")},
    **{op: (op, np.clip(X, -1, 1), {}) for op in ("Asin", "Acos", "Atanh")},
    **{op: (op, np.abs(X), {}) for op in ("Sqrt", "Log")},
    "Acosh": ("Acosh", 1 + np.abs(X), {}),
    "Gelu by tanh": ("Gelu", FINITE, {"approximate": "tanh"}),
    "Celu, alpha": ("Celu", X, {"alpha": 2.0}),
    "Swish, alpha": ("Swish", X, {"alpha": 1.5}),
    "Shrink, bias": ("Shrink", X, {"lambd": 1.5, "bias": 1.5}),
    "IsInf, positive": ("IsInf", X, {"detect_negative": 0}),
    "IsInf, none": ("IsInf", X, {"detect_negative": 0, "detect_positive": 0}),
    "Not": ("Not", X > 0, {}),
    "BitwiseNot": ("BitwiseNot", whole(-100, 100, 21, dtype=np.int8), {}),
    "Abs of int": ("Abs", whole(-100, 100, 21), {}),
    "Neg of long": ("Neg", whole(-100, 100, 21, dtype=np.int64), {}),
    "Sign of byte": ("Sign", whole(0, 3, 21, dtype=np.uint8), {}),
    "Relu of int": ("Relu", whole(-9, 9, 40, dtype=np.int16), {}),
}


@pytest.mark.parametrize(("device", "kind"), available_kinds())
@pytest.mark.parametrize("case", UNARY)
def test_unary(case: str, device: str, kind: str) -> None:
    """Every one-operand operator is right to a few units in the last place, special values included."""
    op, x, attrs = UNARY[case]
    with np.errstate(all="ignore"):
        check(op, [x], attrs, device=device, kind=kind, rtol=2e-6, atol=1e-6)


_I = whole(-40, 40, 3, 5)
_BYTES = whole(0, 99, 33, dtype=np.uint8)
_NONZERO = np.where(_I == 0, 3, _I)
A, B = normal(2, 3, 1, 5), normal(3, 4, 5)
SEVERAL: dict[str, tuple[str, list[Array | None], dict[str, Any]]] = {
    **{f"{op} float": (op, [A, B], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Sum")},
    **{f"{op} int": (op, [_I, _NONZERO], {}) for op in ("Add", "Sub", "Mul", "Max", "Min")},
    **{
        f"{op}": (op, [np.round(A), np.round(B)], {})
        for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    },
    **{f"{op} logic": (op, [A > 0, B > 0], {}) for op in ("And", "Or", "Xor", "Equal")},
    **{f"Bitwise{op}": (f"Bitwise{op}", [_I, whole(0, 99, 5)], {}) for op in ("And", "Or", "Xor")},
    "Max of three with NaN": ("Max", [X, X[::-1].copy(), np.float32(0.25)], {}),
    "Min of one": ("Min", [X], {}),
    "Mean of three": ("Mean", [A, A[::-1].copy(), A * 2], {}),
    "Less of unsigned": ("Less", [whole(0, 9, 30, dtype=np.uint64), whole(0, 9, 30, dtype=np.uint64)], {}),
    "Mod int": ("Mod", [_I, _NONZERO], {}),
    "Mod fmod": ("Mod", [A, B], {"fmod": 1}),
    "Mod fmod int": ("Mod", [_I.astype(np.int64), _NONZERO.astype(np.int64)], {"fmod": 1}),
    "Pow": ("Pow", [np.abs(A), B], {}),
    "Pow of float by int": ("Pow", [A, whole(-3, 3, 3, 4, 5)], {}),
    "Pow of int by float": ("Pow", [whole(1, 9, 12), np.full(12, 3.0, np.float32)], {}),
    "Pow of long": ("Pow", [whole(-9, 9, 12, dtype=np.int64), whole(0, 9, 12, dtype=np.int64)], {}),
    "Shift left": ("BitShift", [_BYTES, _BYTES[::-1] % 9], {"direction": "LEFT"}),
    "Shift right": ("BitShift", [_BYTES.astype(np.uint64), _BYTES[::-1].astype(np.uint64)], {"direction": "RIGHT"}),
    "Shift right of signed": ("BitShift", [_I, _I[::-1].copy()], {"direction": "RIGHT"}),
    "Where": ("Where", [A > 0, A, B], {}),
    "Where of long": ("Where", [A > 0, whole(0, 9, 4, 5, dtype=np.int64), np.int64(3)], {}),
    "Clip": ("Clip", [X, np.float32(-1), np.float32(2)], {}),
    "Clip from below": ("Clip", [X, np.float32(-1)], {}),
    "Clip from above": ("Clip", [X, None, np.float32(1)], {}),
    "Clip of int8": ("Clip", [whole(-99, 99, 40, dtype=np.int8), np.int8(-5), np.int8(7)], {}),
    "bfloat16": ("Mul", [A.astype(ml_dtypes.bfloat16), B.astype(ml_dtypes.bfloat16)], {}),
    "float16": ("Sub", [A.astype(np.float16), B.astype(np.float16)], {}),
    "float64": ("Div", [A.astype(np.float64), B.astype(np.float64)], {}),
    "Dropout": ("Dropout", [A, np.float32(0.5)], {}),
}


@pytest.mark.parametrize("constants", [(), (1, 2)], ids=["run", "known"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", SEVERAL)
def test_several_operands(case: str, device: str, constants: tuple[int, ...]) -> None:
    """Operators with several operands broadcast them and agree, whether or not the later ones are known."""
    op, inputs, attrs = SEVERAL[case]
    if case.endswith("64") and not traits_of(device).fp64:
        pytest.skip("no float64 on this device")
    loose = 4e-3 if case in ("bfloat16", "float16") else 2e-6
    check(op, inputs, attrs, device=device, constants=constants, rtol=2 * loose, atol=loose / 2)


def test_integer_division_is_safe() -> None:
    """Division truncates; by zero it gives 0, and the least integer by -1 wraps, instead of trapping."""
    least = np.iinfo(np.int32).min
    a = np.array([7, -7, 7, -7, 5, least, 0], np.int32)
    b = np.array([2, 2, -2, -2, 0, -1, 0], np.int32)
    expected = np.array([3, -3, -3, 3, 0, least, 0], np.int32)
    check("Div", [a, b], expected=[expected])
    check("Div", [a, np.int32(-1)], constants=[1], expected=[np.array([-7, 7, -7, 7, -5, least, 0], np.int32)])


CASTS = [
    (np.float32, np.float16),
    (np.float32, ml_dtypes.bfloat16),
    (np.float16, ml_dtypes.bfloat16),
    (np.float32, np.int8),
    (np.float32, np.uint8),
    (np.float32, np.int64),
    (np.float32, np.bool_),
    (np.bool_, np.float32),
    (np.int64, np.int8),
    (np.int32, np.float32),
    (np.uint8, np.int16),
    (np.float32, np.float64),
    (np.float64, np.float16),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("source", "target"), CASTS, ids=[f"{np.dtype(a)}-{np.dtype(b)}" for a, b in CASTS])
def test_cast(source: Any, target: Any, device: str) -> None:
    """A cast rounds reals to even, truncates to integers, and wraps between integers, as numpy does."""
    x = (normal(37) * 50).astype(source)
    check("Cast", [x], {"to": _code(target)}, expected=[x.astype(target)], device=device, rtol=0, atol=0)
    check("CastLike", [x, np.zeros(1, target)], expected=[x.astype(target)], device=device, rtol=0, atol=0)


def _code(target: Any) -> int:
    return next(i for i in range(1, 27) if DType.from_onnx(i) is DType.of(np.dtype(target)))


def test_chain_rounds_where_it_casts() -> None:
    """Inside a chain, a cast to float16 rounds though computing goes on in float."""
    expr = Expr(1, (Step("Cast", (0,), "float16"), Step("Cast", (1,), "float32"), Step("Sub", (0, 2), "float32")))
    x = normal(100)
    kind = TensorType(DType.FLOAT32, x.shape)
    (got,) = NodeRun("Pointwise", [x], [kind], {"expr": expr}, domain="mace").run(DEVICES[0])
    np.testing.assert_array_equal(got, x - x.astype(np.float16).astype(np.float32))


def test_fused_chain_mixes_types() -> None:
    """Comparisons, choices and casts live in one kernel."""
    steps = (
        Step("Greater", (0, 1), "bool"),
        Step("Not", (2,), "bool"),
        Step("Where", (3, 0, 1), "float32"),
        Step("Cast", (4,), "int32"),
        Step("Mul", (5, 5), "int32"),
    )
    a, b = normal(3, 17) * 9, normal(17) * 9
    run = NodeRun("Pointwise", [a, b], [TensorType(DType.INT32, (3, 17))], {"expr": Expr(2, steps)}, domain="mace")
    expected = np.where(~(a > b), a, np.broadcast_to(b, a.shape)).astype(np.int32) ** 2
    for device in DEVICES:
        np.testing.assert_array_equal(run.run(device)[0], expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
@pytest.mark.parametrize("form", ["tensor", "axis", "block"])
def test_quantization(op: str, form: str, device: str) -> None:
    """Quantisation per tensor, per axis and per block, with and without zero points."""
    shape = {"tensor": (), "axis": (6,), "block": (2, 2, 5)}[form]
    attrs = {"tensor": {}, "axis": {"axis": 1}, "block": {"axis": 1, "block_size": 3}}[form]
    scale = (np.abs(normal(*shape)) + 0.1).astype(np.float32)
    zero = whole(0, 200, *shape, dtype=np.uint8)
    x = normal(2, 6, 5) * 30 if op == "QuantizeLinear" else whole(0, 255, 2, 6, 5, dtype=np.uint8)
    check(op, [x, scale, zero], attrs, device=device)


@pytest.mark.parametrize("block", [4, 16])
@pytest.mark.parametrize("device", DEVICES)
def test_channel_blocked(device: str, block: int) -> None:
    """On channel-blocked tensors: equal shapes, constants per channel or whole, per-channel factors, one channel."""
    layout = Layout(block)
    x = normal(2, 21, 3, 5)
    follow = {"x0": layout, "y0": layout}
    check("Add", [x, normal(2, 21, 3, 5)], layouts={**follow, "x1": layout}, device=device)
    check("Add", [x, normal(21, 1, 1)], layouts=follow, constants=[1], device=device)
    check("Mul", [x, normal(21, 3, 5)], layouts=follow, constants=[1], device=device)
    check("Mul", [x, normal(2, 21, 1, 1)], layouts={**follow, "x1": layout}, device=device)
    check("Mul", [x, normal(2, 1, 3, 5)], layouts=follow, device=device)
    check("Clip", [x, np.float32(0), np.float32(6)], layouts=follow, constants=[1, 2], device=device)


@st.composite
def broadcasts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """An output shape and two shapes that broadcast to it."""
    out = tuple(draw(st.lists(st.integers(1, 7), max_size=5)))

    def narrowed() -> tuple[int, ...]:
        kept = [draw(st.sampled_from((1, d))) for d in out]
        return tuple(kept[draw(st.integers(0, len(out))) :])

    a, b = narrowed(), narrowed()
    return np.broadcast_shapes(a, b), a, b


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(broadcasts(), st.sampled_from(["cpu", "gpu"]))
def test_any_broadcast(shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], kind: str) -> None:
    """Any two shapes that broadcast give what numpy gives."""
    _, a, b = shapes
    x, y = normal(*a), normal(*b)
    check("Sub", [x, y], expected=[np.asarray(x - y)], device=DEVICES[0], kind=kind, rtol=0, atol=0)


def test_empty_and_unsupported() -> None:
    """Nothing is launched for an empty result; a type without kernels goes to the host."""
    traits = traits_of(DEVICES[0])
    empty = NodeRun("Relu", [normal(0, 3)], [TensorType(DType.FLOAT32, (0, 3))])
    assert empty.lower(traits) == []
    narrow = NodeRun("Cast", [normal(3)], [TensorType(DType.INT4, (3,))], {"to": 22})
    assert narrow.lower(traits) is None
