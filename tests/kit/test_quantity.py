"""Numbers and units as people write them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.errors import CodedError
from backend.kit.quantity import (
    CANONICAL_UNITS,
    fitting_units,
    read_number,
    read_unit,
    round_half_up,
    times,
    to_canonical,
    trimmed,
)


@pytest.mark.parametrize(
    ("written", "canonical", "factor"),
    [
        ("t", "t", "1"),
        ("吨", "t", "1"),
        ("公斤", "t", "0.001"),
        ("千克", "t", "0.001"),
        ("g", "t", "0.000001"),
        ("万吨", "t", "10000"),
        ("kt", "t", "1000"),
        ("Mt", "t", "1000000"),
        ("ｋｇ", "t", "0.001"),
        ("1e4Nm3", "1e4Nm3", "1"),
        ("10⁴Nm³", "1e4Nm3", "1"),
        ("10^4 m3", "1e4Nm3", "1"),
        ("万立方米", "1e4Nm3", "1"),
        ("万Nm3", "1e4Nm3", "1"),
        ("万标方", "1e4Nm3", "1"),
        ("亿立方米", "1e4Nm3", "10000"),
        ("Nm³", "1e4Nm3", "0.0001"),
        ("MWh", "MWh", "1"),
        ("kwh", "MWh", "0.001"),
        ("度", "MWh", "0.001"),
        ("万千瓦时", "MWh", "10"),
        ("万kWh", "MWh", "10"),
        ("亿千瓦时", "MWh", "100000"),
        ("GJ", "GJ", "1"),
        ("TJ", "GJ", "1000"),
        ("MJ", "GJ", "0.001"),
        ("百万千焦", "GJ", "1"),
        ("tce", "GJ", "29.3076"),
        ("万吨标准煤", "GJ", "293076"),
        ("kgce", "GJ", "0.0293076"),
        ("万吨公里", "t*km", "10000"),
        ("吨二氧化碳当量", "tCO2e", "1"),
        ("kgCO2e", "tCO2e", "0.001"),
    ],
)
def test_units_are_read_exactly(written: str, canonical: str, factor: str) -> None:
    read = read_unit(written)
    assert (read.canonical, read.factor) == (canonical, Decimal(factor))


@pytest.mark.parametrize("written", ["", "mt", "toe", "桶", "m", "万", "GJ/t", "kWh/t", "import os", "吨吨"])
def test_unknown_units_name_the_known(written: str) -> None:
    with pytest.raises(CodedError, match=r"UNKNOWN_UNIT.*1e4Nm3"):
        read_unit(written)


def test_every_canonical_unit_is_read_and_fits_itself() -> None:
    for unit in CANONICAL_UNITS:
        assert read_unit(unit) == read_unit(unit)
        assert read_unit(unit).factor == 1
        assert fitting_units(unit)[0] == unit


def test_a_unit_of_another_dimension_names_those_that_fit() -> None:
    with pytest.raises(CodedError, match=r"UNIT_DOES_NOT_FIT.*'GJ'.*MWh, kWh"):
        to_canonical(Decimal(1), "GJ", "MWh")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1234.5", "1234.5"),
        ("１２３４．５", "1234.5"),
        ("－１２", "-12"),
        ("\u22123.5", "-3.5"),
        (" 7 ", "7"),
        (".5", "0.5"),
        ("1.2E3", "1200"),
    ],
)
def test_numbers_of_either_width(written: str, value: str) -> None:
    assert read_number(written) == Decimal(value)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("1,234.5", "NUMBER_HAS_SEPARATORS"),
        ("１，２３４", "NUMBER_HAS_SEPARATORS"),
        ("12 345", "NUMBER_HAS_SEPARATORS"),
        ("", "BAD_NUMBER"),
        ("NaN", "BAD_NUMBER"),
        ("Infinity", "BAD_NUMBER"),
        ("1.2.3", "BAD_NUMBER"),
        ("十二", "BAD_NUMBER"),
        ("0x10", "BAD_NUMBER"),
        ("1_000", "BAD_NUMBER"),
        ("=1+1", "BAD_NUMBER"),
        ("9" * 61, "BAD_NUMBER"),
    ],
)
def test_numbers_that_are_none(written: str, code: str) -> None:
    with pytest.raises(CodedError) as caught:
        read_number(written)
    assert caught.value.code.name == code


def test_separators_are_answered_with_what_would_be_right() -> None:
    with pytest.raises(CodedError, match=r"write 1234567\.8"):
        read_number("1,234,567.8")


@pytest.mark.parametrize("written", ["1e15", "9" * 40, "0.0000000000001", "1e-13", "1e99", "1e-99"])
def test_nothing_is_rounded_on_the_way_in(written: str) -> None:
    with pytest.raises(CodedError, match="NUMBER_OUT_OF_RANGE"):
        to_canonical(read_number(written), "t", "t")


decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14, places=9)


@given(decimals, st.sampled_from(["kg", "t"]))
def test_conversion_is_exact(value: Decimal, unit: str) -> None:
    assert Fraction(to_canonical(value, unit, "t")) == Fraction(value) * Fraction(read_unit(unit).factor)


@given(st.fractions(), st.integers(0, 18))
def test_ties_go_away_from_zero(value: Fraction, places: int) -> None:
    kept = Fraction(round_half_up(value, places))
    assert abs(kept - value) <= Fraction(1, 2 * 10**places)
    if abs(kept - value) == Fraction(1, 2 * 10**places):
        assert abs(kept) > abs(value)


@given(decimals, st.decimals(-1000, 1000, places=18))
def test_products_are_exact_before_they_are_kept(quantity: Decimal, coefficient: Decimal) -> None:
    wide = Context(prec=200, rounding=ROUND_HALF_UP)
    assert times(quantity, coefficient) == wide.multiply(quantity, coefficient).quantize(Decimal("1e-9"), context=wide)


@given(decimals)
def test_trimming_keeps_the_number(value: Decimal) -> None:
    assert trimmed(value) == value
    assert "E" not in str(trimmed(value)) or abs(value) < Decimal("1e-6")
