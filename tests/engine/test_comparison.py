"""Specialised kernels are compared with general variants at a save; one that a compiler makes wrong is replaced and avoided."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest

import mace
from mace.engine import comparison
from mace.engine.compare_worker import difference
from mace.engine.trials import READ_POSITIONS
from mace.errors import KernelWarning
from mace.model_file.read import load_model
from mace.opencl import select_device
from mace.opencl.jobs import CompileJob
from mace.ops.lowering import CHANNELS_LAST, Layout
from mace.plan.alone import from_layout, to_layout
from mace.plan.options import PlanOptions
from mace.plan.plan import Plan
from mace.plan.planner import make_plan
from mace.program.quarantine import KERNELS_MAX, MiscompiledKernels
from tests.engine.models import expected, pools_of_two_sizes, small_model, two_branches

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)
MODEL = small_model(filters=3)  # they fill no block of any width, so that there is something to reorder
RIGHT = expected(MODEL, X)


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """The model, converted."""
    mace.convert(MODEL, tmp_path / "small.mace")
    return tmp_path / "small.mace"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder in which nothing was compared and no kernel is known to be wrong."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))


Fault: TypeAlias = tuple[str, str, str]
"""A template, and what its kernels' text has and what stands there instead when it reaches the compiler."""
CONVOLUTION: Fault = (
    "conv_planar",
    "= mad(value, weight[b], acc[p * NB + b])",
    "= value * weight[b] * acc[p * NB + b]",
)
PRODUCT: Fault = ("matmul_tiled", "= mad(value, row[j], acc", "= fmin(row[j], acc")
REORDER: Fault = ("move_few", "= x[from", "= (UNIT)0x1010101 + x[from")


@pytest.fixture
def miscompiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Makes the compiler one that gets a template's kernels wrong: the source changes on its way to it, and the keys of
    programs stay what they are."""
    whole = CompileJob.payload
    assert isinstance(whole, property)
    assert whole.fget is not None
    original = whole.fget

    def make(fault: Fault) -> None:
        template, old, new = fault
        kernel = re.compile(rf"#define KERNEL_NAME {template}_\w+\n.*?#undef KERNEL_NAME", re.DOTALL)

        def payload(job: CompileJob) -> bytes:
            source = original(job)[len(job.constants) :].decode()
            return job.constants + kernel.sub(lambda found: found[0].replace(old, new), source).encode()

        monkeypatch.setattr(CompileJob, "payload", property(payload))

    return make


def kernels(plan: Plan) -> set[str]:
    return {name for k in plan.kernels for name in k.names}


def test_a_clean_model_gives_no_complaint(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """Every specialised kernel is compared once; a second save compares none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mace.load(model_path, device=device_spec, storage=False) as engine:
            engine.run({"x": X})
            first = engine.save_compiled_program(tmp_path / "a.bin")
            again = engine.save_compiled_program(tmp_path / "b.bin")
            assert first.compared_kernels is not None
            assert first.compared_kernels >= 2
            assert again.compared_kernels == 0
            assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
            assert not MiscompiledKernels(engine.device.identity).names()


@pytest.mark.parametrize("fault", [CONVOLUTION, PRODUCT, REORDER], ids=lambda f: f[0])
def test_a_kernel_that_is_compiled_wrongly(
    fault: Fault, model_path: Path, tmp_path: Path, miscompiling: Callable[[Fault], None]
) -> None:
    """It is found at the save, named in a warning, recorded, and replaced; the file and every later start are right."""
    miscompiling(fault)
    with mace.load(model_path, device="cpu", storage=tmp_path / "one") as engine:
        wrong = engine.run({"x": X})["y"]
        assert not np.allclose(wrong, RIGHT, rtol=1e-2, atol=1e-2)
        (bad,) = (n for n in kernels(engine.executors()[0].plan) if n.startswith(fault[0]))
        with pytest.warns(
            KernelWarning, match=rf"does not compute .* rightly with {bad} .*: general variants take"
        ) as told:
            engine.save_compiled_program(tmp_path / "m.bin")
        assert len(told) == 1
        assert MiscompiledKernels(engine.device.identity).names() == {bad}
        assert "miscompiled" in engine._library.stats
        np.testing.assert_allclose(engine.run({"x": X})["y"], RIGHT, rtol=2e-5, atol=1e-5)
        assert bad not in kernels(engine.executors()[0].plan)
    starts: list[dict[str, Any]] = [
        {"storage": False, "compiled_program": tmp_path / "m.bin"},
        {"storage": tmp_path / "one"},
        {"storage": tmp_path / "two"},
    ]
    for arguments in starts:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with mace.load(model_path, device="cpu", **arguments) as engine:
                np.testing.assert_allclose(engine.run({"x": X})["y"], RIGHT, rtol=2e-5, atol=1e-5)
                assert bad not in kernels(engine.executors()[0].plan)
                assert (engine.stats.programs_from_source == 0) == (arguments["storage"] != tmp_path / "two")


