"""Operators that only speak of shapes."""

from __future__ import annotations

import numpy as np
import pytest

from mace.ops.registry import find
from tests.ops.kernel_harness import NodeRun, available_devices, check, traits_of, types_of


@pytest.mark.parametrize("op", ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"])
def test_same_bytes_need_no_launch(op: str) -> None:
    """The planner may let the output share the input's memory."""
    record = find(op)
    assert record is not None
    assert record.metadata_only


def test_reshape_copies_where_it_must() -> None:
    """Where memory cannot be shared, the lowering is a plain copy."""
    check("Reshape", [np.arange(12, dtype=np.float32).reshape(3, 4), np.array([2, 6])])


def test_size_needs_no_data() -> None:
    """The number of elements is written by a kernel that does not read them."""
    check("Size", [np.zeros((2, 3, 4), np.float32)])


def test_shape_arithmetic_stays_on_the_host() -> None:
    """A few integers are no work for a device."""
    x = np.zeros((2, 3), np.float32)
    run = NodeRun("Shape", [x], types_of([np.array([2, 3])]))
    assert run.lower(traits_of(available_devices()[0])) is None
