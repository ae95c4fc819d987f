"""Processes killed while they save, full disks, and many processes at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mace.files.stamps import StampBook
from mace.program.store import ProgramStore
from mace.program.trust import Trust

SAVER = """
import os, sys, warnings
warnings.simplefilter("ignore")
from mace.program.content import Entry, ProgramContent
from mace.program.store import ProgramStore
folder, number, count, size = sys.argv[1], *map(int, sys.argv[2:5])
store = ProgramStore(folder, lock_seconds=20)
print("ready", flush=True)
for n in range(count):
    body = bytes([number]) * size
    print(store.save(ProgramContent((Entry.make("weights", f"{number}-{n}", body),))).reason, flush=True)
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment for child processes whose state folder is this test's."""
    return {**os.environ, "MACE_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def child_trust(tmp_path: Path) -> Trust:
    """What this process must trust to read what the children wrote."""
    return Trust("own", StampBook(tmp_path / "state" / "stamps"))


def save_in_child(env: dict[str, str], folder: Path, *numbers: int, prefix: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-c", prefix + SAVER, str(folder), *map(str, numbers)]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)


def kill_saves(tmp_path: Path, env: dict[str, str], trust: Trust, kills: int, seed: int) -> None:
    store = ProgramStore(tmp_path / "store", trust=trust)
    rng = random.Random(seed)
    for number in range(kills):
        child = save_in_child(env, store.folder, number % 256, 1000, 200_000)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.08))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        found = store.load()
        assert found is not None or not store.path.exists(), f"kill {number} left a file that does not load"


def test_killed_saves_leave_a_whole_file(tmp_path: Path, env: dict[str, str], child_trust: Trust) -> None:
    """A process killed at a random moment of its saves leaves the old file or the new one."""
    kill_saves(tmp_path, env, child_trust, 15, 1)


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path, env: dict[str, str], child_trust: Trust) -> None:
    """The long form, for the record."""
    kill_saves(tmp_path, env, child_trust, 200, 2)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, env: dict[str, str], child_trust: Trust) -> None:
    """A save that runs out of room says so and leaves what was there, and no temporary file."""
    store = ProgramStore(tmp_path / "store", trust=child_trust)
    save_in_child(env, store.folder, 1, 1, 10_000).communicate(timeout=60)
    before = store.path.read_bytes()
    full = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    )
    out, _ = save_in_child(env, store.folder, 2, 1, 1_000_000, prefix=full).communicate(timeout=60)
    assert "not-saved" in out
    assert store.path.read_bytes() == before
    assert not list(store.folder.glob(".*tmp"))


def test_processes_save_at_once(tmp_path: Path, env: dict[str, str], child_trust: Trust) -> None:
    """Four processes on an empty store lose nothing of each other's, and leave one valid file."""
    store = ProgramStore(tmp_path / "store", trust=child_trust)
    children = [save_in_child(env, store.folder, n, 3, 5_000) for n in range(4)]
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert out.split() == ["ready", "saved", "saved", "saved"]
    found = store.load()
    assert found is not None
    assert {e.key for e in found.file.content.entries} == {f"{n}-{k}" for n in range(4) for k in range(3)}
