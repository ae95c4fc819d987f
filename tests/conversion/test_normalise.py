"""Older operator forms give the results they always gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx.parser
import onnxruntime as ort
import pytest

from mace.conversion import convert
from mace.conversion.importer import import_model
from mace.conversion.source import open_source
from mace.errors import ConvertError
from mace.reference.interpreter import run_graph
from mace.reference.schema import newest_opset

_rng = np.random.default_rng(11)


def _f(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def _model(text: str, opset: int, constants: dict[str, Any]) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 7, opset_import: ["" : {opset}]>\n{text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    return model


def _mace(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """The outputs before and after the passes, which must agree."""
    plain = import_model(open_source(model), lambda op, domain: True)
    assert plain.opset == newest_opset()
    first = run_graph(plain, feeds)
    second = run_graph(convert(model, known=lambda op, domain: True).graph, feeds)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=1e-4, atol=1e-5)
    return first


X = {"x": (2, 3, 4)}
I = {"x": (1, 2, 4, 4)}
FORMS: dict[str, tuple[int, str, dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "softmax": (11, "Softmax<axis=1>(x)", X, {}),
    "softmax_default_axis": (9, "Softmax(x)", X, {}),
    "softmax_last": (11, "Softmax<axis=2>(x)", X, {}),
    "softmax_negative": (11, "LogSoftmax<axis=-2>(x)", X, {}),
    "hardmax": (9, "Hardmax<axis=0>(x)", X, {}),
    "squeeze": (11, "Squeeze<axes=[0]>(u)", {"u": (1, 3, 1)}, {}),
    "squeeze_all": (7, "Squeeze(u)", {"u": (1, 3, 1)}, {}),
    "unsqueeze": (11, "Unsqueeze<axes=[0,3]>(x)", X, {}),
    "reduce_sum": (11, "ReduceSum<axes=[1], keepdims=0>(x)", X, {}),
    "reduce_all": (11, "ReduceMean(x)", X, {}),
    "reduce_max": (13, "ReduceMax<axes=[-1]>(x)", X, {}),
    "reduce_l2": (17, "ReduceL2<axes=[0,2]>(x)", X, {}),
    "clip": (7, "Clip<min=-0.5, max=0.5>(x)", X, {}),
    "clip_one_side": (10, "Clip<max=0.25>(x)", X, {}),
    "pad": (10, "Pad<pads=[0,1,0,0,0,2], value=1.5>(x)", X, {}),
    "pad_reflect": (10, 'Pad<mode="reflect", pads=[0,1,0,0,0,2]>(x)', X, {}),
    "slice": (9, "Slice<starts=[1,0], ends=[3,-1], axes=[1,2]>(x)", X, {}),
    "slice_without_axes": (9, "Slice<starts=[0,1], ends=[9,9]>(x)", X, {}),
    "top_k": (9, "TopK<k=2, axis=2>(x)", X, {}),
    "dropout": (7, "Dropout<ratio=0.7>(x)", X, {}),
    "dropout_10": (10, "Dropout<ratio=0.7>(x)", X, {}),
    "upsample_7": (7, "Upsample<scales=[1.0,1.0,2.0,3.0]>(x)", I, {}),
    "upsample_9": (9, 'Upsample<mode="linear">(x, s)', I, {"s": np.array([1, 1, 2, 2], np.float32)}),
    "resize_10": (10, "Resize(x, s)", I, {"s": np.array([1, 1, 1.5, 0.5], np.float32)}),
    "resize_11": (
        11,
        'Resize<coordinate_transformation_mode="half_pixel">(x, r, s)',
        I,
        {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "resize_11_sizes": (
        11,
        'Resize<mode="linear">(x, r, e, z)',
        I,
        {"r": np.zeros(0, np.float32), "e": np.zeros(0, np.float32), "z": np.array([1, 2, 7, 5])},
    ),
    "resize_tf": (
        11,
        'Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor">(x, r, s)',
        I,
        {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 0.5, 1.5], np.float32)},
    ),
    "batch_norm": (7, "BatchNormalization(x, s, s, s, v)", I, {"s": _f(2), "v": np.abs(_f(2))}),
    "batch_norm_9": (9, "BatchNormalization(x, s, s, s, v)", I, {"s": _f(2), "v": np.abs(_f(2))}),
    "scatter": (9, "Scatter<axis=1>(x, i, u)", X, {"i": np.array([[[0, 1, 2, 0]]]), "u": _f(1, 1, 4)}),
    "gemm": (7, "Gemm<transB=1>(u, w, c)", {"u": (2, 3)}, {"w": _f(4, 3), "c": _f(4)}),
    "average_pool": (7, "AveragePool<kernel_shape=[2,2], pads=[1,1,0,0]>(x)", I, {}),
    "prelu": (7, "PRelu(x, s)", I, {"s": _f(2, 1, 1)}),
    "roi_align": (
        11,
        "RoiAlign<output_height=2, output_width=2>(x, r, b)",
        I,
        {"r": np.array([[0, 0, 3, 3]], np.float32), "b": np.array([0])},
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_form_keeps_its_meaning(name: str) -> None:
    """The import of an old form computes what onnxruntime computes for the model as it is."""
    opset, call, inputs, constants = FORMS[name]
    outputs = 2 if name.startswith("top_k") else 1
    given = ", ".join(f"float[{','.join(map(str, s))}] {n}" for n, s in inputs.items())
    names = ["y", "z"][:outputs]
    kinds = ["float[o]", "int64[o]"]
    results = ", ".join(f"{k} {n}" for k, n in zip(kinds, names, strict=False))
    model = _model(f"g ({given}) => ({results}) {{ {', '.join(names)} = {call} }}", opset, constants)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    feeds = {n: _f(*s) for n, s in inputs.items()}
    session = ort.InferenceSession(model.SerializeToString())
    for expected, found in zip(session.run(None, feeds), _mace(model, feeds), strict=True):
        assert expected.shape == found.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_split_by_attribute_and_evenly() -> None:
    """Split 11 takes sizes as an attribute, or shares the axis evenly."""
    model = _model(
        """g (float[6,2] x) => (float[p,2] a, float[q,2] b, float[r,2] c, float[s,2] d) {
            a, b = Split<split=[2,4]>(x) c, d = Split(x)
        }""",
        11,
        {},
    )
    x = _f(6, 2)
    a, b, c, d = _mace(model, {"x": x})
    np.testing.assert_array_equal(np.concatenate([a, b]), x)
    np.testing.assert_array_equal(c, x[:3])
    np.testing.assert_array_equal(d, x[3:])


def test_broadcast_along_an_axis_of_opset_6() -> None:
    """``broadcast=1, axis=1`` lines the second operand up with the channels; PRelu's slope belongs to them too."""
    model = _model(
        "g (float[2,3,4] x) => (float[2,3,4] y) { a = Add<broadcast=1, axis=1>(x, b) c = Mul<broadcast=1>(a, w) y = PRelu(c, b) }",
        6,
        {"b": _f(3), "w": _f(4)},
    )
    x = _f(2, 3, 4)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    b = constants["b"][:, None]
    a = (x + b) * constants["w"]
    np.testing.assert_allclose(_mace(model, {"x": x})[0], np.where(a < 0, a * b, a), rtol=1e-6)


