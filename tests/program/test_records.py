"""Inspect, diff, check, convert and extract: plain records about files."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.errors import ProgramFormatError
from mace.program.checking import Fitness, check_program
from mace.program.codec import decode_program, encode_program
from mace.program.content import Entry, EntryKind, ProgramContent, merge
from mace.program.conversion import encode_as, extract_section
from mace.program.difference import diff_programs
from mace.program.encrypt import Secret
from mace.program.files import write_program
from mace.program.inspecting import inspect_program
from mace.program.opening import save_own
from mace.program.reasons import Reason
from mace.program.trust import Trust
from tests.program.test_spirv import RUSTICL


def test_inspect_in_plain_words(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A person learns what the file is, whose it is, and whether it can go."""
    report = inspect_program(save_own(tmp_path / "f", content, trust).path, trust=trust)
    text = " ".join(report.words)
    for part in ("compiled OpenCL programs of mace", "A CPU", "2026.2", "digits", "can be deleted", "for you on this"):
        assert part in text
    assert (report.layout, report.own, report.signature, len(report.entries)) == ("envelope", True, "none", 3)
    json.dumps(asdict(report))


@pytest.mark.parametrize("layout", ["envelope", "table", "upstream", "upstream-old"])
def test_inspect_reads_every_layout(content: ProgramContent, trust: Trust, layout: str) -> None:
    """Each layout is recognised by its bytes, and a foreign file says how it could be loaded."""
    report = inspect_program(encode_as(content, layout), trust=trust)
    assert report.readable
    assert "trust='any'" in report.words[-1]


def test_inspect_from_outside(content: ProgramContent, trust: Trust) -> None:
    """An encrypted file without its key is described as far as it can be; with it, wholly."""
    key = Secret.raw(bytes(32))
    data = encode_program(content, secret=key).to_bytes()
    report = inspect_program(data, trust=trust)
    assert (report.readable, report.encrypted, report.entries) == (False, True, ())
    assert len(inspect_program(data, secret=key, trust=trust).entries) == 3


def test_inspect_names_the_file(tmp_path: Path) -> None:
    """An error says which file it is about."""
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ProgramFormatError, match=r"text.*none of the layouts"):
        inspect_program(tmp_path / "text")


def test_diff(content: ProgramContent, identity: DeviceIdentity) -> None:
    """Entries gained, lost and changed, and a new device beside the nearest old one."""
    newer = replace(identity, driver_version="2027.1")
    changed = Entry.make("plan", "plan-1", b"{}", device=identity)
    added = Entry.make("plan", "plan-2", b"{}", device=newer)
    second = merge(content.without([content.entries[-1].id]), ProgramContent((changed, added)))
    diff = diff_programs(content, second)
    assert [i[1] for i in diff.removed] == ["bb" * 32]
    assert [i[1] for i in diff.added] == ["plan-2"]
    assert [(c.key, c.what, c.sizes) for c in diff.changed] == [("plan-1", ("payload", "meta"), (13, 2))]
    assert diff.unchanged == 1
    assert diff.devices_added[0].differences == {"driver_version": ("2026.2", "2027.1")}
    assert diff_programs(content, content).is_empty


@pytest.mark.parametrize(
    ("change", "reuse", "fitness", "reason"),
    [
        ({}, "exact", Fitness.OPTIMAL, Reason.HIT),
        ({"driver_version": "9"}, "exact", Fitness.RECOMPILE, Reason.OTHER_DRIVER),
        ({"driver_version": "9"}, "same-gpu", Fitness.USABLE, Reason.HIT),
        ({"engine_version": "9"}, "exact", Fitness.RECOMPILE, Reason.OTHER_ENGINE),
        ({"device_name": "B"}, "exact", Fitness.UNSUPPORTED, Reason.OTHER_DEVICE),
        ({"architecture": "aarch64"}, "exact", Fitness.UNSUPPORTED, Reason.OTHER_SYSTEM),
        ({}, "none", Fitness.UNSUPPORTED, Reason.REUSE_OFF),
    ],
)
def test_check(
    content: ProgramContent,
    identity: DeviceIdentity,
    trust: Trust,
    change: dict[str, str],
    reuse: str,
    fitness: Fitness,
    reason: Reason,
) -> None:
    """The four answers, with every component side by side."""
    data = encode_program(content).to_bytes()
    ours = replace(identity, **change)
    report = check_program(data, ours, reuse=reuse, trust=replace(trust, policy="any"))
    if reuse == "none":
        fitness = Fitness.UNSUPPORTED if not change and report.fitness is Fitness.UNSUPPORTED else Fitness.RECOMPILE
    assert (report.fitness, report.reason) == (fitness, reason)
    assert [c.name for c in report.components if not c.equal] == list(change)


