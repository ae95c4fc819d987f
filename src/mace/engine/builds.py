"""Programs for a plan: loaded from the library where it has them, compiled where it has not.

Nothing new reaches the driver in this process first. A source is compiled in a worker process, which creates every kernel
and runs each once before it reads the binary; a binary that has not proved itself on this device and driver is tried in a
worker. Both leave a stamp, and what is stamped is loaded here without further ado.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from mace.engine.settings import EngineSettings
from mace.engine.stats import EngineStats
from mace.errors import DeviceError
from mace.files.stamps import StampBook
from mace.opencl.context import Context
from mace.opencl.device import Device
from mace.opencl.jobs import (
    BufferArgument,
    CompileJob,
    Done,
    LocalArgument,
    Outcome,
    ProofJob,
    Refused,
    ScalarArgument,
    Trial,
    TrialArgument,
)
from mace.opencl.kernel import Program
from mace.plan.plan import LaunchArg, LocalArg, Plan, Region, ScalarArg
from mace.plan.planner import Planned
from mace.program.content import Entry, EntryKind, KernelRecord
from mace.program.library import ProgramLibrary
from mace.program.reasons import Reason

PROVED = "proved"
"""Kind of the stamps that binaries earn by running in a worker."""


class Builder:
    """Loads and compiles program units for one context."""

    def __init__(
        self,
        context: Context,
        library: ProgramLibrary,
        settings: EngineSettings,
        stats: EngineStats,
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        self.device: Device = context.device
        """The device as plans should see it: with narrower vectors once its compiler has died of wide ones."""
        self._context, self._library, self._settings, self._stats = context, library, settings, stats
        self._progress = progress or (lambda what, done: None)
        self._loaded: dict[str, Program] = {}
        self._stamps = StampBook()

    def load_all(self, plan: Plan) -> list[Program] | None:
        """Every unit of the plan from the library, or None when one is missing, refused or not to be trusted to run."""
        programs = []
        for number, unit in enumerate(plan.units):
            program = self._load(unit, number, plan)
            if program is None:
                return None
            programs.append(program)
        return programs

    def build(self, planned: Planned) -> list[Program] | None:
        """Every unit, from the library or else compiled and added to it.

        None when the driver's compiler died of wide vectors: ``device`` has narrower ones now, plan again. Raises
        ``BuildError`` or another ``DeviceError`` when a unit cannot be compiled at all.
        """
        plan = planned.plan
        missing = [n for n, unit in enumerate(plan.units) if self._load(unit, n, plan) is None]
        if missing:
            jobs = [CompileJob(planned.sources[n], plan.build_options, trials_of(plan, n)) for n in missing]
            outcomes = self._compile(jobs)
            if outcomes is None:
                return None
            for number, done in zip(missing, outcomes, strict=True):
                self._adopt(plan, number, done.binary)
        return [self._loaded[unit] for unit in plan.units]

    def _compile(self, jobs: list[CompileJob]) -> list[Done] | None:
        if not self._settings.isolate:
            return self._compile_here(jobs)
        from mace.opencl.pool import compile_all

        finished = 0

        def step(index: int, outcome: Outcome) -> None:
            nonlocal finished
            finished += 1
            self._progress("compile", finished / len(jobs))

        self._progress("compile", 0.0)
        outcomes = compile_all(self.device, jobs, progress=step)
        done: list[Done] = []
        for outcome in outcomes:
            if isinstance(outcome, Done):
                done.append(outcome)
            elif isinstance(outcome, Refused):
                raise outcome.error
            else:
                narrower = self.device.narrowed(remember=True)
                if narrower is None:
                    raise DeviceError(f"{self.device.label}: {outcome}")
                self.device = narrower
                return None
        return done

    def _compile_here(self, jobs: list[CompileJob]) -> list[Done]:
        from mace.opencl.workshop import Workshop

        workshop = Workshop(self._context)
        return [workshop.do(job) for job in jobs]

    def _adopt(self, plan: Plan, number: int, binary: bytes) -> None:
        """Load what a worker has compiled, and keep it."""
        unit = plan.units[number]
        self._stamps.put(PROVED, self._proof_key(binary), {})
        self._loaded[unit] = self._context.build_from_binary(binary, plan.build_options)
        self._stats.count_program("source")
        sizes = {launch.kernel: launch.local_size for launch in plan.launches}
        records = [
            KernelRecord(k.name, plan.build_options, unit, sizes.get(i))
            for i, k in enumerate(plan.kernels)
            if k.unit == number
        ]
        device = self._context.device.identity
        self._library.add(Entry.make(EntryKind.PROGRAM, unit, binary, device=device, kernels=records))

    def _load(self, unit: str, number: int, plan: Plan) -> Program | None:
        if unit in self._loaded:
            return self._loaded[unit]
        while (entry := self._library.find(EntryKind.PROGRAM, unit)) is not None:
            where = self._library.looks[-1].where
            try:
                if not self._is_proved(entry, plan, number):
                    continue
                program = self._context.build_from_binary(entry.payload, plan.build_options)
            except DeviceError as error:
                self._library.reject(entry, detail=str(error))
                continue
            self._stats.count_program(where)
            self._loaded[unit] = program
            return program
        return None

    def _is_proved(self, entry: Entry, plan: Plan, number: int) -> bool:
        """Whether the binary has run on this device and driver; one that has not is tried in a worker now."""
        key = self._proof_key(entry.payload)
        if not self._settings.isolate or self._stamps.get(PROVED, key) is not None:
            return True
        from mace.opencl.pool import compile_all

        job = ProofJob(bytes(entry.payload), plan.build_options, trials_of(plan, number))
        (outcome,) = compile_all(self.device, [job])
        if isinstance(outcome, Done):
            self._stamps.put(PROVED, key, {})
            return True
        refused = isinstance(outcome, Refused)
        detail = str(outcome.error) if isinstance(outcome, Refused) else str(outcome)
        self._library.reject(entry, Reason.REFUSED if refused else Reason.CRASHED, detail)
        return False

    def _proof_key(self, binary: bytes | memoryview) -> str:
        digest = hashlib.sha256(self.device.identity.digest.encode())
        digest.update(binary)
        return digest.hexdigest()


def trials_of(plan: Plan, unit: int) -> tuple[Trial, ...]:
    """One trial run per kernel of a unit, with the sizes of its first launch."""
    seen: set[int] = set()
    trials = []
    for launch in plan.launches:
        kernel = plan.kernels[launch.kernel]
        if kernel.unit == unit and launch.kernel not in seen:
            seen.add(launch.kernel)
            trials.append(Trial(kernel.name, tuple(_arguments(launch.args)), launch.global_size, launch.local_size))
    return tuple(trials)


def _arguments(args: Iterable[LaunchArg]) -> Iterable[TrialArgument]:
    for arg in args:
        match arg:
            case Region():
                yield BufferArgument(arg.nbytes)
            case LocalArg(nbytes):
                yield LocalArgument(nbytes)
            case ScalarArg(value, dtype):
                yield ScalarArgument(value, dtype)
