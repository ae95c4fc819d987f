"""Settings that change a plan."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

from mace.records import record

Storage: TypeAlias = Literal["fp32", "fp16", "bf16"]
"""How float32 tensors lie in memory."""

GENERIC_VECTOR = 4
"""float32 lanes of a plan of general variants: what a text written for every device can count on."""


@record
class PlanOptions:
    """Settings that change a plan. ``block`` is the width of channel blocks (None: the device's vector width; 0: none);
    ``units`` the number of programs the kernels are shared among; ``winograd`` 0 refuses it, 2 or 4 names the largest tile.
    """

    block: int | None = None
    units: int = 2
    winograd: int = 4
    generic: bool = False
    """Only general variants, one output per work-item, vectors of four: what a library that cannot specialise would run
    (for comparison)."""
    quick: bool = False
    """Only general variants, on the device's whole vectors: they compile in a part of the time."""
    joins_launches: bool = True
    """Whether one launch may do several calls, at once (``plan/schedule.py``) or one after the other (``plan/chain.py``)."""
    build_options: str = "-cl-std=CL1.2 -cl-mad-enable"
    storage: Storage = "fp32"
    """``fp16`` and ``bf16`` halve memory and traffic of float32 models; sums stay in float32 (``plan/narrow.py``)."""

    def lowering_options(self) -> dict[str, int | str]:
        return {"winograd": self.winograd, "generic": int(self.generic or self.quick)}

    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]