def test_check_answers_for_bad_files(tmp_path: Path, content: ProgramContent, identity: DeviceIdentity) -> None:
    """A missing, damaged or untrusted file is an answer, not an error."""
    assert check_program(tmp_path / "none", identity).reason is Reason.NO_FILE
    assert check_program(b"rubbish", identity).reason is Reason.NOT_A_PROGRAM
    report = check_program(encode_program(content).to_bytes(), identity)
    assert (report.fitness, report.reason) == (Fitness.UNSUPPORTED, Reason.UNTRUSTED)


def test_check_knows_spirv(identity: DeviceIdentity, trust: Trust) -> None:
    """SPIR-V makes a file of another driver usable for a device that takes it; for one that takes none, the answer says so."""
    trust = replace(trust, policy="any")
    older = Entry.make("program", "k", b"x", device=replace(identity, driver_version="1"))
    spirv = Entry.make("il", "k", b"spirv")
    data = encode_program(ProgramContent((older, spirv))).to_bytes()
    report = check_program(data, identity, takes_spirv=True, trust=trust)
    assert (report.fitness, report.reason, report.programs) == (Fitness.USABLE, Reason.ONLY_SPIRV, 1)
    report = check_program(data, identity, trust=trust)
    assert (report.fitness, report.reason, report.programs) == (Fitness.RECOMPILE, Reason.OTHER_DRIVER, 0)
    assert "takes none" in report.detail
    elsewhere = check_program(data, replace(identity, platform_name="B"), takes_spirv=True, trust=trust)
    assert elsewhere.fitness is not Fitness.USABLE
    assert "another kind of device" in elsewhere.detail
    report = check_program(data, identity, takes_spirv=True, reuse="none", trust=trust)
    assert report.reason is Reason.REUSE_OFF
    alone = encode_program(ProgramContent((spirv,))).to_bytes()
    assert check_program(alone, identity, takes_spirv=True, trust=trust).fitness is Fitness.USABLE
    report = check_program(alone, identity, trust=trust)
    assert (report.fitness, report.reason) == (Fitness.RECOMPILE, Reason.NO_ENTRY)
    assert "takes none" in report.detail


def test_check_sees_binaries_that_are_spirv(identity: DeviceIdentity, trust: Trust) -> None:
    """A driver's binary that is SPIR-V counts as that for other devices, and the description says so."""
    given = Entry.make("program", "k", RUSTICL.read_bytes(), device=replace(identity, driver_version="1"))
    data = encode_program(ProgramContent((given,))).to_bytes()
    report = check_program(data, identity, takes_spirv=True, trust=replace(trust, policy="any"))
    assert (report.fitness, report.reason, report.programs) == (Fitness.USABLE, Reason.ONLY_SPIRV, 1)
    assert any("SPIR-V" in sentence for sentence in inspect_program(data).words)


def test_converted_there_and_back(content: ProgramContent) -> None:
    """Our own layouts hold everything; upstream's hold the programs."""
    for layout in ("envelope", "table"):
        assert decode_program(encode_as(content, layout)).content == content
    for layout in ("upstream", "upstream-old"):
        back = decode_program(encode_as(content, layout)).content
        assert [bytes(e.payload) for e in back.entries] == [bytes(content.entries[1].payload)]
    with pytest.raises(ValueError, match="only the envelope"):
        encode_as(content, "table", compressed=True)


def test_extract_by_kind(tmp_path: Path, identity: DeviceIdentity) -> None:
    """A program and its SPIR-V have one key: the error names both, and the kind decides."""
    program = Entry.make("program", "k", b"binary", device=identity)
    content = ProgramContent((program, Entry.make("il", "k", b"spirv")))
    with pytest.raises(ProgramFormatError, match=r"2 sections answer to 'k'; program with hash .*; il with hash"):
        extract_section(content, "k", tmp_path / "out")
    assert extract_section(content, "k", tmp_path / "out", EntryKind.IL).kind == "il"
    assert (tmp_path / "out").read_bytes() == b"spirv"


def test_extract(tmp_path: Path, content: ProgramContent) -> None:
    """A section comes out unchanged by key, by the start of a key, or by the start of its hash."""
    for key in ("plan-1", "plan", content.entries[0].sha256[:16]):
        extract_section(content, key, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b'{"version":1}'
    with pytest.raises(ProgramFormatError, match="0 sections"):
        extract_section(content, "nothing", tmp_path / "out")


def test_files_are_reproducible(tmp_path: Path, content: ProgramContent) -> None:
    """Writing twice gives the same bytes and the same digest."""
    one, two = (write_program(tmp_path / n, content) for n in ("one", "two"))
    assert one.digest == two.digest
    assert one.path.read_bytes() == two.path.read_bytes()
