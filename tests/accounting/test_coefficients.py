"""Coefficients: derivation, exactness, choice of values. No database: the library is read from its files."""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.coefficients import basis_of, derive
from backend.accounting.domain.derivation import StepKind
from backend.accounting.domain.factors import (
    Factor,
    FactorSet,
    Library,
    Parameter,
    Provenance,
    Purpose,
    Region,
)
from backend.accounting.domain.records import weigh
from backend.accounting.domain.sources import Flow, NewStream, OwnFactor, Programme, Stream
from backend.accounting.loader import file_rows, library_rows
from backend.kit.errors import CodedError
from backend.kit.quantity import times
from tenants.domain import GwpSet


def _year(written: str | None) -> int | None:
    return int(written) if written else None


@functools.cache
def library() -> Library:
    sets = [
        FactorSet(str(r["code"]), Purpose(str(r["purpose"])), r["by_default"] == "true", str(r["name_zh"]), "")
        for r in file_rows("sets")
    ]
    regions = [Region(str(r["code"]), str(r["name_zh"]), str(r["name_en"])) for r in file_rows("regions")]
    factors = [
        Factor(
            UUID(r["id"]),
            str(r["set"]),
            str(r["code"]),
            str(r["name_zh"]),
            str(r["name_en"]),
            Parameter(str(r["parameter"])),
            Decimal(str(r["value"])),
            str(r["unit"]),
            str(r["region"]),
            _year(r["year"]),
            _year(r["first_year"]),
            _year(r["last_year"]),
            Provenance(str(r["provenance"])),
            str(r["basis"]),
            str(r["source"]),
        )
        for r in library_rows()
    ]
    return Library(sets, regions, factors)


def stream(material: str | None = None, **fields: Any) -> Stream:
    new = NewStream(code="a", material=material, **fields)
    basis = basis_of(new, library())
    own = new.own_factor
    return Stream(
        uuid4(),
        uuid4(),
        "a",
        "",
        "",
        basis.material,
        new.flow,
        new.programme,
        basis.unit,
        basis.gas,
        basis.factor_set,
        basis.region,
        new.factor_year,
        own.per_canonical_unit() if own else None,
        own.source if own else "",
        new.cadence,
        new.evidence_required,
    )


FUELS = sorted({f.code for f in library().factors if f.parameter is Parameter.NCV and f.set_code == "MEE-STEEL-2024"})
quantities = st.decimals(-(10**9), 10**9, places=6, allow_nan=False)


def _value(material: str, parameter: Parameter) -> Fraction:
    (found,) = [
        f for f in library().factors if (f.code, f.parameter, f.set_code) == (material, parameter, "MEE-STEEL-2024")
    ]
    return Fraction(found.value)


@given(st.sampled_from(FUELS), quantities, st.sampled_from(Programme), st.sampled_from([None, "GJ"]))
def test_fuel_equals_an_independent_rational_computation(
    fuel: str, quantity: Decimal, programme: Programme, unit: str | None
) -> None:
    made = derive(stream(fuel, programme=programme, unit=unit), 2024, library())
    exact = _value(fuel, Parameter.CARBON_PER_HEAT) * Fraction(44, 12)
    if unit is None:
        exact *= _value(fuel, Parameter.NCV)
    if programme is Programme.GENERAL:
        exact *= _value(fuel, Parameter.OXIDATION)
    assert abs(Fraction(times(quantity, made.value)) - Fraction(quantity) * exact) < Fraction(1, 10**9)
    assert abs(Fraction(made.value) - exact) <= Fraction(1, 2 * 10**18)


def test_there_are_25_fuels_and_each_explains_itself() -> None:
    assert len(FUELS) == 25
    for fuel in FUELS:
        made = derive(stream(fuel), 2024, library())
        assert [s.kind for s in made.steps] == [
            StepKind.NCV,
            StepKind.CARBON_PER_HEAT,
            StepKind.OXIDATION,
            StepKind.CARBON_TO_CO2,
        ]
        product = Fraction(1)
        for step in made.steps:
            product *= step.value
            assert (step.factor_id is None) == (step.kind is StepKind.CARBON_TO_CO2)
        assert abs(product - Fraction(made.value)) <= Fraction(1, 2 * 10**18)


def test_convenience_values_of_the_library_are_what_we_compute() -> None:
    shown = {f.code: f.value for f in library().factors if f.set_code == "CONVENIENCE"}
    assert len(shown) == 25
    for fuel, value in shown.items():
        assert abs(derive(stream(fuel), 2024, library()).value - value) <= Decimal("0.000001")


