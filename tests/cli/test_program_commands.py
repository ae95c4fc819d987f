"""The commands about program files, end to end on small files that no driver made."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.cli import main
from mace.device import DeviceIdentity
from mace.errors import TrustError
from mace.files.stamps import StampBook
from mace.program.content import Entry, KernelRecord, ProgramContent
from mace.program.encrypt import Secret
from mace.program.files import write_program
from mace.program.obfuscate import obfuscate
from mace.program.opening import open_trusted, save_own
from mace.program.trust import Origin, Trust
from mace.program.upstream import UpstreamFile, encode_upstream

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
Printed = pytest.CaptureFixture[str]
DEVICE = DeviceIdentity("P", "OpenCL 3.0", "Mali-G78", "OpenCL 3.0", "1", 1, "aarch64", "Linux", "1.0")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and private state, with an own file and one from elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MACE_PASSPHRASE", "open sesame")
    kernels = [KernelRecord("conv_1", "-O2", "ab" * 32, (8, 4))]
    program = Entry.make("program", "aa" * 32, b"\x7fELF", device=DEVICE, kernels=kernels)
    save_own("own.bin", ProgramContent((program, Entry.make("plan", "p", b"{}", device=DEVICE))), Trust())
    write_program("foreign.bin", ProgramContent((program,)))
    write_program("other.bin", ProgramContent((Entry.make("program", "cc" * 32, b"\x7fELF other", device=DEVICE),)))
    return tmp_path


def said(capsys: Printed, words: list[str], code: int = 0) -> Any:
    """What a command printed as JSON, once it ended with this code."""
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_inspect(folder: Path, capsys: Printed) -> None:
    """A person sees the kernels with their work-groups, and whether the file can go."""
    assert main(["inspect", "own.bin"]) == 0
    out = capsys.readouterr().out
    assert "Mali-G78" in out
    assert "conv_1" in out
    assert "8x4" in out
    assert "can be deleted" in out


def test_sign_trust_verify_revoke(folder: Path, capsys: Printed) -> None:
    """The whole life of a key: a file is refused, signed, verified, and refused again."""
    key = said(capsys, ["keys", "generate", "key.pem"])["id"]
    assert said(capsys, ["verify", "foreign.bin"], 6)["error"]["type"] == "TrustError"
    assert said(capsys, ["sign", "foreign.bin", "--key", "key.pem"])["key"] == key
    assert main(["verify", "foreign.bin"]) == 6
    said(capsys, ["keys", "trust", "key.pem.pub", "--name", "me", "--days", "3"])
    assert said(capsys, ["verify", "foreign.bin"])["name"] == "me"
    assert [k["status"] for k in said(capsys, ["keys", "list"])] == ["trusted"]
    said(capsys, ["keys", "revoke", "me"])
    assert main(["verify", "foreign.bin"]) == 6
    assert "revoked" in capsys.readouterr().err


def test_diff(folder: Path, capsys: Printed) -> None:
    """Equal files end with 0, different ones with 1 and what differs."""
    assert main(["diff", "own.bin", "own.bin"]) == 0
    assert said(capsys, ["diff", "foreign.bin", "own.bin"], 1)["added"] == [["plan", "p", DEVICE.digest]]


def test_diff_of_what_files_are_wrapped_in(folder: Path, capsys: Printed) -> None:
    """Files that hold the same may be signed by another, compressed or in another layout."""
    Path("key").write_text("00" * 32)
    shutil.copy("foreign.bin", "signed.bin")
    for words in (["--compress"], ["--encrypt-with", "key"], ["--to", "table"]):
        said(capsys, ["convert-program", "foreign.bin", "-o", f"{words[0][2:]}.bin", *words])
    said(capsys, ["keys", "generate", "key.pem"])
    said(capsys, ["sign", "signed.bin", "--key", "key.pem"])
    assert said(capsys, ["diff", "foreign.bin", "compress.bin"], 1)["wrapping"] == {"compressed": [False, True]}
    assert said(capsys, ["diff", "foreign.bin", "to.bin"], 1)["wrapping"] == {"layout": ["envelope", "kernel table"]}
    found = said(capsys, ["diff", "foreign.bin", "encrypt-with.bin", "--key-file", "key"], 1)
    assert found["wrapping"] == {"encrypted": [False, True]}
    shutil.copy("foreign.bin", "other.bin")
    said(capsys, ["keys", "generate", "other.pem"])
    said(capsys, ["sign", "other.bin", "--key", "other.pem"])
    for first in ("foreign.bin", "other.bin"):  # by nobody, and by a stranger
        assert list(said(capsys, ["diff", first, "signed.bin"], 1)["wrapping"]) == ["signature"]
    assert main(["diff", "signed.bin", "signed.bin"]) == 0
    said(capsys, ["keys", "trust", "key.pem.pub", "--name", "me"])
    found = said(capsys, ["diff", "foreign.bin", "signed.bin"], 1)
    assert found["wrapping"] == {"signature": ["none", "by me"]}
    assert (found["unchanged"], found["changed"]) == (1, [])
    assert main(["diff", "foreign.bin", "signed.bin"]) == 1
    assert "signature: none → by me" in capsys.readouterr().out


def test_merge_needs_trust(folder: Path, capsys: Printed) -> None:
    """What goes into a merged file must be trusted or opted in; it is own when all of it was, and not by an opt-in."""
    assert main(["merge", "own.bin", "other.bin", "-o", "both.bin"]) == 6
    assert said(capsys, ["merge", "own.bin", "other.bin", "-o", "both.bin", "--trust", "any"])["entries"] == 3
    with pytest.raises(TrustError):
        open_trusted("both.bin", Trust("own", StampBook()))
    assert open_trusted("both.bin", Trust("any")).file.content.nbytes == 16
    assert said(capsys, ["merge", "own.bin", "own.bin", "-o", "both.bin"])["own"] is True
    assert open_trusted("both.bin", Trust("own", StampBook())).verdict.origin is Origin.OWN


def test_what_is_made_of_an_own_file_is_own(folder: Path, capsys: Printed) -> None:
    """Another layout or encryption does not make an own file foreign, and does not make a foreign one own."""
    Path("key").write_text("00" * 32)
    secret = Secret.file("key")
    for words in (["--compress"], ["--encrypt-with", "key"], ["--to", "table"], ["--to", "upstream-old"]):
        said(capsys, ["convert-program", "own.bin", "-o", "made.bin", *words])
        assert open_trusted("made.bin", Trust("own", StampBook()), secret=secret).verdict.origin is Origin.OWN
        said(capsys, ["convert-program", "other.bin", "-o", "made.bin", *words])
        with pytest.raises(TrustError):
            open_trusted("made.bin", Trust("own", StampBook()), secret=secret)


def test_a_passphrase_to_encrypt_with(folder: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file encrypted with a passphrase is inspected and merged with it, and not with another."""
    monkeypatch.setenv("MACE_PASSPHRASE", "one two three")
    said(capsys, ["convert-program", "own.bin", "-o", "secret.bin", "--encrypt"])
    assert said(capsys, ["inspect", "secret.bin", "--passphrase"])["entries"]
    assert said(capsys, ["merge", "own.bin", "secret.bin", "-o", "both.bin", "--passphrase"])["entries"] == 2
    monkeypatch.setenv("MACE_PASSPHRASE", "another")
    assert main(["inspect", "secret.bin", "--passphrase"]) == 6
    assert "the key is wrong" in capsys.readouterr().err


