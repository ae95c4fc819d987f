"""What a command works on: files named one by one, or a model of a deployment file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.deployment.records import ModelSpec, TensorSpec
from mace.errors import ConfigError, MaceWarning

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A deployment file in MACE's YAML; it names the model instead of the command line."),
]
ModelNameOption = Annotated[
    str | None, typer.Option("--model", help="Which model of the deployment file; not needed when it has one.")
]
OptionalModelArgument = Annotated[
    Path | None, typer.Argument(help="A model.mace made by `mace convert`, or --config.", show_default=False)
]


class ConfigWarning(MaceWarning):
    """Something in a deployment file has no effect."""


@dataclass(frozen=True, slots=True)
class Target:
    """The model, and what a deployment file says of it (None where none was given)."""

    model: Path
    spec: ModelSpec | None = None

    @property
    def source(self) -> Path | None:
        """The source model that the deployment file names."""
        return self.spec.source if self.spec is not None else None

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.spec.inputs if self.spec is not None else ()

    def device(self, asked: str) -> str:
        """The device: as asked for, or else as the deployment file's ``runtime`` has it."""
        return self.spec.device if asked == "auto" and self.spec is not None else asked

    def program(self, asked: Path | None) -> Path | None:
        """The program file: as asked for, or else the one beside the deployment file, where there is one."""
        if asked is not None or self.spec is None:
            return asked
        return self.spec.program_file if self.spec.program_file.exists() else None


def read_target(model: Path | None, config: Path | None, name: str | None, *, must_exist: bool = True) -> Target:
    """The target of a command. Says what of a deployment file has no effect. Raises ``BadParameter`` or ``ConfigError``."""
    if config is None:
        if model is None:
            raise typer.BadParameter("say which model: a .mace file, or --config with a deployment file")
        return Target(model)
    if model is not None:
        raise typer.BadParameter(f"'{model}' and --config both name a model; one of them is enough")
    spec = read_spec(config, name)
    if must_exist and not spec.mace_file.exists():
        raise ConfigError(
            f"'{spec.name}' is not converted yet: there is no {spec.mace_file}",
            path=config,
            hint=f"Run: mace convert --config {config}" + (f" --model {name}" if name else ""),
        )
    return Target(spec.mace_file, spec)


def read_spec(config: Path, name: str | None) -> ModelSpec:
    """A model of a deployment file; what in the file has no effect here is told as warnings."""
    from mace.deployment import load_deployment

    deployment = load_deployment(config)
    for note in deployment.notes:
        output.warning(ConfigWarning(f"{config}: {note}"))
    return deployment.model(name)
