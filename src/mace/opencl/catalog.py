"""What each driver library of this machine offers, found out in child processes and kept between runs.

Loading every driver at every start is slow, and a broken one would end the process. So a driver is loaded once in a
child process, and what it said is kept in ``devices.json`` in the user's cache folder for as long as the library, the
processor, the device nodes and the settings that drivers read from the environment stay the same. The file only ever
maps libraries that discovery has found by itself to descriptions; it cannot make mace load anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mace.errors import MaceError
from mace.files.atomic import atomic_write
from mace.files.folders import cache_folder
from mace.opencl.child import STDERR_TAIL, can_start, child_environment, kill, python_command, signal_name, start
from mace.opencl.describe import DeviceInfo
from mace.opencl.drivers import Driver
from mace.opencl.host import cpu_summary, device_nodes

FORMAT = 1
MAX_FILE_BYTES = 4 << 20
PROBE_SECONDS = 30.0
"""How long a driver may take to say what it has."""
FAILURE_KEPT_SECONDS = 24 * 3600.0
"""A driver that failed is tried again after this time."""
DRIVER_SETTINGS = (
    *("CL_", "CUDA_VISIBLE", "GALLIUM_", "GPU_", "HIP_", "HSA_", "LD_", "LIBGL_", "LP_"),
    *("MESA_", "OCL", "POCL_", "ROCR_", "RUSTICL_", "VK_", "ZE_"),
)
"""Beginnings of environment variables that change what drivers offer."""

Status = Literal["ok", "failed", "crashed", "hung"]


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of asking one driver: its devices per platform, or why there are none."""

    driver: Driver
    status: Status
    reason: str = ""
    platforms: tuple[tuple[DeviceInfo, ...], ...] = ()
    probed_at: float = 0.0
    vector_limit: int = 0
    """Widest vector, in float32 lanes, that the driver's compiler was seen to survive; 0 when none has failed."""

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "reason": self.reason,
            "platforms": [[info.to_json() for info in platform] for platform in self.platforms],
            "probed_at": self.probed_at,
            "vector_limit": self.vector_limit,
        }

    @classmethod
    def from_json(cls, driver: Driver, data: Mapping[str, Any]) -> Probed:
        """Raises ``ValueError``, ``TypeError`` or ``KeyError`` when the record is not one of ours."""
        status = data["status"]
        if status not in ("ok", "failed", "crashed", "hung"):
            raise ValueError(f"unknown status {status!r}")
        platforms = tuple(tuple(DeviceInfo.from_json(info) for info in platform) for platform in data["platforms"])
        limit = int(data.get("vector_limit", 0))
        return cls(driver, status, str(data["reason"]), platforms, float(data["probed_at"]), limit)


def probe_all(drivers: Iterable[Driver], *, refresh: bool = False) -> tuple[Probed, ...]:
    """What each driver offers, from the kept records where they still hold, in the drivers' order."""
    drivers = tuple(drivers)
    records = {} if refresh else _read()
    now = time.time()
    keys = {driver: key_of(driver) for driver in drivers}
    known = {d: p for d in drivers if (p := _recall(d, records.get(keys[d]), now)) is not None}
    missing = [d for d in drivers if d not in known]
    if missing:
        known.update(zip(missing, probe(missing), strict=True))
        _write({keys[d]: known[d].to_json() for d in drivers if d.library})
    return tuple(known[d] for d in drivers)


def limit_vectors(driver: Driver, vector_width: int) -> None:
    """Remember that this driver's compiler dies of vectors wider than so many float32 lanes."""
    (probed,) = probe_all([driver])
    if driver.library and (probed.vector_limit == 0 or vector_width < probed.vector_limit):
        _write({key_of(driver): replace(probed, vector_limit=vector_width).to_json()})


def forget() -> None:
    """Drop every kept record, so that all drivers are asked anew."""
    try:
        _file().unlink(missing_ok=True)
    except OSError:
        return


def key_of(driver: Driver) -> str:
    """Name of a driver's record: changes with anything that may change what the driver offers."""
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith(DRIVER_SETTINGS))
    facts = [FORMAT, driver.library, driver.stamp(), settings, cpu_summary(), device_nodes()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def probe(drivers: Iterable[Driver], *, seconds: float = PROBE_SECONDS) -> list[Probed]:
    """Ask several drivers at once, each in a child process of its own."""
    children = [_Child(driver) for driver in drivers]
    deadline = time.monotonic() + seconds
    return [child.result(max(0.0, deadline - time.monotonic()), seconds) for child in children]


class _Child:
    """One probing process."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115  (read after the child's end)
        environment = child_environment()
        command = python_command("mace.opencl.probe", driver.library)
        self.process = start(command, environment, self.stderr) if can_start() else None

    def result(self, seconds: float, limit: float) -> Probed:
        if self.process is None:
            return self._failed("failed", "no child process can be started to try it in")
        try:
            output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill(self.process)
            return self._failed("hung", f"no answer within {limit:g} s")
        if name := signal_name(self.process.returncode):
            return self._failed("crashed", f"ended by {name}{self._last_words()}")
        try:
            report = json.loads(output)
            if error := report.get("error"):
                return self._failed("failed", str(error))
            return Probed.from_json(self.driver, {**report, "status": "ok", "reason": "", "probed_at": time.time()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return self._failed("crashed", f"ended with exit code {self.process.returncode}{self._last_words()}")

    def _failed(self, status: Status, reason: str) -> Probed:
        return Probed(self.driver, status, reason, (), time.time())

    def _last_words(self) -> str:
        self.stderr.seek(0)
        text = self.stderr.read().decode(errors="replace").strip()[-STDERR_TAIL:]
        return f": {text.splitlines()[-1].strip()}" if text else ""


def _recall(driver: Driver, record: Any, now: float) -> Probed | None:
    if not driver.library or record is None:
        return None
    try:
        probed = Probed.from_json(driver, record)
    except (ValueError, TypeError, KeyError):
        return None
    fresh = probed.status == "ok" or 0 <= now - probed.probed_at < FAILURE_KEPT_SECONDS
    return probed if fresh else None


def _file() -> Path:
    return cache_folder() / "devices.json"


def _read() -> dict[str, Any]:
    try:
        with _file().open("rb") as file:
            data = json.loads(file.read(MAX_FILE_BYTES))
        drivers = data["drivers"] if data["format"] == FORMAT else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return drivers if isinstance(drivers, dict) else {}


def _write(records: dict[str, Any]) -> None:
    """Keep the records; a folder that cannot be written only means asking again next time."""
    text = json.dumps({"format": FORMAT, "drivers": {**_read(), **records}}, indent=1)
    if len(text) > MAX_FILE_BYTES // 2:
        text = json.dumps({"format": FORMAT, "drivers": records}, indent=1)
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(_file(), [text.encode()])
    except (OSError, MaceError):
        return
