"""The forms of one model that are put side by side: the source, converted models, and one started from its program file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mace.engine.engine import MaceEngine, load
from mace.errors import InputError
from mace.measure.accuracy import Contender
from mace.measure.source import SourceModel

COMPILED = "compiled"


@contextmanager
def opened(
    source: SourceModel,
    models: Mapping[str, str | os.PathLike[str]],
    program: str | os.PathLike[str] | None = None,
    **engine_arguments: Any,
) -> Iterator[list[Contender]]:
    """Contenders, the source first.

    ``models`` maps names to ``.mace`` files, or to ``.onnx`` files that onnxruntime runs. With ``program`` the first of
    the models comes once more, started from that file, as ``compiled``.
    """
    with ExitStack() as stack:
        first = None
        contenders: list[Contender] = []
        for name, path in models.items():
            if Path(path).suffix == ".onnx":
                contenders.append(Contender(name, {}, SourceModel(path).run))
                continue
            engine = stack.enter_context(load(path, **engine_arguments))
            first = first or (engine, path)
            contenders.append(_of_engine(name, engine))
        if first is None:
            raise InputError("none of the models is a .mace file")
        if program is not None:
            arguments = {**engine_arguments, "compiled_program": program}
            contenders.append(_of_engine(COMPILED, stack.enter_context(load(first[1], **arguments))))
        inputs = first[0].inputs
        yield [Contender("source", inputs, source.run), *(Contender(c.name, inputs, c.run) for c in contenders)]


def _of_engine(name: str, engine: MaceEngine) -> Contender:
    return Contender(name, engine.inputs, engine.run)


def named(texts: Sequence[str]) -> dict[str, str]:
    """Models by name from ``NAME=PATH`` texts. Raises ``InputError``."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise InputError(f"'{text}' is not of the form NAME=PATH")
        if name in (*found, "source", COMPILED):
            raise InputError(f"the name '{name}' is taken")
        found[name] = path
    return found
