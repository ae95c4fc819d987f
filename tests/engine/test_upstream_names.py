"""The names that MACE's users know: runtime by model name, context builder, tensors, status, the optimised model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import mace
from mace.errors import ConfigError, InputError, ModelFileError, NoDeviceError, UnsupportedOperatorError
from mace.opencl import Device
from tests.engine.models import expected, small_model


@pytest.fixture
def x() -> np.ndarray:
    """One input."""
    return np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled() -> dict[str, Path]:
    """Device digest → folder with ``small.mace`` and its program file, filled as it is asked for: compilation is slow."""
    return {}


@pytest.fixture
def models(compiled: dict[str, Path], model_path: Path, device: Device, tmp_path: Path) -> Path:
    """A models folder with ``small.mace`` and its program file under the model's name."""
    digest = device.identity.digest
    if digest not in compiled:
        folder = model_path.parent / f"models-{digest[:12]}"
        folder.mkdir()
        with mace.load(model_path, device, storage=False) as engine:
            assert engine.save_optimized_model(folder / "small.mace") == folder / "small.mace"
        compiled[digest] = folder
    shutil.copytree(compiled[digest], tmp_path / "models")
    return tmp_path / "models"


def test_a_runtime_by_name(models: Path, device: Device, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """``MaceRuntime`` finds model and program file by the model's name, in a folder, a variable, or as a path."""
    want = expected(small_model(), x)
    with mace.MaceRuntime(model_name="small", device=device, models_folder=models, storage=False) as runtime:
        np.testing.assert_allclose(runtime.run({"x": x})["y"], want, atol=1e-4)
        np.testing.assert_array_equal(runtime.run(x=x)["y"], runtime.run(x=mace.MaceTensor(x, "NCHW"))["y"])
        assert runtime.stats.programs_from_source == 0
    monkeypatch.setenv("MACE_MODELS", str(models))
    program = models / "elsewhere.bin"
    (models / "small.bin").rename(program)
    with mace.MaceRuntime("small", device, compiled_program=program, storage=False) as runtime:
        runtime.run(x=x)
        assert runtime.stats.programs_from_source == 0
    with pytest.raises(ModelFileError, match="there is no model 'other'"):
        mace.MaceRuntime("other", device)
    with pytest.raises(NoDeviceError, match="no such device"):
        mace.MaceRuntime(models / "small.mace", device="no such device")


@pytest.mark.filterwarnings("ignore:program file passed over")
def test_a_context_for_several_engines(models: Path, device: Device, x: np.ndarray, tmp_path: Path) -> None:
    """``GPUContextBuilder`` opens one device for several engines, with program paths, bytes, storage and reuse policy."""
    storage, program = tmp_path / "kept", models / "small.bin"

    def builder() -> mace.GPUContextBuilder:
        return mace.GPUContextBuilder(device).set_storage_path(False)

    for made in (
        builder().set_opencl_binary_paths([tmp_path / "missing.bin", program]),
        builder().set_opencl_binary(program.read_bytes()),
    ):
        context = made.finalize()
        assert context.device.identity == device.identity
        with context.engine(models / "small.mace") as one, context.engine(models / "small.mace") as two:
            np.testing.assert_array_equal(one.run({"x": x})["y"], two.run({"x": x})["y"])
            assert one.stats.programs_from_source == two.stats.programs_from_source == 0
    refused = builder().set_opencl_binary_paths([program]).set_opencl_cache_reuse_policy("none").finalize()
    with refused.engine(models / "small.mace") as engine:
        engine.run({"x": x})
        assert engine.stats.programs_from_source > 0
    settings = mace.GPUContextBuilder(device).set_storage_path(storage).set_opencl_binary_paths([program])
    kept = settings.set_warm_up("background").finalize()
    assert kept.settings.warm_up == "background"
    with kept.engine(models / "small.mace") as engine:
        engine.run({"x": x})
        assert engine.stats.programs_from_source == 0


def test_a_parameter_path(models: Path, device: Device, x: np.ndarray, tmp_path: Path) -> None:
    """The parameter path is read when something is planned, and a file that is none is an error naming it."""
    path = tmp_path / "tuned.json"
    with mace.load(models / "small.mace", device, storage=False) as engine:
        path.write_bytes(engine.tunings().own.to_bytes())
    context = mace.GPUContextBuilder(device).set_storage_path(False).set_opencl_parameter_path(path).finalize()
    with context.engine(models / "small.mace") as engine:
        engine.run({"x": x})
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"tuned\.json"), context.engine(models / "small.mace") as engine:
        engine.run({"x": x})


def test_the_optimised_model(models: Path, model_path: Path, device: Device, x: np.ndarray) -> None:
    """Written as ``.mace`` it is the same model and starts from the program beside it; as ``.onnx`` others run it alike."""
    with mace.load(models / "small.mace", device, models / "small.bin", storage=False) as engine:
        ours = engine.run({"x": x})["y"]
        assert engine.stats.programs_from_source == 0
        assert engine.save_optimized_model(models / "small.onnx") == models / "small.onnx"
        with pytest.raises(InputError, match=r"\.mace or \.onnx"):
            engine.save_optimized_model(models / "small.pb")
    written = onnx.load(models / "small.onnx")
    onnx.checker.check_model(written)
    np.testing.assert_allclose(expected(written, x), ours, atol=1e-4)
    np.testing.assert_allclose(expected(small_model(), x), ours, atol=1e-4)
    mace.convert(models / "small.onnx", models / "again.mace")
    with mace.load(models / "again.mace", device, storage=False) as engine:
        np.testing.assert_allclose(engine.run({"x": x})["y"], ours, atol=1e-4)


def test_status_of_errors() -> None:
    """Errors have the numbers that upstream's callers know."""
    status = mace.MaceStatus
    assert status.of(None) is status.MACE_SUCCESS
    assert status.of(InputError("x")) is status.MACE_INVALID_ARGS
    assert status.of(UnsupportedOperatorError([])) is status.MACE_UNSUPPORTED
    assert status.of(ModelFileError("x")) is status.MACE_RUNTIME_ERROR


def test_a_tensor_knows_its_type(x: np.ndarray) -> None:
    """Shape and element type of a ``MaceTensor`` are those of its data."""
    tensor = mace.MaceTensor(x, "NCHW")
    assert (tensor.shape, tensor.dtype, tensor.data_format) == ((1, 3, 12, 12), mace.DType.FLOAT32, "NCHW")
