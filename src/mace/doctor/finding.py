"""A finding: a code, what it is about, what it costs, and the command that mends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much it matters."""

    ERROR = "error"
    """Something will not work."""
    WARNING = "warning"
    """It works, and costs more than it need."""
    NOTE = "note"
    """Nothing is wrong; it may be good to know."""


class Code(StrEnum):
    """Reason codes. Each has a section of that name in docs/doctor.md."""

    NO_DEVICE = "no-device"
    DRIVER_FAILED = "driver-failed"
    VECTORS_NARROWED = "vectors-narrowed"
    KERNELS_MISCOMPILED = "kernels-miscompiled"
    BINARIES_FAILED = "binaries-failed"
    STORAGE_NOT_WRITABLE = "storage-not-writable"
    STATE_NOT_PRIVATE = "state-not-private"
    DISK_FULL = "disk-full"
    LEFTOVERS = "leftovers"
    MODEL_UNUSABLE = "model-unusable"
    PROGRAM_UNREADABLE = "program-unreadable"
    PROGRAM_DAMAGED = "program-damaged"
    PROGRAM_OTHER_DEVICE = "program-other-device"
    PROGRAM_OTHER_DRIVER = "program-other-driver"
    PROGRAM_OTHER_VERSION = "program-other-version"
    PROGRAM_STALE = "program-stale"
    PROGRAM_UNTRUSTED = "program-untrusted"
    PROGRAM_ENCRYPTED = "program-encrypted"
    PROGRAM_EMPTY = "program-empty"
    PROGRAM_PATH = "program-path"
    PARAMETER_PATH = "parameter-path"
    PARAMETERS_DAMAGED = "parameters-damaged"
    STORAGE_PATH = "storage-path"
    MODEL_PATH = "model-path"
    CONFIG_UNREADABLE = "config-unreadable"

    @property
    def severity(self) -> Severity:
        return _SEVERITIES.get(self, Severity.ERROR)

    @property
    def cost(self) -> str:
        """What it costs, in one sentence."""
        return _COSTS[self]


_COMPILED = "The programs are compiled from source at the next start, which takes seconds instead of milliseconds."
_EVERY_START = "Every start compiles from source, which takes seconds instead of milliseconds."
_COSTS = {
    Code.NO_DEVICE: "No model can run.",
    Code.DRIVER_FAILED: "The devices of this driver cannot be used; others can.",
    Code.VECTORS_NARROWED: "Kernels use a part of the device's registers and run at a fraction of its speed.",
    Code.KERNELS_MISCOMPILED: "General variants take their place and may run slower.",
    Code.BINARIES_FAILED: "They are passed over and compiled from source once.",
    Code.STORAGE_NOT_WRITABLE: "Nothing compiled is kept. " + _EVERY_START,
    Code.STATE_NOT_PRIVATE: "mace cannot tell its own files from others', so program files of its own are not loaded.",
    Code.DISK_FULL: "Compiled programs cannot be kept. " + _EVERY_START,
    Code.LEFTOVERS: "They take room and serve nothing.",
    Code.MODEL_UNUSABLE: "The model cannot be loaded.",
    Code.PROGRAM_UNREADABLE: _EVERY_START,
    Code.PROGRAM_DAMAGED: "The file is passed over. " + _EVERY_START,
    Code.PROGRAM_OTHER_DEVICE: "The file is passed over on this device. " + _COMPILED,
    Code.PROGRAM_OTHER_DRIVER: "The file is passed over since the driver changed. " + _COMPILED,
    Code.PROGRAM_OTHER_VERSION: "The file is passed over by this version of mace. " + _COMPILED,
    Code.PROGRAM_STALE: "The file does not belong to the model beside it as it is now. " + _COMPILED,
    Code.PROGRAM_UNTRUSTED: "The file is not loaded: an OpenCL binary is machine code. " + _COMPILED,
    Code.PROGRAM_ENCRYPTED: "Without its key the file is passed over.",
    Code.PROGRAM_EMPTY: "The file serves no start. " + _COMPILED,
    Code.PROGRAM_PATH: "The file is looked for where it is not. " + _EVERY_START,
    Code.PARAMETER_PATH: "Tuned parameters are looked for where they are not; kernels run with the defaults.",
    Code.PARAMETERS_DAMAGED: "Tuned parameters are passed over; kernels run with the defaults.",
    Code.STORAGE_PATH: "Compiled programs have no folder to be kept in. " + _EVERY_START,
    Code.MODEL_PATH: "The model is looked for where it is not.",
    Code.CONFIG_UNREADABLE: "Nothing in it has an effect.",
}
_WARNINGS = (
    *(Code.DRIVER_FAILED, Code.STATE_NOT_PRIVATE, Code.DISK_FULL, Code.PROGRAM_DAMAGED, Code.PROGRAM_OTHER_DEVICE),
    *(Code.PROGRAM_OTHER_DRIVER, Code.PROGRAM_OTHER_VERSION, Code.PROGRAM_STALE, Code.PROGRAM_UNTRUSTED),
    *(
        Code.VECTORS_NARROWED,
        Code.KERNELS_MISCOMPILED,
        Code.PROGRAM_EMPTY,
        Code.PROGRAM_UNREADABLE,
        Code.STORAGE_NOT_WRITABLE,
        Code.PARAMETERS_DAMAGED,
    ),
)
_SEVERITIES = {
    **dict.fromkeys(_WARNINGS, Severity.WARNING),
    Code.BINARIES_FAILED: Severity.NOTE,
    Code.LEFTOVERS: Severity.NOTE,
    Code.PROGRAM_ENCRYPTED: Severity.NOTE,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what it is about (a path, a device), how it shows, and the command that mends it."""

    code: Code
    subject: str
    detail: str
    mend: tuple[str, ...]
    """Words of a command; a shell runs them when they are quoted as :attr:`command` quotes them."""
    severity: Severity = Severity.WARNING

    @classmethod
    def make(cls, code: Code, subject: object, detail: str, *mend: object, severity: Severity | None = None) -> Finding:
        """A finding with the severity that its code usually has."""
        return cls(code, str(subject), detail, tuple(map(str, mend)), severity or code.severity)

    @property
    def command(self) -> str:
        """The mending command as a person types it into a shell."""
        return shlex.join(self.mend)

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "subject": self.subject,
            "detail": self.detail,
            "cost": self.code.cost,
            "command": self.command,
            "arguments": list(self.mend),
        }
