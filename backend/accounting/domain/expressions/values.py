"""The value of an expression: an exact rational in canonical units, with the dimension it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Final

from backend.accounting.domain.dimensions import Bases, joined, raised, shown
from backend.accounting.domain.expressions.parser import NEGATION, Call, Name, Node, Number, parse
from backend.kit.errors import CodedError, invalid
from backend.kit.quantity import round_half_up

HIGHEST_POWER: Final = 6
_LARGEST_BITS: Final = 4096

EXPRESSION_NAME = invalid(
    "EXPRESSION_NAME",
    en="At position {position}: there is no parameter '{name}'; there are: {known}.",
    zh="第 {position} 个字符处：没有参数 '{name}'；现有：{known}。",
)
EXPRESSION_UNITS = invalid(
    "EXPRESSION_UNITS",
    en="At position {position}: '{sign}' takes values of one unit; it got {left} and {right}.",
    zh="第 {position} 个字符处：'{sign}' 两侧单位须一致；收到 {left} 与 {right}。",
)
EXPRESSION_ZERO = invalid(
    "EXPRESSION_ZERO",
    en="At position {position} the expression divides by zero; see that the divisor is not 0.",
    zh="表达式在第 {position} 个字符处除以零；请确保除数不为 0。",
)
EXPRESSION_ARGUMENT = invalid(
    "EXPRESSION_ARGUMENT",
    en="At position {position}: {need}.",
    zh="第 {position} 个字符处：{need_zh}。",
)
EXPRESSION_TOO_LARGE = invalid(
    "EXPRESSION_TOO_LARGE",
    en="At position {position} the value has more than a thousand digits; use fewer powers or shorter numbers.",
    zh="表达式在第 {position} 个字符处的值超过一千位；请减少乘方或缩短数字。",
)


@dataclass(frozen=True, slots=True)
class Value:
    """A number in canonical units. `zero`: a 0 written out, which fits any unit."""

    value: Fraction
    bases: Bases = ()
    zero: bool = False


def evaluate(written: str, parameters: Mapping[str, Value]) -> Value:
    """The value of an expression.

    Errors: those of `parse`; EXPRESSION_NAME, EXPRESSION_UNITS, EXPRESSION_ZERO, EXPRESSION_ARGUMENT,
    EXPRESSION_TOO_LARGE.
    """
    return _value(parse(written), parameters)


def _value(node: Node, parameters: Mapping[str, Value]) -> Value:
    if isinstance(node, Number):
        return _bounded(Value(node.value, (), node.value == 0), node.position)
    if isinstance(node, Name):
        if node.name not in parameters:
            known = ", ".join(parameters) or "-"
            raise EXPRESSION_NAME(path=("formula",), position=node.position, name=node.name[:40], known=known[:400])
        return _bounded(parameters[node.name], node.position)
    arguments = [_value(a, parameters) for a in node.arguments]
    return _bounded(_applied(node, arguments), node.position)


def _bounded(made: Value, position: int) -> Value:
    if max(made.value.numerator.bit_length(), made.value.denominator.bit_length()) > _LARGEST_BITS:
        raise EXPRESSION_TOO_LARGE(path=("formula",), position=position)
    return made


def _applied(node: Call, arguments: list[Value]) -> Value:
    if node.name in {"+", "-"}:
        left, right = arguments
        bases = _common(node, arguments)
        return Value(left.value + (right.value if node.name == "+" else -right.value), bases)
    if node.name == NEGATION:
        return Value(-arguments[0].value, arguments[0].bases, arguments[0].zero)
    if node.name == "*":
        left, right = arguments
        return Value(left.value * right.value, joined(left.bases, right.bases))
    if node.name == "/":
        left, right = arguments
        if right.value == 0:
            raise EXPRESSION_ZERO(path=("formula",), position=node.position)
        return Value(left.value / right.value, joined(left.bases, right.bases, -1))
    if node.name in {"min", "max"}:
        bases = _common(node, arguments)
        pick = min if node.name == "min" else max
        return Value(pick(a.value for a in arguments), bases)
    return {"^": _power, "round": _rounded, "sqrt": _root}[node.name](node, arguments)


def _common(node: Call, arguments: list[Value]) -> Bases:
    """The dimension they share; a written 0 shares any."""
    definite = [a for a in arguments if not a.zero]
    for other in definite[1:]:
        if other.bases != definite[0].bases:
            raise EXPRESSION_UNITS(
                path=("formula",),
                position=node.position,
                sign=node.name,
                left=shown(definite[0].bases),
                right=shown(other.bases),
            )
    return definite[0].bases if definite else ()


def _refused(node: Call, need: str, need_zh: str) -> CodedError:
    return EXPRESSION_ARGUMENT(path=("formula",), position=node.position, need=need, need_zh=need_zh)


def _whole(node: Call, given: Value, lowest: int, highest: int) -> int:
    if given.bases or given.value.denominator != 1 or not lowest <= given.value <= highest:
        raise _refused(
            node,
            f"'{node.name}' takes a whole number from {lowest} to {highest} without a unit",
            f"'{node.name}' 须为 {lowest} 至 {highest} 的无单位整数",
        )
    return int(given.value)


def _power(node: Call, arguments: list[Value]) -> Value:
    base, exponent = arguments[0], _whole(node, arguments[1], -HIGHEST_POWER, HIGHEST_POWER)
    if base.value == 0 and exponent < 0:
        raise EXPRESSION_ZERO(path=("formula",), position=node.position)
    return Value(base.value**exponent, raised(base.bases, exponent))


def _rounded(node: Call, arguments: list[Value]) -> Value:
    if len(arguments) > 2:
        raise _refused(node, "round takes a value and a number of decimals", "round 的参数为数值和小数位数")
    decimals = _whole(node, arguments[1], 0, 12) if len(arguments) == 2 else 0
    return Value(Fraction(round_half_up(arguments[0].value, decimals)), arguments[0].bases)


def _root(node: Call, arguments: list[Value]) -> Value:
    if len(arguments) != 1 or any(exponent % 2 for _, exponent in arguments[0].bases):
        raise _refused(node, "sqrt takes one value whose unit is a square", "sqrt 的参数须为一个单位为平方的数值")
    value = arguments[0].value
    above, below = (isqrt(abs(n)) for n in (value.numerator, value.denominator))
    if value < 0 or Fraction(above**2, below**2) != value:
        raise _refused(node, "the root of this value is not exact", "该数值的平方根不是有理数")
    return Value(Fraction(above, below), tuple((b, e // 2) for b, e in arguments[0].bases))
