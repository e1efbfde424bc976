"""Sub-types of the six categories, and the same tonnes by scope of the GHG Protocol."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.categories import mappings
from backend.accounting.domain.sources import SUBTYPES
from backend.accounting.service.results import EmissionReader
from backend.kit.database import UnitOfWork
from tests.fixtures.accounting import Works, uuid_of

TOTALS = """query T($at: ID!, $year: Int!) { ghgProtocolTotals(organisationId: $at, year: $year) {
  totalT totals { scope scope3Category co2eT } bySubtype { category subtype isoCategory co2eT } } }"""
KINDS = {"directKind": None}


async def emitting(works: Works, code: str, category: str, subtype: str | None, tonnes: str, **fields: Any) -> str:
    """A source with a declared year."""
    made = await works.source(code, category=category, subtype=subtype, **{**KINDS, **fields})
    await works.declare(sourceId=made, massT=tonnes, method="FACTOR", firstMonth="2024-01")
    return made


async def test_scopes_add_up_to_the_categories(works: Works) -> None:
    await emitting(works, "KILN", "DIRECT", None, "1000.1", directKind="PROCESS")
    await emitting(works, "POWER", "IMPORTED_ENERGY", "ELECTRICITY", "500.02")
    await emitting(works, "AIR", "IMPORTED_ENERGY", "COMPRESSED_AIR", "-0.5")
    await emitting(works, "GOODS", "PRODUCTS_USED", "PURCHASED_GOODS", "70.003")
    await emitting(works, "ADVICE", "PRODUCTS_USED", "PURCHASED_SERVICES", "7")
    await emitting(works, "TRUCKS", "TRANSPORT", "DOWNSTREAM_FREIGHT", "30")
    await emitting(works, "GUESTS", "TRANSPORT", "VISITORS", "1")
    await emitting(works, "REST", "OTHER", None, "2")
    coal = await works.fuel("烟煤")
    await works.burn(coal, "2024-05", "3", "t")
    found = (await works.engineer.ask(TOTALS, at=works.group_id, year=2024))["ghgProtocolTotals"]
    by_scope = {(t["scope"], t["scope3Category"]): Decimal(t["co2eT"]) for t in found["totals"]}
    (burnt,) = await works.results(coal, 2024)
    assert by_scope == {
        ("SCOPE_1", None): Decimal("1000.1") + Decimal(burnt["co2eT"]),
        ("SCOPE_2", None): Decimal("499.52"),
        ("SCOPE_3", 1): Decimal("77.003"),
        ("SCOPE_3", 9): Decimal(30),
        ("SCOPE_3", None): Decimal(3),
    }
    async with works.world.owner.read(works.world.tenant_id) as session:
        kept = await EmissionReader.category_totals(session, [uuid_of(works.site_id)], 2024, 2024)
    categories: dict[str, Decimal] = {}
    for total in kept:
        categories[total.category] = categories.get(total.category, Decimal(0)) + total.co2e_t
    shown: dict[str, Decimal] = {}
    for row in found["bySubtype"]:
        shown[row["category"]] = shown.get(row["category"], Decimal(0)) + Decimal(row["co2eT"])
    assert shown == categories
    assert Decimal(found["totalT"]) == sum(categories.values()) == sum(by_scope.values())


async def test_a_source_is_classified_again_with_a_reason(works: Works) -> None:
    made = await emitting(works, "POWER", "IMPORTED_ENERGY", None, "5")
    given = {"sourceId": made, "subtype": "HEAT", "reason": "供热合同"}
    done = await works.engineer.do("classifyEmissionSource", given, "source { subtype }")
    assert done["source"]["subtype"] == "HEAT"
    nameless = await works.engineer.attempt("classifyEmissionSource", {**given, "reason": ""}, "source { id }")
    assert nameless["errors"][0]["code"] == "REASON_MISSING"
    wrong = await works.engineer.attempt("classifyEmissionSource", {**given, "subtype": "WASTE"}, "source { id }")
    assert (wrong["errors"][0]["code"], wrong["errors"][0]["path"]) == ("SUBTYPE_MISMATCH", ["subtype"])
    forbidden = await works.monitor.attempt("classifyEmissionSource", given, "source { id }")
    assert forbidden["errors"][0]["code"] == "FORBIDDEN"
    new = works.source_input("X", category="OTHER", directKind=None, subtype="WASTE")
    refused = await works.engineer.attempt("createEmissionSource", new, "source { id }")
    assert refused["errors"][0]["code"] == "SUBTYPE_MISMATCH"

    async def by_hand(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE emission_source SET subtype = 'WASTE' WHERE id = :id", {"id": uuid_of(made)})

    with pytest.raises(DBAPIError, match="subtype_of_its_category"):
        await works.world.owner.write(works.world.tenant_id, by_hand)


async def test_the_list_says_where_each_belongs(works: Works) -> None:
    query = "{ emissionSubtypes { category subtype scope scope3Category isoCategory } }"
    listed = (await works.monitor.ask(query))["emissionSubtypes"]
    assert {m["scope3Category"] for m in listed} == {None, *range(1, 16)}
    assert {m["isoCategory"] for m in listed} == set(range(1, 7))
    assert len(listed) == len(mappings()) == 6 + sum(map(len, SUBTYPES.values()))
