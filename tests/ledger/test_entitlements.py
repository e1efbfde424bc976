"""What a plan allocates, through the public door: the published examples, and what no plan is held for."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.fixtures.ledger import Group
from tests.fixtures.shared_data import shared_file

ASK = """query Q($input: AllowanceEntitlementInput!) { allowanceEntitlement(input: $input) {
  market sector year on method allowance preAllocation rules { code level state }
  figures { code part value measure formula rule source } } }"""
ON = "2026-11-20"


def vector(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and expected figures of a published example, exactly as written."""
    text = shared_file("domain/vectors.json").read_text(encoding="utf-8")
    (found,) = (v for v in json.loads(text, parse_float=Decimal)["vectors"] if v["id"] == name)
    return found["inputs"], found["expected"]


async def reckon(group: Group, sector: str, year: int, **more: Any) -> dict[str, Any]:
    given = {"sector": sector, "year": year, "on": ON} | more
    found: dict[str, Any] = (await group.manager.ask(ASK, input=given))["allowanceEntitlement"]
    values = {(f["part"], f["code"]): Decimal(f["value"]) for f in found["figures"]}
    return found | {"by": {code: value for (_, code), value in values.items()}, "values": values}


def coal(electricity: object, heat: object = "0", load: object = "0.8", **more: Any) -> dict[str, Any]:
    made = {"name": "1#", "kind": "COAL_ABOVE_300MW", "electricity": str(electricity), "heat": str(heat)}
    return made | {"loadFactor": str(load)} | more


def line(verified: object, lead: object = "0", **more: Any) -> dict[str, Any]:
    """A line whose intensity is so much better than a balance point of 1."""
    made = {"name": "A", "verified": str(verified), "balancePoint": "1", "intensity": str(1 - Decimal(str(lead)))}
    return made | more


@pytest.mark.parametrize("name", ["ets-power-2024-peak", "ets-power-2024-noPeak"])
async def test_power(group: Group, name: str) -> None:
    given, expected = vector(name)
    unit = coal(given["Qe_MWh"], given["Qh_GJ"], given["F"])
    found = await reckon(group, "POWER", 2024, powerUnits=[unit])
    assert (found["by"]["ELECTRICITY_BENCHMARK"], found["by"]["HEAT_BENCHMARK"]) == (given["Be"], given["Bh"])
    assert abs(Decimal(found["allowance"]) - expected["A"]) <= 1
    if "Ff" in expected:
        assert found["by"]["LOAD_CORRECTION"] == expected["Ff"]
        assert abs(found["by"]["ELECTRICITY"] - expected["Ae"]) <= 1
        assert found["by"]["HEAT"] == expected["Ah"]
    assert found["method"] == "BENCHMARK"
    assert all(f["rule"] and f["source"] for f in found["figures"])
    looked_up = next(f for f in found["figures"] if f["code"] == "ELECTRICITY_BENCHMARK")
    assert (looked_up["rule"], looked_up["measure"]) == ("MEE-POWER-ALLOCATION COAL_ABOVE_300MW", "tCO2/MWh")
    assert next(f["rule"] for f in found["figures"] if f["code"] == "ELECTRICITY") == "CN-POWER-2023-2024"


async def test_the_shortfall_is_capped(group: Group) -> None:
    given, expected = vector("ets-gap-cap")
    units = [coal("500000"), coal("384955.7523", name="2#")]
    found = await reckon(group, "POWER", 2024, powerUnits=units, verified=str(given["verified"]))
    assert found["by"]["INITIAL"] == given["initial"]
    assert found["values"]["2#", "PART"] + found["values"]["1#", "PART"] == given["initial"]
    assert (found["by"]["SHORTFALL_TOP_UP"], found["by"]["FINAL"]) == (expected["top_up"], expected["final"])
    assert (found["by"]["SHORTFALL_RATE"], found["allowance"]) == (expected["gap_rate"], str(expected["final"]))
    assert [r["code"] for r in found["rules"]] == ["CN-POWER-2023-2024", "CN-SHORTFALL-20"]


async def test_gas_is_topped_up_to_what_was_verified(group: Group) -> None:
    unit = {"name": "G", "kind": "GAS", "electricity": "1000", "heat": "100", "verified": "400.9"}
    found = await reckon(group, "POWER", 2023, powerUnits=[unit])
    assert (found["by"]["ELECTRICITY"], found["by"]["HEAT"]) == (330, 5)
    assert (found["by"]["GAS_TOP_UP"], found["allowance"]) == (65, "400")


@pytest.mark.parametrize("name", ["ets-intensity-0.25", "ets-intensity-0.1", "ets-intensity--0.1"])
async def test_intensity(group: Group, name: str) -> None:
    given, expected = vector(name)
    found = await reckon(group, "CEMENT", 2025, lines=[line(given["E"], given["X"])])
    assert (found["by"]["LEAD"], found["by"]["ALPHA"]) == (given["X"], expected["alpha"])
    assert found["allowance"] == str(expected["A"])
    assert found["rules"] == [{"code": "CN-INDUSTRY-2025", "level": "DRAFT", "state": "IN_FORCE"}]
    special = await reckon(group, "CEMENT", 2025, lines=[line(given["E"], given["X"], special=True)])
    assert special["allowance"] == str(given["E"])


