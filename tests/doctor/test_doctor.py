"""Every case of trouble is set up, found under its code, and mended by the command that is given for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mace
from mace.cli import main
from mace.device import DeviceIdentity
from mace.doctor import Code, Diagnosis, Finding, Severity, diagnose
from mace.doctor.machine import check_storage
from mace.opencl import select_device
from mace.program.content import Entry, EntryKind, ProgramContent
from mace.program.files import read_program
from mace.program.library import ProgramLibrary
from mace.program.opening import save_own
from mace.program.quarantine import MiscompiledKernels
from mace.program.reasons import Reason
from mace.program.trust import Trust
from mace.program.upstream import UpstreamFile, encode_upstream
from tests.ordinary_user import as_ordinary_user, give_to_ordinary_user

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
NAME = "mace_cl_compiled_program.bin"


@pytest.fixture(scope="module", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder of these tests alone: what other tests leave in quarantine is not found here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MACE_STATE_DIR", str(tmp_path_factory.mktemp("home") / "state"))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its program file for this machine."""
    folder = tmp_path_factory.mktemp("made")
    mace.convert(DIGITS, folder / "digits.mace")
    assert (
        main(["compile", str(folder / "digits.mace"), "-o", str(folder / NAME), "--storage", str(folder / "st")]) == 0
    )
    shutil.rmtree(folder / "st")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that folder to do harm to, as the working folder."""
    shutil.copytree(made, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    yield tmp_path / "run"
    os.chdir(tmp_path)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ``mace`` command of this very tree, first in the path."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "mace"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {sys.path!r}\nfrom mace.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")


def codes(diagnosis: Diagnosis) -> list[Code]:
    """Codes of the findings about files and folders; other drivers of this machine may be whatever they are."""
    return [f.code for f in diagnosis.findings if f.code is not Code.DRIVER_FAILED]


def found(code: Code, place: Path | None = None, **arguments: Any) -> Finding:
    """The one finding of that code."""
    findings = [f for f in diagnose(place, **arguments).findings if f.code is code]
    assert len(findings) == 1, [str(f) for f in diagnose(place, **arguments).findings]
    return findings[0]


def mend(finding: Finding) -> None:
    """Run the command of a finding as a person would, in a shell."""
    done = subprocess.run(finding.command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_healthy_folder(folder: Path) -> None:
    """Nothing is found where nothing is wrong."""
    diagnosis = diagnose(folder)
    assert codes(diagnosis) == []
    assert diagnosis.healthy
    assert any(NAME in c for c in diagnosis.checked)


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        ("libimf.so: cannot open shared object file: No such file or directory", "pip install 'mace-cl[cpu]'"),
        ("the process that asked it was killed by SIGSEGV", "mace devices"),
    ],
)
def test_a_driver_that_failed(reason: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver lacks libraries that another package brings, that is what mends it."""
    listed = {"devices": [{}], "drivers": [{"library": "/lib/x.so", "status": "failed", "reason": reason}]}
    monkeypatch.setattr("mace.opencl.listing.list_devices", lambda refresh: listed)
    finding = found(Code.DRIVER_FAILED)
    assert finding.command == command
    assert reason in str(finding)


