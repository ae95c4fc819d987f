"""The commands that measure and look: validate, bench, report and doctor, and the deployment file that feeds them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mace.cli import main
from tests.report.conftest import HOSTILE, example

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

Printed = pytest.CaptureFixture[str]

DEPLOYMENT = """\
models:
  digits:
    platform: onnx
    model_file_path: digits.onnx
    model_sha256_checksum: {digest}
    subgraphs:
      - input_tensors: [image]
        input_shapes: ["1,8,8,1"]
        input_ranges: ["0.0,1.0"]
        output_tensors: [scores]
        validation_inputs_data: [images.npy]
        validation_threshold: {{CPU: {threshold}, GPU: {threshold}}}
    runtime: cpu+gpu
    obfuscate: 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the demo's network, its data, and a deployment file."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits.onnx", "digits-test.npz"):
        shutil.copy(DIGITS / name, tmp_path)
    with np.load("digits-test.npz") as data:
        np.save("images.npy", data["images"][:3].transpose(0, 2, 3, 1))
    deploy(tmp_path, 0.999)
    return tmp_path


def deploy(folder: Path, threshold: float) -> None:
    """Write the deployment file."""
    digest = hashlib.sha256((folder / "digits.onnx").read_bytes()).hexdigest()
    (folder / "models.yml").write_text(DEPLOYMENT.format(digest=digest, threshold=threshold))


def document(capsys: Printed) -> Any:
    """What the last command printed as JSON."""
    return json.loads(capsys.readouterr().out)


def test_everything_by_a_deployment_file(folder: Path, capsys: Printed) -> None:
    """convert, run, validate and report take the file; images it counts as NHWC reach a model that wants NCHW."""
    assert main(["convert", "--config", "models.yml"]) == 0
    assert (folder / "digits.mace").exists()
    assert "obfuscate" in capsys.readouterr().err
    assert main(["run", "--config", "models.yml", "-o", "y.npy"]) == 0
    with np.load("digits-test.npz") as data:
        assert np.load("y.npy").argmax() == data["labels"][0]
    capsys.readouterr()
    assert main(["validate", "--config", "models.yml", "--samples", "3", "--json"]) == 0
    record = document(capsys)
    assert record["samples"] == 3
    assert record["thresholds"]["cosine"] == 0.999
    assert main(["report", "--config", "models.yml", "--no-measure", "-o", "r.html"]) == 0
    assert "digits.onnx" in Path("r.html").read_text()


def test_the_deployment_files_settings_reach_the_engine(folder: Path, capsys: Printed) -> None:
    """Tensors stored in float16 by ``data_type``: compiled so, started from that file without compiling, judged as fp16
    and further from the source than float32 is; a measuring process is told too.
    """
    text = (
        Path("models.yml").read_text().replace("obfuscate: 1", "data_type: fp16_fp32\n    opencl_queue_window_size: 2")
    )
    Path("models.yml").write_text(text.replace("        validation_threshold: {CPU: 0.999, GPU: 0.999}\n", ""))
    assert main(["convert", "--config", "models.yml"]) == 0
    assert main(["compile", "--config", "models.yml", "--storage", "one"]) == 0
    assert (folder / "digits.bin").exists()
    capsys.readouterr()
    words = ["--config", "models.yml", "--json"]
    assert main(["run", *words, "--storage", "two"]) == 0
    assert document(capsys)["stats"]["programs_from_source"] == 0
    assert main(["validate", *words, "--storage", "two", "--accuracy", "--labelled", "digits-test.npz", "--label-limit",
                 "20", "--also", "bf16"]) == 0  # fmt: skip
    record = document(capsys)
    assert record["precision"] == "fp16"
    assert 40 < record["outputs"][0]["snr_db"] < 95
    assert [c["name"] for c in record["accuracy"]["contenders"]] == ["source", "converted", "bf16", "compiled"]
    few = ["--quick", "--cold", "0", "--rounds", "1", "--batches", "", "--no-profile"]
    assert main(["bench", *words, *few]) == 0
    record = document(capsys)
    assert record["settings"] == {"storage": "fp16", "winograd": 4, "queue_window": 2, "limit_kernel_time": False}
    assert record["starts"]["program"]["programs_from_source"] == [0]


def test_the_deployment_files_thresholds_decide(folder: Path) -> None:
    """A similarity that nothing reaches makes the exit code 9."""
    assert main(["convert", "--config", "models.yml"]) == 0
    assert main(["validate", "--config", "models.yml", "--threshold", "snr_db=199"]) == 9


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["validate", "--config", "models.yml"], 8, "mace convert --config models.yml"),
        (["validate", "x.mace"], 4, "--against"),
        (["run", "--config", "models.yml", "x.mace"], 2, "one of"),
        (["convert"], 2, "--config"),
        (["bench"], 2, "--config"),
        (["bench", "--compare", "a.json", "a.json"], 7, "a.json"),
        (["convert", "--config", "models.yml", "--model", "other"], 8, "digits"),
        (["doctor", "nowhere"], 7, "nowhere"),
        (["report", "x.mace", "-o", "r.pdf"], 4, ".html"),
        (["validate", "x.mace", "--against", "digits.onnx", "--threshold", "cosine"], 4, "cosine=0.99"),
        (["devices", "--log-format", "xml"], 8, "neither text nor json"),
    ],
)
def test_mistakes(folder: Path, words: list[str], code: int, said: str, capsys: Printed) -> None:
    """Each mistake ends with its exit code and a message that says what would be right."""
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_accuracy_with_a_plugin(folder: Path, capsys: Printed) -> None:
    """A plug-in's scores are measured for the source and the converted model side by side."""
    Path("plugin.py").write_text("score = {'exact': 'top1'}\n")
    assert main(["convert", "digits.onnx", "-o", "digits.mace"]) == 0
    capsys.readouterr()
    words = [
        "validate",
        "digits.mace",
        "--against",
        "digits.onnx",
        "--plugin",
        "plugin.py",
        "--labelled",
        "digits-test.npz",
    ]
    assert main([*words, "--label-limit", "60", "--also", "again=digits.onnx", "--json"]) == 0
    accuracy = document(capsys)["accuracy"]
    assert [c["name"] for c in accuracy["contenders"]] == ["source", "converted", "again"]
    assert accuracy["samples"] == 60
    assert all(c["verdict"] == "same" for c in accuracy["comparisons"])


