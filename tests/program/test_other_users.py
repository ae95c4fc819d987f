"""Whose files load, tried by real processes of two users: Ada, who would have her code run, and Ben, whose files are his.

Ada's file is one that her own mace wrote, so that it passes wherever ownership or layout alone would be asked.
"""

from __future__ import annotations

import codecs
import ctypes
import mmap
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mace.errors import ProgramFileError, StorageError
from mace.files.mapping import open_file
from mace.files.stamps import StampBook
from mace.program.content import Entry, ProgramContent
from mace.program.envelope import HEADER_BYTES
from mace.program.files import DEFAULT_NAME, write_program
from mace.program.keys import TrustStore, generate_keys
from mace.program.opening import open_trusted, save_own
from mace.program.reasons import Reason
from mace.program.signatures import sign_file
from mace.program.store import ProgramStore
from mace.program.trust import Origin, Trust
from tests.ordinary_user import as_user, let_in

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the administrator can be two users"
)


def _load_what_locks_load() -> None:
    """Import what ``filelock`` imports when it is used: the interpreter's own folders may be closed to other users."""
    import filelock

    assert filelock.FileLock
    codecs.lookup("ascii")


_load_what_locks_load()

ADA, BEN, BOTH = 12_001, 12_002, 12_100
"""Two users, and a group that both are in."""
FOREIGN = "was not written by mace for this user on this machine"
HERS = ProgramContent((Entry.make("plan", "plan", b"Ada's", meta={"by": "Ada"}),))
HIS = ProgramContent((Entry.make("plan", "plan", b"Ben's", meta={"by": "Ben"}),))


class Place:
    """Two homes, and folders that both users can write to."""

    def __init__(self, root: Path) -> None:
        let_in(root / "any")
        root.chmod(0o755)
        self.homes = {ADA: root / "ada", BEN: root / "ben"}
        for user, home in self.homes.items():
            _folder(home, user, user, 0o700)
        self.root = _folder(root / "root", 0, 0, 0o755)
        self.sticky = _folder(root / "sticky", 0, 0, 0o1777)
        self.group = _folder(root / "group", 0, BOTH, 0o2770)
        self.open = _folder(root / "open", BEN, BEN, 0o777)

    def trust(self, user: int) -> Trust:
        state = self.homes[user] / "state"
        return Trust("own", StampBook(state / "stamps"), TrustStore(state / "trust"))

    def ada(self, work: Callable[[], Any]) -> Any:
        return as_user(ADA, work, groups=[BOTH])

    def ben(self, work: Callable[[], Any]) -> Any:
        return as_user(BEN, work, groups=[BOTH])

    def writes(self, user: int, path: Path, mode: int = 0o644) -> Path:
        """The user's mace writes the user's own file."""
        content = HERS if user == ADA else HIS

        def work() -> None:
            save_own(path, content, self.trust(user), mode=mode)
            path.chmod(mode)

        as_user(user, work, groups=[BOTH])
        assert path.stat().st_uid == user
        return path

    def opens(self, path: Path, user: int = BEN, trust: Trust | None = None) -> str:
        """What the user, Ben, gets: the origin and whose content it is, or the error's kind and words."""

        def work() -> str:
            try:
                found = open_trusted(path, trust or self.trust(user))
            except (ProgramFileError, StorageError) as error:
                return f"{type(error).__name__}: {error}"
            (entry,) = found.file.content.entries
            mapped = isinstance(memoryview(entry.payload).obj, mmap.mmap)
            return f"{found.verdict.origin.name} {bytes(entry.payload).decode()}{' mapped' if mapped else ''}"

        return str(as_user(user, work, groups=[BOTH]))