@pytest.mark.usefixtures("commands")
def test_a_damaged_file(folder: Path) -> None:
    """A flipped byte is damage; compiling again mends it."""
    data = bytearray((folder / NAME).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / NAME).write_bytes(data)
    mend(found(Code.PROGRAM_DAMAGED, folder))
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("device_name", "Another Chip", Code.PROGRAM_OTHER_DEVICE),
        ("driver_version", "1.0", Code.PROGRAM_OTHER_DRIVER),
        ("engine_version", "0.0.1", Code.PROGRAM_OTHER_VERSION),
    ],
)
def test_a_file_made_for_something_else(folder: Path, field: str, value: str, code: Code) -> None:
    """Another chip, another driver and another version of mace have codes of their own; compiling again mends each."""
    content = read_program(folder / NAME).content
    moved = ProgramContent(tuple(elsewhere(e, field, value) for e in content.entries))
    save_own(folder / NAME, moved, Trust())
    finding = found(code, folder)
    assert value in finding.detail
    mend(finding)
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
def test_a_stale_file(folder: Path) -> None:
    """A file made for the model as it was before is stale; compiling again mends it."""
    from mace.model_file import load_model, save_model

    graph = load_model(folder / "digits.mace").graph
    save_model(folder / "digits.new", graph.with_(name="changed"))
    (folder / "digits.new").replace(folder / "digits.mace")
    mend(found(Code.PROGRAM_STALE, folder))
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
def test_an_unsigned_file_of_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this user did not make and nobody signed is not trusted; compiling again mends it."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    mend(found(Code.PROGRAM_UNTRUSTED, folder))
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
def test_a_file_without_programs(folder: Path) -> None:
    """A file that names no device serves none; compiling again mends it."""
    save_own(folder / NAME, ProgramContent((Entry.make(EntryKind.WEIGHTS, "w", b"1234"),)), Trust())
    mend(found(Code.PROGRAM_EMPTY, folder))
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
def test_a_broken_model(folder: Path) -> None:
    """A cut model is unusable; converting its source again mends it."""
    shutil.copy(DIGITS, folder / "digits.onnx")
    (folder / "digits.mace").write_bytes((folder / "digits.mace").read_bytes()[:100])
    mend(found(Code.MODEL_UNUSABLE, folder))
    assert Code.MODEL_UNUSABLE not in codes(diagnose(folder))


@pytest.mark.usefixtures("commands")
def test_a_broken_model_without_its_source(folder: Path) -> None:
    """Where the source is not at hand, the broken model is put out of the way, and so is the program that was for it."""
    (folder / "digits.mace").write_bytes(b"MACEMODL")
    mend(found(Code.MODEL_UNUSABLE, folder))
    assert (folder / "digits.mace.aside").exists()
    assert codes(diagnose(folder)) == []


def test_a_program_path_that_does_not_match(folder: Path) -> None:
    """A configuration that names the program where it is not; the file is put where it is looked for."""
    (folder / "interior").mkdir()
    (folder / NAME).rename(folder / "interior" / NAME)
    config = folder / "mace_run.config"
    config.write_text(f"# paths\nopencl_binary_file=./{NAME}\nmodel_file=digits.mace\nopencl_cache_reuse_policy=1\n")
    finding = found(Code.PROGRAM_PATH, config)
    assert "line 2" in finding.subject
    assert "interior" in finding.detail
    mend(finding)
    assert codes(diagnose(config)) == []


def test_a_parameter_path_that_does_not_match(folder: Path) -> None:
    """The same for tuned parameters, in a configuration and in the environment variable."""
    tuned(folder / "tuned.bin")
    config = folder / "mace_run.config"
    config.write_text("--opencl_parameter_file=params/tuned_opencl_parameter.bin\n")
    mend(found(Code.PARAMETER_PATH, config))
    assert codes(diagnose(config)) == []


