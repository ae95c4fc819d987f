"""Options that say what a model is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mace.cli.options import parse_shapes
from mace.cli.target import Target
from mace.errors import InputError
from mace.measure.data import DataSource, Range
from mace.measure.images import ImageOptions

DataOption = Annotated[
    list[str] | None,
    typer.Option("--data", help="An .npy, NAME=x.npy, an .npz by input names, or a folder of images. May be repeated."),
]
RangeOption = Annotated[
    list[str] | None,
    typer.Option("--range", help="Range of made-up numbers of an input, as in `input=-1,1`. May be repeated."),
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="Samples at most (100 of the data), or how many to make up (one)."),
]
SAMPLES_OF_DATA = 100
"""Samples that are read where nobody says how many: they are held in memory together."""

SeedOption = Annotated[int, typer.Option("--seed", help="Seed of made-up numbers.")]
ResizeOption = Annotated[str, typer.Option("--resize", help="Images: stretch, or crop the middle.")]
ScaleOption = Annotated[float, typer.Option("--scale", help="Images: what values 0…255 are multiplied by.")]
MeanOption = Annotated[str, typer.Option("--mean", help="Images: subtracted per channel, as in 0.485,0.456,0.406.")]
StdOption = Annotated[str, typer.Option("--std", help="Images: divided by per channel, after the mean.")]
OrderOption = Annotated[str, typer.Option("--order", help="Images: rgb or bgr.")]


def read_images(resize: str, scale: float, mean: str, std: str, order: str) -> ImageOptions:
    """How images become tensors. Raises ``InputError``."""
    if resize not in ("stretch", "crop"):
        raise InputError(f"--resize '{resize}' is neither stretch nor crop")
    if order not in ("rgb", "bgr"):
        raise InputError(f"--order '{order}' is neither rgb nor bgr")
    return ImageOptions(
        resize="crop" if resize == "crop" else "stretch",
        scale=scale,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        order="bgr" if order == "bgr" else "rgb",
    )


def read_ranges(texts: Sequence[str] | None) -> dict[str, Range]:
    """Ranges by input name. Raises ``InputError``."""
    found: dict[str, Range] = {}
    for text in texts or ():
        name, equals, span = text.rpartition("=")
        numbers = _numbers("--range", span)
        if not equals or len(numbers) != 2 or numbers[0] > numbers[1]:
            raise InputError(f"--range '{text}' is not of the form name=low,high")
        found[name] = numbers[0], numbers[1]
    return found


def read_data(
    target: Target,
    paths: Sequence[str] | None,
    ranges: Sequence[str] | None,
    shapes: Sequence[str] | None,
    samples: int | None,
    seed: int,
    images: ImageOptions | None = None,
) -> DataSource:
    """What the options and the deployment file say of the data; the options win."""
    own = tuple(paths or ())
    if not own and target.spec is not None:
        own = _declared_paths(target)
    return DataSource(
        paths=own,
        images=images or ImageOptions(),
        ranges=read_ranges(ranges),
        shapes=parse_shapes(shapes),
        declared=target.inputs,
        count=samples or 1,
        limit=(samples or SAMPLES_OF_DATA) if own else None,
        seed=seed,
    )


def _declared_paths(target: Target) -> tuple[str, ...]:
    """Validation data of the deployment file, each under its input's name; addresses are not fetched."""
    from mace.cli import output
    from mace.cli.target import ConfigWarning

    assert target.spec is not None
    found = []
    for part in target.spec.subgraphs:
        remote = [p for p in part.validation_inputs if p.startswith(("http://", "https://"))]
        if remote:
            text = f"{remote[0]} is an address, and mace downloads nothing: made-up numbers are taken instead"
            output.warning(ConfigWarning(text))
            continue
        if len(part.validation_inputs) == len(part.inputs):
            found += [f"{t.name}={p}" for t, p in zip(part.inputs, part.validation_inputs, strict=True)]
        else:
            found += [p for p in part.validation_inputs if Path(p).exists()]
    return tuple(found)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} '{text}' is no list of numbers") from None
