"""Postings that travel together: each answered alone, none harmed by a neighbour, none lost with its caller."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from asyncpg.exceptions import CheckViolationError, ConnectionDoesNotExistError

from backend.kit.database import Database
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.toolbox import Services
from backend.ledger.committer import Committer, NotTaken
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind
from backend.ledger.posting import Batch, PostingService
from backend.ledger.repository import posting
from backend.ledger.repository.posting import Asked, Landed
from tenants.access import Principal, Role
from tenants.commands import Actor
from tenants.lifecycle import suspend
from tests.fixtures.ledger import POSTED, Group, key, moved

TENANT = uuid7()


def asked(key: str | None = None, member: UUID = TENANT) -> Asked:
    plan: Any = None
    return Asked(plan, member, "x", "-", key, b"", TENANT, {})


class Books:
    """Stands where the database call stands, to fail it at will; holds what came together."""

    def __init__(self) -> None:
        self.calls: list[list[str | None]] = []
        self.failing: list[BaseException] = []
        self.refused: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()

    async def commit(self, _driver: object, _tenant: UUID, batch: Sequence[Asked]) -> list[Landed | None]:
        self.calls.append([a.key for a in batch])
        self.called.set()
        await self.gate.wait()
        if self.failing:
            raise self.failing.pop()
        bad = [a.key in self.refused for a in batch]
        if any(bad):
            return [Landed(datetime.now(UTC), refused=True) if no else None for no in bad]
        return [Landed(datetime.now(UTC)) for _ in batch]


async def at_rest(committer: Committer) -> None:
    """Nobody takes anything to the books any more; the other way may have been opening still."""
    await asyncio.gather(*(t for line in committer._lines.values() for t in line.tasks), return_exceptions=True)


async def outcomes(committer: Committer, *keys: str | None) -> list[str]:
    answers = await asyncio.gather(*(committer.post(TENANT, asked(k)) for k in keys), return_exceptions=True)
    await at_rest(committer)
    return [type(a).__name__ for a in answers]


async def test_what_waits_goes_together_and_a_refusal_goes_alone(database: Database) -> None:
    books = Books()
    books.refused = {"b"}
    committer = Committer(database, books.commit)
    assert await outcomes(committer, "a", "b", None, None) == ["Landed", "NotTaken", "Landed", "Landed"]
    assert books.calls == [["a", "b", None, None], ["a", None, None]]


async def test_one_key_goes_once(database: Database) -> None:
    books = Books()
    assert await outcomes(Committer(database, books.commit), "a", "a", "b") == ["Landed", "NotTaken", "Landed"]
    assert books.calls == [["a", "b"]]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CheckViolationError("undone"), "NotTaken"),  # the server undid it and said so: each may be judged alone
        (ConnectionDoesNotExistError("gone"), "ConnectionDoesNotExistError"),  # nobody knows: each caller hears it
        (OSError("gone"), "OSError"),
    ],
)
async def test_a_failed_call_fails_its_own_callers_and_no_later_ones(
    database: Database, error: BaseException, expected: str
) -> None:
    books = Books()
    books.failing = [error]
    committer = Committer(database, books.commit)
    assert await outcomes(committer, "a", "b") == [expected] * 2
    assert await outcomes(committer, "a", "b") == ["Landed"] * 2


async def test_a_cancelled_caller_is_dropped_from_the_line_and_harms_nobody(database: Database) -> None:
    books = Books()
    books.gate.clear()
    committer = Committer(database, books.commit)
    tasks = [asyncio.create_task(committer.post(TENANT, asked(k))) for k in ("a", "b")]
    await books.called.wait()
    books.called.clear()
    tasks.append(asyncio.create_task(committer.post(TENANT, asked("c"))))
    await books.called.wait()  # by the other way
    tasks += [asyncio.create_task(committer.post(TENANT, asked(k))) for k in ("d", "e")]
    await asyncio.sleep(0.01)
    tasks[0].cancel()  # on its way: it stands, whoever asked for it
    tasks[3].cancel()  # still in line: it does not go
    books.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(a).__name__ for a in answers] == ["CancelledError", "Landed", "Landed", "CancelledError", "Landed"]
    assert books.calls == [["a", "b"], ["c"], ["e"]]
    await at_rest(committer)


async def test_a_key_that_is_under_way_goes_by_itself(database: Database) -> None:
    """Its second use would wait for the first in the books, and its neighbours with it."""
    books = Books()
    books.gate.clear()
    committer = Committer(database, books.commit)
    first = asyncio.create_task(committer.post(TENANT, asked("a")))
    await books.called.wait()
    books.called.clear()
    again, other = [asyncio.create_task(committer.post(TENANT, asked(k))) for k in ("a", "b")]
    await books.called.wait()  # by the other way, however long a connection takes
    books.gate.set()
    answers = await asyncio.gather(first, again, other, return_exceptions=True)
    assert [type(a).__name__ for a in answers] == ["Landed", "NotTaken", "Landed"]
    await at_rest(committer)


@pytest.mark.parametrize(("callers", "calls"), [(3, [3]), (8, [4, 4]), (32, [16, 16]), (100, [50, 50])])
async def test_of_all_that_are_there_half_go_together(database: Database, callers: int, calls: list[int]) -> None:
    books = Books()
    books.gate.clear()
    committer = Committer(database, books.commit)
    tasks = [asyncio.create_task(committer.post(TENANT, asked(str(i)))) for i in range(callers)]
    for _ in calls:
        await books.called.wait()
        books.called.clear()
    assert [len(call) for call in books.calls] == calls
    books.gate.set()
    await asyncio.gather(*tasks)
    await at_rest(committer)


def order(group: Group, source: str, to: str, quantity: int) -> Order:
    sides = (AccountRef(organisation_id=key(source)), AccountRef(organisation_id=key(to)))
    return Order(TransferKind.TRANSFER, (LegOrder(LotRef(scheme="CEA", issue_reference="2024-001"), quantity, *sides),))


@pytest.fixture
async def warm(group: Group) -> Group:
    """The process knows the names; steel has 900 t and cement 100 t."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 100)]}, POSTED)
    return group


