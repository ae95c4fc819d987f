"""Rules that every kernel template keeps, whatever its family."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from mace.ops.lowering import KernelCall
from mace.plan.source import instance_of, template_text
from tests.ops import kernel_harness

TEMPLATES = sorted(
    file.name.removesuffix(".cl")
    for file in resources.files("mace.kernels").iterdir()
    if file.name.endswith(".cl") and file.name != "common.cl"
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_one_kernel_per_file(template: str) -> None:
    """A template holds one kernel function, which takes its name from the macro."""
    text = template_text(template)
    assert len(re.findall(r"__kernel\b", text)) == 1
    assert re.findall(r"void\s+(\w+)\(", text) == ["KERNEL_NAME"]


@pytest.mark.parametrize("device", kernel_harness.available_devices())
@pytest.mark.parametrize("template", TEMPLATES)
def test_compiles_alone(template: str, device: str) -> None:
    """Every macro has a default: a template compiles with nothing but the common part in front of it."""
    kernel_harness._kernel(device, instance_of(KernelCall(template, {}, (), (1,))))
