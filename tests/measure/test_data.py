"""Samples from files, from images, and made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mace.deployment.records import TensorSpec
from mace.errors import InputError, StorageError
from mace.measure.data import DataSource
from mace.measure.images import IMAGENET, ImageOptions, load_image
from mace.tensor import DType, TensorType

IMAGE = {"x": TensorType(DType.FLOAT32, (1, 3, 8, 6))}
OPEN = {"x": TensorType(DType.FLOAT32, ("batch", 2))}


def samples(source: DataSource, inputs: dict[str, TensorType]) -> list[dict[str, np.ndarray]]:
    """All samples of a source."""
    return list(source.samples(inputs))


def test_made_up_numbers_keep_their_range_and_repeat() -> None:
    """Numbers lie within the declared range, integers stay whole, and a seed gives the same again."""
    inputs = {
        "x": TensorType(DType.FLOAT32, (4, 50)),
        "i": TensorType(DType.INT64, (200,)),
        "b": TensorType(DType.BOOL, (9,)),
    }
    source = DataSource(ranges={"x": (2.0, 3.0), "i": (0, 5)}, count=2, seed=7)
    first, second = samples(source, inputs)
    assert 2.0 <= first["x"].min() < first["x"].max() <= 3.0
    assert set(first["i"].tolist()) == {0, 1, 2, 3, 4}
    assert not np.array_equal(first["x"], second["x"])
    assert np.array_equal(first["x"], samples(source, inputs)[0]["x"])


def test_an_open_batch_is_one_and_other_sizes_must_be_said() -> None:
    """The first dimension is taken as 1; any other open one is asked for."""
    assert samples(DataSource(), OPEN)[0]["x"].shape == (1, 2)
    assert samples(DataSource(shapes={"x": (3, 2)}), OPEN)[0]["x"].shape == (3, 2)
    with pytest.raises(InputError, match="--shape"):
        samples(DataSource(), {"x": TensorType(DType.FLOAT32, (1, None))})


def test_arrays_are_split_into_samples(tmp_path: Path) -> None:
    """An array with many samples gives one at a time; one that fits as it is stays whole."""
    np.save(tmp_path / "x.npy", np.arange(10, dtype=np.float64).reshape(5, 2))
    found = samples(DataSource((str(tmp_path / "x.npy"),), limit=3), OPEN)
    assert [s["x"].tolist() for s in found] == [[[0, 1]], [[2, 3]], [[4, 5]]]
    assert found[0]["x"].dtype == np.float32
    np.savez(tmp_path / "both.npz", x=np.ones((4, 2)), y=np.ones((4, 1)))
    both = {**OPEN, "y": TensorType(DType.FLOAT32, (2, 1))}
    with pytest.raises(InputError, match="different numbers"):
        samples(DataSource((str(tmp_path / "both.npz"),)), both)


@pytest.mark.parametrize(
    ("name", "kind", "said"), [("none.npy", StorageError, "no such"), ("t.npy", InputError, "no .npy")]
)
def test_files_that_are_no_arrays(tmp_path: Path, name: str, kind: type[Exception], said: str) -> None:
    """A missing file and one of another kind are named."""
    (tmp_path / "t.npy").write_text("hello")
    with pytest.raises(kind, match=said):
        samples(DataSource((str(tmp_path / name),)), OPEN)


def test_images_counted_as_nhwc_are_turned(tmp_path: Path) -> None:
    """A deployment file's NHWC array goes into a model that wants NCHW, and its shape too."""
    np.save(tmp_path / "x.npy", np.arange(8 * 6 * 3, dtype=np.float32).reshape(1, 8, 6, 3))
    declared = (TensorSpec("x", (1, 8, 6, 3), "NHWC", range=(0.0, 1.0)),)
    (turned,) = samples(DataSource((str(tmp_path / "x.npy"),), declared=declared), IMAGE)
    assert turned["x"].shape == (1, 3, 8, 6)
    assert turned["x"][0, 1, 0, 0] == 1.0
    (made,) = samples(DataSource(declared=declared), IMAGE)
    assert made["x"].shape == (1, 3, 8, 6)
    assert made["x"].min() >= 0.0


def test_images_from_a_folder(tmp_path: Path) -> None:
    """Pictures of any size come out in the model's, scaled and normalised, in the order of their names."""
    for i, name in enumerate(("b.png", "a.png")):
        Image.new("RGB", (20, 10), (255 * i, 0, 0)).save(tmp_path / name)
    options = ImageOptions(mean=(0.5,), std=(0.5,))
    first, second = samples(DataSource((str(tmp_path),), images=options), IMAGE)
    assert first["x"].shape == (1, 3, 8, 6)
    assert first["x"][0, :, 4, 3].tolist() == [1.0, -1.0, -1.0]
    assert second["x"][0, 0, 0, 0] == -1.0
    with pytest.raises(InputError, match="no image"):
        samples(DataSource((str(_empty(tmp_path)),)), IMAGE)


def test_images_are_cropped_and_may_be_bgr(tmp_path: Path) -> None:
    """Cropping keeps the middle; bgr turns the channels; other layouts and element types are met."""
    picture = Image.new("RGB", (40, 20), (0, 0, 0))
    picture.paste((200, 0, 0), (10, 0, 30, 20))
    picture.save(tmp_path / "x.png")
    kind = TensorType(DType.UINT8, (1, 10, 10, 3))
    found = load_image(tmp_path / "x.png", kind, ImageOptions("crop", crop_share=1.0, order="bgr"))
    assert found.shape == (1, 10, 10, 3)
    assert found[0, 5, 5].tolist() == [0, 0, 200]
    assert load_image(tmp_path / "x.png", TensorType(DType.FLOAT16, (1, 3, 9, 9)), IMAGENET).dtype == np.float16
    with pytest.raises(InputError, match="1 or 3 channels"):
        load_image(tmp_path / "x.png", TensorType(DType.FLOAT32, (1, 4, 8, 8)), IMAGENET)


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"