@pytest.mark.parametrize(
    ("fields", "year", "value", "unit"),
    [
        ({"material": "石灰石"}, 2024, "0.440", "tCO2/t"),
        ({"material": "粗钢", "flow": Flow.LEAVING}, 2024, "-0.037", "tCO2/t"),
        ({"material": "焦油", "flow": Flow.LEAVING}, 2024, "-2.699", "tCO2/t"),
        ({"material": "电石渣"}, 2024, "-0.480", "tCO2/t"),
        ({"material": "portland clinker"}, 2025, "0.535", "tCO2/t"),
        ({"material": "GRID_ELECTRICITY"}, 2023, "0.5306", "tCO2/MWh"),
        ({"material": "grid electricity", "region": "山东"}, 2024, "0.6191", "tCO2/MWh"),
        ({"material": "外购电力", "region": "CN-SD", "factor_year": 2021}, 2024, "0.6838", "tCO2/MWh"),
        ({"material": "外购电力", "region": "华东"}, 2022, "0.5617", "tCO2/MWh"),
        ({"material": "外购电力", "factor_set": "MEE-REPORTING"}, 2022, "0.5703", "tCO2/MWh"),
        ({"material": "外购电力", "factor_set": "MEE-REPORTING"}, 2019, "0.6101", "tCO2/MWh"),
        ({"material": "购入热力"}, 2024, "0.11", "tCO2/GJ"),
        ({"material": "dolomite", "factor_set": "GBT-32151.5-2015"}, 2020, "0.471", "tCO2/t"),
        ({"own_factor": OwnFactor(Decimal("0.85"), "万吨公里", "承运商报告")}, 2024, "0.000085", "tCO2e/t*km"),
        ({"own_factor": OwnFactor(Decimal("0.2"), "t", "检测"), "flow": Flow.LEAVING}, 2024, "-0.2", "tCO2e/t"),
    ],
)
def test_choice_of_factor(fields: dict[str, Any], year: int, value: str, unit: str) -> None:
    made = derive(stream(**fields), year, library())
    assert (made.value, made.unit) == (Decimal(value), unit)


def test_the_latest_value_not_after_the_activity_is_used() -> None:
    power = stream("GRID_ELECTRICITY", region="CN")
    assert derive(power, 2022, library()).value == Decimal("0.5366")
    assert derive(power, 2023, library()).value == Decimal("0.5306")
    assert derive(power, 2026, library()).value == Decimal("0.5306")


@pytest.mark.parametrize(
    ("fields", "year", "code"),
    [
        ({"material": "仙气"}, 2024, "UNKNOWN_MATERIAL"),
        ({"material": "CH4"}, 2024, "UNKNOWN_MATERIAL"),
        ({"material": "天然气", "unit": "t"}, 2024, "STREAM_UNIT_DOES_NOT_FIT"),
        ({"material": "天然气", "unit": "桶"}, 2024, "UNKNOWN_UNIT"),
        ({"material": "天然气", "flow": Flow.LEAVING}, 2024, "NO_COEFFICIENT"),
        ({"material": "外购电力", "region": "火星"}, 2024, "UNKNOWN_REGION"),
        ({"material": "外购电力", "factor_set": "CN-PROJECT-BASELINE"}, 2024, "UNKNOWN_FACTOR_SET"),
        ({}, 2024, "FACTOR_OR_MATERIAL"),
        ({"own_factor": OwnFactor(Decimal(1), "t", " ")}, 2024, "FACTOR_OR_MATERIAL"),
        ({"material": "烟煤", "own_factor": OwnFactor(Decimal(1), "t", "x")}, 2024, "FACTOR_OR_MATERIAL"),
        ({"own_factor": OwnFactor(Decimal(-1), "t", "x"), "flow": Flow.LEAVING}, 2024, "NEGATIVE_FACTOR_LEAVING"),
        ({"material": "烟煤"}, 2019, "FACTOR_NOT_FOUND"),
        ({"material": "外购电力", "region": "GRID-EAST"}, 2011, "FACTOR_NOT_FOUND"),
        ({"material": "GRID_ELECTRICITY_RESIDUAL", "region": "山东"}, 2024, "FACTOR_NOT_FOUND"),
    ],
)
def test_what_cannot_be_accounted_is_coded(fields: dict[str, Any], year: int, code: str) -> None:
    with pytest.raises(CodedError) as caught:
        derive(stream(**fields), year, library())
    assert caught.value.code.name == code


def test_a_misspelt_fuel_is_answered_with_near_ones() -> None:
    with pytest.raises(CodedError, match="NATURAL_GAS"):
        stream("natural gass")


def test_a_pinned_year_uses_a_value_expressly() -> None:
    assert derive(stream("烟煤", factor_year=2024), 2019, library()).steps[0].written == "23.736"


@pytest.mark.parametrize(
    ("gas", "gwp_set", "co2e"),
    [
        ("CH4", GwpSet.SAR, "21"),
        ("CH4", GwpSet.AR4, "25"),
        ("ＣＨ₄", GwpSet.AR5, "28"),
        ("n2o", GwpSet.AR6, "273"),
        ("HFC-134a", GwpSet.AR5, "1300"),
        ("CO2", GwpSet.AR5, "1"),
        ("CO2e", GwpSet.SAR, "1"),
        ("co2_biogenic", GwpSet.AR5, "0"),
    ],
)
def test_mass_by_gwp(gas: str, gwp_set: GwpSet, co2e: str) -> None:
    assert weigh(gas, Decimal(1), gwp_set, library()).co2e_t == Decimal(co2e)


def test_a_gas_the_set_does_not_know() -> None:
    with pytest.raises(CodedError, match="UNKNOWN_GAS"):
        weigh("HFC-245fa", Decimal(1), GwpSet.SAR, library())
