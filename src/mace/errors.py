"""Every error and warning that mace raises on purpose.

    MaceError
    ├── ModelError                  the model cannot be used: fix or re-export it
    │   ├── ModelFileError          a .mace file is damaged, cut, or not one
    │   ├── ConvertError            a source model is broken or cannot be read
    │   └── UnsupportedOperatorError   operators that mace has no way to run
    ├── InputError (ValueError)     a call's arguments do not fit the model
    ├── DeviceError                 the OpenCL side
    │   ├── NoDeviceError           no OpenCL device at all, or none of that name
    │   ├── BuildError              a kernel did not compile
    │   └── OpenCLError             any other OpenCL call failed; carries the code
    ├── ProgramFileError            a compiled-program or tuned-parameter file
    │   ├── ProgramFormatError      its bytes break the layout
    │   ├── IntegrityError          a hash or a declared size does not hold
    │   ├── LimitError              a size or count is over its limit
    │   ├── TrustError              signature missing, wrong, or by a key nobody trusts
    │   └── DecryptionError         wrong key, or encrypted and no key given
    ├── StorageError                a folder or file cannot be written or read
    ├── ConfigError                 a deployment file or setting is wrong
    └── MissingExtraError (ImportError)   an optional package is not installed

    MaceWarning
    ├── StorageWarning              the program could not be saved; inference goes on
    ├── ProgramFileWarning          a program file was passed over
    ├── HostFallbackWarning         a float tensor leaves the device
    ├── KernelWarning               specialised kernels compute wrongly and were replaced, or could not be compared
    └── BackgroundWarning           what was built in the background came to nothing; inference goes on

Argument mistakes that any Python programmer expects as such stay ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import NamedTuple

from mace.records import record


class MaceError(Exception):
    """Base of every error mace raises on purpose; its text is one clear message for a person."""


class ModelError(MaceError):
    """The model cannot be used."""


class Where(NamedTuple):
    """The place in a file that an error speaks of: its path, byte offset and field, as far as known."""

    path: str | PathLike[str] | None = None
    offset: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        parts = [str(self.path)] if self.path is not None else []
        if self.offset is not None:
            parts.append(f"offset {self.offset:#x}")
        if self.field is not None:
            parts.append(f"field '{self.field}'")
        return ", ".join(parts)


class _FileError(MaceError):
    """An error about a file: message first, then where, then what to do about it."""

    def __init__(
        self,
        message: str,
        *,
        path: str | PathLike[str] | None = None,
        offset: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.where = Where(path, offset, field)
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = str(self.where)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.hint}" if self.hint else text


class ModelFileError(ModelError, _FileError):
    """A .mace file is damaged, cut, or not one."""


class ConvertError(ModelError, _FileError):
    """A source model is broken or cannot be read."""


@record
class UnsupportedNode:
    """One node that cannot run: its name, operator, domain, opset and the reason or nearest alternative."""

    name: str
    op: str
    domain: str
    opset: int
    reason: str

    def __str__(self) -> str:
        op = f"{self.domain}::{self.op}" if self.domain else self.op
        return f"{self.name or '(unnamed)'}: {op} (opset {self.opset}): {self.reason}"


class UnsupportedOperatorError(ModelError):
    """Operators that mace has no way to run; ``nodes`` lists every one of them."""

    def __init__(self, nodes: Sequence[UnsupportedNode], path: str | PathLike[str] | None = None) -> None:
        self.nodes = tuple(nodes)
        self.path = path
        lines = "\n".join(f"  {n}" for n in self.nodes)
        count = "one node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        super().__init__(f"{f'{path}: ' if path is not None else ''}{count} cannot be run:\n{lines}")


class InputError(MaceError, ValueError):
    """A call's arguments do not fit the model: a wrong input name, shape or type."""


class DeviceError(MaceError):
    """Something on the OpenCL side."""


class NoDeviceError(DeviceError):
    """No OpenCL device at all, or none that fits the one asked for."""


class BuildError(DeviceError):
    """A kernel did not compile; ``log`` is what the driver said."""

    def __init__(self, message: str, *, kernel: str = "", log: str = "") -> None:
        self.message = message
        self.kernel = kernel
        self.log = log
        super().__init__(f"{message}\n{log.strip()}" if log.strip() else message)


class OpenCLError(DeviceError):
    """An OpenCL call failed; ``code`` is its number and ``code_name`` its name in the specification."""

    def __init__(self, message: str, *, code: int = 0, code_name: str = "") -> None:
        self.message = message
        self.code = code
        self.code_name = code_name
        super().__init__(f"{message} ({code_name or 'CL error'} {code})" if code else message)


class ProgramFileError(_FileError):
    """A compiled-program or tuned-parameter file cannot be used."""


class ProgramFormatError(ProgramFileError):
    """Its bytes break the layout."""


class IntegrityError(ProgramFileError):
    """A hash or a declared size does not hold."""


class LimitError(ProgramFileError):
    """A size or count is over its limit."""


class TrustError(ProgramFileError):
    """The signature is missing, wrong, or by a key nobody trusts."""


class DecryptionError(ProgramFileError):
    """The key is wrong, or the file is encrypted and no key was given."""


class StorageError(_FileError):
    """A folder or file cannot be written or read."""


class ConfigError(_FileError):
    """A deployment file or setting is wrong."""


class MissingExtraError(MaceError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class MaceWarning(UserWarning):
    """Base of every warning mace gives."""


class StorageWarning(MaceWarning):
    """The program could not be saved; inference goes on."""


class ProgramFileWarning(MaceWarning):
    """A program file was passed over."""


class KernelWarning(MaceWarning):
    """Specialised kernels compute wrongly on a device and were replaced by general ones, or could not be compared with them."""


class BackgroundWarning(MaceWarning):
    """Specialised kernels could not be built in the background; inference goes on with general ones."""


class HostFallbackWarning(MaceWarning):
    """A float tensor leaves the device for a host step."""
