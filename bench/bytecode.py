"""The environment that measured processes get: with Python's bytecode kept, as installed packages have theirs.

Where it is not kept (``PYTHONDONTWRITEBYTECODE``), a package that runs from its sources is compiled at every start, which for
mace takes longer than all its imports.
"""

from __future__ import annotations

import os
from pathlib import Path


def with_bytecode(folder: Path) -> dict[str, str]:
    """This process's environment, with bytecode kept in a folder of its own under ``folder``."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
