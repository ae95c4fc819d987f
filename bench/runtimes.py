"""The runtimes that ``bench/peers.py`` measures: how each prepares what it ships, opens it and runs it.

``PREPARE[name](model, feeds)`` is not timed; ``OPEN[name](model, feeds)`` is, and returns a function that runs once and returns
every output. Files lie beside ``model``, an ONNX file; ``NAME.outputs`` lists the model's outputs, so that no measured process
needs onnx for them. All of them get two threads, float32.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

THREADS = 2
TUNE_SECONDS = 60.0
POCL = "Portable Computing Language"
PACKAGES = {"mace": "mace-cl", "onnxruntime": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "mnn": "MNN"}
"""Runtime → the distribution whose version is noted; the rows of mace share theirs."""

Feeds = dict[str, Any]
Run = Callable[[], list[Any]]


class LeftOutError(Exception):
    """A runtime cannot take part, for a reason that belongs in the record."""


def prepare_mace(
    model: Path, feeds: Feeds, tune: float = 0.0, device: str = "cpu", suffix: str = "", generic: bool = False
) -> str:
    """Convert, tune where asked to, compile; returns the device's label. ``suffix`` keeps several builds apart.

    ``generic`` is what a library that cannot specialise would run: only general variants, one output per work-item, vectors
    of four. Raises ``LeftOutError`` where there is no such device.
    """
    import mace
    from mace.errors import NoDeviceError
    from mace.plan.options import PlanOptions

    mace.convert(model, model.with_suffix(".mace"))
    storage = model.parent / f"storage{suffix}"
    options = PlanOptions(generic=generic)
    try:
        engine = mace.load(model.with_suffix(".mace"), device=device, storage=storage, options=options)
    except NoDeviceError:
        raise LeftOutError(f"no device of {device} on this machine") from None
    with engine:
        if tune:
            engine.tune(tune, inputs=feeds)
        engine.run(feeds)
        engine.save_compiled_program(model.with_suffix(f"{suffix}.bin"))
        return engine.device.label


def open_mace(model: Path, feeds: Feeds, device: str = "cpu", suffix: str = "", generic: bool = False) -> Run:
    import mace

    more: dict[str, Any] = {}
    if generic:
        from mace.plan.options import PlanOptions

        more["options"] = PlanOptions(generic=True)
    program = model.with_suffix(f"{suffix}.bin")
    engine = mace.load(model.with_suffix(".mace"), device=device, compiled_program=program, storage=False, **more)
    names = list(engine.outputs)

    def run() -> list[Any]:
        results = engine.run(feeds)
        return [results[n] for n in names]

    return run


def open_onnxruntime(model: Path, feeds: Feeds) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda: list(session.run(None, feeds))


def open_openvino(model: Path, feeds: Feeds) -> Run:
    import openvino

    core = openvino.Core()
    core.set_property({"CACHE_DIR": str(model.parent / "openvino")})
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}
    request = core.compile_model(str(model), "CPU", hints).create_infer_request()
    values = list(feeds.values())
    return lambda: list(request.infer(values).values())


def prepare_ncnn(model: Path, feeds: Feeds) -> None:
    """With pnnx, which writes ``.ncnn.param`` and ``.ncnn.bin`` beside the model."""
    (value,) = feeds.values()
    shape = json.dumps(list(value.shape)).replace(" ", "")
    _convert(["pnnx", model.name, f"inputshape={shape}", "fp16=0"], model.parent)
    if not _ncnn(model).with_suffix(".ncnn.bin").exists():
        raise LeftOutError("pnnx wrote no ncnn model")


def _ncnn(model: Path) -> Path:
    """The model's path as pnnx spells it."""
    return model.with_name(model.name.replace("-", "_"))


def open_ncnn(model: Path, feeds: Feeds) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = THREADS
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(str(_ncnn(model).with_suffix(".ncnn.param")))
    net.load_model(str(_ncnn(model).with_suffix(".ncnn.bin")))
    (value,) = feeds.values()
    outputs = [f"out{i}" for i in range(len(outputs_of(model)))]

    def run() -> list[Any]:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(value[0]))
        return [np.array(extractor.extract(o)[1]) for o in outputs]

    return run


def prepare_mnn(model: Path, feeds: Feeds) -> None:
    target = str(model.with_suffix(".mnn"))
    _convert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", target, "--bizCode", "bench"])


def open_mnn(model: Path, feeds: Feeds) -> Run:
    import MNN.expr as expr
    import MNN.nn as nn

    settings = ({"precision": "high", "backend": "CPU", "numThread": THREADS},)
    manager = nn.create_runtime_manager(settings)
    ((name, value),) = feeds.items()
    net = nn.load_module_from_file(str(model.with_suffix(".mnn")), [name], outputs_of(model), runtime_manager=manager)
    plain = expr.const(value, list(value.shape), expr.NCHW)
    return lambda: [np.array(o.read()) for o in net.forward([expr.convert(plain, expr.NC4HW4)])]


def _convert(command: list[str], folder: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise LeftOutError(f"{command[0]} cannot convert it ({type(error).__name__})") from None


def note_outputs(model: Path, names: list[str]) -> None:
    """Write down the model's outputs for :func:`outputs_of`."""
    model.with_suffix(".outputs").write_text("\n".join(names), encoding="utf-8")


def outputs_of(model: Path) -> list[str]:
    return model.with_suffix(".outputs").read_text(encoding="utf-8").split("\n")


PREPARE: dict[str, Callable[[Path, Feeds], str | None]] = {
    "mace": prepare_mace,
    "mace tuned": partial(prepare_mace, tune=TUNE_SECONDS, suffix=".tuned"),
    "mace generic": partial(prepare_mace, suffix=".generic", generic=True),
    "mace PoCL": partial(prepare_mace, device=POCL, suffix=".pocl"),
    "ncnn": prepare_ncnn,
    "mnn": prepare_mnn,
}
OPEN: dict[str, Callable[[Path, Feeds], Run]] = {
    "mace": open_mace,
    "mace tuned": partial(open_mace, suffix=".tuned"),
    "mace generic": partial(open_mace, suffix=".generic", generic=True),
    "mace PoCL": partial(open_mace, device=POCL, suffix=".pocl"),
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "ncnn": open_ncnn,
    "mnn": open_mnn,
}
