"""Asking drivers in child processes: broken ones are set aside with a reason, and answers are kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mace.opencl import catalog, probing
from mace.opencl.catalog import limit_vectors, probe_all
from mace.opencl.describe import DeviceInfo
from mace.opencl.drivers import Driver
from mace.opencl.probed import Fault, Probed
from mace.opencl.probing import probe

BROKEN = {
    "aborts": "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { abort(); }",
    "exits": "#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { _Exit(3); }",
    "hangs": "#include <unistd.h>\n__attribute__((constructor)) static void start(void) { for (;;) sleep(1); }",
    "no_extension": "void *clGetExtensionFunctionAddress(const char *name) { return 0; }",
    "no_platform": (
        "static int none(unsigned n, void **p, unsigned *count) { if (count) *count = 0; return -1001; }\n"
        "void *clGetExtensionFunctionAddress(const char *name) { return (void *)none; }"
    ),
    "crashes_late": (
        "static int none(unsigned n, void **p, unsigned *count) { return *(volatile int *)0; }\n"
        "void *clGetExtensionFunctionAddress(const char *name) { return (void *)none; }"
    ),
}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of this test alone."""
    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Driver]:
    """Compiles a driver library that is broken in one way."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make a broken driver with")
    folder = tmp_path_factory.mktemp("broken")

    def make(name: str) -> Driver:
        library = folder / f"lib{name}.so"
        if not library.exists():
            source = folder / f"{name}.c"
            source.write_text(BROKEN[name])
            subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", library, source], check=True)
        return Driver(str(library), "test")

    return make


class Counter:
    """Stands in for ``probe`` and counts what it is asked."""

    def __init__(self, answer: Probed) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self, drivers: Iterable[Driver]) -> list[Probed]:
        found = [replace(self.answer, driver=d) for d in drivers]
        self.asked += len(found)
        return found


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch, make_info: Callable[..., DeviceInfo]) -> Counter:
    stand_in = Counter(Probed(Driver("", ""), "ok", "", ((make_info(),),), probed_at=time.time()))
    monkeypatch.setattr(probing, "probe", stand_in)
    return stand_in


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    library = tmp_path / "libdriver.so"
    library.write_bytes(b"one")
    return Driver(str(library), "test")


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("aborts", "crashed", "SIGABRT"),
        ("exits", "crashed", "exit code 3"),
        ("crashes_late", "crashed", "SIGSEGV"),
        ("no_extension", "failed", "clIcdGetPlatformIDsKHR"),
        ("no_platform", "failed", "-1001"),
    ],
)
def test_a_broken_driver_costs_only_itself(
    broken: Callable[[str], Driver], name: str, status: str, reason: str
) -> None:
    """Whatever a library does when it is loaded, this process lives and knows the reason."""
    (found,) = probe([broken(name)])
    assert found.status == status
    assert reason in found.reason
    assert found.platforms == ()


def test_a_hanging_driver_is_given_up(broken: Callable[[str], Driver]) -> None:
    """A library that never returns is left after the time limit."""
    began = time.monotonic()
    (found,) = probe([broken("hangs")], seconds=1.5)
    assert found.status == "hung"
    assert "1.5 s" in found.reason
    assert time.monotonic() - began < 10


def test_a_missing_library_is_a_reason_not_an_error() -> None:
    """A leftover .icd file of an uninstalled driver is reported in the words of the dynamic linker."""
    (found,) = probe([Driver("libno-such-driver.so.9", "test")])
    assert found.status == "failed"
    assert "libno-such-driver.so.9" in found.reason


def test_answers_are_kept_between_processes(counter: Counter, driver: Driver, cache: Path) -> None:
    """A driver is asked once; the record on disk answers afterwards."""
    first = probe_all([driver])
    assert probe_all([driver]) == first
    assert counter.asked == 1
    assert json.loads((cache / "devices.json").read_text())["format"] == catalog.FORMAT


def test_refresh_asks_again(counter: Counter, driver: Driver) -> None:
    """``mace devices`` asks every driver anew."""
    probe_all([driver])
    probe_all([driver], refresh=True)
    assert counter.asked == 2


def test_another_library_or_setting_is_asked_anew(
    counter: Counter, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An updated library, or a setting that drivers read, makes the record another one."""
    probe_all([driver])
    Path(driver.library).write_bytes(b"updated")
    probe_all([driver])
    assert counter.asked == 2
    monkeypatch.setenv("RUSTICL_ENABLE", "something")
    probe_all([driver])
    assert counter.asked == 3


def test_a_failure_is_tried_again_after_a_day(counter: Counter, driver: Driver) -> None:
    """A broken driver is not asked at every start, but not forgotten for ever either."""
    counter.answer = replace(counter.answer, status="crashed", reason="ended by SIGSEGV", platforms=())
    probe_all([driver])
    assert probe_all([driver])[0].reason == "ended by SIGSEGV"
    assert counter.asked == 1
    counter.answer = replace(counter.answer, probed_at=time.time() - 2 * catalog.FAILURE_KEPT_SECONDS)
    probe_all([driver], refresh=True)
    probe_all([driver])
    assert counter.asked == 3


def test_a_fault_is_tried_again_after_a_day(counter: Counter, driver: Driver) -> None:
    """A device that did not work may do so after its owner has mended it."""
    old = time.time() - 2 * catalog.FAILURE_KEPT_SECONDS
    counter.answer = replace(counter.answer, faults=(Fault(0, 0, "does not compile"),))
    assert probe_all([driver])[0].fault_of(0, 0) == "does not compile"
    assert probe_all([driver])[0].fault_of(0, 1) == ""
    counter.answer = replace(counter.answer, probed_at=old)
    probe_all([driver], refresh=True)
    probe_all([driver])
    assert counter.asked == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 0, "drivers": {}}', '{"format": 2, "drivers": [1]}', "null"]
)
def test_a_damaged_record_is_no_record(counter: Counter, driver: Driver, cache: Path, text: str) -> None:
    """A file that is cut, foreign or of another format is replaced, never an error."""
    cache.mkdir()
    (cache / "devices.json").write_text(text)
    assert probe_all([driver])[0].status == "ok"
    assert counter.asked == 1


def test_a_record_with_wrong_fields_is_no_record(counter: Counter, driver: Driver, cache: Path) -> None:
    """Each record is checked before it is believed."""
    probe_all([driver])
    data = json.loads((cache / "devices.json").read_text())
    (record,) = data["drivers"].values()
    record["platforms"][0][0]["compute_units"] = "many"
    (cache / "devices.json").write_text(json.dumps(data))
    assert probe_all([driver])[0].status == "ok"
    assert counter.asked == 2


def test_an_unwritable_cache_costs_only_time(counter: Counter, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be kept, drivers are asked each time and nothing fails."""
    monkeypatch.setenv("MACE_CACHE_DIR", "/proc/no-such-place")
    assert probe_all([driver])[0].status == "ok"
    assert probe_all([driver])[0].status == "ok"
    assert counter.asked == 2


def test_a_vector_limit_is_remembered_until_the_driver_changes(counter: Counter, driver: Driver) -> None:
    """What a compiler died of is kept with the driver's record, and only ever gets narrower."""
    limit_vectors(driver, 8)
    limit_vectors(driver, 16)
    assert probe_all([driver])[0].vector_limit == 8
    limit_vectors(driver, 4)
    assert probe_all([driver], refresh=True)[0].vector_limit == 4
    Path(driver.library).write_bytes(b"updated")
    assert probe_all([driver])[0].vector_limit == 0
