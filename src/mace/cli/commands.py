"""Which commands there are, and the group that imports a command's module only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

COMMANDS = {
    "convert": "mace.cli.convert",
    "compile": "mace.cli.compile",
    "tune": "mace.cli.tune",
    "run": "mace.cli.run",
    "validate": "mace.cli.validate",
    "bench": "mace.cli.bench",
    "report": "mace.cli.report",
    "doctor": "mace.cli.doctor",
    "devices": "mace.cli.devices",
    "inspect": "mace.cli.inspect",
    "check": "mace.cli.check",
    "explain": "mace.cli.explain",
    "diff": "mace.cli.diff",
    "merge": "mace.cli.merge",
    "convert-program": "mace.cli.convert_program",
    "extract": "mace.cli.extract",
    "sign": "mace.cli.sign",
    "verify": "mace.cli.verify",
    "keys": "mace.cli.keys",
    "cache": "mace.cli.cache",
}
"""Command name → the module that holds it as ``app``, in the order in which the help lists them."""


class LazyGroup(typer.core.TyperGroup):
    """A group whose commands are modules, so that ``mace run`` does not import what ``mace convert`` needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = COMMANDS.get(cmd_name)
        return load_command(cmd_name, module) if module else None


def load_command(name: str, module: str) -> Any:
    """The command (or group of commands) of a module. Its help is the module's docstring."""
    loaded = import_module(module)
    command = typer.main.get_command(loaded.app)
    command.name = name
    command.help = loaded.__doc__
    return command
