"""The search: where a plan's time goes first, the most promising candidates first, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mace.device import DeviceTraits
from mace.graph.ir import Graph
from mace.opencl.context import Context
from mace.ops.tunable import Params
from mace.plan.options import PlanOptions
from mace.tuning.database import BROKEN_OFF, LEVELS, Tuned, TuningDatabase
from mace.tuning.tasks import TuningTask, tuning_tasks
from mace.tuning.trials import Bench, Candidate, Compiled, is_right

CANDIDATES = {"fast": 6, "normal": 24, "exhaustive": 10_000}
"""Candidates per problem and level, counted from the cost model's best."""
PATIENCE = {"fast": 4, "normal": 12, "exhaustive": 10_000}
"""Candidates in a row that may bring nothing before a problem is left."""
BATCH = 4
"""Candidates compiled side by side between two looks at the clock."""
WORTHWHILE = 1.02
"""A candidate must be this much faster than the default to replace it: less is noise."""

Progress = Callable[[str, float], None]
"""Told the best gain so far in words, and how much of the budget is spent, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What a search did. Times in seconds; ``gain`` is the estimated speed-up of all tuned launches together."""

    problems: int
    done: int
    already: int
    tried: int
    crashes: int
    seconds: float
    gain: float
    complete: bool


class _Clock:
    """A budget of seconds that runs down."""

    def __init__(self, seconds: float) -> None:
        self._began, self._seconds = time.monotonic(), seconds

    @property
    def spent(self) -> float:
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        return self._seconds - self.spent

    @property
    def spent_share(self) -> float:
        return min(1.0, self.spent / self._seconds) if self._seconds else 1.0


