"""A save is read back and run in a child process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mace
from mace.errors import ProgramFileError
from mace.program.content import Entry, EntryKind, ProgramContent
from mace.program.encrypt import Secret

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


def test_a_save_is_loaded_again(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """The result says how long a child process took over it; an encrypted file too, and not when it is not wanted."""
    with mace.load(model_path, device=device_spec) as engine:
        for secret in (None, Secret.raw(bytes(32))):
            saved = engine.save_compiled_program(tmp_path / "m.bin", secret=secret)
            assert saved.reload_seconds is not None
            assert saved.reload_seconds > 0
            assert saved.first_run_seconds is not None
            assert saved.first_run_seconds > 0
        assert engine.save_compiled_program(tmp_path / "n.bin", verify=False).reload_seconds is None


def _cut(entry: Entry) -> Entry:
    return Entry.make(entry.kind, entry.key, bytes(entry.payload)[:100], device=entry.device, meta=entry.meta)


def _misnoted(entry: Entry) -> Entry:
    return replace(entry, meta={"outputs": dict.fromkeys(entry.meta["outputs"], "0" * 32)})


@pytest.mark.parametrize("spoil", [_cut, _misnoted, None])
def test_a_save_that_does_not_work_is_an_error(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> None:
    """A binary that is incomplete, that computes something else, or that is missing is told of, and the file removed."""
    with mace.load(model_path, device="cpu") as engine:
        engine.run({"x": X})
        entries = engine._library.content().entries
        programs = [e for e in entries if e.kind is EntryKind.PROGRAM]
        spoiled = [spoil(programs[0]), *programs[1:]] if spoil else []
        content = ProgramContent((*(e for e in entries if e.kind is not EntryKind.PROGRAM), *spoiled))
        monkeypatch.setattr(engine._library, "content", lambda: content)
        with pytest.raises(ProgramFileError, match="does not work when it is loaded again"):
            engine.save_compiled_program(tmp_path / "m.bin")
    assert not (tmp_path / "m.bin").exists()
