"""The conversion as users call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mace.conversion.coverage import Coverage, coverage_of
from mace.conversion.importer import import_model
from mace.conversion.source import open_source
from mace.conversion.support import KnownOperators, device_operators
from mace.errors import ConvertError, ModelError, UnsupportedOperatorError
from mace.graph.ir import Graph
from mace.model_file import save_model
from mace.reference.optimise import optimise

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a conversion made: the graph, where its nodes can run, and, when it was saved, path, SHA-256 and bytes."""

    graph: Graph
    coverage: Coverage
    path: Path | None = None
    sha256: str = ""
    nbytes: int = 0

    def __str__(self) -> str:
        graph = self.graph
        lines = [f"{graph.name or 'model'}: {len(graph.nodes)} nodes, {len(graph.constants)} constants"]
        lines += [f"  input  {n}: {t}" for n, t in graph.inputs.items()]
        lines += [f"  output {n}: {graph.type_of(n) or '?'}" for n in graph.outputs]
        if self.path is not None:
            lines.append(f"  saved as {self.path}, {self.nbytes / 1e6:.1f} MB")
        return "\n".join([*lines, str(self.coverage)])


def convert(
    source: str | PathLike[str] | bytes | onnx.ModelProto,
    destination: str | PathLike[str] | None = None,
    *,
    dump: str | PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    known: KnownOperators = device_operators,
) -> ModelInfo:
    """Import a model, optimise it and, with ``destination``, save it as a ``.mace`` file.

    ``source`` is the path of an ``.onnx`` file, its bytes, or a ``ModelProto``. ``dump`` names a folder that gets the
    graph as text after each pass; ``progress`` hears the name of each step. ``known`` tells which operators the kernel
    families have: ONNX functions outside it are inlined.

    Raises ``ConvertError`` when the model is broken or cannot be read, ``UnsupportedOperatorError`` listing every node
    that cannot be run, ``StorageError`` when the destination cannot be written.
    """
    say = progress or (lambda step: None)
    say("read")
    opened = open_source(source)
    say("import")
    try:
        graph = optimise(import_model(opened, known), dump=dump, progress=progress)
    except UnsupportedOperatorError as error:
        raise UnsupportedOperatorError(error.nodes, opened.path) from error
    except ModelError as error:
        raise (error if type(error) is not ModelError else ConvertError(str(error), path=opened.path)) from error
    coverage = coverage_of(graph, known)
    if destination is None:
        return ModelInfo(graph, coverage)
    say("save")
    path = Path(destination)
    digest = save_model(path, graph)
    return ModelInfo(graph, coverage, path, digest, path.stat().st_size)
