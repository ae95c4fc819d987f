"""Would a program file serve a device? Answered from the file and the device's identity, without an OpenCL context."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mace.device import DeviceIdentity
from mace.errors import ProgramFileError, StorageError
from mace.program.content import Bytes, EntryKind, ProgramContent
from mace.program.encrypt import Secret
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.opening import open_trusted
from mace.program.reasons import Reason
from mace.program.reuse import ReusePolicy, is_same_gpu, mismatch, nearest
from mace.program.spirv import count_spirv
from mace.program.store import look_at_failure
from mace.program.trust import Trust


class Fitness(StrEnum):
    """How well a file serves a device."""

    OPTIMAL = "optimal"
    """Made for exactly this device and driver."""
    USABLE = "usable"
    """It will be loaded, though not everything is equal; or it is compiled from its SPIR-V, which this device takes."""
    RECOMPILE = "recompile"
    """It is for this device in another state: it serves as a hint, and everything is compiled again."""
    UNSUPPORTED = "unsupported"
    """It is for another device, it may not be loaded, or it is none."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the identity, side by side."""

    name: str
    here: Any
    there: Any

    @property
    def equal(self) -> bool:
        return bool(self.here == self.there)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The answer, its reason code and sentence, and every component against the nearest device in the file."""

    fitness: Fitness
    reason: Reason
    detail: str
    components: tuple[Component, ...]
    programs: int
    """Programs in the file that fit this device: binaries, or where none does, SPIR-V."""


def check_program(
    source: str | os.PathLike[str] | Bytes,
    device: DeviceIdentity,
    *,
    takes_spirv: bool = False,
    reuse: ReusePolicy = "exact",
    trust: Trust | None = None,
    secret: Secret | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> CheckReport:
    """Compare a file with a device. A file that cannot be used is an answer, not an error."""
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "bytes handed in"
    try:
        content = open_trusted(source, trust or Trust(), secret=secret, limits=limits).file.content
    except (StorageError, ProgramFileError) as error:
        look = look_at_failure(where, error)
        return CheckReport(Fitness.UNSUPPORTED, look.reason, look.detail, (), 0)
    report = _compare(content, device, reuse)
    spirv = count_spirv(content) if reuse != "none" else 0
    if not spirv or report.fitness in (Fitness.OPTIMAL, Fitness.USABLE):
        return report
    why = report.detail or report.reason.sentence
    if content.devices and device.platform_name not in {d.platform_name for d in content.devices}:
        return replace(report, detail=f"{why}; its SPIR-V is of kernels for another kind of device")
    if takes_spirv:
        return replace(report, fitness=Fitness.USABLE, reason=Reason.ONLY_SPIRV, detail=why, programs=spirv)
    fitness = report.fitness if report.components else Fitness.RECOMPILE
    return replace(report, fitness=fitness, detail=f"{why}; its SPIR-V does not help, for this device takes none")


def _compare(content: ProgramContent, device: DeviceIdentity, reuse: ReusePolicy) -> CheckReport:
    """The answer as far as binaries go."""
    near = nearest(device, content.devices)
    if near is None:
        return CheckReport(Fitness.UNSUPPORTED, Reason.NO_ENTRY, "the file names no device", (), 0)
    ours, theirs = device.to_json(), near.to_json()
    components = tuple(Component(name, ours[name], theirs[name]) for name in ours)
    problem = mismatch(device, near, reuse)
    fitting = {d for d in content.devices if not mismatch(device, d, reuse)}
    programs = sum(e.kind is EntryKind.PROGRAM and e.device in fitting for e in content.entries)
    if problem is None and programs:
        if near == device:
            return CheckReport(Fitness.OPTIMAL, Reason.HIT, "", components, programs)
        return CheckReport(Fitness.USABLE, Reason.HIT, f"by the reuse policy '{reuse}'", components, programs)
    if problem is None:
        return CheckReport(Fitness.RECOMPILE, Reason.NO_ENTRY, "it holds no program for this device", components, 0)
    grave = problem.reason in (Reason.OTHER_DEVICE, Reason.OTHER_SYSTEM, Reason.REUSE_OFF)
    if grave and not is_same_gpu(device, near):
        return CheckReport(Fitness.UNSUPPORTED, problem.reason, str(problem), components, 0)
    return CheckReport(Fitness.RECOMPILE, problem.reason, str(problem), components, 0)
