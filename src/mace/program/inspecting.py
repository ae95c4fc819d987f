"""What a program file is, in plain words: a record for a person or a program, made without any OpenCL device."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mace.device import DeviceIdentity
from mace.program import envelope
from mace.program.codec import FileLayout, ProgramFile, decode_program, recognise
from mace.program.content import Bytes, Entry, EntryKind, KernelRecord
from mace.program.encrypt import Secret, is_encrypted
from mace.program.files import placed
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.spirv import count_spirv
from mace.program.trust import Trust

_WHAT = {
    FileLayout.ENVELOPE: "a file with compiled OpenCL programs of mace, in its envelope",
    FileLayout.TABLE: "a bare table of compiled OpenCL kernels",
    FileLayout.UPSTREAM: "a file of XiaoMi's MACE (v1.1.1 and later)",
    FileLayout.UPSTREAM_OLD: "a file of XiaoMi's MACE (v0.6.1 to v1.0.4), which carries no checksum",
    FileLayout.MOVIDIUS: "a network compiled for a Movidius Myriad X by OpenVINO",
}
_ENCRYPTED = "It is encrypted; give the key to see what is inside."


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """One section, for showing. ``device`` indexes the report's devices; None = any device."""

    kind: str
    key: str
    nbytes: int
    sha256: str
    device: int | None
    kernels: tuple[KernelRecord, ...]
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """All that can be said of a file without loading it. ``words`` is the summary, one sentence each."""

    path: str
    layout: str
    nbytes: int
    digest: str
    readable: bool
    encrypted: bool
    compressed: bool
    signature: str
    own: bool
    devices: tuple[DeviceIdentity, ...]
    entries: tuple[EntryRecord, ...]
    words: tuple[str, ...]


def inspect_program(
    source: str | os.PathLike[str] | Bytes,
    *,
    secret: Secret | None = None,
    trust: Trust | None = None,
    names: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> ProgramReport:
    """Read a file of any layout and say what it is. An encrypted file without its key is described from outside.

    ``names`` is a dictionary of kernel names for upstream's obfuscated ones. Raises ``StorageError`` or a
    ``ProgramFileError``.
    """
    from mace.errors import ProgramFileError
    from mace.files.mapping import open_file

    if isinstance(source, str | os.PathLike):
        path, view = os.fspath(source), memoryview(open_file(source, max_bytes=limits.file_bytes).data)
    else:
        path, view = "", memoryview(source)
    try:
        return _inspect(path, view, secret, trust or Trust(), tuple(names), limits)
    except ProgramFileError as error:
        raise placed(error, path) if path else error from error


def _inspect(
    path: str, view: memoryview, secret: Secret | None, trust: Trust, names: tuple[str, ...], limits: Limits
) -> ProgramReport:
    layout = recognise(view)
    if layout is FileLayout.ENVELOPE and secret is None:
        header = envelope.parse_header(view)
        payload = envelope.verify_payload(header, view).data
        if is_encrypted(payload):
            signature = signature_words(header, trust)
            own = trust.is_own(header.digest)
            words = (f"This is {_WHAT[layout]}.", _ENCRYPTED, _trusted(own, signature))
            digest = header.digest
            return ProgramReport(path, layout, len(view), digest, False, True, False, signature, own, (), (), words)
    file = decode_program(view, secret=secret, limits=limits)
    if names and layout in (FileLayout.UPSTREAM, FileLayout.UPSTREAM_OLD):
        from mace.program.upstream_content import from_upstream

        file = file._replace(content=from_upstream(view, names=names, limits=limits))
    devices = file.content.devices
    own = trust.is_own(file.seal.digest)
    signature = signature_words(file.seal.header, trust)
    entries = tuple(_record(e, devices) for e in file.content.entries)
    return ProgramReport(
        path,
        layout,
        file.nbytes,
        file.seal.digest,
        True,
        file.encrypted,
        file.compressed,
        signature,
        own,
        devices,
        entries,
        tuple(_words(file, own, signature, _leftover(view, layout, limits))),
    )


def _record(entry: Entry, devices: tuple[DeviceIdentity, ...]) -> EntryRecord:
    owner = devices.index(entry.device) if entry.device else None
    return EntryRecord(entry.kind, entry.key, entry.nbytes, entry.sha256, owner, entry.kernels, dict(entry.meta))


def signature_words(header: envelope.EnvelopeHeader | None, trust: Trust) -> str:
    """``none``, ``by <name>`` of a trusted key, or why it does not count."""
    from mace.errors import TrustError
    from mace.program.keys import TrustStore

    if header is None or not header.is_signed:
        return "none"
    try:
        return f"by {(trust.store or TrustStore()).signer(header).name}"
    except TrustError as error:
        return error.message


def _leftover(view: memoryview, layout: FileLayout, limits: Limits) -> int:
    """Bytes at the end of an old file of upstream's that mean nothing."""
    if layout is not FileLayout.UPSTREAM_OLD:
        return 0
    from mace.program.upstream import parse_upstream

    return parse_upstream(view, limits=limits).leftover


def _words(file: ProgramFile, own: bool, signature: str, leftover: int) -> list[str]:
    content = file.content
    words = [f"This is {_WHAT[file.layout]}."]
    if file.layout in (FileLayout.UPSTREAM, FileLayout.UPSTREAM_OLD):
        tuned = all(e.kind is EntryKind.TUNING for e in content.entries) and content.entries
        words.append("It holds tuned parameters." if tuned else "It holds compiled OpenCL programs.")
        if leftover:
            words.append(
                f"The last {leftover} bytes are the end of a longer file that it was written over; they mean nothing."
            )
    for device in content.devices:
        words.append(f"It belongs to {device.summary}.")
    about_models = [e.meta.get("model") for e in content.entries]
    models = sorted({str(m["name"]) for m in about_models if isinstance(m, dict) and m.get("name")})
    if models:
        words.append(f"It was made for {', '.join(models)}.")
    counts = Counter(e.kind for e in content.entries)
    parts = [f"{counts[k]} {k.words}" for k in EntryKind if counts[k]]
    words.append(f"It has {len(content.entries)} sections ({', '.join(parts)}) of {content.nbytes} bytes together.")
    if spirv := count_spirv(content):
        many = f"{spirv} programs" if spirv > 1 else "one program"
        words.append(f"It has SPIR-V of {many}, which a device that takes it is given where no binary fits.")
    if file.layout is FileLayout.MOVIDIUS:
        words.append("mace keeps it as it is; it cannot run it.")
    else:
        words.append("It can be deleted at any time: it will be compiled again, which takes longer once.")
    words.append(_trusted(own, signature))
    return words


def _trusted(own: bool, signature: str) -> str:
    if own:
        return "mace wrote it for you on this machine, so it is loaded without being asked for."
    if signature.startswith("by "):
        return f"It is signed {signature}, a key that you trust."
    reason = "it is not signed" if signature == "none" else signature
    return f"mace did not write it here, and {reason}: it is loaded only with trust='any'."
