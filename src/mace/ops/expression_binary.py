"""Rules of operators with several operands: arithmetic, comparison, logic, bits, choice.

Integer arithmetic wraps around; division truncates, and by zero gives 0 (a processor would trap). A shift by the width
or more, or by less than nothing, leaves 0, or -1 of a negative number shifted right. Max, Min and Clip hand a NaN on,
as numpy does.
"""

from __future__ import annotations

from mace.ops.expression_writer import Application, NotRenderedError, Rule, Value, bits, is_real, is_unsigned

_COMPARISONS = {"Equal": "==", "Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}
_OPERATORS = {"Add": "+", "Sub": "-", "Mul": "*", "BitwiseAnd": "&", "BitwiseOr": "|", "BitwiseXor": "^"}
_LOGIC = {"And": "&", "Or": "|", "Xor": "^"}


def _infix(symbol: str) -> Rule:
    def rule(of: Application) -> str:
        return f"{of.arg(0).name} {symbol} {of.arg(1).name}"

    return rule


def _comparison(symbol: str) -> Rule:
    def rule(of: Application) -> str:
        a, b = of.arg(0), of.arg(1)
        return of.writer.truth(f"{a.name} {symbol} {b.name}", a.base)

    return rule


def _safe_divisor(of: Application, a: Value, b: Value) -> str:
    """A divisor that cannot trap: 1 in place of 0 and, for signed lanes, of -1."""
    base = a.base
    one, zero = of.writer.number(base, 1), of.writer.number(base, 0)
    if is_unsigned(base):
        return of.writer.let(base, f"({b.name} == {zero} ? {one} : {b.name})")
    return of.writer.let(
        base, f"(({b.name} == {zero}) | ({b.name} == {of.writer.number(base, -1)}) ? {one} : {b.name})"
    )


def _div(of: Application) -> str:
    a, b = of.arg(0), of.arg(1)
    if is_real(a.base):
        return f"{a.name} / {b.name}"
    if b.number is not None and b.number not in (0, -1):
        return f"{a.name} / {b.name}"
    divisor, zero = _safe_divisor(of, a, b), of.writer.number(a.base, 0)
    quotient = of.writer.let(a.base, f"({b.name} == {zero} ? {zero} : {a.name} / {divisor})")
    if is_unsigned(a.base):
        return quotient
    return f"({b.name} == {of.writer.number(a.base, -1)} ? -{a.name} : {quotient})"


def _mod(of: Application) -> str:
    a, b = of.arg(0), of.arg(1)
    zero = of.writer.number(a.base, 0)
    if is_real(a.base):
        rest = of.writer.let(a.base, f"fmod({a.name}, {b.name})")
    else:
        rest = of.writer.let(a.base, f"({b.name} == {zero} ? {zero} : {a.name} % {_safe_divisor(of, a, b)})")
    if of.step.attr("fmod", 0) or is_unsigned(a.base):
        return rest
    differs = f"({rest} != {zero}) & (({rest} < {zero}) != ({b.name} < {zero}))"
    return f"({differs} ? {rest} + {b.name} : {rest})"


def _power_of_number(of: Application, x: Value, exponent: float) -> str | None:
    one = of.writer.number(x.base, 1)
    forms = {
        0.5: f"sqrt({x.name})",
        1.0: x.name,
        2.0: f"{x.name} * {x.name}",
        3.0: f"{x.name} * {x.name} * {x.name}",
        -0.5: f"{one} / sqrt({x.name})",
        -1.0: f"{one} / {x.name}",
        -2.0: f"{one} / ({x.name} * {x.name})",
    }
    return forms.get(exponent)


def _pow(of: Application) -> str:
    x, y = of.arg(0), of.arg(1)
    if is_real(x.base):
        if y.number is not None and (text := _power_of_number(of, x, float(y.number))) is not None:
            return text
        return f"pow({x.name}, {of.writer.convert(y.name, y.base, x.base)})"
    if is_real(y.base):
        exponent = of.writer.let("float", of.writer.convert(y.name, y.base, "float"))
        wide = of.writer.let("long", of.writer.convert(x.name, x.base, "long"))
        return of.writer.lanes(x.base, "mace_power_real", wide, exponent)
    return of.writer.lanes(x.base, "mace_power", x.name, y.name, cast="long")


def _extreme(symbol: str) -> Rule:
    """Max or Min of any number of operands."""

    def two(base: str, a: str, b: str, plain: bool) -> str:
        nan = f" | ({a} != {a})" if is_real(base) and not plain else ""
        return f"(({a} {symbol} {b}){nan} ? {a} : {b})"

    def rule(of: Application) -> str:
        values = [of.arg(i) for i in range(len(of.args))]
        base = values[0].base
        known = [v for v in values if v.number is not None and v.number == v.number]
        others = [v for v in values if v not in known] or known[:1]
        result = others[0].name
        for v in others[1:]:
            result = of.writer.let(base, two(base, result, v.name, plain=False))
        for v in known:  # a number first: then the other side wins when it is a NaN
            result = of.writer.let(base, two(base, v.name, result, plain=True))
        return result

    return rule


def _sum(of: Application) -> str:
    return " + ".join(of.arg(i).name for i in range(len(of.args)))


def _mean(of: Application) -> str:
    return f"({_sum(of)}) / {of.writer.number(of.arg(0).base, len(of.args))}"


def _clip(of: Application) -> str:
    """min(max(x, low), high), so that ``high`` wins where the bounds cross."""
    x = of.arg(0)
    result = x.name
    for bound, symbol in zip((*of.args[1:], None, None), "><", strict=False):
        if bound is None:
            continue
        if bound.number is not None and _never_binds(x.base, bound.number, symbol):
            continue
        result = of.writer.let(x.base, f"({bound.name} {symbol} {result} ? {bound.name} : {result})")
    return result


def _never_binds(base: str, bound: float, symbol: str) -> bool:
    return is_real(base) and bound == (float("-inf") if symbol == ">" else float("inf"))


def _prelu(of: Application) -> str:
    x, slope = of.arg(0), of.arg(1)
    if is_unsigned(x.base):
        return x.name
    return f"({x.name} < {of.writer.number(x.base, 0)} ? {slope.name} * {x.name} : {x.name})"


def _shift(of: Application) -> str:
    x, by = of.arg(0), of.arg(1)
    if is_real(x.base):
        raise NotRenderedError(f"a shift of {x.base} values")
    left = of.step.attr("direction", "LEFT") == "LEFT"
    width, zero = of.writer.number(x.base, bits(x.base)), of.writer.number(x.base, 0)
    amount = of.writer.let(x.base, f"{by.name} & {of.writer.number(x.base, bits(x.base) - 1)}")
    shifted = f"({of.writer.type(x.base)})({x.name} {'<<' if left else '>>'} {amount})"
    if is_unsigned(x.base):
        return f"(({by.name} >= {width}) ? {zero} : {shifted})"
    gone = zero if left else f"({x.name} < {zero} ? {of.writer.number(x.base, -1)} : {zero})"
    return f"((({by.name} >= {width}) | ({by.name} < {zero})) ? {gone} : {shifted})"


def _where(of: Application) -> str:
    condition, yes, no = of.arg(0), of.arg(1), of.arg(2)
    return f"({of.writer.mask(condition.name, yes.base)} ? {yes.name} : {no.name})"


BINARY_RULES: dict[str, Rule] = {
    **{op: _infix(symbol) for op, symbol in {**_OPERATORS, **_LOGIC}.items()},
    **{op: _comparison(symbol) for op, symbol in _COMPARISONS.items()},
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "Max": _extreme(">"),
    "Min": _extreme("<"),
    "Sum": _sum,
    "Mean": _mean,
    "Clip": _clip,
    "PRelu": _prelu,
    "BitShift": _shift,
    "Where": _where,
}
