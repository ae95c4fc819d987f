"""What opening costs, in processor time of this process; the best of several tries counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mace.device import DeviceIdentity
from mace.program.content import Entry, ProgramContent
from mace.program.library import ProgramLibrary
from mace.program.opening import save_own
from mace.program.store import ProgramStore
from mace.program.trust import Trust


def best_seconds(action: Callable[[], object], tries: int = 9) -> float:
    found = []
    for _ in range(tries):
        began = time.process_time()
        action()
        found.append(time.process_time() - began)
    return min(found)


def test_verifying_ten_mebibytes(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A file of 10 MiB that was never seen is opened and verified in under 30 ms."""
    entry = Entry.make("program", "k", bytes(range(256)) * (10 << 12), device=identity)
    data = save_own(tmp_path / "file", ProgramContent((entry,)), trust).path.read_bytes()
    assert len(data) > 10 << 20
    assert best_seconds(lambda: ProgramLibrary(identity, programs=[data], trust=trust).find("program", "k")) < 0.030


def test_a_warm_start(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A file of 100 MiB that was verified before gives its weights in under 5 ms."""
    store = ProgramStore(tmp_path, trust=trust)
    store.save(ProgramContent((Entry.make("weights", "k", bytes(100 << 20)),)))
    assert best_seconds(lambda: ProgramLibrary(identity, storage=store, trust=trust).find("weights", "k")) < 0.005
