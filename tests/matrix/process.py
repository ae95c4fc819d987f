"""The process under test, seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.matrix.implementations import Implementation

ROOT = Path(__file__).parents[2]


@dataclass
class Host:
    """The process under test, on one implementation; started again when it has died."""

    implementation: Implementation
    folder: Path
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def ask(self, **job: Any) -> dict[str, Any] | None:
        """The answer to a job, or None when the process died of it."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if line:
            found: dict[str, Any] = json.loads(line)
            if self.implementation.one_load_each:
                self.close()
            return found
        self.close()
        return None

    def _start(self) -> subprocess.Popen[str]:
        home = self.folder / f"home-{self.implementation.name}"
        home.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("POCL", "XDG"))}
        kept |= {"HOME": str(home), "MACE_STATE_DIR": str(home / "state"), "PYOPENCL_NO_CACHE": "1"}
        path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
        names = [str(self.folder / "model.mace"), self.implementation.device, str(self.folder / "data.npz")]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.matrix.host", *names],
            env=kept | {"PYTHONPATH": path} | self.implementation.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process as it ends by itself, or else by force."""
        if self._process is not None:
            try:
                self._process.communicate(timeout=10)
            except (subprocess.TimeoutExpired, OSError):
                self._process.kill()
                self._process.communicate()
            self._process = None

    def driver_files(self) -> list[str]:
        """What drivers have left on the disk in the home of this process, other than Mesa's cache of its own shaders."""
        home = self.folder / f"home-{self.implementation.name}"
        files = (str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
        return [f for f in files if not f.startswith(("state", ".cache/mace", ".cache/mesa", ".local"))]

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
