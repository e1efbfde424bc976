"""Who may run a consolidation, and who sees what of it."""

from __future__ import annotations

from typing import Any

from backend.kit.database import Database
from backend.kit.graphql.nodes import from_id
from backend.kit.toolbox import Services
from tenants.access import Role
from tests.fixtures.consolidation import RUN, YEAR, Holding
from tests.fixtures.world import World

LIST = "query Q($o: ID!) { consolidationRuns(organisationId: $o) { nodes { id } } }"
LATEST = f"query Q($o: ID!) {{ latestConsolidation(organisationId: $o, year: {YEAR}) {{ id }} }}"
REPLAY = "query Q($o: ID!) { consolidationReplay(id: $o) { agrees } }"
NODE = "query Q($o: ID!) { node(id: $o) { ... on ConsolidationRun { id nodes { nodes { ownTotalT } } } } }"

RUNNERS = {Role.OVERALL_LEAD, Role.NEUTRALITY_TEAM, Role.ACCOUNTING_ENGINEER}


def codes(response: Any) -> list[str]:
    return [error["extensions"]["code"] for error in response.errors or []]


async def test_who_may_run(holding: Holding) -> None:
    given = {"organisationId": holding.ids["HD"], "fromYear": YEAR}
    node = from_id(holding.ids["HD"])[1]
    for role in Role:
        caller = await holding.world.member((role, node))
        answer = await caller.attempt("consolidateOrganisation", given, "run { id }")
        assert [e["code"] for e in answer["errors"]] == ([] if role in RUNNERS else ["FORBIDDEN"]), role


async def test_a_lead_runs_in_his_own_company_only(holding: Holding) -> None:
    lead = await holding.world.member((Role.OVERALL_LEAD, from_id(holding.ids["STEEL"])[1]))
    for code, expected in (("STEEL", []), ("S1", []), ("CEMENT", ["NOT_FOUND"]), ("HD", ["NOT_FOUND"])):
        given = {"organisationId": holding.ids[code], "fromYear": YEAR}
        answer = await lead.attempt("consolidateOrganisation", given, "run { id }")
        assert [e["code"] for e in answer["errors"]] == expected, code


async def test_a_viewer_of_totals_sees_totals_and_nothing_else(holding: Holding) -> None:
    await holding.emit("S1", "10")
    await holding.use("surrenderAssets", "S1", 4, asset_class="ALLOWANCE")
    run = await holding.run()
    viewer = await holding.world.caller(Role.GROUP_TOTALS_VIEWER)
    seen = await holding.read(viewer, run["id"], rejected="")
    assert seen["nodes"]["nodes"][0]["consolidatedTotalT"] == "10"
    assert seen["job"]["state"] == "SUCCEEDED"
    document = """query Q($id: ID!) { node(id: $id) { ... on ConsolidationRun {
      requestedBy { displayName } nodes { nodes { ownTotalT rejectedAssets { nodes { quantityT } } } } } } }"""
    response = await viewer.run(document, id=run["id"])
    assert set(codes(response)) == {"FORBIDDEN"}
    assert response.data is not None
    node = response.data["node"]["nodes"]["nodes"][0]
    assert (node["ownTotalT"], node["rejectedAssets"]) == ("0", None)
    assert response.data["node"]["requestedBy"] is None
    manager = await holding.world.caller(Role.ASSET_MANAGER)
    assert (await holding.read(manager, run["id"]))["nodes"]["nodes"][0]["rejectedAssets"]["nodes"]


async def test_the_groups_run_is_not_the_companys(holding: Holding) -> None:
    group = await holding.run()
    own = await holding.run("STEEL")
    inside = await holding.world.member((Role.GROUP_TOTALS_VIEWER, from_id(holding.ids["STEEL"])[1]))
    assert (await inside.ask(NODE, o=group["id"]))["node"] is None
    assert (await inside.ask(NODE, o=own["id"]))["node"]["id"] == own["id"]
    assert (await inside.ask(LATEST, o=holding.ids["STEEL"]))["latestConsolidation"] == {"id": own["id"]}
    for document, asked in ((LIST, holding.ids["HD"]), (LATEST, holding.ids["HD"]), (REPLAY, group["id"])):
        assert codes(await inside.run(document, o=asked)) == ["NOT_FOUND"], document


async def test_without_totals_no_root_field_answers(holding: Holding) -> None:
    run = await holding.run()
    staff = await holding.world.caller(Role.MONITORING_STAFF)
    for document, asked in ((LIST, holding.ids["HD"]), (LATEST, holding.ids["HD"]), (REPLAY, run["id"])):
        assert codes(await staff.run(document, o=asked)) == ["FORBIDDEN"], document
    assert (await staff.ask(NODE, o=run["id"]))["node"] is None


async def test_another_tenant_sees_nothing(holding: Holding, owner_database: Database, services: Services) -> None:
    run = await holding.run()
    stranger = await (await World.create(owner_database, services)).caller(Role.INTERNAL_AUDITOR)
    assert (
        await stranger.ask(
            f"query Q($o: ID!) {{ node(id: $o) {{ ... on ConsolidationRun {{ {RUN} }} }} }}", o=run["id"]
        )
    )["node"] is None
    assert codes(await stranger.run(REPLAY, o=run["id"])) == ["NOT_FOUND"]
    # The organisation is none of his tenant's: a list of it is empty, whatever his role.
    assert (await stranger.ask(LIST, o=holding.ids["HD"]))["consolidationRuns"]["nodes"] == []
