"""Differences of arrays, and what thresholds say of them."""

from __future__ import annotations

import numpy as np
import pytest

from mace.errors import ConfigError
from mace.measure.differences import SNR_LIMIT, difference, worst
from mace.measure.thresholds import Thresholds, precision_of, thresholds_for


def test_equal_arrays() -> None:
    """What is equal has the largest ratio there is, NaN and infinity included."""
    a = np.array([1.0, np.nan, np.inf], np.float32)
    d = difference(a, a.copy())
    assert (d.differing, d.strange, d.snr_db, d.cosine) == (0, 0, SNR_LIMIT, 1.0)


def test_known_errors() -> None:
    """Largest and mean error, cosine and signal-to-noise of a small example by hand."""
    d = difference(np.array([3.0, 4.5]), np.array([3.0, 4.0]))
    assert (d.max_abs, d.mean_abs, d.span, d.relative) == (0.5, 0.25, 4.0, 0.125)
    assert d.snr_db == pytest.approx(10 * np.log10(25 / 0.25))
    assert d.cosine == pytest.approx((9 + 18) / (5 * np.hypot(3, 4.5)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_strange_values_are_never_close(bad: float) -> None:
    """A NaN or infinity where the source has a number breaks every threshold."""
    d = difference(np.array([1.0, bad]), np.array([1.0, 2.0]))
    assert d.strange == 1
    assert Thresholds().broken_by(d)


def test_another_shape_is_no_comparison() -> None:
    """A wrong shape is named and comes before every other difference."""
    d = difference(np.zeros((2, 3)), np.zeros((3, 2)))
    assert "shape" in d.problem
    assert worst([difference(np.zeros(2), np.ones(2)), d]) is d
    assert thresholds_for("int8").broken_by(d) == (d.problem,)


def test_discrete_values_must_be_equal() -> None:
    """Class numbers and texts are right or wrong; a tolerance of their own says how many may differ."""
    d = difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]))
    assert d.exact
    assert thresholds_for("fp32").broken_by(d)
    assert not thresholds_for("fp32", {"differing": 0.25}).broken_by(d)
    assert difference(np.array(["a", "b"], object), np.array([b"a", "c"], object)).differing == 1


def test_thresholds_say_what_is_missed() -> None:
    """Each broken threshold is a sentence with the value and what was wanted."""
    d = difference(np.array([1.0, 2.2]), np.array([1.0, 2.0]))
    words = Thresholds(cosine=0.99999, snr_db=40, relative=0.01, max_abs=0.1, mean_abs=0.01).broken_by(d)
    assert len(words) == 5
    with pytest.raises(ConfigError, match="no threshold 'cosin'"):
        thresholds_for("fp32", {"cosin": 1.0})
    with pytest.raises(ConfigError, match="fp64"):
        thresholds_for("fp64")


def test_precision_is_what_most_weights_are_in() -> None:
    """A float16 model keeps a few float32 constants and is a float16 model all the same."""
    weights = {"w": np.zeros(100, np.float16), "shape": np.zeros(4, np.int64), "eps": np.zeros(1, np.float32)}
    assert precision_of(weights) == "fp16"
    assert precision_of({"w": np.zeros(9, np.int8), "s": np.zeros(2, np.float32)}) == "int8"
    assert precision_of({}) == "fp32"
