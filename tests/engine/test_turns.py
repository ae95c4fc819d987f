"""Loops whose length depends on data: their bodies run on the device, turn by turn."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mace
from mace.errors import HostFallbackWarning
from mace.tensor import Array
from tests.networks.helpers import onnxruntime_results

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
WEIGHT = (np.random.default_rng(0).standard_normal((4, 4)) * 0.4).astype(np.float32)


def _info(name: str, kind: int, shape: list[int | str] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    constants = [
        numpy_helper.from_array(WEIGHT, "weight"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array(30, np.int64), "most"),
    ]
    graph = helper.make_graph(nodes, "loops", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _body() -> onnx.GraphProto:
    """x ← tanh(x · weight) + step, until the sum of squares is below ``limit``; both outer values are captured."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Tanh", ["product"], ["squashed"]),
        helper.make_node("Add", ["squashed", "step"], ["next"]),
        helper.make_node("ReduceSumSquare", ["next"], ["size"], keepdims=0),
        helper.make_node("Greater", ["size", "limit"], ["goes_on"]),
        helper.make_node("ReduceMax", ["next"], ["highest"], keepdims=0),
    ]
    inputs = [_info("turn", INT64, []), _info("condition", BOOL, []), _info("x", FLOAT, ["rows", 4])]
    outputs = [_info("goes_on", BOOL, []), _info("next", FLOAT, ["rows", 4]), _info("highest", FLOAT, [])]
    return helper.make_graph(nodes, "body", inputs, outputs)


def _until_small() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["start", "start"], ["x0"]),
        helper.make_node("Loop", ["most", "yes", "x0"], ["last", "heights"], body=_body()),
        helper.make_node("Softmax", ["last"], ["result"]),
    ]
    inputs = [_info("start", FLOAT, ["rows", 4]), _info("step", FLOAT, [4]), _info("limit", FLOAT, [])]
    return _model(nodes, inputs, [_info("result", FLOAT, ["rows", 4]), _info("heights", FLOAT, ["turns"])])


def _feeds(rows: int, limit: float) -> dict[str, Array]:
    random = np.random.default_rng(rows)
    start = random.standard_normal((rows, 4), dtype=np.float32)
    return {"start": start, "step": np.full(4, 0.01, np.float32), "limit": np.array(limit, np.float32)}


def _check(
    model: onnx.ModelProto, feeds: list[dict[str, Array]], folder: Path, device: str = "auto"
) -> mace.MaceEngine:
    """Compares with ONNX Runtime; the engine, to be asked what it did."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "model.onnx")
    mace.convert(folder / "model.onnx", folder / "model.mace")
    engine = mace.load(folder / "model.mace", device=device, storage=folder / "storage")
    for feed in feeds:
        wanted = onnxruntime_results(folder / "model.onnx", feed)
        got = engine.run(feed)
        for name, value in wanted.items():
            assert got[name].dtype == value.dtype
            np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-6)
    return engine


def test_loop_ends_when_its_data_says_so(device_spec: str, tmp_path: Path) -> None:
    """The number of turns differs from run to run, two shapes are fed, and no float is computed on the host."""
    feeds = [_feeds(3, 0.5), _feeds(3, 0.05), _feeds(5, 0.2)]
    with _check(_until_small(), feeds, tmp_path, device_spec) as engine:
        lengths = {len(engine.run(f)["heights"]) for f in feeds}
        assert len(lengths) > 1
        assert engine.stats.host_steps_float == 0
        assert engine.stats.plans == 2 * 3  # before, the body, after; for either shape


def test_loop_of_no_turns(tmp_path: Path) -> None:
    """A limit of no turns hands the start through and stacks nothing."""
    model = _until_small()
    next(t for t in model.graph.initializer if t.name == "most").CopyFrom(
        numpy_helper.from_array(np.array(0, np.int64), "most")
    )
    _check(model, [_feeds(2, 0.1)], tmp_path).close()


def test_second_start_compiles_nothing(tmp_path: Path) -> None:
    """The body's plan is stored as any other is."""
    _check(_until_small(), [_feeds(3, 0.5)], tmp_path).close()
    with _check(_until_small(), [_feeds(3, 0.5)], tmp_path) as engine:
        assert engine.stats.programs_from_source == 0
        assert engine.stats.plans_loaded == 3


