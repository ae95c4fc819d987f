"""What a caller may set when an engine is made, gathered in one value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mace.plan.options import PlanOptions
from mace.program.library import ProgramLibrary
from mace.program.store import ProgramStore
from mace.program.trust import Trust

if TYPE_CHECKING:
    from mace.device import DeviceIdentity
    from mace.program.encrypt import Secret
    from mace.program.library import ProgramSource
    from mace.program.reuse import ReusePolicy
    from mace.program.trust import TrustPolicy


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine finds, checks and keeps compiled programs.

    ``storage`` is the writable folder; None takes ``$MACE_STORAGE`` or the per-user one, False keeps nothing on disk.
    ``programs`` are read-only program files (paths or bytes), looked at in order after the storage. ``reuse`` says which
    devices' programs may be loaded; ``trust`` whose: ``own`` (this user's own and signed ones), ``signed``, ``any``.
    """

    storage: str | os.PathLike[str] | Literal[False] | None = None
    programs: tuple[ProgramSource, ...] = ()
    reuse: ReusePolicy = "exact"
    trust: TrustPolicy = "own"
    secret: Secret | None = None
    """What opens encrypted program files."""
    parameters: str | os.PathLike[str] | None = None
    """A file of tuned parameters; None takes ``$MACE_RUN_PARAMETER_PATH`` or what the storage holds."""
    isolate: bool = True
    """Compile, and load unproven binaries for the first time, in a worker process."""
    plan: PlanOptions = field(default_factory=PlanOptions)

    def library(self, device: DeviceIdentity, group: str) -> ProgramLibrary:
        """The compiled programs of one device under these settings; ``group`` keeps models apart in the storage."""
        trust = Trust(self.trust)
        storage = None
        if self.storage is not False:
            folder = self.storage or os.environ.get("MACE_STORAGE")
            storage = ProgramStore(folder, group=group, trust=trust, secret=self.secret)
        return ProgramLibrary(
            device, storage=storage, programs=self.programs, reuse=self.reuse, trust=trust, secret=self.secret
        )