def test_the_parameter_variable_leads_nowhere(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``mace_run.config`` itself holds tuned parameters, and ``MACE_RUN_PARAMETER_PATH`` names another place."""
    tuned(folder / "mace_run.config")
    assert codes(diagnose(folder)) == []
    monkeypatch.setenv("MACE_RUN_PARAMETER_PATH", str(tmp_path / "elsewhere" / "mace_run.config"))
    mend(found(Code.PARAMETER_PATH, folder))
    assert codes(diagnose(folder)) == []


def test_damaged_parameters(folder: Path) -> None:
    """Tuned parameters whose checksum does not hold are put aside."""
    data = bytearray(tuned(folder / "mace_run.config"))
    data[-1] ^= 1
    (folder / "mace_run.config").write_bytes(data)
    mend(found(Code.PARAMETERS_DAMAGED, folder))
    assert codes(diagnose(folder)) == []


def test_storage_and_model_paths(folder: Path) -> None:
    """A storage folder that is missing is made; a model of another place is put where it is looked for."""
    config = folder / "mace_run.config"
    config.write_text("MACE_INTERNAL_STORAGE_PATH=interior\nmodel_file=models/digits.mace\n")
    mend(found(Code.STORAGE_PATH, config))
    mend(found(Code.MODEL_PATH, config))
    assert codes(diagnose(config)) == []


def test_an_unreadable_config(folder: Path) -> None:
    """A configuration that is neither text nor parameters is put aside."""
    (folder / "mace_run.config").write_bytes(b"\xff\xfe\x00binary")
    mend(found(Code.CONFIG_UNREADABLE, folder))
    assert codes(diagnose(folder)) == []


def test_a_file_in_the_place_of_the_storage(tmp_path: Path) -> None:
    """Where a file stands in the place of the storage folder, moving it aside mends it."""
    place = tmp_path / "place"
    place.write_text("not a folder")
    mend(found(Code.STORAGE_NOT_WRITABLE, storage=place))
    assert codes(diagnose(storage=place)) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another user's rights are tried in a forked process")
def test_a_storage_that_may_not_be_written(tmp_path: Path) -> None:
    """Without the right to write, the command that gives it is run by the same user, and mends it."""
    place = tmp_path / "kept"
    place.mkdir()
    give_to_ordinary_user(place)
    place.chmod(0o555)
    (finding,) = as_ordinary_user(lambda: [f.to_json() for f in check_storage(place)])
    assert finding["code"] == Code.STORAGE_NOT_WRITABLE
    assert as_ordinary_user(lambda: subprocess.run(finding["command"], shell=True, check=False).returncode) == 0
    assert list(check_storage(place)) == []
    assert as_ordinary_user(lambda: [f.to_json() for f in check_storage(place)]) == []


def test_a_program_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without the right to read is named with the command that gives it."""
    real = os.access
    (folder / NAME).chmod(0o000)
    monkeypatch.setattr(
        os, "access", lambda p, mode: bool(os.stat(p).st_mode & 0o400) if NAME in str(p) else real(p, mode)
    )
    mend(found(Code.PROGRAM_UNREADABLE, folder))
    assert codes(diagnose(folder)) == []


@pytest.mark.usefixtures("commands")
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little room the storage is emptied; the disk is one of 300 MiB, played."""
    kept = tmp_path / "kept"
    (kept / "group").mkdir(parents=True)
    with (kept / "group" / NAME).open("wb") as file:
        file.truncate(100 << 20)

    def usage(path: Any) -> Any:
        used = sum(p.stat().st_size for p in kept.rglob("*") if p.is_file())
        return shutil._ntuple_diskusage(300 << 20, used, (300 << 20) - used)

    monkeypatch.setattr("mace.doctor.machine.shutil.disk_usage", usage)
    finding = found(Code.DISK_FULL, storage=kept)
    assert "200 MiB are free" in finding.detail
    mend(finding)
    assert codes(diagnose(storage=kept)) == []


@pytest.mark.usefixtures("commands")
def test_leftovers(tmp_path: Path) -> None:
    """Files set aside are noted, do no harm, and are cleared by the command."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / f"{NAME}.corrupt-20260101T000000-000000001").write_bytes(b"x" * 10)
    diagnosis = diagnose(storage=kept)
    assert diagnosis.healthy
    mend(found(Code.LEFTOVERS, storage=kept))
    assert codes(diagnose(storage=kept)) == []


def test_a_state_folder_that_others_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder that is open to others is closed by the command."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state" / "stamps").mkdir(parents=True, mode=0o755)
    (tmp_path / "state" / "stamps").chmod(0o755)
    mend(found(Code.STATE_NOT_PRIVATE))
    assert Code.STATE_NOT_PRIVATE not in codes(diagnose())


