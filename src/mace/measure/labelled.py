"""Labelled sets: samples with the answer that is right."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mace.errors import InputError, StorageError
from mace.measure.data import read_arrays
from mace.measure.images import SUFFIXES, ImageOptions, image_files, load_image
from mace.measure.plugin import Plugin
from mace.tensor import Array, TensorType

Item: TypeAlias = "dict[str, Array] | Path"
LABELS = "labels"
LABEL_FILES = ("labels.csv", "labels.txt")


def labelled_items(path: str | Path, limit: int | None = None) -> list[tuple[Item, Any]]:
    """Samples with labels.

    From an ``.npz`` whose array ``labels`` is as long as the others; from a folder of images with a ``labels.csv``
    (file, label); or from a folder with one folder of images per class, numbered in the order of their names. Raises
    ``InputError`` or ``StorageError``.
    """
    path = Path(path)
    found = list(_from_folder(path) if path.is_dir() else _from_arrays(path))
    if not found:
        raise InputError(f"{path} holds no labelled sample")
    return found[:limit]


def feeds_for(item: Item, plugin: Plugin, inputs: Mapping[str, TensorType], images: ImageOptions) -> dict[str, Array]:
    """What a model is fed for one item. Raises ``InputError`` where the two do not fit and no plug-in says how."""
    if plugin.preprocess is not None:
        return {name: np.asarray(value) for name, value in plugin.preprocess(item).items()}
    if isinstance(item, Path):
        if len(inputs) != 1:
            raise InputError(f"images feed a model of one input; this one has {', '.join(inputs)}")
        ((name, expected),) = inputs.items()
        return {name: load_image(item, expected, images)}
    if len(inputs) == 1 and len(item) == 1:
        return {next(iter(inputs)): next(iter(item.values()))}
    if set(item) != set(inputs):
        raise InputError(f"a sample has {', '.join(item)}, the model's inputs are {', '.join(inputs)}")
    return dict(item)


def _from_arrays(path: Path) -> Iterator[tuple[Item, Any]]:
    arrays = read_arrays(path)
    labels = arrays.pop(LABELS, None)
    if labels is None or not arrays or any(len(a) != len(labels) for a in arrays.values()):
        raise InputError(f"{path} needs an array 'labels' and arrays of as many samples")
    for i, label in enumerate(labels):
        yield {name: array[i : i + 1] for name, array in arrays.items()}, label


def _from_folder(path: Path) -> Iterator[tuple[Item, Any]]:
    for name in LABEL_FILES:
        if (path / name).is_file():
            yield from _from_list(path / name)
            return
    classes = sorted(p for p in path.iterdir() if p.is_dir())
    for number, folder in enumerate(classes):
        for file in image_files(folder):
            yield file, number


def _from_list(path: Path) -> Iterator[tuple[Item, Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [r for r in csv.reader(file, delimiter="," if path.suffix == ".csv" else " ") if len(r) >= 2]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"cannot be read: {error}", path=path) from error
    for name, label, *_ in rows:
        file_path = path.parent / name.strip()
        if file_path.suffix.lower() in SUFFIXES:
            yield file_path, int(label) if label.strip().lstrip("-").isdecimal() else label.strip()
