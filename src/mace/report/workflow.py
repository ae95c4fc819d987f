"""The steps of a deployment with their commands: as they were run where that is known, or else as they do it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

FOLDER = "/data/local/tmp/mace_run"
"""Where MACE's users keep a deployed model on a device."""
CONFIG = "mace_run.config"

Step = dict[str, Any]
_COMMAND_OF = {"conversion": "convert", "tuning": "tune", "compilation": "compile"}


def workflow(
    model: str,
    source: str | os.PathLike[str] | None,
    program: str | os.PathLike[str] | None,
    bench: Mapping[str, Any] | None,
    validation: Mapping[str, Any] | None,
    journal: Sequence[Mapping[str, Any]],
    command: list[str] | None,
    shapes: Sequence[str] = (),
) -> list[Step]:
    """Environment, conversion, tuning, compilation, validation, measurement, this report, and the way onto a device.

    ``journal`` holds the commands that were run, ``bench`` and ``validation`` the records that know their own; ``shapes``
    are the ``--shape`` options that the program file was made with.
    """
    steps = [
        _step("environment", "pip install 'mace-cl[cpu,report,validate]'", "mace, and on x86-64 an OpenCL device", [])
    ]
    if source is not None:
        words = ["mace", "convert", os.fspath(source), "-o", model]
        steps.append(_step("conversion", shlex.join(words), "ONNX to the portable model file", journal))
    words = ["mace", "tune", model, *shapes]
    steps.append(_step("tuning", shlex.join(words), "kernels fitted to the device; may be left out", journal))
    if program is not None:
        words = ["mace", "compile", model, "-o", os.fspath(program), *shapes]
        steps.append(_step("compilation", shlex.join(words), "every kernel compiled for the device", journal))
    for name, record, purpose in (
        ("validation", validation, "the model's answers beside its source's"),
        ("measurement", bench, "starts, latency, throughput, launch by launch"),
    ):
        if record and record.get("command"):
            steps.append(_made(name, record["command"], purpose, record["created"]))
    steps.append(_made("report", shlex.join(command) if command else "", "this page", ""))
    for tool in ("ssh", "adb"):
        lines = "\n".join(deployment(model, tool, shapes))
        steps.append(_step(f"deployment over {tool}", lines, _DEPLOYED[tool], []))
    return steps


_DEPLOYED = {
    "ssh": "the model put on a device that has Python and mace, compiled there once, checked, and run on made-up numbers",
    "adb": "the same for Android, where mace runs in a Python of the device's shell",
}


def deployment(
    model: str | os.PathLike[str], tool: Literal["ssh", "adb"], shapes: Sequence[str] = (), folder: str = FOLDER
) -> list[str]:
    """Shell commands that put a model on a device and start it there from a program file of its own.

    The program file is made on the device: it belongs to that device and driver, and mace trusts what it wrote itself.
    """
    path = os.fspath(model)
    local = os.path.join(".", path) if path.startswith("-") or ":" in path else path
    settings = (f"model_file={Path(model).name}", "opencl_binary_file=mace_cl_compiled_program.bin")
    on, copy, first = {
        "ssh": ('ssh "$HOST"', "scp {} " + f'"$HOST:{folder}/"', ["HOST=user@device"]),
        "adb": ("adb shell", "adb push {} " + f"{folder}/", []),
    }[tool]
    sizes = "".join(f" {_remote(word)}" for word in shapes)
    return [
        *first,
        f"printf '%s\\n' {shlex.join(settings)} > {CONFIG}",
        f"{on} mkdir -p {folder}",
        copy.format(shlex.join([local, CONFIG])),
        f"{on} mace compile --config {folder}/{CONFIG}{sizes}",
        f"{on} mace doctor {folder}",
        f"{on} mace run --config {folder}/{CONFIG}{sizes}",
    ]


def _remote(word: str) -> str:
    """A word quoted for this shell and for the one on the device, which reads it again."""
    quoted = shlex.quote(word)
    return quoted if quoted == word else shlex.quote(quoted)


def _words(entry: Mapping[str, Any]) -> list[str]:
    return [str(w) for w in entry.get("command", [])]


def _made(name: str, command: str, purpose: str, when: str) -> Step:
    return {"name": name, "command": command, "purpose": purpose, "recorded": bool(command), "when": when}


def _step(name: str, command: str, purpose: str, journal: Sequence[Mapping[str, Any]]) -> Step:
    """A step with the command that the journal has for it, or else the one that does it again."""
    for entry in reversed(journal):
        words = _words(entry)
        if words[1:2] == [_COMMAND_OF.get(name, "")] and entry.get("exit_code") == 0:
            done = _made(name, shlex.join(words), purpose, str(entry.get("time", "")))
            return {**done, "seconds": entry.get("seconds")}
    return {"name": name, "command": command, "purpose": purpose, "recorded": False, "when": ""}
