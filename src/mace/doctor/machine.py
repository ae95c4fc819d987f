"""Checks of the machine: devices and drivers, the storage folder, the private state folder, room on the disk."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from mace.doctor.finding import Code, Finding, Severity
from mace.files.folders import cache_folder, is_private, state_folder
from mace.opencl import Device, select_device
from mace.opencl.traits import traits_of
from mace.program.files import DEFAULT_NAME
from mace.program.quarantine import Quarantined, quarantined
from mace.program.store_admin import stored_files

ROOM_WANTED = 256 << 20
"""Bytes that should be free where compiled programs are kept: a few large models' worth."""
INTEL_SUPPORT = ("libimf.so", "libsvml.so", "libirng.so", "libintlc.so")
"""Libraries that Intel's CPU runtime needs and its own package does not ask for; the extra ``cpu`` brings both."""
_VENDOR_VARIABLES = ("OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH")


def check_devices(spec: str) -> tuple[Device | None, list[Finding]]:
    """The device that the others are checked against, and what is wrong with devices and drivers."""
    from mace.errors import NoDeviceError
    from mace.opencl.listing import list_devices

    listed = list_devices(refresh=False)
    found = [
        Finding.make(
            Code.DRIVER_FAILED,
            driver["library"],
            f"{driver['status']}: {driver['reason']}",
            *_mend_driver(driver["reason"]),
            severity=Severity.NOTE if listed["devices"] else Severity.WARNING,
        )
        for driver in listed["drivers"]
        if driver["status"] not in ("ok", "no device")
    ]
    try:
        device = select_device(spec)
        return device, [*_narrowed(device), *found]
    except NoDeviceError as error:
        mend = _mend_no_device(bool(listed["devices"]))
        return None, [Finding.make(Code.NO_DEVICE, f"device '{spec}'", str(error).splitlines()[0], *mend), *found]


def _narrowed(device: Device) -> Iterator[Finding]:
    """A driver whose compiler once died of wide vectors gets narrow ones, until it is asked anew."""
    wide, narrow = traits_of(device.info).vector_width, device.traits.vector_width
    if narrow < wide:
        detail = f"its compiler once died of wide vectors, so kernels use {narrow} lanes of {wide}"
        kept = Path(cache_folder(), "devices.json")
        yield Finding.make(Code.VECTORS_NARROWED, device.label, detail, "rm", "-f", "--", kept)


def check_quarantine(device: Device | None) -> Iterator[Finding]:
    """Kernels and binaries that are not tried again; what belongs to another device or driver does no harm here."""
    mend = ("mace", "cache", "quarantine", "--forget")
    groups: dict[tuple[Code, str, bool], list[Quarantined]] = {}
    for record in quarantined():
        code = Code.KERNELS_MISCOMPILED if record.is_kernel else Code.BINARIES_FAILED
        here = device is not None and record.device == device.identity
        groups.setdefault((code, record.device.summary if record.device else "unknown device", here), []).append(record)
    for (code, subject, here), records in groups.items():
        first = records[0]
        why = [first.detail] if first.is_kernel else [first.reason.sentence, first.detail]
        more = f" and {len(records) - 1} more" if len(records) > 1 else ""
        detail = f"{first.what}{more}: {': '.join(w for w in why if w)}"
        yield Finding.make(code, subject, detail, *mend, severity=None if here else Severity.NOTE)


def _mend_driver(reason: str) -> tuple[str, ...]:
    """One command: what was left out when the driver was installed, or, where that is not known, what the driver says."""
    return ("pip", "install", "mace-cl[cpu]") if any(name in reason for name in INTEL_SUPPORT) else ("mace", "devices")


def _mend_no_device(others: bool) -> tuple[str, ...]:
    if others:
        return ("mace", "devices")
    variable = next((v for v in _VENDOR_VARIABLES if os.environ.get(v)), None)
    return ("unset", variable) if variable else ("pip", "install", "mace-cl[cpu]")


def check_storage(folder: Path) -> Iterator[Finding]:
    """Can compiled programs be kept there, and is there room?"""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        yield Finding.make(
            Code.STORAGE_NOT_WRITABLE,
            existing,
            "a file stands where the folder should be",
            "mv",
            "-n",
            "--",
            existing,
            f"{existing}.aside",
        )
        return
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding.make(Code.STORAGE_NOT_WRITABLE, existing, _who_may_write(existing), *_let_write(existing))
        return
    if os.path.realpath(folder) != os.path.realpath(existing):
        yield from _room(existing, folder)
        return
    yield from _locked_parts(folder)
    yield from _room(existing, folder)
    aside = [p for p in folder.glob(f"**/{DEFAULT_NAME}.*-*") if ".corrupt-" in p.name or ".foreign-" in p.name]
    if aside:
        detail = f"{len(aside)} file(s) that were damaged or foreign were set aside, {sum(p.stat().st_size for p in aside)} bytes"
        yield Finding.make(Code.LEFTOVERS, folder, detail, "mace", "cache", "gc", "--storage", folder)


def _locked_parts(folder: Path) -> Iterator[Finding]:
    """Folders inside the storage that cannot be written although the storage can."""
    for file in stored_files(folder):
        part = file.path.parent
        if not os.access(part, os.W_OK | os.X_OK):
            yield Finding.make(Code.STORAGE_NOT_WRITABLE, part, _who_may_write(part), *_let_write(part))


def _room(existing: Path, folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(existing).free
    if free >= ROOM_WANTED:
        return
    kept = sum(f.nbytes for f in stored_files(folder))
    detail = f"{free >> 20} MiB are free, {ROOM_WANTED >> 20} are wanted; compiled programs take {kept >> 20} MiB"
    yield Finding.make(Code.DISK_FULL, existing, detail, "mace", "cache", "gc", "--max-size", "0", "--storage", folder)


def _who_may_write(folder: Path) -> str:
    state = folder.stat()
    return f"this user may not write there: it belongs to user {state.st_uid}, mode {stat.S_IMODE(state.st_mode):04o}"


def _let_write(folder: Path) -> tuple[str, ...]:
    if folder.stat().st_uid == os.geteuid():
        return "chmod", "u+rwx", "--", str(folder)
    return "sudo", "chown", "-R", str(os.geteuid()), "--", str(folder)


def check_state() -> Iterator[Finding]:
    """Is the folder private that remembers which files are this user's own?"""
    for folder in (Path(state_folder(), "stamps"), Path(state_folder(), "trust")):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            yield Finding.make(
                Code.STATE_NOT_PRIVATE, folder, "it is no plain folder", "mv", "-n", "--", folder, f"{folder}.aside"
            )
        elif folder.is_dir() and not is_private(folder):
            state = folder.stat()
            if hasattr(os, "geteuid") and state.st_uid != os.geteuid():
                mend: tuple[str, ...] = ("sudo", "chown", "-R", str(os.geteuid()), "--", str(folder))
            else:
                mend = ("chmod", "700", "--", str(folder))
            mode = stat.S_IMODE(state.st_mode)
            yield Finding.make(Code.STATE_NOT_PRIVATE, folder, f"others may use it: mode {mode:04o}", *mend)
