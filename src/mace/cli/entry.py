"""Runs one command line: options that hold for every command, errors as one message, exit codes.

Exit codes: 0 done; 1 failed in another way; 2 wrong usage; 3 the model; 4 the call's inputs; 5 the device; 6 a program
file; 7 a folder or file that cannot be read or written; 8 a setting; 9 measured and found wanting; 130 interrupted.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.main

from mace.cli import logs, output
from mace.cli.commands import LazyGroup
from mace.errors import (
    ConfigError,
    DeviceError,
    InputError,
    MaceError,
    MaceWarning,
    ModelError,
    ProgramFileError,
    StorageError,
)
from mace.version import __version__

EXIT_CODES: tuple[tuple[type[MaceError], int], ...] = (
    (ModelError, 3),
    (InputError, 4),
    (DeviceError, 5),
    (ProgramFileError, 6),
    (StorageError, 7),
    (ConfigError, 8),
)
"""Error → exit code; the first class that fits counts."""

EXIT_CODE_OF_SETTINGS = next(code for kind, code in EXIT_CODES if kind is ConfigError)

_HELP = """Deep-learning inference on OpenCL devices whose models start in milliseconds."""

_app = typer.Typer(cls=LazyGroup, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"mace {__version__}")
        raise typer.Exit


@_app.callback(help=_HELP)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    log_format: Annotated[
        str, typer.Option(logs.OPTION, help="What is told meanwhile, on standard error: text, or lines of json.")
    ] = "text",
) -> None: ...


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. ``--debug`` and ``--log-format`` may stand anywhere in it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = "--debug" in words, [w for w in words if w != "--debug"]
    began = time.monotonic()
    try:
        words = logs.take_format(words)
        logs.emit("start", command=words)
        code = _run(words, debug)
    except ConfigError as error:
        if debug:
            raise
        output.error(error)
        code = EXIT_CODE_OF_SETTINGS
    seconds = time.monotonic() - began
    logs.emit("end", exit_code=code, seconds=round(seconds, 3))
    logs.note_in_journal(words, code, seconds)
    return code


def _run(words: list[str], debug: bool) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always", MaceWarning)
        warnings.showwarning = _show_warning
        try:
            typer.main.get_command(_app).main(words, prog_name="mace")
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except KeyboardInterrupt:
            return 130
        except Exception as error:  # whatever it is, a person gets one message
            if debug:
                raise
            output.error(error, as_json="--json" in words)
            return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
    return 0


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
    output.warning(message if isinstance(message, Warning) else category(message))
