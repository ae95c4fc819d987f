"""``python -m mace`` is the ``mace`` command."""

from __future__ import annotations

import sys

from mace.cli import main

if __name__ == "__main__":
    sys.exit(main())