def _folder(path: Path, user: int, group: int, mode: int) -> Path:
    path.mkdir()
    os.chown(path, user, group)
    path.chmod(mode)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_user_s_own_files_load(place: Place) -> None:
    """What a user's mace wrote loads for that user, in every folder, and for nobody else, the administrator neither."""
    for folder in (place.sticky, place.group, place.open):
        assert place.opens(place.writes(BEN, folder / "his")) == "OWN Ben's mapped"
        hers = place.writes(ADA, folder / "hers")
        assert place.opens(hers, ADA) == "OWN Ada's mapped"
        assert FOREIGN in place.opens(hers)
        assert FOREIGN in place.opens(hers, 0, Trust("own", StampBook(place.root / "stamps")))


def _in_his_folder(place: Place) -> Path:
    return place.writes(ADA, place.open / "file")


def _by_symlink(place: Place) -> Path:
    hers = place.writes(ADA, place.homes[ADA] / "file")
    place.homes[ADA].chmod(0o755)
    place.ada(lambda: (place.open / "link").symlink_to(hers))
    return place.open / "link"


def _by_hard_link(place: Place) -> Path:
    hers = place.writes(ADA, place.sticky / "file")
    place.ada(lambda: (place.open / "link").hardlink_to(hers))
    return place.open / "link"


def _renamed_over_his(place: Place) -> Path:
    his = place.writes(BEN, place.open / "his")
    assert place.opens(his).startswith("OWN")  # so that it is stamped as verified
    hers = place.writes(ADA, place.open / "hers")
    place.ada(lambda: hers.rename(his) and None)
    return his


def _written_into_his(place: Place) -> Path:
    """His file lets the group write for a while."""
    his = place.writes(BEN, place.group / "his")
    hers = place.writes(ADA, place.group / "hers")
    assert place.opens(his).startswith("OWN")
    assert his.stat().st_size == hers.stat().st_size
    place.ben(lambda: his.chmod(0o664))
    place.ada(lambda: his.write_bytes(hers.read_bytes()))
    place.ben(lambda: his.chmod(0o644))
    assert his.stat().st_uid == BEN
    return his


def _left_writable(place: Place) -> Path:
    his = _written_into_his(place)
    place.ben(lambda: his.chmod(0o666))
    return his


def _copied_by_himself(place: Place) -> Path:
    """He copies it from a folder of hers, so that it is his as far as the file system knows."""
    hers = place.writes(ADA, place.sticky / "file")
    place.ben(lambda: shutil.copy(hers, place.open / "copy") and None)
    return place.open / "copy"


def _with_her_notes(place: Place) -> Path:
    """Her notes of own files lie where his are looked for; he has none yet."""
    hers = place.writes(ADA, place.sticky / "file")
    place.homes[BEN].chmod(0o777)
    place.homes[ADA].chmod(0o755)
    place.ada(lambda: shutil.copytree(place.homes[ADA] / "state", place.homes[BEN] / "state") and None)
    assert (place.homes[BEN] / "state" / "stamps" / "own").stat().st_uid == ADA
    return hers


def _with_links_to_her_notes(place: Place) -> Path:
    """The same with a folder of his and links in it."""
    hers = place.writes(ADA, place.sticky / "file")
    place.writes(BEN, place.open / "his")
    os.chmod(place.homes[ADA], 0o755)
    notes = place.homes[BEN] / "state" / "stamps"
    shutil.rmtree(notes / "own")
    (notes / "own").symlink_to(place.homes[ADA] / "state" / "stamps" / "own")
    return hers


ATTACKS = [
    *(_in_his_folder, _by_symlink, _by_hard_link, _renamed_over_his, _written_into_his, _left_writable),
    *(_copied_by_himself, _with_her_notes, _with_links_to_her_notes),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.__name__.strip("_"))
def test_her_file_is_refused(place: Place, attack: Callable[[Place], Path]) -> None:
    """However it comes to where he opens it, twice, it is refused by name of the rule; he can take it on his own word."""
    path = attack(place)
    for _ in range(2):
        assert FOREIGN in place.opens(path)
    assert place.opens(path, trust=Trust("any", place.trust(BEN).stamps)).startswith("OPTED_IN Ada's")


