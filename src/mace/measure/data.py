"""What a model is measured on: arrays from files, images from a folder, or numbers made up within declared ranges."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mace.deployment.records import TensorSpec
from mace.errors import InputError, StorageError
from mace.measure.images import ImageOptions, image_files, load_image
from mace.tensor import Array, TensorType

Sample: TypeAlias = dict[str, Array]
Range: TypeAlias = tuple[float, float]

DEFAULT_RANGE: Range = (-1.0, 1.0)
"""What MACE takes where a deployment file declares no ``input_ranges``."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where samples come from. Without ``paths`` they are made up, ``count`` of them from ``seed``.

    A path is an ``.npy`` (for a model of one input), ``NAME=x.npy``, an ``.npz`` with arrays by input name, or a folder of
    images. ``shapes`` fixes open dimensions; an open first one is 1 otherwise.
    """

    paths: tuple[str, ...] = ()
    images: ImageOptions = field(default_factory=ImageOptions)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    declared: tuple[TensorSpec, ...] = ()
    """What a deployment file says of the inputs; images it counts as NHWC are turned to what the model takes."""
    count: int = 1
    limit: int | None = None
    """Samples that are taken at most."""
    seed: int = 0

    def describe(self) -> str:
        """In a few words, for a record."""
        if self.paths:
            return ", ".join(self.paths)
        return f"{self.count} made up from seed {self.seed}"

    def samples(self, inputs: Mapping[str, TensorType]) -> Iterator[Sample]:
        """Samples for a model with these inputs. Raises ``InputError`` or ``StorageError``."""
        for number, sample in enumerate(self._samples(inputs)):
            if self.limit is not None and number >= self.limit:
                return
            yield sample

    def _samples(self, inputs: Mapping[str, TensorType]) -> Iterator[Sample]:
        if not self.paths:
            yield from generated(inputs, self.count, self.seed, self._ranges(), self._shapes(inputs))
            return
        folders = [p for p in self.paths if Path(p).is_dir()]
        if folders:
            yield from self._images(folders, inputs)
            return
        yield from _split(self._turned(_gather(self.paths, inputs), inputs), inputs)

    def _ranges(self) -> dict[str, Range]:
        return {**{t.name: t.range for t in self.declared if t.range}, **self.ranges}

    def _shapes(self, inputs: Mapping[str, TensorType]) -> dict[str, tuple[int, ...]]:
        known = {t.name: t.shape_for(inputs[t.name]) for t in self.declared if t.name in inputs}
        return {**{n: s for n, s in known.items() if s is not None}, **self.shapes}

    def _turned(self, arrays: dict[str, Array], inputs: Mapping[str, TensorType]) -> dict[str, Array]:
        for spec in self.declared:
            axes = spec.axes_for(inputs[spec.name], arrays[spec.name].shape) if spec.name in inputs else None
            if axes is not None:
                arrays[spec.name] = np.ascontiguousarray(arrays[spec.name].transpose(axes))
        return arrays

    def _images(self, folders: Sequence[str], inputs: Mapping[str, TensorType]) -> Iterator[Sample]:
        if len(inputs) != 1:
            raise InputError(f"a folder of images feeds a model of one input; this one has {', '.join(inputs)}")
        ((name, expected),) = inputs.items()
        for folder in folders:
            files = image_files(Path(folder))
            if not files:
                raise InputError(f"there is no image in {folder}")
            for file in files:
                yield {name: load_image(file, expected, self.images)}


def generated(
    inputs: Mapping[str, TensorType],
    count: int,
    seed: int = 0,
    ranges: Mapping[str, Range] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Iterator[Sample]:
    """Uniform numbers within each input's range: floats as they are, integers rounded down, bools at random."""
    rng = np.random.default_rng(seed)
    sizes = {name: concrete(name, t, (shapes or {}).get(name)) for name, t in inputs.items()}
    for _ in range(count):
        yield {name: _uniform(rng, t, sizes[name], (ranges or {}).get(name)) for name, t in inputs.items()}


