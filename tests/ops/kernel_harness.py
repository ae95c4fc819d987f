"""Runs the kernel calls of one node on an OpenCL device, with nothing of mace between the lowering and the driver.

For unit tests of operators: the expected results come from onnx's reference evaluator, or from the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pyopencl as cl
import pytest

from mace.device import DeviceTraits
from mace.graph.ir import Attr, Node
from mace.opencl import Device, find_devices
from mace.ops.lowering import (
    PLAIN,
    Constant,
    KernelCall,
    Layout,
    Local,
    LowerContext,
    Read,
    Scalar,
    Scratch,
    Tunings,
    Write,
)
from mace.ops.packing import pack
from mace.ops.registry import find
from mace.plan.source import Instance, build_options_for, instance_of, program_text
from mace.tensor import Array, DType, TensorType

BUILD_OPTIONS = "-cl-std=CL1.2 -cl-mad-enable"
SIMULATOR_OPTIONS = "-cl-std=CL1.2 -cl-opt-disable"
"""For oclgrind, whose checker of uninitialised values stops at an instruction that the optimiser makes of divisions."""
PLATFORMS = {"intel": "Intel", "pocl": "Portable Computing", "oclgrind": "Oclgrind"}


@cache
def find_device(name: str) -> Device | None:
    """The first device of a platform by our short name for it, or None when it is not installed."""
    return next((d for d in find_devices() if PLATFORMS[name] in d.info.platform_name), None)


def available_devices() -> list[str]:
    """Short names of the devices tests should run on here."""
    present = [n for n in PLATFORMS if find_device(n) is not None]
    return [n for n in present if n != "oclgrind"] or present


def available_kinds() -> list[Any]:
    """Device and kind for operators whose kernels differ by the kind; but the first as GPUs in the long tests alone."""
    first, *others = available_devices()
    as_gpus = [pytest.param(d, "gpu", marks=pytest.mark.slow) for d in others]
    return [*((d, "cpu") for d in (first, *others)), (first, "gpu"), *as_gpus]


@cache
def traits_of(name: str, kind: str = "cpu") -> DeviceTraits:
    """The device's traits; ``kind`` may pretend that it is a GPU, or a processor with vectors of 8, to try what is chosen there."""
    device = find_device(name)
    assert device is not None, f"{name} is not installed"
    if kind == "cpu":
        return replace(device.traits, kind="cpu")
    if kind == "vectors of 8":
        return replace(device.traits, kind="cpu", vector_width=8)
    return replace(device.traits, kind="gpu", vector_width=4)


@cache
def _context(name: str) -> cl.Context:
    device = find_device(name)
    assert device is not None, f"{name} is not installed"
    return cl.Context([cl.Device.from_int_ptr(device.handle.pointer)])


@cache
def _queue(name: str) -> cl.CommandQueue:
    return cl.CommandQueue(_context(name))


@cache
def _kernel(name: str, instance: Instance) -> cl.Kernel:
    program = cl.Program(_context(name), program_text([instance]))
    options = SIMULATOR_OPTIONS if name == "oclgrind" else build_options_for(BUILD_OPTIONS, [instance])
    return cl.Kernel(program.build(options.split()), instance.name)


@dataclass
class NodeRun:
    """One node with its input arrays. ``constants`` numbers the inputs that lowering may look into."""

    op: str
    inputs: Sequence[Array | None]
    outputs: Sequence[TensorType | None]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    constants: Collection[int] = ()
    domain: str = ""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """Layouts of ``x0``, ``x1`` … and ``y0``, ``y1`` …, where they are not plain."""
    options: Mapping[str, int | str] = field(default_factory=dict)
    tunings: Tunings | None = None

    @property
    def node(self) -> Node:
        inputs = tuple("" if x is None else f"x{i}" for i, x in enumerate(self.inputs))
        outputs = tuple("" if y is None else f"y{i}" for i, y in enumerate(self.outputs))
        return Node(self.op, inputs, outputs, self.attrs, name="node", domain=self.domain)

    def context(self, traits: DeviceTraits) -> LowerContext:
        arrays = {f"x{i}": x for i, x in enumerate(self.inputs) if x is not None}
        types = {n: TensorType(DType.of(a.dtype), a.shape) for n, a in arrays.items()}
        types |= {f"y{i}": y for i, y in enumerate(self.outputs) if y is not None}
        known = {f"x{i}": arrays[f"x{i}"] for i in self.constants if f"x{i}" in arrays}
        return LowerContext(types, known, self.layouts, traits, self.tunings, self.options)

    def lower(self, traits: DeviceTraits) -> list[KernelCall] | None:
        record = find(self.op, self.domain)
        assert record is not None, f"no record of {self.domain}::{self.op}"
        return record.lower(self.node, self.context(traits))

    def run(self, device: str = "intel", kind: str = "cpu") -> list[Array | None]:
        """Results in plain layout. Raises ``AssertionError`` when the node has no kernel."""
        context = self.context(traits_of(device, kind))
        calls = self.lower(context.device)
        assert calls is not None, f"{self.op} was sent to the host"
        return _Session(device, self, context).run(calls)


