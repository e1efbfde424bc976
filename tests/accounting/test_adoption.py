"""Adopting factor sets: what it would change, what it changes, and what it leaves alone."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from backend.accounting.service.results import ResultService
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.factors import SET, WHOLE_COAL, OwnSets, adopt, report, tonnes, value


@pytest.fixture
def own(works: Works) -> OwnSets:
    return OwnSets(works.world, works.group_id)


async def steps(works: Works, source: str, year: int = 2024) -> list[tuple[str, str, str]]:
    """Of every coefficient of a year: set and provenance of each step."""
    query = """query C($id: ID!, $year: Int!) { node(id: $id) { ... on EmissionSource { streams {
      coefficient(year: $year) { steps { kind factor { set { code } provenance } } } } } } }"""
    (stream,) = (await works.engineer.ask(query, id=source, year=year))["node"]["streams"]
    found = stream["coefficient"]["steps"]
    return [(s["kind"], s["factor"]["set"]["code"], s["factor"]["provenance"]) for s in found if s["factor"]]


async def in_force(works: Works, organisation_id: str) -> str:
    """The set the boundary of an organisation names today."""
    query = "query B($id: ID!) { node(id: $id) { ... on Organisation { boundary { factorSet } } } }"
    return str((await works.engineer.ask(query, id=organisation_id))["node"]["boundary"]["factorSet"])


async def test_the_report_is_what_adoption_does(works: Works, own: OwnSets) -> None:
    coal, power = await works.fuel("烟煤"), await works.fuel("GRID_ELECTRICITY", factorYear=2023)
    for month in ("2024-01", "2024-02", "2024-03"):
        await works.burn(coal, month, "1000", "t")
        await works.burn(power, month, "10", "MWh")
    before = await tonnes(works, coal)
    await own.approved(*WHOLE_COAL)
    foretold = await report(works, "OWN-HD", "2024-02")
    assert await tonnes(works, coal) == before
    rehearsed = await adopt(works, "OWN-HD", "2024-02", dryRun=True)
    assert (rehearsed["errors"], await tonnes(works, coal)) == ([], before)
    done = await adopt(works, "OWN-HD", "2024-02")
    assert done["errors"] == []
    assert done["report"] == rehearsed["report"] == foretold
    assert (foretold["factorSet"], foretold["changedMonths"]) == ("OWN-HD@1", 2)
    # 1000 t × 20 GJ/t × 0.025 tC/GJ × 0.98 × 44/12 from February on
    after = {"2024-01": before["2024-01"], **dict.fromkeys(("2024-02", "2024-03"), Decimal("1796.666666667"))}
    assert await tonnes(works, coal) == after
    changes = foretold["changes"]["nodes"]
    assert [(c["month"], Decimal(c["oldT"]), Decimal(c["newT"])) for c in changes] == [
        (month, before[month], after[month]) for month in ("2024-02", "2024-03")
    ]
    electricity = sum((await tonnes(works, power)).values(), Decimal(0))
    shown = {c["category"]: (Decimal(c["beforeT"]), Decimal(c["afterT"])) for c in foretold["categories"]}
    moved = before["2024-02"] + before["2024-03"], after["2024-02"] + after["2024-03"]
    assert shown["DIRECT"] == (moved[0] + electricity * 2 / 3, moved[1] + electricity * 2 / 3)
    adoption = done["adoption"]
    assert (Decimal(adoption["beforeT"]), Decimal(adoption["afterT"])) == moved
    rebuilt = await works.world.services.get(ResultService).rebuild(works.world.tenant_id)
    assert rebuilt == 6
    assert await tonnes(works, coal) == after
    listed = await works.engineer.ask("{ factorAdoptions { nodes { id reason factorSet toMonth } } }")
    assert listed["factorAdoptions"]["nodes"] == [
        {"id": adoption["id"], "reason": "采用化验值", "factorSet": "OWN-HD@1", "toMonth": None}
    ]


async def test_what_is_recorded_later_follows_the_adopted_set_by_month(works: Works, own: OwnSets) -> None:
    await own.approved(*WHOLE_COAL)
    assert (await adopt(works, "OWN-HD", "2024-03", toMonth="2024-04"))["errors"] == []
    coal = await works.fuel("烟煤")
    for month in ("2024-02", "2024-03", "2024-04", "2024-05"):
        await works.burn(coal, month, "1", "t")
    found = await tonnes(works, coal)
    assert found["2024-02"] == found["2024-05"] != found["2024-03"] == found["2024-04"]


async def test_the_nearest_adoption_wins_and_can_be_given_up(works: Works, own: OwnSets) -> None:
    await own.approved(*WHOLE_COAL)
    site = OwnSets(works.world, works.site_id)
    await site.approved(value("EMISSION_FACTOR", "2.5", "tCO2/t"), code="OWN-S1")
    coal = await works.fuel("烟煤")
    await works.burn(coal, "2024-01", "1", "t")
    (usual,) = (await tonnes(works, coal)).values()
    await adopt(works, "OWN-HD", "2024-01")
    (group,) = (await tonnes(works, coal)).values()
    here = {"organisationId": works.site_id}
    assert (await adopt(works, "OWN-S1", "2024-01", **here))["errors"] == []
    assert list((await tonnes(works, coal)).values()) == [Decimal("2.5")]
    assert await steps(works, coal) == [("EMISSION_FACTOR", "OWN-S1", "MEASURED")]
    assert (await adopt(works, None, "2024-01", **here))["errors"] == []
    assert list((await tonnes(works, coal)).values()) == [group]
    assert (await adopt(works, None, "2024-01"))["adoption"]["factorSet"] is None
    assert list((await tonnes(works, coal)).values()) == [usual]
    nothing = await adopt(works, None, "2024-01")
    assert nothing["errors"][0]["code"] == "INVALID_INPUT"


async def test_a_material_the_set_lacks_comes_from_the_library_and_says_so(works: Works, own: OwnSets) -> None:
    await own.approved(value("NCV", "20", "GJ/t"))
    coal, coke = await works.fuel("烟煤"), await works.fuel("焦炭")
    await works.burn(coal, "2024-01", "1", "t")
    await works.burn(coke, "2024-01", "1", "t")
    whole = await steps(works, coke)
    await adopt(works, "OWN-HD", "2024-01")
    assert await steps(works, coke) == whole
    assert [(kind, code) for kind, code, _ in await steps(works, coal)] == [
        ("NCV", "OWN-HD"), ("CARBON_PER_HEAT", "MEE-STEEL-2024"), ("OXIDATION", "MEE-STEEL-2024"),
    ]  # fmt: skip


async def test_a_later_version_changes_nothing_until_it_is_adopted(works: Works, own: OwnSets) -> None:
    set_id = await own.approved(*WHOLE_COAL)
    coal = await works.fuel("烟煤")
    await works.burn(coal, "2024-01", "1000", "t")
    await adopt(works, "OWN-HD", "2024-01")
    first = await tonnes(works, coal)
    await own.next(set_id, value("NCV", "21", "GJ/t"), reason="新的化验")
    await works.burn(coal, "2024-02", "1000", "t")
    assert set((await tonnes(works, coal)).values()) == set(first.values())
    old = await adopt(works, "OWN-HD@1", "2024-01")
    assert old["errors"][0]["code"] == "FACTOR_SET_STATE"
    foretold = await report(works, "OWN-HD", "2024-01")
    assert (foretold["factorSet"], foretold["changedMonths"]) == ("OWN-HD@2", 2)
    await adopt(works, "OWN-HD", "2024-01", reason="采用第2版")
    assert set((await tonnes(works, coal)).values()) == {Decimal("1886.5")}


async def test_what_is_submitted_is_not_touched(works: Works, own: OwnSets) -> None:
    coal = await works.fuel("烟煤")
    for month in ("2024-01", "2024-02"):
        await works.burn(coal, month, "1000", "t")
    given = {"organisationId": works.site_id, "firstMonth": "2024-01", "months": 1}
    made = await works.engineer.do("createInventory", given, "inventory { id }")
    await works.engineer.do("submitInventory", {"id": made["inventory"]["id"]}, "inventory { id state }")
    before = await tonnes(works, coal)
    await own.approved(*WHOLE_COAL)
    done = await adopt(works, "OWN-HD", "2024-01")
    assert [(i["id"], i["state"]) for i in done["report"]["frozen"]] == [(made["inventory"]["id"], "SUBMITTED")]
    assert [c["month"] for c in done["report"]["changes"]["nodes"]] == ["2024-02"]
    assert await tonnes(works, coal) == {"2024-01": before["2024-01"], "2024-02": Decimal("1796.666666667")}
    later = await report(works, "OWN-HD", "2024-02")
    assert later["frozen"] == []


async def test_streams_that_would_lack_a_factor(works: Works, own: OwnSets) -> None:
    power = await works.fuel("GRID_ELECTRICITY")
    await works.burn(power, "2022-01", "1", "MWh")
    before = await tonnes(works, power, 2022)
    await own.approved(
        value("EMISSION_FACTOR", "0.4", "kgCO2/kWh", material="GRID_ELECTRICITY", firstYear=2024, provenance="SUPPLIER")
    )
    foretold = await report(works, "OWN-HD", "2022-01")
    (lack,) = foretold["lacking"]
    assert (lack["year"], lack["code"], lack["stream"]["code"]) == (2022, "FACTOR_NOT_FOUND", "a")
    refused = await adopt(works, "OWN-HD", "2022-01")
    assert refused["errors"][0]["code"] == "FACTOR_SET_LACKS_VALUES"
    done = await adopt(works, "OWN-HD", "2022-01", keepLacking=True)
    assert (done["errors"], await tonnes(works, power, 2022)) == ([], before)


@pytest.mark.parametrize("state", ["DRAFT", "PROPOSED", "WITHDRAWN"])
async def test_only_what_is_approved_is_adopted(works: Works, own: OwnSets, state: str) -> None:
    set_id = await own.begin()
    await own.hold(set_id, *WHOLE_COAL)
    if state == "PROPOSED":
        await works.engineer.do("proposeOwnFactorSet", {"setId": set_id}, SET)
    if state == "WITHDRAWN":
        await works.engineer.do("withdrawOwnFactorSet", {"setId": set_id, "reason": "作废"}, SET)
    refused = await adopt(works, "OWN-HD", "2024-01")
    assert refused["errors"][0]["code"] == "FACTOR_SET_STATE"


async def test_who_may_adopt_what_and_where(works: Works, own: OwnSets) -> None:
    await own.approved(*WHOLE_COAL)
    other = await works.site("S2")
    await OwnSets(works.world, other).approved(*WHOLE_COAL, code="OWN-S2")
    for factor_set in ("OWN-S2", "OWN-X", "CONVENIENCE", "MEE-POWER-ALLOCATION"):
        refused = await adopt(works, factor_set, "2024-01", organisationId=works.site_id)
        assert refused["errors"][0]["code"] == "UNKNOWN_FACTOR_SET", factor_set
    nameless = await adopt(works, "OWN-HD", "2024-01", reason=" ")
    assert nameless["errors"][0]["code"] == "REASON_MISSING"
    backwards = await adopt(works, "OWN-HD", "2024-02", toMonth="2024-01")
    assert backwards["errors"][0]["code"] == "BAD_MONTHS"
    given = {"organisationId": works.group_id, "factorSet": "OWN-HD", "fromMonth": "2024-01", "reason": "试"}
    engineer = await works.engineer.attempt("adoptFactorSet", given, "adoption { id }")
    assert engineer["errors"][0]["code"] == "FORBIDDEN"
    local = await works.world.member((Role.TOP_MANAGEMENT, uuid_of(works.site_id)))
    above = await local.attempt("adoptFactorSet", given, "adoption { id }")
    assert above["errors"][0]["code"] in {"FORBIDDEN", "NOT_FOUND"}
    here = await local.do("adoptFactorSet", {**given, "organisationId": works.site_id}, "adoption { factorSet }")
    assert here["adoption"]["factorSet"] == "OWN-HD@1"
    library = await adopt(works, "GBT-32151.5-2015", "2024-01", organisationId=works.site_id)
    assert (library["errors"], library["adoption"]["factorSet"]) == ([], "GBT-32151.5-2015")


async def test_a_factor_set_is_adopted_not_set(works: Works) -> None:
    admin = await works.world.caller(Role.TENANT_ADMINISTRATOR)
    given = {"organisationId": works.group_id, "validFrom": "2024-01-01", "reason": "试"}
    refused = await admin.attempt(
        "setBoundary", {**given, "value": {"factorSet": "GBT-32151.5-2015"}}, "setting { id }"
    )
    assert refused["errors"][0]["code"] == "FACTOR_SET_IS_ADOPTED"
    await adopt(works, "GBT-32151.5-2015", "2024-01")
    assert await in_force(works, works.site_id) == "GBT-32151.5-2015"


async def test_the_changes_come_in_pages(works: Works, own: OwnSets) -> None:
    coal = await works.fuel("烟煤")
    for month in range(1, 6):
        await works.burn(coal, f"2024-0{month}", "1", "t")
    await own.approved(*WHOLE_COAL)
    query = """query R($input: FactorAdoptionInput!, $after: String) { factorAdoptionReport(input: $input) {
      changes(first: 2, after: $after) { nodes { month } pageInfo { hasNextPage endCursor } } } }"""
    given = {"organisationId": works.group_id, "factorSet": "OWN-HD", "fromMonth": "2024-01"}
    seen, after, more = [], None, True
    while more:
        page = (await works.engineer.ask(query, input=given, after=after))["factorAdoptionReport"]["changes"]
        seen += [n["month"] for n in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == [f"2024-0{month}" for month in range(1, 6)]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_there_is_the_report_is_what_adoption_does(works: Works, own: OwnSets, seed: int) -> None:
    """Random fuels, months, quantities and values: report, adoption, a rebuild and today's knowledge agree."""
    dice = random.Random(seed)
    fuels = dice.sample(["烟煤", "焦炭", "天然气", "柴油", "无烟煤"], 3)
    sources = [await works.fuel(fuel) for fuel in fuels]
    for source, fuel in zip(sources, fuels, strict=True):
        for month in dice.sample(range(1, 13), 3):
            quantity = str(dice.randrange(-(10**6), 10**6) / Decimal(1000))
            await works.burn(source, f"2024-{month:02}", quantity, "万立方米" if fuel == "天然气" else "t")
    rows = [
        value("NCV", str(dice.randrange(10**6) / Decimal(10**4)), unit, material=fuel)
        for fuel in dice.sample(fuels, 2)
        for unit in ["GJ/1e4Nm3" if fuel == "天然气" else "GJ/t"]
    ]
    await own.approved(*rows)
    first = f"2024-{dice.randrange(1, 13):02}"
    last = dice.choice([None, "2024-12"])
    before = [await tonnes(works, source) for source in sources]
    foretold = await report(works, "OWN-HD", first, toMonth=last)
    done = await adopt(works, "OWN-HD", first, toMonth=last)
    assert (done["errors"], done["report"]) == ([], foretold)
    after = [await tonnes(works, source) for source in sources]
    total = sum((x for months in after for x in months.values()), Decimal(0))
    moved = total - sum((x for months in before for x in months.values()), Decimal(0))
    assert Decimal(foretold["afterT"]) - Decimal(foretold["beforeT"]) == moved
    assert all(a[m] == b[m] for a, b in zip(after, before, strict=True) for m in a if m < first)
    await works.world.services.get(ResultService).rebuild(works.world.tenant_id)
    assert [await tonnes(works, source) for source in sources] == after


async def test_of_two_who_adopt_at_once_one_comes_after_the_other(works: Works, own: OwnSets) -> None:
    coal = await works.fuel("烟煤")
    await works.burn(coal, "2024-01", "1000", "t")
    await own.approved(*WHOLE_COAL)
    await own.approved(value("EMISSION_FACTOR", "2", "tCO2/t"), code="OWN-EF")
    both = await asyncio.gather(adopt(works, "OWN-HD", "2024-01"), adopt(works, "OWN-EF", "2024-01"))
    assert [d["errors"] for d in both] == [[], []]
    held = await in_force(works, works.site_id)
    expected = {"OWN-HD@1": Decimal("1796.666666667"), "OWN-EF@1": Decimal(2000)}
    assert list((await tonnes(works, coal)).values()) == [expected[held]]
