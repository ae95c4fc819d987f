"""Fuzz every reader of files: nothing but errors of our own tree may come out.

``python tests/fuzz/fuzz_program.py [SECONDS] [READER …]`` fuzzes each reader for so long: guided by coverage where the
package atheris is installed, else by random changes to the seeds. What a reader fails at is left in ``build/fuzz``.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FAILURES = ROOT / "build" / "fuzz"
RSS_MIB = 1_024
LENGTH_MAX = 16_384


class Run(NamedTuple):
    """What came of fuzzing one reader: inputs tried, code blocks reached at the seeds and at the end, memory in MiB."""

    inputs: int
    reached_by_seeds: int = 0
    reached: int = 0
    rss_mib: int = 0


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few random changes: flips, numbers that are often wrong, cuts, repeats."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(max(1, len(changed)))
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data))).to_bytes(4, "little")
            case 2:
                del changed[at : at + rng.randrange(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 64)]
            case _:
                changed[at : at + 1] = rng.randbytes(rng.randrange(1, 4))
    return bytes(changed)


def run_random(name: str, seconds: float, seed: int = 0) -> Run:
    """Give one reader changed seeds for so long."""
    from mace.errors import MaceError
    from tests.fuzz.readers import READERS

    reader, rng, count = READERS[name], random.Random(seed), 0
    corpus, end = list(reader.seeds()), time.monotonic() + seconds
    while time.monotonic() < end or count == 0:
        data = mutate(rng.choice(corpus), rng)
        try:
            reader.read(data)
        except MaceError:
            pass
        except BaseException:
            FAILURES.mkdir(parents=True, exist_ok=True)
            (FAILURES / f"{name}-random").write_bytes(data)
            raise
        count += 1
    return Run(count)


def run_guided(name: str, seconds: int) -> Run:
    """Fuzz one reader with atheris, in a process of its own. Raises ``RuntimeError`` when anything was found."""
    FAILURES.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, __file__, "--one", name, str(seconds)]
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    said = done.stderr + done.stdout
    if done.returncode:
        raise RuntimeError(f"{name}: {said[-4000:]}")
    reached = [int(n) for n in re.findall(r"\bcov: (\d+)", said)]
    inputs, rss = (
        int(re.findall(rf"stat::{s}:\s+(\d+)", said)[0]) for s in ("number_of_executed_units", "peak_rss_mb")
    )
    return Run(inputs, reached[0], reached[-1], rss)


def fuzz_one(name: str, seconds: str) -> None:
    """Hand this process over to atheris; it ends with an exit code."""
    import atheris

    with atheris.instrument_imports(include=["mace"]):
        from mace.errors import MaceError
        from tests.fuzz.readers import READERS
    reader = READERS[name]

    def one_input(data: bytes) -> None:
        try:
            reader.read(data)
        except MaceError:
            return

    folder = tempfile.mkdtemp(prefix="mace-fuzz-")
    for number, seed in enumerate(reader.seeds()):
        Path(folder, str(number)).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={RSS_MIB}", f"-max_len={LENGTH_MAX}", "-timeout=900"]
    atheris.Setup([name, folder, *limits, "-print_final_stats=1", f"-artifact_prefix={FAILURES}/{name}-"], one_input)
    atheris.Fuzz()


def main() -> None:
    """Fuzz until the time is over, and say what came of it."""
    if sys.argv[1:2] == ["--one"]:
        fuzz_one(*sys.argv[2:])
        return
    sys.path.insert(0, str(ROOT))
    from importlib.util import find_spec

    from tests.fuzz.readers import READERS

    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    guided = find_spec("atheris") is not None
    print("guided by coverage" if guided else "atheris is not installed: changed at random")
    for name in sys.argv[2:] or READERS:
        found = run_guided(name, seconds) if guided else run_random(name, seconds)
        print(
            f"{name:24} {found.inputs:9,} inputs, {found.reached_by_seeds} places reached by the seeds,"
            f" {found.reached} at the end, {found.rss_mib} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
