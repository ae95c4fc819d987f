"""Accuracy on a labelled set: a drop is called a drop, noise is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mace.errors import ConfigError, InputError
from mace.measure.accuracy import Contender, compare, measure_accuracy
from mace.measure.contenders import named, opened
from mace.measure.labelled import labelled_items
from mace.measure.plugin import DEFAULT_PLUGIN, iou, load_plugin, top
from mace.measure.source import SourceModel
from mace.tensor import Array, DType, TensorType

INPUT = {"x": TensorType(DType.FLOAT32, ("batch", 4))}


def test_a_two_point_drop_on_the_digits_is_called_a_drop(
    digits_source: Path, digits_model: Path, digits_data: Path
) -> None:
    """A form that gets two points fewer of the test split right, and none more, has dropped."""
    items = labelled_items(digits_data)
    wrong = set(range(0, len(items), 50))  # eight of 360: 2.2 points
    source = SourceModel(digits_source)
    seen = iter(range(len(items)))

    def damaged(feeds: Mapping[str, Array]) -> Mapping[str, Any]:
        scores = source.run(feeds)["scores"]
        return {"scores": -scores if next(seen) in wrong else scores}

    with opened(source, {"converted": digits_model}, storage=False) as contenders:
        inputs = contenders[0].inputs
        found = measure_accuracy([*contenders, Contender("damaged", inputs, damaged)], items)
    verdicts = {(c.contender, c.score): c.verdict for c in found.comparisons}
    assert verdicts["converted", "top1"] in ("same", "noise")
    assert verdicts["damaged", "top1"] == "drop"
    assert found.mean("source", "top1") - found.mean("damaged", "top1") == pytest.approx(8 / 360, abs=1e-3)


def test_noise_is_not_called_a_drop() -> None:
    """Forms that differ from the source at random are called different in about one of twenty cases, not more."""
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(60):
        base = (rng.random(360) < 0.9).astype(float)
        flips = rng.random(360) < 0.03
        ours = np.where(flips, (rng.random(360) < 0.9).astype(float), base)
        called += compare("other", "top1", base.tolist(), ours.tolist()).verdict in ("drop", "gain")
    assert called <= 7


def test_scores_that_are_no_yes_or_no() -> None:
    """For graded scores the verdict is the bootstrap's: a shift is found, no shift is not."""
    rng = np.random.default_rng(4)
    base = rng.uniform(0.4, 0.9, 200)
    assert compare("b", "iou", base.tolist(), (base - 0.02).tolist()).verdict == "drop"
    noisy = base + rng.normal(0, 0.02, 200)
    assert compare("b", "iou", base.tolist(), noisy.tolist()).verdict == "noise"
    assert compare("b", "iou", base.tolist(), base.tolist()).verdict == "same"


def test_built_in_scores() -> None:
    """Top-1, Top-5 and the overlap of boxes and masks, by hand."""
    scores = np.array([[0.1, 0.5, 0.2, 0.0, 0.3, 0.4, 0.35]])
    assert (top(1)(scores, 1), top(1)(scores, 4), top(5)(scores, 4), top(5)(scores, 3)) == (1.0, 0.0, 1.0, 0.0)
    assert iou(np.array([0, 0, 2, 2]), np.array([1, 1, 3, 3])) == pytest.approx(1 / 7)
    assert iou(np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 1]])) == 1.0
    assert iou(np.array([True, True, False]), np.array([True, False, False])) == 0.5
    assert iou(np.zeros((1, 4)), np.zeros((2, 4))) == 0.0


def test_a_plugin_says_how_samples_go_in_and_out(tmp_path: Path) -> None:
    """Its preprocess, postprocess and scores are used; the defaults stand for what it leaves out."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "def preprocess(item): return {'x': item['x'] + 1}\n"
        "def postprocess(outputs): return float(outputs['y'][0, 0])\n"
        "score = {'near': lambda prediction, label: float(abs(prediction - label) < 0.5)}\n"
    )
    np.savez(tmp_path / "set.npz", x=np.zeros((3, 4), np.float32), labels=np.array([1.0, 1.0, 2.0]))
    contender = Contender("source", INPUT, lambda feeds: {"y": feeds["x"]})
    found = measure_accuracy([contender], labelled_items(tmp_path / "set.npz"), load_plugin(plugin))
    assert found.mean("source", "near") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1/0", "ZeroDivisionError"), ("score = 'top9'", "top9"), ("preprocess = 3", "no function"), ("(", "SyntaxError")],
)
def test_a_broken_plugin_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A plug-in that fails, or defines something else than functions, is a setting that is wrong."""
    (tmp_path / "plugin.py").write_text(text)
    with pytest.raises(ConfigError, match=said) as raised:
        load_plugin(tmp_path / "plugin.py")
    assert "plugin.py" in str(raised.value)


def test_a_plugin_that_fails_on_a_sample(tmp_path: Path) -> None:
    """An error in the user's code names the plug-in, not mace."""
    (tmp_path / "plugin.py").write_text("def postprocess(outputs): return outputs['nothing']\n")
    np.savez(tmp_path / "set.npz", x=np.zeros((1, 4), np.float32), labels=np.zeros(1))
    contender = Contender("source", INPUT, lambda feeds: {"y": feeds["x"]})
    with pytest.raises(ConfigError, match="KeyError"):
        measure_accuracy([contender], labelled_items(tmp_path / "set.npz"), load_plugin(tmp_path / "plugin.py"))


def test_labelled_folders_of_images(tmp_path: Path) -> None:
    """A folder per class numbers the classes by name; a list names each file's label."""
    for name in ("cat/1.png", "cat/2.png", "ant/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert [label for _, label in labelled_items(tmp_path)] == [0, 1, 1]
    (tmp_path / "labels.csv").write_text("cat/1.png,7\nant/1.png,dog\n")
    assert [label for _, label in labelled_items(tmp_path)] == [7, "dog"]
    contender = Contender("source", {"x": TensorType(DType.FLOAT32, (1, 3, 2, 2))}, lambda f: {"y": f["x"]})
    items = [(item, 0) for item, _ in labelled_items(tmp_path)]
    assert measure_accuracy([contender], items, DEFAULT_PLUGIN).samples == 2


def test_sets_without_labels_are_refused(tmp_path: Path) -> None:
    """Arrays without labels, or of another length, are no labelled set."""
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4)))
    np.savez(tmp_path / "b.npz", x=np.zeros((3, 4)), labels=np.zeros(2))
    for name in "ab":
        with pytest.raises(InputError, match="labels"):
            labelled_items(tmp_path / f"{name}.npz")


def test_names_of_forms() -> None:
    """Forms come as NAME=PATH, each name once."""
    assert named(["fp16=a.mace"]) == {"fp16": "a.mace"}
    for texts in (["a.mace"], ["a=x", "a=y"], ["source=x"]):
        with pytest.raises(InputError):
            named(texts)
