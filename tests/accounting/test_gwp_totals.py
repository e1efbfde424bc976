"""Totals by every set of warming potentials, from the masses by gas; an independent calculation in fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tenants.access import Role
from tests.accounting.test_inventories import INVENTORY
from tests.accounting.test_methods import FUGITIVE, PROCESS
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.methods import method

TOTAL = "gwpSet co2eT unsplitT biogenicT byCategory { category directKind co2eT unsplitT } lacking { gas massT }"
BY_SET = f"""query T($at: ID!, $sets: [GwpSet!]) {{
  totalsByGwpSet(organisationId: $at, year: 2024, gwpSets: $sets) {{ {TOTAL} }} }}"""
POTENTIALS = {
    "SAR": {"CO2": "1", "CH4": "21", "N2O": "310", "SF6": "23900", "CF4": "6500", "C2F6": "9200"},
    "AR4": {"CO2": "1", "CH4": "25", "N2O": "298", "SF6": "22800", "CF4": "7390", "C2F6": "12200", "NF3": "17200"},
    "AR5": {"CO2": "1", "CH4": "28", "N2O": "265", "SF6": "23500", "CF4": "6630", "C2F6": "11100", "NF3": "16100"},
    "AR6": {"CO2": "1", "CH4": "27.9", "N2O": "273", "SF6": "25200", "CF4": "7380", "C2F6": "12400", "NF3": "17400"},
}
SMELTED = [("2024-05", "33333.333333333333"), ("2024-06", "0.000012345678")]
DECLARED = {"CH4": "3.123456789012", "N2O": "0.07", "NF3": "0.5", "CO2": "12.5", "CO2_BIOGENIC": "7.25"}


def kept(value: Fraction) -> Fraction:
    """To 9 decimals, half away from zero."""
    scaled = abs(value) * 10**9
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value >= 0 else -whole, 10**9)


def expected(gwp_set: str) -> dict[str, Fraction]:
    """By term: what is smelted, leaks, is declared, and is known as CO2 equivalent alone."""
    gwp = {gas: Fraction(value) for gas, value in POTENTIALS[gwp_set].items()}
    smelted = sum(
        (
            kept(Fraction(quantity) * Fraction(per_t) / 1000 * gwp[gas])
            for _, quantity in SMELTED
            for gas, per_t in (("CF4", "0.034"), ("C2F6", "0.0034"))
        ),
        Fraction(),
    )
    declared = sum((kept(Fraction(mass) * gwp[gas]) for gas, mass in DECLARED.items() if gas in gwp), Fraction())
    leaked = kept(Fraction("1.5") * gwp["SF6"])
    return {"PROCESS": smelted, "FUGITIVE": leaked, "None": declared, "STATIONARY": Fraction(3)}


async def smelter(works: Works) -> None:
    potline = await works.source("AL", {"code": "a", "unit": "t", "method": method("ANODE_EFFECT")}, **PROCESS)
    for month, quantity in SMELTED:
        await works.burn(potline, month, quantity, "t")
    switch = {"code": "a", "unit": "t", "method": method("REFRIGERANT_BALANCE", gas="SF6")}
    await works.burn(await works.source("SF6", switch, **FUGITIVE), "2024-06", "1.5", "t")
    mixed = await works.source("MIX", {"code": "a", "ownFactor": {"value": "2", "unit": "t", "source": "x"}})
    await works.burn(mixed, "2024-06", "1.5", "t")
    other = await works.source("REST", category="OTHER", directKind=None)
    for gas, mass in DECLARED.items():
        await works.declare(sourceId=other, gas=gas, massT=mass, firstMonth="2024-01")


def check(total: dict[str, Any]) -> None:
    wanted = expected(total["gwpSet"])
    shown = {str(c["directKind"]): Fraction(c["co2eT"]) for c in total["byCategory"]}
    assert shown == wanted
    assert Fraction(total["co2eT"]) == sum(wanted.values())
    assert (Fraction(total["unsplitT"]), Fraction(total["biogenicT"])) == (Fraction(3), Fraction("7.25"))
    lacking = [{"gas": "NF3", "massT": "0.5"}] if total["gwpSet"] == "SAR" else []
    assert total["lacking"] == lacking


async def test_a_year_under_every_set(works: Works) -> None:
    await smelter(works)
    found = (await works.engineer.ask(BY_SET, at=works.group_id))["totalsByGwpSet"]
    assert [t["gwpSet"] for t in found] == ["SAR", "AR4", "AR5", "AR6"]
    for total in found:
        check(total)
    # What is kept is kept by the boundary's set: the same total as that set gives.
    year = "query Y($at: ID!) { ghgProtocolTotals(organisationId: $at, year: 2024) { totalT } }"
    kept_t = (await works.engineer.ask(year, at=works.group_id))["ghgProtocolTotals"]["totalT"]
    assert abs(Decimal(kept_t) - Decimal(found[2]["co2eT"])) <= Decimal("0.000000005")


async def test_an_inventory_stays_as_it_was_frozen(works: Works) -> None:
    await smelter(works)
    given = {"organisationId": works.site_id, "firstMonth": "2024-01"}
    made = await works.engineer.do("createInventory", given, INVENTORY)
    key = made["inventory"]["id"]
    await works.engineer.do("submitInventory", {"id": key}, INVENTORY)
    of = f"... on Inventory {{ totalsByGwpSet(gwpSets: [AR6, SAR]) {{ {TOTAL} }} }}"
    query = f"query I($id: ID!) {{ node(id: $id) {{ {of} }} }}"
    found = (await works.engineer.ask(query, id=key))["node"]["totalsByGwpSet"]
    assert [t["gwpSet"] for t in found] == ["AR6", "SAR"]
    for total in found:
        check(total)


@pytest.mark.parametrize("sets", [[], ["AR6", "AR6"]])
async def test_each_set_is_answered_once(works: Works, sets: list[str]) -> None:
    found = (await works.engineer.ask(BY_SET, at=works.group_id, sets=sets))["totalsByGwpSet"]
    assert [(t["gwpSet"], t["co2eT"]) for t in found] == [(s, "0") for s in dict.fromkeys(sets)]


async def test_a_site_out_of_reach_is_not_told(works: Works) -> None:
    other = await works.site("S2")
    outsider = await works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(other)))
    response = await outsider.run(BY_SET, at=works.site_id)
    assert [e["extensions"]["code"] for e in response.errors] == ["NOT_FOUND"]
