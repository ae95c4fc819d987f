"""What the network tests share: results of ONNX Runtime, and which values inside a network are worth comparing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mace.tensor import Array

CONTRACTIONS = {"Conv", "ConvTranspose", "MatMul", "Gemm"}


def expose_intermediates(model: onnx.ModelProto) -> list[str]:
    """Make every value that a contraction reads an output as well, and return their names.

    Those are the values that still exist after fusion, so the plan stays the one that users run.
    """
    graph = model.graph
    constant = {t.name for t in graph.initializer}
    for node in graph.node:  # what is computed from weights alone is folded away
        if constant.issuperset(i for i in node.input if i):
            constant.update(node.output)
    known = constant | {i.name for i in graph.input} | {o.name for o in graph.output}
    inner = [i for n in graph.node if n.op_type in CONTRACTIONS for i in n.input if i and i not in known]
    names = list(dict.fromkeys(inner))
    graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    return names


def onnxruntime_results(model: Path, feeds: dict[str, Array]) -> dict[str, Array]:
    """All outputs by name, as ONNX Runtime computes them on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def standard_normal_input(model: onnx.ModelProto) -> dict[str, Array]:
    """Standard-normal values, from a fixed seed, for the one input of a model that is no initializer."""
    weights = {t.name for t in model.graph.initializer}
    (value,) = [i for i in model.graph.input if i.name not in weights]
    shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
    return {value.name: np.random.default_rng(7).standard_normal(shape, dtype=np.float32)}


def error_of_range(got: Array, wanted: Array) -> float:
    """Largest absolute error as a share of the wanted values' range (infinite when shapes or finiteness differ)."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return float("inf")
    spread = float(wanted.max() - wanted.min()) if wanted.size else 0.0
    return (
        float(np.abs(got.astype(np.float64) - wanted).max()) / spread if spread else float(np.abs(got - wanted).max())
    )