class _Session:
    """The buffers of one run. Fresh memory holds 0xFF bytes (NaN), so that nothing passes by luck."""

    def __init__(self, device: str, node_run: NodeRun, context: LowerContext) -> None:
        self.device, self.node_run, self.context = device, node_run, context
        self.queue = _queue(device)
        self.buffers: dict[str, cl.Buffer] = {}

    def buffer(self, data: Array) -> cl.Buffer:
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        return cl.Buffer(_context(self.device), flags, hostbuf=raw if raw.size else np.zeros(1, np.uint8))

    def image(self, data: Array, extents: tuple[int, int]) -> cl.Image:
        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        form = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.FLOAT)
        return cl.create_image(_context(self.device), flags, form, shape=extents, hostbuf=data.reshape(-1))

    def value(self, name: str) -> cl.Buffer:
        if name not in self.buffers:
            kind, layout = self.context.type(name), self.context.layout(name)
            if name.startswith("x"):
                array = self.node_run.inputs[int(name[1:])]
                assert array is not None
                data = to_blocked(array, layout.block) if layout.block else array
            else:
                data = np.full(layout.elements(kind.dims) * kind.dtype.itemsize, 0xFF, np.uint8)
            self.buffers[name] = self.buffer(data)
        return self.buffers[name]

    def argument(self, arg: object) -> Any:
        match arg:
            case Read(value) | Write(value):
                return self.value(value)
            case Constant():
                packed = pack(arg, self.context.constants)
                return self.image(packed, arg.image) if arg.image else self.buffer(packed)
            case Scratch(name, nbytes):
                if name not in self.buffers:
                    self.buffers[name] = self.buffer(np.full(nbytes, 0xFF, np.uint8))
                return self.buffers[name]
            case Local(nbytes):
                return cl.LocalMemory(nbytes)
            case Scalar(value, dtype):
                return dtype.numpy.type(value)
            case _:
                raise TypeError(f"{arg!r} is no kernel argument")

    def run(self, calls: Sequence[KernelCall]) -> list[Array | None]:
        for call in calls:
            kernel = _kernel(self.device, instance_of(call))
            args = [self.argument(a) for a in call.args]
            kernel(self.queue, call.global_size, call.local_size, *args)
            self.queue.finish()
        return [None if t is None else self.result(f"y{i}", t) for i, t in enumerate(self.node_run.outputs)]

    def result(self, name: str, kind: TensorType) -> Array:
        layout = self.context.layout(name)
        out = np.empty(layout.elements(kind.dims), kind.dtype.numpy)
        if out.size:
            cl.enqueue_copy(self.queue, out.view(np.uint8), self.value(name))
        if layout.last:
            n, c, *spatial = kind.dims
            return np.moveaxis(out.reshape(n, *spatial, c), -1, 1)
        return from_blocked(out, kind.dims, layout.block) if layout != PLAIN else out.reshape(kind.dims)


def to_blocked(array: Array, block: int) -> Array:
    """N×C×(spatial) as N × ⌈C/block⌉ × spatial × block; the lanes beyond C are 0xFF bytes."""
    n, c, *spatial = array.shape
    blocks = -(-c // block)
    padded = np.empty((n, blocks * block, *spatial), array.dtype)
    padded.view(np.uint8)[...] = 0xFF
    padded[:, :c] = array
    return np.ascontiguousarray(np.moveaxis(padded.reshape(n, blocks, block, *spatial), 2, -1))


def from_blocked(flat: Array, dims: tuple[int, ...], block: int) -> Array:
    """The inverse of :func:`to_blocked`."""
    n, c, *spatial = dims
    blocks = -(-c // block)
    parts = np.moveaxis(flat.reshape(n, blocks, *spatial, block), -1, 2)
    return parts.reshape(n, blocks * block, *spatial)[:, :c]


def reference(
    op: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any] | None = None, outputs: int = 1
) -> list[Array]:
    """What onnx's reference evaluator answers for one node of the newest opset."""
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], **(attrs or {}))
    infos = [
        helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for i, x in enumerate(inputs)
        if x is not None
    ]
    results = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)]
    graph = helper.make_graph([node], "g", infos, results)
    opset = helper.make_opsetid("", onnx.defs.onnx_opset_version())
    model = helper.make_model(graph, opset_imports=[opset])
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feeds)]


def types_of(arrays: Sequence[Array | None]) -> list[TensorType | None]:
    """Types of arrays."""
    return [None if a is None else TensorType(DType.of(a.dtype), a.shape) for a in arrays]


def check(
    op: str,
    inputs: Sequence[Array | None],
    attrs: Mapping[str, Any] | None = None,
    *,
    expected: Sequence[Array] | None = None,
    outputs: int = 1,
    constants: Collection[int] = (),
    layouts: Mapping[str, Layout] | None = None,
    device: str = "intel",
    kind: str = "cpu",
    rtol: float = 1e-6,
    atol: float = 1e-6,
) -> list[Array]:
    """Run one ONNX node and compare with ``expected`` (default: onnx's reference); integers and bools must be equal."""
    wanted = reference(op, inputs, attrs, outputs) if expected is None else list(expected)
    ours = {k: tuple(v) if isinstance(v, list) else v for k, v in (attrs or {}).items()}
    run = NodeRun(op, inputs, types_of(wanted), ours, constants, layouts=layouts or {})
    got = [g for g in run.run(device, kind) if g is not None]
    for g, w in zip(got, wanted, strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        if DType.of(w.dtype).is_float:
            np.testing.assert_allclose(g.astype(np.float64), w.astype(np.float64), rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(g, w)
    return got
