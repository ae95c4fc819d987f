"""Where a model comes from: what its ONNX file says of the framework that wrote it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from mace.errors import ConvertError


def origin_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Framework, opset, size and hash of an ONNX file. Raises ``ConvertError`` when it cannot be read."""
    import onnx

    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        proto = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ConvertError(f"cannot be read: {error.strerror or error}", path=path) from error
    except Exception as error:  # protobuf raises its own
        raise ConvertError(f"is no ONNX model: {error}", path=path) from error
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    opsets = {o.domain or "ai.onnx": int(o.version) for o in proto.opset_import}
    return {
        "path": os.fspath(path),
        "framework": producer or "not said",
        "format": f"ONNX, IR version {proto.ir_version}",
        "opsets": opsets,
        "nodes": len(proto.graph.node),
        "bytes": Path(path).stat().st_size,
        "sha256": digest,
    }
