"""What an engine did to get ready and to run: counts, sources, reasons, seconds."""

from __future__ import annotations

from typing import Any


class EngineStats:
    """Filled in as an engine works. Times are in seconds, sizes in bytes."""

    def __init__(self, device: str = "") -> None:
        self.device = device
        self.programs: dict[str, int] = {}
        """Program units by where they came from: ``"source"`` or the path (or ``"bytes"``) of the file that held them."""
        self.looks: list[dict[str, Any]] = []
        """Every place looked at with its reason code, in order."""
        self.seconds: dict[str, float] = {}
        self.plans = 0
        self.plans_loaded = 0
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

    def count_program(self, source: str) -> None:
        self.programs[source] = self.programs.get(source, 0) + 1

    def add_seconds(self, what: str, seconds: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def to_json(self) -> dict[str, Any]:
        facts = {k: v.copy() if isinstance(v, dict | list) else v for k, v in vars(self).items()}
        return {**facts, "programs_from_source": self.programs_from_source}

    def __repr__(self) -> str:
        return f"EngineStats({self.to_json()})"
