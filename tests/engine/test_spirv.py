"""SPIR-V as a second tier: made beside the programs, used where no binary fits, and left for the source where it fails."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.device import DeviceIdentity
from mace.engine.engine import MaceEngine
from mace.errors import BuildError, DeviceError
from mace.model_file import load_model
from mace.opencl import select_device
from mace.opencl.context import Context
from mace.opencl.front_end import FrontEnd
from mace.opencl.jobs import CompileJob, Refused, WorkerCrash
from mace.opencl.pool import compile_all
from mace.plan.planner import make_plan
from mace.program.codec import encode_program
from mace.program.content import OUTPUTS, Entry, EntryKind, ProgramContent
from mace.program.conversion import encode_as
from mace.program.files import read_program
from mace.program.spirv import spirv_in
from tests.devices import INTEL, POCL, device_or_skip
from tests.engine.models import expected, small_model
from tests.matrix.damage import SPIRV_ADD, SPIRV_MUL
from tests.matrix.implementations import implementations
from tests.program.test_spirv import RUSTICL

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def tools() -> FrontEnd:
    """The translator; tests that need it are skipped without."""
    try:
        return FrontEnd.find()
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder in which nothing has proved itself or failed."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def both(model_path: Path, tools: FrontEnd, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The small model's program file with SPIR-V in it, for Intel's runtime."""
    device = device_or_skip(INTEL)
    assert device.info.takes_spirv
    path = tmp_path_factory.mktemp("spirv") / "m.bin"
    with mace.load(model_path, device=device, storage=False) as engine:
        engine.save_compiled_program(path, spirv=True)
    return path.read_bytes()


def moved(data: bytes, change: Callable[[Entry], Entry] = lambda e: e) -> bytes:
    """The file as another version of the driver would have left it, its SPIR-V changed, every hash right."""
    entries = []
    for entry in read_program(data).content.entries:
        if entry.kind is EntryKind.IL:
            entry = change(entry)
        device = entry.device and replace(entry.device, driver_version="0.0")
        entries.append(Entry.make(entry.kind, entry.key, entry.payload, device=device, meta=entry.meta))
    return encode_program(ProgramContent(tuple(entries))).to_bytes()