def test_convert_and_extract(folder: Path, capsys: Printed) -> None:
    """A program goes into upstream's layout and comes out byte for byte."""
    words = ["convert-program", "own.bin", "-o", "upstream.bin", "--to", "upstream", "--mace-version", "v1.1.1"]
    assert said(capsys, words)["to"] == "upstream"
    assert said(capsys, ["inspect", "upstream.bin"])["devices"][0]["device_name"] == "Mali-G78"
    assert said(capsys, ["extract", "upstream.bin", "aaaa", "-o", "kernel.elf"])["kind"] == "program"
    assert said(capsys, ["extract", "upstream.bin", "aaaa", "--kind", "il", "-o", "x"], 6)["error"]["message"]
    assert said(capsys, ["extract", "upstream.bin", "aaaa", "--kind", "elf", "-o", "x"], 8)["error"]["message"]
    assert Path("kernel.elf").read_bytes() == b"\x7fELF"
    assert main(["convert-program", "own.bin", "-o", "x", "--to", "nonsense"]) == 8


def test_encrypted(folder: Path, capsys: Printed) -> None:
    """A file is encrypted with a key file, described from outside, and opened with the key."""
    Path("key").write_text("00" * 32)
    said(capsys, ["convert-program", "own.bin", "-o", "secret.bin", "--encrypt-with", "key"])
    assert said(capsys, ["inspect", "secret.bin"])["encrypted"] is True
    assert main(["diff", "own.bin", "secret.bin"]) == 6
    said(capsys, ["convert-program", "own.bin", "-o", "again.bin", "--encrypt-with", "key"])
    assert main(["diff", "again.bin", "secret.bin", "--key-file", "key"]) == 0