def test_group_norm_18_has_one_scale_per_group() -> None:
    """GroupNormalization 18 scales groups, 21 channels."""
    model = _model(
        "g (float[2,4,3] x) => (float[2,4,3] y) { y = GroupNormalization<num_groups=2>(x, s, b) }",
        18,
        {"s": _f(2), "b": _f(2)},
    )
    x = _f(2, 4, 3)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    grouped = x.reshape(2, 2, 6)
    normal = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    expected = normal * constants["s"][:, None] + constants["b"][:, None]
    np.testing.assert_allclose(_mace(model, {"x": x})[0], expected.reshape(x.shape), rtol=1e-4, atol=1e-5)


def test_forms_inside_subgraphs_are_rewritten() -> None:
    """Branches are rewritten as well, with types from outside."""
    text = """g (bool c, float[2,3,4] x) => (float[2,3,4] y) {
        y = If(c) <then_branch = t () => (float[2,3,4] a) { a = Softmax<axis=1>(x) },
                   else_branch = e () => (float[2,3,4] b) { b = Clip<min=0.0>(x) }>
    }"""
    model, x = _model(text, 10, {}), _f(2, 3, 4)
    exp = np.exp(x)
    np.testing.assert_allclose(
        _mace(model, {"c": np.array(True), "x": x})[0], exp / exp.sum((1, 2), keepdims=True), rtol=1e-5
    )
    np.testing.assert_allclose(_mace(model, {"c": np.array(False), "x": x})[0], np.maximum(x, 0))


def test_form_without_a_newer_one_is_refused() -> None:
    """What cannot be said in the newest opset is an error that names node and reason."""
    model = _model(
        """g (float[1,1,4,4] x) => (float[a,b,c,d] y) {
            y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn", mode="linear">(x, r, s)
        }""",
        11,
        {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)},
    )
    with pytest.raises(ConvertError, match="tf_half_pixel_for_nn"):
        convert(model)
