"""How close is close enough, by the precision that a model computes in; a deployment file may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mace.errors import ConfigError
from mace.measure.differences import Difference
from mace.tensor import DType

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What an output has to reach; None asks nothing. ``relative`` is the largest error over the reference's span."""

    cosine: float | None = None
    snr_db: float | None = None
    relative: float | None = None
    max_abs: float | None = None
    mean_abs: float | None = None
    differing: float | None = 0.0
    """Share of elements of a discrete output (integers, bool, text) that may differ."""

    def broken_by(self, d: Difference) -> tuple[str, ...]:
        """What an output misses, one sentence each; empty when it is close enough."""
        if d.problem:
            return (d.problem,)
        if d.strange:
            return (f"{d.strange} elements are infinite or NaN on one side only",)
        if d.exact:
            share = d.differing / max(1, d.elements)
            if self.differing is not None and share > self.differing:
                return (f"{d.differing} of {d.elements} elements differ, allowed are {self.differing:.2%}",)
            return ()
        found = [
            f"{name} {value:.6g}, wanted at least {floor:g}"
            for name, value, floor in (
                ("cosine similarity", d.cosine, self.cosine),
                ("signal-to-noise", d.snr_db, self.snr_db),
            )
            if floor is not None and value < floor
        ]
        found += [
            f"{name} {value:.3g}, allowed is {ceiling:g}"
            for name, value, ceiling in (
                ("error over the span", d.relative, self.relative),
                ("largest error", d.max_abs, self.max_abs),
                ("mean error", d.mean_abs, self.mean_abs),
            )
            if ceiling is not None and value > ceiling
        ]
        return tuple(found)

    def with_(self, values: Mapping[str, float | None]) -> Thresholds:
        """These, with some replaced. Raises ``ConfigError`` for a name that is no threshold."""
        unknown = [name for name in values if name not in asdict(self)]
        if unknown:
            raise ConfigError(f"there is no threshold '{unknown[0]}'; there are {', '.join(asdict(self))}")
        return replace(self, **dict(values))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


OUTPUT_THRESHOLDS: Mapping[str, Thresholds] = {
    "fp32": Thresholds(cosine=0.99999, snr_db=70.0),
    "fp16": Thresholds(cosine=0.995, snr_db=30.0, differing=0.01),
    "bf16": Thresholds(cosine=0.98, snr_db=18.0, differing=0.02),
    "int8": Thresholds(cosine=0.97, snr_db=12.0, differing=0.02),
}
"""Per precision. Rounding of float32 alone leaves 100 to 130 dB over the networks of the tests."""


def thresholds_for(precision: str, overrides: Mapping[str, float | None] | None = None) -> Thresholds:
    """The usual thresholds of a precision with some replaced. Raises ``ConfigError``."""
    if precision not in OUTPUT_THRESHOLDS:
        raise ConfigError(f"there is no precision '{precision}'; there are {', '.join(PRECISIONS)}")
    return OUTPUT_THRESHOLDS[precision].with_(overrides or {})


def precision_of(weights: Mapping[str, Any]) -> str:
    """The precision that a model's constants show: the one that most bytes are kept in."""
    counts = dict.fromkeys(PRECISIONS, 0)
    kinds = {DType.FLOAT16: "fp16", DType.BFLOAT16: "bf16", DType.INT8: "int8", DType.UINT8: "int8"}
    for array in weights.values():
        dtype = DType.of(array.dtype)
        if dtype in kinds:
            counts[kinds[dtype]] += int(array.size)
        elif dtype.is_float:
            counts["fp32"] += int(array.size)
    return max(counts, key=lambda name: counts[name])
