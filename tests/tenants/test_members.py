"""Members and roles through the public door: who may give what to whom."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from backend.kit.graphql.nodes import to_id
from tenants.access import ROLES, Permission, Role
from tests.fixtures.organisations import administrator, plant, uuid_of
from tests.fixtures.world import Caller, World

ADDED = "member { id displayName status } roleAssignments { id role everywhere organisation { code } }"
GIVEN = "roleAssignment { id role validFrom validUntil everywhere revokedAt organisation { code } }"


def person(subject: str, *roles: dict[str, Any], name: str = "李四") -> dict[str, Any]:
    return {"issuer": "https://id.example", "subject": subject, "displayName": name, "roles": list(roles)}


async def add(caller: Caller, subject: str, *roles: dict[str, Any], name: str = "李四") -> str:
    payload = await caller.do("addMember", person(subject, *roles, name=name), ADDED)
    return str(payload["member"]["id"])


def codes(payload: dict[str, Any]) -> list[str]:
    return [e["code"] for e in payload["errors"]]


def own_id(caller: Caller) -> str:
    assert caller.principal is not None
    return to_id("Member", caller.principal.member_id)


async def test_add_and_list(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    role = {"role": "ACCOUNTING_ENGINEER", "organisationId": ids["STEEL"], "reason": "入职"}
    payload = await admin.do("addMember", person("a", role, name="王　五"), ADDED)
    assert payload["member"]["displayName"] == "王 五"
    shown = payload["roleAssignments"][0]
    assert (shown["role"], shown["everywhere"], shown["organisation"]) == (role["role"], False, {"code": "STEEL"})
    twice = await admin.attempt("addMember", person("a"))
    assert codes(twice) == ["MEMBER_EXISTS"]
    listed = await admin.ask('{ members(search: "王") { nodes { displayName kind subject } } }')
    assert listed["members"]["nodes"] == [{"displayName": "王 五", "kind": "PERSON", "subject": "a"}]
    roles = await admin.ask(
        "query Q($f: RoleAssignmentFilterInput) {"
        " roleAssignments(filter: $f) { nodes { role member { displayName } } } }",
        f={"organisationId": ids["STEEL"], "inForce": True},
    )
    assert roles["roleAssignments"]["nodes"] == [{"role": role["role"], "member": {"displayName": "王 五"}}]


async def test_one_overall_lead(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lead = {"role": "OVERALL_LEAD", "organisationId": ids["STEEL"]}
    first = await admin.do("addMember", person("a", lead, name="赵负责"), ADDED)
    other = await add(admin, "b")
    refused = await admin.attempt("assignRole", {"memberId": other, **lead})
    assert codes(refused) == ["OVERALL_LEAD_EXISTS"]
    assert "赵负责" in refused["errors"][0]["message"]
    again = await admin.attempt("assignRole", {"memberId": first["member"]["id"], **lead})
    assert codes(again) == ["ROLE_ALREADY_HELD"]
    everywhere = await admin.attempt("assignRole", {"memberId": other, "role": "OVERALL_LEAD"})
    assert (codes(everywhere), everywhere["errors"][0]["path"]) == (["ROLE_ASSIGNMENT_INCOMPLETE"], ["organisationId"])
    await admin.do("assignRole", {"memberId": other, **lead, "organisationId": ids["CEMENT"]}, GIVEN)
    held = first["roleAssignments"][0]["id"]
    await admin.do("revokeRole", {"roleAssignmentId": held}, GIVEN)
    assert codes(await admin.attempt("revokeRole", {"roleAssignmentId": held})) == ["ALREADY_REVOKED"]
    await admin.do("assignRole", {"memberId": other, **lead}, GIVEN)


async def test_one_lead_of_many_who_try_at_once(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    members = [await add(admin, f"m{i}") for i in range(12)]
    lead = {"role": "OVERALL_LEAD", "organisationId": ids["STEEL"]}
    tried = await asyncio.gather(*(admin.attempt("assignRole", {"memberId": m, **lead}) for m in members))
    outcome = sorted(codes(payload) for payload in tried)
    assert outcome == [[], *[["OVERALL_LEAD_EXISTS"]] * 11]


async def test_a_verifier_has_an_end(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    member = await add(admin, "v")
    given = {"memberId": member, "role": "THIRD_PARTY_VERIFIER", "organisationId": ids["HD"]}
    endless = await admin.attempt("assignRole", given)
    assert (codes(endless), endless["errors"][0]["path"]) == (["ROLE_ASSIGNMENT_INCOMPLETE"], ["validUntil"])
    over = await admin.attempt("assignRole", {**given, "validFrom": "2020-01-01", "validUntil": "2021-01-01"})
    assert codes(over) == ["INVALID_INPUT"]
    await admin.do("assignRole", {**given, "validUntil": "2999-01-01"}, GIVEN)


@pytest.mark.parametrize("role", list(Role))
async def test_a_lead_gives_only_what_he_holds(world: World, role: Role) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lead = await world.member((Role.OVERALL_LEAD, uuid_of(ids["STEEL"])))
    where = {"role": role.value, "organisationId": ids["BF"], "validUntil": "2999-01-01"}
    made = await lead.attempt("addMember", person("x", where))
    within = ROLES[role] <= ROLES[Role.OVERALL_LEAD]
    assert codes(made) == ([] if within else ["ROLE_BEYOND_OWN"])
    # Whoever is verified does not choose the verifier.
    assert within == (role not in {Role.TENANT_ADMINISTRATOR, Role.PARTNER_CLIENT, Role.THIRD_PARTY_VERIFIER})
    elsewhere = await lead.attempt("addMember", person("y", {**where, "organisationId": ids["KILN"]}))
    assert codes(elsewhere) == ["NOT_FOUND"]
    nowhere = await lead.attempt("addMember", person("z"))
    assert codes(nowhere) == ["MEMBER_NEEDS_ROLE"]


async def test_an_administrator_appoints_others_not_himself(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    for role in Role:
        where = {"role": role.value, "organisationId": ids["HD"], "validUntil": "2999-01-01"}
        mine = await admin.attempt("assignRole", {"memberId": own_id(admin), **where})
        beyond = not ROLES[role] <= ROLES[Role.TENANT_ADMINISTRATOR]
        assert codes(mine) == (["SELF_GRANT"] if beyond else []), role
        await add(admin, role.value, where)


async def test_the_last_administrator_stays(world: World) -> None:
    admin = await administrator(world)
    assert codes(await admin.attempt("revokeMember", {"memberId": own_id(admin)})) == ["LAST_ADMINISTRATOR"]
    await add(admin, "second", {"role": "TENANT_ADMINISTRATOR"})
    await admin.do("revokeMember", {"memberId": own_id(admin)}, "member { status }")


async def test_a_revoked_member_holds_nothing(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lead = {"role": "OVERALL_LEAD", "organisationId": ids["HD"]}
    member = await add(admin, "a", lead)
    gone = await admin.do("revokeMember", {"memberId": member}, "member { status }")
    assert gone["member"]["status"] == "REVOKED"
    assert codes(await admin.attempt("revokeMember", {"memberId": member})) == ["ALREADY_REVOKED"]
    assert codes(await admin.attempt("assignRole", {"memberId": member, **lead})) == ["MEMBER_IS_REVOKED"]
    await add(admin, "b", lead)


async def test_members_are_seen_where_they_work(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    await add(admin, "steel", {"role": "PURCHASER", "organisationId": ids["BF"]}, name="钢铁采购")
    hidden = await add(admin, "cement", {"role": "PURCHASER", "organisationId": ids["KILN"]}, name="水泥采购")
    staff = await world.member((Role.HUMAN_RESOURCES, uuid_of(ids["STEEL"])), name="人力")
    listed = await staff.ask("{ members { nodes { displayName } } roleAssignments { nodes { role } } }")
    assert [m["displayName"] for m in listed["members"]["nodes"]] == ["钢铁采购", "人力"]
    assert {r["role"] for r in listed["roleAssignments"]["nodes"]} == {"PURCHASER", "HUMAN_RESOURCES"}
    node = await staff.ask("query Q($id: ID!) { node(id: $id) { id } }", id=hidden)
    assert node["node"] is None
    lead = await world.member((Role.OVERALL_LEAD, uuid_of(ids["STEEL"])))
    unseen = await lead.attempt("revokeMember", {"memberId": hidden})
    absent = await lead.attempt("revokeMember", {"memberId": to_id("Member", UUID(int=7))})
    assert codes(unseen) == codes(absent) == ["NOT_FOUND"]
    blank = await world.member((Role.PURCHASER, None))
    answer = await blank.run("{ members { nodes { id } } }")
    assert answer.errors[0]["extensions"]["code"] == "FORBIDDEN"


async def test_viewer_explains(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    engineer = await world.member(
        (Role.ACCOUNTING_ENGINEER, uuid_of(ids["STEEL"])), (Role.MONITORING_STAFF, uuid_of(ids["BF"])), name="核算员"
    )
    document = """
      query Q($site: ID!, $other: ID!, $none: ID!) { viewer { displayName
        tenant { slug name status settings { reportingZone } }
        roles { role everywhere validUntil organisation { code } }
        record: can(permission: EMISSION_RECORD, organisationId: $site) { ...D }
        manage: can(permission: EMISSION_MANAGE, organisationId: $site) { ...D }
        assets: can(permission: ASSET_READ, organisationId: $site) { ...D }
        other: can(permission: EMISSION_RECORD, organisationId: $other) { ...D }
        none: can(permission: EMISSION_RECORD, organisationId: $none) { ...D }
        whole: can(permission: EMISSION_RECORD) { ...D } } }
      fragment D on AccessDecision { allowed because code via { role organisation { code } } }
    """
    absent = to_id("Organisation", UUID(int=7))
    viewer = (await engineer.ask(document, site=ids["BF"], other=ids["KILN"], none=absent))["viewer"]
    assert viewer["displayName"] == "核算员"
    assert viewer["tenant"]["settings"] == {"reportingZone": "Asia/Shanghai"}
    assert [r["organisation"]["code"] for r in viewer["roles"]] == ["STEEL", "BF"]
    assert viewer["record"]["via"] == {"role": "MONITORING_STAFF", "organisation": {"code": "BF"}}
    assert viewer["manage"]["via"] == {"role": "ACCOUNTING_ENGINEER", "organisation": {"code": "STEEL"}}
    shown = [(viewer[k]["allowed"], viewer[k]["code"]) for k in ("record", "assets", "other", "none", "whole")]
    assert shown == [
        (True, None),
        (False, "FORBIDDEN"),
        (False, "NOT_FOUND"),
        (False, "NOT_FOUND"),
        (False, "FORBIDDEN"),
    ]
    assert "asset.read" in viewer["assets"]["because"]


def test_every_permission_is_somebodys() -> None:
    assert set().union(*ROLES.values()) == set(Permission)
