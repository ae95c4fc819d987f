"""A face detector on photographs: the same faces as ONNX Runtime finds, each box to within half a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mace
from mace.plan.options import PlanOptions, Storage
from mace.tensor import Array
from tests.networks.helpers import onnxruntime_results

WIDTH, HEIGHT = 320, 240
MIN_SCORE, MAX_OVERLAP = 0.7, 0.5


def preprocess(photograph: Path) -> tuple[Array, tuple[int, int]]:
    """The network's input (1×3×240×320, RGB, about -1…1) and the photograph's width and height in pixels."""
    with Image.open(photograph) as image:
        small = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        pixels = (np.asarray(small, np.float32) - 127) / 128
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]), image.size


def overlap(box: Array, boxes: Array) -> Array:
    """Intersection over union of one box with several; boxes are left, top, right, bottom."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(common / (areas + (box[2:] - box[:2]).prod() - common))


def faces(outputs: dict[str, Array], size: tuple[int, int]) -> Array:
    """The boxes that remain after non-maximum suppression, in pixels of the photograph, most certain first."""
    scores, boxes = outputs["scores"][0, :, 1], outputs["boxes"][0] * np.array([*size, *size], np.float32)
    order = np.argsort(-scores)
    order = order[scores[order] > MIN_SCORE]
    kept = []
    while len(order):
        kept.append(boxes[order[0]])
        order = order[1:][overlap(boxes[order[0]], boxes[order[1:]]) <= MAX_OVERLAP]
    return np.array(kept)


def test_same_faces(shared_data: Path, device_spec: str, tmp_path: Path) -> None:
    """On each of the three photographs, as many faces and in the same places."""
    folder = shared_data / "ultraface"
    model = folder / "version-RFB-320.onnx"
    mace.convert(model, tmp_path / "faces.mace")
    photographs = sorted(folder.glob("*.jpg"))
    assert len(photographs) == 3
    with mace.load(tmp_path / "faces.mace", device=device_spec) as engine:
        for photograph in photographs:
            image, size = preprocess(photograph)
            wanted = faces(onnxruntime_results(model, {"input": image}), size)
            found = faces(engine.run({"input": image}), size)
            assert len(wanted) > 0
            assert found.shape == wanted.shape, photograph.name
            assert found == pytest.approx(wanted, abs=0.5), photograph.name


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["fp16", "bf16"])
def test_same_faces_stored_in_16_bits(shared_data: Path, device_spec: str, tmp_path: Path, storage: Storage) -> None:
    """As many faces, each overlapping by more than four fifths; rounded scores may choose another of its boxes."""
    folder = shared_data / "ultraface"
    model = folder / "version-RFB-320.onnx"
    mace.convert(model, tmp_path / "faces.mace")
    options = PlanOptions(storage=storage)
    with mace.load(tmp_path / "faces.mace", device=device_spec, options=options) as engine:
        for photograph in sorted(folder.glob("*.jpg")):
            image, size = preprocess(photograph)
            wanted = faces(onnxruntime_results(model, {"input": image}), size)
            found = faces(engine.run({"input": image}), size)
            assert found.shape == wanted.shape, photograph.name
            assert min(overlap(box, found).max() for box in wanted) > 0.8, photograph.name
