"""The forms of one model that are put side by side: the source, converted models, and one started from its program file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mace.engine.engine import MaceEngine, load
from mace.errors import InputError
from mace.measure.accuracy import Contender
from mace.measure.source import SourceModel
from mace.plan.options import PlanOptions, Storage

COMPILED = "compiled"
STORED: tuple[Storage, ...] = ("fp16", "bf16")
"""Forms that are the first model itself, its tensors stored in fewer bits."""


@contextmanager
def opened(
    source: SourceModel,
    models: Mapping[str, str | os.PathLike[str]],
    program: str | os.PathLike[str] | None = None,
    **engine_arguments: Any,
) -> Iterator[list[Contender]]:
    """Contenders, the source first.

    ``models`` maps names to ``.mace`` files, or to ``.onnx`` files that onnxruntime runs; ``fp16`` and ``bf16`` without a
    file are the first of the models with its tensors stored so. With ``program`` the first comes once more, started from
    that file, as ``compiled``.
    """
    with ExitStack() as stack:
        first = None
        contenders: list[Contender] = []
        for name, path in models.items():
            if Path(path).suffix == ".onnx":
                contenders.append(Contender(name, {}, SourceModel(path).run))
                continue
            arguments = engine_arguments
            if not path:
                if first is None or name not in STORED:
                    raise InputError(f"'{name}' without a file is none of {', '.join(STORED)}; write NAME=PATH")
                path, arguments = first[1], _stored(name, engine_arguments)
            engine = stack.enter_context(load(path, **arguments))
            first = first or (engine, path)
            contenders.append(_of_engine(name, engine))
        if first is None:
            raise InputError("none of the models is a .mace file")
        if program is not None:
            arguments = {**engine_arguments, "compiled_program": program}
            contenders.append(_of_engine(COMPILED, stack.enter_context(load(first[1], **arguments))))
        inputs = first[0].inputs
        yield [Contender("source", inputs, source.run), *(Contender(c.name, inputs, c.run) for c in contenders)]


def _stored(name: str, engine_arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with tensors stored in fewer bits."""
    options = engine_arguments.get("options") or PlanOptions()
    return {**engine_arguments, "options": replace(options, storage=name)}


def _of_engine(name: str, engine: MaceEngine) -> Contender:
    return Contender(name, engine.inputs, engine.run)


def named(texts: Sequence[str]) -> dict[str, str]:
    """Models by name from ``NAME=PATH`` texts; ``fp16`` and ``bf16`` may stand alone. Raises ``InputError``."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if name not in STORED and not (equals and name and path):
            raise InputError(f"'{text}' is not of the form NAME=PATH, nor one of {', '.join(STORED)}")
        if name in (*found, "source", COMPILED):
            raise InputError(f"the name '{name}' is taken")
        found[name] = path
    return found