def run(model: Path, data: bytes, **settings: Any) -> MaceEngine:
    """Run the model beside such a file; the result must be that of the source, within a millionth of its range."""
    wanted = expected(small_model(), X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mace.load(
            model, device=INTEL, compiled_program=data, **{"storage": False, "trust": "any", **settings}
        ) as engine:
            result = engine.run({"x": X})["y"]
    assert np.abs(result - wanted).max() <= 1e-6 * np.ptp(wanted)
    return engine


def units(data: bytes) -> int:
    return sum(e.kind is EntryKind.IL for e in read_program(data).content.entries)


def reasons(engine: MaceEngine, kind: str = "il") -> set[str]:
    return {look["reason"] for look in engine.stats.looks if look["sought"].startswith(kind)}


def test_what_is_saved(both: bytes) -> None:
    """Each program has its SPIR-V under the same key, for any device, with the note of what it computes."""
    entries = read_program(both).content.entries
    spirv = {e.key: e for e in entries if e.kind is EntryKind.IL}
    assert spirv.keys() == {e.key for e in entries if e.kind is EntryKind.PROGRAM}
    assert all(
        e.device is None and bytes(e.payload[:4]) == b"\x03\x02\x23\x07" and e.meta[OUTPUTS] for e in spirv.values()
    )


def test_binaries_go_first(model_path: Path, both: bytes) -> None:
    """A file whose programs fit is a warm start, and nobody looks for SPIR-V."""
    engine = run(model_path, both)
    assert not engine.stats.programs_from_source
    assert not engine.stats.programs_from_spirv
    assert not reasons(engine)


def test_another_driver(model_path: Path, both: bytes, tmp_path: Path) -> None:
    """After a change of the driver everything is built from SPIR-V, nothing from source; then the store has it."""
    engine = run(model_path, moved(both), storage=tmp_path / "s")
    assert engine.stats.programs_from_spirv == units(both) > 0
    assert engine.stats.programs_from_source == 0
    assert engine.stats.to_json()["programs_from_spirv"] == units(both)
    assert reasons(engine, "program") == {"other-driver"}
    assert reasons(engine) == {"hit"}
    engine = run(model_path, b"", storage=tmp_path / "s")
    assert engine.stats.programs_from_spirv == engine.stats.programs_from_source == 0


def test_spirv_beside_a_store(model_path: Path, tools: FrontEnd, tmp_path: Path) -> None:
    """A warm start can add SPIR-V: what it is made from is planned again; the store keeps it for the next driver."""
    folder = tmp_path / "s"
    for spirv in (False, True):
        with mace.load(model_path, device=INTEL, storage=folder) as engine:
            saved = engine.save_compiled_program(tmp_path / "m.bin", spirv=spirv)
        assert (engine.stats.programs_from_source > 0) != spirv
        assert (units(saved.path.read_bytes()) > 0) == spirv
    (store,) = folder.glob("*/mace_cl_compiled_program.bin")
    assert units(store.read_bytes()) > 0


def _flipped(entry: Entry) -> Entry:
    """One addition made a multiplication, or the other way round, wherever there is one: it compiles all the same."""
    words = np.frombuffer(bytes(entry.payload), np.uint32).copy()
    added, multiplied = words == SPIRV_ADD, words == SPIRV_MUL
    words[added], words[multiplied] = SPIRV_MUL, SPIRV_ADD
    assert added.any() or multiplied.any()
    return Entry.make(entry.kind, entry.key, words.tobytes(), meta=entry.meta)


def _cut(entry: Entry) -> Entry:
    return Entry.make(entry.kind, entry.key, entry.payload[: entry.nbytes // 8 * 4], meta=entry.meta)


def _scattered(entry: Entry) -> Entry:
    data, rng = bytearray(entry.payload), random.Random(7)
    for _ in range(200):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return Entry.make(entry.kind, entry.key, bytes(data), meta=entry.meta)


@pytest.mark.parametrize(
    ("change", "expected_reasons"),
    [
        (_cut, {"refused-by-driver", "crashed-the-driver"}),
        (lambda e: Entry.make(e.kind, e.key, b"no SPIR-V", meta=e.meta), {"refused-by-driver", "crashed-the-driver"}),
        (_scattered, {"refused-by-driver", "crashed-the-driver"}),
        (_flipped, {"wrong-results"}),
        (lambda e: replace(e, meta={}), {"unproved"}),
    ],
    ids=["cut", "rubbish", "flips", "aimed", "no note"],
)  # fmt: skip
def test_damage_behind_a_recomputed_hash(
    model_path: Path, both: bytes, change: Callable[[Entry], Entry], expected_reasons: set[str]
) -> None:
    """SPIR-V that fails is left for the source: right results, the process alive, and a reason."""
    engine = run(model_path, moved(both, change))
    assert engine.stats.programs_from_source > 0
    assert engine.stats.programs_from_source + engine.stats.programs_from_spirv == units(both)
    assert reasons(engine) & expected_reasons
    assert reasons(engine) <= expected_reasons | {"hit"}


def test_bad_spirv_is_remembered(model_path: Path, both: bytes) -> None:
    """What computed something else here once is not built again on this device and driver."""
    bad = moved(both, _flipped)
    run(model_path, bad)
    assert "bad-binary" in reasons(run(model_path, bad))


def test_trust_is_the_file_s(model_path: Path, both: bytes) -> None:
    """SPIR-V in an unsigned file from elsewhere is refused with the file."""
    elsewhere = encode_as(read_program(moved(both)).content, "envelope", compressed=True)
    engine = run(model_path, elsewhere, trust="own")
    assert "untrusted" in {look["reason"] for look in engine.stats.looks}
    assert engine.stats.programs_from_spirv == 0


def test_not_where_only_the_source_is_believed(model_path: Path, both: bytes) -> None:
    """Neither with ``proof="source"``, which believes nothing that a file says, nor without workers."""
    for settings in ({"proof": "source"}, {"isolate": False}):
        engine = run(model_path, moved(both), **settings)
        assert engine.stats.programs_from_spirv == 0
        assert engine.stats.programs_from_source == units(both)


def test_a_device_that_takes_none(model_path: Path, both: bytes, tmp_path: Path) -> None:
    """Nothing is made for a device that could not use it."""
    device = device_or_skip(POCL)
    if device.info.takes_spirv:
        pytest.skip("this PoCL takes SPIR-V")
    with (
        mace.load(model_path, device=device, storage=False) as engine,
        pytest.raises(DeviceError, match="takes no SPIR-V"),
    ):
        engine.save_compiled_program(tmp_path / "m.bin", spirv=True)
    assert not (tmp_path / "m.bin").exists()


def test_a_missing_translator_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="apt install"):
        FrontEnd.find()


def test_a_source_that_is_refused(tools: FrontEnd) -> None:
    """What clang says is in the error."""
    with pytest.raises(BuildError, match="unknown type name"):
        tools.translate("kernel void k(global nonsense *x) {}", "-cl-std=CL1.2")


_ON_RUSTICL = """
import json, pathlib, sys
from mace.opencl import select_device
from mace.opencl.jobs import CompileJob, Done
from mace.opencl.pool import compile_all
folder = pathlib.Path(sys.argv[1])
sources, options = json.loads((folder / "sources.json").read_text())
device = select_device("rusticl")
for number, done in enumerate(compile_all(device, [CompileJob(s, options) for s in sources])):
    assert isinstance(done, Done), done
    (folder / f"{number}.bin").write_bytes(done.binary)
(folder / "device.json").write_text(json.dumps(device.identity.to_json()))
"""


def test_a_binary_of_rusticl_is_spirv(model_path: Path, tmp_path: Path) -> None:
    """What rusticl returns for the same kernels is all that Intel's runtime needs to run them: no source, no translator.

    The notes are those of Intel's own programs, as rusticl's device rounds otherwise.
    """
    rusticl = implementations()["rusticl"]
    if not rusticl.found:
        pytest.skip("needs rusticl")
    with mace.load(model_path, device=device_or_skip(INTEL), storage=False) as engine:
        engine.warm_up()
        own = read_program(engine.compiled_program()).content
        (plan,) = (executor.plan for executor in engine.executors())
        planned = make_plan(load_model(model_path).graph, engine.device.traits)
    assert planned.plan.units == plan.units
    (tmp_path / "sources.json").write_text(json.dumps([planned.sources, plan.build_options]))
    environment = {**os.environ, **rusticl.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", _ON_RUSTICL, tmp_path], env=environment, check=True, timeout=300)
    device = DeviceIdentity.from_json(json.loads((tmp_path / "device.json").read_text()))
    programs = {e.key: e for e in own.entries if e.kind is EntryKind.PROGRAM}
    entries = []
    for number, unit in enumerate(plan.units):
        binary, meta = (tmp_path / f"{number}.bin").read_bytes(), {OUTPUTS: programs[unit].meta[OUTPUTS]}
        assert spirv_in(binary) is not None
        entries.append(Entry.make(EntryKind.PROGRAM, unit, binary, device=device, meta=meta))
    data = encode_program(ProgramContent(tuple(entries))).to_bytes()
    engine = run(model_path, data)
    assert engine.stats.programs_from_spirv == len(plan.units)
    assert engine.stats.programs_from_source == 0


def test_the_specimen_runs(tmp_path: Path) -> None:
    """SPIR-V of another driver, checked in, is compiled and computes; with bytes missing it is refused or costs a worker."""
    device = device_or_skip(INTEL)
    module = bytes(spirv_in(RUSTICL.read_bytes()) or b"")
    context = Context(device)
    program = context.build_from_spirv(module)
    x = np.arange(8, dtype=np.float32)
    buffer = context.allocate(x.nbytes)
    context.write(buffer, x)
    context.run([program.launch("twice", [buffer], (8,))])
    context.finish()
    after = np.empty_like(x)
    context.read(buffer, after)
    assert np.array_equal(after, 2 * x)
    (outcome,) = compile_all(device, [CompileJob(module[: len(module) // 8 * 4])])
    assert isinstance(outcome, Refused | WorkerCrash)


def test_which_devices_take_it() -> None:
    """OpenCL 2.1 and 2.2 by their standard, 3.0 by the extension, older ones never."""
    info = select_device("auto").info
    bare, extended = replace(info, extensions=()), replace(info, extensions=("cl_khr_il_program",))
    for version, without, having in (
        ("1.2", False, False),
        ("2.1", True, True),
        ("2.2", True, True),
        ("3.0", False, True),
    ):
        assert replace(bare, version=f"OpenCL {version} x").takes_spirv == without
        assert replace(extended, version=f"OpenCL {version} x").takes_spirv == having
