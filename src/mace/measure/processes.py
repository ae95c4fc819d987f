"""Fresh processes for measurements, with every cache that a driver keeps by itself emptied before each start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mace.errors import DeviceError, MaceError
from mace.measure.task import Result, Task
from mace.opencl.child import STDERR_TAIL, child_environment, kill, python_command, signal_name

TIMEOUT = 900.0
"""Seconds after which a measuring process is given up."""


class Workshop:
    """A folder for the caches of drivers, and the environment that leads them there.

    Drivers that keep compiled kernels by themselves (PoCL, CUDA, Intel's GPU driver, Mesa) would make every start but
    the first a warm one, whatever mace does; with the folder emptied before each process a cold start is a cold start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drivers = folder / "driver-caches"
        caches = {name: str(self._drivers / name.lower()) for name in _CACHE_FOLDERS}
        self._environment: Mapping[str, str] = child_environment({**caches, "NEO_CACHE_PERSISTENT": "0"})
        self._clear()
        self._introduce()

    def run(self, task: Task) -> Result:
        """Do a task in a fresh process. Raises ``MaceError`` with the process's last words when it fails."""
        self._clear()
        process = subprocess.Popen(
            python_command("mace.measure.child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(self._environment),
            start_new_session=os.name == "posix",
        )
        text = replace(task, began=time.perf_counter()).to_json()
        try:
            out, err = process.communicate(text.encode(), timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            kill(process)
            raise DeviceError(f"a measuring process gave no answer within {TIMEOUT:g} s") from None
        except BaseException:
            kill(process)
            raise
        if process.returncode:
            words = err.decode(errors="replace").strip()[-STDERR_TAIL:]
            last = words.splitlines()[-1] if words else "without a word"
            signal = signal_name(process.returncode)
            raise MaceError(f"a measuring process ended{f' by {signal}' if signal else ''}: {last}")
        result: Result = json.loads(out)
        return result

    def _clear(self) -> None:
        shutil.rmtree(self._drivers, ignore_errors=True)
        for name in _CACHE_FOLDERS:
            (self._drivers / name.lower()).mkdir(parents=True, exist_ok=True)

    def _introduce(self) -> None:
        """Let mace meet the drivers once under this environment: asking them what they offer is no part of a start."""
        code = "from mace.opencl import find_devices; find_devices()"
        python = python_command("mace")[0]
        subprocess.run([python, "-c", code], env=dict(self._environment), capture_output=True, check=False)


_CACHE_FOLDERS = ("POCL_CACHE_DIR", "CUDA_CACHE_PATH", "MESA_SHADER_CACHE_DIR", "NEO_CACHE_DIR")
"""Variables that name the folder in which a driver keeps compiled kernels of its own accord."""
