"""What a command works on: files named one by one, or a model of a deployment file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mace.cli import output
from mace.deployment.records import ModelSpec, TensorSpec
from mace.deployment.run_config import RunConfig, is_run_config, read_run_config
from mace.deployment.settings import RunSettings
from mace.errors import ConfigError, MaceWarning

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="A deployment file in MACE's YAML, or a mace_run.config; it names the model and its files."
    ),
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
    """The model, and what a deployment file or a ``mace_run.config`` says of it (None where none was given)."""

    model: Path
    spec: ModelSpec | None = None
    run_config: RunConfig | None = None

    @property
    def source(self) -> Path | None:
        """The source model that the deployment file names."""
        return self.spec.source if self.spec is not None else None

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.spec.inputs if self.spec is not None else ()

    @property
    def settings(self) -> RunSettings:
        """How the deployment file wants the model to be run; the usual where there is none."""
        return self.spec.settings if self.spec is not None else RunSettings()

    def engine_arguments(self) -> dict[str, Any]:
        """What the file sets, as arguments of ``mace.load``: none where there is no file, and no program and no storage."""
        from mace.engine.deployed import engine_arguments, run_config_arguments

        if self.spec is not None:
            return engine_arguments(self.spec.settings)
        return {} if self.run_config is None else run_config_arguments(self.run_config)

    def warn_of_unmeasured(self) -> None:
        """Tell what a ``mace_run.config`` sets that measuring processes do not take over: they start with usual settings."""
        if self.run_config is None or not (names := list(self.engine_arguments())):
            return
        text = f"{self.run_config.path}: {', '.join(names)}: without effect on what is measured"
        output.warning(ConfigWarning(text))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes that the deployment file declares, with dimensions in the model's order."""
        from mace.model_file import read_header

        if self.spec is None:
            return {}
        inputs = read_header(self.model).inputs
        shapes = {t.name: t.shape_for(inputs[t.name]) for t in self.inputs if t.name in inputs}
        return {n: s for n, s in shapes.items() if s is not None}

    def device(self, asked: str) -> str:
        """The device: as asked for, or else as the deployment file's ``runtime`` has it."""
        said = self.spec or self.run_config
        return said.device if asked == "auto" and said is not None else asked

    def storage(self, asked: Path | None) -> Path | None:
        """The storage folder: as asked for, or else as a ``mace_run.config`` has it."""
        return self.run_config.file("storage") if asked is None and self.run_config is not None else asked

    def program_to_write(self) -> Path | None:
        """Where the file says that the program file belongs; None where no file says it."""
        if self.run_config is not None:
            return self.run_config.file("program")
        return self.spec.program_file if self.spec is not None else None

    def program(self, asked: Path | None) -> Path | None:
        """The program file: as asked for, or else the one beside the deployment file, where there is one."""
        if asked is None and self.run_config is not None:
            return self.run_config.file("program")
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
    if is_run_config(config):
        return _read_run_config(config)
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

    if is_run_config(config):
        raise ConfigError(
            "says where files are, not how to make them; a deployment file in YAML is needed", path=config
        )
    deployment = load_deployment(config)
    for note in deployment.notes:
        output.warning(ConfigWarning(f"{config}: {note}"))
    return deployment.model(name)


def _read_run_config(path: Path) -> Target:
    """The target that a ``mace_run.config`` names. What in it has no effect, and files that are not there, are warned of."""
    config = read_run_config(path)
    for note in config.notes:
        output.warning(ConfigWarning(f"{path}, {note}"))
    model = config.file("model")
    if model is None:
        raise ConfigError("names no model", path=path, hint="Add a line such as model_file=model.mace")
    parameters = config.file("parameters")
    if parameters is not None and not parameters.is_file():
        text = f"{path}: there are no tuned parameters at {parameters}; `mace doctor {path}` says where they are"
        output.warning(ConfigWarning(text))
        config = config.without("parameters")
    return Target(model, run_config=config)
