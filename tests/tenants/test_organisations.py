"""Organisations through the public door."""

from __future__ import annotations

from tenants.access import Role
from tests.fixtures.world import World

CREATED = "organisation { id code nameZh enteredOn version }"


def a_group(code: str = "HD") -> dict[str, str]:
    return {"kind": "GROUP", "code": code, "nameZh": "华东集团", "enteredOn": "2020-01-01"}


async def test_create_and_list(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = await admin.do("createOrganisation", a_group(), CREATED)
    site = {"kind": "SITE", "code": "S1", "nameZh": "一号厂区", "enteredOn": "2021-01-01"}
    await admin.do("createOrganisation", {**site, "parentId": made["organisation"]["id"]}, CREATED)
    listed = await admin.ask("{ organisations { nodes { code nameZh } pageInfo { hasNextPage } } }")
    assert [o["code"] for o in listed["organisations"]["nodes"]] == ["HD", "S1"]


async def test_same_key_same_answer(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    keyed = {**a_group(), "idempotencyKey": "k-1"}
    first = await admin.do("createOrganisation", keyed, CREATED)
    again = await admin.do("createOrganisation", keyed, CREATED)
    assert again == {**first, "replayed": True}
    other = await admin.attempt("createOrganisation", {**keyed, "code": "ANDERS"}, CREATED)
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"
