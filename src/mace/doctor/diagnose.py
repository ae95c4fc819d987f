"""The checks in order, over a folder, one file, or the machine alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mace.deployment.run_config import CONFIG_NAME, PATHS, read_run_config
from mace.doctor.files import check_models, check_program_file, check_programs
from mace.doctor.finding import Finding, Severity
from mace.doctor.machine import check_devices, check_quarantine, check_state, check_storage
from mace.doctor.run_config import check_config, check_parameter_variable, check_parameters, is_binary
from mace.doctor.surroundings import Surroundings, add_file, look_around
from mace.errors import MaceError, StorageError
from mace.files.folders import programs_folder

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was looked at and what was found, the gravest first."""

    device: str
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing but notes was found."""
        return all(f.severity is Severity.NOTE for f in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "record": "doctor",
            "device": self.device,
            "checked": list(self.checked),
            "healthy": self.healthy,
            "findings": [f.to_json() for f in self.findings],
        }


def diagnose(
    place: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    storage: str | os.PathLike[str] | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
) -> Diagnosis:
    """Look for what is wrong.

    ``place`` is a folder or a ``mace_run.config``; None looks at the machine alone. ``files`` are looked at besides.
    Raises ``StorageError`` when the place is not there.
    """
    found_device, findings = check_devices(device)
    kept = Path(storage) if storage is not None else Path(programs_folder())
    findings += [*check_quarantine(found_device), *check_state(), *check_storage(kept)]
    checked = ["devices and drivers", "state folder", f"storage {kept}"]
    around = _around(place, files)
    if around is not None:
        checked += [str(p) for p in (*around.models, *around.broken_models, *around.programs, *around.parameters)]
        findings += check_models(around)
        findings += check_programs(around, found_device)
        for path in around.parameters:
            findings += check_parameters(path)
        for config in around.configs:
            if not is_binary(config):
                checked.append(str(config))
                findings += check_config(config, around)
                findings += _named_by(config, around, found_device)
    findings += check_parameter_variable(around or Surroundings(Path()))
    once = {(f.code, f.subject, f.detail): f for f in findings}
    label = found_device.label if found_device else ""
    return Diagnosis(label, tuple(checked), tuple(sorted(once.values(), key=lambda f: _ORDER[f.severity])))


def _around(place: str | os.PathLike[str] | None, files: Sequence[str | os.PathLike[str]]) -> Surroundings | None:
    if place is None and not files:
        return None
    path = Path(place) if place is not None else None
    if path is not None and not path.exists():
        raise StorageError("there is no such file or folder", path=path)
    if path is None or path.is_dir():
        around = look_around(path) if path is not None else Surroundings(Path())
    else:
        around = look_around(path.absolute().parent) if path.name == CONFIG_NAME else Surroundings(path.parent)
        if path.name != CONFIG_NAME:
            add_file(around, path)
    for extra in files:
        known = (*around.models, *around.broken_models, *around.programs, *around.parameters)
        if Path(extra) not in known and Path(extra).is_file():
            add_file(around, Path(extra))
    return around


def _named_by(config: Path, around: Surroundings, device: Any) -> list[Finding]:
    """Program files outside the folder that a configuration names."""
    try:
        read = read_run_config(config)
    except MaceError:
        return []
    programs = [read.place(s) for s in read.settings if PATHS.get(s.key) == "program" and s.value]
    known = {p.resolve() for p in around.programs}
    outside = [p for p in programs if p.is_file() and p.resolve() not in known]
    return [f for p in outside for f in check_program_file(p, around, device)]
