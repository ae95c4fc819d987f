"""The ``mace`` command.

Each command is a module of this package that holds a ``typer.Typer`` named ``app``; the module's docstring is the
command's help. ``mace.cli.commands`` lists them. Only :func:`main` prints errors and chooses the exit code.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` without ``arguments``) and return its exit code."""
    from mace.cli.entry import run

    return run(arguments)
