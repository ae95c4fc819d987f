"""Starting child processes that import this same mace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

STDERR_TAIL = 4000
"""Characters of a dead child's last words that are kept."""


def python_command(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module of mace in a process of its own."""
    return [sys.executable, "-m", module, *arguments]


def can_start() -> bool:
    """Whether this interpreter can be started again: an embedded or frozen one has another program in its place."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def child_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with the same import path, and without pyopencl's own program cache."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *(entry for entry in sys.path if entry and entry != root)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYOPENCL_NO_CACHE": "1", **(changes or {})}


def start(command: Sequence[str], environment: Mapping[str, str], stderr: IO[Any] | int) -> subprocess.Popen[bytes]:
    """Start a child with pipes for its standard input and output."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=dict(environment),
        close_fds=True,
        start_new_session=os.name == "posix",
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a child that will not be waited for any longer, with whatever it started itself."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def signal_name(returncode: int | None) -> str:
    """Name of the signal that ended a process, or an empty text when none did."""
    if returncode is None or returncode >= 0:
        return ""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
