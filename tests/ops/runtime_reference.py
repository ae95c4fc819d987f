"""What ONNX Runtime answers for one node: the expected result where onnx's own reference evaluator has none or errs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mace.tensor import Array


def onnxruntime_reference(
    op: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any] | None = None, outputs: int = 1, opset: int = 21
) -> list[Array]:
    """Run one node on ONNX Runtime's CPU provider."""
    import onnxruntime
    from onnx import helper

    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], **(attrs or {}))
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in feeds.items()
    ]
    results = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)]
    model = helper.make_model(
        helper.make_graph([node], "g", infos, results), opset_imports=[helper.make_opsetid("", opset)], ir_version=10
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, feeds)]
