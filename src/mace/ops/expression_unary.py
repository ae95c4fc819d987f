"""Rules of the one-operand operators: rounding, exponentials, trigonometry, activations, predicates.

The library functions of OpenCL C are kept: on the CPU runtimes they are vectorised and right to 4 ulp; the ``native_``
forms are neither specified nor good enough.
"""

from __future__ import annotations

from collections.abc import Callable

from mace.ops.expression_writer import Application, NotRenderedError, Rule, is_real, is_unsigned

_SELU_ALPHA = 1.67326319217681884765625
_SELU_GAMMA = 1.05070102214813232421875
_ERF_SMALL = (0.12837915, -0.37612525, 0.11282141, -0.026778908, 0.0050119623, -0.0006090358)
"""erf(x) = x + x · p(x²) for |x| < 0.9, least powers first; relative error 1.2e-8 (fitted by reweighted least squares)."""
_ERF_LARGE = (0.00017749726, 1.1277496, 0.63705975, 0.104037344, -0.022277078, 0.0030556053, -0.00019718148)
"""erf(x) = 1 - exp(-q(x)) for 0.9 ≤ x ≤ 4; absolute error 1.6e-9, beyond 4 it is 1 in float."""
_ERF_ABOVE = (
    1.128378987312317,
    0.19193041324615479,
    0.05296534299850464,
    0.0038363668136298656,
    0.00028743661823682487,
    2.0503530322457664e-06,
)
_ERF_BELOW = (
    1.0,
    0.503425657749176,
    0.11475365608930588,
    0.015108201652765274,
    0.0011815931648015976,
    3.822929647867568e-05,
)
"""erf(x) = x · p(x²) / q(x²) for |x| < 3.9; absolute error 1.5e-8, and 3e-7 computed in float (fitted the same way)."""
_SQRT_HALF = 0.7071067811865475
_SQRT_2_OVER_PI = 0.7978845608028654


class _Operand:
    """What a rule needs at hand: the operand's name, numbers of its type, and the step's attributes."""

    def __init__(self, of: Application) -> None:
        self.writer, self.step = of.writer, of.step
        self.x, self.base = of.arg(0).name, of.arg(0).base

    def n(self, value: float) -> str:
        return self.writer.number(self.base, value)

    def attr(self, name: str, default: float) -> str:
        return self.n(self.value(name, default))

    def value(self, name: str, default: float) -> float:
        return float(self.step.attr(name, default))

    def let(self, text: str) -> str:
        return self.writer.let(self.base, text)


def _relu(o: _Operand) -> str:
    return o.x if is_unsigned(o.base) else f"({o.n(0)} > {o.x} ? {o.n(0)} : {o.x})"


def _absolute(o: _Operand) -> str:
    if is_real(o.base):
        return f"fabs({o.x})"
    return o.x if is_unsigned(o.base) else f"({o.x} < {o.n(0)} ? -{o.x} : {o.x})"


def _sign(o: _Operand) -> str:
    if is_unsigned(o.base):
        return f"({o.x} > {o.n(0)} ? {o.n(1)} : {o.n(0)})"
    return f"({o.x} > {o.n(0)} ? {o.n(1)} : ({o.x} < {o.n(0)} ? {o.n(-1)} : {o.x}))"


def _sigmoid(o: _Operand, x: str) -> str:
    return f"({o.n(1)} / ({o.n(1)} + exp(-{x})))"


def _softplus(o: _Operand) -> str:
    return f"(fmax({o.x}, {o.n(0)}) + log1p(exp(-fabs({o.x}))))"


def _softplus_keeping_nan(o: _Operand) -> str:
    return f"({o.x} != {o.x} ? {o.x} : {_softplus(o)})"