def test_a_part_of_a_joined_kernel_that_is_compiled_wrongly(
    tmp_path: Path, miscompiling: Callable[[Fault], None]
) -> None:
    """Branches that are one launch are compared each for itself, and the one that is wrong is named and replaced."""
    model = two_branches()
    miscompiling(CONVOLUTION)
    path = tmp_path / "two.mace"
    mace.convert(model, path)
    wanted = expected(model, X)
    with mace.load(path, device="cpu", storage=False) as engine:
        assert not np.allclose(engine.run({"x": X})["y"], wanted, rtol=1e-2, atol=1e-2)
        (joined,) = (k for k in engine.executors()[0].plan.kernels if "conv_planar" in k.template)
        assert joined.parts
        bad = {name for name in joined.names if name.startswith("conv_planar")}
        with pytest.warns(KernelWarning, match="does not compute .* rightly"):
            engine.save_compiled_program(tmp_path / "m.bin")
        assert MiscompiledKernels(engine.device.identity).names() == bad
        np.testing.assert_allclose(engine.run({"x": X})["y"], wanted, rtol=2e-5, atol=1e-5)


def test_a_kernel_that_is_compiled_wrongly_for_the_larger_of_two_calls(
    tmp_path: Path, miscompiling: Callable[[Fault], None]
) -> None:
    """Calls of one kernel are compared at each number of work-items that the plan has."""
    model = pools_of_two_sizes()
    miscompiling(("pool_blocked", "t * V, acc[t])", "t * V, acc[t] + (plane * V >= 16 ? 1.0f : 0.0f))"))
    path = tmp_path / "pools.mace"
    mace.convert(model, path)
    wanted = expected(model, X)
    with mace.load(path, device="cpu", storage=False) as engine:
        assert not np.allclose(engine.run({"x": X})["y"], wanted, rtol=1e-2, atol=1e-2)
        pools = [n for k in engine.executors()[0].plan.kernels for n in k.names if n.startswith("pool_blocked")]
        assert len(pools) == 2
        assert len(set(pools)) == 1
        with pytest.warns(KernelWarning, match="does not compute MaxPool 'large' rightly"):
            engine.save_compiled_program(tmp_path / "m.bin")
        assert MiscompiledKernels(engine.device.identity).names() == set(pools)
        np.testing.assert_allclose(engine.run({"x": X})["y"], wanted, rtol=2e-5, atol=1e-5)


def test_a_plan_stored_before_is_not_used(
    model_path: Path, tmp_path: Path, miscompiling: Callable[[Fault], None]
) -> None:
    """Another storage and another file, made before the kernel was known to be wrong, no longer serve."""
    miscompiling(CONVOLUTION)
    with mace.load(model_path, device="cpu", storage=tmp_path / "old") as engine:
        engine.run({"x": X})
        old = engine.save_compiled_program(tmp_path / "old.bin", verify=False).path
    with mace.load(model_path, device="cpu", storage=False) as engine:
        engine.run({"x": X})
        with pytest.warns(KernelWarning):
            engine.save_compiled_program(tmp_path / "m.bin")
    with mace.load(model_path, device="cpu", storage=tmp_path / "old", compiled_program=old) as engine:
        np.testing.assert_allclose(engine.run({"x": X})["y"], RIGHT, rtol=2e-5, atol=1e-5)


def test_shapes_that_were_prepared_are_all_replaced(
    any_batch_path: Path, tmp_path: Path, miscompiling: Callable[[Fault], None]
) -> None:
    """Every plan of the engine is made anew without the kernel, and the saved file has them all."""
    miscompiling(CONVOLUTION)
    right = expected(small_model(), X)
    batches = [np.concatenate([X] * n) for n in (1, 2)]
    with mace.load(any_batch_path, device="cpu", storage=False) as engine:
        for batch in batches:
            engine.run({"x": batch})
        with pytest.warns(KernelWarning):
            engine.save_compiled_program(tmp_path / "m.bin")
    with mace.load(any_batch_path, device="cpu", storage=False, compiled_program=tmp_path / "m.bin") as engine:
        for batch in batches:
            np.testing.assert_allclose(
                engine.run({"x": batch})["y"], np.repeat(right, len(batch), 0), rtol=2e-5, atol=1e-5
            )
        assert engine.stats.programs_from_source == 0


def test_a_reorder_is_never_a_reason_for_channel_blocks(model_path: Path) -> None:
    """Where a reorder is to be avoided, the plan has no channel blocks; where another kernel is, the rest keeps them."""
    graph = load_model(model_path).graph
    device = select_device("cpu").traits
    options = PlanOptions(joins_launches=False)
    plan = make_plan(graph, device, options=options).plan
    (reorder,) = (k.name for k in plan.kernels if k.template == "move_few")
    (pool,) = (k.name for k in plan.kernels if k.template == "pool_global_blocked")
    plain = make_plan(graph, device, options=options, avoid=frozenset({reorder})).plan
    assert not any("blocked" in k.template or k.name == reorder for k in plain.kernels)
    other = make_plan(graph, device, options=options, avoid=frozenset({pool})).plan
    assert pool not in kernels(other)
    assert {k.name for k in plan.kernels if k.template == "conv_planar"} <= kernels(other)


