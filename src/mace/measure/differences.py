"""How far one array is from another that is taken as right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mace.tensor import Array, DType

SNR_LIMIT = 200.0
"""Decibels that stand for equality; double precision itself gives no more than about 300."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One array beside its reference. Errors are absolute unless they say otherwise.

    ``span`` is the largest magnitude in the reference, and ``relative`` the largest error over it. ``snr_db`` is the
    power of the reference over the power of the error, in decibels, kept within ±200. ``differing`` counts elements
    that are not equal (NaN equals NaN here); ``strange`` those that are finite, infinite or NaN where the reference
    is not so.
    """

    elements: int
    max_abs: float
    mean_abs: float
    span: float
    relative: float
    cosine: float
    snr_db: float
    differing: int
    strange: int
    exact: bool
    """Whether the values are discrete (integers, bool, text), so that anything but equality is an error."""
    problem: str = ""
    """Why the two could not be compared: another shape or kind of element."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def difference(ours: Array, reference: Array) -> Difference:
    """Compare an array with the one that is right. Never raises: what cannot be compared says so in ``problem``."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    exact = _is_discrete(reference)
    if ours.shape != reference.shape:
        return _incomparable(reference.size, exact, f"shape {ours.shape}, where the source gives {reference.shape}")
    if reference.dtype.kind in "OUST":
        return _texts(ours, reference)
    a, r = _numbers(ours), _numbers(reference)
    finite = np.isfinite(a) & np.isfinite(r)
    same = (a == r) | (np.isnan(a) & np.isnan(r))
    strange = int((~finite & ~same).sum())
    differing = int((~same).sum())
    a, r = a[finite], r[finite]
    error = np.abs(a - r)
    span = float(np.abs(r).max(initial=0.0))
    largest = float(error.max(initial=0.0))
    return Difference(
        elements=reference.size,
        max_abs=largest,
        mean_abs=float(error.mean()) if error.size else 0.0,
        span=span,
        relative=largest / span if span else float(largest > 0),
        cosine=_cosine(a, r) if not strange else 0.0,
        snr_db=_snr(error, r) if not strange else -SNR_LIMIT,
        differing=differing,
        strange=strange,
        exact=exact,
    )


def worst(differences: list[Difference]) -> Difference:
    """The one with the lowest signal-to-noise ratio; those that could not be compared come first."""
    return min(differences, key=lambda d: (not d.problem, d.snr_db, -d.max_abs))


def _is_discrete(array: Array) -> bool:
    if array.dtype.kind == "V":  # a type of ml_dtypes
        return not DType.of(array.dtype).is_float
    return array.dtype.kind not in "fc"


def _numbers(array: Array) -> Array:
    if array.dtype.kind == "c":
        return np.ascontiguousarray(array).view(array.real.dtype).astype(np.float64).reshape(-1)
    return array.astype(np.float64).reshape(-1)


def _cosine(a: Array, r: Array) -> float:
    norms = float(np.sqrt(a @ a) * np.sqrt(r @ r))
    if norms == 0.0:
        return 1.0 if not a.any() and not r.any() else 0.0
    return min(1.0, max(-1.0, float(a @ r) / norms))


def _snr(error: Array, r: Array) -> float:
    noise, signal = float(error @ error), float(r @ r)
    if noise == 0.0:
        return SNR_LIMIT
    if signal == 0.0:
        return -SNR_LIMIT
    return float(np.clip(10.0 * np.log10(signal / noise), -SNR_LIMIT, SNR_LIMIT))


def _texts(ours: Array, reference: Array) -> Difference:
    differing = int(sum(_text(x) != _text(y) for x, y in zip(ours.flat, reference.flat, strict=True)))
    agree = not differing
    snr = SNR_LIMIT if agree else -SNR_LIMIT
    return Difference(reference.size, float(not agree), 0.0, 0.0, 0.0, float(agree), snr, differing, 0, exact=True)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _incomparable(elements: int, exact: bool, problem: str) -> Difference:
    return Difference(elements, 0.0, 0.0, 0.0, 0.0, 0.0, -SNR_LIMIT, elements, elements, exact, problem)
