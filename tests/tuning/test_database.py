"""The database of tuned parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.errors import ConfigError
from mace.ops.registry import operators
from mace.ops.tunable import SPACES, tuning_key
from mace.tuning.database import BROKEN_OFF, Tuned, TuningDatabase, TuningFile, read_tuning_file

DEVICE = DeviceIdentity("platform", "1.0", "device", "1", "driver 1", 7, "x86_64", "linux", "0.1.0")
PROBLEM = {"m": 4, "n": 5, "k": 6}


@pytest.fixture(autouse=True)
def space() -> str:
    """Some space that exists."""
    operators()
    return next(iter(SPACES))


def tuned(value: int, level: str = "normal") -> Tuned:
    return Tuned({"tile": value}, 10.0, 20.0, 5, level)


def test_results_are_found_again(tmp_path: Path, space: str) -> None:
    """What one database saved, the next one of the same device looks up."""
    key = tuning_key(SPACES[space], PROBLEM)
    first = TuningDatabase(DEVICE, "cpu", tmp_path)
    first.put(key, tuned(3))
    path = first.save()
    assert path is not None
    assert TuningDatabase(DEVICE, "cpu", tmp_path).lookup(space, PROBLEM) == {"tile": 3}
    assert read_tuning_file(path).entries[key].gain == 2.0


def test_a_related_device_gives_hints_and_a_stranger_none(tmp_path: Path, space: str) -> None:
    """Lookups fall back to the family, then to the vendor, and to nobody else."""
    key = tuning_key(SPACES[space], PROBLEM)
    for value, family, vendor in ((1, "cpu", 9), (2, "gpu", 7)):
        other = TuningDatabase(replace(DEVICE, device_name=f"d{value}", vendor_id=vendor), family, tmp_path)
        other.put(key, tuned(value))
        other.save()
    assert TuningDatabase(DEVICE, "cpu", tmp_path).lookup(space, PROBLEM) == {"tile": 1}
    assert TuningDatabase(DEVICE, "npu", tmp_path).lookup(space, PROBLEM) == {"tile": 2}
    stranger = replace(DEVICE, vendor_id=1)
    assert TuningDatabase(stranger, "npu", tmp_path).lookup(space, PROBLEM) is None


def test_hints_from_files_are_asked_in_the_same_order(tmp_path: Path, space: str) -> None:
    """A program file's parameters stand behind those of the family, however late those come."""
    key = tuning_key(SPACES[space], PROBLEM)
    database = TuningDatabase(DEVICE, "cpu", tmp_path)
    for value, family, vendor in ((2, "gpu", 7), (1, "cpu", 9)):
        device = replace(DEVICE, device_name=f"d{value}", vendor_id=vendor)
        database.add([TuningFile(device, family, {key: tuned(value)})])
    assert [t.params["tile"] for t in database.hints(key)] == [1, 2]
    database.put(key, tuned(5))
    assert database.lookup(space, PROBLEM) == {"tile": 5}


def test_search_that_was_broken_off_covers_nothing(space: str) -> None:
    """Its result is kept, but gives way to one that went further, and is written and read as it is."""
    key = tuning_key(SPACES[space], PROBLEM)
    broken = replace(tuned(1), level=BROKEN_OFF)
    assert not broken.covers("fast")
    file = TuningFile(DEVICE, "cpu", {key: broken})
    assert TuningFile.from_bytes(file.to_bytes()) == file
    assert file.merged({key: replace(broken, params={"tile": 2}, tried=4)}).entries[key] == broken
    assert file.merged({key: tuned(3, "fast")}).entries[key].params == {"tile": 3}


def test_two_processes_merge_their_results(tmp_path: Path, space: str) -> None:
    """Saving adds to what another process has saved meanwhile; a lower level never replaces a higher one."""
    first, second = TuningDatabase(DEVICE, "cpu", tmp_path), TuningDatabase(DEVICE, "cpu", tmp_path)
    a, b = (tuning_key(SPACES[space], {**PROBLEM, "m": m}) for m in (1, 2))
    first.put(a, tuned(1, "exhaustive"))
    first.save()
    second.put(a, tuned(9, "fast"))
    second.put(b, tuned(2))
    second.save()
    merged = TuningDatabase(DEVICE, "cpu", tmp_path).own.entries
    assert merged[a].params == {"tile": 1}
    assert merged[b].params == {"tile": 2}


def test_files_are_readable_and_deterministic(space: str) -> None:
    """Equal content gives equal bytes, and reading gives the content back."""
    file = TuningFile(DEVICE, "cpu", {tuning_key(SPACES[space], PROBLEM): tuned(1)})
    assert TuningFile.from_bytes(file.to_bytes()) == file
    assert file.to_bytes() == TuningFile.from_bytes(file.to_bytes()).to_bytes()


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b'{"format": 2}', b"\xff\xfe", b'{"format": 1, "entries": {"a": 1}}']
)
def test_damaged_files_raise_our_error_and_are_passed_over(tmp_path: Path, damage: bytes, space: str) -> None:
    """Reading one by name raises; a database that meets one in its folder goes on without it."""
    path = tmp_path / "cpu-bad.json"
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match=r"cpu-bad\.json"):
        read_tuning_file(path)
    assert TuningDatabase(DEVICE, "cpu", tmp_path).lookup(space, PROBLEM) is None
