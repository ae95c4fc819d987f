"""The benchmark beside other runtimes: who is left out and why, the record, and the pages written from it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The scripts of ``bench``, which import each other by name."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import page
    import peers
    import runtimes

    return {"page": page, "peers": peers, "runtimes": runtimes}


def row(**steady: float) -> dict[str, Any]:
    """A network's row with two rounds, in the second of which everything took twice as long."""
    measured = {
        name.replace("_", " "): {
            "process": [100 * t, 200 * t],
            "first": [50 * t, 100 * t],
            "steady": [t, 2 * t],
            "memory": [90.0, 90.0],
        }
        for name, t in steady.items()
    }
    return {
        "date": "2026-01-02",
        "machine": "a machine",
        "versions": {"mace": "1"},
        "devices": {},
        "rounds": 5,
        "tuned_seconds": 60.0,
        "measured": measured,
        "differences": {"mnn": 2e-5},
        "notes": {"ncnn": "its process ended by SIGSEGV"},
    }


def test_process_that_fails_leaves_the_row(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    """A runtime whose process fails is left out with the last words of the process; the script goes on."""
    peers = scripts["peers"]
    asked = {"runtime": "onnxruntime", "model": str(tmp_path / "none.onnx"), "name": "x", "shape": [1], "seconds": 0.0}
    with pytest.raises(scripts["runtimes"].LeftOutError, match="NoSuchFile"):
        peers.apart("measure", asked)


def test_crash_is_named(scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A runtime that dies of a signal is left out, and the note says of which."""
    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(scripts["peers"], "__file__", str(crash))
    with pytest.raises(scripts["runtimes"].LeftOutError, match="SIGSEGV"):
        scripts["peers"].apart("measure", {"model": str(tmp_path / "m.onnx")})


def test_row_of_those_who_are_right(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that crashes and one that computes something else are left out with notes; the others have a figure a round."""
    peers = scripts["peers"]
    network = peers.Network("net", tmp_path)
    network.folder.mkdir()
    network.facts = {"name": "x", "shape": [1], "runtimes": [], "about": {"mace": "a device"}, "notes": {}}
    everyone = ["mace", "onnxruntime", "ncnn", "mnn"]
    network.facts["runtimes"] = everyone
    turns = {"n": 0}

    def apart(work: str, arguments: dict[str, Any]) -> dict[str, float]:
        runtime = arguments["runtime"]
        if runtime == "ncnn":
            raise scripts["runtimes"].LeftOutError("its process ended by SIGSEGV")
        turns["n"] += 1
        np.savez(network.model.with_name(f"{runtime}.npz"), np.arange(5.0) * (2 if runtime == "mnn" else 1))
        return dict.fromkeys(peers.COLUMNS, 1.0 if runtime == "mace" else 2.0)

    monkeypatch.setattr(peers, "apart", apart)
    found = network.measure(everyone, rounds=3, seconds=0.0)
    assert list(found["measured"]) == ["mace", "onnxruntime"]
    assert found["measured"]["mace"]["steady"] == [1.0, 1.0, 1.0]
    assert found["notes"]["ncnn"] == "its process ended by SIGSEGV"
    assert "off by 1.0e+00" in found["notes"]["mnn"]
    assert turns["n"] == 3 + 2 * 3  # three in the round that warms, two in each of the others


def test_record_grows(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    """A network's row replaces its own and leaves the others, in the order of the list."""
    path = tmp_path / "folder" / "record.json"
    for name, steady in (("resnet50", 1.0), ("mobilenet_v1", 2.0), ("resnet50", 3.0)):
        scripts["peers"].add_to(path, name, row(mace=steady))
    found = json.loads(path.read_text())["networks"]
    assert list(found) == ["mobilenet_v1", "resnet50"]
    assert found["resnet50"]["measured"]["mace"]["steady"] == [3.0, 6.0]


def test_ratios_on_the_page(scripts: dict[str, ModuleType]) -> None:
    """Shares are of the best peer of the row and of ONNX Runtime; generic and PoCL have a table of their own."""
    networks = {"net": row(mace=2.0, mace_tuned=1.5, mace_generic=30.0, mace_PoCL=2.5, onnxruntime=3.0, openvino=2.5)}
    text = scripts["page"].page(networks, {})
    assert "| net | 3.00 | 2.25 | 4.50 | 3.75 | openvino | **0.80** | **0.60** | 0.67 | 0.50 |" in text
    assert "| net | 2.25 | 1.33 | 45.0 | 15.0 | 3.75 | 1.25 |" in text
    assert "ncnn is left out: its process ended by SIGSEGV" in text
    assert "mnn 2e-05" in text


def test_shares_are_of_the_same_round(scripts: dict[str, ModuleType]) -> None:
    """A round in which the machine was slow counts as any other; the quotient of the medians would be 3."""
    measured = {"mace": {"steady": [1.0, 9.0, 3.0]}, "mnn": {"steady": [1.0, 9.0, 1.0]}}
    assert scripts["page"].share({"measured": measured}, "steady", "mace") == 1.0


def test_spread_of_the_rounds(scripts: dict[str, ModuleType]) -> None:
    """The worst of all is named."""
    calm, rough = ({"measured": {"mace": {"steady": [1.0, worst, 1.5]}}} for worst in (2.0, 3.0))
    words = "The same run took up to 3.0 times as long in one round as in another (mace, rough)."
    assert scripts["page"].spread({"calm": calm, "rough": rough}) == words


def test_recordings_that_were_not_kept(scripts: dict[str, ModuleType]) -> None:
    """Both shares stand side by side."""
    calm, busy = (row(mace=ours, mace_tuned=ours / 2, mnn=2.0) for ours in (1.0, 3.0))
    text = scripts["page"].page({"net": calm}, {}, busy={"net": busy})
    assert "| net | 0.50 | 1.50 | 0.25 | 0.75 |" in text


def test_another_machine_on_the_page(scripts: dict[str, ModuleType]) -> None:
    """Rows of another machine stand in a section of their own, with the second OpenCL implementation's share."""
    other = row(**{"mace": 1.0, "mace PoCL": 1.2, "onnxruntime": 2.0})
    text = scripts["page"].page({"net": row(mace=2.0)}, {}, others={"-short-vectors": ({"net": other}, {})})
    _, section = text.split("## On a processor without AVX-512")
    assert "`make bench SUFFIX=-short-vectors`" in section
    assert "| **0.50** |" in section
    assert "PoCL / Intel, steady: net 1.20." in section


def test_page_where_runtimes_are_missing(scripts: dict[str, ModuleType]) -> None:
    """A runtime that took part in one network only has a dash in the others."""
    text = scripts["page"].page({"a": row(mace=2.0, onnxruntime=1.0), "b": row(mace=2.0)}, {})
    assert "| a | 3.00 | 1.50 | onnxruntime | **2.00** | 2.00 |" in text
    assert "| b | 3.00 | – | – | **–** | – |" in text


def test_starts_on_the_page(scripts: dict[str, ModuleType]) -> None:
    """Whole processes with mace's share of ONNX Runtime's, and the engine's part warm and cold; what is missing is a dash."""
    walls = {"numpy": 100.0, "device": 150.0, "onnxruntime": 200.0, "mace": 180.0, "numpy_first": 190.0, "cold": 3000.0}
    row_of = {r: {"wall": [w], "engine": [w - 100], "cpu": [0.0], "memory": [w / 2]} for r, w in walls.items()}
    sizes = {"weights": 9.5, "arena": 3.25, "alive": 3.0}
    record = {"net": {"date": "2026-01-02", "machine": "a machine", "rounds": 1, "sizes": sizes, "measured": row_of}}
    text = scripts["page"].page({"n": row(mace=1.0)}, {}, None, record)
    assert "| net | 100 | 150 | 200 | 180 | **0.90** | 0.95 | 80 | 2900 | 36 | 95 |" in text
    assert "| net | 75 | 90 | 15.0 | 9.5 | 3.2 | 3.0 |" in text
    row_of["mace"]["account"], row_of["cold"]["account"] = [30.0], [2700.0]
    text = scripts["page"].page({"n": row(mace=1.0)}, {}, None, record)
    assert "| less the device | engine.stats |" in text and "| 36 | 95 | 90 |" in text
    del row_of["onnxruntime"], row_of["cold"]
    text = scripts["page"].page({"n": row(mace=1.0)}, {}, None, record)
    assert "| net | 100 | 150 | – | 180 | **–** | – | 80 | – | – | – |" in text and "engine.stats" not in text


def test_limits_on_the_page(scripts: dict[str, ModuleType]) -> None:
    """The roofline's sums, and each launch with its rates."""
    launch = {"node": "n", "op": "Conv", "kernel": "k", "template": "conv", "seconds": 2e-3, "flops": 4_000_000}
    launch |= {"nbytes": 1000, "gflops": 2.0, "gbs": 0.5, "limit_seconds": 1e-3, "of_limit": 0.5}
    peak = {"flops": 4e9, "bandwidths": [{"working_set": 1 << 20, "bytes_per_second": 8e9}]}
    profile = {"date": "2026-01-02", "device": "d", "build": "tuned", "passes": 9, "device_seconds": 2e-3}
    profiles = {"net": {**profile, "peak": peak, "launches": [launch]}}
    assert "| 1 | 2.00 | 2 | 50% | conv at n 1.00 |" in scripts["page"].page({"net": row(mace=2.0)}, profiles)
    assert "| n | Conv | conv | 2000 | 2.0 | 0.5 | 50% |" in scripts["page"].roofline(profiles)


def test_pages_are_those_of_the_records(scripts: dict[str, ModuleType]) -> None:
    """The pages in the docs are what the recorded results give: nobody has typed into either."""
    page = scripts["page"]
    for name, text in page.pages().items():
        assert (page.DOCS / name).read_text() == text


def test_readme_says_what_was_recorded(scripts: dict[str, ModuleType]) -> None:
    """The figures in the README are the least and the most of the recorded ones."""
    page, readme = scripts["page"], " ".join((ROOT / "README.md").read_text().split())
    rows = page.networks("peers.json").values()
    steady = [page.share(row, "steady", "mace") for row in rows]
    start = [page.share(row, "process", "mace", "onnxruntime") for row in rows]
    short = [page.share(row, "steady", "mace") for row in page.networks("peers-short-vectors.json").values()]
    assert len(rows) == len(short) == 7
    assert f"without AVX-512 {min(short):.2f} to {max(short):.2f}" in readme
    assert f"a run of seven networks takes {min(steady):.2f} to {max(steady):.2f} of the time of the best" in readme
    assert f"first result in {min(start):.2f} to {max(start):.2f} of ONNX Runtime's time" in readme
