"""Inputs and outputs without copies: tensors that stay on the device, arrays worked on in place, other libraries' memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mace
from mace.engine.engine import MaceEngine
from mace.errors import InputError
from mace.execution.device_tensor import DeviceTensor
from mace.execution.transfers import IN_PLACE_BYTES
from mace.opencl.context import Context
from mace.tensor import Array

SIZE = 160
SHAPE = (1, 3, SIZE, SIZE)


def image_model(name: str) -> onnx.ModelProto:
    """A convolution that keeps an image's shape, so that one model's output is another's input."""
    rng = np.random.default_rng(sum(map(ord, name)))
    weights = numpy_helper.from_array((rng.standard_normal((3, 3, 3, 3)) * 0.2).astype(np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Tanh", ["c"], ["y"])]
    values = [helper.make_tensor_value_info(v, TensorProto.FLOAT, SHAPE) for v in ("x", "y")]
    graph = helper.make_graph(nodes, name, values[:1], values[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def reference(name: str, x: Array) -> Array:
    return np.asarray(ReferenceEvaluator(image_model(name)).run(None, {"x": x})[0])


def image(seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def same(found: Any, wanted: Array) -> None:
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=2e-5, atol=1e-5)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    for name in ("first", "second"):
        mace.convert(image_model(name), folder / f"{name}.mace")
    return {name: folder / f"{name}.mace" for name in ("first", "second")}


@pytest.fixture(scope="module")
def storage_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One storage for the module: the two models are compiled once per device."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def engine(paths: dict[str, Path], device_spec: str, storage_folder: Path) -> Iterator[MaceEngine]:
    with mace.load(paths["first"], device=device_spec, storage=storage_folder) as made:
        yield made


def second(engine: MaceEngine, paths: dict[str, Path], storage_folder: Path) -> MaceEngine:
    return mace.load(paths["second"], context=engine.context, storage=storage_folder)


def test_size_is_one_that_is_worked_on_in_place() -> None:
    """The images of these tests are large enough for what they test."""
    assert 4 * np.prod(SHAPE) >= IN_PLACE_BYTES


def test_results_stay_as_they_are(engine: MaceEngine) -> None:
    """Results are arrays of their own: later runs, changed inputs and the engine's end leave them alone."""
    x = image(1)
    results = [engine.run({"x": x})["y"]]
    x[:] = image(2)
    results.append(engine.run({"x": x})["y"])
    x[:] = 0
    engine.close()
    gc.collect()
    assert not np.shares_memory(*results)
    for seed, result in enumerate(results, 1):
        assert result.flags.writeable
        same(result, reference("first", image(seed)))


def test_inputs_are_not_kept(engine: MaceEngine) -> None:
    """When a run is over, the engine holds on neither to the input nor to the result."""
    x = image(1)
    y = engine.run({"x": x})["y"]
    alive = [weakref.ref(x), weakref.ref(y)]
    del x, y
    gc.collect()
    assert [a() for a in alive] == [None, None]


def test_arrays_of_any_place(engine: MaceEngine) -> None:
    """Inputs that begin at any multiple of an element, read-only ones and views of one another are read rightly."""
    room = np.zeros(3 * SIZE * SIZE + 16, np.float32)
    for begin in (0, 1, 3, 7):
        view = room[begin : begin + 3 * SIZE * SIZE].reshape(SHAPE)
        view[:] = image(begin)
        view.flags.writeable = False
        same(engine.run({"x": view})["y"], reference("first", image(begin)))


def test_kernels_get_memory_as_aligned_as_drivers_take_it_to_be(device_spec: str, tmp_path: Path) -> None:
    """Large tensors that are merely copied, from and to any address: PoCL's vector instructions fault where it is not aligned."""
    shape = (1, 3, 64, 196)
    nodes = [helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 1, 3])]
    x, y = (helper.make_tensor_value_info(*v) for v in (("x", 1, shape), ("y", 1, (1, 64, 3, 196))))
    graph = helper.make_graph(nodes, "copy", [x], [y])
    mace.convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "copy.mace")
    room, out = np.arange(2 * 3 * 64 * 196, dtype=np.float32), np.zeros(3 * 64 * 196 + 64, np.float32)
    with mace.load(tmp_path / "copy.mace", device=device_spec) as engine:
        for begin in (*range(9), 16, 32):
            given = room[begin : begin + 3 * 64 * 196].reshape(shape)
            wanted = given.transpose(0, 2, 1, 3)
            into = out[begin : begin + given.size].reshape(wanted.shape)
            assert np.array_equal(engine.run({"x": given})["y"], wanted)
            assert np.array_equal(engine.run({"x": given}, into={"y": into})["y"], wanted)


def test_no_command_copies_an_input(engine: MaceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor kernels work on it where it is, or in aligned memory that the caller's thread copies it to."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a command was given to copy an input")

    monkeypatch.setattr(Context, "write", refuse)
    for beside in (0, 1):
        room = np.zeros(3 * SIZE * SIZE + 64, np.float32)
        begin = -(room.__array_interface__["data"][0] // 4) % 32 + beside
        view = room[begin : begin + 3 * SIZE * SIZE].reshape(SHAPE)
        for seed in (1, 2):
            view[:] = image(seed)
            same(engine.run({"x": view})["y"], reference("first", image(seed)))


def test_results_go_where_they_are_wanted(engine: MaceEngine) -> None:
    """``into`` fills the caller's array and returns it, also where it is the input's own memory."""
    x, y = image(1), np.full(SHAPE, 7, np.float32)
    assert engine.run({"x": x}, into={"y": y})["y"] is y
    same(y, reference("first", image(1)))
    assert engine.run({"x": x}, into={"y": x})["y"] is x
    same(x, reference("first", image(1)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 3, SIZE, 1), np.float32), "array given for it"),
        (np.zeros(SHAPE), "float64"),
        (np.zeros((*SHAPE[:2], SIZE, 2 * SIZE), np.float32)[..., ::2], "row-major"),
        (np.frombuffer(bytes(4 * 3 * SIZE * SIZE), np.float32).reshape(SHAPE), "writeable"),
    ],
    ids=["shape", "type", "order", "read-only"],
)
def test_array_that_cannot_be_filled(engine: MaceEngine, array: Array, message: str) -> None:
    """An array that does not fit an output is refused, and the engine goes on."""
    with pytest.raises(InputError, match=message):
        engine.run({"x": image(1)}, into={"y": array})
    same(engine.run({"x": image(1)})["y"], reference("first", image(1)))


