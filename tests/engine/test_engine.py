"""The engine end to end on a small model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import mace
from mace.errors import InputError, ModelFileError, NoDeviceError, ProgramFileWarning, StorageError, StorageWarning
from tests.engine.models import expected, small_model

WARM_MODULES = {
    f"mace.{name}"
    for package, modules in {
        "": "version errors records tensor device engine execution files model_file opencl plan program",
        "engine.": "loading engine builds feeds preparation proof settings stage stats",
        "execution.": "executor transfers",
        "files.": "atomic folders mapping paging stamps",
        "model_file.": "header layout signature",
        "opencl.": "api buffer catalog context describe device discovery driver_cache drivers host kernel known_faults"
        " loader numbers objects opening preload probed traits translate",
        "plan.": "options plan recipe serialise",
        "program.": "codec content cursor envelope files library limits opening reasons reuse store table trust usage",
    }.items()
    for name in (package + module for module in modules.split())
}
"""All that a warm start may import of mace: everything else costs time at every start."""

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


def test_results_are_those_of_the_reference(model_path: Path, device_spec: str) -> None:
    """A cold start computes what onnx's reference evaluator computes."""
    with mace.load(model_path, device=device_spec) as engine:
        np.testing.assert_allclose(engine.run({"x": X})["y"], expected(small_model(), X), rtol=2e-5, atol=1e-5)


def test_a_second_engine_compiles_nothing(model_path: Path, device_spec: str) -> None:
    """What the first engine stored serves the second; both give the same bytes."""
    with mace.load(model_path, device=device_spec) as first:
        cold = first.run({"x": X})["y"]
        assert first.stats.programs_from_source > 0
    with mace.load(model_path, device=device_spec) as second:
        assert np.array_equal(second.run({"x": X})["y"], cold)
        assert second.stats.programs_from_source == 0
        assert second.stats.plans_loaded == 1


