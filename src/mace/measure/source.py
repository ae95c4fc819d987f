"""The source model as onnxruntime runs it: the independent answer that ours is compared with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace.errors import ConvertError, InputError, MissingExtraError, ModelError
from mace.tensor import Array

if TYPE_CHECKING:
    import onnx

PROTOBUF_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node of the source model: its name (or the first of its outputs), its operator, and what it reads and makes."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class SourceModel:
    """An ONNX file, run by onnxruntime on the CPU with its graph optimisations off: each operator as it is written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ``ConvertError`` when the file cannot be read, ``MissingExtraError`` without onnxruntime."""
        import onnx

        self.path = Path(path)
        try:
            self.proto = onnx.load(self.path)
        except OSError as error:
            raise ConvertError(f"cannot be read: {error.strerror or error}", path=path) from error
        except Exception as error:  # protobuf and onnx raise their own
            raise ConvertError(f"is no ONNX model: {error}", path=path) from error
        self._runtime = _onnxruntime()
        self._session = self._make(self.proto)

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(i.name for i in self._session.get_inputs())

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(o.name for o in self._session.get_outputs())

    @property
    def runtime(self) -> str:
        """Name and version of what runs it."""
        return f"onnxruntime {self._runtime.__version__}"

    def nodes(self) -> list[SourceNode]:
        """The nodes of the main graph, in their order."""
        return [
            SourceNode(n.name or next(filter(None, n.output), ""), n.op_type, tuple(n.input), tuple(n.output))
            for n in self.proto.graph.node
        ]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Outputs by name. Raises ``InputError`` with what onnxruntime says when the feeds do not fit."""
        return self._answer(self._session, feeds, self.outputs)

    def run_with(self, feeds: Mapping[str, Array], values: Iterable[str]) -> dict[str, Any]:
        """Outputs and the named inner values, from a copy of the model that has them as outputs too."""
        import onnx

        copy = onnx.ModelProto()
        copy.CopyFrom(self.proto)
        known = {o.name for o in copy.graph.output}
        wanted = [v for v in dict.fromkeys(values) if v not in known]
        copy.graph.output.extend(onnx.ValueInfoProto(name=v) for v in wanted)
        return self._answer(self._make(copy), feeds, (*self.outputs, *wanted))

    def _make(self, proto: onnx.ModelProto) -> Any:
        options = self._runtime.SessionOptions()
        options.graph_optimization_level = self._runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        try:
            model: bytes | str = proto.SerializeToString() if proto.ByteSize() < PROTOBUF_MAX else str(self.path)
            return self._runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own
            raise ModelError(
                f"onnxruntime cannot run {self.path}, so there is nothing to compare with: {error}"
            ) from error

    def _answer(self, session: Any, feeds: Mapping[str, Array], names: Iterable[str]) -> dict[str, Any]:
        names = list(names)
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # onnxruntime raises classes of its own
            raise InputError(f"onnxruntime could not run {self.path} on this data: {error}") from error


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "comparing with the source model needs onnxruntime: pip install 'mace-cl[validate]'"
        ) from error
    return onnxruntime
