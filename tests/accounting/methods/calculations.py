"""How each kind of published vector is computed: from its inputs, by the product, to the figures it publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from backend.accounting.domain.dimensions import unit_of
from backend.accounting.domain.expressions.values import Value, evaluate
from backend.accounting.domain.means import Displayed, MonthMean, Sample, State, display, month_mean, year_mean
from backend.accounting.domain.methods.cement import substitution_rate
from backend.accounting.domain.methods.energy import steam_heat_gj
from backend.accounting.domain.methods.kinds import MethodKind as M
from backend.accounting.domain.monitored import Covered, surcharge
from backend.accounting.domain.records import weigh
from backend.accounting.domain.uncertainty import Uncertainty, of_product
from tenants.domain import GwpSet
from tests.accounting.methods.making import made, tonnes
from tests.accounting.test_coefficients import library

Figures = Mapping[str, Any]
Calculation = Callable[[Figures], dict[str, Any]]
DAY: Final = date(2024, 6, 15)


def _enterprise(given: Figures) -> dict[str, Any]:
    total = given["fossil"] + given["process"] + given["net_power"] - given["embedded_in_products"]
    intensity = display(Fraction(total) / Fraction(given["crude_steel_1e4t"]), Displayed.INTENSITY)
    return {"total_1e4tCO2": total, "intensity_tCO2_per_t": intensity}


def _processes(given: Figures) -> dict[str, Any]:
    """The publication prints 497.64 for parts that add up to 497.62: it rounded the parts after adding."""
    total = sum(v for v in given.values() if isinstance(v, Decimal))
    return {"sum_1e4tCO2": total, "recomputed": total}


def _months(given: Figures) -> dict[str, Any]:
    parts = [given[name] for name in ("fossil", "process", "net_power", "net_heat")]
    months = [sum(values) for values in zip(*parts, strict=True)]
    months = [m - e for m, e in zip(months, given["embedded"], strict=True)]
    shown = [display(m, Displayed.ENTERPRISE_TOTAL) for m in months]
    return {"monthly_total_tCO2": shown, "annual_of_rounded": sum(shown), "annual_unrounded": sum(months)}


def _natural_gas(given: Figures) -> dict[str, Any]:
    quantity, oxidation = str(given["FC_1e4Nm3"]), f"{given['OF']} 1"
    ncv, carbon = f"{given['NCV']} GJ/1e4Nm3", f"{given['CC']} tC/GJ"
    one = made(M.FUEL_COMBUSTION, "1e4Nm3", ncv=ncv, carbonPerHeat=carbon, oxidation=oxidation)
    # What it publishes rounds an intermediate: carbon to two decimals before it is multiplied.
    rounded = round(given["NCV"] * given["CC"], 2)
    published = Fraction(given["FC_1e4Nm3"]) * Fraction(rounded) * Fraction(given["OF"]) * Fraction(44, 12)
    return {
        "heat_GJ": given["FC_1e4Nm3"] * given["NCV"],
        "unrounded_tCO2": tonnes(quantity, one),
        "published_with_CC_rounded_to_5.96": published,
    }


def _electricity(given: Figures) -> dict[str, Any]:
    one = made(M.PURCHASED_ELECTRICITY, "MWh", factor=f"{given['EF_kg_per_kWh']} kgCO2/kWh")
    found = tonnes(str(given["kWh"] / Decimal(1000)), one)
    return {"tCO2": found, "unrounded": found}


def _pound(given: Figures) -> dict[str, Any]:
    ncv, carbon = f"{given['mmbtu_per_t']} GJ/t", f"{given['kgC_per_mmbtu']} kgC/GJ"
    per_pound = tonnes("1", made(M.FUEL_COMBUSTION, ncv=ncv, carbonPerHeat=carbon, oxidation="100 %"))
    found = Fraction(per_pound) / Fraction(given["lb_per_t"])
    return {"tCO2_per_lb": found, "unrounded": found}


def _barrel(given: Figures) -> dict[str, Any]:
    ncv, carbon = f"{given['mmbtu_per_bbl']} GJ/t", f"{given['kgC_per_mmbtu']} kgC/GJ"
    found = tonnes("1", made(M.FUEL_COMBUSTION, ncv=ncv, carbonPerHeat=carbon, oxidation="100 %"))
    return {"tCO2_per_bbl": found, "unrounded": found}


def _coal_tar(given: Figures) -> dict[str, Any]:
    ncv, carbon = f"{given['NCV']} GJ/t", f"{given['CC']} tC/GJ"
    one = made(M.FUEL_COMBUSTION, ncv=ncv, carbonPerHeat=carbon, programme="MEE_STEEL")
    guide = made(M.EMBEDDED_CARBON, material="COAL_TAR", flow="LEAVING", programme="MEE_STEEL")
    return {"EF_tCO2_per_t": -guide.value, "unrounded": one.value}


def _facility(given: Figures) -> dict[str, Any]:
    gwp_set = GwpSet(given["gwp_set"])
    masses = {"CO2": given["CO2_t"], "CH4": given["CH4_t"], "N2O": given["N2O_t"]}
    masses |= {"CO2E": given.get("PFC_tCO2e", Decimal(0)), "CO2_BIOGENIC": given["biogenic_CO2_t"]}
    co2e = {gas: weigh(gas, Decimal(mass), gwp_set, library()).co2e_t for gas, mass in masses.items()}
    assert abs(sum(co2e.values()) - sum(given["by_source_tCO2e"].values())) <= Decimal("0.01")
    return {
        "total_tCO2e": sum(co2e.values()),
        "CH4_tCO2e": co2e["CH4"],
        "N2O_tCO2e": co2e["N2O"],
        "total_excludes_biogenic": co2e["CO2_BIOGENIC"] == 0,
    }


def _adipic(given: Figures) -> dict[str, Any]:
    mass = given["N2O_t"]
    by = {s: weigh("N2O", Decimal(mass), s, library()).co2e_t for s in GwpSet}
    return {"tCO2e": by[GwpSet(given["gwp_set"])], "would_be_AR5": by[GwpSet.AR5], "would_be_AR6": by[GwpSet.AR6]}


def _soda_ash(given: Figures) -> dict[str, Any]:
    return {"facility_tCO2": sum(given["unit_tCO2"].values())}


def _coal_without_oxidation(given: Figures) -> dict[str, Any]:
    terms = {"ncv": f"{given['NCV']} GJ/t", "carbonPerHeat": f"{given['CC']} tC/GJ"}
    quantity = str(given["FC_t"])
    return {
        "tCO2": tonnes(quantity, made(M.FUEL_COMBUSTION, programme="MEE_STEEL", **terms)),
        "wrong_with_OF_0.99": tonnes(quantity, made(M.FUEL_COMBUSTION, oxidation="99 %", **terms)),
    }


def _steel(given: Figures) -> dict[str, Any]:
    def part(name: str, kind: M, material: str, flow: str = "CONSUMED") -> Decimal:
        return tonnes(str(given[name]), made(kind, material=material, flow=flow, programme="MEE_STEEL"))

    added = {
        "coking": part("washed_coal_t", M.FUEL_COMBUSTION, "WASHED_COKING_COAL"),
        "pci": part("bituminous_t", M.FUEL_COMBUSTION, "BITUMINOUS_COAL"),
        "lime": part("limestone_t", M.STEEL_MATERIAL, "LIMESTONE"),
        "dol": part("dolomite_t", M.STEEL_MATERIAL, "DOLOMITE"),
        "elec": part("electrode_t", M.STEEL_MATERIAL, "GRAPHITE_ELECTRODE"),
        "scrap": part("scrap_t", M.STEEL_MATERIAL, "SCRAP_STEEL"),
    }
    taken = {
        "steel": -part("crude_steel_t", M.EMBEDDED_CARBON, "CRUDE_STEEL", "LEAVING"),
        "tar": -part("tar_sold_t", M.EMBEDDED_CARBON, "COAL_TAR", "LEAVING"),
        "bz": -part("benzol_sold_t", M.EMBEDDED_CARBON, "CRUDE_BENZOL", "LEAVING"),
    }
    total = sum(added.values(), Decimal(0)) - sum(taken.values(), Decimal(0))
    shown = display(total, Displayed.ENTERPRISE_TOTAL)
    return {**added, **taken, "total_tCO2": total, "total_reported_integer": shown}


def _clinker(given: Figures) -> dict[str, Any]:
    clinker = made(M.CLINKER_TYPE, factor=f"{given['EF']} tCO2/t")
    slag = made(M.ALTERNATIVE_RAW_MATERIAL, deduction=f"{given['deduction']} tCO2/t")
    amounts = (given["clinker_t"], given["carbide_slag_t"])
    rate = substitution_rate(Decimal(amounts[1]), given["deduction"], Decimal(amounts[0]), given["EF"])
    total = tonnes(str(amounts[0]), clinker) + tonnes(str(amounts[1]), slag)
    return {"tCO2": total, "carbide_substitution_rate": rate}


def _anode_effect(given: Figures) -> dict[str, Any]:
    factors = {"cf4Factor": f"{given['EF_CF4']} kgCF4/tAl", "c2f6Factor": f"{given['EF_C2F6']} kgC2F6/tAl"}
    return {"tCO2e": tonnes(str(given["Al_t"]), made(M.ANODE_EFFECT, **factors))}


def _steam(given: Figures) -> dict[str, Any]:
    steam = made(M.STEAM, enthalpy=f"{given['h']} kJ/kg", factor=f"{given['EF']} tCO2/GJ")
    heat = steam_heat_gj(Decimal(given["t"]), Decimal(given["h"]))
    return {"GJ": heat, "tCO2": tonnes(str(given["t"]), steam)}


def _heat_value(given: Figures) -> dict[str, Any]:
    months = [MonthMean(DAY, Decimal(m["ncv"]), Decimal(m["q"])) for m in given["monthly"]]
    simple = month_mean(State.FLUID, [Sample(Decimal(m["ncv"])) for m in given["monthly"]])
    mean = year_mean(months)
    assert mean is not None
    return {"annual_ncv_3dp": display(mean, Displayed.NCV), "wrong_simple_mean": simple}


def _stock(given: Figures) -> dict[str, Any]:
    """The stock book as a formula; the book itself is tried through the API."""
    parts = {name: Value(Fraction(v), unit_of("t").bases) for name, v in given.items()}
    return {"consumption": evaluate("opening + purchased − closing − sold", parts).value}


def _uncalibrated(given: Figures) -> dict[str, Any]:
    return {"used": Fraction(given["reading"]) * (1 + surcharge(DAY, given["required_accuracy"], []))}


def _out_of_class(given: Figures) -> dict[str, Any]:
    poor = [Covered(DAY, DAY, given["calibrated"])]
    return {"used": Fraction(given["reading"]) * (1 + surcharge(DAY, given["required"], poor))}


def _measured_day(given: Figures) -> dict[str, Any]:
    flow, concentration = given["dry_flow_1e4Nm3_per_d"], given["conc_g_per_m3"]
    return {"t_per_d": tonnes(str(flow), made(M.SAMPLED, "1e4Nm3", concentration=f"{concentration} g/m3"))}


def _by_volume(given: Figures) -> dict[str, Any]:
    return {"g_per_m3": made(M.SAMPLED, "1e4Nm3", volumeShare=f"{given['vol_pct']} %").steps[0].shown}


def _product_uncertainty(given: Figures) -> dict[str, Any]:
    return {"U": of_product([Uncertainty(given["U_AD"]), Uncertainty(given["U_EF"])])}


CALCULATIONS: Final[Mapping[str, Calculation]] = {
    "steel-jsl-process-2021": _processes,
    "steel-jsl-": _enterprise,
    "steel-anon-monthly": _months,
    "ng-": _natural_gas,
    "power-scope2-": _electricity,
    "epa-coal-lb": _pound,
    "epa-crude-bbl": _barrel,
    "steel-guide-coaltar": _coal_tar,
    "ghgrp-adipic-": _adipic,
    "ghgrp-sodaash-": _soda_ash,
    "ghgrp-": _facility,
    "steel-mee-coal-": _coal_without_oxidation,
    "steel-mee-full": _steel,
    "cement-mee-": _clinker,
    "al-pfc-": _anode_effect,
    "steam-heat": _steam,
    "weighted-ncv": _heat_value,
    "stock-change": _stock,
    "calib-fuel-late": _uncalibrated,
    "calib-fuel-out": _out_of_class,
    "cems-day": _measured_day,
    "cems-volpct": _by_volume,
    "uncert-product": _product_uncertainty,
}
"""By the beginning of a vector's id, the longest that fits."""


def calculation_of(key: str) -> Calculation | None:
    fitting = [start for start in CALCULATIONS if key.startswith(start)]
    return CALCULATIONS[max(fitting, key=len)] if fitting else None


def misses(key: str, inputs: Figures, expected: Figures, tolerance: Any) -> list[str]:
    """Where what we compute is not what the vector expects."""
    calculate = calculation_of(key)
    if calculate is None:
        return [f"{key}: no way to compute it"]
    found = calculate(inputs)
    missed = []
    for name, value in expected.items():
        allowed = tolerance[name.partition("_")[0]] if isinstance(tolerance, Mapping) else tolerance
        ours = found.get(name)
        pairs = zip(ours, value, strict=True) if isinstance(value, list) and ours else [(ours, value)]
        missed += [f"{key}.{name}: {a}, not {b}" for a, b in pairs if not _near(a, b, allowed)]
    return missed


def _near(ours: Any, theirs: Any, tolerance: Any) -> bool:
    if isinstance(theirs, bool):
        return ours is theirs
    return ours is not None and abs(Fraction(ours) - Fraction(theirs)) <= Fraction(tolerance)
