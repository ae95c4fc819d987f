"""Upstream MACE's files as content of ours, and content as upstream's files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mace.device import DeviceIdentity
from mace.errors import ProgramFormatError
from mace.program.content import Bytes, Entry, EntryKind, KernelRecord, ProgramContent
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.program.obfuscate import coded_key, obfuscate, plain_key, plain_name
from mace.program.reuse import gpu_name, is_adreno
from mace.program.upstream import (
    DEVICE_KEY,
    HASH_PREFIX,
    PLATFORM_KEY,
    Generation,
    Numbers,
    UpstreamFile,
    parse_upstream,
)

_MACE_VERSION = re.compile(r"v\d.*|.+-\d+-g[0-9a-f]{4,40}|unknown")
"""What upstream calls itself: ``git describe --long --tags`` of its sources, or ``unknown`` without a repository."""
_PROFILES = ("FULL_PROFILE", "EMBEDDED_PROFILE")
_PLAIN_MARK = "_kernel"
"""Stands in every tuned-parameter key of upstream's."""
_ABOUT = (("platform_info", PLATFORM_KEY), ("device_name", DEVICE_KEY))
"""What is kept of a file for the way back; files before v0.8.0 have neither."""


@dataclass(frozen=True, slots=True)
class PlatformInfo:
    """The parts of upstream's platform text. ``mace_version`` is empty where the file is older than v0.9.0."""

    name: str
    profile: str
    version: str
    mace_version: str

    @classmethod
    def parse(cls, text: str) -> PlatformInfo:
        """Any text: what does not fit goes into the name. A platform version may hold commas itself (U7)."""
        parts = text.split(", ")
        profile = next((p for p in parts if p in _PROFILES), "")
        if not profile:
            return cls(text, "", "", "")
        at = parts.index(profile)
        rest = parts[at + 1 :]
        mace_version = rest.pop() if len(rest) > 1 and _MACE_VERSION.fullmatch(rest[-1]) else ""
        return cls(", ".join(parts[:at]), profile, ", ".join(rest), mace_version)

    def __str__(self) -> str:
        return ", ".join(p for p in (self.name, self.profile, self.version, self.mace_version) if p)


def from_upstream(data: Bytes, *, names: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS) -> ProgramContent:
    """The content of an upstream file. ``names`` is a dictionary of kernel names to read obfuscated ones by."""
    file = parse_upstream(data, limits=limits)
    if file.is_tuning:
        return _content([_tuning_entry(_safe(k), v, file.generation) for k, v in file.values.items()])
    info = PlatformInfo.parse(_text(file, PLATFORM_KEY))
    device_name = _text(file, DEVICE_KEY)
    device = DeviceIdentity(info.name, info.version, device_name, "", "", 0, "", "", info.mace_version)
    about: dict[str, str] = {"generation": file.generation}
    about |= {name: _text(file, key) for name, key in _ABOUT if key in file.values}
    entries = []
    dictionary = tuple(names)
    for key, value in file.values.items():
        if key in (PLATFORM_KEY, DEVICE_KEY) or key.startswith(HASH_PREFIX) or isinstance(value, tuple):
            continue
        meta: dict[str, Any] = {"upstream": {**about, "source_hash": _text(file, HASH_PREFIX + key)}}
        kernels = _kernels(key, dictionary)
        entries.append(Entry.make(EntryKind.PROGRAM, _safe(key), value, device=device, kernels=kernels, meta=meta))
    return _content(entries)


def to_upstream(
    content: ProgramContent,
    *,
    generation: Generation = "current",
    device: DeviceIdentity | None = None,
    mace_version: str = "",
) -> UpstreamFile:
    """The programs for one device as a file of upstream MACE.

    ``device`` may be left out where all programs are for one. ``mace_version`` replaces the version that upstream
    compares with its own. Programs of ours go in under their own keys, which upstream never asks for. Raises
    ``ValueError``.
    """
    programs = [e for e in content.entries if e.kind is EntryKind.PROGRAM]
    devices = {e.device for e in programs}
    if device is None and len(devices) > 1:
        listed = "; ".join(d.summary for d in devices if d)
        raise ValueError(f"the programs are for {len(devices)} devices ({listed}); say which one the file is for")
    owner = device or next(iter(devices), None)
    values: dict[str, Bytes | Numbers] = {}
    about: dict[str, Any] = {}
    for entry in programs:
        if entry.device != owner:
            continue
        facts = entry.meta.get("upstream")
        if isinstance(facts, dict):
            about = facts
            if facts.get("source_hash"):
                values[HASH_PREFIX + entry.key] = str(facts["source_hash"]).encode()
        values[entry.key] = entry.payload
    if owner is not None:
        info = PlatformInfo.parse(str(about["platform_info"])) if "platform_info" in about else _platform_info(owner)
        if mace_version:
            info = PlatformInfo(info.name, info.profile, info.version, mace_version)
        if not about or mace_version or "platform_info" in about:
            values[PLATFORM_KEY] = str(info).encode()
        if not about or "device_name" in about:
            values[DEVICE_KEY] = str(about.get("device_name", upstream_device_name(owner))).encode()
    return UpstreamFile(generation, values)


