"""What a driver said of itself, as plain data with its form as JSON: what is kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from mace.opencl.describe import DeviceInfo
from mace.opencl.drivers import Driver
from mace.records import record

Status = Literal["ok", "failed", "crashed", "hung"]


class Fault(NamedTuple):
    """A device that is there but does not work, by its place, and the reason."""

    platform: int
    device: int
    reason: str


@record
class Probed:
    """What became of asking one driver: its devices per platform, or why there are none."""

    driver: Driver
    status: Status
    reason: str = ""
    platforms: tuple[tuple[DeviceInfo, ...], ...] = ()
    faults: tuple[Fault, ...] = ()
    probed_at: float = 0.0
    """Seconds since 1970."""
    vector_limit: int = 0
    """Widest vector, in float32 lanes, that the driver's compiler was seen to survive; 0 when none has failed."""

    def fault_of(self, platform: int, device: int) -> str:
        """Why the device at this place does not work; empty when it does."""
        return next((f.reason for f in self.faults if (f.platform, f.device) == (platform, device)), "")

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "reason": self.reason,
            "platforms": [[info.to_json() for info in platform] for platform in self.platforms],
            "faults": [[f.platform, f.device, f.reason] for f in self.faults],
            "probed_at": self.probed_at,
            "vector_limit": self.vector_limit,
        }

    @classmethod
    def from_json(cls, driver: Driver, data: Mapping[str, Any]) -> Probed:
        """Raises ``ValueError``, ``TypeError`` or ``KeyError`` when the record is not one of ours."""
        status = data["status"]
        if status not in get_args(Status):
            raise ValueError(f"unknown status {status!r}")
        return cls(
            driver,
            status,
            reason=str(data["reason"]),
            platforms=platforms_from_json(data["platforms"]),
            faults=tuple(Fault(int(i), int(j), str(reason)) for i, j, reason in data["faults"]),
            probed_at=float(data["probed_at"]),
            vector_limit=int(data["vector_limit"]),
        )


def platforms_from_json(data: Any) -> tuple[tuple[DeviceInfo, ...], ...]:
    """Descriptions of devices per platform. Raises ``ValueError`` or ``TypeError`` for anything else."""
    return tuple(tuple(DeviceInfo.from_json(info) for info in platform) for platform in data)
