"""Activation functions of recurrent operators as OpenCL C (ONNX LSTM-22, attribute ``activations``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mace.graph.ir import Node


@dataclass(frozen=True, slots=True)
class _Form:
    """OpenCL C over ``x``, ``a`` and ``b``, and what alpha and beta are when left out; None where there is no such one."""

    text: str
    alpha: float | None = None
    beta: float | None = None


_FORMS = {
    "relu": _Form("fmax(x, (ACC)0)"),
    "tanh": _Form("tanh(x)"),
    "sigmoid": _Form("(1 / (1 + exp(-(x))))"),
    "softsign": _Form("((x) / (1 + fabs(x)))"),
    "softplus": _Form("log1p(exp(x))"),
    "affine": _Form("(a * (x) + b)", 1.0, 0.0),
    "leakyrelu": _Form("((x) < 0 ? a * (x) : (x))", 0.01),
    "thresholdedrelu": _Form("((x) > a ? (x) : (VEC)(0))", 1.0),
    "scaledtanh": _Form("(a * tanh(b * (x)))", 1.0, 1.0),
    "hardsigmoid": _Form("clamp(a * (x) + b, (ACC)0, (ACC)1)", 0.2, 0.5),
    "elu": _Form("((x) < 0 ? a * (exp(x) - 1) : (x))", 1.0),
}


def activations(node: Node, defaults: tuple[str, ...], directions: int) -> list[tuple[str, ...]] | None:
    """Per direction the bodies of the macros F(x), G(x), H(x); None when a function is not known.

    Alphas and betas are taken from their lists in the order of the functions that have one.
    """
    names = node.attrs.get("activations", defaults * directions)
    if not isinstance(names, tuple) or len(names) != len(defaults) * directions:
        return None
    alphas, betas = list(node.floats("activation_alpha")), list(node.floats("activation_beta"))
    bodies = []
    for name in names:
        form = _FORMS.get((name.decode() if isinstance(name, bytes) else str(name)).lower())
        if form is None:
            return None
        text = form.text
        for letter, default, given in (("a", form.alpha, alphas), ("b", form.beta, betas)):
            if default is not None:
                value = given.pop(0) if given else default
                text = _with(text, letter, value)
        bodies.append(text)
    each = len(defaults)
    return [tuple(bodies[i : i + each]) for i in range(0, len(bodies), each)]


def _with(text: str, letter: str, value: float) -> str:
    """A parameter's letter, where it stands alone, replaced by its value."""
    return re.sub(rf"\b{letter}\b", f"(ACC)({value!r}f)", text)
