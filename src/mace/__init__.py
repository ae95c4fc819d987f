"""mace: deep-learning inference on OpenCL devices whose models start in milliseconds.

Convert a model once, compile and tune it once per device, keep the result in one verified file, and every later start
loads that file and runs::

    import mace

    mace.convert("model.onnx", "model.mace")
    with mace.load("model.mace", device="auto") as engine:
        outputs = engine.run({"input": array})
        engine.save_compiled_program("mace_cl_compiled_program.bin")

Names are imported when they are first used: ``import mace`` costs next to nothing. Where numpy has not been imported yet,
its idle threads are told to go to sleep sooner (:data:`_OPENBLAS_TIMEOUT`).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mace.version import __version__

if TYPE_CHECKING:
    from mace.conversion import convert
    from mace.engine.builder import GPUContext, GPUContextBuilder
    from mace.engine.checking import check_program
    from mace.engine.engine import MaceEngine
    from mace.engine.loading import load
    from mace.engine.runtime import MaceRuntime
    from mace.engine.status import MaceStatus
    from mace.errors import MaceError, MaceWarning
    from mace.execution.device_tensor import DeviceTensor
    from mace.opencl import find_devices, select_device
    from mace.tensor import DType, MaceTensor, TensorType

_OPENBLAS_TIMEOUT = "16"
"""numpy's idle threads sleep after 2 to this power turns of the processor's clock, some 25 µs, in place of OpenBLAS's own 2 to
the 26: they spin from numpy's import on, and on few cores a start would share one of them (docs/adr/0024)."""

if "numpy" not in sys.modules:  # OpenBLAS reads it once, when numpy is imported
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _OPENBLAS_TIMEOUT)

_HOME = {
    "convert": "mace.conversion",
    "check_program": "mace.engine.checking",
    "load": "mace.engine.loading",
    "MaceEngine": "mace.engine.engine",
    "MaceRuntime": "mace.engine.runtime",
    "GPUContext": "mace.engine.builder",
    "GPUContextBuilder": "mace.engine.builder",
    "MaceStatus": "mace.engine.status",
    "DeviceTensor": "mace.execution.device_tensor",
    "MaceError": "mace.errors",
    "MaceWarning": "mace.errors",
    "MaceTensor": "mace.tensor",
    "TensorType": "mace.tensor",
    "DType": "mace.tensor",
    "find_devices": "mace.opencl",
    "select_device": "mace.opencl",
}

__all__ = [
    "DType",
    "DeviceTensor",
    "GPUContext",
    "GPUContextBuilder",
    "MaceEngine",
    "MaceError",
    "MaceRuntime",
    "MaceStatus",
    "MaceTensor",
    "MaceWarning",
    "TensorType",
    "__version__",
    "check_program",
    "convert",
    "find_devices",
    "load",
    "select_device",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mace' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