def test_his_header_before_her_bytes(place: Place) -> None:
    """The header that his notes name, before other bytes, is damage: the bytes are hashed, also after his was verified."""
    his = place.writes(BEN, place.open / "his")
    hers = place.writes(ADA, place.open / "hers")
    assert place.opens(his).startswith("OWN")
    place.ada(lambda: hers.write_bytes(his.read_bytes()[:HEADER_BYTES] + hers.read_bytes()[HEADER_BYTES:]))
    place.ada(lambda: hers.rename(his) and None)
    for _ in range(2):
        assert place.opens(his).startswith("IntegrityError")


def test_his_bytes_are_his_under_any_name(place: Place) -> None:
    """Her links to his file, and her copies of it, give him what he wrote; what she can still change is not mapped."""
    his = place.writes(BEN, place.open / "his")
    copy, link = place.sticky / "copy", place.sticky / "link"
    place.ada(lambda: shutil.copy(his, copy) and None)
    place.ada(lambda: link.symlink_to(his))
    assert place.opens(link) == "OWN Ben's mapped"
    assert place.opens(copy) == "OWN Ben's"


def test_a_pipe_in_the_place_of_a_file(place: Place) -> None:
    """What is no regular file is refused at once, without waiting for somebody to write to it."""
    place.ada(lambda: os.mkfifo(place.open / "file", 0o666))
    assert "is not a regular file" in place.opens(place.open / "file")


def test_the_administrator_s_files(place: Place, tmp_path: Path) -> None:
    """A file of the administrator's, in a folder of the administrator's, needs a signature that he trusts, and is then mapped."""
    path = place.root / "file"
    save_own(path, HERS, Trust("own", StampBook(place.root / "stamps")), mode=0o644)
    assert FOREIGN in place.opens(path)
    pair = generate_keys(tmp_path / "key", passphrase=None, unprotected=True)
    sign_file(path, pair.private, trust=Trust("own", StampBook(place.root / "stamps")))
    assert "no key of the trust store" in place.opens(path)
    public = pair.public.read_bytes()
    place.ben(lambda: _trusts(place, public))
    assert place.opens(path) == "SIGNED Ada's mapped"


def _trusts(place: Place, public: bytes) -> None:
    store = place.trust(BEN).store
    assert store is not None
    store.trust(public, name="builder")


def test_her_key_among_his(place: Place) -> None:
    """A key of her own in the folder of those he trusts does not count: it is not his file."""
    his_keys = generate_keys(place.root / "his", passphrase=None, unprotected=True)
    pair = generate_keys(place.root / "key", passphrase=None, unprotected=True)
    public, other = pair.public.read_bytes(), his_keys.public.read_bytes()
    place.ben(lambda: _trusts(place, other))
    path = write_program(place.root / "file", HERS).path
    sign_file(path, pair.private)
    trusted = place.homes[BEN] / "state" / "trust"
    TrustStore(place.root / "trust").trust(public, name="builder")
    (made,) = (place.root / "trust").glob("*.json")
    shutil.copy(made, trusted / made.name)
    os.chown(trusted / made.name, ADA, ADA)
    (trusted / made.name).chmod(0o644)
    assert "no key of the trust store" in place.opens(path)
    os.chown(trusted / made.name, BEN, BEN)
    assert place.opens(path) == "SIGNED Ada's mapped"