def test_growing_values_go_to_the_host(tmp_path: Path) -> None:
    """Each turn appends a row: a plan per turn would never end, so the host goes on, and a warning says so."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Concat", ["x", "product"], ["next"], axis=0),
        helper.make_node("ReduceSum", ["next"], ["sum"], keepdims=0),
        helper.make_node("Less", ["sum", "limit"], ["goes_on"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [_info("turn", INT64, []), _info("condition", BOOL, []), _info("x", FLOAT, ["rows", 4])],
        [_info("goes_on", BOOL, []), _info("next", FLOAT, ["more", 4])],
    )
    loop = helper.make_node("Loop", ["turns", "yes", "start"], ["result"], body=body)
    inputs = [_info("start", FLOAT, ["rows", 4]), _info("turns", INT64, []), _info("limit", FLOAT, [])]
    model = _model([loop], inputs, [_info("result", FLOAT, ["many", 4])])
    feeds = {"start": _feeds(1, 0)["start"], "turns": np.array(5, np.int64), "limit": np.array(1e6, np.float32)}
    with (
        pytest.warns(HostFallbackWarning, match="change from turn to turn"),
        _check(model, [feeds], tmp_path) as engine,
    ):
        assert engine.stats.host_steps_float == 1


def test_long_scan_runs_on_the_device(tmp_path: Path) -> None:
    """A Scan too long to be written out, backwards, over the second axis, into the last one."""
    length = 1100
    nodes = [
        helper.make_node("MatMul", ["state", "weight"], ["product"]),
        helper.make_node("Add", ["product", "slice"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Neg", ["next"], ["out"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [_info("state", FLOAT, [2, 4]), _info("slice", FLOAT, [2, 4])],
        [_info("next", FLOAT, [2, 4]), _info("out", FLOAT, [2, 4])],
    )
    scan = helper.make_node(
        "Scan",
        ["first", "steps"],
        ["last", "all"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[1],
        scan_output_axes=[2],
    )
    inputs = [_info("first", FLOAT, [2, 4]), _info("steps", FLOAT, [2, length, 4])]
    model = _model([scan], inputs, [_info("last", FLOAT, [2, 4]), _info("all", FLOAT, [2, 4, length])])
    random = np.random.default_rng(0)
    feeds = {n: random.standard_normal(s, dtype=np.float32) for n, s in (("first", (2, 4)), ("steps", (2, length, 4)))}
    with _check(model, [feeds], tmp_path) as engine:
        assert engine.stats.host_steps_float == 0


def test_loop_within_a_branch(device_spec: str, tmp_path: Path) -> None:
    """An If whose condition the device computes; one branch holds the loop, which captures a value of the graph around."""
    loop = helper.make_node("Loop", ["most", "yes", "x0"], ["last", "heights"], body=_body())
    then = helper.make_graph([loop], "then", [], [_info("last", FLOAT, None)])
    other = helper.make_graph([helper.make_node("Neg", ["x0"], ["turned"])], "else", [], [_info("turned", FLOAT, None)])
    nodes = [
        helper.make_node("Mul", ["start", "start"], ["x0"]),
        helper.make_node("ReduceMax", ["start"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["high"]),
        helper.make_node("If", ["high"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("Exp", ["chosen"], ["result"]),
    ]
    inputs = [_info("start", FLOAT, ["rows", 4]), _info("step", FLOAT, [4]), _info("limit", FLOAT, [])]
    model = _model(nodes, inputs, [_info("result", FLOAT, ["rows", 4])])
    with warnings.catch_warnings():
        warnings.simplefilter("error", HostFallbackWarning)
        _check(model, [_feeds(3, 0.1), _feeds(3, 100.0)], tmp_path, device_spec).close()


def test_branch_within_a_loop(device_spec: str, tmp_path: Path) -> None:
    """What a scripted ``while count < 6 and not done`` becomes: an If over a carried count, which has no plan per number."""
    then = helper.make_graph(
        [
            helper.make_node("ReduceSumSquare", ["next"], ["size"], keepdims=0),
            helper.make_node("Greater", ["size", "limit"], ["large"]),
        ],
        "then",
        [],
        [_info("large", BOOL, [])],
    )
    other = helper.make_graph([helper.make_node("Not", ["yes"], ["no"])], "else", [], [_info("no", BOOL, [])])
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Tanh", ["product"], ["next"]),
        helper.make_node("Add", ["count", "one"], ["more"]),
        helper.make_node("Less", ["more", "six"], ["early"]),
        helper.make_node("If", ["early"], ["goes_on"], then_branch=then, else_branch=other),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [_info("turn", INT64, []), _info("given", BOOL, []), _info("count", INT64, []), _info("x", FLOAT, ["rows", 4])],
        [_info("goes_on", BOOL, []), _info("more", INT64, []), _info("next", FLOAT, ["rows", 4])],
    )
    loop = helper.make_node("Loop", ["most", "yes", "zero", "start"], ["turns", "result"], body=body)
    inputs = [_info("start", FLOAT, ["rows", 4]), _info("limit", FLOAT, [])]
    model = _model([loop], inputs, [_info("turns", INT64, []), _info("result", FLOAT, ["rows", 4])])
    numbers = {"zero": 0, "one": 1, "six": 6}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), n) for n, v in numbers.items())
    feeds = [{k: v for k, v in _feeds(3, limit).items() if k != "step"} for limit in (0.0, 0.7)]
    with _check(model, feeds, tmp_path, device_spec) as engine:
        assert {int(engine.run(f)["turns"]) for f in feeds} == {6, 3}
        assert engine.stats.host_steps_float == 0
        assert engine.stats.plans <= 4