async def test_rounded_down(group: Group) -> None:
    given, expected = vector("ets-floor")
    found = await reckon(group, "STEEL", 2024, lines=[line(given["value"])])
    assert (found["allowance"], found["method"]) == (str(expected["allowance"]), "VERIFIED")
    early = await reckon(group, "STEEL", 2025, lines=[line("9")], previousVerified="8.57")
    assert (early["preAllocation"], early["by"]["ADJUSTMENT"]) == ("5", 4)


async def test_a_deduction_that_is_given_back(group: Group) -> None:
    given, expected = vector("ets-claw-back")
    found = await reckon(
        group, "ALUMINIUM", 2025, lines=[line(given["final_alloc"])], previousVerified="8",
        deductionOwed=str(given["deduction_owed"]),
    )  # fmt: skip
    assert (found["preAllocation"], found["by"]["ADJUSTMENT"]) == (str(given["pre_alloc"]), -2)
    assert {
        "pre_stage_deducted": found["by"]["PRE_DEDUCTED"],
        "pre_issued": found["by"]["PRE_ISSUED"],
        "returned_deduction": found["by"]["DEDUCTION_RETURNED"],
        "final_issued": found["by"]["FINAL_ISSUED"],
        "remaining_to_deduct": found["by"]["DEDUCTION_LEFT"],
    } == expected
    assert [r["code"] for r in found["rules"]][1:] == ["CN-PRE-ALLOCATION-INDUSTRY-70", "CN-DEDUCTION-2025"]


async def test_an_entity_at_risk(group: Group) -> None:
    given, expected = vector("ets-differentiated-A")
    found = await reckon(group, "STEEL", 2025, lines=[line(given["issued"])], due=str(given["due"]))
    assert (found["by"]["TO_ACCOUNT"], found["by"]["LACKING"]) == (expected["to_entity_account"], expected["shortfall"])


@pytest.mark.parametrize(
    ("changes", "code", "known"),
    [
        ({"sector": "POWER", "year": 2025}, "NO_ALLOCATION_DATA", "POWER 2023-2024 (CN-POWER-2023-2024)"),
        ({"sector": "STEEL", "year": 2023}, "NO_ALLOCATION_DATA", "STEEL, CEMENT, ALUMINIUM 2025-2026"),
        ({"sector": "STEEL", "year": 2035}, "NO_ALLOCATION_DATA", "2024-2024 (CN-INDUSTRY-2024)"),
        ({"sector": "STEEL", "market": "BJ"}, "NO_ALLOCATION_DATA", "holds: -"),
        ({"on": "2024-10-14"}, "NO_ALLOCATION_DATA", "2024-10-14"),
        ({"market": "MARS"}, "UNKNOWN_MARKET", "CN, "),
        ({"powerUnits": []}, "WRONG_PARTS", "powerUnits"),
        ({"sector": "STEEL"}, "WRONG_PARTS", "lines"),
        ({"deductionOwed": "1"}, "NO_ALLOCATION_DATA", "CN-DEDUCTION-2025"),
        ({"due": "1"}, "NO_ALLOCATION_DATA", "CN-RETENTION-2025"),
        ({"powerUnits": [coal(1, load="1.01")]}, "MISSING_FIGURE", "loadFactor"),
        ({"powerUnits": [coal(1) | {"loadFactor": None}]}, "MISSING_FIGURE", "loadFactor"),
        ({"powerUnits": [coal("-1")]}, "MISSING_FIGURE", "electricity"),
        ({"verified": "1000000000001"}, "MISSING_FIGURE", "verified"),
        ({"powerUnits": [coal(1) | {"verified": "1e99"}]}, "MISSING_FIGURE", "verified"),
        (
            {"sector": "STEEL", "year": 2025, "powerUnits": [], "lines": [line(1, balancePoint="0")]},
            "MISSING_FIGURE",
            "balancePoint",
        ),
        ({"sector": "STEEL", "powerUnits": [], "lines": [line(1)], "previousVerified": "1"}, "NO_ALLOCATION_DATA",
         "CN-PRE-ALLOCATION-INDUSTRY-70"),
    ],
)  # fmt: skip
async def test_what_is_not_held_is_not_reckoned(group: Group, changes: dict[str, Any], code: str, known: str) -> None:
    given: dict[str, Any] = {"sector": "POWER", "year": 2024, "on": ON, "powerUnits": [coal(1)]}
    response = await group.manager.run(ASK, input=given | changes)
    assert [e["extensions"]["code"] for e in response.errors] == [code]
    assert known in response.errors[0]["message"]