def test_cache(folder: Path, capsys: Printed) -> None:
    """The folder is printed, listed, kept small and emptied."""
    from mace.program.store import ProgramStore

    where = ["--storage", "programs"]
    ProgramStore("programs", group="m").save(ProgramContent((Entry.make("plan", "p", bytes(5000)),)))
    assert said(capsys, ["cache", "path", *where])["path"] == "programs"
    assert len(said(capsys, ["cache", "list", *where])) == 1
    assert main(["cache", "list", *where]) == 0
    assert said(capsys, ["cache", "gc", *where])["paths"] == []
    assert len(said(capsys, ["cache", "gc", "--max-size", "0", *where])["paths"]) == 2
    assert said(capsys, ["cache", "clear", *where])["paths"] == []


def test_one_device_of_several_for_upstream(folder: Path, capsys: Printed) -> None:
    """A file of upstream's is for one device: which one is asked for, and said by a part of its name."""
    other = replace(DEVICE, device_name="Adreno(TM) 540")
    programs = (Entry.make("program", "k", b"\x7fELF", device=d) for d in (DEVICE, other))
    write_program("both.bin", ProgramContent(tuple(programs)))
    convert = ["convert-program", "both.bin", "--to", "upstream", "-o", "one.bin"]
    message = said(capsys, convert, 8)["error"]["message"]
    assert "Mali-G78 on P, driver 1" in message
    assert "Adreno(TM) 540" in message
    assert "0 devices" in said(capsys, [*convert, "--for", "Xclipse"], 8)["error"]["message"]
    said(capsys, [*convert, "--for", "adreno"])
    (device,) = said(capsys, ["inspect", "one.bin"])["devices"]
    assert device["platform_name"] == "P"


def test_inspect_with_a_dictionary(folder: Path, capsys: Printed) -> None:
    """A name that obfuscation made ambiguous is read by a dictionary of names; options and kernels stand beneath each program."""
    key = f"pad -DPAD_TYPE=0 -Dpad_input={obfuscate('Dpad_Input')}"
    Path("up.bin").write_bytes(encode_upstream(UpstreamFile("current", {key: b"\x7fELF"})))
    kernels = [k["name"] for e in said(capsys, ["inspect", "up.bin"])["entries"] for k in e["kernels"]]
    assert kernels != ["Dpad_Input"]
    Path("names.txt").write_text("conv_2d\nDpad_Input\n")
    report = said(capsys, ["inspect", "up.bin", "--names", "names.txt"])
    assert [k["name"] for e in report["entries"] for k in e["kernels"]] == ["Dpad_Input"]
    assert main(["inspect", "up.bin", "--names", "names.txt"]) == 0
    out = capsys.readouterr().out
    assert "program pad:" in out
    assert "options -DPAD_TYPE=0" in out
    assert main(["inspect", "up.bin", "--names", "nowhere.txt"]) != 0
    Path("names.txt").write_bytes(b"\xff")
    assert said(capsys, ["inspect", "up.bin", "--names", "names.txt"], 8)["error"]["type"] == "ConfigError"


