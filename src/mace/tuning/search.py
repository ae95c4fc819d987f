"""The search: where a plan's time goes first, the most promising candidates first, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mace.device import DeviceTraits
from mace.graph.ir import Graph
from mace.opencl.context import Context
from mace.ops.tunable import Params
from mace.plan.planner import PlanOptions
from mace.tuning.database import LEVELS, Tuned, TuningDatabase
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

Progress = Callable[[float, str], None]
"""Told how far along the search is, 0 to 1, and the best gain so far in words."""


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


class Tuner:
    """Searches for one model on one device and writes each problem's result to the database as soon as it is known."""

    def __init__(
        self, context: Context, database: TuningDatabase, options: PlanOptions, progress: Progress | None = None
    ) -> None:
        self._context, self._database, self._options = context, database, options
        self._progress = progress or (lambda done, text: None)
        self._bench = Bench(context, options.build_options)
        self._tried = 0

    def run(self, graph: Graph, budget: float, level: str) -> TuningReport:
        """Tune a bound graph for at most about ``budget`` seconds. Raises ``ValueError`` for an unknown level."""
        if level not in LEVELS:
            raise ValueError(f"level '{level}' is none of {', '.join(LEVELS)}")
        began = time.monotonic()
        deadline = began + budget
        traits = self._context.device.traits
        tasks = tuning_tasks(graph, traits, None, self._options)
        known = self._database.own.entries
        open_tasks = [t for t in tasks if t.key not in known or not known[t.key].covers(level)]
        already = len(tasks) - len(open_tasks)
        try:
            timed = self._defaults(open_tasks, traits, deadline)
            done = self._search(timed, traits, deadline, level, began, budget)
        finally:
            self._bench.close()
        self._progress(1.0, f"{done} of {len(open_tasks)} problems")
        return TuningReport(
            len(tasks),
            done,
            already,
            self._tried,
            self._bench.crashes,
            time.monotonic() - began,
            self._gain(tasks),
            done == len(open_tasks),
        )

    def _defaults(
        self, tasks: list[TuningTask], traits: DeviceTraits, deadline: float
    ) -> list[tuple[TuningTask, Candidate, float]]:
        """Each task with its default candidate and that one's time, where most of the plan's time goes first."""
        found: list[tuple[TuningTask, Candidate, float]] = []
        for start in range(0, len(tasks), BATCH):
            if time.monotonic() > deadline:
                break
            for task in tasks[start : start + BATCH]:
                default = task.space.default(task.problem, traits)
                calls = task.calls(default) if default is not None else None
                if default is None or calls is None:
                    continue
                candidate = Candidate(default, tuple(calls))
                for compiled in self._bench.compile(task, [candidate]):
                    seconds = self._bench.time(compiled)
                    if seconds is not None:
                        found.append((task, candidate, seconds))
        return sorted(found, key=lambda f: -f[2] * f[0].launches)

    def _search(
        self,
        timed: list[tuple[TuningTask, Candidate, float]],
        traits: DeviceTraits,
        deadline: float,
        level: str,
        began: float,
        budget: float,
    ) -> int:
        done = 0
        total = sum(s * t.launches for t, _, s in timed) or 1.0
        for task, default, seconds in timed:
            now = time.monotonic()
            if now > deadline:
                break
            # A problem may use its share of what is left, by its share of the time, and at least two seconds.
            share = max(2.0, 2 * (deadline - now) * seconds * task.launches / total)
            tuned, finished = self._tune(task, default, seconds, traits, min(deadline, now + share), level)
            total -= seconds * task.launches
            self._database.put(task.key, tuned)
            self._database.save()
            done += finished
            text = f"{task.space.name}: {tuned.gain:.2f}x; {self._tried} tried"
            self._progress(min(1.0, (time.monotonic() - began) / budget), text)
        return done

    def _tune(
        self, task: TuningTask, default: Candidate, seconds: float, traits: DeviceTraits, until: float, level: str
    ) -> tuple[Tuned, bool]:
        """The best parameters for a task, and whether the search of this level came to its end."""
        ranked = [p for p in self._order(task, traits) if dict(p) != dict(default.params)][: CANDIDATES[level]]
        timed: list[tuple[float, Compiled]] = []
        best, barren, position = seconds, 0, 0
        while position < len(ranked) and barren < PATIENCE[level] and time.monotonic() < until:
            batch = ranked[position : position + BATCH]
            position += len(batch)
            candidates = [Candidate(p, tuple(calls)) for p in batch if (calls := task.calls(p))]
            for compiled in self._bench.compile(task, candidates):
                taken = self._bench.time(compiled)
                self._tried += 1
                barren += 1
                if taken is not None and taken * WORTHWHILE < best:
                    best, barren = taken, 0
                    timed.append((taken, compiled))
        finished = position >= len(ranked) or barren >= PATIENCE[level]
        params, best = self._choose(task, default.params, seconds, timed)
        reached = level if finished else LEVELS[max(0, LEVELS.index(level) - 1)]
        return Tuned(params, best * 1e6, seconds * 1e6, position, reached), finished

    def _choose(
        self, task: TuningTask, default: Params, seconds: float, timed: list[tuple[float, Compiled]]
    ) -> tuple[Params, float]:
        """The fastest candidate that computes the right thing, timed once more against the noise; else the default."""
        for taken, compiled in sorted(timed, key=lambda t: t[0])[:3]:
            again = self._bench.time(compiled, budget=0.1)
            if again is None or min(taken, again) * WORTHWHILE >= seconds:
                continue
            if is_right(task, compiled.candidate.params, self._context, self._options):
                return compiled.candidate.params, min(taken, again)
        return default, seconds

    def _order(self, task: TuningTask, traits: DeviceTraits) -> list[Params]:
        """Candidates as the cost model ranks them, with what was best on related devices in front."""
        ranked = task.space.ranked(task.problem, traits)
        hints = [dict(t.params) for t in self._database.found(task.space, task.problem)]
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
