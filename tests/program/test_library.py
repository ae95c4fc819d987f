from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.program.content import Entry, ProgramContent
from mace.program.files import write_program
from mace.program.library import ProgramLibrary
from mace.program.opening import save_own
from mace.program.reasons import Reason
from mace.program.store import ProgramStore
from mace.program.trust import Trust


def entry(key: str, text: bytes, device: DeviceIdentity) -> ProgramContent:
    return ProgramContent((Entry.make("plan", key, text, device=device),))


def payload(found: Entry | None) -> bytes | None:
    return bytes(found.payload) if found else None


def test_search_order(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """Storage is asked first, then the paths in their order, then bytes; the first that has the entry gives it."""
    store = ProgramStore(tmp_path / "store", trust=trust)
    store.save(entry("in-all", b"storage", identity))
    for name, keys in {"one": ["in-all", "in-paths"], "two": ["in-paths", "in-two"]}.items():
        content = ProgramContent(tuple(Entry.make("plan", k, name.encode(), device=identity) for k in keys))
        save_own(tmp_path / name, content, trust)
    save_own(tmp_path / "three", entry("in-bytes", b"bytes", identity), trust)
    block = (tmp_path / "three").read_bytes()
    library = ProgramLibrary(
        identity, storage=store, programs=[block, tmp_path / "one", str(tmp_path / "two")], trust=trust
    )
    assert payload(library.find("plan", "in-all")) == b"storage"
    assert [look.where for look in library.looks if look.reason is Reason.OPENED] == [str(store.path)]
    assert payload(library.find("plan", "in-paths")) == b"one"
    assert payload(library.find("plan", "in-two")) == b"two"
    assert payload(library.find("plan", "in-bytes")) == b"bytes"
    assert library.find("plan", "nowhere") is None
    assert library.stats["hit"] == 4
    assert {e.key for e in library.content().entries} == {"in-all", "in-paths", "in-two", "in-bytes"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("driver_version", "2027.1", Reason.OTHER_DRIVER),
        ("device_version", "OpenCL 9", Reason.OTHER_DRIVER),
        ("platform_version", "OpenCL 3.2", Reason.OTHER_PLATFORM),
        ("platform_name", "PoCL", Reason.OTHER_PLATFORM),
        ("device_name", "Another", Reason.OTHER_DEVICE),
        ("vendor_id", 1, Reason.OTHER_DEVICE),
        ("architecture", "aarch64", Reason.OTHER_SYSTEM),
        ("os", "Darwin", Reason.OTHER_SYSTEM),
        ("engine_version", "9.9", Reason.OTHER_ENGINE),
    ],
)
def test_every_component_counts(
    tmp_path: Path, identity: DeviceIdentity, trust: Trust, field: str, value: str | int, reason: Reason
) -> None:
    """Whatever differs, the entry is a miss with its own reason, and still a hint."""
    other = replace(identity, **{field: value})
    save_own(tmp_path / "file", entry("k", b"x", identity), trust)
    library = ProgramLibrary(other, programs=[tmp_path / "file"], trust=trust)
    assert library.find("plan", "k") is None
    assert library.looks[-1].reason is reason
    assert str(value) in library.looks[-1].detail
    assert [e.key for e in library.hints("plan", "k")] == ["k"]


def test_right_device_without_the_entry(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A file for this device that lacks the entry says so rather than blame the device."""
    save_own(tmp_path / "file", entry("k", b"x", identity), trust)
    library = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    assert library.find("plan", "other") is None
    assert library.looks[-1].reason is Reason.NO_ENTRY


def test_reuse_can_be_switched_off(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """Under the policy none, nothing is opened and nothing is found."""
    save_own(tmp_path / "file", entry("k", b"x", identity), trust)
    library = ProgramLibrary(identity, programs=[tmp_path / "file"], reuse="none", trust=trust)
    assert library.find("plan", "k") is None
    assert [look.reason for look in library.looks] == [Reason.REUSE_OFF]


def test_files_from_elsewhere_are_passed_over(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A file mace did not write here is not used, unless the call says so."""
    write_program(tmp_path / "file", entry("k", b"x", identity))
    strict = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    assert strict.find("plan", "k") is None
    assert strict.looks[0].reason is Reason.UNTRUSTED
    opted_in = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=replace(trust, policy="any"))
    assert payload(opted_in.find("plan", "k")) == b"x"


