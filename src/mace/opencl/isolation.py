"""A worker process seen from its parent: jobs go in, outcomes come back, and a crash is an outcome too."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, cast

from mace.errors import DeviceError
from mace.opencl.child import STDERR_TAIL, can_start, child_environment, kill, python_command, signal_name, start
from mace.opencl.device import Device
from mace.opencl.frames import ConversationError, receive, send
from mace.opencl.jobs import AnyJob, Done, Outcome, Refused, WorkerCrash, refusal_from_json

SILENT_SECONDS = 300.0
"""How long a worker may be at one step of a job: some drivers take minutes to hand out the binary of a large program."""

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""A worker has no use for numpy's threads, which spin for a tenth of a second from their start."""
POLITE = 5
"""Niceness of workers that build while an engine answers: beside one that never rests they get a quarter of the processor."""


class Worker:
    """One worker process on one device. It can do many jobs, one at a time, until it crashes.

    PoCL gets a cache folder of its own, so that nothing a bad binary does to it outlives the worker.
    """

    def __init__(self, device: Device, command: Sequence[str] | None = None) -> None:
        """Start the process without waiting for it. Raises ``DeviceError`` where no process can be started."""
        if command is None and not can_start():
            raise DeviceError("no worker process can be started: this interpreter does not know its own program")
        self._device = device
        self._folder = tempfile.TemporaryDirectory(prefix="mace-worker-", ignore_cleanup_errors=True)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        environment = child_environment({"POCL_CACHE_DIR": self._folder.name, **_ONE_THREAD})
        self._process = start(command or python_command("mace.opencl.worker"), environment, self._stderr)
        self._stage = "starting"
        self._greeted = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def usable(self) -> bool:
        """Whether it has opened its device and can be given another job."""
        return self._greeted and self.alive

    def run(self, job: AnyJob, seconds: float = SILENT_SECONDS) -> Outcome:
        """Do one job, each step of it (building, one kernel, reading the binary) within ``seconds``.

        Never raises for what the driver does; after a crash or a step that took too long the worker is dead.
        """
        watchdog = _Watchdog(self, seconds)
        self._stderr.seek(0, 2)
        said_before = self._stderr.tell()
        try:
            with watchdog:
                if not self._greeted:
                    refused = self._greet(watchdog)
                    if refused is not None:
                        return refused
                send(self._input, job.to_json(), job.payload)
                answer, binary = self._answer(watchdog)
        except ConversationError:
            kill(self._process)
            code = self._process.returncode
            signal = "" if watchdog.struck else signal_name(code)
            return WorkerCrash(signal, code, watchdog.struck, self._stage, self._words_since(said_before))
        if not answer["ok"]:
            return refusal_from_json(answer)
        took = answer["seconds"]
        return Done(binary, answer["log"], took["build"], took["create"], took["run"], answer.get("outputs", {}))

    def close(self) -> None:
        """End the process and remove its folder."""
        if self.alive:
            kill(self._process)
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._folder.cleanup()

    def _greet(self, watchdog: _Watchdog) -> Refused | None:
        device = self._device
        self._stage = f"opening {device.label}"
        send(
            self._input,
            {
                "info": device.info.to_json(),
                "library": device.driver.library,
                "platform": device.platform_index,
                "device": device.device_index,
            },
        )
        answer, _ = self._answer(watchdog)
        if not answer["ok"]:
            return refusal_from_json(answer)
        self._greeted = True
        return None

    def _answer(self, watchdog: _Watchdog) -> tuple[Mapping[str, Any], bytes]:
        """The next message that is not news of what the worker is at; with each of those its time begins anew."""
        while True:
            header, payload = receive(cast("BinaryIO", self._process.stdout))
            if "stage" not in header:
                return header, payload
            self._stage = str(header["stage"])
            watchdog.restart()

    @property
    def _input(self) -> BinaryIO:
        return cast("BinaryIO", self._process.stdin)

    def _words_since(self, position: int) -> str:
        self._stderr.seek(position)
        return self._stderr.read().decode(errors="replace")[-STDERR_TAIL:]

    def lower_priority(self) -> None:
        """Let other processes go before it, where the system knows of that."""
        if hasattr(os, "setpriority"):
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, POLITE)
        # Linux may share the processor among sessions first, and a worker is one of its own.
        with suppress(OSError), open(f"/proc/{self._process.pid}/autogroup", "w") as file:
            file.write(str(POLITE))

    def strike(self) -> None:
        """Kill the process; the conversation then breaks off by itself."""
        self._process.kill()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Watchdog:
    """Kills a worker that has been silent for too long."""

    def __init__(self, worker: Worker, seconds: float) -> None:
        self._worker, self._seconds = worker, seconds
        self._timer = self._new_timer()
        self.struck = False

    def restart(self) -> None:
        """Give the worker its whole time again."""
        self._timer.cancel()
        self._timer = self._new_timer()
        self._timer.start()

    def _new_timer(self) -> threading.Timer:
        timer = threading.Timer(self._seconds, self._bite)
        timer.daemon = True
        return timer

    def _bite(self) -> None:
        self.struck = True
        self._worker.strike()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
