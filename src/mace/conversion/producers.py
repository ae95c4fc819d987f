"""What the importers of other frameworks share: each makes an ONNX model and hands it over."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from mace.errors import ConvertError, MaceError, MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package. Raises ``MissingExtraError`` naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise MissingExtraError(f"{missing} is not installed: pip install 'mace-cl[{extra}]'") from error


@contextmanager
def exported(what: str) -> Iterator[Path]:
    """A path in a temporary folder for a framework's exporter to write to; its errors become ``ConvertError``."""
    with TemporaryDirectory(prefix="mace-export-") as folder:
        path = Path(folder, "model.onnx")
        try:
            yield path
        except MaceError:  # the conversion's own say what is wrong with the graph
            raise
        except Exception as error:  # exporters raise anything
            raise ConvertError(f"{what} cannot be exported to ONNX: {error}") from error