def test_missing_and_broken_sources(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """Every kind of bad source leaves its reason, and the search goes on to the good one."""
    (tmp_path / "text").write_text("hello")
    good = save_own(tmp_path / "good", entry("k", b"x", identity), trust).path
    (tmp_path / "cut").write_bytes(good.read_bytes()[:-1])
    sources = [tmp_path / "missing", tmp_path, tmp_path / "text", tmp_path / "cut", b"", good]
    library = ProgramLibrary(identity, programs=sources, trust=trust)
    assert payload(library.find("plan", "k")) == b"x"
    reasons = [look.reason for look in library.looks]
    assert reasons == [
        Reason.NO_FILE,
        Reason.UNREADABLE,
        Reason.NOT_A_PROGRAM,
        Reason.DAMAGED,
        Reason.OPENED,
        Reason.HIT,
    ]


def test_rejected_binaries_are_not_offered_again(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A binary the driver refused is passed over from then on, wherever it lies."""
    save_own(tmp_path / "file", entry("k", b"x", identity), trust)
    library = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    found = library.find("plan", "k")
    assert found is not None
    library.reject(found, detail="CL_INVALID_BINARY")
    assert library.find("plan", "k") is None
    assert [look.reason for look in library.looks[-2:]] == [Reason.REFUSED, Reason.BAD_BINARY]


def test_a_failure_is_remembered(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """A binary that failed is not tried at later starts on this device, until a compilation gives it again."""
    program = Entry.make("program", "k", b"x", device=identity)
    save_own(tmp_path / "file", ProgramContent((program,)), trust)
    first = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    found = first.find("program", "k")
    assert found is not None
    first.reject(found)
    second = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    assert second.find("program", "k") is None
    assert second.looks[-1].reason is Reason.BAD_BINARY
    second.add(program)
    third = ProgramLibrary(identity, programs=[tmp_path / "file"], trust=trust)
    assert payload(third.find("program", "k")) == b"x"


def test_what_is_built_is_found_and_saved(tmp_path: Path, identity: DeviceIdentity, trust: Trust) -> None:
    """An added entry is found at once, and by the next library after a save."""
    store = ProgramStore(tmp_path, trust=trust)
    library = ProgramLibrary(identity, storage=store, trust=trust)
    library.add(Entry.make("plan", "k", b"x", device=identity))
    assert payload(library.find("plan", "k")) == b"x"
    assert library.save().reason is Reason.SAVED
    again = ProgramLibrary(identity, storage=store, trust=trust)
    assert payload(again.find("plan", "k")) == b"x"
    assert again.save().reason is Reason.UNCHANGED


def test_bytes_out_are_bytes_in(identity: DeviceIdentity, trust: Trust) -> None:
    """Without any file, what one process has is another's by bytes alone."""
    library = ProgramLibrary(identity, trust=trust)
    library.add(Entry.make("plan", "k", b"x", device=identity))
    other = ProgramLibrary(identity, programs=[library.to_bytes()], trust=replace(trust, policy="any"))
    assert payload(other.find("plan", "k")) == b"x"


def test_the_warm_path_imports_nothing_heavy(tmp_path: Path, identity: DeviceIdentity) -> None:
    """Opening an own, plain, stamped file needs the standard library and numpy, and no more."""
    script = f"""
import sys, os
os.environ["MACE_STATE_DIR"] = {str(tmp_path / "state")!r}
from mace.device import DeviceIdentity
from mace.program.content import Entry
from mace.program.library import ProgramLibrary
from mace.program.store import ProgramStore
device = DeviceIdentity(**{identity.to_json()!r})
library = ProgramLibrary(device, storage=ProgramStore({str(tmp_path / "store")!r}))
if sys.argv[1] == "save":
    library.add(Entry.make("plan", "k", b"x", device=device))
    library.save()
else:
    assert library.find("plan", "k") is not None
    library.save()
    heavy = {{"cryptography", "zstandard", "platformdirs", "filelock", "onnx", "typer", "rich", "pyopencl"}}
    assert not heavy & {{m.partition(".")[0] for m in sys.modules}}, sorted(heavy & set(sys.modules))
"""
    for step in ("save", "load"):
        subprocess.run([sys.executable, "-c", script, step], check=True, timeout=60)
