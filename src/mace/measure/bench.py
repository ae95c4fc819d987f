"""How fast a model starts and runs on a device: fresh processes, steady rounds, throughput, and where the time goes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from mace.deployment.settings import RunSettings
from mace.measure.data import Range
from mace.measure.processes import Workshop
from mace.measure.records import device_summary, heading, model_summary
from mace.measure.statistics import Summary
from mace.measure.task import Result, Task
from mace.opencl import select_device

Progress = Callable[[str, float], None]
StartKind = Literal["cold", "storage", "program"]

_NEWEST_FIRST: tuple[StartKind, ...] = ("program", "storage", "cold")


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, and how often.

    ``cold`` starts with nothing compiled, ``storage`` starts from a filled storage folder, and ``rounds`` starts from
    the program file, each of which goes on to ``warm_up`` and then ``runs`` timed runs or ``seconds``, whichever comes
    first. ``batches`` and ``threads`` are for throughput; none of them leaves that out.
    """

    device: str = "auto"
    program: str = ""
    """A program file to start from; empty makes one for this measurement."""
    trust: Literal["own", "signed", "any"] = "own"
    cold: int = 2
    storage: int = 3
    rounds: int = 5
    warm_up: int = 5
    runs: int = 60
    seconds: float = 2.0
    batches: tuple[int, ...] = (1, 2, 4, 8)
    threads: tuple[int, ...] = (1, 2, 4)
    profile: bool = True
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    settings: RunSettings = RunSettings()


QUICK = BenchOptions(cold=1, storage=1, rounds=2, runs=20, seconds=0.5, batches=(1,), threads=(1, 2))
"""Enough to see that all is well, too little to compare with."""


