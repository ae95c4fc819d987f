"""``mace_run.config``: either tuned parameters themselves, as upstream's older flow has it, or paths in plain text.

The text form has one ``name=value`` per line, with the names of upstream's flags and variables; relative paths start at
the file's own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mace.doctor.finding import Code, Finding
from mace.doctor.surroundings import Surroundings, is_parameters
from mace.errors import MaceError, StorageError
from mace.files.mapping import open_file
from mace.program.codec import recognise
from mace.program.files import read_program

CONFIG_BYTES_MAX = 64 << 20
PARAMETER_VARIABLE = "MACE_RUN_PARAMETER_PATH"
KEYS = {
    "opencl_binary_file": Code.PROGRAM_PATH,
    "opencl_cache_full_path": Code.PROGRAM_PATH,
    "opencl_parameter_file": Code.PARAMETER_PATH,
    "mace_run_parameter_path": Code.PARAMETER_PATH,
    "mace_internal_storage_path": Code.STORAGE_PATH,
    "model_file": Code.MODEL_PATH,
}
"""Names of paths, in lower case, and the code for one that leads nowhere. Other names are settings and are left alone."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the text form."""

    line: int
    name: str
    path: Path


def read_settings(config: Path) -> list[Setting]:
    """The paths that a configuration names. Raises ``StorageError``, or ``UnicodeDecodeError`` when it is no text."""
    raw = bytes(open_file(config, max_bytes=CONFIG_BYTES_MAX).data)
    settings = []
    for number, line in enumerate(raw.decode().splitlines(), 1):
        name, equals, value = line.strip().lstrip("-").partition("=")
        value = value.strip().strip("'\"")
        if equals and value and name.strip().lower() in KEYS and not line.lstrip().startswith("#"):
            settings.append(Setting(number, name.strip(), config.parent / value))
    return settings


def check_config(config: Path, around: Surroundings) -> Iterator[Finding]:
    """What is wrong with a ``mace_run.config`` and with what it names."""
    if is_binary(config):
        yield from check_parameters(config)
        return
    try:
        settings = read_settings(config)
    except (StorageError, UnicodeDecodeError) as error:
        yield Finding.make(Code.CONFIG_UNREADABLE, config, str(error), "mv", "-n", "--", config, f"{config}.aside")
        return
    for setting in settings:
        yield from _check_setting(setting, config, around)


def check_parameter_variable(around: Surroundings) -> Iterator[Finding]:
    """Does ``MACE_RUN_PARAMETER_PATH`` lead to tuned parameters?"""
    value = os.environ.get(PARAMETER_VARIABLE)
    if not value:
        return
    if not Path(value).exists():
        yield _lost(Code.PARAMETER_PATH, f"${PARAMETER_VARIABLE}", Path(value), around.parameters)
    elif Path(value) not in around.parameters:
        yield from check_parameters(Path(value))


def check_parameters(path: Path) -> Iterator[Finding]:
    """Are the tuned parameters whole?"""
    try:
        read_program(path)
    except MaceError as error:
        yield Finding.make(Code.PARAMETERS_DAMAGED, path, str(error), "mv", "-n", "--", path, f"{path}.aside")


def is_binary(config: Path) -> bool:
    """Whether the file holds tuned parameters rather than text."""
    try:
        with config.open("rb") as file:
            recognise(file.read(512))
    except OSError:
        return False
    except MaceError:
        return False
    return is_parameters(config)


def _check_setting(setting: Setting, config: Path, around: Surroundings) -> Iterator[Finding]:
    code, path = KEYS[setting.name.lower()], setting.path
    where = f"{config}, line {setting.line}: {setting.name}"
    if code is Code.STORAGE_PATH:
        if not path.is_dir():
            what = "a file stands there" if path.exists() else f"there is no folder {path}"
            mend = ("mv", "-n", "--", path, f"{path}.aside") if path.exists() else ("mkdir", "-p", "--", path)
            yield Finding.make(code, where, what, *mend)
    elif not path.is_file():
        known = {
            Code.PROGRAM_PATH: around.programs,
            Code.PARAMETER_PATH: around.parameters,
            Code.MODEL_PATH: list(around.models),
        }[code]
        yield _lost(code, where, path, known)
    elif code is Code.PARAMETER_PATH and path not in around.parameters:
        yield from check_parameters(path)


def _lost(code: Code, where: str, path: Path, candidates: list[Path]) -> Finding:
    """A path that leads nowhere; the file it means is the one of that name, or the only one of its kind."""
    same_name = [c for c in candidates if c.name == path.name]
    meant = same_name[0] if same_name else candidates[0] if len(candidates) == 1 else None
    detail = f"there is no {path}"
    if meant is not None:
        return Finding.make(
            code, where, f"{detail}; such a file lies at {meant}", "install", "-D", "-m", "644", "--", meant, path
        )
    if code is Code.PARAMETER_PATH:
        return Finding.make(code, where, f"{detail}, and no tuned parameters nearby", "unset", PARAMETER_VARIABLE)
    return Finding.make(code, where, f"{detail}, and no such file nearby", "mkdir", "-p", "--", path.parent)