def test_chain_of_engines(engine: MaceEngine, paths: dict[str, Path], storage_folder: Path) -> None:
    """One engine's output is the next one's input without a way through the host, and back again."""
    with second(engine, paths, storage_folder) as other:
        outputs = []
        for seed in (1, 2, 3):
            middle = engine.run({"x": image(seed)}, on_device=True)["y"]
            assert isinstance(middle, DeviceTensor)
            outputs.append(engine.run({"x": other.run({"x": middle}, on_device=["y"])["y"]})["y"])
    for seed, output in enumerate(outputs, 1):
        same(output, reference("first", reference("second", reference("first", image(seed)))))


def test_tensors_outlive_later_runs(engine: MaceEngine) -> None:
    """Each run's tensor is memory of its own; it stays right when the engine is gone."""
    tensors = [engine.run({"x": image(seed)}, on_device=True)["y"] for seed in (1, 2, 3)]
    engine.close()
    gc.collect()
    for seed, tensor in enumerate(tensors, 1):
        assert tensor.shape == SHAPE
        assert tensor.dtype == np.float32
        same(tensor.numpy(), reference("first", image(seed)))


def test_memory_is_used_again_when_nobody_has_it(engine: MaceEngine) -> None:
    """A tensor that is gone leaves its memory to the next; one that is shown, or whose address was given away, does not."""
    first = engine.run({"x": image(1)}, on_device=True)["y"]
    address = first.buffer.handle.pointer
    del first
    again = engine.run({"x": image(1)}, on_device=True)["y"]
    assert again.buffer.handle.pointer == address
    shown = again.numpy()
    del again
    other = engine.run({"x": image(2)}, on_device=True)["y"]
    assert other.buffer.handle.pointer != address
    same(shown, reference("first", image(1)))
    given, kept = other.pointer, other.buffer
    del other, shown
    addresses = {engine.run({"x": image(3)}, on_device=True)["y"].buffer.handle.pointer for _ in range(3)}
    assert given == kept.handle.pointer
    assert given not in addresses


