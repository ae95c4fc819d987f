"""Binaries without their intermediate code: what is trimmed, what is left alone, and that the rest runs as before."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mace.errors import DeviceError
from mace.opencl import Device
from mace.opencl.context import Context
from mace.opencl.jobs import BufferArgument, CompileJob, ProofJob, Trial
from mace.opencl.traits import family_of
from mace.opencl.trimming import LAYOUTS, Trimmer, is_trimmable, without_intermediate_code
from mace.opencl.workshop import Workshop
from tests.devices import INTEL, device_or_skip

SOURCE = """
__kernel __attribute__((reqd_work_group_size(4, 1, 1))) void twice(__global float *y) { y[get_global_id(0)] *= 2; }
__kernel void with_local(__global float *y, __local float *t)
{
    t[get_local_id(0)] = y[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    y[get_global_id(0)] = t[get_local_size(0) - 1 - get_local_id(0)];
}
"""
NAMES = b"\0.ocl.ir\0.ocl.meta\0.ocl.obj\0.ocl.ver\0"


def made_up(code: bytes, layout: int = LAYOUTS[0], names: bytes = NAMES) -> bytes:
    """A binary as Intel's runtime lays it out, of made-up contents."""
    contents = [b"", code, b"meta", b"machine code", struct.pack("<I", layout), names]
    named = [0, 1, 9, 19, 28, 0]
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 0xFF04, 62, 0, 0, 0, 64, 6, 64, 0, 0, 64, 6, 5)
    position = len(head) + 6 * 64
    table = b""
    for name, content in zip(named, contents, strict=True):
        table += struct.pack("<IIQQQQIIQQ", name, 0, 0, 0, position, len(content), 0, 0, 0, 0)
        position += len(content)
    return head + table + b"".join(contents)


def test_only_the_intermediate_code_changes() -> None:
    assert without_intermediate_code(made_up(b"a long program"), made_up(b"short")) == made_up(b"short")


@pytest.mark.parametrize("layout", [0, min(LAYOUTS) - 1, max(LAYOUTS) + 1, 0xFFFFFFFF])
def test_unknown_layouts_are_left_alone(layout: int) -> None:
    assert not is_trimmable(made_up(b"code", layout))
    assert without_intermediate_code(made_up(b"code", layout), made_up(b"", layout)) is None


def test_layouts_are_not_mixed() -> None:
    assert without_intermediate_code(made_up(b"code", LAYOUTS[0]), made_up(b"", LAYOUTS[1])) is None


def test_other_binaries_are_left_alone() -> None:
    assert not is_trimmable(b"")
    assert not is_trimmable(b"poclbin\0" + bytes(1000))
    assert not is_trimmable(made_up(b"code", names=NAMES.replace(b".ocl.obj", b".ocl.omj")))


def test_cut_and_damaged_binaries_are_left_alone() -> None:
    whole = made_up(b"code")
    assert not any(is_trimmable(whole[:length]) for length in range(len(whole)))
    for index in range(40, 64 + 6 * 64):
        damaged = bytearray(whole)
        damaged[index] ^= 0x80
        made = without_intermediate_code(bytes(damaged), made_up(b""))
        assert made is None or is_trimmable(made)


def test_a_trimmed_program_runs_as_the_whole_one_does(context: Context) -> None:
    whole = context.build_from_source(SOURCE)
    trimmed = Trimmer(context).trim(whole, "")
    if family_of(context.device.info) != "intel-cpu":
        assert trimmed is None
        return
    assert trimmed is not None
    program, binary = trimmed
    assert sorted(program.kernel_names) == ["twice", "with_local"]
    assert len(binary) < len(context.build_from_source(SOURCE).binary())
    values = np.arange(16, dtype=np.float32)
    buffer = context.allocate(values.nbytes)
    context.write(buffer, values)
    context.run([program.launch("twice", [buffer], (16,), (4,))])
    context.read(buffer, values)
    assert values.tolist() == [2.0 * i for i in range(16)]
    with pytest.raises(DeviceError):
        program.kernel("intermediate_code_left_out")


def test_a_driver_does_not_compile_what_stands_for_the_intermediate_code() -> None:
    context = Context(device_or_skip(INTEL))
    trimmed = Trimmer(context).trim(context.build_from_source(SOURCE), "")
    assert trimmed is not None
    binary = trimmed[1]
    offset, size = struct.unpack_from("<QQ", binary, 64 + 3 * 64 + 24)  # of the machine code
    with pytest.raises(DeviceError):
        context.build_from_binary(binary[:offset] + bytes(size) + binary[offset + size :])


def test_what_is_compiled_is_kept_trimmed(device: Device) -> None:
    workshop = Workshop(Context(device))
    trial = Trial("twice", (BufferArgument(64),), (16,), (4,))
    compiled = workshop.do(CompileJob(SOURCE, "", (trial,)))
    proved = workshop.do(ProofJob(compiled.binary, "", (trial,)))
    assert proved.outputs == compiled.outputs
    if is_trimmable(compiled.binary):
        assert b"intermediate_code_left_out" in compiled.binary
