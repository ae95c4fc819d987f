"""Checks what a caller feeds to a model and brings it to the type that the device reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mace.errors import InputError
from mace.tensor import Array, DType, MaceTensor, TensorType

if TYPE_CHECKING:
    from mace.opencl.context import Context


def check_feeds(
    expected: Mapping[str, TensorType], feeds: Mapping[str, Any], context: Callable[[], Context] | None = None
) -> dict[str, Any]:
    """The fed arrays, contiguous and in the model's order.

    Accepts arrays, :class:`~mace.tensor.MaceTensor`, and whatever numpy makes an array of; with ``context``, the device that
    they are for, tensors on that device too, see ``mace.execution.device_tensor.adopt``. An array of another element
    type is refused, not converted, except Python numbers and lists. Raises ``InputError`` naming the input, what it was and
    what the model expects; symbolic dimensions take any extent, the same one wherever the name stands.
    """
    unknown = [n for n in feeds if n not in expected]
    missing = [n for n in expected if n not in feeds]
    if unknown or missing:
        wanted = ", ".join(f"{n}: {t}" for n, t in expected.items())
        what = [*(f"unknown input '{n}'" for n in unknown), *(f"missing input '{n}'" for n in missing)]
        raise InputError(f"{'; '.join(what)}. The model's inputs are {wanted}")
    extents: dict[str, tuple[int, str]] = {}
    return {name: _checked(name, t, feeds[name], extents, context) for name, t in expected.items()}


def _checked(
    name: str,
    expected: TensorType,
    value: Any,
    extents: dict[str, tuple[int, str]],
    context: Callable[[], Context] | None,
) -> Any:
    if isinstance(value, MaceTensor):
        value = value.data
    if context is not None and not isinstance(value, np.ndarray) and _may_be_foreign(value):
        value = _adopted(name, value, context())
        if hasattr(value, "buffer"):  # a tensor on the device
            _check_dtype(name, expected, DType.of(value.dtype))
            _check_shape(name, expected, value, extents)
            return value
    if expected.container and (value is None or isinstance(value, list)):
        return value  # an optional left out, or a sequence of tensors
    array = _as_array(name, expected, value)
    _check_shape(name, expected, array, extents)
    return array


def _as_array(name: str, expected: TensorType, value: Any) -> Array:
    if not isinstance(value, (np.ndarray, np.generic)) and not hasattr(value, "__array__"):
        try:
            return np.ascontiguousarray(np.asarray(value, dtype=expected.dtype.numpy))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"input '{name}': {type(value).__name__} makes no {expected.dtype} tensor: {error}"
            ) from error
    array = np.asarray(value)
    if array.dtype is _usual(expected.dtype) and array.flags.c_contiguous:
        return array
    try:
        dtype = DType.of(array.dtype)
    except TypeError as error:
        raise InputError(f"input '{name}': {error}; the model expects {expected}") from error
    _check_dtype(name, expected, dtype)
    return array if array.flags.c_contiguous else np.array(array, order="C")


def _check_dtype(name: str, expected: TensorType, dtype: DType) -> None:
    if dtype is not expected.dtype:
        raise InputError(
            f"input '{name}' is {dtype}, the model expects {expected.dtype}; convert it with .astype('{expected.dtype}')"
        )


def _may_be_foreign(value: Any) -> bool:
    """Whether it could be a tensor on a device, or of a library that shares its memory."""
    return hasattr(value, "__dlpack__") or hasattr(value, "base_data")


def _adopted(name: str, value: Any, context: Context) -> Any:
    from mace.execution.device_tensor import adopt

    try:
        return adopt(value, context)
    except InputError as error:
        raise InputError(f"input '{name}': {error}") from error


def check_into(expected: Mapping[str, TensorType | None], into: Mapping[str, Any]) -> None:
    """Raises ``InputError`` for arrays that results cannot be written to: of no output, not row-major, read-only, or of another
    type than the model states."""
    for name, array in into.items():
        if name not in expected:
            raise InputError(f"the model has no output '{name}'; its outputs are {', '.join(expected)}")
        if not isinstance(array, np.ndarray) or not array.flags.c_contiguous or not array.flags.writeable:
            raise InputError(f"output '{name}' can be written to a row-major numpy array that is writeable")
        kind = expected[name]
        if kind is not None and DType.of(array.dtype) is not kind.dtype:
            raise InputError(f"output '{name}' is {kind.dtype}, the array given for it {array.dtype}")


@cache
def _usual(dtype: DType) -> np.dtype[Any]:
    """The object that numpy uses for nearly every array of this element type."""
    return dtype.numpy


def _check_shape(name: str, expected: TensorType, array: Any, extents: dict[str, tuple[int, str]]) -> None:
    if expected.shape is None or array.shape == expected.shape:
        return
    if len(array.shape) != len(expected.shape):
        raise InputError(f"input '{name}' has shape {array.shape}, the model expects {expected}")
    for axis, (got, want) in enumerate(zip(array.shape, expected.shape, strict=True)):
        if isinstance(want, int) and got != want:
            raise InputError(
                f"input '{name}' has shape {array.shape}, the model expects {expected}: dimension {axis} is {got}"
            )
        if isinstance(want, str):
            first, where = extents.setdefault(want, (got, name))
            if first != got:
                raise InputError(
                    f"input '{name}': dimension {axis} ('{want}') is {got}, but {first} in input '{where}'"
                )