@pytest.mark.usefixtures("commands")
def test_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that hides every driver is named; without it there is a device again."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("OCL_ICD_VENDORS", str(tmp_path / "none"))
    for variable in ("OCL_ICD_FILENAMES", "MACE_OPENCL_LIBRARIES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("mace.opencl.drivers._bundled_with_pyopencl", lambda: iter(()))
    assert Code.NO_DEVICE in codes(diagnose())
    finding = found(Code.NO_DEVICE)
    assert finding.mend == ("unset", "OCL_ICD_VENDORS")
    done = subprocess.run(f"{finding.command}; mace devices --json", shell=True, capture_output=True, check=False)
    assert done.returncode == 0
    assert found(Code.NO_DEVICE, device="no such chip").mend


@pytest.mark.usefixtures("commands")
def test_narrowed_vectors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A driver that mace once saw die of wide vectors is slow until the record is dropped."""
    from mace.opencl.catalog import limit_vectors

    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path))  # other tests look at the devices meanwhile
    device = select_device("auto")
    if device.traits.vector_width <= 4:
        pytest.skip("the device has no wide vectors")
    limit_vectors(device.driver, 4)
    mend(found(Code.VECTORS_NARROWED))
    assert Code.VECTORS_NARROWED not in codes(diagnose())


def test_what_is_not_tried_again(commands: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Kernels compiled wrongly and binaries that failed are told, until they are forgotten; another driver's do no harm here."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    device = select_device("auto").identity
    assert not {Code.KERNELS_MISCOMPILED, Code.BINARIES_FAILED}.intersection(codes(diagnose()))
    MiscompiledKernels(device).add(["conv_a", "conv_b"], "Conv: 0.3 of the range off")
    MiscompiledKernels(replace(device, driver_version="0")).add(["pool_c"], "MaxPool: not a number")
    binary = Entry.make("program", "aa" * 32, b"binary", device=device)
    ProgramLibrary(device).reject(binary, Reason.CRASHED, "ended by SIGSEGV")
    diagnosis = diagnose()
    ours, theirs = sorted(
        (f for f in diagnosis.findings if f.code is Code.KERNELS_MISCOMPILED), key=lambda f: f.severity != "warning"
    )
    assert (ours.subject, ours.severity) == (device.summary, Severity.WARNING)
    assert "kernel conv_a and 1 more: Conv: 0.3 of the range off" in ours.detail
    assert theirs.severity is Severity.NOTE
    failed = next(f for f in diagnosis.findings if f.code is Code.BINARIES_FAILED)
    assert "program aaaaaaaaaaaa: the driver died" in failed.detail
    assert "SIGSEGV" in failed.detail
    mend(failed)
    assert not {Code.KERNELS_MISCOMPILED, Code.BINARIES_FAILED}.intersection(codes(diagnose()))
    assert not MiscompiledKernels(device).names()


def test_every_code_says_what_it_costs_and_stands_in_the_docs() -> None:
    """Each code has its cost, and a section of its name on the page about doctor."""
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert all(code.cost for code in Code)
    assert [c for c in Code if f"`{c.value}`" not in page] == []


def elsewhere(entry: Entry, field: str, value: str) -> Entry:
    """The entry as if it had been made for another device."""
    if entry.device is None:
        return entry
    device = DeviceIdentity.from_json({**entry.device.to_json(), field: value})
    return Entry.make(entry.kind, entry.key, entry.payload, device=device, kernels=entry.kernels, meta=entry.meta)


def tuned(path: Path) -> bytes:
    """A file of tuned parameters as upstream writes it."""
    data = encode_upstream(UpstreamFile("current", {"conv2d_1x1_ocl_kernel_1_2_3_4": (32, 4, 1, 0)}))
    path.write_bytes(data)
    return data
