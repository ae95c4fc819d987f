"""The cases that the onnx package generates for its own operators, and one case's verdict on mace."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from mace import onnx_backend

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
"""The package's sets of cases that lie in the package itself; its ``real`` networks are downloads."""


@dataclass(slots=True)
class Verdict:
    """What became of one case. ``host`` lists operators that ran on the host, ``host_float`` those that touched floats."""

    name: str
    kind: str
    operators: list[str]
    passed: bool = False
    reason: str = ""
    host: list[str] = field(default_factory=list)
    host_float: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def on_device(self) -> bool:
        """Whether it passed with no float tensor touched by a host step."""
        return self.passed and not self.host_float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def load_cases(kinds: Sequence[str] = KINDS) -> list[Any]:
    """The package's cases of these kinds, in its order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for kind in kinds for case in load_model_tests(kind=kind)]


def judge(case: Any, device: str) -> Verdict:
    """Run one case on a device and compare as the package's own runner compares."""
    began = time.perf_counter()
    verdict = Verdict(case.name, case.kind, [])
    rep = None
    try:
        model = case.model if case.model is not None else onnx.load(f"{case.model_dir}/model.onnx")
        verdict.operators = sorted({_label(n) for n in model.graph.node})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rep = onnx_backend.prepare(model, device)
            for inputs, outputs in _data_sets(case, model):
                Runner.assert_similar_outputs(outputs, list(rep.run(inputs)), case.rtol, case.atol)
        verdict.passed = True
    except Exception as error:  # whatever it is, it is this case's verdict
        verdict.reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    if rep is not None:
        steps = [s for e in rep.engine.executors() for s in e.plan.host_steps]
        verdict.host = sorted({s.node["op"] for s in steps})
        verdict.host_float = sorted({s.node["op"] for s in steps if s.touches_float})
        rep.engine.close()
    verdict.seconds = round(time.perf_counter() - began, 2)
    return verdict


def _label(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _data_sets(case: Any, model: onnx.ModelProto) -> Iterator[tuple[list[Any], list[Any]]]:
    if case.data_sets is not None:
        for inputs, outputs in case.data_sets:
            yield [_value(v) for v in inputs], [_value(v) for v in outputs]
        return
    from pathlib import Path

    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        yield _read(folder, "input", len(model.graph.input)), _read(folder, "output", len(model.graph.output))


def _read(folder: Any, what: str, count: int) -> list[Any]:
    values = []
    for i in range(count):
        file = folder / f"{what}_{i}.pb"
        if file.exists():
            values.append(numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes())))
    return values


def _value(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    if isinstance(value, onnx.OptionalProto):
        return numpy_helper.to_optional(value)
    return value