async def post(group: Group, what: Order, principal: Principal | None = None, **more: Any) -> str:
    principal = principal or group.manager.principal
    assert principal is not None
    try:
        done = await group.world.services.get(PostingService).post(Actor(principal, **more), "transferAssets", what)
    except CodedError as error:
        return error.code.name
    return "replayed" if done.replayed else str(done.value.balances[0].quantity_t)


async def test_together_each_sees_the_balance_it_left(warm: Group) -> None:
    """Sixteen at once, two of them too large: the others go through, and no two saw the same balance."""
    sizes = [1000 if i in {3, 9} else 10 for i in range(16)]
    found = await asyncio.gather(*(post(warm, order(warm, warm.steel, warm.cement, s)) for s in sizes))
    assert Counter(found)["INSUFFICIENT_BALANCE"] == 2
    sums = await warm.held(warm.steel), await warm.held(warm.cement)
    assert sums == ({"2024-001": "760"}, {"2024-001": "240"})
    assert len({f for f in found if f != "INSUFFICIENT_BALANCE"}) == 14


class Driver:
    """Calls the database, and notes which calls looked closely."""

    def __init__(self, driver: Any, closely: list[bool]) -> None:
        self.driver, self.closely = driver, closely

    async def fetchrow(self, call: str, *arguments: Any) -> Any:
        self.closely.append(arguments[1])
        return await self.driver.fetchrow(call, *arguments)


