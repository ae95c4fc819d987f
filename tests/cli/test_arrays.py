"""Arrays from and to files, as ``mace run`` reads and writes them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mace.cli.arrays import read_inputs, write_outputs
from mace.errors import InputError, StorageError


@pytest.fixture
def x(tmp_path: Path) -> Path:
    """A file with the numbers 0…3."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(4.0))
    return path


def test_a_single_input_needs_no_name(x: Path) -> None:
    """A model with one input takes ``x.npy`` as it is, or by name."""
    for text in (str(x), f"image={x}"):
        assert read_inputs([text], ["image"])["image"].tolist() == [0, 1, 2, 3]


def test_names_may_hold_equals_signs(x: Path) -> None:
    """The longest part that is an input's name counts, whatever characters it has."""
    assert list(read_inputs([f"a=b={x}", f"c={x}"], ["a=b", "c"])) == ["a=b", "c"]


def test_an_npz_carries_names(tmp_path: Path) -> None:
    """Several inputs may come from one file; a name in front of it picks the only array inside."""
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.zeros(1))
    np.savez(tmp_path / "one.npz", whatever=np.ones(3))
    assert set(read_inputs([str(tmp_path / "two.npz")], ["a", "b"])) == {"a", "b"}
    assert read_inputs([f"a={tmp_path / 'one.npz'}"], ["a", "b"])["a"].shape == (3,)


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("{x}", ["a", "b"], "write NAME="),
        ("c={x}", ["a", "b"], "no input 'c'"),
        ("a={folder}/two.npz", ["a"], "2 arrays"),
    ],
)
def test_mistakes_say_what_was_expected(x: Path, text: str, names: list[str], said: str) -> None:
    """A text that does not fit the model's inputs is refused, naming them."""
    np.savez(x.parent / "two.npz", a=np.ones(2), b=np.zeros(1))
    with pytest.raises(InputError, match=said):
        read_inputs([text.format(x=x, folder=x.parent)], names)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Pickles, and numpy files that hold them, are refused without being read."""
    (tmp_path / "evil.npy").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("evil.npy", "objects.npy", "cut.npz"):
        with pytest.raises(InputError, match="plain arrays"):
            read_inputs([str(tmp_path / name)], ["a"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error carries the path that could not be read."""
    with pytest.raises(StorageError, match=r"nothing\.npy.*no such file"):
        read_inputs([f"a={tmp_path / 'nothing.npy'}"], ["a"])


def test_outputs_round_trip(tmp_path: Path) -> None:
    """One output fits an ``.npy``, several an ``.npz``, names kept as they are."""
    write_outputs(tmp_path / "y.npy", {"y": np.arange(3)})
    assert np.load(tmp_path / "y.npy").tolist() == [0, 1, 2]
    write_outputs(tmp_path / "y.npz", {"a/b": np.ones(1), "file": np.zeros(2)})
    with np.load(tmp_path / "y.npz") as both:
        assert {n: both[n].shape for n in both} == {"a/b": (1,), "file": (2,)}


@pytest.mark.parametrize(("name", "count"), [("y.txt", 1), ("y.npy", 2)])
def test_outputs_that_do_not_fit(tmp_path: Path, name: str, count: int) -> None:
    """Another ending, or several outputs for one ``.npy``, is refused before anything is written."""
    with pytest.raises(InputError):
        write_outputs(tmp_path / name, {str(i): np.ones(1) for i in range(count)})
    assert not (tmp_path / name).exists()


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    """The error carries the path that could not be written."""
    with pytest.raises(StorageError, match="nowhere"):
        write_outputs(tmp_path / "nowhere" / "y.npy", {"y": np.ones(1)})
