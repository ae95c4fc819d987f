"""The ``mace`` command.

Each command is a module of this package that holds a ``typer.Typer`` named ``app``; the module's docstring is the
command's help. ``mace.cli.commands`` lists them. Only :func:`main` prints errors and chooses the exit code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["main"]

_SHORT_SPIN = {"OPENBLAS_THREAD_TIMEOUT": "4"}
"""numpy's idle threads go to sleep at once (2 to this power turns, the least that OpenBLAS takes) instead of spinning for a
tenth of a second after numpy's import, which on few cores takes one of them from the start (docs/adr/0024)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` without ``arguments``) and return its exit code."""
    for name, value in _SHORT_SPIN.items():
        os.environ.setdefault(name, value)  # before anything imports numpy
    from mace.cli.entry import run

    return run(arguments)
