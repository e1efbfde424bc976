"""Fuels by their heat value, their analysed carbon, their composition; mass balance."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.derivation import StepKind, as_json, from_json, recomputed
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.records import Method
from tests.accounting.methods.making import made, refused, tonnes

FUEL, CARBON, GAS, BALANCE = (
    MethodKind.FUEL_COMBUSTION,
    MethodKind.MEASURED_CARBON,
    MethodKind.GAS_COMPOSITION,
    MethodKind.MASS_BALANCE,
)
K = Fraction(44, 12)
decimals = st.decimals(1, 100, places=4)


def test_natural_gas_of_the_published_vector_and_what_rounding_an_intermediate_costs() -> None:
    unrounded = made(FUEL, "1e4Nm3", ncv="389.31 GJ/1e4Nm3", carbonPerHeat="0.01532 tC/GJ", oxidation="99 %")
    assert abs(tonnes("21", unrounded) - Decimal("454.6532")) < Decimal("0.0001")
    rounded = made(CARBON, "1e4Nm3", carbonAsReceived="5.96 tC/1e4Nm3", oxidation="0.99 1")
    # The publication rounds carbon to 5.96 tC per 10⁴ Nm3 first, and so prints 454.33.
    assert abs(tonnes("21", rounded) - Decimal("454.33")) < Decimal("0.01")


def test_any_of_the_three_is_given_and_the_others_are_the_librarys() -> None:
    ours = made(FUEL, "t", "BITUMINOUS_COAL", ncv="23736 MJ/t")
    assert ours.co2e_per_unit == made(FUEL, "t", "BITUMINOUS_COAL").co2e_per_unit
    assert [s.factor_id is None for s in ours.steps] == [True, False, False, True]
    assert (ours.steps[0].parameter, ours.steps[0].source) == ("ncv", "检测报告 2024-06")
    assert ours.method is Method.FACTOR


def test_by_heat_the_heat_value_falls_away_and_under_the_steel_guide_oxidation() -> None:
    by_heat = made(FUEL, "GJ", "BITUMINOUS_COAL", programme="MEE_STEEL")
    assert [s.kind for s in by_heat.steps] == [StepKind.CARBON_PER_HEAT, StepKind.CARBON_TO_CO2]


@pytest.mark.parametrize(
    ("ncv", "carbon", "tonnes_co2", "tolerance"),
    [
        ("21.11 GJ/t", "0.02605 tC/GJ", "2.016357", "0.000001"),
        ("5.8 GJ/t", "0.02031 tC/GJ", "0.431926", "0.000001"),
        ("33.453 GJ/t", "0.022 tC/GJ", "2.698542", "0.000001"),
    ],
    ids=["epa-coal-lb", "epa-crude-bbl", "steel-guide-coaltar"],
)
def test_the_same_algebra_elsewhere(ncv: str, carbon: str, tonnes_co2: str, tolerance: str) -> None:
    one = made(FUEL, "t", ncv=ncv, carbonPerHeat=carbon, oxidation="100 %")
    assert abs(tonnes("1", one) - Decimal(tonnes_co2)) <= Decimal(tolerance)


@given(decimals, st.decimals(0, 20, places=2), st.decimals(0, 30, places=2), st.decimals(80, 100, places=1))
def test_carbon_is_brought_to_the_state_the_coal_is_weighed_in(
    c: Decimal, ad: Decimal, more: Decimal, of: Decimal
) -> None:
    share, total = c / 100, ad + more
    oxidation = f"{of} %"
    converted = made(
        CARBON,
        carbonAirDried=f"{share} tC/t",
        airDriedMoisture=f"{ad} %",
        totalMoisture=f"{total} %",
        oxidation=oxidation,
    )
    by_hand = Fraction(share) * (100 - Fraction(total)) / (100 - Fraction(ad)) * Fraction(of) / 100 * K
    assert abs(Fraction(converted.co2e_per_unit) - by_hand) <= Fraction(1, 10**18)
    dry = made(CARBON, carbonDry=f"{share} tC/t", totalMoisture=f"{total} %", oxidation=oxidation)
    assert abs(
        Fraction(dry.co2e_per_unit) - Fraction(share) * (1 - Fraction(total) / 100) * Fraction(of) / 100 * K
    ) <= (Fraction(1, 10**18))
    for step in (*converted.steps, *dry.steps):
        assert from_json(as_json(step)) == step
        assert recomputed(step) == step.value


def test_analysed_carbon_says_its_basis_once() -> None:
    refused("TWO_BASES_GIVEN", CARBON, carbonDry="0.6 tC/t", carbonAsReceived="0.5 tC/t")
    refused("PARAMETER_MISSING", CARBON, carbonDry="0.6 tC/t", oxidation="99 %")
    refused(
        "MOISTURE_BELOW_AIR_DRIED",
        CARBON,
        carbonAirDried="0.6 tC/t",
        totalMoisture="3 %",
        airDriedMoisture="9 %",
        oxidation="99 %",
    )


def test_pure_methane_and_a_blast_furnace_gas() -> None:
    methane = made(GAS, "1e4Nm3", methane="100 %", oxidation="100 %")
    assert round(methane.steps[0].value, 3) == round(Fraction("5.357"), 3)
    gas = made(
        GAS, "1e4Nm3", carbonMonoxide="23 %", carbonDioxide="21 %", nitrogen="52 %", hydrogen="4 %", oxidation="99 %"
    )
    assert gas.steps[0].value == Fraction(44, 100) * Fraction(75, 14)
    refused("SHARES_ABOVE_WHOLE", GAS, "1e4Nm3", methane="60 %", nitrogen="50 %")
    refused("PARAMETER_MISSING", GAS, "1e4Nm3", nitrogen="50 %")


@given(decimals, st.sampled_from(["CONSUMED", "LEAVING"]), st.decimals(-(10**6), 10**6, places=3))
def test_mass_balance_is_exact_and_keeps_negative_results(c: Decimal, flow: str, quantity: Decimal) -> None:
    one = made(BALANCE, carbonContent=f"{c * 10} kgC/t", flow=flow)
    by_hand = Fraction(c) / 100 * K * Fraction(quantity) * (-1 if flow == "LEAVING" else 1)
    assert abs(Fraction(tonnes(str(quantity), one)) - by_hand) <= Fraction(1, 10**9)
    assert one.method is Method.MASS_BALANCE


def test_a_balance_of_a_coking_plant_with_unburnt_carbon_as_an_output() -> None:
    coal = made(BALANCE, material="WASHED_COKING_COAL")
    coke = made(BALANCE, material="COKE", flow="LEAVING")
    ash = made(BALANCE, carbonContent="0.02 tC/t", flow="LEAVING")
    total = tonnes("1000", coal) + tonnes("730", coke) + tonnes("100", ash)
    by_hand = (1000 * Fraction("26.344") * Fraction("0.02541") - 730 * Fraction("28.435") * Fraction("0.02942") - 2) * K
    assert abs(Fraction(total) - by_hand) < Fraction(1, 10**6)


def test_the_steel_guide_fixes_the_heat_value_of_coke() -> None:
    refused("NCV_IS_DEFAULT", FUEL, material="COKE", programme="MEE_STEEL", ncv="28 GJ/t")
    assert made(FUEL, material="COKE", ncv="28 GJ/t").value != made(FUEL, material="COKE").value


def test_analysed_carbon_of_a_gas_has_no_moisture() -> None:
    refused("PARAMETER_UNIT_DOES_NOT_FIT", CARBON, "1e4Nm3", carbonAsReceived="0.6 tC/t", oxidation="99 %")
    refused("PARAMETER_UNUSED", CARBON, "1e4Nm3", carbonAsReceived="6 tC/1e4Nm3", oxidation="99 %", totalMoisture="1 %")


def test_what_the_library_does_not_have_must_be_given() -> None:
    assert "ncv" in str(refused("PARAMETER_MISSING", FUEL, material="LIMESTONE"))
    refused("FACTOR_NOT_FOUND", MethodKind.PURCHASED_ELECTRICITY, "MWh", region="CN-XX")