def concrete(name: str, kind: TensorType, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Numbers for an input's dimensions: as given, or with an open first one taken as 1. Raises ``InputError``."""
    if shape is not None:
        return shape
    dims = kind.shape
    if dims and not isinstance(dims[0], int):
        dims = (1, *dims[1:])
    if dims is None or not all(isinstance(d, int) for d in dims):
        raise InputError(f"input '{name}' is {kind}: say which size to take, as in --shape '{name}=1x3x224x224'")
    return TensorType(kind.dtype, dims).dims


def _uniform(rng: np.random.Generator, kind: TensorType, shape: tuple[int, ...], span: Range | None) -> Array:
    dtype = kind.dtype.numpy
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind.dtype.is_integer:
        low, high = span or (0.0, 2.0)
        return np.floor(rng.uniform(low, high, shape)).astype(dtype)
    if dtype.kind in "OUS":
        return np.full(shape, "", dtype)
    low, high = span or DEFAULT_RANGE
    return rng.uniform(low, high, shape).astype(dtype)


def _gather(paths: Sequence[str], inputs: Mapping[str, TensorType]) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for text in paths:
        name = next((n for n in inputs if text.startswith(f"{n}=")), "")
        path = Path(text[len(name) + 1 :] if name else text)
        arrays = read_arrays(path)
        if name:
            found[name] = _single(path, arrays)
        elif set(arrays) >= set(inputs):
            found |= {n: arrays[n] for n in inputs}
        elif len(inputs) == 1 and len(arrays) == 1:
            found[next(iter(inputs))] = _single(path, arrays)
        elif len(inputs) == 1 and "labels" in arrays and len(arrays) == 2:
            found[next(iter(inputs))] = next(a for n, a in arrays.items() if n != "labels")
        else:
            raise InputError(f"{path} holds {', '.join(arrays)}; the model's inputs are {', '.join(inputs)}")
    if missing := [n for n in inputs if n not in found]:
        raise InputError(f"no data for input {', '.join(missing)}")
    return found


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an ``.npy`` (under the file's name) or ``.npz``, without unpickling. Raises ``InputError``."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {path.stem: loaded}
        with loaded:
            return dict(loaded)
    except FileNotFoundError:
        raise StorageError("there is no such file", path=path) from None
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' is no .npy or .npz file of plain arrays: {error}") from error


def _single(path: Path, arrays: Mapping[str, Array]) -> Array:
    if len(arrays) != 1:
        raise InputError(f"'{path}' holds {len(arrays)} arrays ({', '.join(arrays)}), one was expected")
    return next(iter(arrays.values()))


def _split(arrays: Mapping[str, Array], inputs: Mapping[str, TensorType]) -> Iterator[Sample]:
    """One sample where the shapes fit as they are; else samples of the model's own first dimension (1 when open)."""
    if all(_fits(arrays[n], t) for n, t in inputs.items()):
        yield {n: arrays[n].astype(t.dtype.numpy, copy=False) for n, t in inputs.items()}
        return
    counts = {n: _pieces(n, arrays[n], t) for n, t in inputs.items()}
    if len(set(counts.values())) != 1:
        raise InputError("the inputs' arrays hold different numbers of samples: " + str(counts))
    for i in range(next(iter(counts.values()))):
        yield {n: _piece(arrays[n], t, i) for n, t in inputs.items()}


def _fits(array: Array, kind: TensorType) -> bool:
    if kind.shape is None:
        return True
    if array.ndim != len(kind.shape):
        return False
    if kind.shape and not isinstance(kind.shape[0], int) and array.shape[0] != 1:
        return False  # an open batch: one sample at a time
    return all(not isinstance(want, int) or want == have for want, have in zip(kind.shape, array.shape, strict=True))


def _pieces(name: str, array: Array, kind: TensorType) -> int:
    shape = kind.shape or ()
    rest = array.shape[1:] if array.ndim == len(shape) else None
    batch = shape[0] if shape and isinstance(shape[0], int) else 1
    fits = rest is not None and all(not isinstance(w, int) or w == h for w, h in zip(shape[1:], rest, strict=True))
    if not fits or not batch or array.shape[0] % batch:
        raise InputError(f"input '{name}': an array of shape {array.shape} holds no samples of {kind}")
    return int(array.shape[0]) // batch


def _piece(array: Array, kind: TensorType, index: int) -> Array:
    shape = kind.shape or ()
    batch = shape[0] if shape and isinstance(shape[0], int) else 1
    return np.ascontiguousarray(array[index * batch : (index + 1) * batch].astype(kind.dtype.numpy, copy=False))
