"""What commands print: safe in a terminal, one JSON document for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mace.cli import output
from mace.errors import InputError

HOSTILE = "\x1b[31mred\x07 \u202eright-to-left [bold]markup[/bold] <b>html</b> 'quotes\" 🙂"


def test_terminal_controls_are_spelt_out() -> None:
    """Escape sequences and direction overrides lose their force; ordinary text of any language stays."""
    safe = output.plain(HOSTILE + " שלום κόσμε")
    assert "\x1b" not in safe
    assert "\u202e" not in safe
    assert safe.endswith("🙂 שלום κόσμε")


def test_markup_in_values_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich's markup in a value is printed, not obeyed, in lines, tables and errors."""
    output.line("name: {}", HOSTILE)
    output.table(("name", "size"), [(HOSTILE, 3)])
    output.error(InputError(HOSTILE))
    printed = capsys.readouterr()
    assert printed.out.count("[bold]markup[/bold]") == 2
    assert "[bold]markup[/bold]" in printed.err
    assert "\x1b" not in printed.out + printed.err


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths, arrays, numbers of numpy and data classes come out as plain JSON."""

    @dataclass
    class Record:
        path: Path
        sizes: np.ndarray  # type: ignore[type-arg]

    output.emit_json({"record": Record(Path("a"), np.arange(2)), "number": np.float32(0.5), "name": HOSTILE})
    assert json.loads(capsys.readouterr().out) == {
        "record": {"path": "a", "sizes": [0, 1]},
        "number": 0.5,
        "name": HOSTILE,
    }


def test_a_defect_is_named_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An error that mace does not raise on purpose is told apart, in one message, with the way to see more."""
    output.error(ZeroDivisionError("division by zero"), as_json=True)
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "ZeroDivisionError: division by zero" in printed.err
    assert "--debug" in printed.err
    assert json.loads(printed.out)["error"]["type"] == "ZeroDivisionError"


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5120.0 GiB")])
def test_sizes_for_people(count: int, text: str) -> None:
    """Sizes are given in binary units."""
    assert output.size(count) == text
