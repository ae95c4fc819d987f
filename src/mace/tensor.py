"""Element types and tensor types: the words every other part of mace uses about data."""

from __future__ import annotations

from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mace.records import record

Dim: TypeAlias = int | str | None
"""One extent of a shape: a number, the name of a symbolic dimension, or None when nothing is known of it."""

if TYPE_CHECKING:
    import numpy.typing as npt  # takes its time to import

    Array: TypeAlias = npt.NDArray[Any]
else:
    Array = np.ndarray


class DType(StrEnum):
    """Element type of a tensor, by its ONNX name in lower case."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    FLOAT8E4M3FN = "float8e4m3fn"
    FLOAT8E4M3FNUZ = "float8e4m3fnuz"
    FLOAT8E5M2 = "float8e5m2"
    FLOAT8E5M2FNUZ = "float8e5m2fnuz"
    FLOAT8E8M0 = "float8e8m0"
    FLOAT4E2M1 = "float4e2m1"
    INT4 = "int4"
    UINT4 = "uint4"
    INT2 = "int2"
    UINT2 = "uint2"

    @property
    def is_float(self) -> bool:
        return "float" in self.value

    @property
    def is_integer(self) -> bool:
        return self.value.startswith(("int", "uint"))

    @property
    def is_signed(self) -> bool:
        return not self.value.startswith(("uint", "bool"))

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type that holds it on the host; types numpy lacks come from ml_dtypes, one element a byte or more."""
        if self is DType.STRING:
            return np.dtype(object)
        if self in _ML_DTYPES:
            import ml_dtypes

            narrow: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[self]))
            return narrow
        return np.dtype(self.value)

    @property
    def opencl(self) -> str | None:
        """The OpenCL C type it is stored as in a buffer, or None when no kernel handles it (OpenCL C 3.0 §6.3.1)."""
        return _OPENCL.get(self)

    @property
    def itemsize(self) -> int:
        """Bytes per element, on the device and in host arrays alike."""
        return self.numpy.itemsize

    @classmethod
    def of(cls, dtype: npt.DTypeLike) -> DType:
        """The element type of a numpy dtype. Raises ``TypeError`` for one that no tensor can have."""
        dt = np.dtype(dtype)
        if dt.kind in "OUST":
            return cls.STRING
        name = _FROM_ML_DTYPES.get(dt.name, dt.name)
        try:
            return cls(name)
        except ValueError:
            raise TypeError(f"numpy type {dt} has no tensor type") from None

    @classmethod
    def from_onnx(cls, code: int) -> DType:
        """The element type with this number in ONNX's ``TensorProto.DataType``. Raises ``TypeError`` for others."""
        try:
            return _FROM_ONNX[code]
        except KeyError:
            raise TypeError(f"ONNX element type {code} is not known here") from None

    @property
    def onnx_code(self) -> int:
        """Its number in ONNX's ``TensorProto.DataType``."""
        return next(code for code, dtype in _FROM_ONNX.items() if dtype is self)


_ML_DTYPES = {
    DType.BFLOAT16: "bfloat16",
    DType.FLOAT8E4M3FN: "float8_e4m3fn",
    DType.FLOAT8E4M3FNUZ: "float8_e4m3fnuz",
    DType.FLOAT8E5M2: "float8_e5m2",
    DType.FLOAT8E5M2FNUZ: "float8_e5m2fnuz",
    DType.FLOAT8E8M0: "float8_e8m0fnu",
    DType.FLOAT4E2M1: "float4_e2m1fn",
    DType.INT4: "int4",
    DType.UINT4: "uint4",
    DType.INT2: "int2",
    DType.UINT2: "uint2",
}
_FROM_ML_DTYPES = {name: dtype.value for dtype, name in _ML_DTYPES.items()}
_OPENCL = {
    DType.FLOAT32: "float",
    DType.FLOAT16: "half",
    DType.BFLOAT16: "ushort",
    DType.FLOAT64: "double",
    DType.INT8: "char",
    DType.INT16: "short",
    DType.INT32: "int",
    DType.INT64: "long",
    DType.UINT8: "uchar",
    DType.UINT16: "ushort",
    DType.UINT32: "uint",
    DType.UINT64: "ulong",
    DType.BOOL: "uchar",
}

_FROM_ONNX = dict(
    enumerate(
        (
            DType.FLOAT32, DType.UINT8, DType.INT8, DType.UINT16, DType.INT16, DType.INT32, DType.INT64, DType.STRING,
            DType.BOOL, DType.FLOAT16, DType.FLOAT64, DType.UINT32, DType.UINT64, DType.COMPLEX64, DType.COMPLEX128,
            DType.BFLOAT16, DType.FLOAT8E4M3FN, DType.FLOAT8E4M3FNUZ, DType.FLOAT8E5M2, DType.FLOAT8E5M2FNUZ,
            DType.UINT4, DType.INT4, DType.FLOAT4E2M1, DType.FLOAT8E8M0, DType.UINT2, DType.INT2,
        ),
        start=1,
    )
)  # fmt: skip


@record
class TensorType:
    """Element type and shape of a tensor. ``shape`` is None when even the rank is unknown."""

    dtype: DType
    shape: tuple[Dim, ...] | None
    container: str = ""
    """What the tensor is wrapped in, outermost word first: empty for a tensor itself, ``"sequence"``, ``"optional"``,
    ``"optional sequence"``. A wrapped value only ever lives on the host, as a list or None."""

    def to_json(self) -> list[Any]:
        """As JSON: element type, shape, and the container where there is one."""
        shape = None if self.shape is None else list(self.shape)
        return [self.dtype.value, shape, *filter(None, [self.container])]

    @classmethod
    def from_json(cls, data: list[Any]) -> TensorType:
        """What :meth:`to_json` gave. Raises ``ValueError``, ``TypeError`` or ``IndexError`` for anything else."""
        return cls(DType(data[0]), None if data[1] is None else tuple(data[1]), *data[2:3])

    @property
    def is_static(self) -> bool:
        """Whether this is a tensor and every extent is a number."""
        return not self.container and self.shape is not None and all(isinstance(d, int) for d in self.shape)

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as numbers. Raises ``ValueError`` when any extent is not one."""
        if self.shape is None:
            raise ValueError("the rank of this tensor is not known yet")
        dims = tuple(d for d in self.shape if isinstance(d, int))
        if len(dims) != len(self.shape):
            raise ValueError(f"shape {self} is not all numbers yet")
        return dims

    @property
    def rank(self) -> int:
        if self.shape is None:
            raise ValueError("the rank of this tensor is not known yet")
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.dims)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        shape = "..." if self.shape is None else "x".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.container} {self.dtype}[{shape}]".lstrip()


@record
class MaceTensor:
    """A tensor handed to or taken from an engine: its data, and the order of its dimensions as MACE names it.

    ``data_format`` is ``"NCHW"``, ``"NHWC"`` or ``"NONE"`` and is information only: mace never transposes behind one's back.
    """

    data: Array
    data_format: str = "NONE"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> DType:
        return DType.of(self.data.dtype)
