"""Runs the cases: makes each implementation's program file, damages it in every way, and offers it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import mace
from tests.matrix import damage
from tests.matrix.implementations import Implementation, implementations

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"
IMAGES = 2


@dataclass(frozen=True, slots=True)
class Result:
    """One case. ``reason`` is the code under which the file was turned down, or ``used``."""

    device: str
    kind: str
    """One of ``report.KINDS``."""
    what: str
    reason: str
    right: bool
    alive: bool
    detail: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.right and self.alive


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
        names = [str(self.folder / "digits.mace"), self.implementation.device, str(self.folder / "data.npz")]
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


def prepare(folder: Path) -> None:
    """The model, images, and what onnx's reference evaluator makes of them."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    mace.convert(DIGITS / "digits.onnx", folder / "digits.mace")
    with np.load(DIGITS / "digits-test.npz") as data:
        images = data["images"][:IMAGES]
    evaluator = ReferenceEvaluator(onnx.load(DIGITS / "digits.onnx"))
    reference = [np.asarray(evaluator.run(["scores"], {"image": images[i : i + 1]})[0]) for i in range(IMAGES)]
    np.savez(folder / "data.npz", images=images, reference=np.stack(reference))


def compile_on(host: Host) -> bytes:
    """The implementation's own program file. Raises ``RuntimeError`` when it does not compute the digits rightly."""
    path = host.folder / f"{host.implementation.name}.bin"
    found = host.ask(files=[], compile=str(path))
    if found is None or not found["right"]:
        raise RuntimeError(f"{host.implementation.name} fails before anything is damaged: {found}")
    return path.read_bytes()


def run(names: list[str], folder: Path, flips: int, aimed: int) -> Iterator[Result]:
    """Every case on these implementations, result by result."""
    prepare(folder)
    every = implementations()
    hosts = {name: Host(every[name], folder) for name in names}
    try:
        files = {name: compile_on(host) for name, host in hosts.items()}
        for name, host in hosts.items():
            yield from _cases(host, files[name], {n: f for n, f in files.items() if n != name}, flips, aimed)
    finally:
        for host in hosts.values():
            host.close()


def _cases(host: Host, good: bytes, others: dict[str, bytes], flips: int, aimed: int) -> Iterator[Result]:
    for other, data in others.items():
        yield _offer(host, "foreign", other, data, alone=True)
        binaries = [bytes(e.payload) for e in damage.programs_of(data)]
        forged = damage.with_binaries(good, lambda n, _, b=binaries: b[n % len(b)])  # type: ignore[misc]
        yield _offer(host, "disguised", other, forged, alone=True)
    yield _offer(host, "damaged", "cut in half", good[: len(good) // 2], alone=True)
    yield _offer(host, "damaged", "one bit flipped", damage.plain_flip(good), alone=True)
    for what in damage.cuts(b""):
        cut = damage.with_binaries(good, lambda _, binary, w=what: damage.cuts(binary)[w])  # type: ignore[misc]
        yield _offer(host, "cut", what, cut, alone=True)
    for what, number, bit in damage.aimed_flips(good, aimed, seed=1):
        yield _offer(host, "aimed", what, damage.flip(good, number, bit))
    for what, number, bit in damage.random_flips(good, flips, seed=2):
        yield _offer(host, "flip", what, damage.flip(good, number, bit))
    found = host.ask(files=[])
    right = found is not None and found["right"]
    left = host.driver_files()
    reason = "clean" if not left else "driver-cache"
    yield Result(host.implementation.name, "afterwards", "from source", reason, right, found is not None, str(left[:3]))


def _offer(host: Host, kind: str, what: str, data: bytes, *, alone: bool = False) -> Result:
    """Offer a file, with the good one behind it unless ``alone``: then what it lacks is compiled."""
    path = host.folder / "offered.bin"
    path.write_bytes(data)
    good = [] if alone else [str(host.folder / f"{host.implementation.name}.bin")]
    began = time.monotonic()
    found = host.ask(files=[str(path), *good])
    seconds = round(time.monotonic() - began, 2)
    name = host.implementation.name
    if found is None:
        return Result(name, kind, what, "died", False, False, seconds=seconds)
    turned_down = [r for r in found["reasons"] if r not in ("opened", "hit", "no-entry", "bad-binary")]
    reason = turned_down[0] if turned_down else "used"
    detail = found["details"][0][:200] if found["details"] else ""
    return Result(name, kind, what, reason, found["right"], True, detail, seconds)