@pytest.fixture
def closely(warm: Group, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each call of the quick ways, in a process that knows the names: whether it looked closely."""
    found: list[bool] = []
    for name in ("commit", "commit_list"):
        called = getattr(posting, name)
        watched = partial(lambda called, driver, *rest: called(Driver(driver, found), *rest), called)
        monkeypatch.setattr(posting, name, watched)
    warm.world.services = Services(warm.world.services.toolbox)
    return found


async def test_what_stands_takes_one_call(warm: Group, closely: list[bool]) -> None:
    for k in (None, "k"):
        found = await post(warm, order(warm, warm.steel, warm.cement, 10), idempotency_key=k)
        assert found != "INSUFFICIENT_BALANCE"
    batch = Batch((order(warm, warm.steel, warm.cement, 10), order(warm, warm.cement, warm.steel, 5)), True)
    done = await warm.world.services.get(PostingService).post_all(Actor(_principal(warm), idempotency_key="l"), batch)
    assert sorted(b.quantity_t for b in done.value.balances) == [125, 875]
    assert closely == [False] * 3


async def test_what_does_not_stand_is_looked_at_closely(warm: Group, closely: list[bool]) -> None:
    """A posting that is not covered, one whose key was used, one to where no unit ever was."""
    assert await post(warm, order(warm, warm.steel, warm.cement, 901)) == "INSUFFICIENT_BALANCE"
    assert await post(warm, order(warm, warm.steel, warm.cement, 1), idempotency_key="k") == "899"
    assert await post(warm, order(warm, warm.steel, warm.cement, 1), idempotency_key="k") == "replayed"
    await warm.stock(warm.steel, 50, "2024-002")
    there = replace(
        order(warm, warm.steel, warm.cement, 1).legs[0], lot=LotRef(scheme="CEA", issue_reference="2024-002")
    )
    assert await post(warm, Order(TransferKind.TRANSFER, (there,))) == "49"
    assert closely == [False, True, False, False, True, False, True]


async def test_a_key_is_answered_the_same_again(warm: Group) -> None:
    actor = Actor(_principal(warm), idempotency_key="k")
    service = warm.world.services.get(PostingService)
    first = await service.post(actor, "transferAssets", order(warm, warm.steel, warm.cement, 10))
    again = await service.post(actor, "transferAssets", order(warm, warm.steel, warm.cement, 10))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.value == first.value
    assert await post(warm, order(warm, warm.steel, warm.cement, 11), idempotency_key="k") == "IDEMPOTENCY_KEY_REUSED"
    other = await service.post(
        Actor(_principal(warm), idempotency_key="k2"), "transferAssets", order(warm, warm.steel, warm.cement, 10)
    )
    reversal = Order(TransferKind.REVERSE, reverses_id=_transfer(other))
    await service.post(Actor(_principal(warm)), "reverseTransfer", reversal)
    replay = await service.post(
        Actor(_principal(warm), idempotency_key="k2"), "transferAssets", order(warm, warm.steel, warm.cement, 10)
    )
    assert replay.value == other.value


async def test_same_key_with_another_body_at_once(warm: Group) -> None:
    bodies = [order(warm, warm.steel, warm.cement, 1 + i % 2) for i in range(16)]
    found = Counter(await asyncio.gather(*(post(warm, body, idempotency_key="k") for body in bodies)))
    assert (found["replayed"], found["IDEMPOTENCY_KEY_REUSED"]) == (7, 8)


async def test_reach_is_asked_of_those_whose_right_ends_somewhere(warm: Group) -> None:
    """A manager of cement only, in one batch with one of everything."""
    member = await warm.world.member((Role.ASSET_MANAGER, key(warm.cement)))
    assert member.principal is not None
    found = await asyncio.gather(
        post(warm, order(warm, warm.steel, warm.cement, 1)),
        post(warm, order(warm, warm.steel, warm.cement, 1), member.principal),
        post(warm, order(warm, warm.cement, warm.steel, 1), member.principal),
    )
    assert found[1] == "UNKNOWN_ACCOUNT"
    assert {found[0], found[2]}.isdisjoint({"UNKNOWN_ACCOUNT", "FORBIDDEN", "NOT_FOUND"})


async def test_a_withdrawn_lot_is_not_there_any_more(warm: Group) -> None:
    """Its name was kept; its units are gone, so the second look finds that it was withdrawn."""
    await warm.stock(warm.cement, 5, "gone")
    leg = moved(warm.cement, warm.steel, 1, "gone")
    lot = await warm.manager.do("transferAssets", {"legs": [leg]}, POSTED)
    await warm.manager.do("reverseTransfer", {"transferId": lot["transfer"]["id"]}, POSTED)
    issue = "{ assetTransfers(kind: ISSUE, first: 1) { nodes { id } } }"
    issued = (await warm.manager.ask(issue))["assetTransfers"]["nodes"][0]["id"]
    await warm.manager.do("reverseTransfer", {"transferId": issued}, POSTED)
    refused = await warm.manager.attempt("transferAssets", {"legs": [leg]}, POSTED)
    assert refused["errors"][0]["code"] == "UNKNOWN_LOT"
    await warm.stock(warm.cement, 7, "gone")
    assert (await warm.manager.attempt("transferAssets", {"legs": [leg]}, POSTED))["errors"] == []


async def test_suspended_while_in_line(warm: Group, owner_database: Database) -> None:
    await suspend(owner_database, warm.world.slug, "欠费")
    assert await post(warm, order(warm, warm.steel, warm.cement, 1)) == "TENANT_SUSPENDED"


def _principal(group: Group) -> Principal:
    assert group.manager.principal is not None
    return group.manager.principal


def _transfer(done: Any) -> UUID:
    found: UUID = done.value.rows[0].transfer.id
    return found


def test_not_taken_is_no_coded_error() -> None:
    assert not issubclass(NotTaken, CodedError)
