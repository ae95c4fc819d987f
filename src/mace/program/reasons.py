"""Why a program file was used or was not: one code and one plain sentence for each case.

``mace explain``, ``engine.stats`` and the log all speak in these codes.
"""

from __future__ import annotations

from enum import StrEnum

from mace.records import record


class Reason(StrEnum):
    """Code of one look or one step; :attr:`sentence` says it in words."""

    HIT = "hit"
    OPENED = "opened"
    NO_FILE = "no-file"
    UNREADABLE = "unreadable"
    NOT_A_PROGRAM = "not-a-program"
    DAMAGED = "damaged"
    SALVAGED = "salvaged"
    QUARANTINED = "quarantined"
    OVER_LIMIT = "over-limit"
    UNTRUSTED = "untrusted"
    LOCKED_UP = "encrypted"
    OTHER_DEVICE = "other-device"
    OTHER_PLATFORM = "other-platform"
    OTHER_DRIVER = "other-driver"
    OTHER_SYSTEM = "other-system"
    OTHER_ENGINE = "other-engine"
    NO_ENTRY = "no-entry"
    ONLY_SPIRV = "only-spirv"
    REUSE_OFF = "reuse-off"
    BAD_BINARY = "bad-binary"
    REFUSED = "refused-by-driver"
    CRASHED = "crashed-the-driver"
    WRONG_RESULTS = "wrong-results"
    MISCOMPILED = "miscompiled"
    UNPROVED = "unproved"
    COMPILED = "compiled"
    SAVED = "saved"
    UNCHANGED = "unchanged"
    NOT_SAVED = "not-saved"
    LOCK_BUSY = "lock-busy"

    @property
    def sentence(self) -> str:
        """The reason in plain words."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.HIT: "found, and it fits this device",
    Reason.OPENED: "opened and verified",
    Reason.NO_FILE: "there is no such file",
    Reason.UNREADABLE: "the file cannot be read",
    Reason.NOT_A_PROGRAM: "this is no compiled-program file of a known layout",
    Reason.DAMAGED: "the bytes do not have the hash they should have, or break the layout",
    Reason.SALVAGED: "the file was damaged; what is intact was taken over and the rest is built again",
    Reason.QUARANTINED: "the damaged file was renamed and set aside",
    Reason.OVER_LIMIT: "a size or count in the file is over its limit",
    Reason.UNTRUSTED: "the file was not written by this user on this machine, and no trusted key signed it",
    Reason.LOCKED_UP: "the file is encrypted and the key is missing or wrong",
    Reason.OTHER_DEVICE: "it was compiled for another device",
    Reason.OTHER_PLATFORM: "it was compiled by another OpenCL platform, or another version of it",
    Reason.OTHER_DRIVER: "it was compiled for this device by another version of its driver",
    Reason.OTHER_SYSTEM: "it was compiled on another operating system or processor architecture",
    Reason.OTHER_ENGINE: "it was compiled by another version of mace",
    Reason.NO_ENTRY: "it holds programs for this device, but not this one: the model, its shapes or options are others",
    Reason.ONLY_SPIRV: "no binary in it fits, but it has SPIR-V, which this device takes",
    Reason.REUSE_OFF: "reuse of compiled programs is switched off",
    Reason.BAD_BINARY: "this binary failed on this device and driver before",
    Reason.REFUSED: "the driver refused the binary",
    Reason.CRASHED: "the driver died or hung over the binary, in a process of its own",
    Reason.WRONG_RESULTS: "the binary does not compute what it did when it was compiled",
    Reason.MISCOMPILED: "a kernel in it does not compute what its general variant does",
    Reason.UNPROVED: "the file does not say what the binary should compute, so it cannot be tried",
    Reason.COMPILED: "compiled from source",
    Reason.SAVED: "saved for the next start",
    Reason.UNCHANGED: "everything was in the store already",
    Reason.NOT_SAVED: "could not be saved; inference goes on without",
    Reason.LOCK_BUSY: "another process was writing the store; inference goes on without saving",
}


@record
class Look:
    """One step of a search: where it looked, what for (kind and start of the key; empty for a whole file), and why
    not.
    """

    where: str
    reason: Reason
    detail: str = ""
    sought: str = ""

    def __str__(self) -> str:
        sought = f" for {self.sought}" if self.sought else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.where}{sought}: {self.reason.sentence}{detail}"
