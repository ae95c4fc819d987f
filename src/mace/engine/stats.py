"""What an engine did to get ready and to run: counts, sources, reasons, seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class EngineStats:
    """Filled in as an engine works. Times are in seconds, sizes in bytes.

    ``programs`` counts program units by where they came from: ``"source"`` or the path (or ``"bytes"``) of the file that
    held them. ``looks`` lists every place looked at with its reason code, in order.
    """

    device: str = ""
    programs: dict[str, int] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    plans: int = 0
    plans_loaded: int = 0
    kernels: int = 0
    launches: int = 0
    host_steps: int = 0
    host_steps_float: int = 0
    arena_bytes: int = 0
    peak_live_bytes: int = 0
    constants_bytes: int = 0
    runs: int = 0

    @property
    def programs_from_source(self) -> int:
        """Programs compiled from kernel source by this engine; 0 on a warm start."""
        return self.programs.get("source", 0)

    def count_program(self, source: str) -> None:
        self.programs[source] = self.programs.get(source, 0) + 1

    def add_seconds(self, what: str, seconds: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "programs_from_source": self.programs_from_source}
