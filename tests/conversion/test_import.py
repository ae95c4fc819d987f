"""Importing whole models: what is accepted, and the errors for what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from mace.conversion import convert
from mace.errors import ConvertError, UnsupportedOperatorError
from mace.reference.interpreter import run_graph
from mace.tensor import TensorType


def _model(text: str, imports: str = '"" : 21') -> onnx.ModelProto:
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]>\n{text}")


def _big(path: Path, *, external: bool) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.arange(4096, dtype=np.float32).reshape(64, 64), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "big",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path, save_as_external_data=external, location="w.data", size_threshold=0)
    return model


def test_external_data(tmp_path: Path) -> None:
    """Weights in a file beside the model are found."""
    _big(tmp_path / "m.onnx", external=True)
    info = convert(tmp_path / "m.onnx", tmp_path / "m.mace")
    np.testing.assert_array_equal(info.graph.constants["w"].reshape(-1), np.arange(4096))
    assert info.path == tmp_path / "m.mace"
    assert info.nbytes == info.path.stat().st_size


def test_missing_external_data(tmp_path: Path) -> None:
    """The error names the model, the tensor and the file that is missing."""
    _big(tmp_path / "m.onnx", external=True)
    (tmp_path / "w.data").unlink()
    with pytest.raises(ConvertError, match=r"m\.onnx.*'w'.*w\.data"):
        convert(tmp_path / "m.onnx")


def test_symbolic_dimensions_are_kept(tmp_path: Path) -> None:
    """Names of dimensions reach the outputs."""
    _big(tmp_path / "m.onnx", external=False)
    graph = convert(tmp_path / "m.onnx").graph
    assert graph.inputs["x"].shape == ("batch", 64)
    assert graph.type_of("y") == TensorType(graph.inputs["x"].dtype, ("batch", 64))


def test_bytes_and_protos_are_sources(tmp_path: Path) -> None:
    """A model may be handed over in memory."""
    model = _big(tmp_path / "m.onnx", external=False)
    assert len(convert(model).graph.nodes) == len(convert(model.SerializeToString()).graph.nodes) == 1


def test_initializers_that_are_inputs_are_constants() -> None:
    """Before IR version 4 every initializer was an input too."""
    model = _model("g (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    assert list(convert(model).graph.inputs) == ["x"]


def test_sparse_initializers_become_dense() -> None:
    """A sparse weight is read as the dense one it stands for."""
    model = _model("g (float[2,2] x) => (float[2,2] y) { y = Add(x, w) }")
    values = numpy_helper.from_array(np.array([5, 7], np.float32), "w")
    indices = numpy_helper.from_array(np.array([[0, 1], [1, 0]], np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))
    (y,) = run_graph(convert(model).graph, {"x": np.zeros((2, 2), np.float32)})
    np.testing.assert_array_equal(y, [[0, 5], [7, 0]])


def test_local_functions_are_inlined() -> None:
    """Functions of the model itself disappear, attributes bound."""
    text = """g (float[2] x) => (float[2] y) { y = own.Scaled<by=3.0>(x) }
    <domain: "own", opset_import: ["" : 21]>
    Scaled<by: float=1.0>(v) => (r) { k = Constant<value_float: float = @by>() r = Mul(v, k) }"""
    (y,) = run_graph(convert(_model(text, '"" : 21, "own" : 1')).graph, {"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(y, [3, 6])


def test_schema_functions_are_inlined_unless_known() -> None:
    """An operator ONNX defines by others is inlined where no kernel family has it."""
    model = _model(
        "g (float[2,4,3] x, float[4] s, float[4] b) => (float[2,4,3] y) { y = GroupNormalization<num_groups=2>(x, s, b) }"
    )
    kept = convert(model, known=lambda op, domain: True).graph
    inlined = convert(model, known=lambda op, domain: op != "GroupNormalization").graph
    assert [n.op for n in kept.nodes] == ["GroupNormalization"]
    assert "GroupNormalization" not in {n.op for n in inlined.nodes}
    feeds = {
        "x": np.random.default_rng(0).standard_normal((2, 4, 3)).astype("f4"),
        "s": np.ones(4, "f4"),
        "b": np.zeros(4, "f4"),
    }
    np.testing.assert_allclose(run_graph(kept, feeds)[0], run_graph(inlined, feeds)[0], rtol=1e-5, atol=1e-6)


def test_unknown_operators_are_all_listed() -> None:
    """Every node nobody can run is listed with name, operator, opset and the nearest alternative."""
    model = _model(
        """g (float[2] x) => (float[2] y) { [first] a = Reluu(x) [second] b = com.vendor.Magic(a)
        [third] c = com.microsoft.Gelu(b) y = Abs(c) }""",
        '"" : 21, "com.vendor" : 3, "com.microsoft" : 1',
    )
    with pytest.raises(UnsupportedOperatorError) as caught:
        convert(model)
    assert [(n.name, n.op, n.domain, n.opset) for n in caught.value.nodes] == [
        ("first", "Reluu", "", 21),
        ("second", "Magic", "com.vendor", 3),
        ("third", "Gelu", "com.microsoft", 1),
    ]
    assert "Relu" in caught.value.nodes[0].reason
    assert "ONNX's own Gelu" in caught.value.nodes[2].reason


@pytest.mark.parametrize(
    ("op", "nearest"),
    [
        ("Reluu", "Relu"),
        ("FusedConv", "Conv"),
        ("BiasGelu", "Gelu"),
        ("SkipLayerNormalization", "LayerNormalization"),
        ("QLinearAdd", "Add"),
        ("BatchNorm", "BatchNormalization"),
        ("Conv2D", "Conv"),
        ("Magic", ""),
    ],
)
def test_nearest_operator(op: str, nearest: str) -> None:
    """The nearest is the longest one whose name is part of the other's, or one that is spelt much like it."""
    with pytest.raises(UnsupportedOperatorError) as caught:
        convert(_model(f"g (float[2] x) => (float[2] y) {{ y = vendor.{op}(x) }}", '"" : 21, "vendor" : 1'))
    wanted = f"the nearest supported operator is {nearest}" if nearest else "there is no operator like it in ONNX"
    assert caught.value.nodes[0].reason == f"no such operator; {wanted}"


