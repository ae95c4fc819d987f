"""What a device can do at most, measured: arithmetic in registers, and bytes moved at several working-set sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mace.device import DeviceTraits
from mace.opencl.context import Context
from mace.plan.source import template_text

MIB = 1 << 20
WORKING_SETS = (MIB // 2, 4 * MIB, 96 * MIB)
"""Bytes of the three arrays together: within a core's cache, within a shared one, beyond both."""
REPEATS = 25
BEST = 3
"""The limit is the median of so many of the best repeats. Many are needed where other processes hold some of the cores."""
CHAINS, STEPS = 10, 4096
ITEMS_PER_UNIT_CPU, ITEMS_PER_UNIT_GPU = 8, 2048


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes moved per second by a kernel that touches so many bytes."""

    working_set: int
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The measured limits of a device: float32 operations per second, and bandwidths from the smallest set on."""

    flops: float
    bandwidths: tuple[Bandwidth, ...]

    def bandwidth(self, nbytes: int) -> float:
        """Bytes per second for a launch that touches ``nbytes``: that of the smallest working set that holds them."""
        return next(
            (b.bytes_per_second for b in self.bandwidths if nbytes <= b.working_set),
            self.bandwidths[-1].bytes_per_second,
        )

    def seconds(self, flops: int, nbytes: int) -> float:
        """The least time that so much arithmetic and traffic can take on this device (the roofline)."""
        return max(flops / self.flops, nbytes / self.bandwidth(nbytes))

    def to_json(self) -> dict[str, Any]:
        return {
            "flops": self.flops,
            "bandwidths": [
                {"working_set": b.working_set, "bytes_per_second": b.bytes_per_second} for b in self.bandwidths
            ],
        }

    def or_better(self, other: Peak) -> Peak:
        """The higher of two measurements of each limit: both were reached."""
        rows = tuple(
            a if a.bytes_per_second >= b.bytes_per_second else b
            for a, b in zip(self.bandwidths, other.bandwidths, strict=True)
        )
        return Peak(max(self.flops, other.flops), rows)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Peak:
        rows = [Bandwidth(int(b["working_set"]), float(b["bytes_per_second"])) for b in data["bandwidths"]]
        return cls(float(data["flops"]), tuple(rows))


def measure_peak(context: Context) -> Peak:
    """Measure the device of a context with profiling; takes about a second. Raises ``OpenCLError`` or ``BuildError``."""
    traits = context.device.traits
    return Peak(_compute(context, traits), tuple(_bandwidth(context, traits, n) for n in WORKING_SETS))


def _compute(context: Context, traits: DeviceTraits) -> float:
    vec = traits.vector_width
    on_cpu = traits.kind == "cpu"
    items = traits.compute_units * (ITEMS_PER_UNIT_CPU if on_cpu else ITEMS_PER_UNIT_GPU)
    defines = {"PEAK_VEC": vec, "PEAK_CHAINS": CHAINS, "PEAK_STEPS": STEPS * 2 if on_cpu else STEPS}
    program = context.build_from_source(_text("peak_compute", defines), "-cl-std=CL1.2 -cl-mad-enable")
    out = context.allocate(4 * items)
    launch = program.launch("peak_compute", [out], (items,), (1,) if on_cpu else None)
    best = _least([context.timed([launch])[0] for _ in range(REPEATS)])
    return 2.0 * vec * CHAINS * defines["PEAK_STEPS"] * items / best


def _bandwidth(context: Context, traits: DeviceTraits, working_set: int) -> Bandwidth:
    vec = max(4, traits.vector_width)
    on_cpu = traits.kind == "cpu"
    count = working_set // 3 // (4 * vec) // 64 * 64
    run = max(1, count // (traits.compute_units * ITEMS_PER_UNIT_CPU)) if on_cpu else 1
    count = count // run * run
    program = context.build_from_source(
        _text("peak_memory", {"PEAK_VEC": vec, "PEAK_RUN": run, "PEAK_COUNT": count}), "-cl-std=CL1.2 -cl-mad-enable"
    )
    buffers = [context.allocate(count * vec * 4, zero=True) for _ in range(3)]
    launch = program.launch("peak_memory", buffers, (count // run,), (1,) if on_cpu else None)
    repeats = max(1, min(50, 32 * MIB // working_set))
    best = _least([sum(context.timed([launch] * repeats)) / repeats for _ in range(REPEATS)])
    return Bandwidth(working_set, 3.0 * count * vec * 4 / best)


def _least(seconds: list[float]) -> float:
    return sorted(seconds)[BEST // 2]


def _text(template: str, defines: Mapping[str, int]) -> str:
    lines = [f"#define {name} {value}" for name, value in defines.items()]
    return "\n".join([template_text("common"), *lines, template_text(template)])
