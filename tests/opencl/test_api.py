"""Functions and numbers of OpenCL, compared with another binding's and with what a driver does."""

from __future__ import annotations

import ctypes

import pytest

from mace.errors import OpenCLError
from mace.opencl import Device, numbers
from mace.opencl.api import Api, CLError, Handle
from mace.opencl.context import Context
from mace.opencl.translate import code_name, translated


def test_the_numbers_are_those_of_another_binding() -> None:
    """Every question, flag and error code has the value that pyopencl took from the headers."""
    import pyopencl as cl

    for names, theirs in ((numbers.PLATFORM, cl.platform_info), (numbers.DEVICE, cl.device_info)):
        assert {n: int(getattr(theirs, n)) for n in names} == names
    errors = {int(getattr(cl.status_code, n)): n for n in dir(cl.status_code) if n.isupper()}
    known = {c: n for c, n in errors.items() if c in numbers.ERRORS}
    assert known == {c: n for c, n in numbers.ERRORS.items() if c in errors}
    assert len(known) > 60
    pairs = {
        numbers.MEM_READ_WRITE: cl.mem_flags.READ_WRITE,
        numbers.MEM_READ_ONLY: cl.mem_flags.READ_ONLY,
        numbers.MEM_USE_HOST_PTR: cl.mem_flags.USE_HOST_PTR,
        numbers.MEM_COPY_HOST_PTR: cl.mem_flags.COPY_HOST_PTR,
        numbers.MEM_SIZE: cl.mem_info.SIZE,
        numbers.PROGRAM_BINARY_SIZES: cl.program_info.BINARY_SIZES,
        numbers.PROGRAM_BINARIES: cl.program_info.BINARIES,
        numbers.PROGRAM_KERNEL_NAMES: cl.program_info.KERNEL_NAMES,
        numbers.PROGRAM_BUILD_LOG: cl.program_build_info.LOG,
        numbers.PROFILING_COMMAND_START: cl.profiling_info.START,
        numbers.PROFILING_COMMAND_END: cl.profiling_info.END,
        numbers.MAP_WRITE_INVALIDATE_REGION: cl.map_flags.WRITE_INVALIDATE_REGION,
        numbers.DEVICE_PARTITION_BY_COUNTS: cl.device_partition_property.BY_COUNTS,
        numbers.QUEUE_PROPERTIES: cl.queue_properties.PROPERTIES,
        numbers.QUEUE_PROFILING_ENABLE: cl.command_queue_properties.PROFILING_ENABLE,
    }
    assert all(ours == int(theirs) for ours, theirs in pairs.items())


def test_objects_can_be_handed_to_another_binding(device: Device) -> None:
    """pyopencl takes a device of ours by its address and says the same of it."""
    import pyopencl as cl

    theirs = cl.Device.from_int_ptr(device.handle.pointer)
    assert theirs.name.strip() == device.name
    assert theirs.max_compute_units == device.info.compute_units


def test_an_error_code_is_raised_with_its_function(device: Device) -> None:
    """A refusal names the function and the code, and becomes an error of ours where it is translated."""
    api = device.handle.api
    with pytest.raises(CLError) as caught:
        api.info("clGetDeviceInfo", device.handle, 0xFFFF)
    assert (caught.value.routine, code_name(caught.value.code)) == ("clGetDeviceInfo", "CL_INVALID_VALUE")
    with (
        pytest.raises(OpenCLError, match=r"asking failed in clGetDeviceInfo \(CL_INVALID_VALUE -30\)"),
        translated("asking"),
    ):
        api.info("clGetDeviceInfo", device.handle, 0xFFFF)


def test_other_errors_pass_through_translation() -> None:
    """What is no error of OpenCL is left as it is."""
    with pytest.raises(ZeroDivisionError), translated("dividing"):
        _ = 1 / 0


def test_a_function_that_is_missing_is_an_error() -> None:
    """A driver without a function refuses it as OpenCL would; a name that OpenCL does not have is an attribute error."""
    api = Api(lambda name, place: 0)
    with pytest.raises(CLError) as caught:
        api.clFinish(None)
    assert code_name(caught.value.code) == "CL_INVALID_OPERATION"
    with pytest.raises(AttributeError, match="clNonsense"):
        _ = api.clNonsense


def test_a_handle_is_released_once() -> None:
    """Releasing again, or dropping a released handle, does nothing."""
    released: list[int] = []
    handle = Handle(7, released.append)
    assert ctypes.c_void_p.from_param(handle) is not None
    handle.release()
    handle.release()
    del handle
    assert released == [7]


def test_part_of_a_device_has_fewer_compute_units(device: Device) -> None:
    """A processor can be divided; the part says how many of its cores it has."""
    if device.info.compute_units < 2:
        pytest.skip("there is nothing to divide")
    part = device.handle.part(1)
    assert int.from_bytes(part.ask("MAX_COMPUTE_UNITS"), "little") == 1


def test_contexts_leave_nothing_behind(device: Device) -> None:
    """Many contexts in a row can be opened and dropped."""
    for _ in range(20):
        Context(device).allocate(1 << 20, zero=True)
