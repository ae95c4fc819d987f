"""The ``mace`` command.

Each command is a module of this package that holds a ``typer.Typer`` named ``app``; the module's docstring is the
command's help. ``mace.cli.commands`` lists them. Only :func:`main` prints errors and chooses the exit code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["main"]

OPENBLAS_TIMEOUT = "4"
"""numpy's idle threads go to sleep at once (2 to this power turns, the least that OpenBLAS takes) instead of spinning for a
tenth of a second after numpy's import, which on few cores takes one of them from the start (docs/adr/0024)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` without ``arguments``) and return its exit code."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", OPENBLAS_TIMEOUT)  # before anything imports numpy
    from mace.cli.entry import run

    return run(arguments)
