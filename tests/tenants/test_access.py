"""The one check: inheritance down the tree, and refusals that tell nothing about what is out of reach."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backend.kit.errors import CodedError
from backend.kit.graphql.nodes import to_id
from tenants.access import ROLES, Permission, Principal, Role, refusals, require
from tests.fixtures.organisations import administrator, plant, uuid_of
from tests.fixtures.world import World

NODES = ("HD", "STEEL", "CEMENT", "BF", "KILN")
BELOW_STEEL = {"STEEL", "BF"}


async def outcome(world: World, principal: Principal, permission: Permission, node: UUID | None) -> str:
    async with world.services.toolbox.database.read(world.tenant_id) as session:
        try:
            await require(session, principal, permission, node)
        except CodedError as error:
            return error.code.name
    return "yes"


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_holds_below_its_node(world: World, role: Role) -> None:
    admin = await administrator(world)
    ids = {code: uuid_of(key) for code, key in (await plant(admin)).items()}
    caller = await world.member((role, ids["STEEL"]))
    assert caller.principal is not None
    for permission in Permission:
        inside = "yes" if permission in ROLES[role] else "FORBIDDEN"
        for code in NODES:
            expected = inside if code in BELOW_STEEL else "NOT_FOUND"
            assert await outcome(world, caller.principal, permission, ids[code]) == expected
        assert await outcome(world, caller.principal, permission, UUID(int=5)) == "NOT_FOUND"
        assert await outcome(world, caller.principal, permission, None) == "FORBIDDEN"


async def test_many_nodes_at_once_answer_as_one_by_one(world: World) -> None:
    admin = await administrator(world)
    ids = {code: uuid_of(key) for code, key in (await plant(admin)).items()}
    callers = [
        await world.member((Role.ASSET_MANAGER, ids["STEEL"]), (Role.PURCHASER, ids["CEMENT"])),
        await world.member((Role.ASSET_MANAGER, ids["STEEL"]), (Role.GROUP_TOTALS_VIEWER, None)),
        await world.member(),
        admin,
    ]
    asked: list[UUID | None] = [*ids.values(), UUID(int=5), None]
    for caller in callers:
        assert caller.principal is not None
        for permission in Permission:
            async with world.services.toolbox.database.read(world.tenant_id) as session:
                found = await refusals(session, caller.principal, permission, asked)
            for node in asked:
                one = await outcome(world, caller.principal, permission, node)
                assert one == (found[node].code.name if node in found else "yes")


async def test_roles_add_up_and_scopes_take_away(world: World) -> None:
    admin = await administrator(world)
    ids = {code: uuid_of(key) for code, key in (await plant(admin)).items()}
    caller = await world.member((Role.ASSET_MANAGER, ids["HD"]), (Role.MONITORING_STAFF, ids["BF"]))
    assert caller.principal is not None
    assert await outcome(world, caller.principal, Permission.EMISSION_RECORD, ids["BF"]) == "yes"
    assert await outcome(world, caller.principal, Permission.EMISSION_RECORD, ids["STEEL"]) == "FORBIDDEN"
    assert await outcome(world, caller.principal, Permission.ASSET_MANAGE, ids["BF"]) == "yes"
    p = caller.principal
    scoped = Principal(p.tenant_id, p.member_id, p.display_name, p.grants, frozenset({Permission.ASSET_READ}))
    assert await outcome(world, scoped, Permission.ASSET_READ, ids["BF"]) == "yes"
    assert await outcome(world, scoped, Permission.ASSET_MANAGE, ids["BF"]) == "FORBIDDEN"


async def test_reach_follows_the_tree(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    caller = await world.member((Role.INTERNAL_AUDITOR, uuid_of(ids["STEEL"])))
    assert caller.principal is not None
    move = {"organisationId": ids["BF"], "parentId": ids["CEMENT"], "movedOn": "2023-01-01"}
    await admin.do("moveOrganisation", move, "organisation { code }")
    assert await outcome(world, caller.principal, Permission.EMISSION_READ, uuid_of(ids["BF"])) == "NOT_FOUND"
    future = {"organisationId": ids["KILN"], "parentId": ids["STEEL"], "movedOn": "2999-01-01"}
    await admin.do("moveOrganisation", future, "organisation { code }")
    assert await outcome(world, caller.principal, Permission.EMISSION_READ, uuid_of(ids["KILN"])) == "NOT_FOUND"


async def test_what_has_left_stays_readable_to_those_of_its_last_day(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    caller = await world.member((Role.INTERNAL_AUDITOR, uuid_of(ids["STEEL"])))
    assert caller.principal is not None
    sale = {"organisationId": ids["STEEL"], "disposedOn": "2024-01-01", "reason": "出售"}
    await admin.do("recordDisposal", sale, "organisations { code }")
    for code in ("STEEL", "BF"):
        assert await outcome(world, caller.principal, Permission.EMISSION_READ, uuid_of(ids[code])) == "yes"


WRITES: list[tuple[str, dict[str, Any]]] = [
    ("updateOrganisation", {"expectedVersion": 1, "nameZh": "改名"}),
    ("setProductionLines", {"lines": []}),
    ("closeOrganisation", {"closedOn": "2024-01-01"}),
    ("recordDisposal", {"disposedOn": "2024-01-01", "reason": "x"}),
    (
        "setOwnership",
        {
            "validFrom": "2024-01-01",
            "ownership": {"equityShare": "0.5", "operationalControl": True, "financialControl": True},
        },
    ),
    ("setBoundary", {"validFrom": "2024-01-01", "value": {"gwpSet": "AR4"}, "reason": "x"}),
    ("removeBoundary", {"validFrom": "2024-01-01", "key": "GWP_SET", "reason": "x"}),
]


@pytest.mark.parametrize(("mutation", "given"), WRITES, ids=[name for name, _ in WRITES])
async def test_out_of_reach_is_indistinguishable_from_absent(
    world: World, mutation: str, given: dict[str, Any]
) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    # Holds every permission somewhere, so the guards let it pass; sees nothing of the cement company.
    lead = await world.member((Role.OVERALL_LEAD, uuid_of(ids["STEEL"])))
    absent = to_id("Organisation", UUID(int=9))
    answers = []
    for key in (ids["KILN"], absent):
        payload = await lead.attempt(mutation, {"organisationId": key, **given})
        (error,) = payload["errors"]
        answers.append((error["__typename"], error["code"], error["path"], error["retryable"]))
    assert answers[0] == answers[1]
    assert answers[0][1] == "NOT_FOUND"


@pytest.mark.parametrize(("mutation", "given"), WRITES, ids=[name for name, _ in WRITES])
async def test_reachable_without_the_right_is_forbidden_and_nothing_changes(
    world: World, mutation: str, given: dict[str, Any]
) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    caller = await world.member((Role.INTERNAL_AUDITOR, uuid_of(ids["HD"])), (Role.OVERALL_LEAD, uuid_of(ids["BF"])))
    payload = await caller.attempt(mutation, {"organisationId": ids["KILN"], **given})
    assert [e["code"] for e in payload["errors"]] == ["FORBIDDEN"]
    trail = await admin.ask("query Q($s: ID) { auditEvents(subjectId: $s) { nodes { operation } } }", s=ids["KILN"])
    assert [e["operation"] for e in trail["auditEvents"]["nodes"]] == ["createOrganisations"]
