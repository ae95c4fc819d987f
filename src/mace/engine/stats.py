"""What an engine did to get ready and to run: counts, sources, reasons, seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mace.plan.plan import Plan


class EngineStats:
    """Filled in as an engine works. Times are in seconds, sizes in bytes."""

    def __init__(self, device: str = "") -> None:
        self.device = device
        self.programs: dict[str, int] = {}
        """Program units by where they came from: ``"source"``, ``"spirv"`` (compiled from a file's SPIR-V), or the path (or
        ``"bytes"``) of the file that held them."""
        self.looks: list[dict[str, Any]] = []
        """Every place looked at with its reason code, in order."""
        self.seconds: dict[str, float] = {}
        self.plans = 0
        self.plans_loaded = 0
        self.plans_replaced = 0
        """Plans of general kernels whose place one built in the background has taken."""
        self.kernels = 0
        self.launches = 0
        self.host_steps = 0
        self.host_steps_float = 0
        self.arena_bytes = 0
        self.peak_live_bytes = 0
        self.constants_bytes = 0
        self.runs = 0

    @property
    def programs_from_source(self) -> int:
        """Programs compiled from kernel source by this engine; 0 on a warm start."""
        return self.programs.get("source", 0)

    @property
    def programs_from_spirv(self) -> int:
        """Programs compiled from SPIR-V by this engine; the looks say which file had it."""
        return self.programs.get("spirv", 0)

    def count_program(self, source: str) -> None:
        self.programs[source] = self.programs.get(source, 0) + 1

    def count_plan(self, plan: Plan, times: int = 1) -> None:
        """Count a plan that is ready to run; ``times`` is -1 for one that is given up."""
        self.plans += times
        self.kernels += times * len(plan.kernels)
        self.launches += times * len(plan.launches)
        self.host_steps += times * len(plan.host_steps)
        self.host_steps_float += times * sum(s.touches_float for s in plan.host_steps)
        self.arena_bytes += times * plan.arena_bytes
        self.peak_live_bytes += times * plan.peak_live_bytes
        self.constants_bytes += times * plan.constants_bytes

    def add_seconds(self, what: str, seconds: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def to_json(self) -> dict[str, Any]:
        facts = {k: v.copy() if isinstance(v, dict | list) else v for k, v in vars(self).items()}
        compiled = {name: getattr(self, name) for name in ("programs_from_source", "programs_from_spirv")}
        return {**facts, **compiled}

    def __repr__(self) -> str:
        return f"EngineStats({self.to_json()})"
