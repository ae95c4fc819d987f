"""Checks of a ``mace_run.config``: either tuned parameters themselves, as upstream's older flow has it, or paths in plain
text (:mod:`mace.deployment.run_config`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mace.deployment.run_config import PATHS, PathKind, RunConfig, Setting, read_run_config
from mace.doctor.finding import Code, Finding
from mace.doctor.surroundings import Surroundings, is_parameters, is_tunings
from mace.engine.tunings import PARAMETERS_VARIABLE
from mace.errors import ConfigError, MaceError, StorageError
from mace.program.codec import recognise
from mace.program.files import read_program

CODES: dict[PathKind, Code] = {
    "program": Code.PROGRAM_PATH,
    "parameters": Code.PARAMETER_PATH,
    "storage": Code.STORAGE_PATH,
    "model": Code.MODEL_PATH,
}
"""The code for a path that leads nowhere."""


def check_config(config: Path, around: Surroundings) -> Iterator[Finding]:
    """What is wrong with a ``mace_run.config`` and with what it names."""
    if is_binary(config):
        yield from check_parameters(config)
        return
    try:
        read = read_run_config(config)
    except (StorageError, ConfigError) as error:
        yield Finding.make(Code.CONFIG_UNREADABLE, config, str(error), "mv", "-n", "--", config, f"{config}.aside")
        return
    for setting in read.settings:
        kind = PATHS.get(setting.key)
        if kind in CODES and setting.value:
            yield from _check_setting(setting, CODES[kind], read, around)


def check_parameter_variable(around: Surroundings) -> Iterator[Finding]:
    """Does ``MACE_RUN_PARAMETER_PATH`` lead to tuned parameters?"""
    value = os.environ.get(PARAMETERS_VARIABLE)
    if not value:
        return
    if not Path(value).exists():
        yield _lost(Code.PARAMETER_PATH, f"${PARAMETERS_VARIABLE}", Path(value), around.parameters)
    elif Path(value) not in around.parameters:
        yield from check_parameters(Path(value))


def check_parameters(path: Path) -> Iterator[Finding]:
    """Are the tuned parameters whole?"""
    try:
        _read_parameters(path)
    except MaceError as error:
        yield Finding.make(Code.PARAMETERS_DAMAGED, path, str(error), "mv", "-n", "--", path, f"{path}.aside")


def _read_parameters(path: Path) -> None:
    """Read them through: JSON of `mace tune`, or what upstream writes. Raises ``MaceError``."""
    from mace.tuning.database import read_tuning_file

    if is_tunings(path):
        read_tuning_file(path)
    else:
        read_program(path)


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


def _check_setting(setting: Setting, code: Code, config: RunConfig, around: Surroundings) -> Iterator[Finding]:
    path = config.place(setting)
    where = f"{config.path}, line {setting.line}: {setting.name}"
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
        return Finding.make(code, where, f"{detail}, and no tuned parameters nearby", "unset", PARAMETERS_VARIABLE)
    return Finding.make(code, where, f"{detail}, and no such file nearby", "mkdir", "-p", "--", path.parent)
