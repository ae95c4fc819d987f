"""The live view of long work: a bar for a person who waits, lines with the remaining time for a program."""

from __future__ import annotations

import io
import json
import sys
import time

import pytest

from mace.cli import logs, progress


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal as standard error, and little patience. (As a fixture it would be undone before the test is called.)"""
    seen = Screen()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    return seen


def test_a_bar_appears_while_the_first_step_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who waits sees what is being done, the time, and what is left of it, before a second step is told."""
    screen = watched(monkeypatch)
    with progress.progress_bar("working") as say:
        say("a long step", 0.25)
        time.sleep(0.6)
    assert "working: a long step" in screen.getvalue()
    assert "0:00:0" in screen.getvalue()


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done before anybody grows impatient leaves no trace."""
    screen = watched(monkeypatch)
    with progress.progress_bar("working") as say:
        say("a step", 0.5)
    assert "working" not in screen.getvalue()


def test_lines_tell_the_remaining_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As structured lines each step has its share and an estimate of what is left."""
    monkeypatch.setattr(logs, "_structured", True)
    with progress.progress_bar("working") as say:
        say("one", 0.0)
        time.sleep(0.05)
        say("two", 0.5)
    one, two = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (one["step"], one["remaining_seconds"]) == ("one", None)
    assert two["work"] == "working"
    assert two["remaining_seconds"] == pytest.approx(two["seconds"], abs=0.01)
