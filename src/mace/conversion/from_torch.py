"""PyTorch modules, through ``torch.onnx.export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from mace.conversion.api import ModelInfo, convert
from mace.conversion.producers import exported, require


def convert_torch(
    module: Any,
    examples: Sequence[Any],
    destination: str | PathLike[str] | None = None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: Mapping[str, Any] | Sequence[Any] | None = None,
    **options: Any,
) -> ModelInfo:
    """Export a ``torch.nn.Module`` in evaluation mode and convert it.

    ``examples`` are inputs to trace it with; ``dynamic_shapes`` is as in ``torch.export``. Other options go to
    :func:`mace.convert`. Raises ``MissingExtraError`` without torch, ``ConvertError`` when the export fails, and whatever
    the conversion raises.
    """
    torch = require("torch", "torch")
    require("onnxscript", "torch")
    was_training = module.training
    with exported("the PyTorch module") as path:
        try:
            module.eval()
            torch.onnx.export(
                module,
                tuple(examples),
                str(path),
                dynamo=True,
                verbose=False,
                input_names=list(input_names) if input_names else None,
                output_names=list(output_names) if output_names else None,
                dynamic_shapes=dynamic_shapes,
            )
        finally:
            module.train(was_training)
        return convert(path, destination, **options)
