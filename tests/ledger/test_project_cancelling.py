"""A registered project is not cancelled while units that were issued for it are held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.kit.database import UnitOfWork
from tests.fixtures.ledger import Group, used
from tests.ledger.test_projects import Office, codes


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
    assert refused["errors"][0]["message"].startswith("880 t issued for this project rest in accounts here")
    await retire(group, used(group.steel, 850, "ZL01-1/31-880", "CCER"))
    refused = await office.step(key, "CANCEL", "2025-07-01")
    assert refused["errors"][0]["message"].startswith("30 t issued")
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
    """Whichever is first, no unit stands for a project that is gone."""
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
