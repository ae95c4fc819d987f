"""What the simulator stands in for: planning sees such a device's traits, so that its kernels are made and run."""

from __future__ import annotations

from mace.device import DeviceTraits
from mace.records import replace

KINDS: dict[str, dict[str, str | int]] = {
    "itself": {},
    "cpu": {"kind": "cpu", "vector_width": 16, "compute_units": 2},
    "cpu, vectors of 8": {"kind": "cpu", "vector_width": 8, "compute_units": 4},
    "cpu, vectors of 4": {"kind": "cpu", "vector_width": 4, "compute_units": 8},
    "cpu, as PoCL": {"kind": "cpu", "vector_width": 16, "compute_units": 2, "family": "pocl-cpu"},
    "gpu": {"kind": "gpu", "vector_width": 4, "compute_units": 4, "max_work_group": 256},
    "gpu, images": {"kind": "gpu", "vector_width": 4, "compute_units": 4, "max_work_group": 256, "family": "adreno"},
    "gpu, images as buffers": {
        "kind": "gpu",
        "vector_width": 4,
        "compute_units": 4,
        "max_work_group": 256,
        "family": "adreno",
    },
}
"""Name → the traits that are other than the simulator's own, which is of no kind and has vectors of 4."""
AS_POCL = "cpu, as PoCL"
"""Kernels are compiled with the macro by which they know PoCL."""
IMAGES = "gpu, images"
"""Kernels read images. The simulator takes all that is in one for unwritten (see ``notes.py``), so it does not look for that."""
IMAGES_AS_BUFFERS = "gpu, images as buffers"
"""The same kernels, rewritten to read a buffer, are looked through for everything."""


def pretended(kind: str, own: DeviceTraits) -> DeviceTraits:
    """The simulator's traits with those of a kind in their place."""
    return replace(own, **KINDS[kind])


OWN = DeviceTraits(
    kind="other",
    vector_width=4,
    compute_units=1,
    max_work_group=1024,
    max_work_item_sizes=(1024, 1024, 1024),
    local_memory=32768,
    global_memory=1 << 27,
    max_allocation=1 << 27,
    alignment=128,
    host_unified_memory=False,
    fp16=False,
    fp64=True,
    images=True,
    image_max=(8192, 8192),
    subgroups=False,
    integer_dot=False,
    family="simulator",
)
"""What oclgrind 21.10 says of itself, for plans that are made without it."""