def tuning_to_upstream(content: ProgramContent, *, generation: Generation = "current") -> UpstreamFile:
    """Tuned parameters that came from upstream as a tuned-parameter file again."""
    values: dict[str, Bytes | Numbers] = {}
    for entry in content.entries:
        if entry.kind is EntryKind.TUNING and "upstream" in entry.meta:
            numbers = json.loads(bytes(entry.payload))
            if not isinstance(numbers, list) or not all(isinstance(n, int) and 0 <= n < 1 << 32 for n in numbers):
                raise ProgramFormatError(f"the tuned parameters '{entry.key}' are not a row of numbers", field="tuning")
            values[_written_key(entry)] = tuple(numbers)
    return UpstreamFile(generation, values)


def upstream_device_name(device: DeviceIdentity) -> str:
    """What upstream calls the device: empty unless it is an Adreno, a Mali or a PowerVR."""
    known = is_adreno(device) or any(word in device.device_name for word in ("Mali", "PowerVR"))
    return gpu_name(device) if known else ""


def _platform_info(device: DeviceIdentity) -> PlatformInfo:
    return PlatformInfo(device.platform_name, _PROFILES[0], device.platform_version, device.engine_version)


def _tuning_entry(key: str, value: Bytes | Numbers, generation: Generation) -> Entry:
    numbers = list(value) if isinstance(value, tuple) else []
    payload = json.dumps(numbers, separators=(",", ":")).encode()
    return Entry.make(
        EntryKind.TUNING, _readable_key(key), payload, meta={"upstream": {"generation": generation, "key": key}}
    )


def _readable_key(key: str) -> str:
    """A tuned-parameter key in plain words, as builds without obfuscation write it (U6)."""
    plain = plain_key(key)
    return plain if _PLAIN_MARK not in key and coded_key(plain) == key else key


def _written_key(entry: Entry) -> str:
    """The key as it came, where the entry is still called by it; else obfuscated."""
    facts = entry.meta["upstream"]
    came = facts.get("key") if isinstance(facts, dict) else None
    return came if isinstance(came, str) and _readable_key(came) == entry.key else coded_key(entry.key)


def _kernels(key: str, names: Iterable[str]) -> list[KernelRecord]:
    """A program key is the name of its .cl file and options; ``-D<kernel>=<name>`` names a kernel in it.

    Other macros are written in capitals. The name is mostly the macro's own, obfuscated or not (U6).
    """
    words = key.split(" ")
    options = " ".join(words[1:])
    found = []
    for word in words[1:]:
        macro, _, code = word.removeprefix("-D").partition("=")
        if code and macro.upper() != macro:
            known = macro if code in (macro, obfuscate(macro)) else None
            found.append(KernelRecord(known or (code if _is_plain(code) else plain_name(code, names)), options))
    return found or [KernelRecord(words[0], options)]


def _is_plain(code: str) -> bool:
    """Whether a name was not obfuscated: read as a code it would hold what no code stands for."""
    return obfuscate(plain_name(code)) != code


def _text(file: UpstreamFile, key: str) -> str:
    value = file.values.get(key, b"")
    return str(memoryview(value), "utf-8", "replace") if not isinstance(value, tuple) else ""


def _safe(key: str) -> str:
    """The key as text that can be written as UTF-8."""
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _content(entries: list[Entry]) -> ProgramContent:
    try:
        return ProgramContent(tuple(entries))
    except ValueError as error:
        raise ProgramFormatError(str(error), field="key") from None
