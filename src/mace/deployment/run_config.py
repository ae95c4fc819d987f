"""``mace_run.config`` as text: where a deployed model's files are, in the words of upstream's flags and variables.

One ``name=value`` per line, with or without leading dashes; lines that begin with ``#`` say nothing. Relative paths start
at the file's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mace.errors import ConfigError
from mace.files.mapping import open_file

CONFIG_NAME = "mace_run.config"
CONFIG_BYTES_MAX = 1 << 20

PathKind = Literal["program", "parameters", "storage", "model", "input", "output"]

PATHS: dict[str, PathKind] = {
    "opencl_binary_file": "program",
    "opencl_cache_full_path": "program",
    "opencl_parameter_file": "parameters",
    "mace_run_parameter_path": "parameters",
    "mace_internal_storage_path": "storage",
    "model_file": "model",
    "input_file": "input",
    "output_file": "output",
}
"""Names of paths, in lower case, and what lies there."""

REUSE = {"0": "none", "1": "same-gpu"}
PRIORITIES = {"0": "normal", "1": "low", "2": "normal", "3": "high"}

WITHOUT_EFFECT: dict[str, str] = {
    "model_data_file": "the model and its weights are one .mace file",
    "model_name": "the model is the file that model_file names",
    "gpu_perf_hint": "OpenCL has no word for it",
    "cpu_affinity_policy": "threads are placed by the device's driver",
    "round": "`mace bench` measures repeated runs",
    "restart_round": "`mace bench` measures repeated starts",
    "benchmark": "`mace bench` measures launch by launch",
    **dict.fromkeys(
        ("input_node", "output_node", "input_shape", "output_shape", "input_data_type", "output_data_type",
         "input_data_format", "output_data_format"), "the model says so itself"),
}  # fmt: skip
"""Upstream's other flags, and why they say nothing here."""

_LINE = re.compile(r"-{0,2}([A-Za-z_]\w*)\s*=\s*(.*)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line: its number from 1, the name as it stands there, and the value without quotes."""

    line: int
    name: str
    value: str

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a ``mace_run.config`` says. ``notes`` names lines that have no effect, and why."""

    path: Path
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]

    def file(self, kind: PathKind) -> Path | None:
        """The path of this kind, whether or not anything is there; None where none is named."""
        return next((self.place(s) for s in self.settings if PATHS.get(s.key) == kind and s.value), None)

    def without(self, kind: PathKind) -> RunConfig:
        """The same without paths of this kind."""
        return replace(self, settings=tuple(s for s in self.settings if PATHS.get(s.key) != kind))

    def place(self, setting: Setting) -> Path:
        """Where a setting's path leads."""
        return self.path.parent / setting.value

    def value(self, key: str) -> str:
        """The text of a setting, empty where it is not named."""
        return next((s.value for s in self.settings if s.key == key), "")

    @property
    def device(self) -> str:
        """What to ask ``select_device`` for."""
        asked = self.value("runtime").lower() or self.value("device").lower()
        return asked if asked in ("cpu", "gpu") else "auto"


def is_run_config(path: str | os.PathLike[str]) -> bool:
    """Whether a file is this text rather than a deployment file in YAML: by its name, or by its first line that counts."""
    if Path(path).name == CONFIG_NAME:
        return True
    try:
        with Path(path).open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace")
    except OSError:
        return False
    first = next((t for t in map(str.strip, head.splitlines()) if t and not t.startswith("#")), "")
    return _LINE.fullmatch(first) is not None


def read_run_config(path: str | os.PathLike[str]) -> RunConfig:
    """The settings of a file. Raises ``StorageError`` when it cannot be read, ``ConfigError`` when it is no such text."""
    raw = bytes(open_file(path, max_bytes=CONFIG_BYTES_MAX).data)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        hint = "A file of tuned parameters is named by opencl_parameter_file=… in a text of its own"
        raise ConfigError("is no text of name=value lines", path=path, hint=hint) from None
    settings = tuple(_settings(text))
    if not settings and text.strip():
        raise ConfigError("has no line of the form name=value", path=path)
    return RunConfig(Path(path), settings, tuple(_notes(settings)))


def _settings(text: str) -> Iterator[Setting]:
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line.strip())
        if found:
            yield Setting(number, found[1], found[2].strip().strip("'\""))


def _notes(settings: tuple[Setting, ...]) -> Iterator[str]:
    choices = {"opencl_cache_reuse_policy": REUSE, "gpu_priority_hint": PRIORITIES}
    for s in settings:
        where = f"line {s.line}: {s.name}"
        if s.key in WITHOUT_EFFECT:
            yield f"{where} has no effect: {WITHOUT_EFFECT[s.key]}"
        elif s.key in choices and s.value not in choices[s.key]:
            yield f"{where} has no effect: '{s.value}' is none of {', '.join(choices[s.key])}"
        elif s.key in ("runtime", "device") and s.value.lower() not in ("cpu", "gpu", "auto", "cpu+gpu"):
            yield f"{where} has no effect: '{s.value}' is no OpenCL device; the best one is taken"
        elif s.key == "num_threads" and not re.fullmatch(r"-?\d+", s.value):
            yield f"{where} has no effect: '{s.value}' is no whole number"
        elif s.key not in {*PATHS, *choices, "runtime", "device", "num_threads"}:
            yield f"{where} has no effect: nothing of that name is known"
