"""What every record says about where it was made, and how records are written and read."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace.errors import ConfigError, StorageError
from mace.files.atomic import atomic_write
from mace.version import __version__

if TYPE_CHECKING:
    from mace.opencl import Device

RECORD_VERSION = 1
RECORD_BYTES_MAX = 64 << 20


def heading(kind: str, command: list[str] | None = None) -> dict[str, Any]:
    """The first fields of a record: what it is, when and by which version it was made, on which machine and how."""
    return {
        "record": kind,
        "version": RECORD_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "mace": __version__,
        "command": shlex.join(command) if command else "",
        "host": host_record(),
    }


def host_record() -> dict[str, Any]:
    """The machine in a few facts."""
    from mace.opencl.host import cpu_summary

    return {
        "system": platform.platform(),
        "cpu": cpu_summary(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
    }


def device_summary(device: Device) -> dict[str, Any]:
    """A device's name and identity, for records."""
    return {
        "label": device.label,
        "kind": device.traits.kind,
        "identity": device.identity.to_json(),
        "digest": device.identity.digest,
        "compute_units": device.traits.compute_units,
        "vector_width": device.traits.vector_width,
        "global_memory": device.traits.global_memory,
    }


def model_summary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A model's name, file and signature. Raises ``ModelFileError``."""
    from mace.model_file import read_header

    header = read_header(path)
    return {
        "name": header.name or Path(path).stem,
        "path": os.fspath(path),
        "sha256": header.sha256,
        "bytes": header.nbytes,
        "inputs": {n: str(t) for n, t in header.inputs.items()},
        "outputs": {n: str(t) if t else "depends on the data" for n, t in header.outputs.items()},
    }


def write_record(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as JSON. Raises ``StorageError``."""
    text = json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False)
    atomic_write(path, [text.encode(), b"\n"])


def read_record(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """A record of this kind. Raises ``StorageError`` or ``ConfigError``."""
    try:
        with Path(path).open("rb") as file:
            data = json.loads(file.read(RECORD_BYTES_MAX))
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is no JSON: {error}", path=path) from error
    if not isinstance(data, dict) or data.get("record") != kind:
        raise ConfigError(f"is no record of `mace {kind}`", path=path)
    if data.get("version") != RECORD_VERSION:
        raise ConfigError(f"is a record of version {data.get('version')}; this mace reads {RECORD_VERSION}", path=path)
    return data


def own_command() -> list[str]:
    """The command line of this process as a person would type it."""
    program = Path(sys.argv[0]).name if sys.argv else "mace"
    return ["mace" if program in ("__main__.py", "mace", "") else program, *sys.argv[1:]]
