"""Programs that run as they come from the compiler, without the detour over a binary.

An engine keeps what it compiles, so it asks for the binary and loads that. PoCL compiles every kernel twice for it: once for
the size it is launched with, once for any. Where nothing is kept, half of the time is spared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from mace.engine.builds import Builder
from mace.opencl.kernel import Program
from mace.plan.planner import Planned


def _build(self: Builder, planned: Planned, **_: object) -> list[Program]:
    context = self._opening.context()
    return [context.build_from_source(source, planned.plan.build_options) for source in planned.sources]


@contextmanager
def straight_from_the_compiler() -> Iterator[None]:
    """Engines that are opened within compile in this process and keep nothing."""
    with patch.object(Builder, "build", _build):
        yield
