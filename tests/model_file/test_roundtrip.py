"""Graphs survive ``.mace`` files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mace.errors import StorageError
from mace.graph.expr import Expr, Step
from mace.graph.ir import MACE_DOMAIN, Graph, Node
from mace.model_file import load_model, read_header, save_model
from mace.model_file.layout import PAGE
from mace.tensor import DType, TensorType

F32 = DType.FLOAT32


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        if a.dtype.kind in "OUS":
            return a.shape == b.shape and list(map(str, a.reshape(-1))) == list(map(str, b.reshape(-1)))
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Graph):
        assert isinstance(b, Graph)
        assert_same(a, b)
        return True
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(_same, a, b))
    return a == b


def assert_same(a: Graph, b: Graph) -> None:
    """Equal in every field, arrays bit by bit."""
    assert (a.name, a.inputs, a.outputs, a.types, a.opset) == (b.name, b.inputs, b.outputs, b.types, b.opset)
    assert list(a.constants) == list(b.constants)
    assert all(_same(v, b.constants[k]) for k, v in a.constants.items())
    assert len(a.nodes) == len(b.nodes)
    for m, n in zip(a.nodes, b.nodes, strict=True):
        assert (m.op, m.inputs, m.outputs, m.name, m.domain) == (n.op, n.inputs, n.outputs, n.name, n.domain)
        assert list(m.attrs) == list(n.attrs)
        assert all(_same(v, n.attrs[k]) for k, v in m.attrs.items())


def _graph(constants: dict[str, np.ndarray], **attrs: object) -> Graph:
    node = Node("Custom", ("x", *constants), ("y",), attrs, "node", "test")
    types = {"y": TensorType(F32, ("batch", None, 3))}
    return Graph("g", {"x": TensorType(F32, ("batch", 2))}, ("y",), (node,), constants, types, 21)


_dtypes = [
    np.float32,
    np.float16,
    np.int64,
    np.uint8,
    np.bool_,
    np.float64,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
]
_shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40)


@st.composite
def _arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(_dtypes)))
    shape = draw(_shapes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = rng.integers(0, 2, shape) if dtype == np.bool_ else rng.standard_normal(shape) * 50
    return np.asarray(values).astype(dtype)


_attrs = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=20),
    _arrays(),
    st.lists(st.integers(-5, 5)).map(tuple),
    st.lists(st.text(max_size=3)).map(tuple),
)
_names = st.text(min_size=1, max_size=8).filter(lambda n: n not in ("x", "y"))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(_names, _arrays(), max_size=5), st.dictionaries(st.text(min_size=1, max_size=5), _attrs, max_size=5)
)
def test_any_graph_survives(constants: dict[str, np.ndarray], attrs: dict[str, object]) -> None:
    """Any constants and attributes come back bit by bit, and the same graph gives the same bytes."""
    graph = _graph(constants, **attrs)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "a.mace"), Path(folder, "b.mace")
        digest = save_model(first, graph)
        assert save_model(second, graph) == digest
        assert first.read_bytes() == second.read_bytes()
        model = load_model(first)
        assert model.sha256 == digest
        assert_same(graph, model.graph)
        del model


def test_fused_nodes_and_subgraphs_survive(tmp_path: Path) -> None:
    """Expressions, tails, bodies and wrapped types are part of the file."""
    expr = Expr(2, (Step("Add", (0, 1), "float32"), Step("Clip", (2, -1, 1), "float32", (("alpha", 0.5),))))
    body = Graph("b", {}, ("v",), (Node("Neg", ("y",), ("v",)),), {}, {"v": TensorType(F32, (2,), "sequence")}, 21)
    nodes = (
        Node("Pointwise", ("x", "k"), ("y",), {"expr": expr}, "", MACE_DOMAIN),
        Node("Conv", ("x", "k", "y"), ("z",), {"tail": expr, "pads": (0, 0)}),
        Node("If", ("x",), ("w",), {"then_branch": body}),
    )
    graph = Graph("g", {"x": TensorType(F32, (2,))}, ("z", "w"), nodes, {"k": np.ones(2, np.float32)}, {}, 21)
    save_model(tmp_path / "m.mace", graph)
    assert_same(graph, load_model(tmp_path / "m.mace").graph)


def test_weights_are_mapped_not_read(tmp_path: Path) -> None:
    """Large constants lie on pages of their own and are read-only views; equal ones are stored once."""
    big = np.arange(PAGE, dtype=np.float32)
    graph = _graph({"a": big, "s": np.float32(1) * np.ones(3, np.float32), "b": big.copy()})
    save_model(tmp_path / "m.mace", graph)
    constants = load_model(tmp_path / "m.mace").graph.constants
    assert not constants["a"].flags.owndata
    assert not constants["a"].flags.writeable
    assert constants["a"].ctypes.data % PAGE == 0
    assert (
        constants["a"].ctypes.data == constants["b"].ctypes.data
        or (tmp_path / "m.mace").stat().st_size < 2 * big.nbytes + 2 * PAGE
    )


def test_texts_survive(tmp_path: Path) -> None:
    """Constants of strings are kept too."""
    graph = _graph({"words": np.array([["a", "ß"], ["", "日"]], object)})
    save_model(tmp_path / "m.mace", graph)
    assert_same(graph, load_model(tmp_path / "m.mace").graph)


def test_header_tells_the_signature(tmp_path: Path) -> None:
    """Hash, name, inputs and outputs are read without the graph."""
    digest = save_model(tmp_path / "m.mace", _graph({}))
    header = read_header(tmp_path / "m.mace")
    assert (header.sha256, header.name) == (digest, "g")
    assert header.inputs == {"x": TensorType(F32, ("batch", 2))}
    assert header.outputs == {"y": TensorType(F32, ("batch", None, 3))}


def test_reading_the_header_imports_nothing_heavy(tmp_path: Path) -> None:
    """A warm start needs numpy and the standard library for it."""
    import subprocess
    import sys

    save_model(tmp_path / "m.mace", _graph({"k": np.ones(4, np.float32)}))
    code = (
        "import sys; from mace.model_file import load_model, read_header; "
        f"read_header({str(tmp_path / 'm.mace')!r}); load_model({str(tmp_path / 'm.mace')!r}); "
        "heavy = {'onnx', 'google', 'cryptography', 'zstandard', 'typer', 'rich', 'pyopencl'}; "
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    import mace

    path = str(Path(next(iter(mace.__path__))).parent)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path}, check=True
    )
    assert result.stdout.strip() == "[]"


def test_unwritable_folder_keeps_the_old_file(tmp_path: Path) -> None:
    """A save that fails raises and leaves what was there."""
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(StorageError):
        save_model(target / "m.mace", _graph({}))
    assert target.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["file"]
