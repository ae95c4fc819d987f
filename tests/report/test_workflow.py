"""The steps of a deployment: commands that were run where that is known, and commands that put a model on a device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mace
from mace.program.files import read_program
from mace.report.workflow import deployment, workflow

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

TOOLS = {
    "ssh": 'shift; exec sh -c "$*"',
    "scp": 'for last; do :; done; while [ $# -gt 1 ]; do cp "$1" "${last#*:}"; shift; done',
    "adb": 'verb=$1; shift; if [ "$verb" = shell ]; then exec sh -c "$*"; fi\n'
    'for last; do :; done; while [ $# -gt 1 ]; do cp "$1" "$last"; shift; done',
}
"""Stand-ins that take the same words and reach this very machine."""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with those tools and with the ``mace`` command of this tree, first in the path.

    The working folder is another, and so is the state folder, where other tests leave what ``mace doctor`` tells of.
    """
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, body in TOOLS.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / "mace").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {sys.path!r}\nfrom mace.cli import main\nsys.exit(main())\n"
    )
    for path in folder.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.mark.parametrize("tool", ["ssh", "adb"])
def test_the_commands_put_a_model_on_a_device(tool: str, tools: Path, tmp_path: Path) -> None:
    """Run as they stand, in a shell, they leave a folder whose model starts from its own program file; names may be odd."""
    name = "dig its' $HOME.mace"
    mace.convert(DIGITS / "digits.onnx", name)
    place = tmp_path / "device"
    lines = deployment(name, tool, ("--shape", "image=2x1x8x8"), str(place))
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / name).exists()
    (plan,) = [e for e in read_program(place / "mace_cl_compiled_program.bin").content.entries if e.kind == "plan"]
    assert plan.meta["inputs"] == {"image": "float32[2x1x8x8]"}
    assert "nothing is wrong" in done.stdout
    assert "no programs compiled from source" in done.stdout.splitlines()[-1]


def test_a_journal_wins_over_a_guess() -> None:
    """A step that was run shows its own words; a failed one does not count; what was not run is offered."""
    journal = [
        {
            "command": ["mace", "convert", "a b.onnx", "-o", "m.mace"],
            "exit_code": 0,
            "time": "2026-01-02T03:04:05+00:00",
        },
        {"command": ["mace", "compile", "m.mace", "-o", "wrong.bin"], "exit_code": 7},
    ]
    steps = {
        s["name"]: s for s in workflow("m.mace", "a b.onnx", "m.bin", None, None, journal, None, ("--shape", "x=1"))
    }
    assert steps["conversion"]["command"] == "mace convert 'a b.onnx' -o m.mace"
    assert steps["conversion"]["when"]
    assert steps["compilation"]["command"] == "mace compile m.mace -o m.bin --shape x=1"
    assert not steps["compilation"]["recorded"]
    assert {"deployment over ssh", "deployment over adb", "tuning", "environment"} <= set(steps)
