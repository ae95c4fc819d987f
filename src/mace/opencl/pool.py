"""Several workers side by side: jobs are shared among them, and a crash costs one job and one worker."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from mace.errors import DeviceError
from mace.opencl.device import Device
from mace.opencl.isolation import SILENT_SECONDS, Worker
from mace.opencl.jobs import AnyJob, Outcome, WorkerCrash

Progress: TypeAlias = Callable[[int, Outcome], None]
"""Called with a job's place in the list and its outcome, as soon as it is known; from one thread at a time."""


class WorkerPool:
    """Up to ``size`` workers on one device, started when there is work and kept for the next."""

    def __init__(
        self, device: Device, size: int | None = None, *, command: Sequence[str] | None = None, polite: bool = False
    ) -> None:
        """``polite`` workers leave the processor to whoever else wants it."""
        self.device = device
        self.size = max(1, size or usable_cores())
        self._command = command
        self._polite = polite
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._called_off = False

    def start(self, count: int | None = None) -> None:
        """Start workers now, without waiting, so that they are ready when the first jobs come."""
        while len(self._idle) < min(self.size, count or self.size):
            self._idle.append(self._worker())

    def run_all(
        self, jobs: Sequence[AnyJob], *, seconds: float = SILENT_SECONDS, progress: Progress | None = None
    ) -> list[Outcome]:
        """Do every job, each step of it within ``seconds``; outcomes in the jobs' order.

        Longer jobs are begun first, as far as their size tells. Raises ``DeviceError`` where no process can be started,
        and when it is called off.
        """
        outcomes: dict[int, Outcome] = {}
        order: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in sorted(range(len(jobs)), key=lambda i: -len(jobs[i].payload)):
            order.put(index)
        self.start(len(jobs))
        reporting = threading.Lock()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                while not failures and not self._called_off:
                    index = order.get_nowait()
                    outcome = self._one(jobs[index], seconds)
                    with reporting:
                        outcomes[index] = outcome
                        if progress is not None:
                            progress(index, outcome)
            except queue.Empty:
                return
            except BaseException as error:  # noqa: BLE001  (handed on to the caller's thread)
                failures.append(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self.size, len(jobs)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if self._called_off:
            raise DeviceError("the work was called off")
        return [outcomes[index] for index in range(len(jobs))]

    def _one(self, job: AnyJob, seconds: float) -> Outcome:
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = self._worker()
        self._busy.add(worker)
        if self._called_off:
            worker.strike()
        outcome = worker.run(job, seconds)
        self._busy.discard(worker)
        if isinstance(outcome, WorkerCrash) or not worker.usable:
            worker.close()
        else:
            self._idle.append(worker)
        return outcome

    def _worker(self) -> Worker:
        worker = Worker(self.device, self._command)
        if self._polite:
            worker.lower_priority()
        return worker

    def call_off(self) -> None:
        """End what :meth:`run_all` is doing in another thread, which then raises; for good."""
        self._called_off = True
        for worker in tuple(self._busy):
            worker.strike()

    def close(self) -> None:
        """End every worker."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def compile_all(
    device: Device,
    jobs: Sequence[AnyJob],
    *,
    workers: int | None = None,
    seconds: float = SILENT_SECONDS,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Do jobs in worker processes that are started for them and ended afterwards; outcomes in the jobs' order."""
    if not jobs:
        return []
    with WorkerPool(device, min(workers or usable_cores(), len(jobs))) as pool:
        return pool.run_all(jobs, seconds=seconds, progress=progress)


def usable_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