def _polynomial(o: _Operand, coefficients: tuple[float, ...], x: str) -> str:
    text = o.n(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"mad({text}, {x}, {o.n(coefficient)})"
    return text


def _error_function(o: _Operand, x: str) -> str:
    """erf in float to 1.3 ulp; the library's own takes two (Intel) to five times (PoCL) as long on a CPU."""
    if o.base != "float":
        return f"erf({x})"
    size = o.let(f"fabs({x})")
    square = o.let(f"{x} * {x}")
    small = o.let(f"mad({_polynomial(o, _ERF_SMALL, square)}, {x}, {x})")
    bounded = o.let(f"({o.n(4)} < {size} ? {o.n(4)} : {size})")
    large = o.let(f"copysign({o.n(1)} - exp(-({_polynomial(o, _ERF_LARGE, bounded)})), {x})")
    return f"({size} < {o.n(0.9)} ? {small} : {large})"


def _quick_error_function(o: _Operand, x: str) -> str:
    """erf in float to 3e-7 of 1 without an exponential, where it is added to 1 and so good enough."""
    if o.base != "float":
        return f"erf({x})"
    square = o.let(f"{x} * {x}")
    above, below = (o.let(_polynomial(o, p, square)) for p in (_ERF_ABOVE, _ERF_BELOW))
    return f"(fabs({x}) < {o.n(3.9)} ? {x} * {above} / {below} : copysign({o.n(1)}, {x}))"


def _gelu(o: _Operand) -> str:
    if o.step.attr("approximate", "none") == "tanh":  # (1 + tanh(t)) / 2 is the sigmoid of 2t, without cancellation
        twice = o.let(f"{o.n(-2 * _SQRT_2_OVER_PI)} * ({o.x} + {o.n(0.044715)} * {o.x} * {o.x} * {o.x})")
        return f"{o.x} / ({o.n(1)} + exp({twice}))"
    scaled = o.let(f"{o.x} * {o.n(_SQRT_HALF)}")
    return f"{o.n(0.5)} * {o.x} * ({o.n(1)} + {_quick_error_function(o, scaled)})"


def _inverse_deviation(o: _Operand) -> str:
    """Ours: 1 / sqrt(variance + epsilon)."""
    return f"{o.n(1)} / sqrt({o.x} + {o.attr('epsilon', 1e-5)})"


def _celu(o: _Operand) -> str:
    alpha = o.attr("alpha", 1.0)
    return f"({o.x} < {o.n(0)} ? {alpha} * expm1({o.x} / {alpha}) : {o.x})"


def _clamped(o: _Operand, text: str) -> str:
    """Into 0 … 1; a NaN stays one."""
    t = o.let(text)
    low = o.let(f"{o.n(0)} > {t} ? {o.n(0)} : {t}")
    return f"({o.n(1)} < {low} ? {o.n(1)} : {low})"


def _hard_sigmoid(o: _Operand) -> str:
    return _clamped(o, f"{o.attr('alpha', 0.2)} * {o.x} + {o.attr('beta', 0.5)}")


def _hard_swish(o: _Operand) -> str:
    return f"{o.x} * {_clamped(o, f'{o.x} * {o.n(1 / 6)} + {o.n(0.5)}')}"


def _shrink(o: _Operand) -> str:
    bias, limit = o.value("bias", 0.0), o.value("lambd", 0.5)
    below = "" if is_unsigned(o.base) else f"{o.x} < {o.n(-limit)} ? {o.x} + {o.n(bias)} : "
    return f"({below}({o.x} > {o.n(limit)} ? {o.x} - {o.n(bias)} : {o.n(0)}))"


def _swish(o: _Operand) -> str:
    alpha = o.value("alpha", 1.0)
    scaled = o.x if alpha == 1.0 else o.let(f"{o.n(alpha)} * {o.x}")
    return f"{o.x} / ({o.n(1)} + exp(-{scaled}))"


def _function(name: str) -> Callable[[_Operand], str]:
    return lambda o: f"{name}({o.x})"


_ANY: dict[str, Callable[[_Operand], str]] = {
    "Identity": lambda o: o.x,
    "Neg": lambda o: f"-{o.x}",
    "Abs": _absolute,
    "Sign": _sign,
    "Relu": _relu,
    "Shrink": _shrink,
    "LeakyRelu": lambda o: f"({o.x} < {o.n(0)} ? {o.attr('alpha', 0.01)} * {o.x} : {o.x})",
    "ThresholdedRelu": lambda o: f"({o.x} > {o.attr('alpha', 1.0)} ? {o.x} : {o.n(0)})",
}
_FUNCTIONS = (
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Exp", "Floor", "Log", "Sin"),
    *("Sinh", "Sqrt", "Tan", "Tanh"),
)
_REAL: dict[str, Callable[[_Operand], str]] = {
    **{op: _function(op.lower()) for op in _FUNCTIONS},
    "Erf": lambda o: _error_function(o, o.x),
    "Round": lambda o: f"rint({o.x})",
    "Reciprocal": lambda o: f"{o.n(1)} / {o.x}",
    "Sigmoid": lambda o: _sigmoid(o, o.x),
    "Softplus": _softplus_keeping_nan,
    "Softsign": lambda o: f"{o.x} / ({o.n(1)} + fabs({o.x}))",
    "Mish": lambda o: f"{o.x} * tanh({_softplus(o)})",
    "Elu": lambda o: f"({o.x} < {o.n(0)} ? {o.attr('alpha', 1.0)} * expm1({o.x}) : {o.x})",
    "Selu": lambda o: (
        f"{o.attr('gamma', _SELU_GAMMA)} * ({o.x} > {o.n(0)} ? {o.x} : {o.attr('alpha', _SELU_ALPHA)} * expm1({o.x}))"
    ),
    "Celu": _celu,
    "InverseDeviation": _inverse_deviation,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Swish": _swish,
}


def _rule(function: Callable[[_Operand], str], real_only: bool) -> Rule:
    def rule(of: Application) -> str:
        operand = _Operand(of)
        if real_only and not is_real(operand.base):
            raise NotRenderedError(f"{of.step.op} of {operand.base} values")
        return function(operand)

    return rule


def _not(of: Application) -> str:
    return f"{of.arg(0).name} ^ {of.writer.number('uchar', 1)}"


def _bitwise_not(of: Application) -> str:
    return f"~{of.arg(0).name}"


def _is_nan(of: Application) -> str:
    x = of.arg(0)
    return of.writer.truth(f"{x.name} != {x.name}", x.base)


def _is_inf(of: Application) -> str:
    x = of.arg(0)
    infinity = of.writer.number(x.base, float("inf"))
    tests = [f"({x.name} == {infinity})"] if of.step.attr("detect_positive", 1) else []
    tests += [f"({x.name} == -{infinity})"] if of.step.attr("detect_negative", 1) else []
    return of.writer.truth(" | ".join(tests), x.base) if tests else of.writer.number("uchar", 0)


UNARY_RULES: dict[str, Rule] = {
    **{op: _rule(f, real_only=False) for op, f in _ANY.items()},
    **{op: _rule(f, real_only=True) for op, f in _REAL.items()},
    "Not": _not,
    "BitwiseNot": _bitwise_not,
    "IsNaN": _is_nan,
    "IsInf": _is_inf,
}
