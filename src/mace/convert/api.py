"""The conversion as users call it."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING

from mace.convert.importer import import_model
from mace.convert.source import open_source
from mace.convert.support import KnownOperators, device_operators
from mace.graph.ir import Graph
from mace.reference.optimise import optimise

if TYPE_CHECKING:
    import onnx


def convert(
    source: str | PathLike[str] | bytes | onnx.ModelProto,
    destination: str | PathLike[str] | None = None,
    *,
    dump: str | PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    known: KnownOperators = device_operators,
) -> Graph:
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
    graph = import_model(opened, known)
    graph = optimise(graph, dump=dump, progress=progress)
    if destination is not None:
        from mace.model_file import save_model

        say("save")
        save_model(destination, graph)
    return graph
