"""Tensors that stay on the device between runs: results of one engine, inputs of the next, arrays of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mace.errors import InputError
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.numbers import MEM_CONTEXT
from mace.tensor import Array, DType, TensorType

_DL_CPU = 1
"""``kDLCPU`` of DLPack: memory that the processor reads and writes."""


MAX_SPARE = 4
"""Buffers of one size that an engine keeps for later tensors."""


class DeviceTensor:
    """A tensor in device memory, row-major. Nothing ever writes to it after the run that made it.

    ``numpy.asarray(tensor)`` and ``tensor.numpy()`` wait for it. Where the device shares the host's memory they give that memory
    itself, as do DLPack's ``from_dlpack`` functions, which take it as it is; elsewhere ``numpy`` copies.
    """

    __slots__ = ("__weakref__", "_keep", "_spare", "buffer", "context", "offset", "type")

    def __init__(
        self,
        context: Context,
        buffer: Buffer,
        kind: TensorType,
        *,
        offset: int = 0,
        keep: Any = None,
        spare: list[Buffer] | None = None,
    ) -> None:
        """``offset`` is where it begins in the buffer, in bytes; ``keep`` is what must live as long as it does; ``spare`` takes
        the buffer when nobody has the tensor any longer."""
        self.context, self.buffer, self.type, self.offset = context, buffer, kind, offset
        self._keep, self._spare = keep, spare

    def __del__(self) -> None:
        spare = getattr(self, "_spare", None)
        if spare is not None and len(spare) < MAX_SPARE:
            spare.append(self.buffer)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.dims

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its element type as numpy's."""
        return self.type.dtype.numpy

    @property
    def nbytes(self) -> int:
        return self.type.nbytes

    @property
    def pointer(self) -> int:
        """Its ``cl_mem``, as other bindings take it: ``pyopencl.Buffer.from_int_ptr(tensor.pointer)``. It begins ``offset``
        bytes in, and commands in other queues must come after :meth:`wait`. The memory is no other tensor's from then on, even
        when this one is gone."""
        self._spare = None
        return self.buffer.handle.pointer

    def wait(self) -> DeviceTensor:
        """Wait until it holds its values; returns itself. Raises ``OpenCLError`` when the device failed."""
        self.context.finish()
        return self

    def numpy(self) -> Array:
        """Its values: the memory itself where the host shares it, else a copy."""
        if not self.nbytes:
            return np.empty(self.shape, self.dtype)
        if self.context.device.traits.host_unified_memory:
            return np.asarray(_Mapped(self)).view(self.dtype).reshape(self.shape)
        array = np.empty(self.shape, self.dtype)
        with self.context.lock:
            self.context.read(self.buffer, array, offset=self.offset)
        return array

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        wanted = np.dtype(dtype) if dtype is not None else array.dtype
        return array.astype(wanted, copy=bool(copy) or wanted != array.dtype)

    def __dlpack__(self, **wishes: Any) -> Any:
        """For ``from_dlpack``. Raises ``BufferError`` where the host cannot see the memory; ``numpy()`` copies it then."""
        self.__dlpack_device__()
        return self.numpy().__dlpack__(**wishes)

    def __dlpack_device__(self) -> tuple[int, int]:
        if not self.context.device.traits.host_unified_memory:
            raise BufferError(f"{self.context.device.label} does not share its memory with the host: take .numpy()")
        return (_DL_CPU, 0)

    def __repr__(self) -> str:
        return f"<DeviceTensor {self.type} on {self.context.device.label}>"


class _Mapped:
    """A tensor's bytes for numpy, mapped as long as an array shows them."""

    def __init__(self, tensor: DeviceTensor) -> None:
        self._tensor = tensor
        with tensor.context.lock:
            self._address = tensor.context.map(tensor.buffer)
        self.__array_interface__ = {
            "version": 3,
            "shape": (tensor.nbytes,),
            "typestr": "|u1",
            "data": (self._address + tensor.offset, False),
        }

    def __del__(self) -> None:
        address, self._address = getattr(self, "_address", 0), 0
        if address:
            self._tensor.context.unmap(self._tensor.buffer, address)


def adopt(value: Any, context: Context) -> Any:
    """A fed value as the engine takes it, without a copy where there is a way: device tensors, arrays of pyopencl on the same
    context by their address, whatever offers DLPack in the host's memory. Anything else comes back as it is.

    Raises ``InputError`` for a tensor of another context and an array that is not row-major.
    """
    if isinstance(value, DeviceTensor):
        if value.context is not context:
            raise InputError(
                "a device tensor of another context: load both engines with context=, or feed tensor.numpy()"
            )
        return value
    if hasattr(value, "base_data") and hasattr(value, "queue"):
        return _adopt_pyopencl(value, context)
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError):
            return value
    return value


def _adopt_pyopencl(value: Any, context: Context) -> DeviceTensor:
    """A ``pyopencl.array.Array``: its memory by address, once its own queue has got so far."""
    if not value.flags.c_contiguous:
        raise InputError("an array of pyopencl is taken in row-major order only")
    pointer = int(value.base_data.int_ptr)
    owner = int.from_bytes(context.api.info("clGetMemObjectInfo", pointer, MEM_CONTEXT), "little")
    if owner != context.handle.pointer:
        raise InputError(
            "an array of pyopencl on another context: make it on "
            "pyopencl.Context.from_int_ptr(engine.context.handle.pointer), or feed array.get()"
        )
    value.finish()
    context.api.clRetainMemObject(pointer)
    kind = TensorType(DType.of(value.dtype), tuple(int(d) for d in value.shape))
    nbytes = int(value.offset) + kind.nbytes
    return DeviceTensor(context, Buffer(context.api, pointer, nbytes), kind, offset=int(value.offset), keep=value)
