"""Gathers what a report shows into one record; showing it is for others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mace.doctor import diagnose
from mace.errors import MaceError
from mace.measure.origin import origin_of
from mace.measure.records import heading, model_summary
from mace.report.workflow import workflow

PROGRAM_NAMES = ("mace_cl_compiled_program.bin",)


def collect(
    model: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    program: str | os.PathLike[str] | None = None,
    bench: Mapping[str, Any] | None = None,
    validation: Mapping[str, Any] | None = None,
    journal: Sequence[Mapping[str, Any]] = (),
    device: str = "auto",
    storage: str | os.PathLike[str] | None = None,
    command: list[str] | None = None,
) -> dict[str, Any]:
    """The record of a report: overview, program file, workflow, results, troubleshooting.

    ``bench`` and ``validation`` are records of those commands, ``journal`` the commands that were run. Raises
    ``ModelFileError`` when the model cannot be read; anything else that is missing is said in the record.
    """
    about = model_summary(model)
    diagnosis = diagnose(None, device=device, storage=storage, files=[model, *([program] if program else [])])
    return {
        **heading("report", command),
        "title": f"{Path(model).stem}: deployment and performance",
        "overview": {
            "model": about,
            "source": _origin(source),
            "device": _device(device, bench, validation),
        },
        "program": _program(program),
        "workflow": workflow(
            about["path"], source, program, bench, validation, journal, command, _shapes(model, program)
        ),
        "results": {"bench": dict(bench) if bench else None, "validation": dict(validation) if validation else None},
        "troubleshooting": diagnosis.to_json(),
    }


def program_beside(model: str | os.PathLike[str]) -> Path | None:
    """The program file that lies beside a model: of its own name, or of the usual one."""
    path = Path(model)
    places = (path.with_suffix(".bin"), *(path.parent / n for n in PROGRAM_NAMES))
    return next((p for p in places if p.is_file()), None)


def _origin(source: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    if source is None:
        return None
    try:
        return origin_of(source)
    except MaceError as error:
        return {"path": os.fspath(source), "problem": str(error)}


def _device(spec: str, bench: Mapping[str, Any] | None, validation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The device that was measured on, or else the one that would be."""
    from mace.measure.records import device_summary
    from mace.opencl import select_device

    for record in (bench, validation):
        if record:
            return dict(record["device"])
    try:
        return device_summary(select_device(spec))
    except MaceError:
        return None


def _shapes(model: str | os.PathLike[str], program: str | os.PathLike[str] | None) -> tuple[str, ...]:
    """The ``--shape`` options that the program file was made with."""
    from mace.doctor.files import shape_options
    from mace.model_file import read_header

    return shape_options(Path(program), read_header(model).inputs) if program is not None else ()


def _program(path: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    """What the program file is, without loading it."""
    from datetime import UTC, datetime

    from mace.program.inspecting import inspect_program

    if path is None:
        return None
    try:
        report = inspect_program(path)
    except MaceError as error:
        return {"path": os.fspath(path), "problem": str(error)}
    written = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC).isoformat(timespec="seconds")
    kernels = [k for e in report.entries for k in e.kernels]
    return {
        "path": os.fspath(path),
        "layout": report.layout,
        "bytes": report.nbytes,
        "digest": report.digest,
        "written": written,
        "signature": report.signature,
        "own": report.own,
        "encrypted": report.encrypted,
        "compressed": report.compressed,
        "words": list(report.words),
        "devices": [d.to_json() for d in report.devices],
        "kernels": len(kernels),
        "entries": [
            {"kind": e.kind, "key": e.key, "bytes": e.nbytes, "sha256": e.sha256, "kernels": len(e.kernels)}
            for e in report.entries
        ],
        "kernel_names": [{"name": k.name, "work_group": list(k.local_size) if k.local_size else None} for k in kernels],
        "tuned": any(e.kind == "tuning" for e in report.entries),
        "problem": "",
    }
