"""Assembly of program text from kernel calls."""

from __future__ import annotations

import pytest

from mace.ops.lowering import KernelCall
from mace.plan.source import define_text, instance_of, program_key, program_text, split_units, template_macros


def call(**defines: int | float | str) -> KernelCall:
    return KernelCall("matmul_general", {"M": 1, "N": 1, "K": 1, **defines}, (), (1, 1, 1))


def test_equal_calls_give_one_kernel() -> None:
    """The name depends on template and macros alone, in any order."""
    first = instance_of(KernelCall("matmul_general", {"M": 1, "N": 2}, (), (1,)))
    second = instance_of(KernelCall("matmul_general", {"N": 2, "M": 1}, (), (7, 7), (1, 1)))
    assert first == second


def test_another_macro_is_another_kernel() -> None:
    """A different size gives a different name."""
    assert instance_of(call(M=2)).name != instance_of(call(M=3)).name


def test_every_macro_is_undefined_after_its_kernel() -> None:
    """Two instances of one template can stand in one program: nothing leaks from the first into the second."""
    text = instance_of(call(**{"A_BATCH(b)": "((b) * 4)"})).text
    for macro in ("M", "A_BATCH", "KERNEL_NAME", *template_macros("matmul_general")):
        assert f"#undef {macro}\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (True, "1"), (1.5, "(1.5f)"), (1e-5, "(1e-05f)"), (float("inf"), "INFINITY"), ("float4", "float4")],
)
def test_defines_are_opencl_literals(value: int | float | str, text: str) -> None:
    """Floats keep all their digits and are float32 literals."""
    assert define_text(value) == text


def test_units_share_kernels_evenly_and_keep_all() -> None:
    """Splitting loses no kernel and depends on nothing but the kernels."""
    instances = [instance_of(call(M=m)) for m in range(1, 8)]
    units = split_units(instances, 3)
    assert sorted(i.name for u in units for i in u) == sorted(i.name for i in instances)
    assert max(map(len, units)) - min(map(len, units)) <= 1
    assert units == split_units(reversed(instances), 3)


def test_program_key_depends_on_options() -> None:
    """Source and options both count."""
    text = program_text([instance_of(call())])
    assert program_key(text, "-a") != program_key(text, "-b")
