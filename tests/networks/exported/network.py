"""A network of another framework: how it is exported, and how far its results are from ONNX Runtime's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

import mace
from mace.tensor import Array
from tests.networks.helpers import error_of_range, onnxruntime_results

Exporter: TypeAlias = Literal["dynamo", "legacy"]
EXPORTERS: tuple[Exporter, ...] = ("dynamo", "legacy")
Feeds: TypeAlias = Mapping[str, torch.Tensor]

LIMIT = 2e-5
"""Largest error of an output, as a share of its range."""
LEGACY_OPSET = 17
"""What the exporter by tracing is asked for; the other one chooses the newest that it knows."""


@dataclass(frozen=True)
class Network:
    """A module with random weights and what to feed it with.

    ``feeds`` are inputs by name; the first of them is what the exporter sees, the others have other sizes where ``axes``
    (input → axis → name) says that a size may change.
    """

    module: torch.nn.Module
    feeds: Sequence[Feeds]
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("output",)
    exporters: tuple[Exporter, ...] = EXPORTERS
    script: bool = False
    """The module holds control flow that depends on data: it is compiled, not traced, for the ``legacy`` exporter."""
    opset: int = LEGACY_OPSET
    translations: Mapping[Any, Any] = field(default_factory=dict)
    """Operators of our own → what the ``dynamo`` exporter writes for them."""

    def export(self, exporter: Exporter, path: Path) -> None:
        """Write the ONNX file."""
        example = self.feeds[0]
        names, values = list(example), tuple(example.values())
        module = self.module.eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            if exporter == "dynamo":
                axes = {n: dict(self.axes.get(n, {})) for n in names}
                torch.onnx.export(
                    module,
                    values,
                    str(path),
                    dynamo=True,
                    verbose=False,
                    input_names=names,
                    output_names=list(self.outputs),
                    dynamic_shapes=tuple(axes.values()) if self.axes else None,
                    custom_translation_table=dict(self.translations) or None,
                )
            else:
                torch.onnx.export(
                    torch.jit.script(module) if self.script else module,
                    values,
                    str(path),
                    dynamo=False,
                    input_names=names,
                    output_names=list(self.outputs),
                    dynamic_axes={n: dict(a) for n, a in self.axes.items()},
                    opset_version=self.opset,
                )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of one export: per feed and output the error, and the operators that took floats to the host."""

    errors: dict[str, float]
    host_float: tuple[str, ...]

    @property
    def worst(self) -> float:
        return max(self.errors.values())


def compare(network: Network, exporter: Exporter, folder: Path, device: str = "auto") -> Comparison:
    """Export, convert, run each feed here and in ONNX Runtime."""
    path = folder / f"{exporter}.onnx"
    network.export(exporter, path)
    return compare_file(path, network.feeds, device)


def compare_file(path: Path, feeds: Sequence[Feeds], device: str = "auto") -> Comparison:
    """An exported file, fed with each of ``feeds``, here and in ONNX Runtime."""
    mace.convert(path, path.with_suffix(".mace"))
    errors: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mace.errors.HostFallbackWarning)
        with mace.load(path.with_suffix(".mace"), device=device, storage=False, isolate=False) as engine:
            for number, feed in enumerate(feeds):
                arrays = {n: v.numpy() for n, v in feed.items() if n in engine.inputs}
                wanted = onnxruntime_results(path, arrays)
                got = engine.run(arrays)
                assert set(got) == set(wanted)
                errors |= {f"{name} {number}": _error(got[name], wanted[name]) for name in wanted}
            steps = [s for e in engine.executors() for s in e.plan.host_steps]
    return Comparison(errors, tuple(sorted({s.node["op"] for s in steps if s.touches_float})))


def _error(got: Array, wanted: Array) -> float:
    """As a share of the range; whole numbers must be equal."""
    if got.dtype != wanted.dtype:
        return float("inf")
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else float("inf")
    return error_of_range(got, wanted)
