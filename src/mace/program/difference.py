"""How two program files differ: what they are wrapped in, entries only in one, entries in both with other bytes, devices
component by component.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from mace.device import DeviceIdentity
from mace.program.codec import ProgramFile
from mace.program.content import Entry, EntryId, ProgramContent
from mace.program.inspecting import signature_words
from mace.program.reuse import nearest
from mace.program.trust import Trust


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """An entry that both have. ``what`` names what differs: ``payload``, ``kernels``, ``meta``."""

    kind: str
    key: str
    device: str
    what: tuple[str, ...]
    sizes: tuple[int, int]
    kernels_removed: tuple[str, ...]
    kernels_added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedDevice:
    """A device only the second file has, beside the nearest of the first: component → (first, second)."""

    device: DeviceIdentity
    differences: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class ProgramDiff:
    """The difference from a first file to a second. Entries are given as (kind, key, device digest)."""

    removed: tuple[EntryId, ...]
    added: tuple[EntryId, ...]
    changed: tuple[ChangedEntry, ...]
    unchanged: int
    devices_removed: tuple[DeviceIdentity, ...]
    devices_added: tuple[ChangedDevice, ...]
    wrapping: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """What differs of layout, compression, encryption and signature: (first, second).

    Two signatures by one trusted key do not differ, though their bytes may; others are told apart by those.
    """

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same, wrapped alike."""
        devices = self.devices_removed or self.devices_added
        return not (self.removed or self.added or self.changed or devices or self.wrapping)


def diff_files(first: ProgramFile, second: ProgramFile, trust: Trust | None = None) -> ProgramDiff:
    """What changed from one file to the other; ``trust`` knows the names of those who signed."""
    a, b = (_wrapping(file, trust or Trust()) for file in (first, second))
    wrapping = {name: (value, b[name]) for name, value in a.items() if value != b[name]}
    return replace(diff_programs(first.content, second.content), wrapping=wrapping)


def _wrapping(file: ProgramFile, trust: Trust) -> dict[str, Any]:
    header = file.seal.header
    signature = signature_words(header, trust)
    if header is not None and header.is_signed and not signature.startswith("by "):
        signature += f" ({hashlib.sha256(header.signature).hexdigest()[:8]})"
    return {
        "layout": file.layout.value,
        "compressed": file.compressed,
        "encrypted": file.encrypted,
        "signature": signature,
    }


def diff_programs(first: ProgramContent, second: ProgramContent) -> ProgramDiff:
    """What changed from one content to the other."""
    a, b = first.index(), second.index()
    both = [i for i in a if i in b]
    changed = tuple(c for i in both if (c := _change(a[i], b[i])))
    gone = tuple(d for d in first.devices if d not in second.devices)
    new = []
    for device in second.devices:
        if device not in first.devices:
            near = nearest(device, first.devices)
            new.append(ChangedDevice(device, near.differences(device) if near else {}))
    removed, added = tuple(i for i in a if i not in b), tuple(i for i in b if i not in a)
    return ProgramDiff(removed, added, changed, len(both) - len(changed), gone, tuple(new))


def _change(a: Entry, b: Entry) -> ChangedEntry | None:
    what = tuple(
        name
        for name, differs in (
            ("payload", a.sha256 != b.sha256),
            ("kernels", a.kernels != b.kernels),
            ("meta", a.meta != b.meta),
        )
        if differs
    )
    if not what:
        return None
    before, after = {k.name for k in a.kernels}, {k.name for k in b.kernels}
    removed, added = tuple(sorted(before - after)), tuple(sorted(after - before))
    return ChangedEntry(*a.id, what, (a.nbytes, b.nbytes), removed, added)
