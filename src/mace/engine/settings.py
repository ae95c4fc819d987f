"""What a caller may set when an engine is made, gathered in one value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from mace.plan.options import PlanOptions
from mace.program.library import ProgramLibrary
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.store import ProgramStore
from mace.program.trust import Trust
from mace.records import field, record, replace

if TYPE_CHECKING:
    from mace.device import DeviceIdentity
    from mace.opencl.context import Priority
    from mace.opencl.device import Device
    from mace.program.encrypt import Secret
    from mace.program.library import ProgramSource
    from mace.program.reuse import ReusePolicy
    from mace.program.trust import TrustPolicy


@record
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
    limits: Limits = DEFAULT_LIMITS
    """What is believed of a program file's own sizes and counts."""
    parameters: str | os.PathLike[str] | None = None
    """A file of tuned parameters; None takes ``$MACE_RUN_PARAMETER_PATH`` or what the storage holds."""
    isolate: bool = True
    """Compile, and load unproven binaries for the first time, in a worker process."""
    proof: Literal["note", "source"] = "note"
    """What a binary that is loaded for the first time must compute: what was noted at its compilation, or what a compilation
    of its source computes now. The latter costs that compilation, and believes nothing that the file says of itself."""
    threads: int | None = None
    """Compute units to use, on a processor its cores; None for all."""
    priority: Priority = "normal"
    """``low`` or ``high`` asks the device for another place among the work of other programs, where it can."""
    queue_window: int = 0
    """Launches to give the device at a time, waiting for them before the next; 0 gives it all at once."""
    limit_kernel_time: bool = False
    """Wait after every launch, so that a device which also draws the screen is never taken for longer than one."""
    warm_up: Literal["background"] | None = None
    """``background``: where something has to be compiled, the first results come from general kernels, which compile in a
    part of the time, while the specialised ones are still being built."""
    plan: PlanOptions = field(default_factory=PlanOptions)

    @property
    def window(self) -> int:
        """Launches between two waits; 0 for no wait."""
        return 1 if self.limit_kernel_time else max(0, self.queue_window)

    def plan_on(self, device: Device) -> PlanOptions:
        """The settings of plans for this device: what is waited for on a processor launch by launch is not done by few of them."""
        if self.window and device.traits.kind == "cpu":
            return replace(self.plan, joins_launches=False)
        return self.plan

    @property
    def wishes(self) -> dict[str, Any]:
        """How the device is to be opened."""
        return {"threads": self.threads, "priority": self.priority}

    def library(self, device: DeviceIdentity, group: str) -> ProgramLibrary:
        """The compiled programs of one device under these settings; ``group`` keeps models apart in the storage."""
        trust = Trust(self.trust)
        storage = None
        if self.storage is not False:
            folder = self.storage or os.environ.get("MACE_STORAGE")
            storage = ProgramStore(folder, group=group, trust=trust, secret=self.secret, limits=self.limits)
        return ProgramLibrary(
            device,
            storage=storage,
            programs=self.programs,
            reuse=self.reuse,
            trust=trust,
            secret=self.secret,
            limits=self.limits,
        )
