"""Between layouts: one content, written as any of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from mace.device import DeviceIdentity
from mace.errors import ProgramFormatError
from mace.files.atomic import atomic_write
from mace.program import table
from mace.program.codec import ProgramFile, digest_of, encode_program
from mace.program.content import Entry, EntryKind, ProgramContent
from mace.program.encrypt import Secret
from mace.program.trust import Trust
from mace.program.upstream import Generation, encode_upstream
from mace.program.upstream_content import to_upstream, tuning_to_upstream

TargetLayout = Literal["envelope", "table", "upstream", "upstream-old"]


def encode_as(
    content: ProgramContent,
    layout: TargetLayout,
    *,
    compressed: bool = False,
    secret: Secret | None = None,
    device: DeviceIdentity | None = None,
    mace_version: str = "",
) -> bytes:
    """The content in a layout. ``device`` and ``mace_version`` matter for upstream's only. Raises ``ValueError``."""
    if layout == "envelope":
        return encode_program(content, compressed=compressed, secret=secret).to_bytes()
    if compressed or secret is not None:
        raise ValueError("only the envelope can be compressed or encrypted")
    if layout == "table":
        return b"".join(table.encode_table(content).pieces)
    generation: Generation = "current" if layout == "upstream" else "old"
    if content.entries and all(e.kind is EntryKind.TUNING for e in content.entries):
        return encode_upstream(tuning_to_upstream(content, generation=generation))
    return encode_upstream(to_upstream(content, generation=generation, device=device, mace_version=mace_version))


def convert_file(
    read: ProgramFile,
    destination: str | os.PathLike[str],
    layout: TargetLayout,
    trust: Trust,
    *,
    compressed: bool = False,
    secret: Secret | None = None,
    device: str = "",
    mace_version: str = "",
) -> int:
    """Write what was read of a file in another layout; the new file's size in bytes.

    What is made of an own file is an own file; of any other it is not, whatever trust the call has in that. ``device`` is
    part of the name of the one that a file of upstream's is for. Raises ``ValueError``, or ``StorageError`` when it cannot
    be written.
    """
    owner = named_device(read.content, device) if device else None
    data = encode_as(
        read.content, layout, compressed=compressed, secret=secret, device=owner, mace_version=mace_version
    )
    if trust.is_own(read.seal.digest):
        trust.note_own(digest_of(data))
    atomic_write(destination, [data])
    return len(data)


def named_device(content: ProgramContent, words: str) -> DeviceIdentity:
    """The one device of the content whose summary holds these words. Raises ``ValueError``."""
    found = [d for d in content.devices if words.lower() in d.summary.lower()]
    if len(found) != 1:
        listed = "; ".join(d.summary for d in content.devices) or "none"
        raise ValueError(f"{len(found)} devices of the file answer to '{words}'; it has {listed}")
    return found[0]


def extract_section(
    content: ProgramContent, key: str, path: str | os.PathLike[str], kind: EntryKind | None = None
) -> Entry:
    """Write one section's payload, unchanged, to a file. ``key`` is a key, or the start of one or of a hash; ``kind`` leaves
    out sections of others.

    Raises ``ProgramFormatError`` when not exactly one section answers to it, ``StorageError`` when it cannot be
    written.
    """
    entries = [e for e in content.entries if kind in (None, e.kind)]
    exact = [e for e in entries if e.key == key]
    found = exact or [e for e in entries if e.key.startswith(key) or e.sha256.startswith(key)]
    if len(found) != 1:
        which = (
            "".join(f"; {e.kind} with hash {e.sha256[:16]}" for e in found[:8]) or "; mace inspect --json lists them"
        )
        raise ProgramFormatError(f"{len(found)} sections answer to '{key}'{which}", field="key")
    atomic_write(Path(path), [found[0].payload])
    return found[0]
