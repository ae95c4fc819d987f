"""The commands end to end, on the demo's network, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest

from mace.cli import main

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the demo's network converted, and three of its images one by one."""
    monkeypatch.chdir(tmp_path)
    assert main(["convert", str(DIGITS / "digits.onnx"), "-o", "digits.mace"]) == 0
    with np.load(DIGITS / "digits-test.npz") as data:
        np.save("image.npy", data["images"][:1])
        np.save("label.npy", data["labels"][:1])
    return tmp_path


def document(capsys: Printed) -> Any:
    """What the last command printed as JSON."""
    return json.loads(capsys.readouterr().out)


def test_convert_writes_beside_the_source(folder: Path, capsys: Printed) -> None:
    """Without ``-o`` the model file stands beside the source, under its name; the record says what is in it."""
    (folder / "here.onnx").write_bytes((DIGITS / "digits.onnx").read_bytes())
    capsys.readouterr()
    assert main(["convert", "here.onnx", "--json"]) == 0
    record = document(capsys)
    assert record["path"] == "here.mace"
    assert record["bytes"] == (folder / "here.mace").stat().st_size
    assert record["inputs"] == {"image": "float32[batchx1x8x8]"}
    assert record["operators"]["Conv"] == {"device": 3, "host": 0}


def test_convert_and_inspect_say_what_runs_on_the_host(tmp_path: Path, capsys: Printed) -> None:
    """Both print how many nodes have kernels, and which have none."""
    text = '<ir_version: 10, opset_import: ["" : 21]> g (float[4,3,3] x) => (float[4] y) { d = Det(x) y = Relu(d) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "det.onnx")
    assert main(["convert", str(tmp_path / "det.onnx")]) == 0
    converted = capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "det.mace")]) == 0
    for printed in (converted, capsys.readouterr().out):
        assert "device   1 of 2 nodes" in printed
        assert "run on the host, for want of a kernel: 1 Det" in printed


def test_convert_dumps_the_graph_after_each_pass(folder: Path) -> None:
    """``--dump`` fills a folder with readable graphs."""
    assert main(["convert", str(DIGITS / "digits.onnx"), "-o", "d.mace", "--dump", "passes"]) == 0
    dumped = sorted((folder / "passes").iterdir())
    assert len(dumped) > 1
    assert any("Conv" in path.read_text() for path in dumped)


def test_compile_then_run_compiles_nothing(folder: Path, device_spec: str, capsys: Printed) -> None:
    """A run with the program file builds nothing from source and answers right."""
    where = ["--device", device_spec, "--json", "--storage"]
    capsys.readouterr()
    assert main(["compile", "digits.mace", "-o", "digits.bin", *where, "one"]) == 0
    compiled = document(capsys)
    assert compiled["stats"]["programs_from_source"] > 0
    assert compiled["bytes"] == (folder / "digits.bin").stat().st_size
    assert main(["run", "digits.mace", "-p", "digits.bin", "-i", "image.npy", "-o", "y.npy", *where, "two"]) == 0
    assert document(capsys)["stats"]["programs_from_source"] == 0
    assert np.load("y.npy").argmax() == np.load("label.npy")[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "digits.mace", "-i", "label.npy"], 4, "int64"),
        (["run", "digits.mace", "-i", "nothing.npy"], 7, "no such file"),
        (["run", "digits.mace", "-i", "image.npy", "-d", "nonsense"], 5, "nonsense"),
        (["compile", "digits.mace", "--shape", "image=1x1x8"], 4, "image"),
        (["compile", "digits.mace", "--shape", "picture=1x1x8x8"], 4, "picture"),
        (["compile", "digits.mace", "--shape", "image:8"], 4, "1x3x224x224"),
        (["inspect", "image.npy"], 6, "image.npy"),
        (["inspect", "nothing.bin"], 7, "nothing.bin"),
    ],
)
def test_mistakes(folder: Path, words: list[str], code: int, said: str, capsys: Printed) -> None:
    """Each mistake ends with its exit code and a message that names what was wrong."""
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_inspect_a_model(folder: Path, capsys: Printed) -> None:
    """A model file is recognised by content and summarised."""
    (folder / "digits.mace").rename("renamed.bin")
    capsys.readouterr()
    assert main(["inspect", "renamed.bin", "--json"]) == 0
    record = document(capsys)
    assert record["kind"] == "model"
    assert len(record["sha256"]) == 64


def test_devices(capsys: Printed, device_spec: str) -> None:
    """Each installed implementation is listed, for people and for programs."""
    assert main(["devices", "--json"]) == 0
    assert any(device_spec in d["platform"] for d in document(capsys)["devices"])
    assert main(["devices"]) == 0
    assert device_spec in capsys.readouterr().out
