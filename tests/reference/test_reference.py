"""Types, values and bindings that onnx tells."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from mace.conversion import convert
from mace.errors import InputError, ModelError
from mace.graph.ir import Graph, Node
from mace.graph.symbolic import Partial
from mace.reference.bind import bind_shapes
from mace.reference.evaluate import evaluate
from mace.reference.from_onnx import node_from_proto
from mace.reference.infer import broadcast, infer_outputs
from mace.reference.to_onnx import model_to_proto, node_to_proto
from mace.reference.types import type_from_proto, type_to_proto
from mace.tensor import DType, TensorType

F32, I64 = DType.FLOAT32, DType.INT64


@pytest.mark.parametrize(
    "known",
    [
        TensorType(F32, ("batch", None, 3)),
        TensorType(DType.INT4, ()),
        TensorType(DType.STRING, None),
        TensorType(F32, (2,), "sequence"),
        TensorType(F32, None, "optional sequence"),
    ],
)
def test_types_survive_protos(known: TensorType) -> None:
    """Every kind of type comes back from its proto."""
    assert type_from_proto(type_to_proto(known)) == known


@pytest.mark.parametrize("dtype", DType)
def test_every_element_type_has_a_number(dtype: DType) -> None:
    """Numbers of element types are onnx's own."""
    name = {"FLOAT32": "FLOAT", "FLOAT64": "DOUBLE"}.get(dtype.name, dtype.name)
    assert dtype.onnx_code == onnx.TensorProto.DataType.Value(name)
    assert DType.from_onnx(dtype.onnx_code) is dtype


def test_nodes_survive_protos() -> None:
    """Attributes of every kind come back, empty lists and whole numbers among them."""
    node = Node(
        "Resize", ("x", "", "s"), ("y",), {"axes": (), "cubic_coeff_a": -1.0, "mode": "cubic", "antialias": 1}, "name"
    )
    assert node_from_proto(node_to_proto(node), 21) == node


def test_inference_keeps_names() -> None:
    """Symbolic dimensions pass through; contradictions are errors that name the node."""
    types = {"x": TensorType(F32, ("batch", 4)), "w": TensorType(F32, (4, 5)), "v": TensorType(F32, (3, 5))}
    assert infer_outputs(Node("MatMul", ("x", "w"), ("y",)), types, {}) == [TensorType(F32, ("batch", 5))]
    with pytest.raises(ModelError, match="MatMul 'y'"):
        infer_outputs(Node("MatMul", ("x", "v"), ("y",)), types, {})


def test_half_known_shapes_help() -> None:
    """A Reshape to [batch, -1] has the extents that are left."""
    types = {"x": TensorType(F32, ("batch", 3, 4)), "s": TensorType(I64, (2,))}
    found = infer_outputs(Node("Reshape", ("x", "s"), ("y",)), types, {}, {"s": Partial(("batch", -1))})
    assert found == [TensorType(F32, ("batch", 12))]


def test_broadcasting_of_named_extents() -> None:
    """A number larger than one wins, one gives way, two names leave it open, two numbers contradict."""
    assert broadcast([("n", 1, 3), (4, 1)]) == ("n", 4, 3)
    assert broadcast([("n",), ("m",)]) == (None,)
    assert broadcast([("n",), (1,)]) == ("n",)
    assert broadcast([(2,), (3,)]) is None


def test_loop_stacks_scan_outputs() -> None:
    """Scan outputs of any rank get a new first axis, and no turn gives an empty tensor."""
    text = """<ir_version: 10, opset_import: ["" : 21]> g (int64 n, float[2,2] x) => (float[2,2] last, float[k,2,2] all) {
        last, all = Loop(n, , x) <body = b (int64 i, bool c, float[2,2] v) => (bool d, float[2,2] w, float[2,2] o) {
            d = Identity(c) w = Add(v, x) o = Identity(w)
        }>
    }"""
    graph = convert(onnx.parser.parse_model(text)).graph
    from mace.reference.interpreter import run_graph

    x = np.ones((2, 2), np.float32)
    last, piled = run_graph(graph, {"n": np.array(3), "x": x})
    np.testing.assert_array_equal(last, 4 * x)
    np.testing.assert_array_equal(piled, np.stack([2 * x, 3 * x, 4 * x]))
    _, nothing = run_graph(graph, {"n": np.array(0), "x": x})
    assert nothing.shape == (0, 2, 2)


def test_evaluation_errors_name_the_node() -> None:
    """Whatever the reference operators raise becomes an error of ours."""
    with pytest.raises(ModelError, match="MatMul 'broken'"):
        evaluate(Node("MatMul", ("a", "b"), ("y",), {}, "broken"), [np.ones((2, 3)), np.ones((2, 3))])


def _net() -> Graph:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[batch,3,h,w] x, float[batch,2] z) => (float[batch,k] y) {
        s = Shape(x) p = Slice(s, two, four) f = Cast<to=1>(p) m = ReduceProd(f)
        a = Relu(x) q = Flatten(a) r = Concat<axis=1>(q, z) y = Mul(r, m)
    }"""
    model = onnx.parser.parse_model(text)
    for name, value in (("two", [2]), ("four", [4])):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    return convert(model).graph


def test_binding_makes_everything_concrete() -> None:
    """With numbers for the inputs every type is known and shapes fold away; one input's names bind another's."""
    graph = _net()
    bound = bind_shapes(graph, {"x": (2, 3, 4, 5)})
    assert bound.inputs["z"].shape == (2, 2)
    assert all(bound.type_of(o).is_static for n in bound.nodes for o in n.outputs if o)
    assert not {"Shape", "Slice", "Cast"} & {n.op for n in bound.nodes}
    assert bound.type_of("y").shape == (2, 62)
    assert graph.inputs["x"].shape == ("batch", 3, "h", "w")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"nope": (1,)}, "no input 'nope'"),
        ({"x": (2, 3, 4)}, "rank 3"),
        ({"x": (2, 4, 4, 5)}, "shape given"),
        ({"x": (2, 3, 4, 5), "z": (3, 2)}, "'batch' is 2"),
    ],
)
def test_binding_refuses_what_does_not_fit(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    """Unknown inputs, wrong ranks and numbers that contradict are errors of the caller."""
    with pytest.raises(InputError, match=message):
        bind_shapes(_net(), shapes)


def test_fused_graphs_can_be_exported() -> None:
    """The optimised graph is written as plain ONNX that onnx's checker accepts."""
    onnx.checker.check_model(model_to_proto(_net()))