class Tuner:
    """Searches for one model on one device and writes each problem's result to the database as soon as it is known."""

    def __init__(
        self, context: Context, database: TuningDatabase, options: PlanOptions, progress: Progress | None = None
    ) -> None:
        self._context, self._database, self._options = context, database, options
        self._progress = progress or (lambda text, share: None)
        self._bench = Bench(context, options.build_options)
        self._tried = 0
        self._tasks: list[TuningTask] = []

    def run(self, graph: Graph, budget: float, level: str) -> TuningReport:
        """Tune a bound graph for at most about ``budget`` seconds. Raises ``ValueError`` for an unknown level."""
        if level not in LEVELS:
            raise ValueError(f"level '{level}' is none of {', '.join(LEVELS)}")
        clock = _Clock(budget)
        traits = self._context.device.traits
        self._bench.weights = sum(array.nbytes for array in graph.constants.values())
        self._tasks = tasks = tuning_tasks(graph, traits, None, self._options)
        known = self._database.own.entries
        open_tasks = [t for t in tasks if t.key not in known or not known[t.key].covers(level)]
        self._progress(f"timing {len(open_tasks)} problems untuned", 0.0)
        try:
            done = self._search(self._defaults(open_tasks, traits), traits, clock, level)
        finally:
            self._bench.close()
        self._progress(f"{done} of {len(open_tasks)} problems", 1.0)
        return TuningReport(
            problems=len(tasks),
            done=done,
            already=len(tasks) - len(open_tasks),
            tried=self._tried,
            crashes=self._bench.crashes,
            seconds=clock.spent,
            gain=self._gain(tasks),
            complete=done == len(open_tasks),
        )

    def _defaults(self, tasks: list[TuningTask], traits: DeviceTraits) -> list[tuple[Compiled, float]]:
        """Each task's default candidate with its time in seconds, where most of the plan's time goes first."""
        candidates = [Candidate.of(t, t.space.default(t.problem, traits)) for t in tasks]
        timed = [(c, self._bench.time(c)) for c in self._bench.compile([c for c in candidates if c is not None])]
        found = [(c, seconds) for c, seconds in timed if seconds is not None]
        return sorted(found, key=lambda f: -f[1] * f[0].candidate.task.launches)

    def _search(self, timed: list[tuple[Compiled, float]], traits: DeviceTraits, clock: _Clock, level: str) -> int:
        """Tune one task after the other; returns how many were searched to the end of the level."""
        done = 0
        total = sum(s * c.candidate.task.launches for c, s in timed) or 1.0
        for default, seconds in timed:
            if clock.left <= 0:
                break
            task = default.candidate.task
            weight = seconds * task.launches
            # A task may use twice its share of what is left, by its share of the run time, and at least two seconds.
            share = min(clock.left, max(2.0, 2 * clock.left * weight / total))
            tuned, finished = self._tune(default, seconds, traits, _Clock(share), level)
            total -= weight
            self._database.put(task.key, tuned)
            self._database.save()
            done += finished
            words = (
                f"{self._tried} tried, {self._gain(self._tasks):.2f}x so far, {tuned.gain:.2f}x in {task.space.name}"
            )
            self._progress(words, clock.spent_share)
        return done

    def _tune(
        self, default: Compiled, seconds: float, traits: DeviceTraits, clock: _Clock, level: str
    ) -> tuple[Tuned, bool]:
        """The best parameters for a task, and whether the search of this level came to its end.

        It begins with the best known, and where an earlier search was broken off. The default is timed again beside every
        batch, so that a machine that is busy for a while favours nobody.
        """
        task = default.candidate.task
        ranked = [p for p in self._order(task, traits) if dict(p) != dict(default.candidate.params)]
        ranked = ranked[: CANDIDATES[level]]
        known = self._database.own.entries.get(task.key)
        better = self._known(default, known)
        best, barren = min([seconds, *(taken for taken, _ in better)]), 0
        position = min(known.tried, len(ranked)) if known is not None else 0
        while position < len(ranked) and barren < PATIENCE[level] and clock.left > 0:
            batch = ranked[position : position + BATCH]
            position += len(batch)
            candidates = [c for p in batch if (c := Candidate.of(task, p)) is not None]
            seconds = min(seconds, self._bench.time(default) or seconds)
            best = min(best, seconds)
            for compiled in self._bench.compile(candidates):
                taken = self._bench.time(compiled)
                self._tried += 1
                barren += 1
                if taken is not None and taken * WORTHWHILE < best:
                    best, barren = taken, 0
                    better.append((taken, compiled))
        finished = position >= len(ranked) or barren >= PATIENCE[level]
        params, best = self._choose(default, seconds, better)
        reached = level if finished else known.level if known is not None else BROKEN_OFF
        return Tuned(params, best * 1e6, max(seconds, best) * 1e6, position, reached), finished

    def _known(self, default: Compiled, known: Tuned | None) -> list[tuple[float, Compiled]]:
        """The parameters of an earlier search, compiled and timed, where they are not the default's."""
        if known is None or dict(known.params) == dict(default.candidate.params):
            return []
        candidate = Candidate.of(default.candidate.task, known.params)
        compiled = self._bench.compile([candidate]) if candidate is not None else []
        return [(taken, c) for c in compiled if (taken := self._bench.time(c)) is not None]

    def _choose(self, default: Compiled, seconds: float, better: list[tuple[float, Compiled]]) -> tuple[Params, float]:
        """The fastest candidate that computes the right thing, timed once more beside the default; else the default."""
        for taken, compiled in sorted(better, key=lambda t: t[0])[:3]:
            again = self._bench.time(compiled, budget=0.1)
            seconds = min(seconds, self._bench.time(default, budget=0.1) or seconds)
            if again is None or min(taken, again) * WORTHWHILE >= seconds:
                continue
            if is_right(default.candidate.task, compiled.candidate.params, self._context, self._options):
                return compiled.candidate.params, min(taken, again)
        return default.candidate.params, seconds

    def _order(self, task: TuningTask, traits: DeviceTraits) -> list[Params]:
        """Candidates as the cost model ranks them, with what was best on related devices in front."""
        ranked = task.space.ranked(task.problem, traits)
        hints = [dict(t.params) for t in self._database.hints(task.key)]
        first = [p for p in ranked if dict(p) in hints]
        return [*first, *(p for p in ranked if dict(p) not in hints)]

    def _gain(self, tasks: list[TuningTask]) -> float:
        before = after = 0.0
        for task in tasks:
            tuned = self._database.own.entries.get(task.key)
            if tuned is not None:
                before += tuned.default_microseconds * task.launches
                after += tuned.microseconds * task.launches
        return before / after if after else 1.0