def test_dlpack_shows_the_same_memory(engine: MaceEngine) -> None:
    """numpy takes a tensor by DLPack without a copy, and what it shows stays when the tensor is gone."""
    tensor = engine.run({"x": image(1)}, on_device=True)["y"]
    taken, again = np.from_dlpack(tensor), tensor.numpy()
    assert np.shares_memory(taken, again)
    del tensor, again
    gc.collect()
    same(taken, reference("first", image(1)))


def test_torch_in_and_out(engine: MaceEngine) -> None:
    """A tensor of torch goes in as it is, and torch takes the result without a copy."""
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(image(1))
    y = torch.from_dlpack(engine.run({"x": x}, on_device=True)["y"])
    same(y.numpy(), reference("first", image(1)))


def test_pyopencl_in_and_out(engine: MaceEngine) -> None:
    """An array of pyopencl on the engine's context goes in by its address, offset included; a result comes out as one."""
    import pyopencl as cl
    import pyopencl.array as cl_array

    context = cl.Context.from_int_ptr(engine.context.handle.pointer)
    queue = cl.CommandQueue(context)
    whole = cl_array.to_device(queue, np.concatenate([image(1), image(2)]))
    for seed, part in enumerate((whole[:1], whole[1:]), 1):
        tensor = engine.run({"x": part}, on_device=True)["y"].wait()
        out = cl_array.Array(queue, SHAPE, np.float32, data=cl.Buffer.from_int_ptr(tensor.pointer))
        same(out.get(), reference("first", image(seed)))
    other = cl.Context([queue.device])
    strange = cl_array.to_device(cl.CommandQueue(other), image(1))
    with pytest.raises(InputError, match="another context"):
        engine.run({"x": strange})


def test_tensor_of_another_context(engine: MaceEngine, paths: dict[str, Path], storage_folder: Path) -> None:
    """A tensor of another context is refused by name of the input, with what to do; its values go in."""
    tensor = engine.run({"x": image(1)}, on_device=True)["y"]
    with mace.load(paths["second"], device=engine.device, storage=storage_folder) as other:
        with pytest.raises(InputError, match=r"'x'.*another context"):
            other.run({"x": tensor})
        same(other.run({"x": tensor.numpy()})["y"], reference("second", reference("first", image(1))))


@pytest.mark.parametrize("change", ["shape", "type"])
def test_tensor_that_does_not_fit(engine: MaceEngine, change: str) -> None:
    """Tensors are checked as arrays are."""
    tensor = engine.run({"x": image(1)}, on_device=True)["y"]
    kind = (
        replace(tensor.type, shape=(1, 3, 2, 2)) if change == "shape" else replace(tensor.type, dtype=mace.DType.INT32)
    )
    with pytest.raises(InputError, match="input 'x'"):
        engine.run({"x": DeviceTensor(tensor.context, tensor.buffer, kind)})


def test_device_with_memory_of_its_own(paths: dict[str, Path], device: Any, storage_folder: Path) -> None:
    """Where the host does not share the memory, tensors chain all the same, numpy copies, and DLPack says why not."""
    apart = copy(device)
    apart.traits = replace(device.traits, host_unified_memory=False, kind="other")
    with mace.load(paths["first"], device=apart, storage=storage_folder) as engine:
        tensor = engine.run({"x": engine.run({"x": image(1)}, on_device=True)["y"]}, on_device=True)["y"]
        same(tensor, reference("first", reference("first", image(1))))
        with pytest.raises(BufferError, match="numpy"):
            np.from_dlpack(tensor)


def test_failed_run_leaves_the_engine_whole(engine: MaceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that breaks off between its launches leaves no kernel on the caller's memory."""
    x = image(1)
    with monkeypatch.context() as patch:
        patch.setattr(type(engine.context), "run", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("broken off")))
        with pytest.raises(RuntimeError, match="broken off"):
            engine.run({"x": x})
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None
    same(engine.run({"x": image(2)})["y"], reference("first", image(2)))
