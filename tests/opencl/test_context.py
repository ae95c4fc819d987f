"""Building, memory, transfers, launches and errors on real devices."""

from __future__ import annotations

import mmap
import threading
from pathlib import Path

import numpy as np
import pytest

from mace.errors import BuildError, OpenCLError
from mace.opencl import Device
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import LocalMemory, Program
from mace.opencl.translate import code_name

SCALE = """
__kernel void scale(__global const float *x, __global float *y, float factor, __local float *t)
{
    int i = get_global_id(0), l = get_local_id(0);
    t[l] = x[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    y[i] = t[l] * factor;
}
__kernel void add_one(__global float *y) { y[get_global_id(0)] += 1; }
"""
N = 1024


@pytest.fixture(scope="module")
def program(context: Context) -> Program:
    return context.build_from_source(SCALE)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(N, dtype=np.float32)


def read(context: Context, buffer: Buffer, count: int = N) -> np.ndarray:
    out = np.empty(count, np.float32)
    context.read(buffer, out)
    return out


def test_a_kernel_gets_buffers_numbers_and_local_memory(context: Context, program: Program, x: np.ndarray) -> None:
    """Every kind of argument arrives, and prepared launches run in order, again and again."""
    source, result = context.constant(x), context.allocate(x.nbytes)
    launches = [
        program.launch("scale", [source, result, np.float32(3), LocalMemory(64 * 4)], (N,), (64,)),
        program.launch("add_one", [result], (N,)),
    ]
    for _ in range(3):
        context.run(launches)
    np.testing.assert_allclose(read(context, result), x * np.float32(3) + 1, rtol=1e-6)


def test_an_argument_can_be_replaced(context: Context, program: Program, x: np.ndarray) -> None:
    """A launch takes another buffer or number from its next run on."""
    source, one, two = context.constant(x), context.allocate(x.nbytes), context.allocate(x.nbytes, zero=True)
    launch = program.launch("scale", [source, one, np.float32(2), LocalMemory(256)], (N,), (64,))
    context.run([launch])
    launch.set_argument(1, two)
    launch.set_argument(2, np.float32(-1))
    context.run([launch])
    np.testing.assert_array_equal(read(context, one), x * 2)
    np.testing.assert_array_equal(read(context, two), -x)
    with pytest.raises(TypeError, match="numpy scalar"):
        launch.set_argument(2, 1.5)


def test_launches_keep_their_buffers_alive(context: Context, program: Program, x: np.ndarray) -> None:
    """A buffer that only a launch knows of is not freed under it."""
    result = context.allocate(x.nbytes)
    launch = program.launch("scale", [context.constant(x.copy()), result, np.float32(1), LocalMemory(256)], (N,), (64,))
    junk = [np.full(N, 7, np.float32) for _ in range(100)]
    context.run([launch])
    np.testing.assert_array_equal(read(context, result), x)
    assert len(junk) == 100


def test_regions_of_an_arena_do_not_touch_each_other(context: Context, program: Program) -> None:
    """Work on one region leaves its neighbours alone; a region of a region counts from its own beginning."""
    step = max(context.device.traits.alignment, N * 4)
    arena = context.allocate(4 * step, zero=True)
    second = arena.region(step, N * 4)
    assert arena.region(step, N * 4) is second
    assert arena.region(0, arena.nbytes) is arena
    assert arena.region(step, 2 * step).region(step, 16).offset == 2 * step
    context.run([program.launch("add_one", [second], (N,))])
    whole = read(context, arena, step)
    expected = np.zeros(step, np.float32)
    expected[step // 4 : step // 4 + N] = 1
    np.testing.assert_array_equal(whole, expected)


def test_a_region_outside_its_buffer_is_refused(context: Context) -> None:
    """Ranges are checked before OpenCL sees them; a misaligned beginning gets OpenCL's own name for it."""
    arena = context.allocate(1 << 16)
    for offset, nbytes in ((-1, 4), (0, 0), (0, (1 << 16) + 1), (1 << 16, 1)):
        with pytest.raises(ValueError, match="do not lie in"):
            arena.region(offset, nbytes)
    if context.device.traits.alignment > 4:
        with pytest.raises(OpenCLError, match="MISALIGNED_SUB_BUFFER_OFFSET") as caught:
            arena.region(4, 4)
        assert caught.value.code_name == "CL_MISALIGNED_SUB_BUFFER_OFFSET"


@pytest.mark.parametrize("offset", [0, 4096, 4100])
def test_a_mapped_file_is_read_in_place_or_copied(
    context: Context, program: Program, x: np.ndarray, tmp_path: Path, offset: int
) -> None:
    """Constants in a read-only mapping reach the kernel, aligned or not."""
    file = tmp_path / "weights"
    file.write_bytes(bytes(offset) + x.tobytes())
    with file.open("rb") as stream:
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    weights = context.constant(memoryview(mapping)[offset:])
    result = context.allocate(x.nbytes)
    context.run([program.launch("scale", [weights, result, np.float32(1), LocalMemory(256)], (N,), (64,))])
    np.testing.assert_array_equal(read(context, result), x)
    context.finish()
    weights.release()


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.int64, np.bool_])
def test_transfers_keep_every_bit(context: Context, dtype: type) -> None:
    """What is written is read, through copies and through mappings, for any element type and rank."""
    values = np.random.default_rng(1).integers(0, 2, (3, 5, 7)).astype(dtype)
    buffer = context.allocate(values.nbytes)
    context.write(buffer, values)
    out = np.empty_like(values)
    context.read(buffer, out)
    np.testing.assert_array_equal(out, values)
    with context.mapped(buffer, values.shape, dtype, write=True) as mapped:
        mapped[...] = values[::-1]
    with context.mapped(buffer, values.shape, dtype) as mapped:
        np.testing.assert_array_equal(mapped, values[::-1])


