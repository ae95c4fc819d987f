"""Compile a model's kernels for a device of this machine, and save them as the file that spares every later start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, ModelArgument, ShapeOption, StorageOption, parse_shapes
from mace.cli.progress import progress_bar
from mace.errors import InputError
from mace.tensor import Array, TensorType

app = typer.Typer(add_completion=False)


@app.command(name="compile")
def compile_model(
    model: ModelArgument,
    destination: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "mace_cl_compiled_program.bin"
    ),
    device: DeviceOption = "auto",
    shapes: ShapeOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    import mace

    wanted = parse_shapes(shapes)
    with (
        progress_bar("compiling") as progress,
        mace.load(model, device=device, storage=storage, progress=progress) as engine,
    ):
        engine.warm_up(_blank_inputs(engine.inputs, wanted))
        saved = engine.save_compiled_program(destination)
        stats = engine.stats.to_json()
    if as_json:
        output.emit_json({"path": str(saved.path), "entries": saved.entries, "bytes": saved.bytes, "stats": stats})
        return
    output.line("wrote {}: {} entries, {}", saved.path, saved.entries, output.size(saved.bytes))
    output.line("{} program(s) compiled from source for {}", stats["programs_from_source"], stats["device"])


def _blank_inputs(inputs: Mapping[str, TensorType], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Zeros of the shapes to compile for: those given, with an open first dimension (the batch) taken as 1.

    Raises ``InputError`` where another size is open and no ``--shape`` tells it.
    """
    unknown = [n for n in shapes if n not in inputs]
    if unknown:
        raise InputError(f"--shape: the model has no input {', '.join(unknown)}; its inputs are {', '.join(inputs)}")
    return {name: np.zeros(shapes.get(name) or _default_shape(name, t), t.dtype.numpy) for name, t in inputs.items()}


def _default_shape(name: str, kind: TensorType) -> tuple[int, ...]:
    shape = kind.shape
    if shape and not isinstance(shape[0], int):
        shape = (1, *shape[1:])
    if shape is None or any(not isinstance(size, int) for size in shape):
        raise InputError(
            f"input '{name}' is {kind}: say which sizes to compile for, as in --shape '{name}=1x3x224x224'"
        )
    return TensorType(kind.dtype, shape).dims
