"""From a path or a ``ModelProto`` to a checked ``ModelProto``, with clear errors for files that are none."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mace.errors import ConvertError, ModelError
from mace.reference.types import array_from_proto
from mace.tensor import Array

if TYPE_CHECKING:
    import onnx


class Source:
    """A source model: its proto, the file it came from (None for one in memory) and the folder of its external data."""

    def __init__(self, proto: onnx.ModelProto, path: Path | None) -> None:
        self.proto = proto
        self.path = path

    def read(self, tensor: onnx.TensorProto) -> Array:
        """The array of a tensor. Raises ``ConvertError`` when it is broken or its external file is missing."""
        external = {e.key: e.value for e in tensor.external_data} if tensor.data_location == tensor.EXTERNAL else {}
        folder = str(self.path.parent) if self.path else ""
        try:
            return array_from_proto(tensor, folder)
        except ModelError as error:
            if external and not (Path(folder) / external.get("location", "")).is_file():
                raise self._missing(tensor, external, folder) from error
            raise ConvertError(str(error), path=self.path, field=tensor.name) from error
        except OSError as error:
            raise self._missing(tensor, external, folder) from error

    def _missing(self, tensor: onnx.TensorProto, external: dict[str, str], folder: str) -> ConvertError:
        return ConvertError(
            f"the external data file '{external.get('location', '')}' of this tensor is missing or unreadable",
            path=self.path,
            field=tensor.name,
            hint=f"Put it beside the model, in {folder}" if folder else "Give the model's path instead of a ModelProto",
        )


def open_source(source: str | PathLike[str] | onnx.ModelProto | bytes) -> Source:
    """Read a model. Raises ``ConvertError`` naming the file when it is missing, cut, or no ONNX model."""
    import onnx

    if isinstance(source, onnx.ModelProto):
        return _checked(Source(source, None))
    if isinstance(source, bytes):
        return _checked(Source(_parse(source, None), None))
    path = Path(fspath(source))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConvertError(f"cannot be read: {error.strerror or error}", path=path) from error
    return _checked(Source(_parse(raw, path), path))


def _parse(raw: bytes, path: Path | None) -> onnx.ModelProto:
    import onnx

    if not raw:
        raise ConvertError("the file is empty", path=path)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(raw)
    except Exception as error:  # protobuf's DecodeError, without naming a package that has no types
        raise ConvertError("is no ONNX model, or one that was cut or altered", path=path, hint=_hint(raw)) from error
    return model


def _hint(raw: bytes) -> str | None:
    known: dict[bytes, str] = {
        b"PK\x03\x04": "It is a zip archive: a PyTorch checkpoint, a Keras model or a package; export it to ONNX first",
        b"\x89HDF": "It is an HDF5 file, perhaps a Keras model; convert it with the Keras importer",
        b"MACE": "It is a compiled-program file, not a model",
    }
    for magic, text in known.items():
        if raw.startswith(magic):
            return text
    return "It is a TFLite model; convert it with the TFLite importer" if raw[4:8] == b"TFL3" else None


def _checked(source: Source) -> Source:
    """Checks that protobuf does not make: any bytes that happen to parse are not a model yet."""
    proto: Any = source.proto
    if not proto.HasField("graph") or not proto.opset_import or not proto.ir_version:
        raise ConvertError("is no ONNX model (no graph, opset or IR version)", path=source.path)
    if not proto.graph.output:
        raise ConvertError("the model has no outputs", path=source.path, field="graph.output")
    return source


def opsets(proto: onnx.ModelProto) -> dict[str, int]:
    """Domain → opset version the model imports."""
    return {"" if o.domain == "ai.onnx" else o.domain: int(o.version) for o in proto.opset_import}
