"""How element types are stored in buffers and computed with in kernels."""

from __future__ import annotations

from mace.ops.lowering import Define
from mace.tensor import DType

_COMPUTE = {DType.FLOAT16: "float", DType.BFLOAT16: "float"}


def has_kernels(dtype: DType, fp64: bool = False) -> bool:
    """Whether kernels can handle the element type at all (float64 only where the device has it)."""
    return dtype.opencl is not None and (dtype is not DType.FLOAT64 or fp64)


def compute_type(dtype: DType) -> str:
    """OpenCL C type that values of this element type are computed in."""
    if dtype in _COMPUTE:
        return _COMPUTE[dtype]
    if dtype.opencl is None:
        raise ValueError(f"no kernel computes with {dtype}")
    return dtype.opencl


def access_suffix(dtype: DType) -> str:
    """Suffix of the LD_ and ST_ macros in ``kernels/common.cl``."""
    if dtype in (DType.BFLOAT16, DType.BOOL):
        return dtype.value
    if dtype.opencl is None:
        raise ValueError(f"no kernel loads {dtype}")
    return dtype.opencl


def storage_defines(operand: str, dtype: DType) -> dict[str, Define]:
    """Macros ``<operand>_T`` (type in the buffer), ``<operand>_C`` (type computed in), ``<operand>_LD``, ``<operand>_ST``."""
    suffix = access_suffix(dtype)
    return {
        f"{operand}_T": dtype.opencl or "",
        f"{operand}_C": compute_type(dtype),
        f"{operand}_LD": f"LD_{suffix}",
        f"{operand}_ST": f"ST_{suffix}",
    }
