"""``mace_run.config`` as what `mace run --config` and its kin read: files beside it, tuned parameters, what has no effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.cli import main
from mace.deployment.run_config import is_run_config, read_run_config
from mace.engine.deployed import run_config_arguments
from mace.errors import ConfigError

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

Printed = pytest.CaptureFixture[str]

TEXT = """\
# where things are
model_file=digits.mace
--opencl_binary_file=interior/mace_cl_compiled_program.bin
opencl_parameter_file = "interior/tuned.json"
MACE_INTERNAL_STORAGE_PATH=interior
input_file=image.npy
output_file=scores.npy
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model, an image, and a configuration in a folder of its own, away from the working folder."""
    place = tmp_path / "mace_run"
    (place / "interior").mkdir(parents=True)
    mace.convert(DIGITS / "digits.onnx", place / "digits.mace")
    with np.load(DIGITS / "digits-test.npz") as data:
        np.save(place / "image.npy", data["images"][:1])
        np.save(place / "label.npy", data["labels"][:1])
    (place / "mace_run.config").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return place


def document(capsys: Printed) -> Any:
    """What the last command printed as JSON."""
    return json.loads(capsys.readouterr().out)


def test_a_deployed_folder_is_made_and_run(folder: Path, capsys: Printed) -> None:
    """Tuned, compiled, checked and run by the configuration alone: the second run compiles nothing and answers right."""
    config = str(folder / "mace_run.config")
    assert main(["tune", str(folder / "digits.mace"), "--budget", "1s", "--shape", "image=1x1x8x8", "--parameters",
                 str(folder / "interior" / "tuned.json"), "--storage", str(folder / "other")]) == 0  # fmt: skip
    assert main(["compile", "--config", config]) == 0
    assert (folder / "interior" / "mace_cl_compiled_program.bin").exists()
    assert main(["doctor", config]) == 0
    capsys.readouterr()
    assert main(["run", "--config", config, "--json"]) == 0
    assert document(capsys)["stats"]["programs_from_source"] == 0
    assert np.load(folder / "scores.npy").argmax() == np.load(folder / "label.npy")[0]


def test_tuned_parameters_that_are_elsewhere(folder: Path, capsys: Printed) -> None:
    """A path of tuned parameters that leads nowhere is warned of, with the command that says more, and the model runs."""
    config = str(folder / "mace_run.config")
    assert main(["run", "--config", config]) == 0
    said = capsys.readouterr().err
    assert "no tuned parameters at" in said
    assert "mace doctor" in said
    assert main(["doctor", config]) == 9
    assert "parameter-path" in capsys.readouterr().out


def test_tuned_parameters_reach_the_plan(folder: Path) -> None:
    """The file that is named is the one that the engine plans with; one that is none is an error that names it."""
    (folder / "interior" / "tuned.json").write_text("{}")
    assert main(["run", "--config", str(folder / "mace_run.config")]) == 8


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("round=100", "line 8: round has no effect: `mace bench`"),
        ("runtime=DSP", "line 8: runtime has no effect: 'DSP'"),
        ("colour=blue", "line 8: colour has no effect: nothing of that name"),
        ("opencl_cache_reuse_policy=7", "'7' is none of 0, 1"),
        ("num_threads=many", "'many' is no whole number"),
    ],
)
def test_what_has_no_effect_is_said(folder: Path, line: str, said: str) -> None:
    """Lines that ask for what there is not are named, with their number and the reason."""
    path = folder / "mace_run.config"
    path.write_text(TEXT + line + "\n")
    (note,) = read_run_config(path).notes
    assert said in note


def test_settings_of_the_engine(folder: Path) -> None:
    """Upstream's flags become arguments of ``mace.load``; paths start at the file's folder."""
    path = folder / "mace_run.config"
    path.write_text(TEXT + "runtime=GPU\nnum_threads=2\ngpu_priority_hint=1\nopencl_cache_reuse_policy=0\n")
    config = read_run_config(path)
    assert config.device == "gpu"
    assert config.file("program") == folder / "interior" / "mace_cl_compiled_program.bin"
    assert config.file("storage") == folder / "interior"
    assert run_config_arguments(config) == {
        "parameters": folder / "interior" / "tuned.json",
        "reuse": "none",
        "priority": "low",
        "threads": 2,
    }


def test_what_is_not_measured_is_said(folder: Path, capsys: Printed) -> None:
    """A measurement starts with the usual settings: what the file sets beside the model and its program is named."""
    path = folder / "mace_run.config"
    path.write_text("model_file=digits.mace\nnum_threads=1\n")
    once = ["--quick", "--cold", "0", "--rounds", "1", "--runs", "1", "--seconds", "0.1", "--no-profile"]
    assert main(["bench", "--config", str(path), "--shape", "image=1x1x8x8", *once]) == 0
    assert "threads: without effect on what is measured" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("raw", "said"), [(b"\xff\xfe\x00", "no text"), (b"hello\n", "no line of the form")])
def test_files_that_are_none(folder: Path, raw: bytes, said: str) -> None:
    """What is no text of settings is an error that says so, never taken for an empty one."""
    (folder / "mace_run.config").write_bytes(raw)
    with pytest.raises(ConfigError, match=said):
        read_run_config(folder / "mace_run.config")
    assert main(["run", "--config", str(folder / "mace_run.config")]) == 8


def test_it_is_told_from_a_deployment_file(tmp_path: Path) -> None:
    """By its name, or by its first line that counts."""
    (tmp_path / "a.yml").write_text("# c\nmodels:\n  a: {x: 1}\n")
    (tmp_path / "b.conf").write_text("\n# c\n--model_file=x.mace\n")
    assert not is_run_config(tmp_path / "a.yml")
    assert is_run_config(tmp_path / "b.conf")
    assert main(["convert", "--config", str(tmp_path / "b.conf")]) == 8
