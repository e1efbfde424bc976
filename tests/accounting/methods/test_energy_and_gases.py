"""Electricity, heat, steam, transport, refrigerants, other gases and their potentials; measured months."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from backend.accounting.domain.derivation import recomputed
from backend.accounting.domain.methods.energy import hot_water_heat_gj, steam_heat_gj
from backend.accounting.domain.methods.kinds import MethodKind as M
from backend.accounting.domain.records import Method
from tests.accounting.methods.making import made, refused, tonnes


def test_electricity_bought_and_sold() -> None:
    bought = made(M.PURCHASED_ELECTRICITY, "MWh", factor="0.5366 kgCO2/kWh")
    assert tonnes("5280", bought) == Decimal("2833.248")
    assert tonnes("-280", bought) < 0
    sold = made(M.PURCHASED_ELECTRICITY, "MWh", "GRID_ELECTRICITY", flow="LEAVING", region="CN-SD")
    assert tonnes("100", sold) == Decimal("-61.91")
    assert made(M.PURCHASED_ELECTRICITY, "MWh").value == Decimal("0.5306")


def test_steam_and_hot_water_by_mass_and_as_heat() -> None:
    steam = made(M.STEAM, "t", enthalpy="2800 kJ/kg")
    assert tonnes("10000", steam) == Decimal("2987.886")
    assert steam_heat_gj(Decimal(10000), Decimal(2800)) == Fraction("27162.6")
    assert tonnes("27162.6", made(M.PURCHASED_HEAT, "GJ")) == Decimal("2987.886")
    water = made(M.HOT_WATER, "t", temperature="90 ℃")
    assert hot_water_heat_gj(Decimal(1000), Decimal(90)) == Fraction("293.076")
    assert tonnes("1000", water) == Decimal("32.23836")


def test_waste_heat_counts_nothing() -> None:
    assert made(M.PURCHASED_HEAT, "GJ", wasteHeat="100 %").value == 0
    assert made(M.STEAM, "t", enthalpy="2800 kJ/kg", wasteHeat="40 %", factor="0.1 tCO2/GJ").value == (
        Decimal("2716.26") * Decimal("0.1") * Decimal("0.6") / 1000
    )
    refused("PARAMETER_OUT_OF_RANGE", M.STEAM, "t", enthalpy="2.8 kJ/kg")


def test_transport_by_work_and_by_fuel() -> None:
    road = made(M.TRANSPORT_WORK, "t*km", factor="0.85 kgCO2e/t*km", emptyRuns="20 %")
    assert tonnes("1000000", road) == Decimal(1020)
    assert made(M.TRANSPORT_WORK, "t*km", factor="0.85 kgCO2e/(t*km)").value == Decimal("0.00085")
    assert made(M.FUEL_COMBUSTION, "t", "DIESEL").value > 3


@pytest.mark.parametrize(("gwp_set", "co2e"), [("SAR", "310"), ("AR4", "298"), ("AR5", "265"), ("AR6", "273")])
def test_nitrous_oxide_of_adipic_acid_by_every_set(gwp_set: str, co2e: str) -> None:
    acid = made(M.OTHER_GAS, "t", gas="N2O", factor="300 kgN2O/t", abatement="90 %", gwp_set=gwp_set)
    assert tonnes("1000", acid) == Decimal(30) * Decimal(co2e)
    acid = made(
        M.OTHER_GAS, "t", gas="N2O", factor="300 kgN2O/t", abatement="90 %", abatementUse="80 %", gwp_set=gwp_set
    )
    assert tonnes("1000", acid) == Decimal(84) * Decimal(co2e)
    refused("PARAMETER_UNUSED", M.OTHER_GAS, "t", gas="N2O", factor="300 kgN2O/t", abatementUse="80 %")
    assert made(M.OTHER_GAS, "t", gas="n2o", factor="0.3 t/t").gases[0].gas == "N2O"
    refused("PARAMETER_UNIT_DOES_NOT_FIT", M.OTHER_GAS, "t", gas="N2O", factor="3 kgCH4/t")


def test_vented_natural_gas_by_volume() -> None:
    assert tonnes("0.5", made(M.OTHER_GAS, "1e4Nm3", gas="CH4", factor="7.17 tCH4/1e4Nm3")) == Decimal("100.38")
    refused("PARAMETER_OUT_OF_RANGE", M.OTHER_GAS, "t", gas="CH4", factor="7.17 tCH4/t")


def test_refrigerants_and_sf6() -> None:
    assert tonnes("0.012", made(M.REFRIGERANT_BALANCE, gas="R410A")) == Decimal("0.012") * Decimal("1923.5")
    assert tonnes("0.5", made(M.LEAK_RATE, gas="SF6", leakRate="0.5 %")) == Decimal("0.0025") * 23500


def test_products_by_their_footprint_and_the_share_allocated() -> None:
    goods = made(M.PURCHASED_GOODS, "t", factor="2 tCO2e/t", allocation="25 %")
    assert goods.value == Decimal("0.5")
    assert made(M.PRODUCT_USE, "MWh", factor="1 kgCO2e/kWh").value == 1


def test_methane_and_nitrous_oxide_beside_co2_and_biogenic_co2_beside_the_total() -> None:
    wood = made(
        M.FUEL_COMBUSTION,
        "t",
        ncv="16 GJ/t",
        carbonPerHeat="0.0305 tC/GJ",
        oxidation="100 %",
        biogenicShare="100 %",
        methane="30 kgCH4/TJ",
        nitrousOxide="4 kgN2O/TJ",
    )
    gwps = {"CO2": 1, "CO2_BIOGENIC": 0, "CH4": 28, "N2O": 265}
    assert {t.gas: int(t.gwp) for t in wood.gases} == gwps
    assert wood.value == Decimal(16) / 1000 * (Decimal("0.03") * 28 + Decimal("0.004") * 265)
    biogenic = wood.gases[1].value
    assert abs(Fraction(biogenic) - 16 * Fraction("0.0305") * Fraction(44, 12)) < Fraction(1, 10**18)


def test_a_measured_month_is_the_mass_over_the_flow() -> None:
    month = made(M.CONTINUOUS, "1e4Nm3", mass="5760.0001 t", dryFlow="2400.3 1e4Nm3")
    assert month.method is Method.MEASURED
    assert tonnes("2400.3", month) == Decimal("5760.0001")
    assert recomputed(month.steps[0]) == Fraction("5760.0001") / Fraction("2400.3")
    day = made(M.SAMPLED, "1e4Nm3", concentration="240 g/m3")
    assert tonnes("2400", day) == Decimal(5760)
    by_volume = made(M.SAMPLED, "1e4Nm3", volumeShare="12 %")
    assert abs(by_volume.steps[0].shown - Decimal("235.618")) < Decimal("0.01")
    wet = made(M.SAMPLED, "1e4Nm3", concentration="240 g/m3", moisture="20 %")
    assert wet.value == Decimal(3)
    refused("CONCENTRATION_TWICE", M.SAMPLED, "1e4Nm3", concentration="240 g/m3", volumeShare="12 %")
    refused("VOLUME_SHARE_OF_CO2_ONLY", M.SAMPLED, "1e4Nm3", gas="CH4", volumeShare="12 %")
