"""Is a converted model still right? Its answers beside those of the source model, run by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mace.deployment.records import Subgraph
from mace.engine.engine import MaceEngine, load
from mace.errors import InputError
from mace.measure.data import DataSource, Sample
from mace.measure.differences import Difference, difference, worst
from mace.measure.layers import LayerReport, compare_layers
from mace.measure.records import device_summary, heading, model_summary
from mace.measure.source import SourceModel
from mace.measure.thresholds import Thresholds, precision_of, thresholds_for
from mace.plan.options import PlanOptions
from mace.tensor import TensorType

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class OutputReport:
    """One output over all samples: the worst sample's difference, and what it misses."""

    name: str
    worst: Difference
    mean_abs: float
    sample: int
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.worst.to_json(),
            "mean_abs": self.mean_abs,
            "sample": self.sample,
            "broken": list(self.broken),
        }


@dataclass(frozen=True, slots=True)
class ValidationOptions:
    """What is compared, and how close it must be. ``thresholds`` replaces single values of the precision's usual ones."""

    data: DataSource = field(default_factory=DataSource)
    precision: str = ""
    """``fp32``, ``fp16``, ``bf16`` or ``int8``; empty takes what tensors are stored in."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    declared: tuple[Subgraph, ...] = ()
    """Parts of a deployment file, whose thresholds hold where ``thresholds`` says nothing."""
    layers: bool = False

    def limits(self, kind: str, precision: str) -> Thresholds:
        """The thresholds for a kind of device and a precision."""
        declared: dict[str, float | None] = {}
        for part in self.declared:
            declared |= part.thresholds_for(kind, precision)
        if "cosine" in declared and "snr_db" not in declared:
            declared = {**dict.fromkeys(("snr_db", "relative")), **declared}  # the file's word is the whole of it
        return thresholds_for(precision, {**declared, **self.thresholds})


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcome. ``passed`` when every output, and every layer where asked for, is close enough."""

    record: dict[str, Any]
    outputs: tuple[OutputReport, ...]
    layers: LayerReport | None

    @property
    def passed(self) -> bool:
        return bool(self.record["passed"])


def validate(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str],
    options: ValidationOptions | None = None,
    *,
    command: list[str] | None = None,
    progress: Progress | None = None,
    engine_arguments: Mapping[str, Any] | None = None,
) -> Validation:
    """Compare a ``.mace`` file with the ONNX file it was made from. ``engine_arguments`` are those of ``mace.load``.

    Raises ``ModelError``, ``InputError``, ``DeviceError`` or ``MissingExtraError``.
    """
    options, arguments = options or ValidationOptions(), dict(engine_arguments or {})
    say = progress or (lambda step, share: None)
    say("source", 0.0)
    reference = SourceModel(source)
    with load(model, **arguments) as engine:
        samples = list(options.data.samples(engine.inputs))
        if not samples:
            raise InputError("there is no sample to compare on")
        check_interfaces(engine.inputs, reference)
        precision = options.precision or _precision(model, engine.settings.plan)
        limits = options.limits(engine.device.traits.kind, precision)
        found = _compare(engine, reference, samples, lambda share: say("outputs", 0.1 + 0.6 * share))
        reports = tuple(_report(name, all_of, limits) for name, all_of in found.items())
        stats, device = engine.stats.to_json(), device_summary(engine.device)
    layers = None
    if options.layers:
        say("layers", 0.7)
        layers = compare_layers(model, reference, samples[0], limits, **arguments)
    passed = all(not r.broken for r in reports) and (layers is None or layers.first is None)
    record = {
        **heading("validate", command),
        "passed": passed,
        "model": model_summary(model),
        "source": {"path": os.fspath(source), "runtime": reference.runtime},
        "device": device,
        "precision": precision,
        "thresholds": limits.to_json(),
        "data": options.data.describe(),
        "samples": len(samples),
        "outputs": [r.to_json() for r in reports],
        "layers": layers.to_json() if layers else None,
        "programs_from_source": stats["programs_from_source"],
    }
    say("done", 1.0)
    return Validation(record, reports, layers)


def check_interfaces(inputs: Mapping[str, TensorType], reference: SourceModel) -> None:
    """Raises ``InputError`` when the source has other inputs than the model: it is not the model's source."""
    if set(reference.inputs) != set(inputs):
        raise InputError(
            f"{reference.path} has the inputs {', '.join(reference.inputs)}, the model has {', '.join(inputs)}: "
            "it is not what this model was made from"
        )


def _precision(model: str | os.PathLike[str], options: PlanOptions) -> str:
    """What the model's weights are kept in: as its file has them, or in the fewer bits that they are stored in."""
    from mace.model_file import load_model

    of_file = precision_of(load_model(model, verify=False).graph.constants)
    return options.storage if of_file == "fp32" else of_file


def _compare(
    engine: MaceEngine, reference: SourceModel, samples: list[Sample], say: Callable[[float], None]
) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {name: [] for name in engine.outputs}
    for number, sample in enumerate(samples):
        ours, theirs = engine.run(sample), reference.run(sample)
        for name, differences in found.items():
            if name not in theirs:
                raise InputError(f"{reference.path} has no output '{name}'; it has {', '.join(theirs)}")
            differences.append(_difference(ours[name], theirs[name]))
        say((number + 1) / len(samples))
    return found


def _difference(ours: Any, theirs: Any) -> Difference:
    """Of a tensor, or of the worst element of a sequence of tensors."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs) and ours:
        return worst([difference(a, b) for a, b in zip(ours, theirs, strict=True)])
    return difference(ours, theirs)


def _report(name: str, differences: list[Difference], limits: Thresholds) -> OutputReport:
    bad = worst(differences)
    mean = sum(d.mean_abs for d in differences) / len(differences)
    return OutputReport(name, bad, mean, differences.index(bad), limits.broken_by(bad))
