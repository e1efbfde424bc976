"""Factor sets of the tenant's own, through the public door and against the database itself."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.factors import Parameter
from backend.accounting.domain.own_sets import read_factor_unit
from backend.kit.database import UnitOfWork
from backend.kit.errors import CodedError
from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.evidence.test_documents import stored
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.factors import SET, WHOLE_COAL, OwnSets, value

VALUES = """query V($set: ID!, $version: Int!) { ownFactors(setId: $set, version: $version) {
  nodes { id code parameter value unit entered region { code } set { code } } } }"""


@pytest.fixture
def own(works: Works) -> OwnSets:
    return OwnSets(works.world, works.group_id)


async def holds(works: Works, set_id: str, version: int) -> dict[str, str]:
    """Parameter to value and unit of what a version holds."""
    page = (await works.engineer.ask(VALUES, set=set_id, version=version))["ownFactors"]["nodes"]
    return {n["parameter"]: f"{n['value']} {n['unit']}" for n in page}


async def test_a_set_is_drafted_proposed_and_approved_by_somebody_else(works: Works, own: OwnSets) -> None:
    set_id = await own.begin()
    empty = await works.engineer.attempt("proposeOwnFactorSet", {"setId": set_id}, SET)
    assert empty["errors"][0]["code"] == "FACTOR_SET_EMPTY"
    await own.hold(set_id, *WHOLE_COAL)
    early = await (await own.approver()).attempt("approveOwnFactorSet", {"setId": set_id}, SET)
    assert early["errors"][0]["code"] == "FACTOR_SET_STATE"
    done = await own.finish(set_id)
    assert [(v["reference"], v["state"]) for v in done["versions"]] == [("OWN-HD@1", "APPROVED")]
    assert await holds(works, set_id, 1) == {
        "NCV": "20 GJ/t", "CARBON_PER_HEAT": "0.025 tC/GJ", "OXIDATION": "0.98 1",
    }  # fmt: skip
    late = await works.engineer.attempt("recordOwnFactors", {"setId": set_id, "rows": [WHOLE_COAL[0]]}, SET)
    assert late["errors"][0]["code"] == "FACTOR_SET_STATE"


async def test_nobody_approves_their_own_proposal(works: Works, own: OwnSets) -> None:
    both = await works.world.member((Role.TOP_MANAGEMENT, None), (Role.ACCOUNTING_ENGINEER, None))
    set_id = await own.begin()
    await own.hold(set_id, *WHOLE_COAL)
    await both.do("proposeOwnFactorSet", {"setId": set_id}, SET)
    refused = await both.attempt("approveOwnFactorSet", {"setId": set_id}, SET)
    assert refused["errors"][0]["code"] == "FACTOR_SET_APPROVED_BY_ITS_MAKER"
    forbidden = await works.engineer.attempt("approveOwnFactorSet", {"setId": set_id}, SET)
    assert forbidden["errors"][0]["code"] == "FORBIDDEN"
    back = await (await own.approver()).do("rejectOwnFactorSet", {"setId": set_id, "reason": "缺少化验报告"}, SET)
    assert back["set"]["versions"][-1]["state"] == "DRAFT"

    async def by_hand(unit: UnitOfWork) -> None:
        await unit.execute(
            "UPDATE tenant_factor_version SET state = 'PROPOSED', proposed_by = drafted_by WHERE set_id = :id",
            {"id": uuid_of(set_id)},
        )
        await unit.execute(
            "UPDATE tenant_factor_version SET state = 'APPROVED', approved_by = drafted_by WHERE set_id = :id",
            {"id": uuid_of(set_id)},
        )

    with pytest.raises(DBAPIError, match="approved_by_others"):
        await works.world.owner.write(works.world.tenant_id, by_hand)


async def test_a_value_is_superseded_in_another_version_and_stays_readable(works: Works, own: OwnSets) -> None:
    set_id = await own.approved(*WHOLE_COAL)
    nameless = await works.engineer.attempt("draftOwnFactorSet", {"setId": set_id, "reason": " "}, SET)
    assert nameless["errors"][0]["code"] == "REASON_MISSING"
    draft = {"setId": set_id, "reason": "2025 年化验", "expectedVersion": 1}
    await works.engineer.do("draftOwnFactorSet", draft, SET)
    twice = await works.engineer.attempt("draftOwnFactorSet", draft, SET)
    assert twice["errors"][0]["code"] == "FACTOR_SET_IN_THE_MAKING"
    newer = value("NCV", "21.5", "GJ/t")
    (taken,) = await own.record(set_id, newer)
    assert (taken["error"]["code"], taken["error"]["path"]) == ("FACTOR_KEY_TAKEN", ["rows", "0", "material"])
    await own.hold(set_id, {**newer, "replaces": True})
    stale = await works.engineer.attempt("proposeOwnFactorSet", {"setId": set_id, "expectedVersion": 1}, SET)
    assert stale["errors"][0]["code"] == "STALE_VERSION"
    done = await own.finish(set_id)
    assert [v["state"] for v in done["versions"]] == ["SUPERSEDED", "APPROVED"]
    assert done["versions"][1]["reason"] == "2025 年化验"
    assert ((await holds(works, set_id, 1))["NCV"], (await holds(works, set_id, 2))["NCV"]) == ("20 GJ/t", "21.5 GJ/t")


async def test_what_is_given_up_leaves_no_trace_in_the_values(works: Works, own: OwnSets) -> None:
    set_id = await own.approved(*WHOLE_COAL)
    before = await holds(works, set_id, 1)
    await works.engineer.do("draftOwnFactorSet", {"setId": set_id, "reason": "试算"}, SET)
    nodes = (await works.engineer.ask(VALUES, set=set_id, version=2))["ownFactors"]["nodes"]
    oxidation = next(n["id"] for n in nodes if n["parameter"] == "OXIDATION")
    await works.engineer.do("removeOwnFactors", {"setId": set_id, "factorIds": [oxidation]}, SET)
    gone = await works.engineer.attempt("removeOwnFactors", {"setId": set_id, "factorIds": [oxidation]}, SET)
    assert (gone["errors"][0]["code"], gone["errors"][0]["path"]) == ("FACTOR_NOT_HELD", ["factorIds", "0"])
    await own.hold(set_id, {**value("NCV", "30", "GJ/t"), "replaces": True})
    await works.engineer.do("proposeOwnFactorSet", {"setId": set_id}, SET)
    given = {"setId": set_id, "reason": "化验无效"}
    done = await works.engineer.do("withdrawOwnFactorSet", given, SET)
    assert [(v["state"], v["endedBecause"]) for v in done["set"]["versions"]] == [
        ("APPROVED", ""), ("WITHDRAWN", "化验无效"),
    ]  # fmt: skip
    assert await holds(works, set_id, 1) == before
    await works.engineer.do("draftOwnFactorSet", {"setId": set_id, "reason": "再次试算"}, SET)
    assert await holds(works, set_id, 3) == before
    await works.engineer.do("withdrawOwnFactorSet", given, SET)
    in_force = await works.engineer.attempt("withdrawOwnFactorSet", given, SET)
    assert in_force["errors"][0]["code"] == "FACTOR_SET_STATE"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"unit": "GJ/桶"}, "UNKNOWN_UNIT", "unit"),
        ({"unit": "GJ"}, "FACTOR_UNIT_DOES_NOT_FIT", "unit"),
        ({"unit": "tCO2/t"}, "FACTOR_UNIT_DOES_NOT_FIT", "unit"),
        ({"unit": "GJ/1e4Nm3"}, "FACTOR_UNIT_DOES_NOT_FIT", "unit"),
        ({"value": "-1"}, "FACTOR_OUT_OF_RANGE", "value"),
        ({"value": "0.1234567890123456789"}, "FACTOR_OUT_OF_RANGE", "value"),
        ({"value": "1e16"}, "FACTOR_OUT_OF_RANGE", "value"),
        ({"parameter": "OXIDATION", "value": "101", "unit": "%"}, "FACTOR_OUT_OF_RANGE", "value"),
        ({"parameter": "GWP", "unit": "tCO2e/t"}, "FACTOR_PARAMETER_NOT_OWN", "parameter"),
        ({"firstYear": 2025, "lastYear": 2024}, "FACTOR_YEARS", "firstYear"),
        ({"year": 1066}, "FACTOR_YEARS", "firstYear"),
        ({"source": "  "}, "FACTOR_SOURCE_MISSING", "source"),
        ({"provenance": "MEMORY"}, "FACTOR_PROVENANCE_UNFIT", "provenance"),
        ({"region": "火星"}, "UNKNOWN_REGION", "region"),
        ({"material": "绿氢"}, "BAD_MATERIAL_CODE", "material"),
        ({"material": "GREEN_HYDROGEN", "nameZh": "绿氢"}, "BAD_MATERIAL_CODE", "material"),
    ],
)
async def test_what_is_no_factor(own: OwnSets, fields: dict[str, Any], code: str, field: str) -> None:
    set_id = await own.begin()
    good, bad = await own.record(set_id, WHOLE_COAL[1], {**WHOLE_COAL[0], **fields})
    assert good["error"] is None
    assert (bad["error"]["code"], bad["error"]["path"]) == (code, ["rows", "1", field])


async def test_all_or_nothing(works: Works, own: OwnSets) -> None:
    set_id = await own.begin()
    rows = (WHOLE_COAL[0], {**WHOLE_COAL[1], "source": ""}, WHOLE_COAL[0])
    outcomes = await own.record(set_id, *rows, allOrNothing=True)
    assert [o["error"] and o["error"]["code"] for o in outcomes] == [None, "FACTOR_SOURCE_MISSING", "FACTOR_KEY_TAKEN"]
    assert await holds(works, set_id, 1) == {}


async def test_a_new_material_and_an_old_one_by_technology(works: Works, own: OwnSets) -> None:
    new = {"material": "GREEN_HYDROGEN", "nameZh": "绿氢", "nameEn": "green hydrogen", "provenance": "SUPPLIER"}
    factor = {**new, "parameter": "EMISSION_FACTOR", "value": "900", "unit": "kgCO2e/t", "source": "供应商碳足迹报告"}
    set_id = await own.begin()
    again = {"material": "绿氢", "technology": "碱性电解", "replaces": False}
    await own.hold(set_id, factor, {**factor, **again, "value": "0.8", "unit": "tCO2e/t"})
    await own.finish(set_id)
    query = """query M($text: String!) { materials(text: $text) {
      nodes { code nameEn units parameters sets technologies } } }"""
    (found,) = (await works.engineer.ask(query, text="绿氢"))["materials"]["nodes"]
    assert found == {
        "code": "GREEN_HYDROGEN", "nameEn": "green hydrogen", "units": ["t"], "parameters": ["EMISSION_FACTOR"],
        "sets": ["OWN-HD@1"], "technologies": ["碱性电解"],
    }  # fmt: skip
    coal = (await works.engineer.ask(query, text="bituminous"))["materials"]["nodes"]
    assert {"GJ", "t"} <= set(coal[0]["units"])


@pytest.mark.parametrize(
    ("code", "expected"), [("HD-1", "BAD_FACTOR_SET_CODE"), ("OWN-A@1", "BAD_FACTOR_SET_CODE"), ("OWN-HD", "")]
)
async def test_codes_of_sets(works: Works, own: OwnSets, code: str, expected: str) -> None:
    given = {"organisationId": works.group_id, "code": code, "nameZh": "因子"}
    made = await works.engineer.attempt("createOwnFactorSet", given, SET)
    assert [e["code"] for e in made["errors"]] == ([expected] if expected else [])
    again = await works.engineer.attempt("createOwnFactorSet", given, SET)
    assert again["errors"][0]["code"] == (expected or "FACTOR_SET_CODE_TAKEN")


async def test_a_set_serves_its_organisation_and_all_below(works: Works, own: OwnSets) -> None:
    other = await works.site("S2")
    theirs = OwnSets(works.world, other)
    ids = {"OWN-HD": await own.approved(*WHOLE_COAL), "OWN-S2": await theirs.approved(*WHOLE_COAL, code="OWN-S2")}
    here = await works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(works.site_id)))
    sets = (await here.ask("{ ownFactorSets { nodes { id code } } }"))["ownFactorSets"]["nodes"]
    assert [s["code"] for s in sets] == ["OWN-HD"]
    refused = await here.attempt("draftOwnFactorSet", {"setId": ids["OWN-HD"], "reason": "更新"}, SET)
    assert refused["errors"][0]["code"] in {"FORBIDDEN", "NOT_FOUND"}
    hidden = await here.attempt("draftOwnFactorSet", {"setId": ids["OWN-S2"], "reason": "更新"}, SET)
    assert hidden["errors"][0]["code"] == "NOT_FOUND"
    assert "OWN-S2" not in str(await here.ask("{ materials { nodes { sets } } }"))
    stream = {"code": "a", "material": "烟煤", "factorSet": "OWN-S2"}
    unknown = await here.attempt("createEmissionSource", works.source_input("COAL", stream), "source { id }")
    assert unknown["errors"][0]["code"] == "UNKNOWN_FACTOR_SET"


async def test_a_stream_names_an_own_set_and_shows_where_its_values_are_from(works: Works, own: OwnSets) -> None:
    set_id = await own.approved(*WHOLE_COAL)
    source = await works.fuel("烟煤", factorSet="OWN-HD")
    await works.burn(source, "2024-01", "1000", "t")
    query = """query C($id: ID!, $year: Int!) { node(id: $id) { ... on EmissionSource { streams { factorSet
      coefficient(year: $year) { value steps { kind written factor { value set { code ownSetId } provenance } } }
    } } } }"""
    stream = (await works.engineer.ask(query, id=source, year=2024))["node"]["streams"][0]
    assert stream["factorSet"] == "OWN-HD@1"
    steps = [s["factor"] for s in stream["coefficient"]["steps"] if s["factor"]]
    assert {(s["set"]["code"], s["set"]["ownSetId"], s["provenance"]) for s in steps} == {
        ("OWN-HD", set_id, "MEASURED")
    }
    # 1000 t × 20 GJ/t × 0.025 tC/GJ × 0.98 × 44/12
    (month,) = await works.results(source, 2024)
    assert Decimal(month["co2eT"]) == Decimal("1796.666666667")
    await own.next(set_id, value("NCV", "30", "GJ/t"))
    await works.burn(source, "2024-02", "1000", "t")
    assert {m["co2eT"] for m in await works.results(source, 2024)} == {month["co2eT"]}
    early = (await works.engineer.ask(query, id=source, year=2023))["node"]["streams"][0]
    assert early["coefficient"] is None
    row = {"sourceId": source, "month": "2023-12", "quantity": "1", "unit": "t"}
    refused = await works.monitor.do("recordActivity", {"rows": [row]}, "outcomes { error { code message } }")
    assert refused["outcomes"][0]["error"]["code"] == "FACTOR_NOT_FOUND"


async def test_approved_values_are_beyond_reach(works: Works, own: OwnSets) -> None:
    set_id = await own.approved(*WHOLE_COAL)
    for statement in (
        "DELETE FROM tenant_factor WHERE set_id = :id",
        "UPDATE tenant_factor SET until_version = 2 WHERE set_id = :id",
        "UPDATE tenant_factor SET value = 1 WHERE set_id = :id",
        "UPDATE tenant_factor_version SET state = 'DRAFT' WHERE set_id = :id",
        "DELETE FROM tenant_factor_set WHERE id = :id",
    ):

        async def change(unit: UnitOfWork, statement: str = statement) -> None:
            await unit.execute(statement, {"id": uuid_of(set_id)})

        with pytest.raises(DBAPIError):
            await works.world.owner.write(works.world.tenant_id, change)
    assert len(await holds(works, set_id, 1)) == 3


async def test_the_same_key_answers_the_same(works: Works, own: OwnSets) -> None:
    set_id = await own.begin()
    given = {"setId": set_id, "rows": [WHOLE_COAL[0]], "idempotencyKey": "k-1"}
    first = await works.engineer.do("recordOwnFactors", given, "outcomes { factor { id } }")
    second = await works.engineer.do("recordOwnFactors", given, "outcomes { factor { id } }")
    assert (first["outcomes"], second["replayed"]) == (second["outcomes"], True)
    rehearsal = {"setId": set_id, "rows": [WHOLE_COAL[1]], "dryRun": True}
    await works.engineer.do("recordOwnFactors", rehearsal, "outcomes { factor { id } }")
    assert set(await holds(works, set_id, 1)) == {"NCV"}


async def test_regions_around_and_years_of_validity(works: Works) -> None:
    query = """query F($f: EmissionFactorFilter!) { emissionFactors(filter: $f, first: 200) {
      nodes { region { code within } year technology set { purpose ownSetId } } } }"""
    wanted = {"code": "GRID_ELECTRICITY", "region": "CN-SD", "withRegionsAround": True, "purpose": "INVENTORY"}
    nodes = (await works.engineer.ask(query, f=wanted))["emissionFactors"]["nodes"]
    assert {n["region"]["code"] for n in nodes} == {"CN-SD", "GRID-NORTH", "CN"}
    assert {n["set"]["purpose"] for n in nodes} == {"INVENTORY"}
    then = (await works.engineer.ask(query, f={**wanted, "holdsIn": 2021}))["emissionFactors"]["nodes"]
    assert 0 < len(then) < len(nodes)
    assert all(n["year"] <= 2021 for n in then)


async def test_gwp_sets_hold_the_main_gases(works: Works) -> None:
    query = (
        """query F($f: EmissionFactorFilter!) { emissionFactors(filter: $f, first: 200) { nodes { code value } } }"""
    )
    found = {}
    for gwp_set in ("SAR", "AR4", "AR5", "AR6"):
        nodes = (await works.engineer.ask(query, f={"setCode": gwp_set}))["emissionFactors"]["nodes"]
        found[gwp_set] = {n["code"]: n["value"] for n in nodes}
    main = {"CO2", "CH4", "N2O", "SF6", "CF4", "C2F6", "HFC-23", "HFC-32", "HFC-125", "HFC-134a", "HFC-143a"}
    assert all(main <= set(gases) for gases in found.values())
    assert all("NF3" in found[s] for s in ("AR4", "AR5", "AR6"))
    assert [found[s]["CH4"] for s in found] == ["21", "25", "28", "27.9"]


@pytest.mark.parametrize(
    ("parameter", "unit", "canonical", "scale"),
    [
        ("EMISSION_FACTOR", "kgCO2/kWh", "tCO2/MWh", 1),
        ("EMISSION_FACTOR", "kgCO2e/tkm", "tCO2e/t*km", "1/1000"),
        ("EMISSION_FACTOR", "tCO2/万Nm3", "tCO2/1e4Nm3", 1),
        ("NCV", "MJ/kg", "GJ/t", 1),
        ("NCV", "kJ/m3", "GJ/1e4Nm3", "1/100"),
        ("CARBON_PER_HEAT", "kgC/GJ", "tC/GJ", "1/1000"),
        ("CARBON_PER_HEAT", "tC/TJ", "tC/GJ", "1/1000"),
        ("OXIDATION", "%", "1", "1/100"),
    ],
)
def test_units_of_factors(parameter: str, unit: str, canonical: str, scale: int | str) -> None:
    assert read_factor_unit(Parameter(parameter), unit, "X") == (canonical, Fraction(scale))


def test_a_unit_that_is_no_ratio_says_what_would_be() -> None:
    with pytest.raises(CodedError) as refused:
        read_factor_unit(Parameter.NCV, "GJ/MWh", "X")
    assert refused.value.params["fitting"] == "GJ/1e4Nm3 / GJ/t"


async def test_documents_prove_a_value(works: Works, own: OwnSets, objects: FileStore) -> None:
    set_id = await own.begin()
    (factor, *_) = await own.hold(set_id, *WHOLE_COAL)
    key = await stored(works, objects)
    await works.monitor.do("attachEvidence", {"id": key, "subjectIds": [factor]}, "attached")
    query = "query F($id: ID!) { node(id: $id) { ... on EmissionFactor { code documents { id } } } }"
    shown = (await works.engineer.ask(query, id=factor))["node"]
    assert shown == {"code": "BITUMINOUS_COAL", "documents": [{"id": key}]}
