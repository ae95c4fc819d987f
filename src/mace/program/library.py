"""The search order: storage, then each designated path, then bytes handed in; whatever is not found is built from
source.

A source is opened when it is first needed and never again, so that a warm start whose storage has everything reads one
file's index and maps its payloads.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mace.device import DeviceIdentity
from mace.errors import ProgramFileError, StorageError
from mace.files.stamps import StampBook
from mace.program.codec import encode_program
from mace.program.content import Bytes, Entry, EntryId, EntryKind, ProgramContent, merge
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.opening import TrustedProgram, open_trusted
from mace.program.reasons import Look, Reason
from mace.program.reuse import Mismatch, ReusePolicy, mismatch, nearest
from mace.program.store import ProgramStore, SaveOutcome, look_at_failure
from mace.program.trust import Trust

if TYPE_CHECKING:
    from mace.program.encrypt import Secret

ProgramSource: TypeAlias = str | os.PathLike[str] | Bytes
"""A designated program file: a path, or its bytes. Paths are looked at before bytes."""

FAILED_STAMP = "failed"
"""Kind of the stamps that binaries get which failed on a device and driver."""
MISCOMPILED_STAMP = "miscompiled"
"""Kind of the stamps that name the kernels which a compiler gets wrong, one for each device (``program/quarantine.py``)."""
_NATIVE = (EntryKind.PROGRAM, EntryKind.IL)


class _Source:
    """A place to look, and what it held once it was opened."""

    def __init__(self, where: str, opens: Callable[[], TrustedProgram | None], *, is_storage: bool = False) -> None:
        self.where = where
        self.is_storage = is_storage
        self._opens = opens
        self._content: ProgramContent | None = None

    def contents(self) -> ProgramContent:
        if self._content is None:
            found = self._opens()
            self._content = found.file.content if found else ProgramContent()
        return self._content


class ProgramLibrary:
    """Finds compiled programs for one device over every source, and keeps what was built since.

    Opening never raises for a bad file: it leaves a :class:`Look` and the search goes on.
    """

    def __init__(
        self,
        device: DeviceIdentity,
        *,
        storage: ProgramStore | None = None,
        programs: Sequence[ProgramSource] = (),
        reuse: ReusePolicy = "exact",
        trust: Trust | None = None,
        secret: Secret | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.device = device
        self.storage = storage
        self.reuse: ReusePolicy = reuse
        self.trust = trust or Trust()
        self.looks: list[Look] = []
        self.counts: Counter[Reason] = Counter()
        self.added = ProgramContent()
        self._secret = secret
        self._limits = limits
        self._found: dict[EntryId, Entry] = {}
        self._used: set[EntryId] = set()
        self._bad: set[str] = set()
        self._stamps = self.trust.stamps or StampBook()
        self._sources = list(self._make_sources(storage, programs))

    def find(self, kind: EntryKind | str, key: str) -> Entry | None:
        """The entry to use, from the first source that has a fitting one, or None. Leaves a look for every source
        asked.
        """
        sought = f"{EntryKind(kind)} {key[:12]}"
        if own := self.added.get(kind, key, self.device):
            return own
        for source in self._sources:
            if self.reuse == "none":
                self._note(Look(source.where, Reason.REUSE_OFF, "", sought))
                continue
            content = source.contents()
            if not content.entries:
                continue
            entry, look = self._choose(source, content, EntryKind(kind), key, sought)
            self._note(look)
            if entry is not None:
                self._found[entry.id] = entry
                if source.is_storage:
                    self._note_use(entry)
                return entry
        return None

    def find_spirv(self, key: str) -> Entry | None:
        """SPIR-V of a program from the first source that has some which did not fail here, or None.

        Leaves a look only where there is some: few files have any, so that it is missing explains nothing.
        """
        from mace.program.spirv import spirv_of

        if added := spirv_of(self.added, key):
            return added[0]
        for source in self._sources if self.reuse != "none" else ():
            content = source.contents()
            entries = spirv_of(content, key)
            entry = next((e for e in entries if not self._is_bad(e)), None)
            if entries:
                reason = Reason.HIT if entry is not None else Reason.BAD_BINARY
                self._note(Look(source.where, reason, "", f"{EntryKind.IL} {key[:12]}"))
            if entry is not None:
                if entry in content.entries:  # else it is a binary, which stays what it is
                    self._found[entry.id] = entry
                    if source.is_storage:
                        self._note_use(entry)
                return entry
        return None

    def hints(self, kind: EntryKind | str, key: str) -> list[Entry]:
        """Entries of this kind and key made for other devices: fit as first candidates for tuning, never as results."""
        found = [e for s in self._sources for e in s.contents().entries if e.kind == kind and e.key == key]
        return [e for e in found if e.device is not None and mismatch(self.device, e.device, self.reuse)]

    def reject(self, entry: Entry, reason: Reason = Reason.REFUSED, detail: str = "", *, lasting: bool = True) -> None:
        """Note that a binary is useless on this device and driver: from now on, and at later starts too where ``lasting``.

        :meth:`find` passes over it until the same bytes come out of a compilation again (:meth:`add`).
        """
        self._bad.add(entry.sha256)
        self._found.pop(entry.id, None)
        self._used.discard(entry.id)
        self.restrict(lambda e: e.id != entry.id or e.sha256 != entry.sha256)
        if lasting:
            about = {"reason": reason.value, "detail": detail[:500], "kind": entry.kind.value, "program": entry.key}
            self._stamps.put(FAILED_STAMP, self._failure_key(entry), {**about, "device": self.device.to_json()})
        self._note(Look("driver", reason, detail, f"{entry.kind} {entry.key[:12]}"))

    def add(self, entry: Entry) -> None:
        """Keep what was built, in place of an equal one added before. It is written by :meth:`save`."""
        if entry.kind in _NATIVE:
            self._bad.discard(entry.sha256)
            self._stamps.drop(FAILED_STAMP, self._failure_key(entry))
        self.added = merge(self.added, ProgramContent((entry,)))

    @property
    def knows_miscompiled(self) -> bool:
        """Whether kernels are recorded that this device's compiler gets wrong."""
        return self._stamps.get(MISCOMPILED_STAMP, self.device.digest) is not None

    def restrict(self, keep: Callable[[Entry], bool]) -> None:
        """Drop what was found and added, less what is to be kept, from :meth:`content`."""
        self.added = ProgramContent(tuple(e for e in self.added.entries if keep(e)))
        self._found = {key: e for key, e in self._found.items() if keep(e)}

    def save(self) -> SaveOutcome:
        """Put what was added into the storage. Never raises for a disk that will not have it."""
        if self.storage is None:
            return SaveOutcome(Reason.NOT_SAVED, None, "there is no storage folder")
        if not self.added.entries:
            return SaveOutcome(Reason.UNCHANGED)
        outcome = self.storage.save(self.added, used=frozenset(self._used))
        self._note(Look(self.storage.where, outcome.reason, outcome.detail))
        return outcome

    def content(self) -> ProgramContent:
        """Everything found and added for this device: what a file to be shipped holds."""
        return merge(ProgramContent(tuple(self._found.values())), self.added)

    def to_bytes(self) -> bytes:
        """:meth:`content` as an unsigned envelope."""
        return encode_program(self.content()).to_bytes()

    @property
    def stats(self) -> dict[str, int]:
        """How often each reason occurred, by code."""
        return {reason.value: count for reason, count in sorted(self.counts.items())}

    def _choose(
        self, source: _Source, content: ProgramContent, kind: EntryKind, key: str, sought: str
    ) -> tuple[Entry | None, Look]:
        same_key = [e for e in content.entries if e.kind is kind and e.key == key]
        if entry := content.get(kind, key, self.device):
            fitting = [entry]
        else:
            fitting = [e for e in same_key if e.device is None or not mismatch(self.device, e.device, self.reuse)]
        usable = [e for e in fitting if not self._is_bad(e)]
        if usable:
            return usable[0], Look(source.where, Reason.HIT, "", sought)
        if fitting:
            return None, Look(source.where, Reason.BAD_BINARY, "", sought)
        problem = self._mismatch({e.device for e in same_key if e.device} or set(content.devices))
        if problem is None:
            return None, Look(source.where, Reason.NO_ENTRY, "", sought)
        return None, Look(source.where, problem.reason, str(problem), sought)

    def _is_bad(self, entry: Entry) -> bool:
        if entry.sha256 in self._bad:
            return True
        return entry.kind in _NATIVE and self._stamps.get(FAILED_STAMP, self._failure_key(entry)) is not None

    def _failure_key(self, entry: Entry) -> str:
        return f"{entry.sha256}:{self.device.digest}"

    def _mismatch(self, devices: set[DeviceIdentity]) -> Mismatch | None:
        closest = nearest(self.device, devices)
        return mismatch(self.device, closest, self.reuse) if closest else None

    def _note_use(self, entry: Entry) -> None:
        if not self._used and self.storage is not None:
            self.storage.touch()
        self._used.add(entry.id)

    def _note(self, look: Look) -> None:
        self.looks.append(look)
        self.counts[look.reason] += 1

    def _make_sources(self, storage: ProgramStore | None, programs: Sequence[ProgramSource]) -> Iterator[_Source]:
        if storage is not None:
            yield _Source(storage.where, partial(storage.load, self._note), is_storage=True)
        paths = [p for p in programs if isinstance(p, str | os.PathLike)]
        blocks = [p for p in programs if not isinstance(p, str | os.PathLike)]
        for path in paths:
            yield _Source(os.fspath(path), partial(self._open, os.fspath(path), path))
        for number, block in enumerate(blocks, 1):
            where = f"bytes handed in ({number})"
            yield _Source(where, partial(self._open, where, block))

    def _open(self, where: str, source: ProgramSource) -> TrustedProgram | None:
        try:
            found = open_trusted(source, self.trust, secret=self._secret, limits=self._limits)
        except (StorageError, ProgramFileError) as error:
            self._note(look_at_failure(where, error))
            return None
        self._note(Look(where, Reason.OPENED, found.verdict.origin))
        return found
