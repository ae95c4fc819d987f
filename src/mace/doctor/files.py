"""Checks of files: does a program file serve this device and the model beside it?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mace.device import DeviceIdentity
from mace.doctor.finding import Code, Finding
from mace.doctor.surroundings import Surroundings
from mace.errors import MaceError
from mace.opencl import Device
from mace.program.checking import Fitness, check_program
from mace.program.content import EntryKind, ProgramContent
from mace.program.files import read_program
from mace.program.reasons import Reason
from mace.tensor import TensorType

_CODES = {
    Reason.UNREADABLE: Code.PROGRAM_UNREADABLE,
    Reason.NO_FILE: Code.PROGRAM_UNREADABLE,
    Reason.DAMAGED: Code.PROGRAM_DAMAGED,
    Reason.NOT_A_PROGRAM: Code.PROGRAM_DAMAGED,
    Reason.OVER_LIMIT: Code.PROGRAM_DAMAGED,
    Reason.UNTRUSTED: Code.PROGRAM_UNTRUSTED,
    Reason.LOCKED_UP: Code.PROGRAM_ENCRYPTED,
    Reason.OTHER_DEVICE: Code.PROGRAM_OTHER_DEVICE,
    Reason.OTHER_PLATFORM: Code.PROGRAM_OTHER_DEVICE,
    Reason.OTHER_SYSTEM: Code.PROGRAM_OTHER_DEVICE,
    Reason.OTHER_DRIVER: Code.PROGRAM_OTHER_DRIVER,
    Reason.OTHER_ENGINE: Code.PROGRAM_OTHER_VERSION,
    Reason.NO_ENTRY: Code.PROGRAM_EMPTY,
}
_SHAPE = re.compile(r"\[([\dx]*)\]$")


def check_models(around: Surroundings) -> Iterator[Finding]:
    """Models that cannot be read: made anew where their source lies beside them, put aside where it does not."""
    for path, error in around.broken_models.items():
        source = path.with_suffix(".onnx")
        mend = ("mace", "convert", source, "-o", path) if source.exists() else ("mv", "-n", "--", path, f"{path}.aside")
        yield Finding.make(Code.MODEL_UNUSABLE, path, str(error), *mend)


def check_programs(around: Surroundings, device: Device | None) -> Iterator[Finding]:
    """Each program file beside this device and the models around it."""
    for path in around.programs:
        yield from check_program_file(path, around, device)


def check_program_file(path: Path, around: Surroundings, device: Device | None) -> Iterator[Finding]:
    """One program file: readable, whole, trusted, for this device, for the model as it is now."""
    if not os.access(path, os.R_OK):
        yield Finding.make(Code.PROGRAM_UNREADABLE, path, "this user may not read it", "chmod", "u+r", "--", path)
        return
    content = _content(path)
    mend = mending(path, content, around, device)
    if device is None:
        return
    report = check_program(path, device.identity, takes_spirv=device.info.takes_spirv)
    code = _CODES.get(report.reason)
    if report.fitness not in (Fitness.OPTIMAL, Fitness.USABLE) and code is not None:
        if code is Code.PROGRAM_ENCRYPTED:
            mend = ("mace", "check", "--passphrase", str(path))
        yield Finding.make(code, path, report.detail or report.reason.sentence, *mend)
        if code is not Code.PROGRAM_UNTRUSTED:
            return
    yield from _staleness(path, content, around, device.identity, mend)


def _staleness(
    path: Path, content: ProgramContent, around: Surroundings, device: DeviceIdentity, mend: tuple[str, ...]
) -> Iterator[Finding]:
    """Does the file hold the plan of the model beside it, as that is now?"""
    plans = [e for e in content.entries if e.kind is EntryKind.PLAN and e.device == device]
    digests = _model_digests(content)
    model = around.model_for(path, digests)
    if not plans or not digests or model is None:
        return
    now = around.models[model]
    if now.sha256 not in digests:
        names = ", ".join(sorted({_model_of(e.meta).get("name", "") for e in plans} - {""}))
        detail = f"made for {names or 'a model'} {min(digests)[:12]}…, but {model.name} is {now.sha256[:12]}… now"
        yield Finding.make(Code.PROGRAM_STALE, path, detail, *mend)


def mending(path: Path, content: ProgramContent, around: Surroundings, device: Device | None) -> tuple[str, ...]:
    """The command that makes a program file anew; where its model is not at hand, the one that puts it out of the way."""
    model = around.model_for(path, _model_digests(content))
    if model is None:
        return "mv", "-n", "--", str(path), f"{path}.aside"
    words = ["mace", "compile", str(model), "--output", str(path)]
    if device is not None:
        words += ["--device", str(device.number)]
    return (*words, *_shape_options(content, around.models[model].inputs))


def shape_options(program: Path, inputs: Mapping[str, TensorType]) -> tuple[str, ...]:
    """``--shape`` options that make a command prepare a model for the sizes that a program file was made for."""
    return _shape_options(_content(program), inputs)


def _content(path: Path) -> ProgramContent:
    """What the file holds; nothing where it cannot be read as one."""
    try:
        return read_program(path).content
    except MaceError:
        return ProgramContent()


def _model_of(meta: object) -> dict[str, str]:
    model = meta.get("model") if isinstance(meta, dict) else None
    return {str(k): str(v) for k, v in model.items()} if isinstance(model, dict) else {}


def _model_digests(content: ProgramContent) -> set[str]:
    return {d for e in content.entries if (d := _model_of(dict(e.meta)).get("sha256", ""))}


def _shape_options(content: ProgramContent, inputs: Mapping[str, TensorType]) -> tuple[str, ...]:
    """Shapes of a plan in the file, for the inputs that the model leaves open."""
    plans = [e.meta.get("inputs") for e in content.entries if e.kind is EntryKind.PLAN]
    given = next((p for p in plans if isinstance(p, dict) and set(p) == set(inputs)), {})
    words: list[str] = []
    for name, text in given.items():
        fits = _SHAPE.search(str(text))
        if fits and fits[1] and not inputs[name].is_static:
            words += ["--shape", f"{name}={fits[1]}"]
    return tuple(words)
