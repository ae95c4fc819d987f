"""The few statistics that verdicts rest on: percentiles, bootstrap intervals, and the paired test for right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 4_000
"""Bootstrap resamples: the ends of a 95 % interval are then steady to about a twentieth of its width."""
SEED = 20_240_229


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Repeated timings in a few numbers, in seconds. ``mad`` is the median distance from the median."""

    count: int
    median: float
    mean: float
    p95: float
    p99: float
    low: float
    high: float
    mad: float
    stdev: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Raises ``ValueError`` for no values at all."""
        if not len(values):
            raise ValueError("there is nothing to summarise")
        v = np.asarray(values, np.float64)
        median = float(np.median(v))
        p95, p99 = (float(p) for p in np.percentile(v, (95, 99)))
        return cls(
            count=len(v),
            median=median,
            mean=float(v.mean()),
            p95=p95,
            p99=p99,
            low=float(v.min()),
            high=float(v.max()),
            mad=float(np.median(np.abs(v - median))),
            stdev=float(v.std(ddof=1)) if len(v) > 1 else 0.0,
        )


def mean_difference(a: Sequence[float], b: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """Mean of ``b - a`` over pairs, with the percentile interval of a bootstrap over the pairs.

    Raises ``ValueError`` when the two are not of one length, or empty.
    """
    d = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    if not d.size or len(a) != len(b):
        raise ValueError("pairs need two series of one length")
    rng = np.random.default_rng(SEED)
    means = np.concatenate([d[rng.integers(0, d.size, (500, d.size))].mean(axis=1) for _ in range(RESAMPLES // 500)])
    return _interval(float(d.mean()), means, confidence)


def ratio_of_medians(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], *, paired: bool, confidence: float = CONFIDENCE
) -> Interval:
    """Median of ``b`` over median of ``a``, both taken in rounds, with a bootstrap over rounds and samples in them.

    Timings of one round share the machine's mood, so rounds are drawn first. ``paired``: round *i* of one was taken
    beside round *i* of the other, so both are drawn together. Raises ``ValueError`` for empty rounds.
    """
    left, right = ([np.asarray(r, np.float64) for r in rounds] for rounds in (a, b))
    if not left or not right or any(not r.size for r in (*left, *right)):
        raise ValueError("each side needs at least one round of timings")
    rng = np.random.default_rng(SEED)
    paired = paired and len(left) == len(right)
    ratios = np.empty(RESAMPLES // 2)
    for i in range(ratios.size):
        first = rng.integers(0, len(left), len(left))
        second = first if paired else rng.integers(0, len(right), len(right))
        ratios[i] = _median_of(right, second, rng) / _median_of(left, first, rng)
    estimate = float(np.median(_centres(right)) / np.median(_centres(left)))
    return _interval(estimate, ratios, confidence)


def mcnemar(lost: int, won: int) -> float:
    """Mid-p value of McNemar's test: that so uneven a split of ``lost + won`` discordant pairs is chance.

    The mid-p form keeps its level without the exact test's caution (Fagerland, Lydersen and Laake 2013,
    doi:10.1186/1471-2288-13-91).
    """
    n, k = lost + won, min(lost, won)
    if not n:
        return 1.0
    tail = sum(comb(n, i) for i in range(k + 1)) - comb(n, k) / 2
    return min(1.0, 2.0 * tail / 2.0**n) if n < 1000 else _normal_tail(lost, won)


def _normal_tail(lost: int, won: int) -> float:
    from math import erfc, sqrt

    return erfc(abs(lost - won) / sqrt(2.0 * (lost + won)))


def _centres(rounds: Sequence[Numbers]) -> Numbers:
    return np.array([np.median(r) for r in rounds])


def _median_of(rounds: Sequence[Numbers], drawn: npt.NDArray[np.int64], rng: np.random.Generator) -> float:
    """Median over the drawn rounds of the medians of samples drawn in each."""
    return float(np.median([np.median(rounds[i][rng.integers(0, rounds[i].size, rounds[i].size)]) for i in drawn]))


def _interval(estimate: float, resampled: Numbers, confidence: float) -> Interval:
    low, high = np.percentile(resampled, (50 - 50 * confidence, 50 + 50 * confidence))
    return Interval(estimate, float(low), float(high), confidence)
