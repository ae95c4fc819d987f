"""Arrays between files and a model: ``.npy`` holds one tensor, ``.npz`` several by name. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from mace.errors import InputError, StorageError
from mace.tensor import Array


def read_inputs(texts: Sequence[str], names: Sequence[str]) -> dict[str, Array]:
    """What ``--input`` gives for a model with inputs ``names``.

    Each text is ``NAME=x.npy``; or ``x.npy`` alone when the model has one input; or ``x.npz``, whose arrays carry the
    inputs' names. Raises ``InputError`` for anything else and ``StorageError`` for a file that cannot be read.
    """
    feeds: dict[str, Array] = {}
    for text in texts:
        name, path = _split(text, names)
        loaded = _load(path)
        if isinstance(loaded, dict):
            feeds.update({name: _only(path, loaded)} if name else loaded)
        elif name:
            feeds[name] = loaded
        elif len(names) == 1:
            feeds[names[0]] = loaded
        else:
            raise InputError(f"--input '{text}': the model has the inputs {', '.join(names)}; write NAME={text}")
    return feeds


def write_outputs(path: Path, outputs: Mapping[str, Array]) -> None:
    """Write all outputs to an ``.npz``, or a single one to an ``.npy``. Raises ``InputError`` or ``StorageError``."""
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"--output '{path}' must end in .npy or .npz")
    if path.suffix == ".npy" and len(outputs) != 1:
        raise InputError(
            f"the model has the outputs {', '.join(outputs)}; an .npy holds one tensor, write them to an .npz"
        )
    try:
        with path.open("wb") as file:
            if path.suffix == ".npy":
                np.save(file, next(iter(outputs.values())), allow_pickle=False)
            else:
                _write_npz(file, outputs)
    except ValueError as error:
        raise InputError(f"--output '{path}': an output cannot be written as a numpy file: {error}") from error
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror or error}", path=path) from error


def _write_npz(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """As ``numpy.savez`` does, which however has no room for arrays whose names are those of its own parameters."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _split(text: str, names: Sequence[str]) -> tuple[str, Path]:
    """Name and path of ``NAME=PATH``; input names may hold an equals sign, and so may paths."""
    for name in names:
        if text.startswith(f"{name}="):
            return name, Path(text[len(name) + 1 :])
    name, equals, _ = text.partition("=")
    if equals and not Path(text).exists():
        raise InputError(f"--input '{text}': the model has no input '{name}'; its inputs are {', '.join(names)}")
    return "", Path(text)


def _load(path: Path) -> Array | dict[str, Array]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return dict(loaded)
    except FileNotFoundError:
        raise StorageError("there is no such file", path=path) from None
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' is no .npy or .npz file of plain arrays: {error}") from error


def _only(path: Path, arrays: Mapping[str, Array]) -> Array:
    if len(arrays) != 1:
        raise InputError(f"'{path}' holds {len(arrays)} arrays ({', '.join(arrays)}), one was expected")
    return next(iter(arrays.values()))
