"""The command line as a whole: errors, exit codes, help, completion, and what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mace.cli import main
from mace.cli.commands import COMMANDS
from mace.cli.entry import EXIT_CODES
from mace.errors import MaceError, ModelFileError

Printed = pytest.CaptureFixture[str]


def test_the_module_is_the_command() -> None:
    """``python -m mace`` does what ``mace`` does, and ends with its exit code."""
    from mace import __version__

    done = subprocess.run([sys.executable, "-m", "mace", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["mace", __version__])
    assert subprocess.run([sys.executable, "-m", "mace", "none"], capture_output=True, check=False).returncode == 2


def test_version(capsys: Printed) -> None:
    """``--version`` prints the version that the package has."""
    from mace import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mace {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_modules_docstring(command: str, capsys: Printed) -> None:
    """Each command explains itself with its module's first sentence."""
    from importlib import import_module

    assert main([command, "--help"]) == 0
    sentence = (import_module(COMMANDS[command]).__doc__ or "").partition("\n\n")[0]
    assert " ".join(sentence.split()) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [["nonsense"], ["run"], ["convert", "--nonsense", "x.onnx"]])
def test_wrong_usage(words: list[str], capsys: Printed) -> None:
    """An unknown command or option, or a missing argument, is wrong usage: exit code 2, no traceback."""
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_is_one_message(tmp_path: Path, capsys: Printed) -> None:
    """A file that is no model ends with its exit code and one line that names the file."""
    broken = tmp_path / "broken.mace"
    broken.write_bytes(b"MACEMODL not a model")
    assert main(["inspect", str(broken)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert "broken.mace" in printed.err
    assert "Traceback" not in printed.err


def test_an_error_in_json(tmp_path: Path, capsys: Printed) -> None:
    """With ``--json`` standard output is a JSON document also when the command fails."""
    assert main(["convert", str(tmp_path / "none.onnx"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "ConvertError"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    """With ``--debug``, wherever it stands, the error itself is raised."""
    (tmp_path / "broken.mace").write_bytes(b"MACEMODL not a model")
    for words in (["--debug", "inspect"], ["inspect", "--debug"]):
        with pytest.raises(ModelFileError):
            main([*words, str(tmp_path / "broken.mace")])


def test_exit_codes_are_in_the_docs() -> None:
    """Every kind of error has an exit code of its own, and the page on the command line lists it."""
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    codes = [code for _, code in EXIT_CODES]
    assert len(set(codes)) == len(codes)
    assert all(issubclass(kind, MaceError) for kind, _ in EXIT_CODES)
    assert all(f"\n| {code} | " in page for code in (0, 1, 2, 130, *codes))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """Shells are told the commands that begin as the typed word does."""
    typed = {
        "COMP_WORDS": "mace co",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "mace co",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = _python("from mace.cli import main; main([])", _MACE_COMPLETE=f"complete_{shell}", **typed)
    assert "convert" in done
    assert "compile" in done
    assert "devices" not in done


def test_commands_do_not_import_each_other() -> None:
    """Starting one command loads neither the others nor what only they need."""
    loaded = _python("import sys; from mace.cli import main; main(['devices', '--help']); print(*sys.modules)").split()
    assert "mace.cli.devices" in loaded
    assert not {"mace.cli.convert", "mace.cli.run", "onnx", "jinja2", "cryptography", "pyopencl"} & set(loaded)


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    return done.stdout
