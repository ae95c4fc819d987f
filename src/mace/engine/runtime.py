"""``MaceRuntime``: a model by name, on a device, with its compiled program: the shape MACE's documents show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from mace.engine.engine import MaceEngine, load
from mace.engine.stats import EngineStats
from mace.errors import ModelFileError
from mace.opencl import Device
from mace.program.library import ProgramSource

MODELS_VARIABLE = "MACE_MODELS"
"""Environment variable that names the folder of models."""


class MaceRuntime:
    """Runs one model: ``mace.MaceRuntime(model_name="my_model", device="gpu", compiled_program="my_model.bin")``.

    ``model_name`` is the path of a ``.mace`` file, or a name looked up as ``<models_folder>/<name>.mace`` and
    ``<models_folder>/<name>/<name>.mace``; the folder is the argument, ``$MACE_MODELS``, or the working folder. A program file
    of the model's name beside the model (``<name>.bin``) is used when none is given.
    """

    def __init__(
        self,
        model_name: str | os.PathLike[str],
        device: str | int | Device = "auto",
        compiled_program: ProgramSource | None = None,
        *,
        storage: str | os.PathLike[str] | Literal[False] | None = None,
        models_folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """Raises ``ModelFileError`` when no such model is found; ``options`` and other errors are those of ``mace.load``."""
        path = find_model(model_name, models_folder)
        beside = path.with_suffix(".bin")
        program = compiled_program if compiled_program is not None else beside if beside.exists() else None
        self.engine: MaceEngine = load(path, device, program, storage, **options)

    def run(self, inputs: Mapping[str, Any] | None = None, **named: Any) -> dict[str, Any]:
        """Outputs by name. Inputs come as a dict or by keyword."""
        return self.engine.run({**(inputs or {}), **named})

    @property
    def stats(self) -> EngineStats:
        return self.engine.stats

    def close(self) -> None:
        """Release the device memory."""
        self.engine.close()

    def __enter__(self) -> MaceRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_model(model_name: str | os.PathLike[str], models_folder: str | os.PathLike[str] | None = None) -> Path:
    """The ``.mace`` file meant by a path or a name. Raises ``ModelFileError`` listing where it was looked for."""
    name = os.fspath(model_name)
    folder = Path(models_folder or os.environ.get(MODELS_VARIABLE) or ".")
    places = [Path(name), folder / f"{name}.mace", folder / name / f"{name}.mace"]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(p) for p in places)
    raise ModelFileError(
        f"there is no model '{name}'", hint=f"Looked for {looked}; {MODELS_VARIABLE} names the models folder"
    )