def test_cache_quarantine(folder: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not tried again is listed with device and reason, and forgotten on demand."""
    from mace.program.quarantine import MiscompiledKernels

    monkeypatch.setenv("MACE_STATE_DIR", str(folder / "state"))
    assert said(capsys, ["cache", "quarantine"]) == {"forgotten": False, "quarantined": []}
    MiscompiledKernels(DEVICE).add(["conv_a"], "Conv: off")
    (record,) = said(capsys, ["cache", "quarantine"])["quarantined"]
    assert (record["what"], record["reason"], record["detail"]) == ("kernel conv_a", "miscompiled", "Conv: off")
    assert record["device"] == DEVICE.to_json()
    assert main(["cache", "quarantine"]) == 0
    assert "conv_a" in capsys.readouterr().out
    assert said(capsys, ["cache", "quarantine", "--forget"])["forgotten"] is True
    assert said(capsys, ["cache", "quarantine"])["quarantined"] == []


def test_run_and_explain_with_keys_and_trust(folder: Path, capsys: Printed, device_spec: str) -> None:
    """An encrypted file starts with its key, a foreign one by an opt-in for this one call; without them both are passed over."""
    Path("key").write_text("00" * 32)
    mace.convert(DIGITS, "m.mace")
    np.save("x.npy", np.zeros((1, 1, 8, 8), np.float32))
    device = ["--device", device_spec]
    said(capsys, ["compile", "m.mace", "-o", "p.bin", "--storage", "st", *device])
    said(capsys, ["convert-program", "p.bin", "-o", "secret.bin", "--encrypt-with", "key"])
    shutil.rmtree("state")
    ways = {
        "foreign": (["-p", "p.bin"], True),
        "opt-in": (["-p", "p.bin", "--trust", "any"], False),
        "key": (["-p", "secret.bin", "--trust", "any", "--key-file", "key"], False),
        "no key": (["-p", "secret.bin", "--trust", "any"], True),
        "no reuse": (["-p", "p.bin", "--trust", "any", "--reuse", "none"], True),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (words, compiled) in ways.items():
            where = [*device, "--storage", f"st {name}", *words]
            stats = said(capsys, ["run", "m.mace", "--input", "x.npy", *where])["stats"]
            assert (stats["programs_from_source"] > 0) == compiled, name
            shutil.rmtree(f"st {name}", ignore_errors=True)
        stats = said(capsys, ["explain", "m.mace", *device, "--storage", "st e", *ways["key"][0]])
    assert stats["programs_from_source"] == 0
    assert main(["run", "m.mace", "--reuse", "nonsense"]) == 8


def test_check(folder: Path, capsys: Printed, device_spec: str) -> None:
    """A file for another device is unsupported, and each component stands beside ours."""
    report = said(capsys, ["check", "own.bin", "--device", device_spec], 6)
    assert report["fitness"] == "unsupported"
    assert {c["name"] for c in report["components"]} == set(DEVICE.to_json())
    assert main(["check", "own.bin", "--device", device_spec, "--reuse", "nonsense"]) == 8


@pytest.mark.slow
def test_explain(folder: Path, capsys: Printed, device_spec: str) -> None:
    """The first start says that nothing was there, the second that everything was."""
    source = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
    assert main(["convert", str(source), "-o", "digits.mace"]) == 0
    words = ["explain", "digits.mace", "--device", device_spec, "--storage", "store", "-p", "foreign.bin"]
    first = said(capsys, words)
    assert {"no-file", "untrusted", "saved"} <= {look["reason"] for look in first["looks"]}
    second = said(capsys, words)
    assert {look["reason"] for look in second["looks"]} == {"opened", "hit"}
    assert second["programs_from_source"] == 0
    assert main(words) == 0
    assert "found, and it fits this device" in capsys.readouterr().out
