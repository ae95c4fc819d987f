"""What commands print: safe in a terminal, one JSON document for programs."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mace.cli import output
from mace.errors import InputError, MaceWarning

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
        sizes: np.ndarray

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


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a person sees on a terminal of 80 columns."""
    seen = io.StringIO()
    monkeypatch.setattr(
        output,
        "console",
        lambda **_: Console(file=seen, force_terminal=True, width=80, highlight=False, color_system=None),
    )
    return seen


def test_a_bench_fits_a_terminal(screen: io.StringIO) -> None:
    """No line of a record of a network with long names is wider than 80 columns, and no table's row is broken in two."""
    from mace.cli.bench import show_bench
    from tests.report.conftest import example

    record = example("model/layers.11/self_attn/scaled_dot_product")
    show_bench({**record["results"]["bench"], "model": record["overview"]["model"]})
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    headings = next(i for i, text in enumerate(lines) if text.startswith("no."))
    assert {"node", "kernel", "GFLOP/s", "GB/s"} <= set(lines[headings].split())
    assert len(set(map(len, lines[headings : headings + 11]))) == 1
    assert all(text.rstrip().endswith("50%") for text in lines[headings + 1 : headings + 11])


def test_numbers_stand_to_the_right(screen: io.StringIO) -> None:
    """Numbers line up at their ends, also those with a unit; words at their beginnings."""
    output.table(("what", "time"), [("a", "1.5 ms"), ("bbbb", "110 ms")])
    assert screen.getvalue().splitlines()[1:] == ["a     1.5 ms", "bbbb  110 ms"]


def test_sentences_break_between_words_and_commands_do_not(screen: io.StringIO) -> None:
    """Where a person looks no word is cut, and what is to be copied stays in one line."""
    output.line("{}", " ".join(["word"] * 30))
    assert all(text.split()[-1] == "word" for text in screen.getvalue().splitlines())
    screen.truncate(0)
    output.line("{}", "mace compile " + "x" * 100, whole=True)
    assert screen.getvalue().strip("\0\n").count("\n") == 0


def test_a_value_cannot_begin_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A line break in a name is spelt out, so that it cannot pass for a message of mace."""
    output.line("wrote {}", "x\nerror: forged")
    output.pairs({"name": "x\nerror: forged"})
    output.table(("name",), [("x\nerror: forged",)])
    output.error(InputError("no file 'x\nerror: forged'"))
    output.warning(MaceWarning("x\nerror: forged"))
    printed = capsys.readouterr()
    assert not [text for text in printed.out.splitlines() if text.startswith("error")]
    assert [text[:9] for text in printed.err.splitlines()] == ["error: no", "  error: ", "warning: ", "  error: "]


def test_words_for_people() -> None:
    """Counts read as sentences do; long names keep their ends."""
    assert [output.counted(n, "program") for n in (0, 1, 2)] == ["no programs", "1 program", "2 programs"]
    assert output.shortened("short", 9) == "short"
    assert output.shortened("/model/block/conv", 9) == "/mo…/conv"
