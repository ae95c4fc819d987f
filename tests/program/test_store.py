from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.errors import StorageWarning
from mace.files.atomic import TEMPORARY_SUFFIX
from mace.files.stamps import StampBook
from mace.program.content import Entry, ProgramContent, merge
from mace.program.files import DEFAULT_NAME, write_program
from mace.program.keys import generate_keys
from mace.program.opening import open_trusted
from mace.program.reasons import Look, Reason
from mace.program.signatures import sign_file
from mace.program.store import ProgramStore, within
from mace.program.store_admin import clear, collect, stored_files
from mace.program.trust import Origin, Trust, TrustPolicy
from tests.ordinary_user import as_ordinary_user, give_to_ordinary_user


def plan(key: str, size: int = 10) -> ProgramContent:
    return ProgramContent((Entry.make("plan", key, bytes(size)),))


def loaded(store: ProgramStore) -> ProgramContent:
    found = store.load()
    return found.file.content if found else ProgramContent()


def test_saved_content_is_loaded(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """What was saved is there at the next start, and a save says where, how many and how much."""
    store = ProgramStore(tmp_path / "store", trust=trust)
    outcome = store.save(content)
    assert outcome.reason is Reason.SAVED
    assert outcome.saved is not None
    assert (outcome.saved.path, outcome.saved.entries) == (tmp_path / "store" / DEFAULT_NAME, 3)
    assert outcome.saved.bytes == store.path.stat().st_size
    assert loaded(store) == content


def test_saves_merge(tmp_path: Path, trust: Trust) -> None:
    """Two models keep what is theirs; the newer of two equal keys wins; nothing new writes nothing."""
    store = ProgramStore(tmp_path, trust=trust)
    store.save(plan("a"))
    store.save(plan("b"))
    store.save(plan("a", 20))
    assert [(e.key, e.nbytes) for e in loaded(store).entries] == [("a", 20), ("b", 10)]
    assert store.save(plan("b")).reason is Reason.UNCHANGED


def test_groups_have_files_of_their_own(tmp_path: Path, trust: Trust) -> None:
    """A group's file lies in a folder of its name; a name with a path in it is refused."""
    ProgramStore(tmp_path, group="model", trust=trust).save(plan("a"))
    assert (tmp_path / "model" / DEFAULT_NAME).exists()
    with pytest.raises(ValueError, match="plain name"):
        ProgramStore(tmp_path, group="../elsewhere")


def test_a_warm_start_hashes_nothing(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """The file just written is known to be right, and stays so until it changes."""
    store = ProgramStore(tmp_path, trust=trust)
    store.save(content)
    found = store.load()
    assert found is not None
    assert found.verified_before


def test_a_change_is_hashed_again(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """One bit changed in place, size and name the same, is found at the next start."""
    store = ProgramStore(tmp_path, trust=trust)
    store.save(content)
    with store.path.open("r+b") as file:
        file.seek(-50, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-50, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    looks: list[Look] = []
    assert store.load(looks.append) is None
    assert looks[0].reason is Reason.DAMAGED


def test_damage_is_set_aside_and_the_rest_is_kept(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Of a file with one damaged section, the others are taken over; the file is renamed, not lost."""
    store = ProgramStore(tmp_path, trust=trust)
    store.save(content)
    data = bytearray(store.path.read_bytes())
    data[data.index(b"\x7fELF") + 8] ^= 1
    store.path.write_bytes(data)
    looks: list[Look] = []
    found = store.load(looks.append)
    assert [look.reason for look in looks] == [Reason.DAMAGED, Reason.SALVAGED]
    assert found is not None
    assert [e.key for e in found.file.content.entries] == ["plan-1", "bb" * 32]
    store.save(plan("new"))
    assert sorted(e.key for e in loaded(store).entries) == sorted(["bb" * 32, "new", "plan-1"])
    aside = list(tmp_path.glob(f"{DEFAULT_NAME}.corrupt-*"))
    assert [p.read_bytes() for p in aside] == [bytes(data)]


@pytest.mark.parametrize("policy", ["own", "signed", "any"])
def test_an_opt_in_does_not_make_a_stored_file_own(
    tmp_path: Path, content: ProgramContent, trust: Trust, policy: TrustPolicy
) -> None:
    """A file that somebody put into the store is not taken over at a save, whatever the call trusts; an own one is."""
    foreign = ProgramContent((Entry.make("program", "ff" * 32, b"placed here"),))
    store = ProgramStore(tmp_path / "store", trust=replace(trust, policy=policy))
    store.folder.mkdir()
    write_program(store.path, foreign)
    assert store.save(content).reason is Reason.SAVED
    assert open_trusted(store.path, trust).file.content == content
    assert len(list(store.folder.glob("*.foreign-*"))) == 1
    more = Entry.make("program", "ee" * 32, b"built here")
    assert store.save(ProgramContent((more,))).reason is Reason.SAVED
    assert open_trusted(store.path, trust).file.content == merge(content, ProgramContent((more,)))


def test_a_signed_file_in_the_store_does_not_outlive_its_key(
    tmp_path: Path, content: ProgramContent, trust: Trust
) -> None:
    """What only a signature made trusted is not taken over into an own file, from which no revocation could take it."""
    pair = generate_keys(tmp_path / "key", passphrase=None, unprotected=True)
    assert trust.store is not None
    trust.store.trust(pair.public.read_bytes(), name="them")
    store = ProgramStore(tmp_path / "store", trust=trust)
    store.folder.mkdir()
    write_program(store.path, ProgramContent((Entry.make("program", "ff" * 32, b"signed elsewhere"),)))
    sign_file(store.path, pair.private, trust=trust)
    loaded = store.load()
    assert loaded is not None
    assert loaded.verdict.origin is Origin.SIGNED
    store.save(content)
    assert open_trusted(store.path, trust).file.content == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(30)
@pytest.mark.parametrize("suffix", ["", ".used.json", ".lock"])
def test_what_others_can_put_beside_it_does_no_harm(
    tmp_path: Path, content: ProgramContent, trust: Trust, suffix: str
) -> None:
    """A pipe or a link in place of any of the store's files makes nothing hang and changes nothing elsewhere."""
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    for number, place in enumerate((os.mkfifo, lambda path: path.symlink_to(precious), Path.mkdir)):
        store = ProgramStore(tmp_path / str(number), trust=trust)
        store.folder.mkdir()
        place(store.path.with_name(store.path.name + suffix))
        store.load()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StorageWarning)
            outcome = store.save(content)
        assert outcome.reason in (Reason.SAVED, Reason.NOT_SAVED)
        assert precious.read_text() == "keep me"
        if outcome.reason is Reason.SAVED:
            assert open_trusted(store.path, trust).file.content == content


def test_rubbish_is_set_aside(tmp_path: Path, trust: Trust) -> None:
    """A file that is no program at all does not stop a save."""
    store = ProgramStore(tmp_path, trust=trust)
    store.path.write_bytes(b"rubbish" * 100)
    store.save(plan("a"))
    assert [e.key for e in loaded(store).entries] == ["a"]


def test_only_a_few_damaged_files_are_kept(tmp_path: Path, trust: Trust) -> None:
    """Files set aside do not pile up."""
    store = ProgramStore(tmp_path, trust=trust)
    for n in range(6):
        store.path.write_bytes(b"rubbish")
        store.save(plan(str(n)))
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 3


def test_a_store_that_cannot_be_made_is_a_warning(tmp_path: Path, trust: Trust) -> None:
    """Where no folder can be, the save says so and nothing is raised."""
    (tmp_path / "file").write_text("in the way")
    store = ProgramStore(tmp_path / "file" / "store", trust=trust)
    with pytest.warns(StorageWarning, match="inference goes on"):
        outcome = store.save(plan("a"))
    assert (outcome.reason, outcome.saved) == (Reason.NOT_SAVED, None)


def test_more_than_a_file_holds_is_a_warning(tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content beyond the layout's 32 bits is not saved, and nothing is raised."""
    from mace.errors import LimitError
    from mace.program import opening

    def too_much(*_: object, **__: object) -> None:
        raise LimitError("more than 4 GiB")

    monkeypatch.setattr(opening, "encode_program", too_much)
    with pytest.warns(StorageWarning, match="4 GiB"):
        assert ProgramStore(tmp_path, trust=trust).save(plan("a")).reason is Reason.NOT_SAVED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another user's rights are tried in a forked process")
def test_a_read_only_store_is_a_warning(tmp_path: Path) -> None:
    """A folder without write permission is read, and not written."""
    give_to_ordinary_user(tmp_path)

    def work() -> list[object]:
        store = ProgramStore(tmp_path / "store", trust=Trust(stamps=StampBook(tmp_path / "stamps")))
        store.save(plan("a"))
        store.folder.chmod(0o500)
        with pytest.warns(StorageWarning):
            outcome = store.save(plan("b"))
        store.folder.chmod(0o700)
        return [outcome.reason, [e.key for e in loaded(store).entries]]

    assert as_ordinary_user(work) == [Reason.NOT_SAVED, ["a"]]


def test_a_busy_lock_is_waited_for_shortly(tmp_path: Path, trust: Trust) -> None:
    """While another process writes, a save gives up after its limit."""
    from filelock import FileLock

    store = ProgramStore(tmp_path, trust=trust, lock_seconds=0.2)
    began = time.monotonic()
    with FileLock(f"{store.path}.lock"), pytest.warns(StorageWarning, match="another process"):
        assert store.save(plan("a")).reason is Reason.LOCK_BUSY
    assert time.monotonic() - began < 5
    assert not store.path.exists()


def test_the_least_recently_used_make_room(tmp_path: Path, trust: Trust) -> None:
    """Beyond its size, a file loses the entries used longest ago."""
    content = ProgramContent(tuple(Entry.make("plan", k, bytes(100)) for k in "abc"))
    used = {e.id: n for n, e in enumerate(content.entries)}
    assert [e.key for e in within(content, 250, used).entries] == ["b", "c"]
    store = ProgramStore(tmp_path, trust=trust, max_bytes=250)
    store.save(plan("a", 100))
    store.save(plan("b", 100))
    store.save(plan("c", 100), used=frozenset({("plan", "a", "")}))
    assert "c" in [e.key for e in loaded(store).entries]
    assert loaded(store).nbytes <= 250


def test_saving_keeps_the_whole_store_within_its_size(tmp_path: Path, trust: Trust) -> None:
    """A new model's file makes room by removing the one used longest ago, never itself."""
    for number, group in enumerate(["a", "b", "c"]):
        store = ProgramStore(tmp_path / "store", group=group, trust=trust, max_bytes=25_000)
        store.save(plan("p", 10_000))
        os.utime(f"{store.path}.used.json", (number * 1000, number * 1000))
    assert sorted(f.path.parent.name for f in stored_files(tmp_path / "store")) == ["b", "c"]


def test_collect_and_clear(tmp_path: Path, trust: Trust) -> None:
    """Leftovers and files set aside go first, then the files used longest ago; other files stay."""
    root = tmp_path / "store"
    for n, group in enumerate(["old", "new"]):
        store = ProgramStore(root, group=group, trust=trust)
        store.save(plan("a", 10_000))
        os.utime(f"{store.path}.used.json", (n * 1000, n * 1000))
    leftover = root / "old" / f".{DEFAULT_NAME}.1-x{TEMPORARY_SUFFIX}"
    leftover.write_bytes(b"x")
    os.utime(leftover, (0, 0))
    (root / "mine.txt").write_text("stays")
    assert [f.path.parent.name for f in stored_files(root)] == ["new", "old"]
    removed = collect(root, max_bytes=15_000)
    assert leftover in removed.paths
    assert [f.path.parent.name for f in stored_files(root)] == ["new"]
    clear(root)
    assert [p.name for p in root.rglob("*") if p.is_file()] == ["mine.txt"]


def test_a_store_for_each_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a folder, the environment and then the user's cache decide."""
    monkeypatch.setenv("MACE_STORAGE", str(tmp_path / "here"))
    assert ProgramStore().folder == tmp_path / "here"
    monkeypatch.delenv("MACE_STORAGE")
    monkeypatch.setenv("MACE_INTERNAL_STORAGE_PATH", str(tmp_path / "there"))
    assert ProgramStore().folder == tmp_path / "there"


def test_an_encrypted_store(tmp_path: Path, content: ProgramContent, identity: DeviceIdentity, trust: Trust) -> None:
    """A store with a secret keeps nothing in plain text, and opens only with it."""
    from mace.program.encrypt import Secret

    store = ProgramStore(tmp_path, trust=trust, secret=Secret.raw(bytes(32)))
    store.save(content)
    assert b"\x7fELF" not in store.path.read_bytes()
    assert loaded(store) == content
    looks: list[Look] = []
    assert ProgramStore(tmp_path, trust=trust).load(looks.append) is None
    assert looks[0].reason is Reason.LOCKED_UP