@pytest.mark.parametrize("where", ["sticky", "group", "open"])
def test_her_file_in_his_store(place: Place, where: str) -> None:
    """A store in a folder of many: hers is passed over, never merged with his, and his save goes through where it may."""
    folder = getattr(place, where)
    path = place.writes(ADA, folder / DEFAULT_NAME)

    def work() -> dict[str, Any]:
        import warnings

        looks: list[str] = []
        store = ProgramStore(folder, trust=place.trust(BEN))
        first = store.load(lambda look: looks.append(look.reason.value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = store.save(HIS)
        later = store.load()
        payloads = [bytes(e.payload).decode() for e in later.file.content.entries] if later else []
        return {"first": first is None, "looks": looks, "saved": saved.reason.value, "later": payloads}

    found = place.ben(work)
    assert (found["first"], found["looks"]) == (True, [Reason.UNTRUSTED.value])
    if where == "sticky":  # where nobody may replace another's file
        assert (found["saved"], found["later"]) == (Reason.NOT_SAVED.value, [])
        assert path.stat().st_uid == ADA
    else:
        assert (found["saved"], found["later"]) == (Reason.SAVED.value, ["Ben's"])
        assert path.stat().st_uid == BEN


def test_links_where_the_store_writes(place: Place) -> None:
    """Links of hers in the place of the store's lock, usage and program file leave what they lead to as it is."""
    precious = place.homes[BEN] / "precious"
    precious.write_text("precious")
    os.chown(precious, BEN, BEN)
    os.utime(precious, (1e9, 1e9))
    for name in (DEFAULT_NAME, f"{DEFAULT_NAME}.lock", f"{DEFAULT_NAME}.used.json"):
        place.ada(lambda name=name: (place.open / name).symlink_to(precious))

    def work() -> None:
        import warnings

        store = ProgramStore(place.open, trust=place.trust(BEN))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store.load()
            store.touch()
            store.save(HIS)

    place.ben(work)
    assert precious.read_text() == "precious"
    assert precious.stat().st_mtime == 1e9


def test_notes_that_are_swapped_while_they_are_read(place: Place) -> None:
    """She owns the folder above his notes and swaps hers for his, thousands of times a second: hers never count."""
    above = _folder(place.sticky / "above", ADA, ADA, 0o777)
    stamps, fake = above / "stamps", above / "fake"
    hers = place.writes(ADA, place.sticky / "file")
    trust = Trust("own", StampBook(stamps), TrustStore(above / "trust"))
    place.ben(lambda: save_own(place.open / "his", HIS, trust) and None)
    place.ada(lambda: shutil.copytree(place.homes[ADA] / "state" / "stamps", fake) and None)
    assert fake.stat().st_mode & 0o077 == 0
    fake_opened_by_all = [fake, *fake.rglob("*")]
    for path in fake_opened_by_all:  # so that he can read them once they stand in the place of his
        path.chmod(path.stat().st_mode | 0o055)

    def swap() -> None:
        libc = ctypes.CDLL(None)
        one, other = os.fsencode(stamps), os.fsencode(fake)
        while libc.renameat2(-100, one, -100, other, 2) == 0:  # AT_FDCWD, RENAME_EXCHANGE
            pass

    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgid(ADA)
            os.setuid(ADA)
            swap()
        os._exit(0)
    try:
        assert place.ben(lambda: _times_own(hers, trust, seconds=2.0)) == 0
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "nothing was swapped"
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _times_own(path: Path, trust: Trust, *, seconds: float) -> int:
    """How often a file passes as own."""
    digest = open_trusted(path, Trust("any", trust.stamps)).file.seal.digest
    passed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        passed += trust.is_own(digest)
    return passed


def test_a_file_put_in_the_place_of_one_just_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a save notes as verified is the file that it wrote, not one that stood there a moment later."""
    target, other = place.open / "file", place.open / "other"
    other.write_bytes(b"other")
    real = os.replace

    def replace(source: str, goal: str) -> None:
        real(source, goal)
        if os.fspath(goal) == os.fspath(target):
            real(other, goal)

    monkeypatch.setattr(os, "replace", replace)
    trust = Trust("own", StampBook(place.root / "stamps"))
    saved = save_own(target, HIS, trust)
    assert target.read_bytes() == b"other"
    assert trust.stamps is not None
    assert trust.stamps.file_digest(target.stat()) is None
    assert saved.state.st_size == saved.bytes
    assert open_file(target, max_bytes=9).stable  # so that its stamp would have counted


def test_verdicts_are_origins() -> None:
    """The words above are names of origins."""
    assert {"OWN", "SIGNED", "OPTED_IN"} == {o.name for o in Origin}
