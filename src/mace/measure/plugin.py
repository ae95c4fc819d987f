"""The accuracy plug-in: a Python file of the user's that says how samples go in and how answers are scored.

It may define any of these, and what it leaves out has a default:

- ``preprocess(item) -> dict`` of arrays by input name. ``item`` is a dict of one sample's arrays, or the path of an image.
- ``postprocess(outputs) -> prediction`` from a dict of arrays by output name; by default the first output.
- ``score``: ``"top1"``, ``"top5"`` or ``"iou"``; or a function ``(prediction, label) -> float``; or a dict of name → either.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mace.errors import ConfigError

Score: TypeAlias = Callable[[Any, Any], float]


def top(k: int) -> Score:
    """1 when the label is among the ``k`` highest scores of a prediction, else 0."""

    def score(prediction: Any, label: Any) -> float:
        ranked = np.argsort(-np.asarray(prediction, np.float64).reshape(-1), kind="stable")[:k]
        return float(int(label) in ranked)

    return score


def iou(prediction: Any, label: Any) -> float:
    """Overlap of two boxes (x1, y1, x2, y2), the mean over rows of boxes; or of two masks of one shape."""
    a, b = np.asarray(prediction), np.asarray(label)
    if a.shape != b.shape:
        return 0.0
    if a.dtype == bool or a.shape[-1:] != (4,):
        a, b = a.astype(bool), b.astype(bool)
        union = int((a | b).sum())
        return float((a & b).sum() / union) if union else 1.0
    a, b = a.reshape(-1, 4).astype(np.float64), b.reshape(-1, 4).astype(np.float64)
    sides = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0, None)
    overlap = sides.prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - overlap
    return float(np.divide(overlap, union, out=np.ones_like(overlap), where=union > 0).mean())


SCORES: Mapping[str, Score] = {"top1": top(1), "top5": top(5), "iou": iou}


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a plug-in file defines. ``preprocess`` is None where samples go in as they are."""

    preprocess: Callable[[Any], Mapping[str, Any]] | None
    postprocess: Callable[[Mapping[str, Any]], Any]
    scores: Mapping[str, Score]
    path: str = ""


def first_output(outputs: Mapping[str, Any]) -> Any:
    """The first output, without its batch dimension."""
    value = next(iter(outputs.values()))
    return value[0] if getattr(value, "ndim", 0) > 1 and len(value) == 1 else value


DEFAULT_PLUGIN = Plugin(None, first_output, {"top1": SCORES["top1"], "top5": SCORES["top5"]})


def load_plugin(path: str | Path) -> Plugin:
    """Run a plug-in file and take what it defines. Raises ``ConfigError`` when it fails or defines something else."""
    try:
        names = runpy.run_path(str(path), run_name="mace_accuracy_plugin")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=path) from error
    except Exception as error:  # it is the user's code
        raise ConfigError(f"the plug-in failed: {type(error).__name__}: {error}", path=path) from error
    steps: dict[str, Any] = {}
    for name in ("preprocess", "postprocess"):
        steps[name] = names.get(name)
        if steps[name] is not None and not callable(steps[name]):
            raise ConfigError("is no function", path=path, field=name)
    return Plugin(
        steps["preprocess"], steps["postprocess"] or first_output, _scores(names.get("score"), path), str(path)
    )


def _scores(given: Any, path: str | Path) -> Mapping[str, Score]:
    if given is None:
        return DEFAULT_PLUGIN.scores
    named = given if isinstance(given, Mapping) else {given if isinstance(given, str) else "score": given}
    result: dict[str, Score] = {}
    for name, value in named.items():
        score = SCORES.get(value) if isinstance(value, str) else value
        if not callable(score):
            raise ConfigError(
                f"'{value}' is neither a function nor one of {', '.join(SCORES)}", path=path, field=f"score.{name}"
            )
        result[str(name)] = score
    return result
