"""The documentation's code runs: every ``python`` and ``bash`` block of the README and of docs/, page by page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block of a page that is meant to run."""
    return [(m[1], m[2]) for m in BLOCK.finditer(page.read_text())]


PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if p.exists() and blocks(p)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what the pages speak of: ``digits.onnx``, ``image.npy``, and the ``mace`` command."""
    shutil.copy(DIGITS / "digits.onnx", tmp_path)
    with np.load(DIGITS / "digits-test.npz") as data:
        np.save(tmp_path / "image.npy", data["images"][:1])
    commands = tmp_path / "bin"
    commands.mkdir()
    mace = commands / "mace"
    mace.write_text(f"#!{sys.executable}\nimport sys\nfrom mace.cli import main\nsys.exit(main())\n")
    mace.chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_page_runs(page: Path, folder: Path) -> None:
    """A reader who types in a page from top to bottom meets no error; Python blocks share one session."""
    session: dict[str, object] = {"__name__": "__main__"}
    for number, (language, text) in enumerate(blocks(page)):
        if language == "bash":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{page.name}, block {number}:\n{text}\n{done.stdout}{done.stderr}"
        else:
            exec(compile(text, f"{page.name}, block {number}", "exec"), session)
