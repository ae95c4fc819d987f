"""Why a case fails, or why two OpenCL implementations disagree, where the cause was looked into: regular expression → text."""

from __future__ import annotations

import re
from collections.abc import Mapping

FAILURES: Mapping[str, str] = {
    r"^test_bernoulli": "the result is random by definition; the expected one is what numpy happened to draw",
    r"^test_attention_4d_causal_fp16": (
        "one unit in the last place of float16: the expected values are rounded to half after every step; ours, computed in "
        "float32, are nearer to the exact ones"
    ),
    r"^test_loop16_seq_none$": (
        "the values are equal; onnx's test runner takes len() of a scalar in the sequence and so fails for every backend"
    ),
    r"^test_dft_inverse(_opset19)?$": (
        "the exact imaginary part is zero and ours is 6e-16; the expected 2e-7 is the rounding of the forward transform that made "
        "the input, and beyond the case's own tolerance of 1e-7"
    ),
    r"^test_gradient_of_": "Gradient is an operator for training; onnx's reference does not run it either",
}
"""Cases that fail on every device."""

DIFFERENCES: Mapping[str, Mapping[str, str]] = {"pocl": {}}
"""Cases whose verdict on a device is another one than in the table: name of the verdicts → case → reason."""


def explain(reasons: Mapping[str, str], case: str) -> str:
    """The known reason for a case, or nothing."""
    return next((text for pattern, text in reasons.items() if re.search(pattern, case)), "")