def test_operator_newer_than_the_opset() -> None:
    """An operator that its opset lacks is named with the opset that has it."""
    with pytest.raises(UnsupportedOperatorError, match="opset 20"):
        convert(_model("g (float[2] x) => (float[2] y) { y = Gelu(x) }", '"" : 17'))


BROKEN = {
    "undefined": ("g (float[2] x) => (float[2] y) { y = Add(x, z) }", "'z', which nothing defines"),
    "twice": ("g (float[2] x) => (float[2] y) { y = Abs(x) y = Neg(x) }", "'y' is defined twice"),
    "no_output": ("g (float[2] x) => (float[2] y) { z = Abs(x) }", "'y' .* is not computed"),
    "cycle": ("g (float[2] x) => (float[2] y) { a = Add(x, y) y = Abs(a) }", "cycle"),
    "shapes": ("g (float[2] x, float[3] z) => (float[2] y) { y = Add(x, z) }", "Add 'y'"),
    "types": ("g (float[2] x, int64[2] z) => (float[2] y) { y = Add(x, z) }", "Add 'y'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_graphs(name: str, tmp_path: Path) -> None:
    """A broken graph is refused with the file and the node or value named."""
    text, message = BROKEN[name]
    path = tmp_path / "broken.onnx"
    path.write_bytes(_model(text).SerializeToString())
    with pytest.raises(ConvertError, match=message) as caught:
        convert(path)
    assert "broken.onnx" in str(caught.value)


def test_nodes_out_of_order_are_sorted() -> None:
    """Nodes may be listed in any order."""
    graph = convert(
        _model(
            "g (float[2] x) => (float[2] y) { y = Conv(a, w) a = Transpose(x) w = Transpose(x) }".replace(
                "Conv(a, w)", "Max(a, w)"
            )
        )
    ).graph
    (y,) = run_graph(graph, {"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(y, [1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "no ONNX"),
        (b"PK\x03\x04zip", "zip"),
        (b"plain text", "no ONNX"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_files_that_are_no_models(content: bytes, message: str, tmp_path: Path) -> None:
    """Whatever is no ONNX model is refused by name, with a hint where the content tells."""
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ConvertError, match=message) as caught:
        convert(path)
    assert "x.onnx" in str(caught.value)


def test_missing_file() -> None:
    """A path that is not there is an error of ours."""
    with pytest.raises(ConvertError, match=r"gone\.onnx"):
        convert("/nowhere/gone.onnx")


def test_cut_models_are_refused(tmp_path: Path) -> None:
    """A model cut anywhere is an error of ours, never a crash."""
    _big(tmp_path / "m.onnx", external=False)
    raw = (tmp_path / "m.onnx").read_bytes()
    for end in [*range(0, 120, 5), len(raw) // 2, len(raw) - 1]:
        (tmp_path / "cut.onnx").write_bytes(raw[:end])
        with pytest.raises((ConvertError, UnsupportedOperatorError)):
            convert(tmp_path / "cut.onnx")


def test_newer_opset_is_refused() -> None:
    """An opset from the future is named."""
    with pytest.raises(ConvertError, match="opset 999"):
        convert(_model("g (float[2] x) => (float[2] y) { y = Abs(x) }", '"" : 999'))


def test_coverage_counts_nodes() -> None:
    """The report tells device and host nodes per operator."""
    model = _model("g (float[2] x) => (float[2] y, int64[1,n] z) { y = MatMul(w, x) z = NonZero(x) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones((2, 2), np.float32), "w"))
    info = convert(model, known=lambda op, domain: op != "NonZero")
    assert (info.coverage.device, info.coverage.host) == (1, 1)
    assert "1 × NonZero" in str(info)


def test_progress_hears_each_step() -> None:
    """The callback hears reading, importing and each pass."""
    heard: list[str] = []
    convert(_model("g (float[2] x) => (float[2] y) { y = Abs(x) }"), progress=heard.append)
    assert heard[:2] == ["read", "import"]
    assert "fuse_tail" in heard
