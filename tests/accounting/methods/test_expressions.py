"""A tenant's own formula: its grammar, its exactness, its units; and that no text does anything but evaluate."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.dimensions import unit_of
from backend.accounting.domain.expressions.values import Value, evaluate
from backend.accounting.domain.methods.kinds import MethodKind
from backend.kit.errors import CodedError
from tests.accounting.methods.making import made, refused, tonnes

T, GJ = unit_of("t").bases, unit_of("GJ").bases
VALUES = {"热值": Value(Fraction(20), GJ), "质量": Value(Fraction(4), T), "x": Value(Fraction(3))}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+2*3", "7"),
        ("(1+2)*3", "9"),
        ("8/4/2", "1"),
        ("10-4-3", "3"),
        ("-2^2", "-4"),
        ("2^-2", "1/4"),
        ("2^3^0", "2"),
        ("2**3", "8"),
        ("--2", "2"),
        ("１２．５×２÷５", "5"),
        ("（1＋2）＊3", "9"),
        ("1−2", "-1"),
        ("5%*200", "10"),
        ("44/12", "11/3"),
        (".5+1.", "3/2"),
        ("1.2e3", "1200"),
        ("min(3,1,2)+max（2，5）", "6"),
        ("round(2.5)+round(-2.5)", "0"),
        ("round(1/3, 4)", "3333/10000"),
        ("sqrt(9/16)", "3/4"),
        ("sqrt(热值*热值)/热值", "1"),
        ("热值/质量*0.2*质量/热值", "1/5"),
        ("max(x-5,0)", "0"),
        ("MIN(1,2)", "1"),
    ],
)
def test_value(text: str, value: str) -> None:
    assert evaluate(text, VALUES).value == Fraction(value)


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("", "EXPRESSION_LENGTH", None),
        ("1" * 501, "EXPRESSION_LENGTH", None),
        ("+".join("1" * 120), "EXPRESSION_LENGTH", None),
        ("1+", "EXPRESSION_SYNTAX", 3),
        ("1 2", "EXPRESSION_SYNTAX", 3),
        ("(1", "EXPRESSION_SYNTAX", 3),
        ("1)", "EXPRESSION_SYNTAX", 2),
        ("x.real", "EXPRESSION_SYNTAX", 2),
        ("x[0]", "EXPRESSION_SYNTAX", 2),
        ("x²", "EXPRESSION_SYNTAX", 2),
        ("'x'", "EXPRESSION_SYNTAX", 1),
        ("x;1", "EXPRESSION_SYNTAX", 2),
        ("1e", "EXPRESSION_SYNTAX", 2),
        ("__import__('os')", "EXPRESSION_SYNTAX", 12),
        ("__import__(x)", "EXPRESSION_FUNCTION", 1),
        ("exec(1)", "EXPRESSION_FUNCTION", 1),
        ("y+1", "EXPRESSION_NAME", 1),
        ("1/(x-3)", "EXPRESSION_ZERO", 2),
        ("0^-1", "EXPRESSION_ZERO", 2),
        ("2^7", "EXPRESSION_ARGUMENT", 2),
        ("2^0.5", "EXPRESSION_ARGUMENT", 2),
        ("2^质量", "EXPRESSION_ARGUMENT", 2),
        ("sqrt(2)", "EXPRESSION_ARGUMENT", 1),
        ("sqrt(-4)", "EXPRESSION_ARGUMENT", 1),
        ("sqrt(质量)", "EXPRESSION_ARGUMENT", 1),
        ("round(1,2,3)", "EXPRESSION_ARGUMENT", 1),
        ("round(1,x/2)", "EXPRESSION_ARGUMENT", 1),
        ("质量+热值", "EXPRESSION_UNITS", 3),
        ("质量-1", "EXPRESSION_UNITS", 3),
        ("min(质量,热值)", "EXPRESSION_UNITS", 1),
        ("(" * 30 + "1" + ")" * 30, "EXPRESSION_TOO_DEEP", None),
        ("-" * 100 + "1", "EXPRESSION_TOO_DEEP", None),
        ("((((9^6)^6)^6)^6)^6", "EXPRESSION_TOO_LARGE", None),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, code: str, position: int | None) -> None:
    with pytest.raises(CodedError) as caught:
        evaluate(text, VALUES)
    assert caught.value.code.name == code, caught.value
    if position is not None:
        assert caught.value.params["position"] == position


def test_adding_tonnes_and_heat_names_both() -> None:
    with pytest.raises(CodedError, match=r"got t and GJ"):
        evaluate("质量+热值", VALUES)


pieces = st.sampled_from(
    ["x", "质量", "1", "0", "2.5", "+", "-", "*", "/", "^", "(", ")", ",", "%", "min", "sqrt", " ", "e9"]
)


@given(st.one_of(st.text(max_size=80), st.lists(pieces, max_size=60).map("".join)))
def test_no_text_does_anything_but_evaluate_or_fail_by_a_code(text: str) -> None:
    with contextlib.suppress(CodedError):
        assert isinstance(evaluate(text, VALUES).value, Fraction)


numbers = st.fractions(-50, 50, max_denominator=20)


@given(
    st.recursive(
        numbers.map(lambda f: (f"({f.numerator}/{f.denominator})", f)),
        lambda inner: (
            st.tuples(inner, st.sampled_from("+-*/"), inner)
            .filter(lambda t: t[1] != "/" or t[2][1] != 0)
            .map(lambda t: (f"({t[0][0]}{t[1]}{t[2][0]})", _apply(t[0][1], t[1], t[2][1])))
        ),
        max_leaves=8,
    )
)
def test_arithmetic_is_that_of_rationals(case: tuple[str, Fraction]) -> None:
    text, value = case
    assert evaluate(text, {}).value == value


def _apply(left: Fraction, sign: str, right: Fraction) -> Fraction:
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / right if right else right}[sign]


OWN = MethodKind.EXPRESSION


def test_the_formula_of_a_lime_kiln() -> None:
    one = made(OWN, formula="纯度 × 44/100×换算 − 残余 × k", 纯度="92 %", 换算="1 tCO2/t", 残余="1.5 kgC/t")
    assert one.unit == "tCO2e/t"
    assert abs(
        Fraction(tonnes("10000", one)) - 10000 * (Fraction("0.92") * Fraction(44, 100) - Fraction(55, 10000))
    ) < Fraction(1, 10**9)
    assert [p.symbol for p in one.steps[0].parts] == ["纯度", "换算", "残余", "k"]


def test_values_of_the_library_by_their_symbol() -> None:
    own = made(OWN, material="BITUMINOUS_COAL", formula="NCV*CC*OF*k")
    assert own.co2e_per_unit == made(MethodKind.LIBRARY, material="BITUMINOUS_COAL").co2e_per_unit
    assert own.steps[0].parts[0].factor_id is not None


def test_a_gas_by_its_mass() -> None:
    one = made(OWN, formula="产率*(1-去除率)", gas="N2O", 产率="300 kgN2O/t", 去除率="90 %")
    assert tonnes("1000", one) == Decimal(30 * 265)
    assert one.gases[0].value == Decimal("0.03")


def test_a_formula_that_does_not_come_to_a_coefficient() -> None:
    assert "tCO2e/t" in str(refused("EXPRESSION_RESULT", OWN, formula="a", a="3 GJ/t"))
    refused("EXPRESSION_RESULT", OWN, formula="a*CC*NCV", material="BITUMINOUS_COAL", a="1 1")
    refused("UNKNOWN_PARAMETER", OWN, formula="a", a="3 tCO2/t", b="1 t")
    refused("EXPRESSION_NAME", OWN, formula="a*c", a="3 tCO2/t")
    refused("PARAMETER_NAME", OWN, formula="a", **{"a+b": "1 t"})
    refused("PARAMETER_NAME", OWN, formula="k", k="1 t")


def test_a_formula_that_ends_too_soon_says_so() -> None:
    with pytest.raises(CodedError) as caught:
        evaluate("1+", VALUES)
    assert "stands the end of the formula" in caught.value.message("en")
    assert "第 3 个字符处为公式结尾" in caught.value.message()
