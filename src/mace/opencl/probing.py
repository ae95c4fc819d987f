"""Asking drivers what they have, each in a child process with a time limit (``probe`` is the child's side)."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterable

from mace.opencl.child import STDERR_TAIL, can_start, child_environment, kill, python_command, signal_name, start
from mace.opencl.describe import DeviceInfo
from mace.opencl.drivers import Driver
from mace.opencl.probed import Fault, Probed, Status, platforms_from_json

PROBE_SECONDS = 60.0
"""How long a driver may take to say what it has and to run a first kernel on each device."""


def probe(drivers: Iterable[Driver], *, seconds: float = PROBE_SECONDS) -> list[Probed]:
    """Ask several drivers at once; what each one has, or how it failed, in their order. Never raises for what they do.

    Where no child process can be started they are asked in this one, without protection.
    """
    if not can_start():
        return [_ask_here(driver) for driver in drivers]
    children = [_Child(driver) for driver in drivers]
    deadline = time.monotonic() + seconds
    return [child.result(max(0.0, deadline - time.monotonic()), seconds) for child in children]


class _Child:
    """One probing process."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115  (read after the child's end)
        command = python_command("mace.opencl.probe", driver.library)
        self.process = start(command, child_environment(), self.stderr)

    def result(self, seconds: float, limit: float) -> Probed:
        """Wait for the answer, for so many seconds of the limit that all children share."""
        try:
            output, _ = self.process.communicate(timeout=seconds)
            status, reason = self._end(self.process.returncode)
        except subprocess.TimeoutExpired:
            kill(self.process)
            output, _ = self.process.communicate()
            status, reason = "hung", f"no answer within {limit:g} s"
        finally:
            words = self._last_words()
            self.stderr.close()
        return _read(self.driver, output, status, reason + words)

    def _end(self, returncode: int) -> tuple[Status, str]:
        """How a process that was not done has ended."""
        name = signal_name(returncode)
        return "crashed", f"ended by {name}" if name else f"ended with exit code {returncode}"

    def _last_words(self) -> str:
        """The last line that the driver printed."""
        self.stderr.seek(0)
        text = self.stderr.read().decode(errors="replace").strip()[-STDERR_TAIL:]
        return f": {text.splitlines()[-1].strip()}" if text else ""


def _ask_here(driver: Driver) -> Probed:
    """Ask a driver in this process."""
    from mace.opencl.probe import report

    lines: list[str] = []
    report(driver.library, lambda what: lines.append(json.dumps(what)))
    return _read(driver, "\n".join(lines).encode(), "failed", "gave no answer")


def _read(driver: Driver, output: bytes, status: Status, reason: str) -> Probed:
    """Make sense of an answer's lines, as far as it got; status and reason say how it ended where it broke off."""
    platforms: tuple[tuple[DeviceInfo, ...], ...] | None = None
    faults: list[Fault] = []
    trying: tuple[int, int] | None = None
    for line in output.splitlines():
        try:
            match json.loads(line):
                case {"error": str(why)}:
                    return Probed(driver, "failed", why, probed_at=time.time())
                case {"platforms": list(found)}:
                    platforms = platforms_from_json(found)
                case {"trying": [int(i), int(j)]}:
                    trying = i, j
                case {"fault": str(why)} if trying is not None:
                    faults.append(Fault(*trying, why))
                case {"done": True}:
                    trying = None
        except (ValueError, TypeError):
            break
    if platforms is None:
        return Probed(driver, status, reason, probed_at=time.time())
    if trying is not None:
        faults.append(Fault(*trying, f"{status} over its first kernel: {reason}"))
    return Probed(driver, "ok", "", platforms, tuple(faults), time.time())
