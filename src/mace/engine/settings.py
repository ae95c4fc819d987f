"""What a caller may set when an engine is made, gathered in one value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from mace.plan.planner import PlanOptions

ProgramSource: TypeAlias = str | os.PathLike[str] | bytes | memoryview
ReusePolicy = Literal["none", "exact", "same-gpu"]
Trust = Literal["own", "signed", "any"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine finds, checks and keeps compiled programs.

    ``storage`` is the writable folder; None the per-user one, False keeps nothing on disk. ``programs`` are read-only
    program files (paths or bytes), looked at in order after the storage. ``reuse`` says which programs of which devices may
    be loaded; ``trust`` whose: ``own`` (this user's own and signed ones), ``signed`` (only signed ones), ``any``.
    """

    storage: str | os.PathLike[str] | Literal[False] | None = None
    programs: tuple[ProgramSource, ...] = ()
    reuse: ReusePolicy = "exact"
    trust: Trust = "own"
    isolate: bool = True
    """Compile, and load unproven binaries for the first time, in a worker process."""
    plan: PlanOptions = PlanOptions()

    def storage_folder(self) -> Path | None:
        """The folder as given, or by the environment (``MACE_STORAGE``, MACE's ``MACE_INTERNAL_STORAGE_PATH``), or None."""
        if self.storage is False:
            return None
        given = self.storage or os.environ.get("MACE_STORAGE") or os.environ.get("MACE_INTERNAL_STORAGE_PATH")
        if given:
            return Path(given)
        from mace.files.folders import cache_folder

        return cache_folder() / "programs"
