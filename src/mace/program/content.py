"""What a program file holds, whatever its layout: devices and entries.

An entry is found by (kind, key, device). Its key is content-addressed by whoever stores it, such as the SHA-256 of
source and build options, so that two models in one file share what is equal and never overwrite what is not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from mace.device import DeviceIdentity
from mace.errors import IntegrityError
from mace.records import field, record, replace

OUTPUTS = "outputs"
"""Name, in a program's descriptive data, of what its kernels compute: digest of a trial run → digest of what it wrote."""
NOTES_MAX = 4_096
"""Such notes that one program may gather from several models."""

Bytes: TypeAlias = bytes | memoryview
EntryId: TypeAlias = tuple[str, str, str]


class EntryKind(StrEnum):
    """What an entry's payload is."""

    PLAN = "plan"
    """A plan as JSON."""
    TUNING = "tuning"
    """Tuned parameters as JSON."""
    PROGRAM = "program"
    """A native binary as the driver returned it."""
    IL = "il"
    """SPIR-V, which spares a driver its front end."""
    BLOB = "blob"
    """A vendor's compiled network, kept as it is (Movidius)."""
    WEIGHTS = "weights"
    """Packed constants, mapped in place."""

    @property
    def words(self) -> str:
        """What a person calls it."""
        return "SPIR-V" if self is EntryKind.IL else self.value

    @property
    def order(self) -> int:
        """Place of the kind in a file: small and always read first, the large and mapped last."""
        return list(EntryKind).index(self)


@record
class KernelRecord:
    """One kernel inside a program: its name, build options, hash of its source, and the work-group it is meant for."""

    name: str
    options: str = ""
    source_sha256: str = ""
    local_size: tuple[int, ...] | None = None
    """One to three extents, or None when the driver chooses."""


@record
class Entry:
    """One section of a program file. ``sha256`` is the payload's, in lower-case hexadecimal."""

    kind: EntryKind
    key: str
    payload: Bytes = field(show=False, compare=False)
    sha256: str
    device: DeviceIdentity | None = None
    """The device it was made for, or None when it fits any."""
    kernels: tuple[KernelRecord, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Small descriptive data that JSON can hold: model name and hash, creator, and so on."""

    @classmethod
    def make(
        cls,
        kind: EntryKind | str,
        key: str,
        payload: Bytes,
        *,
        device: DeviceIdentity | None = None,
        kernels: Iterable[KernelRecord] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Entry:
        """An entry with its hash computed. Raises ``ValueError`` for an empty key or an unknown kind."""
        if not key:
            raise ValueError("an entry needs a key")
        flat = payload if isinstance(payload, bytes) else memoryview(payload).cast("B")
        digest = hashlib.sha256(flat).hexdigest()
        return cls(EntryKind(kind), key, flat, digest, device, tuple(kernels), dict(meta or {}))

    @property
    def nbytes(self) -> int:
        """Size of the payload in bytes."""
        return len(self.payload)

    @property
    def id(self) -> EntryId:
        """What the entry is found by: kind, key, and the device's digest or an empty text."""
        return self.kind.value, self.key, self.device.digest if self.device else ""

    def verify(self) -> None:
        """Hash the payload. Raises ``IntegrityError`` when it is not what the table says."""
        if not hmac.compare_digest(hashlib.sha256(self.payload).hexdigest(), self.sha256):
            raise IntegrityError(
                f"the {self.kind} section '{self.key}' does not have the hash its table gives", field="sha256"
            )


@record
class ProgramContent:
    """Entries in canonical order. Raises ``ValueError`` when two of them answer to the same kind, key and device."""

    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        entries = tuple(sorted(self.entries, key=_order))
        if len({e.id for e in entries}) != len(entries):
            raise ValueError("two entries have the same kind, key and device")
        object.__setattr__(self, "entries", entries)

    @property
    def devices(self) -> tuple[DeviceIdentity, ...]:
        """Every device that some entry was made for, in the order of their digests."""
        found = {e.device.digest: e.device for e in self.entries if e.device}
        return tuple(found[d] for d in sorted(found))

    @property
    def nbytes(self) -> int:
        """Size of all payloads together, in bytes."""
        return sum(e.nbytes for e in self.entries)

    def index(self) -> dict[EntryId, Entry]:
        """Entries by what they are found by."""
        return {e.id: e for e in self.entries}

    def get(self, kind: EntryKind | str, key: str, device: DeviceIdentity | None = None) -> Entry | None:
        """The entry made for exactly this device, else the one for any device, else None."""
        own = None
        for e in self.entries:
            if e.kind == kind and e.key == key:
                if e.device == device:
                    return e
                own = e if e.device is None else own
        return own

    def without(self, drop: Iterable[EntryId]) -> ProgramContent:
        """The same content less some entries."""
        gone = set(drop)
        return ProgramContent(tuple(e for e in self.entries if e.id not in gone))


def merge(base: ProgramContent, newer: ProgramContent) -> ProgramContent:
    """Both contents in one; where both have an entry of the same kind, key and device, the newer one's is kept.

    What a program was noted to compute is kept of both: two models may share it, and try it on their own constants.
    """
    entries = base.index()
    for identity, entry in newer.index().items():
        entries[identity] = _with_notes(entry, entries.get(identity))
    return ProgramContent(tuple(entries.values()))


def _with_notes(entry: Entry, older: Entry | None) -> Entry:
    ours, theirs = entry.meta.get(OUTPUTS), older.meta.get(OUTPUTS) if older else None
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)) or len(ours) + len(theirs) > NOTES_MAX:
        return entry
    return replace(entry, meta={**entry.meta, OUTPUTS: {**theirs, **ours}})


def canonical_json(data: object) -> bytes:
    """JSON with sorted keys and no spaces: equal data gives equal bytes."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _order(entry: Entry) -> tuple[int, str, str]:
    return entry.kind.order, entry.key, entry.device.digest if entry.device else ""