def test_a_program_file_serves_without_storage(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """A saved program file is enough by itself, as a path and as bytes."""
    with mace.load(model_path, device=device_spec, storage=tmp_path / "a") as engine:
        info = engine.save_compiled_program(tmp_path / "m.bin")
        assert info.path == tmp_path / "m.bin"
        assert info.bytes == info.path.stat().st_size
        assert info.entries >= 3
    for program in (info.path, info.path.read_bytes()):
        with mace.load(model_path, device=device_spec, compiled_program=program, storage=False) as engine:
            engine.run({"x": X})
            assert engine.stats.programs_from_source == 0


def test_another_batch_is_another_plan(any_batch_path: Path, device_spec: str) -> None:
    """Each batch size gets a plan, and coming back to one plans nothing."""
    with mace.load(any_batch_path, device=device_spec) as engine:
        for batch in (1, 3, 1, 3):
            x = np.random.default_rng(batch).standard_normal((batch, 3, 12, 12)).astype(np.float32)
            result = engine.run({"x": x})["y"]
            np.testing.assert_allclose(result, expected(small_model("batch"), x), rtol=2e-5, atol=1e-5)
        assert engine.stats.plans == 2


def test_many_threads_may_run_one_engine(model_path: Path, device_spec: str) -> None:
    """Concurrent runs do not disturb each other."""
    inputs = [np.random.default_rng(i).standard_normal((1, 3, 12, 12)).astype(np.float32) for i in range(8)]
    wrong: list[int] = []
    with mace.load(model_path, device=device_spec) as engine:
        references = [engine.run({"x": x})["y"] for x in inputs]

        def work(i: int) -> None:
            for _ in range(20):
                if not np.array_equal(engine.run({"x": inputs[i]})["y"], references[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not wrong


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({"z": X}, ["unknown input 'z'", "missing input 'x'", "float32[1x3x12x12]"]),
        ({"x": X[:, :2]}, ["(1, 2, 12, 12)", "float32[1x3x12x12]", "dimension 1"]),
        ({"x": X[0]}, ["(3, 12, 12)"]),
        ({"x": X.astype(np.float64)}, ["float64", "float32", ".astype("]),
        ({"x": X.astype(np.int32)}, ["int32"]),
        ({"x": "text"}, ["str"]),
        ({}, ["missing input 'x'"]),
    ],
)
def test_wrong_inputs_are_named(model_path: Path, feeds: dict[str, object], words: list[str]) -> None:
    """The error says which input, what it was and what is expected; nothing is converted behind one's back."""
    with mace.load(model_path, device="cpu") as engine, pytest.raises(InputError) as caught:
        engine.run(feeds)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_model_is_named() -> None:
    """The path stands in the message."""
    with pytest.raises(ModelFileError, match=r"nowhere\.mace"):
        mace.load("nowhere.mace", device="cpu")


def test_an_unknown_device_lists_what_there_is(model_path: Path) -> None:
    """A name nobody has is answered by the list of devices."""
    with pytest.raises(NoDeviceError, match="flux capacitor"):
        mace.load(model_path, device="flux capacitor")


def test_an_unwritable_storage_only_warns(model_path: Path, tmp_path: Path) -> None:
    """The run succeeds; a warning says that nothing was kept."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with mace.load(model_path, device="cpu", storage=blocked / "storage") as engine, pytest.warns(StorageWarning):
        engine.run({"x": X})
    assert blocked.read_text() == "not a folder"


def test_an_unwritable_target_is_an_error(model_path: Path, tmp_path: Path) -> None:
    """Asked to save explicitly, the engine raises when it cannot."""
    with mace.load(model_path, device="cpu") as engine, pytest.raises(StorageError):
        engine.save_compiled_program(tmp_path / "missing" / "folder" / "m.bin")


def test_a_damaged_program_file_is_passed_over_with_a_warning(model_path: Path, tmp_path: Path) -> None:
    """The file is named with the reason, the model is compiled from source, the result is right."""
    with mace.load(model_path, device="cpu", storage=False) as engine:
        good = engine.run({"x": X})["y"]
        path = engine.save_compiled_program(tmp_path / "m.bin").path
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with mace.load(model_path, device="cpu", compiled_program=path, storage=False) as engine:
        with pytest.warns(ProgramFileWarning, match=r"m\.bin"):
            assert np.array_equal(engine.run({"x": X})["y"], good)
        assert engine.stats.programs_from_source > 0


def test_a_program_file_made_by_somebody_else_is_refused(model_path: Path, tmp_path: Path) -> None:
    """Without a stamp of this user's mace and without a signature, the file's code does not reach the driver."""
    with mace.load(model_path, device="cpu", storage=False) as engine:
        path = engine.save_compiled_program(tmp_path / "m.bin").path
    environment = {**os.environ, "MACE_STATE_DIR": str(tmp_path / "somebody-else"), "MACE_STORAGE": str(tmp_path / "s")}
    script = (
        "import sys, json, warnings, numpy as np, mace\n"
        "warnings.simplefilter('ignore')\n"
        f"e = mace.load({str(model_path)!r}, device='cpu', compiled_program={str(path)!r}, storage=False, trust=sys.argv[1])\n"
        "e.run(e.example_inputs())\n"
        "print(json.dumps([e.stats.programs_from_source, [l['reason'] for l in e.stats.looks]]))\n"
    )
    for trust, compiled in (("own", True), ("any", False)):
        result = subprocess.run(
            [sys.executable, "-c", script, trust], env=environment, capture_output=True, text=True, check=True
        )
        from_source, reasons = json.loads(result.stdout)
        assert (from_source > 0) == compiled
        assert ("untrusted" in reasons) == compiled


def test_closed_engines_say_so(model_path: Path) -> None:
    """Running after close is a clear error."""
    engine = mace.load(model_path, device="cpu")
    engine.close()
    with pytest.raises(InputError, match="closed"):
        engine.run({"x": X})


def numpy_modules() -> set[str]:
    """What numpy imports by itself."""
    code = "import sys, numpy; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_warm_start_imports_nothing_heavy(model_path: Path, tmp_path: Path) -> None:
    """With the program file, a fresh process compiles nothing and imports no converter, no crypto, no command line."""
    with mace.load(model_path, device="cpu", storage=tmp_path) as engine:
        engine.run({"x": X})
        path = engine.save_compiled_program(tmp_path / "m.bin").path
    script = (
        "import sys, json, numpy as np, mace\n"
        f"e = mace.load({str(model_path)!r}, device='cpu', compiled_program={str(path)!r}, storage=False)\n"
        "e.run(e.example_inputs())\n"
        "print(json.dumps([e.stats.programs_from_source, sorted(sys.modules)]))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    from_source, modules = json.loads(result.stdout)
    assert from_source == 0
    heavy = {"onnx", "google.protobuf", "cryptography", "zstandard", "typer", "rich", "jinja2", "plotly", "ml_dtypes"}
    assert not heavy & set(modules)
    unused = {
        "pyopencl",
        "platformdirs",
        "filelock",
        "tempfile",
        "subprocess",
        "shutil",
        "secrets",
        "pathlib",
        "dataclasses",
    }
    assert not (unused - numpy_modules()) & set(modules)
    assert {m for m in modules if m.startswith("mace.")} <= WARM_MODULES


def test_runs_warn_when_floats_leave_the_device(tmp_path: Path) -> None:
    """A float operator without a kernel is run by the host, counted, and warned about."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Det", ["r"], ["y"])],
        "det",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    mace.convert(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "d.mace"
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 3)).astype(np.float32)
    with mace.load(tmp_path / "d.mace", device="cpu") as engine:
        with pytest.warns(mace.MaceWarning, match="Det"):
            result = engine.run({"x": x})["y"]
        assert engine.stats.host_steps_float == 1
    np.testing.assert_allclose(result, np.linalg.det(np.maximum(x, 0)), rtol=1e-4, atol=1e-5)


def test_no_warning_on_a_clean_run(model_path: Path) -> None:
    """A model that runs wholly on the device gives no warning at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mace.load(model_path, device="cpu") as engine:
            engine.run({"x": X})
