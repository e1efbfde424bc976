"""A registered project is not cancelled while units that were issued for it are held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from backend.kit.database import UnitOfWork
from backend.kit.ids import uuid7
from tenants.access import Role
from tests.fixtures.ledger import Group, on_day, used
from tests.fixtures.ledger import key as ident
from tests.ledger.test_projects import TODAY, Office, codes


@pytest.fixture
def office(group: Group) -> Office:
    return Office(group)


@pytest.mark.parametrize("way", ["used up", "sold", "still held"])
async def test_a_project_is_not_cancelled_while_units_of_it_are_held(office: Office, way: str) -> None:
    """880 t in two lots and two companies; the last of them holds it up as the first did."""
    group, key = office.group, await office.registered()
    claim = await office.verified(key)
    await office.go(claim, "APPLY", "2025-05-20")
    await office.go(claim, "REGISTER", "2025-06-10", serial={"prefix": "ZL", "first": "1", "last": "880"})
    leg = used(group.steel, 30, "ZL01-1", "CCER") | {"serials": {"first": "1", "last": "30"}}
    sent = {"legs": [leg | {"destination": {"organisationId": group.cement}}]}
    await group.manager.do("transferAssets", sent, "transfer { id }")
    refused = await office.step(key, "CANCEL", "2025-07-01")
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("PROJECT_UNITS_HELD", ["step"])]
    assert "rest in accounts here (880 t where you may see them)" in refused["errors"][0]["message"]
    await retire(group, used(group.steel, 850, "ZL01-1/31-880", "CCER"))
    refused = await office.step(key, "CANCEL", "2025-07-01")
    assert "(30 t where" in refused["errors"][0]["message"]
    rest = used(group.cement, 30, "ZL01-1/1-30", "CCER")
    if way == "sold":
        await group.manager.do(
            "transferAssets", {"legs": [rest | {"destination": {"market": True}}]}, "transfer { id }"
        )
    elif way == "used up":
        await retire(group, rest)
    assert codes(await office.step(key, "CANCEL", "2025-07-01", expectedVersion=4)) == ["STALE_VERSION"]
    again = await office.step(key, "CANCEL", "2025-07-01", expectedVersion=5)
    assert codes(again) == (["PROJECT_UNITS_HELD"] if way == "still held" else [])


async def retire(group: Group, leg: dict[str, Any]) -> None:
    given = {"legs": [leg], "beneficiaryId": group.steel, "forYear": 2024, "purpose": "中和"}
    await group.manager.do("retireAssets", given, "transfer { id }")


async def test_a_claim_and_the_cancellation_meet(office: Office) -> None:
    """Whichever is first, no unit rests here for a project that is gone."""
    key = await office.registered()
    claim = await office.verified(key)
    await office.go(claim, "APPLY", "2025-05-20")
    registered, cancelled = await asyncio.gather(
        office.go(claim, "REGISTER", "2025-06-10"), office.step(key, "CANCEL", "2025-06-10")
    )
    assert (codes(registered), codes(cancelled)) in (
        ([], ["PROJECT_UNITS_HELD"]),
        (["PROJECT_NOT_REGISTERED"], []),
    )
    assert await office.group.held(office.group.steel) == ({"ZL01-1": "880"} if not registered["errors"] else {})


async def test_the_database_holds_up_a_cancellation(office: Office) -> None:
    key = await office.registered()
    claim = await office.verified(key)
    await office.go(claim, "APPLY", "2025-05-20")
    await office.go(claim, "REGISTER", "2025-06-10")

    async def cancelled(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE carbon_project SET state = 'CANCELLED', version = version + 1")

    with pytest.raises(Exception, match="units of the project are held"):
        await office.group.world.owner.write(office.group.world.tenant_id, cancelled)


async def test_units_of_others_are_not_told(office: Office) -> None:
    """Who manages the project's owner alone hears that units are held, not how many lie with a sister company."""
    group, key = office.group, await office.registered()
    claim = await office.verified(key)
    await office.go(claim, "APPLY", "2025-05-20")
    await office.go(claim, "REGISTER", "2025-06-10")
    sent = used(group.steel, 880, "ZL01-1", "CCER") | {"destination": {"organisationId": group.cement}}
    await group.manager.do("transferAssets", {"legs": [sent]}, "transfer { id }")
    office.manager = on_day(await group.world.member((Role.ASSET_MANAGER, ident(group.steel))), TODAY)
    refused = await office.step(key, "CANCEL", "2025-07-01")
    assert codes(refused) == ["PROJECT_UNITS_HELD"]
    assert "(0 t where you may see them)" in refused["errors"][0]["message"]


@pytest.mark.parametrize("use", ["cancelAssets", "retireAssets"])
async def test_no_reversal_brings_units_of_a_cancelled_project_back(office: Office, use: str) -> None:
    group, key = office.group, await office.registered()
    claim = await office.verified(key)
    await office.go(claim, "APPLY", "2025-05-20")
    await office.go(claim, "REGISTER", "2025-06-10")
    given: dict[str, Any] = {"legs": [used(group.steel, 880, "ZL01-1", "CCER")], "purpose": "中和", "evidence": "证明"}
    if use == "retireAssets":
        given |= {"beneficiaryId": group.steel, "forYear": 2024}
    spent = await group.manager.do(use, given, "transfer { id }")
    assert codes(await office.step(key, "CANCEL", "2025-07-01")) == []
    back = {"transferId": spent["transfer"]["id"]}
    refused = await group.manager.attempt("reverseTransfer", back, "transfer { id }")
    assert codes(refused) == ["REVERSAL_BOUND"]
    assert "PROJECT_GONE" in refused["errors"][0]["message"]

    async def reversed_by_hand(unit: UnitOfWork) -> None:
        await unit.execute(
            "INSERT INTO asset_transfer "
            "(tenant_id, id, kind, legs, effective_on, reverses_id, operation, correlation_id) "
            "SELECT tenant_id, :new, 'REVERSE', legs, effective_on, id, operation, correlation_id "
            "FROM asset_transfer WHERE id = :id",
            {"new": (new := uuid7()), "id": ident(back["transferId"])},
        )
        await unit.execute(
            "INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t) "
            "SELECT tenant_id, :new, leg, lot_id, to_account_id, from_account_id, quantity_t FROM asset_leg "
            "WHERE transfer_id = :id",
            {"new": new, "id": ident(back["transferId"])},
        )

    with pytest.raises(DBAPIError, match="a leg does not fit"):
        await group.world.owner.write(group.world.tenant_id, reversed_by_hand)
