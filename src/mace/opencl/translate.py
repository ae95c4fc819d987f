"""OpenCL's errors in mace's terms. This is the one place where pyopencl's exceptions become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pyopencl as cl

from mace.errors import BuildError, OpenCLError

_BUILD_CODES = frozenset({-11, -15, -17})
"""CL_BUILD_PROGRAM_FAILURE, CL_COMPILE_PROGRAM_FAILURE, CL_LINK_PROGRAM_FAILURE."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn any pyopencl error raised inside into ``OpenCLError``; ``doing`` says in plain words what was tried."""
    try:
        yield
    except cl.Error as error:
        raise opencl_error(doing, error) from error


def opencl_error(doing: str, error: cl.Error) -> OpenCLError:
    """The error of our tree for one of pyopencl's."""
    code = error.code
    return OpenCLError(f"{doing} failed in {error.routine}", code=code, code_name=code_name(code))


def build_error(doing: str, error: cl.Error, log: str) -> BuildError | OpenCLError:
    """``BuildError`` with the driver's log where the compiler refused, ``OpenCLError`` where something else failed."""
    if error.code in _BUILD_CODES:
        return BuildError(f"{doing} failed ({code_name(error.code)})", log=log)
    return opencl_error(doing, error)


def code_name(code: int) -> str:
    """The name of an error code in the specification, such as ``CL_OUT_OF_RESOURCES``; empty for any other number."""
    return _names().get(code, "")


@cache
def _names() -> dict[int, str]:
    codes = {int(getattr(cl.status_code, name)): f"CL_{name}" for name in dir(cl.status_code) if name.isupper()}
    return {code: name for code, name in codes.items() if code < 0}