def test_a_comparison_that_dies(model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed over general variants costs the comparison, not the save; the next save compares."""
    with mace.load(model_path, device="cpu", storage=False) as engine:
        engine.run({"x": X})
        with monkeypatch.context() as patch:
            patch.setattr(comparison, "python_command", lambda _: [sys.executable, "-c", "import os; os.abort()"])
            with pytest.warns(KernelWarning, match="could not be compared .* SIGABRT"):
                saved = engine.save_compiled_program(tmp_path / "m.bin")
        assert saved.path.exists()
        assert not MiscompiledKernels(engine.device.identity).names()
        assert engine.save_compiled_program(tmp_path / "m.bin").compared_kernels


def test_records_belong_to_a_device_and_are_bounded() -> None:
    """They are found again, another device has its own, the oldest make room, and they can be forgotten."""
    from dataclasses import replace

    device = select_device("cpu").identity
    record = MiscompiledKernels(device)
    record.add(["a"], "off")
    assert MiscompiledKernels(device).names() == {"a"}
    assert not MiscompiledKernels(replace(device, driver_version="another")).names()
    record.add((f"k{n}" for n in range(KERNELS_MAX)), "x" * 1000)
    assert record.names() == {f"k{n}" for n in range(KERNELS_MAX)}


@pytest.mark.parametrize("layout", [Layout(4), Layout(8), CHANNELS_LAST])
def test_layouts_there_and_back(layout: Layout) -> None:
    """A tensor put in a layout has that layout's shape, and comes back."""
    x = np.arange(2 * 6 * 3 * 5, dtype=np.float32).reshape(2, 6, 3, 5)
    stored = to_layout(x, layout)
    assert stored.shape == layout.stored(x.shape)
    np.testing.assert_array_equal(from_layout(stored, layout, x.shape), x)


def test_what_counts_as_a_difference() -> None:
    """A share of the range; what is not finite must be the same; few numbers may be off where results jump."""
    wanted = np.linspace(-1, 1, 10_000, dtype=np.float32)
    assert not difference(wanted + 1e-3, wanted)
    assert difference(wanted + 3e-3, wanted)
    one = wanted.copy()
    one[7] += 1
    assert "1 of 10000 numbers are off, by up to 0.5 of the range" in difference(one, wanted)
    assert not difference(one, wanted, jumps=True)
    one[7] = np.nan
    assert difference(one, wanted)
    assert difference(wanted, one)
    assert not difference(one, one)
    assert difference(np.zeros(4, np.int32), np.ones(4, np.int32))
    assert not difference(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))


def _one_node(op: str, inputs: dict[str, tuple[type, tuple[int, ...]]], **attributes: Any) -> onnx.ModelProto:
    """A model of one node with inputs of these types and shapes."""
    types = {float: onnx.TensorProto.FLOAT, int: onnx.TensorProto.INT64}
    given = [onnx.helper.make_tensor_value_info(n, types[t], s) for n, (t, s) in inputs.items()]
    node = onnx.helper.make_node(op, list(inputs), ["y"], **attributes)
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "g", given, [result])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


_JUMPING = {
    "gather_axis": _one_node("Gather", {"x": (float, (9, 5)), "i": (int, (3,))}),
    "gather_elements": _one_node("GatherElements", {"x": (float, (4, 5)), "i": (int, (4, 2))}, axis=1),
    "gather_nd": _one_node("GatherND", {"x": (float, (4, 5)), "i": (int, (3, 2))}),
    "reverse_sequence": _one_node(
        "ReverseSequence", {"x": (float, (4, 3)), "n": (int, (3,))}, time_axis=0, batch_axis=1
    ),
    "scatter_elements": _one_node("ScatterElements", {"x": (float, (4, 5)), "i": (int, (2, 5)), "u": (float, (2, 5))}),
    "scatter_nd": _one_node("ScatterND", {"x": (float, (4, 5)), "i": (int, (2, 1)), "u": (float, (2, 5))}),
}


@pytest.mark.parametrize("template", _JUMPING)
def test_what_is_not_compared_has_but_one_variant(template: str, tmp_path: Path) -> None:
    """Kernels that read or write where other numbers say are the same in a plan of general variants."""
    assert template in READ_POSITIONS
    mace.convert(_JUMPING[template], tmp_path / "m.mace")
    graph, device = load_model(tmp_path / "m.mace").graph, select_device("cpu").traits
    special, general = (make_plan(graph, device, options=PlanOptions(generic=g)).plan for g in (False, True))
    assert template in {k.template for k in special.kernels}
    assert kernels(special) == kernels(general)
