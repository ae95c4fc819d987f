"""The writable store: one program file per model under a folder, merged under a lock, kept within a size.

Nothing here makes inference fail: what cannot be written is reported in the result and by a ``StorageWarning``.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mace.errors import MaceError, ProgramFileError, StorageError, StorageWarning
from mace.files.folders import programs_folder
from mace.files.mapping import open_file
from mace.program.content import EntryId, ProgramContent, merge
from mace.program.files import DEFAULT_NAME, SavedProgram
from mace.program.limits import DEFAULT_LIMITS, STORE_BYTES, Limits
from mace.program.opening import TrustedProgram, is_damage, open_trusted, salvage, save_own
from mace.program.reasons import Look, Reason
from mace.program.trust import Origin, Trust
from mace.program.usage import read_usage, touch_usage, write_usage
from mace.records import replace

if TYPE_CHECKING:
    from pathlib import Path

    from mace.program.encrypt import Secret

LOCK_SECONDS = 2.0
"""How long a save waits for another process before it goes on without saving."""


class SaveOutcome(NamedTuple):
    """What became of a save: the reason code, what was written (None where nothing was), and details."""

    reason: Reason
    saved: SavedProgram | None = None
    detail: str = ""


class ProgramStore:
    """One program file in a folder, and its siblings.

    ``folder`` is the user's folder for programs when None is given. ``group`` is a name, usually the start of the
    model's hash, that gets a folder and a file of its own, so that one model's save never rewrites another's weights;
    without it the file lies in the folder itself, as upstream has it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        group: str = "",
        trust: Trust | None = None,
        secret: Secret | None = None,
        max_bytes: int = STORE_BYTES,
        lock_seconds: float = LOCK_SECONDS,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if group and (os.path.basename(group) != group or group.startswith(".")):
            raise ValueError(f"'{group}' is not a plain name")
        self._folder = os.fspath(folder) if folder is not None else programs_folder()
        self.where = os.path.join(self._folder, group, DEFAULT_NAME)
        self.trust = trust or Trust()
        self.secret = secret
        self.max_bytes = max_bytes
        self.lock_seconds = lock_seconds
        self.limits = limits

    @cached_property
    def folder(self) -> Path:
        """The folder that holds the store."""
        from pathlib import Path

        return Path(self._folder)

    @cached_property
    def path(self) -> Path:
        """The program file; ``where`` is the same as text."""
        from pathlib import Path

        return Path(self.where)

    def load(self, note: Callable[[Look], None] = lambda _: None) -> TrustedProgram | None:
        """The store's file, opened, or None; ``note`` is told what happened.

        Of a damaged file, what is intact is given; the next :meth:`save` replaces it.
        """
        try:
            found = open_trusted(self.where, self.trust, secret=self.secret, limits=self.limits)
        except (StorageError, ProgramFileError) as error:
            note(look_at_failure(self.where, error))
            rescued = self._salvage() if isinstance(error, ProgramFileError) and is_damage(error) else None
            if rescued is None or not rescued.file.content.entries:
                return None
            note(Look(self.where, Reason.SALVAGED, f"{len(rescued.file.content.entries)} sections"))
            return rescued
        note(Look(self.where, Reason.OPENED, found.verdict.origin))
        return found

    def save(self, content: ProgramContent, *, used: frozenset[EntryId] = frozenset()) -> SaveOutcome:
        """Merge the content into the store's file. ``used`` are entries that were found there and served this run."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked() as locked:
                if not locked:
                    return self._warn(Reason.LOCK_BUSY, f"no lock within {self.lock_seconds:g} s")
                return self._merge(content, used)
        except MaceError as error:  # a full disk, or more than the layout can hold
            return self._warn(Reason.NOT_SAVED, str(error))
        except OSError as error:
            return self._warn(Reason.NOT_SAVED, f"{self.path}: {error.strerror or error}")

    def touch(self) -> None:
        """Note that the file served a start, for the eviction of what is least recently used."""
        touch_usage(self.where)

    def _merge(self, content: ProgramContent, used: frozenset[EntryId]) -> SaveOutcome:
        from mace.program.store_admin import trim

        present = self._present()
        merged = merge(present, content)
        if merged == present and present.entries:
            self.touch()
            return SaveOutcome(Reason.UNCHANGED)
        now = int(time.time())
        last_used = read_usage(self.path)
        last_used |= dict.fromkeys([*content.index(), *used], now)
        merged = within(merged, self.max_bytes, last_used)
        saved = save_own(self.path, merged, self.trust, secret=self.secret, mode=0o600)
        write_usage(self.path, {i: last_used.get(i, now) for i in merged.index()})
        trim(self.folder, max_bytes=self.max_bytes, keep=self.path)
        return SaveOutcome(Reason.SAVED, saved)

    def _present(self) -> ProgramContent:
        """What is in the file now. A damaged one is set aside, and what is intact in it is taken over.

        Whatever this call trusts, only an own file is taken over: what is written here is own from then on, also when a
        key is revoked later.
        """
        own, rescued, why = replace(self.trust, policy="own"), None, "foreign"
        try:
            found = open_trusted(self.where, own, secret=self.secret, limits=self.limits)
            if found.verdict.origin is Origin.OWN:
                return found.file.content
        except StorageError:
            return ProgramContent()
        except ProgramFileError as error:
            if is_damage(error):
                rescued, why = self._salvage(), "corrupt"
        from mace.program.quarantine import set_aside

        set_aside(self.path, why)
        return rescued.file.content if rescued else ProgramContent()

    def _salvage(self) -> TrustedProgram | None:
        with suppress(StorageError, ProgramFileError):
            return salvage(open_file(self.path, max_bytes=self.limits.file_bytes), self.trust, limits=self.limits)
        return None

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.with_name(self.path.name + ".lock"), timeout=self.lock_seconds, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except NotImplementedError:  # a file system without locks: the rename is atomic all the same
            yield True
            return
        try:
            yield True
        finally:
            lock.release()

    def _warn(self, reason: Reason, detail: str) -> SaveOutcome:
        warnings.warn(f"{reason.sentence}: {detail}", StorageWarning, stacklevel=3)
        return SaveOutcome(reason, None, detail)


def within(content: ProgramContent, max_bytes: int, last_used: dict[EntryId, int]) -> ProgramContent:
    """The content less the entries used longest ago, until the payloads fit."""
    excess = content.nbytes - max_bytes
    drop: list[EntryId] = []
    for entry in sorted(content.entries, key=lambda e: (last_used.get(e.id, 0), e.id)):
        if excess <= 0:
            break
        drop.append(entry.id)
        excess -= entry.nbytes
    return content.without(drop) if drop else content


def look_at_failure(where: str | os.PathLike[str], error: Exception) -> Look:
    """The look that an error of opening stands for."""
    from mace.errors import DecryptionError, LimitError, TrustError

    name = os.fspath(where)
    if isinstance(error, StorageError):
        missing = isinstance(error.__cause__, FileNotFoundError)
        return Look(name, Reason.NO_FILE) if missing else Look(name, Reason.UNREADABLE, error.message)
    kinds = ((TrustError, Reason.UNTRUSTED), (DecryptionError, Reason.LOCKED_UP), (LimitError, Reason.OVER_LIMIT))
    reason = next((reason for kind, reason in kinds if isinstance(error, kind)), Reason.DAMAGED)
    message = error.message if isinstance(error, ProgramFileError) else str(error)
    if isinstance(error, ProgramFileError) and error.where.field == "magic":
        reason = Reason.NOT_A_PROGRAM
    return Look(name, reason, message)
