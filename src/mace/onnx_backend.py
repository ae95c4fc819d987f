"""mace as a backend of the onnx package (``onnx.backend.base.Backend``), so that onnx's own test-suite runs on it::

    import onnx.backend.test, mace.onnx_backend
    globals().update(onnx.backend.test.BackendTest(mace.onnx_backend, __name__).test_cases)

Models are converted in memory, planned for the shapes they are fed with, and compiled in this process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from mace.engine.engine import MaceEngine, load
from mace.engine.stats import EngineStats
from mace.errors import InputError, NoDeviceError
from mace.opencl import select_device
from mace.opencl.context import Context

_contexts: dict[str, Context] = {}


def _context(device: str) -> Context:
    """One context per device for all models: opening a device costs more than running a small model."""
    if device not in _contexts:
        _contexts[device] = Context(select_device(_spec(device)))
    return _contexts[device]


def _spec(device: str) -> str:
    """``CPU``, ``CUDA:0`` … as onnx writes devices, or anything that mace understands itself."""
    try:
        kind = Device(device).type
    except AttributeError:
        return device
    return "cpu" if kind == DeviceType.CPU else "gpu"


class MaceBackendRep(BackendRep):
    """A prepared model."""

    def __init__(self, engine: MaceEngine, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.engine = engine
        self._folder = folder

    @property
    def stats(self) -> EngineStats:
        """What the engine did: host steps among it."""
        return self.engine.stats

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Outputs in the model's order. ``inputs`` is an array, a sequence in the model's order, or a dict by name."""
        names = list(self.engine.inputs)
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if not isinstance(inputs, dict):
            if len(inputs) > len(names):
                raise InputError(f"{len(inputs)} inputs were given, the model has {len(names)}: {', '.join(names)}")
            inputs = dict(zip(names, inputs, strict=False))
        results = self.engine.run(inputs)
        return tuple(results[name] for name in self.engine.outputs)


class MaceBackend(Backend):
    """See :class:`onnx.backend.base.Backend`."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether there is an OpenCL device of that kind."""
        try:
            select_device(_spec(device))
        except NoDeviceError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> MaceBackendRep:
        """Convert a model and open it. Raises ``ModelError`` when it cannot be run."""
        from mace.conversion import convert

        folder = tempfile.TemporaryDirectory(prefix="mace-onnx-", ignore_cleanup_errors=True)
        path = Path(folder.name, "model.mace")
        convert(model, path)
        return MaceBackendRep(load(path, storage=False, context=_context(device), isolate=False), folder)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """Prepare and run once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Run one node. ``opset_version`` among the keywords says which operators it means (default: the newest)."""
        names = [n for n in node.input if n]
        arrays = [np.asarray(v) for v in inputs]
        graph = onnx.helper.make_graph(
            [node],
            node.op_type,
            [
                onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in zip(names, arrays, strict=True)
            ],
            [_value_info(n, outputs_info[i] if outputs_info else None) for i, n in enumerate(node.output) if n],
        )
        opset = int(kwargs.pop("opset_version", onnx.defs.onnx_opset_version()))
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return cls.run_model(model, arrays, device, **kwargs)


def _value_info(name: str, info: tuple[Any, tuple[int, ...]] | None) -> onnx.ValueInfoProto:
    if info is None:
        return onnx.ValueInfoProto(name=name)
    dtype, shape = info
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


is_compatible = MaceBackend.is_compatible
prepare = MaceBackend.prepare
run_model = MaceBackend.run_model
run_node = MaceBackend.run_node
supports_device = MaceBackend.supports_device
