"""Cement, steel, aluminium: the published figures, and rules of the guides."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from backend.accounting.domain.methods.cement import substitution_rate
from backend.accounting.domain.methods.kinds import MethodKind as M
from backend.accounting.domain.methods.steel import COUNTED, Counted
from tests.accounting.methods.making import made, refused, tonnes


def test_clinker_less_carbide_slag_of_the_vector() -> None:
    clinker = tonnes("1000000", made(M.CLINKER_TYPE, material="PORTLAND_CLINKER"))
    slag = tonnes("50000", made(M.ALTERNATIVE_RAW_MATERIAL, material="CARBIDE_SLAG"))
    assert clinker + slag == Decimal(511000)
    rate = substitution_rate(Decimal(50000), Decimal("0.48"), Decimal(1000000), Decimal("0.535"))
    assert abs(rate - Fraction("0.04486")) < Fraction(1, 10**5)


def test_clinker_and_dust_by_composition_with_the_exact_ratios() -> None:
    given = {"cao": "65.5 %", "caoNotCarbonate": "1.2 %", "mgo": "2.1 %", "mgoNotCarbonate": "0.3 %"}
    one = made(M.CLINKER_COMPOSITION, **given)
    by_hand = Fraction("0.643") * Fraction(44, 56) + Fraction("0.018") * Fraction(44, 40)
    assert abs(Fraction(one.co2e_per_unit) - by_hand) <= Fraction(1, 10**18)
    clinker_and_dust = tonnes("1000000", one) + tonnes("12000", one) + tonnes("3000", one)
    assert abs(clinker_and_dust - tonnes("1015000", one)) <= Decimal("0.000000002")
    # Nothing is known of oxides that do not come from carbonate: all of them count.
    assert made(M.CLINKER_COMPOSITION, cao="65.5 %", mgo="2.1 %").co2e_per_unit > one.co2e_per_unit
    refused("OXIDE_BEYOND_TOTAL", M.CLINKER_COMPOSITION, cao="65 %", caoNotCarbonate="66 %", mgo="2 %")


def test_organic_carbon_of_raw_meal() -> None:
    assert abs(tonnes("1500000", made(M.RAW_MEAL_CARBON)) - Decimal(5500)) < Decimal("0.000001")
    assert tonnes("1500000", made(M.RAW_MEAL_CARBON, organicCarbon="3 kgC/t")) == Decimal(16500)


def test_the_whole_of_formula_1_of_the_steel_guide() -> None:
    total = Decimal(0)
    for quantity, kind, material, flow in (
        ("600000", M.FUEL_COMBUSTION, "WASHED_COKING_COAL", "CONSUMED"),
        ("150000", M.FUEL_COMBUSTION, "BITUMINOUS_COAL", "CONSUMED"),
        ("200000", M.STEEL_MATERIAL, "LIMESTONE", "CONSUMED"),
        ("60000", M.STEEL_MATERIAL, "DOLOMITE", "CONSUMED"),
        ("500", M.STEEL_MATERIAL, "GRAPHITE_ELECTRODE", "CONSUMED"),
        ("100000", M.STEEL_MATERIAL, "SCRAP_STEEL", "CONSUMED"),
        ("1000000", M.EMBEDDED_CARBON, "CRUDE_STEEL", "LEAVING"),
        ("20000", M.EMBEDDED_CARBON, "COAL_TAR", "LEAVING"),
        ("5000", M.EMBEDDED_CARBON, "CRUDE_BENZOL", "LEAVING"),
    ):
        total += tonnes(quantity, made(kind, material=material, flow=flow, programme="MEE_STEEL"))
    assert abs(total - Decimal("1828658.45")) <= Decimal("0.02")


def test_what_of_a_product_is_subtracted() -> None:
    assert COUNTED["CRUDE_STEEL"] is Counted.ALL_OUTPUT
    assert {COUNTED[m] for m in ("PIG_IRON", "COAL_TAR", "CRUDE_BENZOL")} == {Counted.SOLD}
    error = refused("PRODUCT_NOT_SUBTRACTED", M.EMBEDDED_CARBON, material="LIMESTONE", flow="LEAVING")
    assert "CRUDE_STEEL" in str(error)
    by_analysis = made(M.EMBEDDED_CARBON, material="LIMESTONE", flow="LEAVING", carbonContent="0.12 tC/t")
    assert tonnes("100", by_analysis) == Decimal(-44)


def test_the_older_standard_has_values_of_its_own() -> None:
    old = {"factor_set": "GBT-32151.5-2015"}
    assert made(M.EMBEDDED_CARBON, material="CRUDE_STEEL", flow="LEAVING", **old).value == Decimal("-0.0154")
    refused("PARAMETER_MISSING", M.STEEL_MATERIAL, material="LIMESTONE", **old)


def test_anode_effect_by_default_and_by_minutes() -> None:
    default = made(M.ANODE_EFFECT)
    assert tonnes("100000", default) == Decimal(26316)
    assert [(t.gas, t.value, t.gwp) for t in default.gases] == [
        ("CF4", Decimal("0.000034"), Decimal(6630)),
        ("C2F6", Decimal("0.0000034"), Decimal(11100)),
    ]
    minutes = made(M.ANODE_EFFECT, anodeEffect="0.5 min/cell/day")
    by_hand = Fraction("0.143") / 2 * (6630 + Fraction(11100, 10)) / 1000
    assert Fraction(minutes.co2e_per_unit) == by_hand
    assert minutes.unit == "tCO2e/t"
    assert tonnes("100000", made(M.ANODE_EFFECT, gwp_set="AR4")) != Decimal(26316)


def test_anode_consumption() -> None:
    by_hand = 100000 * Fraction("0.42") * (1 - Fraction("0.02") - Fraction("0.004")) * Fraction(44, 12)
    assert abs(Fraction(tonnes("100000", made(M.ANODE_CONSUMPTION))) - by_hand) < Fraction(1, 10**9)
