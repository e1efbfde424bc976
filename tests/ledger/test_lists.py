"""A list whose every row stands goes in one round trip; anything else is judged row by row, with the same answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from backend.kit.database import Database
from backend.kit.errors import CodedError
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind
from backend.ledger.posting import Batch, PostingService
from tenants.access import Principal, Role
from tenants.commands import Actor, Done
from tests.fixtures.ledger import POSTED, Group, key, moved

UNTOUCHED = ({"2024-001": "900"}, {"2024-001": "100"})


@pytest.fixture
async def warm(group: Group) -> Group:
    """Steel has 900 t and cement 100 t, so both have a balance of the lot."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 100)]}, POSTED)
    return group


def order(source: str, to: str, quantity: int, lot: str = "2024-001") -> Order:
    sides = (AccountRef(organisation_id=key(source)), AccountRef(organisation_id=key(to)))
    return Order(TransferKind.TRANSFER, (LegOrder(LotRef(scheme="CEA", issue_reference=lot), quantity, *sides),))


def there(group: Group, *quantities: int) -> Batch:
    return Batch(tuple(order(group.steel, group.cement, q) for q in quantities), all_or_nothing=False)


async def post(group: Group, batch: Batch, principal: Principal | None = None, **more: Any) -> Done[Any]:
    principal = principal or group.manager.principal
    assert principal is not None
    return await group.world.services.get(PostingService).post_all(Actor(principal, **more), batch)


def codes(done: Done[Any]) -> list[str | None]:
    return [row.refusal and row.refusal.code for row in done.value.rows]


async def held(group: Group) -> tuple[dict[str, str], dict[str, str]]:
    return await group.held(group.steel), await group.held(group.cement)


async def kept(owner: Database, group: Group) -> list[Any]:
    async with owner.read(group.world.tenant_id) as session:
        rows = await session.rows("SELECT answer FROM idempotency_key WHERE operation = 'postTransfers' ORDER BY key")
    return [row.answer for row in rows]


async def test_the_balances_are_those_it_left(warm: Group) -> None:
    back = order(warm.cement, warm.steel, 50)
    done = await post(warm, Batch((*there(warm, 10, 20).orders, back), all_or_nothing=True))
    assert codes(done) == [None] * 3
    assert sorted(b.quantity_t for b in done.value.balances) == [80, 920]
    assert await held(warm) == ({"2024-001": "920"}, {"2024-001": "80"})


async def test_units_that_come_to_an_account_for_the_first_time(warm: Group, owner_database: Database) -> None:
    await warm.stock(warm.steel, 50, "2024-002")
    batch = Batch((order(warm.steel, warm.cement, 20, "2024-002"),), all_or_nothing=False)
    done = await post(warm, batch, idempotency_key="k")
    assert sorted(b.quantity_t for b in done.value.balances) == [20, 30]
    assert "quantities" in (await kept(owner_database, warm))[0]
    assert (await warm.held(warm.cement))["2024-002"] == "20"


async def test_a_replay_tells_it_as_it_was(warm: Group, owner_database: Database) -> None:
    first = await post(warm, there(warm, 10, 20), idempotency_key="k")
    assert [sorted(answer) for answer in await kept(owner_database, warm)] == [["quantities", "transfers"]]
    await post(warm, there(warm, 5))
    taken_back = first.value.rows[0].transfer.id
    await post(warm, Batch((Order(TransferKind.REVERSE, reverses_id=taken_back),), all_or_nothing=False))
    again = await post(warm, there(warm, 10, 20), idempotency_key="k")
    assert again == replace(first, replayed=True)
    with pytest.raises(CodedError, match="was used for postTransfers with another input"):
        await post(warm, there(warm, 10, 21), idempotency_key="k")


async def test_one_key_posts_once_however_many_ask_at_once(warm: Group) -> None:
    found = await asyncio.gather(*(post(warm, there(warm, 10, 20), idempotency_key="k") for _ in range(8)))
    assert Counter(f.replayed for f in found) == {True: 7, False: 1}
    assert all(f.value == found[0].value for f in found)
    assert await held(warm) == ({"2024-001": "870"}, {"2024-001": "130"})


async def test_a_refused_row_leaves_the_others(warm: Group, owner_database: Database) -> None:
    """What comes in by a later row does not cover an earlier one, though both together would balance."""
    rows = (*there(warm, 901).orders, order(warm.cement, warm.steel, 1), *there(warm, 901).orders)
    done = await post(warm, Batch(rows, all_or_nothing=False), idempotency_key="k")
    assert codes(done) == ["INSUFFICIENT_BALANCE", None, None]
    assert await held(warm) == ({}, {"2024-001": "1000"})
    assert "rows" in (await kept(owner_database, warm))[0]


async def test_all_or_nothing_writes_nothing(warm: Group, owner_database: Database) -> None:
    batch = replace(there(warm, 10, 891), all_or_nothing=True)
    assert codes(await post(warm, batch, idempotency_key="k")) == ["NOT_POSTED", "INSUFFICIENT_BALANCE"]
    assert (await held(warm), await kept(owner_database, warm)) == (UNTOUCHED, [])


async def test_a_rehearsal_writes_nothing(warm: Group, owner_database: Database) -> None:
    assert codes(await post(warm, there(warm, 10), idempotency_key="k", dry_run=True)) == [None]
    assert (await held(warm), await kept(owner_database, warm)) == (UNTOUCHED, [])


async def test_a_right_on_one_side_only(warm: Group) -> None:
    member = await warm.world.member((Role.ASSET_MANAGER, key(warm.cement)))
    mixed = Batch((order(warm.cement, warm.steel, 1), *there(warm, 1).orders), all_or_nothing=False)
    assert codes(await post(warm, mixed, member.principal)) == [None, "UNKNOWN_ACCOUNT"]
    own = Batch((order(warm.cement, warm.steel, 1),), all_or_nothing=False)
    assert codes(await post(warm, own, member.principal)) == [None]


async def test_a_key_that_is_no_key(warm: Group) -> None:
    with pytest.raises(CodedError) as refused:
        await post(warm, there(warm, 1), idempotency_key="k" * 201)
    assert refused.value.code.name == "BAD_IDEMPOTENCY_KEY"
    assert await held(warm) == UNTOUCHED


async def test_an_account_frozen_meanwhile(warm: Group) -> None:
    """The process knows the names by then; the state is the database's to know."""
    await post(warm, there(warm, 1))
    accounts = await warm.manager.ask(
        "query Q($o: ID) { assetAccounts(organisationId: $o) { nodes { id } } }", o=warm.cement
    )
    for account in accounts["assetAccounts"]["nodes"]:
        given = {"accountId": account["id"], "state": "FROZEN", "reason": "司法协助"}
        await warm.manager.do("setAssetAccountState", given, "state { state }")
    assert codes(await post(warm, there(warm, 1, 2))) == ["ACCOUNT_NOT_OPEN"] * 2
