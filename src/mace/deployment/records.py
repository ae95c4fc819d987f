"""What a deployment file says, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mace.deployment.settings import RunSettings
from mace.errors import ConfigError
from mace.tensor import DType, TensorType

NHWC_TO_NCHW = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Note:
    """Something in the file that has no effect here, and why."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.text}"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its name, and what the file declares of it (None or empty where it declares nothing)."""

    name: str
    shape: tuple[int, ...] | None = None
    data_format: str = ""
    dtype: DType | None = None
    range: tuple[float, float] | None = None

    def shape_for(self, model: TensorType) -> tuple[int, ...] | None:
        """The shape as the model has its dimensions: MACE's files count images as NHWC, ONNX models as NCHW."""
        if self.shape is None or self._fits(self.shape, model):
            return self.shape
        turned = self._turned()
        return turned if turned is not None and self._fits(turned, model) else self.shape

    def axes_for(self, model: TensorType, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """How to transpose an array of this shape so that the model takes it; None when it fits as it is."""
        if self.data_format == "NCHW" or len(shape) != 4 or self._fits(shape, model):
            return None
        turned = tuple(shape[i] for i in NHWC_TO_NCHW)
        return NHWC_TO_NCHW if self._fits(turned, model) else None

    def _turned(self) -> tuple[int, ...] | None:
        if self.shape is None or len(self.shape) != 4 or self.data_format in ("NCHW", "NONE"):
            return None
        return tuple(self.shape[i] for i in NHWC_TO_NCHW)

    @staticmethod
    def _fits(shape: tuple[int, ...], model: TensorType) -> bool:
        if model.shape is None:
            return True
        same_rank = len(model.shape) == len(shape)
        return same_rank and all(not isinstance(m, int) or m == d for m, d in zip(model.shape, shape, strict=True))


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One part of a model with its inputs and outputs, the data to check it with and how close it must come.

    ``thresholds``: device kind (``cpu``, ``gpu`` …) → precision (or empty for any) → threshold name → value.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    validation_inputs: tuple[str, ...] = ()
    validation_outputs: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    accuracy_script: str = ""

    def thresholds_for(self, kind: str, precision: str) -> dict[str, float]:
        """The thresholds of a device kind and a precision, the more special ones over those for any precision."""
        of_kind = self.thresholds.get(kind, {})
        return {**of_kind.get("", {}), **of_kind.get(precision, {})}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the file. Paths are those of the file, made absolute by its folder; addresses stay addresses."""

    name: str
    platform: str
    file: str
    sha256: str
    subgraphs: tuple[Subgraph, ...]
    runtime: str = "gpu"
    settings: RunSettings = RunSettings()
    folder: Path = Path()

    @property
    def is_remote(self) -> bool:
        return self.file.startswith(("http://", "https://"))

    @property
    def source(self) -> Path:
        """The source model on this machine. Raises ``ConfigError`` where the file gives an address."""
        if self.is_remote:
            name = self.file.rpartition("/")[2]
            raise ConfigError(
                f"models.{self.name}.model_file_path is an address, and mace downloads nothing",
                hint=f"Fetch it (curl -O {self.file}) and write '{name}' instead",
            )
        return Path(self.file)

    @property
    def mace_file(self) -> Path:
        """Where the converted model lies: beside the deployment file, under the model's name."""
        return self.folder / f"{self.name}.mace"

    @property
    def program_file(self) -> Path:
        """Where the compiled program lies."""
        return self.folder / f"{self.name}.bin"

    @property
    def device(self) -> str:
        """What to ask ``select_device`` for."""
        return {"cpu": "cpu", "gpu": "gpu"}.get(self.runtime, "auto")

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(t for s in self.subgraphs for t in s.inputs)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment file. ``notes`` says what in it has no effect here."""

    path: Path
    library_name: str
    models: Mapping[str, ModelSpec]
    notes: tuple[Note, ...] = ()

    def model(self, name: str | os.PathLike[str] | None = None) -> ModelSpec:
        """The model of that name, or the only one. Raises ``ConfigError``."""
        if name is None and len(self.models) == 1:
            return next(iter(self.models.values()))
        if name is not None and os.fspath(name) in self.models:
            return self.models[os.fspath(name)]
        wanted = f"there is no model '{name}'" if name else "the file has several models; say which one with --model"
        raise ConfigError(f"{wanted}. There are {', '.join(self.models)}", path=self.path)
