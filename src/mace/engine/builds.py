"""Programs for a plan: loaded from the library where it has them, compiled where it has not.

Nothing new reaches the driver in this process first. A source is compiled in a worker process, which creates every kernel
and runs each once before it reads the binary; a binary that has not proved itself on this device and driver is tried in a
worker (``proof``). Both leave a stamp, and what is stamped is loaded here without further ado.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from mace.engine.proof import Prover, note_outputs
from mace.errors import DeviceError
from mace.program.content import Entry, EntryKind, KernelRecord

if TYPE_CHECKING:
    from mace.engine.settings import EngineSettings
    from mace.engine.stats import EngineStats
    from mace.opencl.device import Device
    from mace.opencl.jobs import CompileJob, Done, Outcome
    from mace.opencl.kernel import Program
    from mace.opencl.opening import Opening
    from mace.opencl.pool import WorkerPool
    from mace.plan.plan import Plan
    from mace.plan.planner import Planned
    from mace.program.library import ProgramLibrary
    from mace.tensor import Array


class _Candidate(NamedTuple):
    """A stored program that was found but not tried yet."""

    entry: Entry
    where: str
    proved: bool
    """Whether it may be loaded here without a trial in a worker."""


class Builder:
    """Loads and compiles program units for one context. Several threads may use it.

    ``lock`` is held over all that touches the library or what is known here, and not while something is compiled.
    """

    def __init__(
        self,
        opening: Opening,
        library: ProgramLibrary,
        settings: EngineSettings,
        stats: EngineStats,
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        self.device: Device = opening.device
        """The device as plans should see it: with narrower vectors once its compiler has died of wide ones."""
        self._settled: Device = opening.device
        """The same, or wider while it is not known yet whether narrower vectors help."""
        self._opening, self._library, self._settings, self._stats = opening, library, settings, stats
        self.lock = threading.RLock()
        self._progress = progress or (lambda what, done: None)
        self._pools: list[WorkerPool] = []
        self._loaded: dict[str, Program] = {}
        self._found: dict[str, _Candidate | None] = {}
        """What was found ahead of :meth:`_load` for a unit, None for nothing."""
        self._built: dict[str, Program] = {}
        """Programs that were built ahead of :meth:`_load`."""
        self._prover = Prover(opening.device)
        self._sources: dict[str, str] = {}
        """Source of each unit that was planned here."""

    def look_ahead(self, plan: Plan) -> None:
        """Find the plan's programs, and whether they have proved themselves; needs no open device."""
        with self.lock:
            for unit in plan.units:
                if unit not in self._loaded and unit not in self._found:
                    self._found[unit] = self._look(unit)

    def load_all(self, plan: Plan, constants: memoryview | Array) -> list[Program] | None:
        """Every unit of the plan from the library, or None when one is missing, refused or not to be trusted to run.

        ``constants`` are the plan's; a binary that must prove itself does so on them.
        """
        with self.lock:
            self._load_side_by_side(plan)
            programs = []
            for number, unit in enumerate(plan.units):
                program = self._load(unit, number, plan, constants)
                if program is None:
                    return None
                programs.append(program)
            return programs

    def build(self, planned: Planned, *, polite: bool = False) -> list[Program] | None:
        """Every unit, from the library or else compiled and added to it; ``polite`` leaves the processor to others.

        None when the driver's compiler died of wide vectors: ``device`` has narrower ones now, plan again. Raises
        ``BuildError`` or another ``DeviceError`` when a unit cannot be compiled at all, or the work was called off.
        """
        plan = planned.plan
        with self.lock:
            self._sources |= zip(plan.units, planned.sources, strict=True)
            missing = [n for n, unit in enumerate(plan.units) if self._load(unit, n, plan, planned.constants) is None]
        from_spirv = self._compile_spirv(planned, missing, polite=polite)
        missing = [n for n in missing if n not in from_spirv]
        outcomes = self._compile(_jobs(planned, missing), polite=polite)
        if outcomes is None:
            return None
        with self.lock:
            for number, done in from_spirv.items():
                self._adopt(plan, number, done, "spirv")
            for number, done in zip(missing, outcomes, strict=True):
                self._adopt(plan, number, done, "source")
            return [self._loaded[unit] for unit in plan.units]

    def build_for_now(self, planned: Planned) -> list[Program] | None:
        """Every unit, compiled and kept nowhere: what is used until better is there. None and raises as :meth:`build`."""
        options = planned.plan.build_options
        outcomes = self._compile(_jobs(planned, range(len(planned.plan.units))))
        if outcomes is None:
            return None
        programs = []
        for done in outcomes:
            programs.append(self._opening.context().build_from_binary(done.binary, options))
            self._stats.count_program("source")
        return programs

    def add_spirv(self, planned: Planned) -> None:
        """Translate every unit to SPIR-V, try it on this device, and keep it beside the programs.

        A unit whose binary is SPIR-V already needs none beside it. Raises ``DeviceError`` where the device takes none or the
        translator is not installed, ``BuildError`` for source that it cannot translate or SPIR-V that the driver refuses.
        """
        from mace.engine.spirv import spirv_entry, translate, without_spirv

        with self.lock:
            missing = without_spirv(self._library, planned.plan)
        spirv = translate(self.device, planned, missing)
        if not spirv:
            return
        jobs = _jobs(planned, spirv, spirv)
        outcomes = self._in_workers(jobs) if self._settings.isolate else self._compile_here(jobs)
        entries = [spirv_entry(planned.plan.units[n], spirv[n], o) for n, o in zip(spirv, outcomes, strict=True)]
        with self.lock:
            for entry in entries:
                self._library.add(entry)

    def call_off(self) -> None:
        """End what is being compiled in workers for another thread, where it raises ``DeviceError``."""
        for pool in tuple(self._pools):
            pool.call_off()

    def _compile(self, jobs: list[CompileJob], *, polite: bool = False) -> list[Done] | None:
        if not jobs or not self._settings.isolate:
            return self._compile_here(jobs)
        from mace.opencl.jobs import Done, Refused

        device, done = self.device, []  # another thread may narrow it meanwhile
        for outcome in self._in_workers(jobs, polite=polite):
            if isinstance(outcome, Done):
                done.append(outcome)
            elif isinstance(outcome, Refused):
                raise outcome.error
            else:
                narrower = device.narrowed() if outcome.killed_by_driver else None
                if narrower is None:  # then the width was not what it died of, and others may use it
                    self.device = self._settled
                    raise DeviceError(f"{device.label}: {outcome}")
                self.device = narrower
                return None
        if device is not self._settled:
            device.remember_vectors()
            self._settled = device
        return done

    def _compile_spirv(self, planned: Planned, missing: Iterable[int], *, polite: bool) -> dict[int, Done]:
        """Units whose SPIR-V lies in the library, compiled from it; one that fails there is left to its source.

        A driver may crash over it, so it is done in workers alone; and not where the settings believe only the source.
        """
        if not (self._settings.isolate and self._settings.proof == "note" and self.device.info.takes_spirv):
            return {}
        from mace.engine.spirv import find_spirv, take_spirv

        with self.lock:
            found = find_spirv(self._library, planned.plan, missing)
        if not found:
            return {}
        jobs = _jobs(planned, found, {number: bytes(entry.payload) for number, entry in found.items()})
        outcomes = self._in_workers(jobs, polite=polite)
        with self.lock:
            return take_spirv(self._library, found, jobs, outcomes)

    def _in_workers(self, jobs: Sequence[CompileJob], *, polite: bool = False) -> list[Outcome]:
        from mace.opencl.pool import WorkerPool, usable_cores

        finished = 0

        def step(index: int, outcome: Outcome) -> None:
            nonlocal finished
            finished += 1
            self._progress("compile", finished / len(jobs))

        self._progress("compile", 0.0)
        with WorkerPool(self.device, min(usable_cores(), len(jobs)), polite=polite) as pool:
            self._pools.append(pool)
            try:
                return pool.run_all(jobs, progress=step)
            finally:
                self._pools.remove(pool)

    def _compile_here(self, jobs: list[CompileJob]) -> list[Done]:
        if not jobs:
            return []
        from mace.opencl.workshop import Workshop

        workshop = Workshop(self._opening.context())
        return [workshop.do(job) for job in jobs]

    def _adopt(self, plan: Plan, number: int, done: Done, origin: str) -> None:
        """Load what a worker has compiled, and keep it; ``origin`` is what it counts under."""
        unit = plan.units[number]
        self._prover.stamp(done.binary)
        self._loaded[unit] = self._opening.context().build_from_binary(done.binary, plan.build_options)
        self._stats.count_program(origin)
        sizes = {launch.kernel: launch.local_size for launch in plan.launches}
        records = [
            KernelRecord(k.name, plan.build_options, unit, sizes.get(i))
            for i, k in enumerate(plan.kernels)
            if k.unit == number
        ]
        device, meta = self._opening.device.identity, note_outputs(done.outputs)
        self._library.add(Entry.make(EntryKind.PROGRAM, unit, done.binary, device=device, kernels=records, meta=meta))

    def _load_side_by_side(self, plan: Plan) -> None:
        """Load units that have proved themselves, each in a thread: reading one takes drivers some ten milliseconds.

        What is not there, not proved or refused is left to :meth:`_load`.
        """
        self.look_ahead(plan)
        candidates = {unit: found for unit in plan.units if (found := self._found.get(unit)) and found.proved}
        context = self._opening.context()

        def load(unit: str) -> None:
            with suppress(DeviceError):
                program = context.build_from_binary(candidates[unit].entry.payload, plan.build_options)
                program.kernel(first[unit])  # some drivers link the program when its first kernel is made
                self._built[unit] = program

        first = {plan.units[k.unit]: k.name for k in reversed(plan.kernels)}
        ready = list(candidates)
        threads = [threading.Thread(target=load, args=(unit,)) for unit in ready[1:]]
        for thread in threads:
            thread.start()
        for unit in ready[:1]:
            load(unit)
        for thread in threads:
            thread.join()

    def _load(self, unit: str, number: int, plan: Plan, constants: memoryview | Array) -> Program | None:
        if unit in self._loaded:
            return self._loaded[unit]
        while (found := self._next(unit)) is not None:
            entry = found.entry
            if self._settings.proof == "source" and unit not in self._sources and not found.proved:
                return None  # its source comes with planning, and then it is looked at again
            try:
                if not (found.proved or self._proves_itself(entry, plan, number, constants)):
                    continue
                built = self._built.pop(unit, None)
                program = built or self._opening.context().build_from_binary(entry.payload, plan.build_options)
            except DeviceError as error:
                self._library.reject(entry, detail=str(error))
                continue
            self._stats.count_program(found.where)
            self._loaded[unit] = program
            return program
        return None

    def _next(self, unit: str) -> _Candidate | None:
        """The program to try now for a unit."""
        return self._found.pop(unit) if unit in self._found else self._look(unit)

    def _look(self, unit: str) -> _Candidate | None:
        entry = self._library.find(EntryKind.PROGRAM, unit)
        if entry is None:
            return None
        proved = not self._settings.isolate or self._prover.has_proved(entry.payload)
        return _Candidate(entry, self._library.looks[-1].where, proved)

    def _proves_itself(self, entry: Entry, plan: Plan, number: int, constants: memoryview | Array) -> bool:
        """Try a binary that has not proved itself on this device and driver in a worker now; whether it did well."""
        from mace.engine.trials import trials_of
        from mace.opencl.jobs import CompileJob

        unit, wanted = trials_of(plan, number, constants), None
        if self._settings.proof == "source":
            job = CompileJob(self._sources[entry.key], plan.build_options, unit.trials, unit.constants)
            done = self._compile([job])
            wanted = done[0].outputs if done else {}
        failure = self._prover.try_entry(entry, plan.build_options, unit, wanted)
        if failure is not None:
            self._library.reject(entry, failure.reason, failure.detail, lasting=failure.lasting)
        return failure is None


def _jobs(planned: Planned, units: Iterable[int], spirv: Mapping[int, bytes] | None = None) -> list[CompileJob]:
    """The compilation of these units, each with a trial of its kernels; of those in ``spirv`` from it, not from the source."""
    from mace.engine.trials import trials_of
    from mace.opencl.jobs import CompileJob

    plan, spirv, jobs = planned.plan, spirv or {}, []
    for number in units:
        unit = trials_of(plan, number, planned.constants)
        source = spirv.get(number) or planned.sources[number]
        jobs.append(CompileJob(source, plan.build_options, unit.trials, unit.constants))
    return jobs