def test_nothing_can_be_transferred(context: Context) -> None:
    """Empty arrays and constants are allowed everywhere."""
    empty = np.empty((0, 3), np.float32)
    buffer = context.allocate(0)
    context.write(buffer, empty)
    context.read(buffer, empty)
    assert context.constant(empty).nbytes == 1
    with pytest.raises(ValueError, match="C-contiguous"):
        context.constant(np.ones((4, 4), np.float32)[:, ::2])


def test_a_binary_is_the_program(context: Context, program: Program, x: np.ndarray) -> None:
    """A program built from a binary has the same kernels and gives the same results."""
    result = context.allocate(x.nbytes)
    arguments = [context.constant(x), result, np.float32(2), LocalMemory(256)]
    context.run([program.launch("scale", arguments, (N,), (64,)), program.launch("add_one", [result], (N,))])
    first = read(context, result)
    again = context.build_from_binary(program.binary())
    assert sorted(again.kernel_names) == ["add_one", "scale"]
    context.run([again.launch("scale", arguments, (N,), (64,)), again.launch("add_one", [result], (N,))])
    np.testing.assert_array_equal(read(context, result), first)


def test_a_compilers_words_reach_the_reader(context: Context) -> None:
    """A source that does not compile is a BuildError with the driver's log."""
    with pytest.raises(BuildError, match="compiling a program failed") as caught:
        context.build_from_source("__kernel void broken() { missing_name = 1; }")
    assert "missing_name" in caught.value.log
    with pytest.raises((BuildError, OpenCLError)):
        context.build_from_source("__kernel void fine() { }", "-no-such-option")


def test_rubbish_is_no_binary(context: Context) -> None:
    """Bytes that no driver made are refused with an error of our tree."""
    with pytest.raises((BuildError, OpenCLError), match="loading a compiled program failed"):
        context.build_from_binary(b"this is no program")


def test_misuse_has_opencls_name(context: Context, program: Program) -> None:
    """Wrong kernels, sizes and arguments come back as errors that name the code."""
    buffer = context.allocate(N * 4)
    with pytest.raises(OpenCLError, match=r"no_such_kernel.*CL_INVALID_KERNEL_NAME"):
        program.launch("no_such_kernel", [], (1,))
    with pytest.raises(OpenCLError, match=r"add_one.*CL_INVALID_WORK_GROUP_SIZE"):
        context.run([program.launch("add_one", [buffer], (N,), (context.device.traits.max_work_group * 2,))])
    with pytest.raises(OpenCLError, match=r"argument 1 of kernel add_one.*CL_INVALID_ARG_INDEX"):
        program.launch("add_one", [buffer, buffer], (N,))
    with pytest.raises(OpenCLError, match="allocating"):
        context.allocate(1 << 60)


def test_codes_have_names() -> None:
    """Codes of the specification are named; success and codes of nobody are not."""
    assert code_name(-5) == "CL_OUT_OF_RESOURCES"
    assert code_name(0) == ""
    assert code_name(-98765) == ""
    assert "CL error -98765" in str(OpenCLError("failed", code=-98765))


def test_timing_needs_a_profiling_context(context: Context, program: Program) -> None:
    """Times are positive and one per launch; a plain context says that it cannot measure."""
    buffer = context.allocate(N * 4, zero=True)
    launch = program.launch("add_one", [buffer], (N,))
    times = context.timed([launch] * 3)
    assert len(times) == 3
    assert all(0 < t < 10 for t in times)
    with pytest.raises(OpenCLError, match="profiling"):
        Context(context.device).timed([launch])


def test_threads_may_share_a_context(context: Context, program: Program) -> None:
    """Launches from several threads on memory of their own do not disturb each other."""
    wrong: list[int] = []

    def work(number: int) -> None:
        buffer = context.allocate(N * 4, zero=True)
        launches = [program.launch("add_one", [buffer], (N,)) for _ in range(number + 1)]
        for _ in range(10):
            context.run(launches)
        if not (read(context, buffer) == 10 * (number + 1)).all():
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_released_memory_may_be_allocated_again(device: Device) -> None:
    """A buffer with regions gives everything back, as a context manager too."""
    context = Context(device)
    for _ in range(20):
        with context.allocate(64 << 20) as buffer:
            buffer.region(0, 4096)
            context.fill_zero(buffer)
            context.finish()
