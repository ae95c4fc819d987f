"""OpenCL's errors in mace's terms. This is the one place where a code becomes an error of our tree."""

from __future__ import annotations

from types import TracebackType

from mace.errors import BuildError, OpenCLError
from mace.opencl.api import CLError
from mace.opencl.numbers import ERRORS

_BUILD_CODES = frozenset({-11, -15, -17})
"""CL_BUILD_PROGRAM_FAILURE, CL_COMPILE_PROGRAM_FAILURE, CL_LINK_PROGRAM_FAILURE."""


class translated:  # noqa: N801  (used like a function)
    """Turns a ``CLError`` raised inside into ``OpenCLError``; ``doing`` says in plain words what was tried."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, CLError):
            raise opencl_error(self._doing, error) from error


def opencl_error(doing: str, error: CLError) -> OpenCLError:
    """The error of our tree for a driver's."""
    return OpenCLError(f"{doing} failed in {error.routine}", code=error.code, code_name=code_name(error.code))


def build_error(doing: str, error: CLError, log: str) -> BuildError | OpenCLError:
    """``BuildError`` with the driver's log where the compiler refused, ``OpenCLError`` where something else failed."""
    if error.code in _BUILD_CODES:
        return BuildError(f"{doing} failed ({code_name(error.code)})", log=log)
    return opencl_error(doing, error)


def code_name(code: int) -> str:
    """The name of an error code in the specification, such as ``CL_OUT_OF_RESOURCES``; empty for any other number."""
    return f"CL_{ERRORS[code]}" if code in ERRORS else ""
