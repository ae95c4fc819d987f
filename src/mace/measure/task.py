"""What a fresh process is asked to measure, as plain data that goes in and out as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mace.deployment.settings import RunSettings
from mace.measure.data import Range

Work = Literal["start", "throughput", "profile"]


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement in a process of its own. Times in seconds.

    ``began`` is the parent's ``time.perf_counter`` just before the process was started; the clock is the system's, so
    the child can tell how long its own start took.
    """

    work: Work
    model: str
    device: str
    program: str = ""
    storage: str = ""
    """Folder of compiled programs; empty keeps nothing."""
    trust: Literal["own", "signed", "any"] = "own"
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    settings: RunSettings = RunSettings()
    began: float = 0.0
    warm_up: int = 5
    runs: int = 50
    seconds: float = 2.0
    """Time after which no further run is begun."""
    save: str = ""
    """Where to write the compiled program afterwards."""
    batches: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        data = json.loads(text)
        for name in ("shapes", "ranges"):
            data[name] = {k: tuple(v) for k, v in data[name].items()}
        for name in ("batches", "threads"):
            data[name] = tuple(data[name])
        data["settings"] = RunSettings.from_json(data["settings"])
        return cls(**data)

    def engine_arguments(self) -> dict[str, Any]:
        """Arguments of ``mace.load`` but for the model and the device."""
        from mace.engine.deployed import engine_arguments

        return {
            "compiled_program": self.program or None,
            "storage": self.storage or False,
            "trust": self.trust,
            **engine_arguments(self.settings),
        }


Result = dict[str, Any]