def bench(
    models: Sequence[str | os.PathLike[str]],
    options: BenchOptions | None = None,
    *,
    command: list[str] | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """A record for each model. Several are measured side by side, round by round in turn and in turning
    order, so that they can be compared.

    Raises ``MaceError`` when a measuring process fails.
    """
    options = options or BenchOptions()
    device = select_device(options.device)
    session = uuid4().hex
    with tempfile.TemporaryDirectory(prefix="mace-bench-") as folder:
        workshop = Workshop(Path(folder))
        benches = [_Bench(model, options, Path(folder) / str(i), workshop) for i, model in enumerate(models)]
        turns = zip(*(list(b.steps()) for b in benches), strict=True)
        steps = [step for i, turn in enumerate(turns) for step in (turn if i % 2 == 0 else turn[::-1])]
        _go(steps, progress)
        about = device_summary(device)
        return [
            {**heading("bench", command), "session": session, "place": i, "device": about, **b.record()}
            for i, b in enumerate(benches)
        ]


@dataclass(frozen=True, slots=True)
class _Step:
    """One piece of work, with its name and how much of the whole it is likely to be."""

    name: str
    weight: float
    do: Callable[[], None]


def _go(steps: Sequence[_Step], progress: Progress | None) -> None:
    whole, done = sum(s.weight for s in steps), 0.0
    for step in steps:
        if progress:
            progress(step.name, done / whole)
        step.do()
        done += step.weight
    if progress:
        progress("done", 1.0)


class _Bench:
    """The measurement of one model, as steps to be taken in order and the record they lead to."""

    def __init__(self, model: str | os.PathLike[str], options: BenchOptions, folder: Path, workshop: Workshop) -> None:
        folder.mkdir()
        self.model, self.options, self.folder, self.workshop = os.fspath(model), options, folder, workshop
        self.name = Path(model).name
        self.program = options.program or str(folder / "mace_cl_compiled_program.bin")
        self.starts: dict[StartKind, list[Result]] = {"cold": [], "storage": [], "program": []}
        self.throughput: list[dict[str, Any]] = []
        self.profile: dict[str, Any] | None = None
        self.task = Task(
            work="start",
            model=self.model,
            device=options.device,
            trust=options.trust,
            shapes=options.shapes,
            ranges=options.ranges,
            settings=options.settings,
            warm_up=0,
            runs=0,
        )

    def steps(self) -> Iterator[_Step]:
        """Every step. The order matters: a cold start fills the storage, and writes the program file where none is given."""
        o = self.options
        for i in range(max(o.cold, 0 if o.program else 1)):
            yield _Step(f"{self.name}: cold start {i + 1}", 8.0, self._cold)
        for i in range(o.storage):
            yield _Step(f"{self.name}: start from the storage {i + 1}", 1.0, lambda: self._start("storage"))
        for i in range(o.rounds):
            yield _Step(
                f"{self.name}: start from the file and run, round {i + 1}",
                1.0 + o.seconds,
                lambda: self._start("program"),
            )
        if o.batches:
            yield _Step(
                f"{self.name}: throughput",
                5.0 + o.seconds * (len(o.batches) + len(o.threads)),
                self._measure_throughput,
            )
        if o.profile:
            yield _Step(f"{self.name}: launch by launch", 4.0, self._measure_profile)

    def _cold(self) -> None:
        storage = self.folder / "storage"
        shutil.rmtree(storage, ignore_errors=True)
        save = "" if self.options.program or Path(self.program).exists() else self.program
        self.starts["cold"].append(self.workshop.run(replace(self.task, storage=str(storage), save=save)))

    def _start(self, kind: StartKind) -> None:
        if kind == "storage":
            task = replace(self.task, storage=str(self.folder / "storage"))
        else:
            o = self.options
            task = replace(self.task, program=self.program, warm_up=o.warm_up, runs=o.runs, seconds=o.seconds)
        self.starts[kind].append(self.workshop.run(task))

    def _measure_throughput(self) -> None:
        o = self.options
        task = replace(
            self.task,
            work="throughput",
            program=self.program,
            storage=str(self.folder / "more"),
            seconds=min(1.0, o.seconds),
            batches=o.batches,
            threads=o.threads,
        )
        self.throughput = self.workshop.run(task)["throughput"]

    def _measure_profile(self) -> None:
        task = replace(self.task, work="profile", program=self.program, runs=30, seconds=self.options.seconds)
        self.profile = self.workshop.run(task)

    def record(self) -> dict[str, Any]:
        rounds = [r["samples"] for r in self.starts["program"] if r["samples"]]
        last = next((r for kind in _NEWEST_FIRST for r in self.starts[kind]), None)
        program = Path(self.program)
        return {
            "model": model_summary(self.model),
            "program": {
                "path": self.options.program or "made for this measurement",
                "bytes": program.stat().st_size if program.exists() else 0,
            },
            "settings": asdict(self.options.settings),
            "starts": {kind: _starts(results) for kind, results in self.starts.items() if results},
            "latency": _latency(rounds, [r["warm_up"] for r in self.starts["program"]]),
            "throughput": self.throughput,
            "profile": self.profile,
            "memory": _memory(last),
            "taken": time.time(),
        }


def _starts(results: Sequence[Result]) -> dict[str, Any]:
    """Starts of one kind: the seconds of each step in every start, and what was compiled, from what."""
    steps = {name: [r["seconds"][name] for r in results] for name in results[0]["seconds"]}
    return {
        "seconds": steps,
        "answer": _summary(steps["answer"]),
        **{name: [int(r["stats"][name]) for r in results] for name in ("programs_from_source", "programs_from_spirv")},
        "peak_resident": [r["peak_resident"] for r in results],
    }


def _latency(rounds: list[list[float]], warm_up: list[list[float]]) -> dict[str, Any] | None:
    if not rounds:
        return None
    flat = [t for r in rounds for t in r]
    return {
        **_summary(flat),
        "rounds": rounds,
        "round_medians": [_summary(r)["median"] for r in rounds],
        "warm_up": warm_up,
    }


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return asdict(Summary.of(values))


def _memory(result: Result | None) -> dict[str, Any]:
    if result is None:
        return {}
    stats = result["stats"]
    names = ("arena_bytes", "peak_live_bytes", "constants_bytes")
    return {
        "peak_resident": result["peak_resident"],
        "resident_before": result["resident_before"],
        **{name: stats[name] for name in names},
    }
