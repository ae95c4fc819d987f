"""Options that several commands take, with one wording each, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mace.errors import InputError

FOUND_WANTING = 9
"""Exit code of commands that measure or look, and find something that is not as it should be."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        envvar="MACE_DEVICE",
        help="auto, gpu, cpu, part of a platform's or device's name, or an index as `mace devices` prints it.",
    ),
]

StorageOption = Annotated[
    Path | None,
    typer.Option("--storage", help="Folder in which compiled programs are kept between runs."),
]

ModelArgument = Annotated[Path, typer.Argument(help="A model.mace made by `mace convert`.", show_default=False)]

ShapeOption = Annotated[
    list[str] | None,
    typer.Option("--shape", help="Shape of an input, as in `input=1x3x224x224` (once for each input with open sizes)."),
]


def parse_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """Shapes by name from ``name=1x3x224x224`` …; an empty right side is a scalar. Raises ``InputError``."""
    shapes = {}
    for text in texts or ():
        name, equals, sizes = text.rpartition("=")
        try:
            if not equals or not name:
                raise ValueError
            shapes[name] = tuple(int(size) for size in sizes.split("x")) if sizes else ()
            if any(size < 0 for size in shapes[name]):
                raise ValueError
        except ValueError:
            raise InputError(f"--shape '{text}' is not of the form name=1x3x224x224") from None
    return shapes
