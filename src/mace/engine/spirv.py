"""SPIR-V as a second tier of the program file: what a device is given when no binary fits it, before source is.

It spares the driver's front end, and outlives a change of the driver. The worker that builds from it runs the same trials
as for any binary, and what they compute must be what was noted when the SPIR-V was made, bit for bit: nothing else shows
that damage has not changed it. A driver that computes something in another way therefore compiles from source, as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mace.engine.proof import Failure, judge, note_outputs, noted_outputs
from mace.errors import DeviceError
from mace.opencl.jobs import CompileJob, Done, Outcome, Refused, WorkerCrash
from mace.program.content import Entry, EntryKind
from mace.program.reasons import Reason

if TYPE_CHECKING:
    from mace.opencl.device import Device
    from mace.plan.plan import Plan
    from mace.plan.planner import Planned
    from mace.program.library import ProgramLibrary


def without_spirv(library: ProgramLibrary, plan: Plan) -> list[int]:
    """The numbers of the units of which the library has no SPIR-V yet."""
    return [number for number, unit in enumerate(plan.units) if library.find_spirv(unit) is None]


def translate(device: Device, planned: Planned, units: Sequence[int]) -> dict[int, bytes]:
    """SPIR-V of these units by number.

    Raises ``DeviceError`` for a device that takes none or where the translator is not installed, ``BuildError`` for source
    that it refuses.
    """
    from mace.opencl.front_end import FrontEnd

    if not units:
        return {}
    if not device.info.takes_spirv:
        raise DeviceError(f"{device.label} takes no SPIR-V, so there is no use in making it")
    front_end, options = FrontEnd.find(), planned.plan.build_options
    return {number: front_end.translate(planned.sources[number], options) for number in units}


def spirv_entry(unit: str, spirv: bytes, outcome: Outcome) -> Entry:
    """SPIR-V of a unit as an entry for any device, with the note of what it computed here.

    Raises ``DeviceError`` when the driver refused it or died of it.
    """
    if isinstance(outcome, Refused):
        raise outcome.error
    if not isinstance(outcome, Done):
        raise DeviceError(f"SPIR-V of program {unit[:12]}: {outcome}")
    return Entry.make(EntryKind.IL, unit, spirv, meta=note_outputs(outcome.outputs))


def find_spirv(library: ProgramLibrary, plan: Plan, units: Iterable[int]) -> dict[int, Entry]:
    """Those of the units, by number, for which there is SPIR-V."""
    found = {number: library.find_spirv(plan.units[number]) for number in units}
    return {number: entry for number, entry in found.items() if entry is not None}


def take_spirv(
    library: ProgramLibrary, found: Mapping[int, Entry], jobs: Sequence[CompileJob], outcomes: Sequence[Outcome]
) -> dict[int, Done]:
    """What was built from SPIR-V and computed what was noted; the rest is rejected with its reason."""
    good: dict[int, Done] = {}
    for (number, entry), job, outcome in zip(found.items(), jobs, outcomes, strict=True):
        failure = _failure(entry, job, outcome)
        if failure is None and isinstance(outcome, Done):
            good[number] = outcome
        elif failure is not None:
            library.reject(entry, failure.reason, failure.detail, lasting=failure.lasting)
    return good


def _failure(entry: Entry, job: CompileJob, outcome: Outcome) -> Failure | None:
    noted = noted_outputs(entry)
    if isinstance(outcome, Done):
        missing = [t.kernel for t in job.trials if t.digest not in noted]
        if missing:
            return Failure(Reason.UNPROVED, f"no note of what {missing[0]} computes", lasting=False)
    failure = judge(outcome, job.trials, noted)
    if failure is not None and isinstance(outcome, WorkerCrash):
        return failure._replace(lasting=outcome.killed_by_driver)
    return failure
