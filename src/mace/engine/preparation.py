"""Gets a plan ready to run: from what is stored, or else by planning, compiling and storing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mace.engine.builds import Builder
from mace.errors import ProgramFileError
from mace.execution.executor import Executor
from mace.files.mapping import read_ahead
from mace.plan.recipe import recipe
from mace.plan.serialise import plan_from_json, plan_to_json
from mace.program.content import Entry, EntryKind
from mace.program.reasons import Reason
from mace.records import replace as changed

if TYPE_CHECKING:
    from mace.engine.background import Background
    from mace.engine.comparison import Comparison, Miscompiled
    from mace.engine.settings import EngineSettings
    from mace.engine.stage import BoundPlan
    from mace.engine.stats import EngineStats
    from mace.graph.ir import Graph, Node
    from mace.opencl.kernel import Program
    from mace.opencl.opening import Opening
    from mace.plan.options import PlanOptions
    from mace.plan.plan import Plan
    from mace.plan.planner import Planned
    from mace.program.library import ProgramLibrary
    from mace.tensor import Array, TensorType
    from mace.tuning.database import TuningDatabase


Replace: TypeAlias = "Callable[[Executor, Executor], None]"


class _Found(NamedTuple):
    plan: Plan
    constants: memoryview


class _Stored(NamedTuple):
    plan: Plan
    programs: list[Program]
    constants: memoryview | Array


class Preparation:
    """Prepares plans for one model on one device. A stage calls it under its lock; what is built in the background goes on
    beside that.
    """

    def __init__(
        self,
        opening: Opening,
        library: ProgramLibrary,
        settings: EngineSettings,
        stats: EngineStats,
        model: Mapping[str, Any],
        tunings: Callable[[], TuningDatabase],
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        self.opening, self.library, self.settings, self.stats = opening, library, settings, stats
        self._ahead: tuple[str, _Found | None] | None = None
        self._tunings = tunings
        self._stale = False
        self._model = dict(model)
        self._builder = Builder(opening, library, settings, stats, progress)
        self._background: Background | None = None
        self._miscompiled: frozenset[str] | None = None

    def prepare(
        self,
        key: str,
        graph: Callable[[], Graph],
        types: Mapping[str, TensorType],
        values: Mapping[str, Array],
        replace: Replace,
    ) -> tuple[Executor, Graph | None]:
        """An executor for the graph at these input types and values, and the part of the graph that must wait.

        Where the settings say so and something must be compiled, the executor is one of general kernels, and ``replace`` is
        later called, from another thread, with it and the one to be used from then on.
        """
        plan_key = self._plan_key(key)
        stored = None if self._stale else self._stored(plan_key)
        if stored is not None and not stored.plan.rest:
            return self._executor(stored.plan, stored.programs, stored.constants), None
        from mace.engine.binding import bind  # what plans is not imported at a warm start

        if stored is not None:
            from mace.plan.split import split_ready

            rest = split_ready(bind(graph(), types, values)).rest
            return self._executor(stored.plan, stored.programs, stored.constants), rest
        with self._timed("bind"):
            bound = bind(graph(), types, values)
        if self.settings.warm_up == "background" and not self._stale:
            general = self._general(bound)
            if general is not None:
                self.background.add(lambda: self._specialise(plan_key, bound, types, general, replace))
                return general, None
        planned, programs = self._build(bound)
        self._keep(plan_key, planned, types)
        return self._executor(planned.plan, programs, planned.constants), planned.rest

    @cached_property
    def options(self) -> PlanOptions:
        """Those of the plans that it makes."""
        return self.settings.plan_on(self.opening.device)

    @property
    def background(self) -> Background:
        """What is built while the engine answers already."""
        if self._background is None:
            from mace.engine.background import Background

            self._background = Background()
        return self._background

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for what is built in the background, at most for so long; whether all of it is there and in use."""
        if self._background is None:
            return True
        return self._background.wait(seconds) and not self._background.errors

    def close(self) -> None:
        """Call off what is built in the background, and wait for its end."""
        if self._background is not None:
            self._background.close(self._builder.call_off)

    def add_spirv(self, plans: Sequence[BoundPlan]) -> None:
        """Make SPIR-V of every program of these plans, and keep it. Raises ``DeviceError``."""
        from mace.plan.planner import make_plan

        for bound in plans:
            traits, options = self._builder.device.traits, self.options
            with self._timed("spirv"):
                self._builder.add_spirv(make_plan(bound.graph(), traits, self._tunings(), options, self.avoid))
        self.library.save()

    def plan_anew(self) -> None:
        """Pass over stored plans from now on: there are better tuned parameters than those they were made with."""
        self._stale = True

    def look_ahead(self, key: str) -> None:
        """Find the stored plan for this key and its programs, so that they are there when they are asked for; needs no open
        device."""
        plan_key = self._plan_key(key)
        found = self._find(plan_key)
        self._ahead = plan_key, found
        if found is not None:
            with self._timed("find"):
                self._builder.look_ahead(found.plan)
            read_ahead(found.constants)  # last, for while a driver is being loaded no thread can be started

    def _plan_key(self, key: str) -> str:
        """What a plan is kept under: what it is for, under which settings, and the sources that make it."""
        return f"{key}-{self.options.digest()}-{recipe()}{self._without()}"

    @property
    def avoid(self) -> frozenset[str]:
        """Kernels that plans for this device have to do without."""
        if self._miscompiled is None:
            self._miscompiled = self._recorded() if self.library.knows_miscompiled else frozenset()
        return self._miscompiled

    def _recorded(self) -> frozenset[str]:
        from mace.program.quarantine import MiscompiledKernels  # not imported where nothing is recorded

        return MiscompiledKernels(self.opening.device.identity).names()

    def _without(self) -> str:
        """The end of the keys of plans that do without some kernels."""
        return f"-{hashlib.sha256(repr(sorted(self.avoid)).encode()).hexdigest()[:16]}" if self.avoid else ""

    def compare(self, plans: Sequence[BoundPlan]) -> Comparison:
        """Compare the kernels of these plans with their general variants, as far as that was not done before."""
        from mace.engine.comparison import Comparer

        comparer = Comparer(self.opening.device, self._builder.device.traits, self._tunings(), self.options)
        with self._timed("compare"):
            return comparer.compare(plans, self.library.content(), self.avoid)

    def do_without(self, wrong: Sequence[Miscompiled], plans: Sequence[Plan]) -> None:
        """Record kernels that compute wrongly, and refuse the binaries of these plans that hold such kernels."""
        from mace.program.quarantine import MiscompiledKernels

        record = MiscompiledKernels(self.opening.device.identity)
        for found in wrong:
            record.add(found.kernels, f"{found.op}: {found.detail}")
        bad = frozenset[str]().union(*(w.kernels for w in wrong))
        units = {p.units[k.unit] for p in plans for k in p.kernels if not bad.isdisjoint(k.names)}
        with self._builder.lock:
            for entry in self.library.content().entries:
                if entry.kind is EntryKind.PROGRAM and entry.key in units:
                    self.library.reject(entry, Reason.MISCOMPILED, ", ".join(sorted(bad)))
        self._miscompiled = self.avoid | record.names() | bad

    def keep_only(self, plans: Sequence[Plan]) -> None:
        """Save none but these plans and what they need from now on."""
        needed = {u for p in plans for u in (*p.units, p.constants_key)}
        suffix = self._without()

        def keep(entry: Entry) -> bool:
            if entry.kind is EntryKind.PLAN:
                return entry.key.endswith(suffix)
            return entry.key in needed or entry.kind not in (EntryKind.PROGRAM, EntryKind.IL, EntryKind.WEIGHTS)

        with self._builder.lock:
            self.library.restrict(keep)

    def _stored(self, plan_key: str) -> _Stored | None:
        """The plan under this key with everything it needs, or None when any of it is missing or refused."""
        ahead, self._ahead = self._ahead, None
        found = ahead[1] if ahead is not None and ahead[0] == plan_key else self._find(plan_key)
        if found is None:
            return None
        if ahead is None or ahead[1] is not found:
            read_ahead(found.constants)
        with self._timed("load"):
            programs = self._builder.load_all(found.plan, found.constants)
        if programs is None:
            return None
        self.stats.plans_loaded += 1
        return _Stored(found.plan, programs, found.constants)

    def _find(self, plan_key: str) -> _Found | None:
        """The stored plan under this key with its constants."""
        with self._timed("find"), self._builder.lock:
            entry = self.library.find(EntryKind.PLAN, plan_key)
            if entry is None:
                return None
            try:
                plan = plan_from_json(entry.payload)
            except ProgramFileError:
                return None
            constants = memoryview(b"")
            if plan.constants_bytes:
                found = self.library.find(EntryKind.WEIGHTS, plan.constants_key)
                if found is None or found.nbytes != plan.constants_bytes:
                    return None
                constants = memoryview(found.payload)
            return _Found(plan, constants)

    def _build(self, bound: Graph, *, polite: bool = False) -> tuple[Planned, list[Program]]:
        """Plan and compile; where the driver dies of wide vectors, once more with narrower ones."""
        from mace.plan.planner import make_plan

        while True:
            with self._timed("plan"):
                planned = make_plan(bound, self._builder.device.traits, self._tunings(), self.options, self.avoid)
            with self._timed("compile"):
                programs = self._builder.build(planned, polite=polite)
            if programs is not None:
                return planned, programs

    def _general(self, bound: Graph) -> Executor | None:
        """An executor of general kernels, which compile in a part of the time; None for a graph that has to be cut."""
        from mace.plan.planner import make_plan

        options = changed(self.options, quick=True)
        programs = None
        while programs is None:
            with self._timed("plan"):
                planned = make_plan(bound, self._builder.device.traits, self._tunings(), options, self.avoid)
            if planned.rest is not None:
                return None
            with self._timed("compile general"):
                programs = self._builder.build_for_now(planned)
        return self._executor(planned.plan, programs, planned.constants)

    def _specialise(
        self, plan_key: str, bound: Graph, types: Mapping[str, TensorType], general: Executor, replace: Replace
    ) -> None:
        """Build what was asked for, keep it, and have it take the general executor's place."""
        planned, programs = self._build(bound, polite=True)
        self._keep(plan_key, planned, types)
        replace(general, self._executor(planned.plan, programs, planned.constants))
        self.stats.count_plan(general.plan, -1)
        self.stats.plans_replaced += 1

    def _keep(self, plan_key: str, planned: Planned, types: Mapping[str, TensorType]) -> None:
        device = self.opening.device.identity
        shapes = {n: str(t) for n, t in types.items()}
        meta = {"model": self._model, "inputs": shapes}
        plan = planned.plan
        with self._builder.lock:
            self.library.add(Entry.make(EntryKind.PLAN, plan_key, plan_to_json(plan), device=device, meta=meta))
            if plan.constants_bytes:
                blob = memoryview(planned.constants.data)
                self.library.add(Entry.make(EntryKind.WEIGHTS, plan.constants_key, blob, meta={"model": self._model}))
            with self._timed("save"):
                self.library.save()

    def _executor(self, plan: Plan, programs: Sequence[Program], constants: memoryview | Array) -> Executor:
        with self._timed("prepare"):
            executor = Executor(plan, self.opening.context(), programs, constants, window=self.settings.window)
        self.stats.count_plan(plan)
        if plan.host_steps:
            self._warn(plan)
        return executor

    def note_host_loop(self, loop: Node) -> None:
        """Count a loop that the host runs after all, and warn of it."""
        self.stats.host_steps += 1
        self.stats.host_steps_float += 1
        label = loop.name or loop.outputs[0]
        _warn(f"the host runs {loop.op} '{label}': the shapes of its values change from turn to turn")

    def _warn(self, plan: Plan) -> None:
        operators = sorted({s.node["op"] for s in plan.host_steps if s.touches_float})
        if operators:
            _warn(f"float tensors leave the device for {', '.join(operators)}: there is no kernel for these nodes")

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stats.add_seconds(what, time.perf_counter() - began)


def _warn(text: str) -> None:
    import warnings

    from mace.errors import HostFallbackWarning

    warnings.warn(text, HostFallbackWarning, stacklevel=3)
