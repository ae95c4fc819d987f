"""Accuracy on a labelled set, for several forms of one model side by side, and whether a difference is more than noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mace.errors import ConfigError, MaceError
from mace.measure.images import ImageOptions
from mace.measure.labelled import Item, feeds_for
from mace.measure.plugin import DEFAULT_PLUGIN, Plugin
from mace.measure.statistics import Interval, mcnemar, mean_difference
from mace.tensor import Array, TensorType

Run: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Any]]
Verdict: TypeAlias = Literal["drop", "gain", "noise", "same"]

ALPHA = 0.05
"""Chance that is taken of calling noise a difference."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One form of the model: the name it is shown under, what it takes, and how it is run."""

    name: str
    inputs: Mapping[str, TensorType]
    run: Run


@dataclass(frozen=True, slots=True)
class Comparison:
    """One score of one contender against the first's, over the same samples. ``p`` is None where scores are no yes or no."""

    contender: str
    score: str
    difference: Interval
    lost: int
    won: int
    p: float | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        d = self.difference
        return {
            "contender": self.contender,
            "score": self.score,
            "difference": d.estimate,
            "low": d.low,
            "high": d.high,
            "confidence": d.confidence,
            "lost": self.lost,
            "won": self.won,
            "p": self.p,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Scores per contender and sample, and each contender beside the first."""

    samples: int
    scores: Mapping[str, Mapping[str, Sequence[float]]] = field(repr=False)
    comparisons: tuple[Comparison, ...]

    def mean(self, contender: str, score: str) -> float:
        values = self.scores[contender][score]
        return sum(values) / len(values)

    @property
    def dropped(self) -> tuple[Comparison, ...]:
        return tuple(c for c in self.comparisons if c.verdict == "drop")

    def to_json(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "contenders": [
                {"name": name, "scores": {s: self.mean(name, s) for s in scores}}
                for name, scores in self.scores.items()
            ],
            "comparisons": [c.to_json() for c in self.comparisons],
        }


def measure_accuracy(
    contenders: Sequence[Contender],
    items: Sequence[tuple[Item, Any]],
    plugin: Plugin = DEFAULT_PLUGIN,
    *,
    images: ImageOptions | None = None,
    progress: Callable[[float], None] | None = None,
) -> Accuracy:
    """Score every contender on every item. The first contender is what the others are compared with.

    Raises ``ConfigError`` when the plug-in fails, ``InputError`` when an item does not fit.
    """
    if not contenders or not items:
        raise ValueError("there is nothing to measure")
    images = images or ImageOptions()
    scores: dict[str, dict[str, list[float]]] = {c.name: {s: [] for s in plugin.scores} for c in contenders}
    for number, (item, label) in enumerate(items):
        for contender in contenders:
            for name, value in _scored(contender, item, label, plugin, images).items():
                scores[contender.name][name].append(value)
        if progress:
            progress((number + 1) / len(items))
    base = scores[contenders[0].name]
    comparisons = tuple(
        compare(c.name, name, base[name], scores[c.name][name]) for c in contenders[1:] for name in plugin.scores
    )
    return Accuracy(len(items), scores, comparisons)


def compare(contender: str, score: str, base: Sequence[float], ours: Sequence[float]) -> Comparison:
    """Is a contender's score another than the base's, over the same samples?

    Right-or-wrong scores are judged by McNemar's test on the samples where the two disagree, others by whether the
    bootstrap interval of the mean difference leaves zero out.
    """
    interval = mean_difference(base, ours)
    lost = sum(b > o for b, o in zip(base, ours, strict=True))
    won = sum(o > b for b, o in zip(base, ours, strict=True))
    p = mcnemar(lost, won) if all(v in (0.0, 1.0) for v in (*base, *ours)) else None
    if not lost and not won:
        verdict: Verdict = "same"
    elif p < ALPHA if p is not None else interval.excludes_zero:
        verdict = "drop" if interval.estimate < 0 else "gain"
    else:
        verdict = "noise"
    return Comparison(contender, score, interval, lost, won, p, verdict)


def _scored(contender: Contender, item: Item, label: Any, plugin: Plugin, images: ImageOptions) -> dict[str, float]:
    try:
        feeds = feeds_for(item, plugin, contender.inputs, images)
        prediction = plugin.postprocess(contender.run(feeds))
        return {name: float(score(prediction, label)) for name, score in plugin.scores.items()}
    except MaceError:
        raise
    except Exception as error:  # it is the user's code
        if not plugin.path:
            raise
        raise ConfigError(
            f"the plug-in failed on a sample: {type(error).__name__}: {error}", path=plugin.path
        ) from error
