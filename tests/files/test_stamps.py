from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mace.errors import LimitError, StorageError
from mace.files import stamps
from mace.files.atomic import atomic_write
from mace.files.folders import cache_folder, is_private, make_private, state_folder
from mace.files.mapping import open_file
from mace.files.stamps import FileState, StampBook


def test_a_stamp_is_kept(tmp_path: Path) -> None:
    """What was put under a key is there, under no other, and can be dropped."""
    book = StampBook(tmp_path / "stamps")
    assert book.get("proved", "k") is None
    assert book.put("proved", "k", {"verdict": "ok"})
    assert (book.get("proved", "k") or {})["verdict"] == "ok"
    assert book.get("proved", "other") is None
    assert book.get("own", "k") is None
    book.drop("proved", "k")
    assert book.get("proved", "k") is None


def test_a_file_s_stamp_ends_with_a_change(tmp_path: Path) -> None:
    """The hash is known until size, time or inode change."""
    book, path = StampBook(tmp_path / "stamps"), tmp_path / "file"
    state = atomic_write(path, [b"abc"])
    assert book.stamp_file(state, "hash", wait=True)
    assert book.file_digest(path.stat()) == "hash"
    os.utime(path, ns=(0, 0))
    assert book.file_digest(path.stat()) is None


def test_a_fresh_write_is_not_stamped_at_once(tmp_path: Path) -> None:
    """A write within one tick of the clock could hide behind the same times, so it is not trusted yet."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert not FileState.of(path.stat()).settled
    assert not StampBook(tmp_path / "stamps").stamp_file(path.stat(), "hash")
    time.sleep(0.03)
    assert FileState.of(path.stat()).settled


def test_times_in_whole_seconds_settle_later() -> None:
    """On a file system that keeps seconds, two of them must pass."""
    now = time.time_ns() // 1_000_000_000 * 1_000_000_000
    assert not FileState(1, 1, 1, now, now).settled
    assert FileState(1, 1, 1, now - 3_000_000_000, now - 3_000_000_000).settled


def test_a_folder_others_can_use_holds_no_stamps(tmp_path: Path) -> None:
    """Stamps count only in a real folder of mode 0700."""
    book = StampBook(tmp_path / "stamps")
    book.put("own", "k", {})
    (tmp_path / "stamps" / "own").chmod(0o755)
    assert book.get("own", "k") is None
    assert not book.put("own", "k2", {})
    (tmp_path / "link").symlink_to(tmp_path / "stamps")
    assert not is_private(tmp_path / "link")


def test_no_folder_no_stamps(tmp_path: Path) -> None:
    """Where nothing can be written, nothing is raised."""
    (tmp_path / "file").write_text("")
    assert not make_private(tmp_path / "file" / "x")
    assert not StampBook(tmp_path / "file" / "x").put("own", "k", {})


_CHANGE = """
import sys
from mace.files.stamps import StampBook
book = StampBook(sys.argv[1])
for n in range(40):
    assert book.change("kind", "k", lambda found: {"words": [*found.get("words", []), f"{sys.argv[2]}{n}"]})
"""


def test_changes_of_several_processes_all_count(tmp_path: Path) -> None:
    """Three processes that change one stamp at once lose nothing of each other's."""
    folder = tmp_path / "book"
    workers = [subprocess.Popen([sys.executable, "-c", _CHANGE, folder, word]) for word in "abc"]
    assert [w.wait(timeout=120) for w in workers] == [0, 0, 0]
    found = StampBook(folder).get("kind", "k")
    assert found is not None
    assert sorted(found["words"]) == sorted(f"{word}{n}" for word in "abc" for n in range(40))


def test_a_change_goes_on_where_the_lock_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs with the lock does not keep others from noting what they found, nor for long."""
    monkeypatch.setattr(stamps, "LOCK_SECONDS", 0.1)
    book = StampBook(tmp_path / "stamps")
    assert book.change("kind", "k", lambda found: {"n": found.get("n", 0) + 1})
    (path,) = (tmp_path / "stamps" / "kind").glob("*.json")
    with FileLock(f"{path}.lock"):
        assert book.change("kind", "k", lambda found: {"n": found.get("n", 0) + 1})
    assert book.get("kind", "k") == {"key": "k", "n": 2}


def test_all_stamps_of_a_kind(tmp_path: Path) -> None:
    """They are listed and forgotten together; rubbish, renamed stamps and folders that others may use are passed over."""
    book, folder = StampBook(tmp_path / "stamps"), tmp_path / "stamps" / "kind"
    assert book.all("kind") == []
    assert book.drop_all("kind") == 0
    for n in range(3):
        assert book.put("kind", f"k{n}", {"n": n})
    assert sorted(data["key"] for data in book.all("kind")) == ["k0", "k1", "k2"]
    first, second, third = sorted(folder.glob("*.json"))
    first.write_text("rubbish")
    second.rename(folder / "renamed.json")
    assert [data["key"] for data in book.all("kind")] == [json.loads(third.read_text())["key"]]
    folder.chmod(0o755)
    assert book.all("kind") == []
    folder.chmod(0o700)
    assert book.drop_all("kind") == 3
    assert book.all("kind") == []


def test_rubbish_in_a_stamp_is_no_stamp(tmp_path: Path) -> None:
    """A damaged stamp is as good as none."""
    book = StampBook(tmp_path / "stamps")
    book.put("own", "k", {})
    path = next((tmp_path / "stamps" / "own").iterdir())
    for text in ("", "[]", "{", '{"key": "other"}', "[" * 100_000):
        path.write_text(text)
        assert book.get("own", "k") is None


def test_atomic_write_keeps_the_old_file(tmp_path: Path) -> None:
    """When writing fails half-way the target is as it was and no temporary file stays."""
    path = tmp_path / "file"
    atomic_write(path, [b"old"])

    def pieces():
        yield b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        atomic_write(path, pieces())
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A folder, a pipe and a file too large are refused without waiting."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(StorageError):
            open_file(path, max_bytes=100)
    (tmp_path / "large").write_bytes(bytes(101))
    with pytest.raises(LimitError):
        open_file(tmp_path / "large", max_bytes=100)
    (tmp_path / "empty").write_bytes(b"")
    assert len(open_file(tmp_path / "empty", max_bytes=100).data) == 0


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variables come first, then the XDG base directories, of which relative ones are ignored."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path))
    assert state_folder() == str(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == str(tmp_path / "mace")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == str(Path.home() / ".cache" / "mace")
    monkeypatch.setenv("MACE_CACHE_DIR", str(tmp_path / "x"))
    assert cache_folder() == str(tmp_path / "x")
