"""What lies in a folder, told by content: models, program files, tuned parameters, configurations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mace.deployment.run_config import CONFIG_NAME
from mace.errors import MaceError
from mace.files.mapping import open_file
from mace.model_file import ModelHeader, read_header
from mace.program.codec import FileLayout, recognise
from mace.program.limits import DEFAULT_LIMITS

FILES_MAX = 2_000
"""Files of a folder that are looked at."""
DEPTH_MAX = 3
_HEAD_BYTES = 512
_PROGRAM_NAMES = ("mace_cl_compiled_program", "mace-cl-compiled-program", "compiled_opencl_kernel")


@dataclass
class Surroundings:
    """The files of a folder that concern mace. ``broken_models`` have the suffix of a model and are none."""

    folder: Path
    models: dict[Path, ModelHeader] = field(default_factory=dict)
    broken_models: dict[Path, MaceError] = field(default_factory=dict)
    programs: list[Path] = field(default_factory=list)
    parameters: list[Path] = field(default_factory=list)
    configs: list[Path] = field(default_factory=list)

    def model_for(self, program: Path, digests: set[str]) -> Path | None:
        """The model a program file is for: by its hash, else by its name, else the only one there is."""
        by_hash = [p for p, h in self.models.items() if h.sha256 in digests]
        by_name = [p for p in self.models if p.stem == program.stem]
        alone = list(self.models) if len(self.models) == 1 else []
        return next(iter((*by_hash, *by_name, *alone)), None)


def look_around(folder: Path) -> Surroundings:
    """Everything of concern in a folder and a few levels below it."""
    found = Surroundings(folder)
    for path in _files(folder, 0):
        add_file(found, path)
    return found


def add_file(found: Surroundings, path: Path) -> None:
    """Sort one file in by its content; what cannot be read goes by its name."""
    if path.suffix == ".mace":
        try:
            found.models[path] = read_header(path)
        except MaceError as error:
            found.broken_models[path] = error
        return
    kind = kind_of(path)
    if path.name == CONFIG_NAME:
        found.configs.append(path)
    if kind == "parameters":
        found.parameters.append(path)
    elif kind == "program":
        found.programs.append(path)


def kind_of(path: Path) -> str:
    """``program``, ``parameters`` or nothing of ours."""
    if is_tunings(path):
        return "parameters"
    named = path.name.startswith(_PROGRAM_NAMES) and ".corrupt-" not in path.name and path.suffix in (".bin", "")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return "program" if named else ""
    try:
        layout = recognise(head)
    except MaceError:
        return "program" if named else ""
    if layout in (FileLayout.UPSTREAM, FileLayout.UPSTREAM_OLD):
        if is_parameters(path):
            return "parameters"
        return "program" if named or path.suffix == ".bin" else ""
    return "program" if layout is not FileLayout.MOVIDIUS else ""


def is_tunings(path: Path) -> bool:
    """Whether it looks like tuned parameters as `mace tune` writes them: JSON that begins with a device."""
    try:
        with path.open("rb") as file:
            return file.read(64).split()[:2] == [b"{", b'"device":']
    except OSError:
        return False


def is_parameters(path: Path) -> bool:
    """Whether it is a file of tuned parameters as upstream MACE writes them."""
    from mace.program.upstream import parse_upstream

    try:
        return parse_upstream(open_file(path, max_bytes=DEFAULT_LIMITS.file_bytes).data).is_tuning
    except MaceError:
        return path.name == CONFIG_NAME or "parameter" in path.name


def _files(folder: Path, depth: int) -> Iterator[Path]:
    count = 0
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if depth < DEPTH_MAX and not entry.name.startswith("."):
                yield from _files(Path(entry.path), depth + 1)
        elif entry.is_file():
            count += 1
            if count > FILES_MAX:
                return
            yield Path(entry.path)