@pytest.mark.slow
def test_bench_compare_and_report(folder: Path, capsys: Printed) -> None:
    """Two forms measured in turn, compared, and shown in a report; nothing is compiled at a start from the file."""
    assert main(["convert", "digits.onnx", "-o", "digits.mace"]) == 0
    shutil.copy("digits.mace", "same.mace")
    capsys.readouterr()
    assert main(["bench", "digits.mace", "same.mace", "--quick", "--rounds", "3", "-o", "records", "--json"]) == 0
    found = document(capsys)
    assert found["comparisons"][0]["paired"]
    first = found["records"][0]
    assert first["starts"]["program"]["programs_from_source"] == [0, 0, 0]
    assert first["starts"]["program"]["programs_from_spirv"] == [0, 0, 0]
    assert first["starts"]["cold"]["programs_from_source"][0] > 0
    assert first["starts"]["cold"]["answer"]["median"] > first["starts"]["program"]["answer"]["median"]
    assert len(first["latency"]["rounds"]) == 3
    assert first["profile"]["launches"]
    assert 0 < max(o["of_limit"] for o in first["profile"]["operators"]) < 3
    places = sorted(str(p) for p in Path("records").iterdir())
    assert main(["bench", "--compare", *places, "--json"]) == 0
    assert document(capsys)["verdict"] in ("noise", "faster", "slower")
    assert main(["report", "digits.mace", "--bench", places[0], "--no-measure", "--markdown"]) == 0
    assert "Start\\-up" in capsys.readouterr().out


def test_structured_logs(folder: Path, capsys: Printed) -> None:
    """With ``--log-format json`` every line on standard error is one JSON object; results stay on standard output."""
    assert main(["--log-format", "json", "convert", "--config", "models.yml"]) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.err.splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "start"
    assert events[-1] == "end"
    assert {"warning", "progress"} <= set(events)
    assert lines[-1]["exit_code"] == 0
    assert "wrote" in printed.out
    assert main(["validate", "nothing.mace", "--against", "digits.onnx", "--log-format=json"]) == 3
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()][-2:] == ["error", "end"]


def test_the_journal(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """Every command appends itself to the journal, and a report shows those that were run as the workflow."""
    monkeypatch.setenv("MACE_JOURNAL", str(folder / "journal.jsonl"))
    assert main(["convert", "digits.onnx", "-o", "digits.mace", "--json"]) == 0
    assert main(["convert", "nothing.onnx"]) == 3
    capsys.readouterr()
    assert main(["report", "digits.mace", "--against", "digits.onnx", "--no-measure", "--json"]) == 0
    steps = {s["name"]: s for s in document(capsys)["workflow"]}
    assert steps["conversion"]["command"] == "mace convert digits.onnx -o digits.mace --json"
    assert steps["conversion"]["recorded"]
    (folder / "journal.jsonl").write_text("no journal\n")
    assert main(["report", "digits.mace", "--no-measure"]) == 8


def test_doctor_finds_and_says(folder: Path, capsys: Printed) -> None:
    """A damaged model is found, printed with its command, and makes the exit code 9."""
    Path("broken.mace").write_bytes(b"MACEMODL")
    assert main(["doctor", "."]) == 9
    assert "model-unusable" in capsys.readouterr().out
    assert main(["doctor", ".", "--json"]) == 9
    record = document(capsys)
    assert not record["healthy"]
    assert record["findings"][0]["command"]
    Path("broken.mace").unlink()
    assert main(["doctor", "."]) == 0


def test_names_do_no_harm_in_the_terminal(capsys: Printed) -> None:
    """Whatever names hold, what is printed has no control character and no direction override in it."""
    from mace.cli.bench import show_bench, show_comparison
    from mace.cli.doctor import show_diagnosis
    from mace.cli.validate import show_validation

    record = example(HOSTILE)
    bench, validation = record["results"]["bench"], record["results"]["validation"]
    show_bench({**bench, "model": record["overview"]["model"], "device": record["overview"]["device"]})
    show_validation({**validation, "precision": HOSTILE})
    show_diagnosis(record["troubleshooting"])
    row = {"name": HOSTILE, "before": 1.0, "after": 1.0, "ratio": 1.0, "low": 0.9, "high": 1.1, "verdict": "noise"}
    show_comparison({"rows": [row], "cautions": [HOSTILE]})
    printed = capsys.readouterr()
    assert not {"\x1b", "\u202e", "\u202c"} & set(printed.out + printed.err)
    assert "<script>" in printed.out
