"""Many clients at once: never overspent, never stuck, never twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest

from backend.kit.clock import REPORTING_ZONE, Clock
from backend.kit.database import Database
from backend.kit.errors import CodedError
from backend.kit.toolbox import Services
from tenants.commands import BAD_IDEMPOTENCY_KEY, Actor, Change, perform
from tests.fixtures.ledger import POSTED, RESULTS, Group, a_lot, moved, used
from tests.fixtures.world import Caller

CLIENTS, SENDERS, ROUNDS = 64, 16, 6
_TOLD = "balances { accountId quantity }"
_SUMS = """
SELECT a.kind, sum(b.quantity_t) AS kept, min(b.quantity_t) AS least, sum(
  (SELECT sum(e.amount_t) FROM asset_entry e WHERE e.account_id = b.account_id AND e.lot_id = b.lot_id)) AS entries
FROM asset_balance b JOIN asset_account a ON a.id = b.account_id GROUP BY a.kind
"""


_RESTS = """
SELECT coalesce(o.code, a.code) AS holder, sum(b.quantity_t) AS quantity_t
FROM asset_balance b JOIN asset_account a ON a.id = b.account_id LEFT JOIN organisation o ON o.id = a.organisation_id
WHERE a.kind <> 'ISSUER' GROUP BY 1 HAVING sum(b.quantity_t) <> 0
"""


def codes(payloads: list[dict[str, Any]]) -> Counter[str]:
    """How requests ended; a list of one row as its row did."""
    return Counter(_code(p["errors"] or [r["error"] for r in p.get("results", ()) if r["error"]]) for p in payloads)


def _code(errors: list[dict[str, Any]]) -> str:
    return str(errors[0]["code"]) if errors else "done"


async def sums(group: Group) -> dict[str, int]:
    """What rests where, and whether the balances are the sums of the entries."""
    async with group.world.owner.read(group.world.tenant_id) as session:
        rows = await session.rows(_SUMS)
    assert all(row.kept == row.entries for row in rows)
    assert all(row.least >= 0 for row in rows if row.kind != "ISSUER")
    return {row.kind: int(row.kept) for row in rows}


@pytest.mark.parametrize("way", ["quick", "ordinary", "surrender", "list"])
async def test_double_spend(group: Group, way: str) -> None:
    """64 clients of two processes' worth of services want 30 each of a lot of 1,000: 33 get it."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.head, 10)]}, POSTED)
    callers = (group.manager, Caller(Services(group.world.services.toolbox), group.manager.principal))
    move = {"legs": [moved(group.steel, group.cement, 30)]}
    use = {"legs": [used(group.steel, 30)], "beneficiaryId": group.steel, "forYear": 2024}
    ways: dict[str, tuple[str, dict[str, Any], str]] = {
        "quick": ("transferAssets", move, POSTED),
        "ordinary": ("transferAssets", move | {"effectiveOn": Clock().today().isoformat()}, POSTED),
        "surrender": ("surrenderAssets", use, POSTED),
        "list": ("postTransfers", {"transfers": [move | {"kind": "TRANSFER"}]}, RESULTS),
    }
    mutation, given, fields = ways[way]
    started = time.perf_counter()
    answers = await asyncio.gather(*(callers[i % 2].attempt(mutation, given, fields) for i in range(CLIENTS)))
    print(f"\n{CLIENTS} clients, one lot: {dict(codes(answers))} in {time.perf_counter() - started:.2f} s")
    assert codes(answers) == {"done": 33, "INSUFFICIENT_BALANCE": 31}
    assert await rests(group) == {"HD": 10, "SURRENDERED" if way == "surrender" else "CEMENT": 990}


async def rests(group: Group) -> dict[str, int]:
    """Units by the code of who holds them, where the balances are the sums of the entries."""
    await sums(group)
    async with group.world.owner.read(group.world.tenant_id) as session:
        return {row.holder: int(row.quantity_t) for row in await session.rows(_RESTS)}


@pytest.mark.parametrize("way", ["quick", "ordinary", "list"])
async def test_no_leg_is_left_out(group: Group, way: str) -> None:
    """A leg to where nothing of the lot has rested yet moves units as any other does."""
    await group.issue(*(a_lot(o, o[-6:]) for o in (group.steel, group.cement)))
    legs = [
        moved(group.steel, group.cement, 3, group.steel[-6:]),
        moved(group.cement, group.steel, 2, group.cement[-6:]),
    ]
    today = {"effectiveOn": Clock().today(REPORTING_ZONE).isoformat()} if way == "ordinary" else {}
    if way == "list":
        rows = {"transfers": [{"kind": "TRANSFER", "legs": [leg]} for leg in legs]}
        done = await group.manager.do("postTransfers", rows, RESULTS)
        assert [row["error"] for row in done["results"]] == [None, None]
    else:
        done = await group.manager.do("transferAssets", {"legs": legs, **today}, POSTED)
    assert sorted(int(b["quantity"]) for b in done["balances"]) == [2, 3, 997, 998]
    assert await group.held(group.steel) == {group.steel[-6:]: "997", group.cement[-6:]: "2"}
    assert await group.held(group.cement) == {group.steel[-6:]: "3", group.cement[-6:]: "998"}
    await sums(group)


@pytest.mark.parametrize("way", ["quick", "ordinary", "list"])
async def test_many_into_one_account(group: Group, way: str) -> None:
    """Nothing but the account they send to makes them wait for each other: each is told what it left there, by two
    processes' worth of services; none is lost there.
    """
    await group.stock(group.steel, SENDERS * ROUNDS + 1)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    accounts = [await _filled(group, f"S{i}", ROUNDS) for i in range(SENDERS)]
    other = Caller(Services(group.world.services.toolbox), group.manager.principal)
    today = {"effectiveOn": Clock().today(REPORTING_ZONE).isoformat()}

    async def send(number: int) -> list[int]:
        """One unit after another, as they are told: what the destination holds."""
        by, told = (group.manager, other)[number % 2], []
        for _ in range(ROUNDS):
            leg = moved(group.steel, group.cement, 1) | {"source": {"id": accounts[number]}}
            if way == "list":
                rows = {"transfers": [{"kind": "TRANSFER", "legs": [leg]}]}
                done = await by.do("postTransfers", rows, f"results {{ error {{ code }} }} {_TOLD}")
            else:
                # A posting whose day is named goes the ordinary way.
                done = await by.do("transferAssets", {"legs": [leg], **(today if way == "ordinary" else {})}, _TOLD)
            told += [int(b["quantity"]) for b in done["balances"] if b["accountId"] != accounts[number]]
        return told

    told = sorted(t for row in await asyncio.gather(*(send(n) for n in range(SENDERS))) for t in row)
    assert told == list(range(2, SENDERS * ROUNDS + 2))
    await sums(group)
    assert (await group.held(group.cement))["2024-001"] == str(told[-1])


async def _filled(group: Group, code: str, quantity: int) -> str:
    """Another account of steel, with so many units."""
    given = {"organisationId": group.steel, "code": code}
    made = await group.manager.do("createAssetAccount", given, "account { id }")
    to = {"destination": {"id": made["account"]["id"]}}
    await group.manager.do("transferAssets", {"legs": [used(group.steel, quantity) | to]}, POSTED)
    return str(made["account"]["id"])


async def test_crosswise_legs_do_not_lock_up(group: Group) -> None:
    """Transfers of several lots back and forth, their legs in every order: all end, none by a deadlock."""
    lots = [f"L{i}" for i in range(6)]
    await group.issue(*(a_lot(o, f"{o[-6:]}{x}", 10_000) for x in lots for o in (group.steel, group.cement)))
    seed = random.randrange(10**9)
    dice = random.Random(seed)

    def shuffled() -> dict[str, Any]:
        source, to = dice.sample([group.steel, group.cement], 2)
        issued_to = dice.choice([group.steel, group.cement])
        legs = [moved(source, to, dice.randint(1, 3), f"{issued_to[-6:]}{x}") for x in dice.sample(lots, 4)]
        return {"legs": legs}

    async with group.world.owner.read(None) as session:
        before = await session.scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    answers = await asyncio.gather(
        *(group.manager.attempt("transferAssets", shuffled(), "transfer { id }") for _ in range(4 * CLIENTS))
    )
    async with group.world.owner.read(None) as session:
        after = await session.scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    found = codes(answers)
    print(f"\nseed {seed}: {dict(found)}, deadlocks {after - before}")
    assert set(found) <= {"done", "INSUFFICIENT_BALANCE"}
    assert after == before
    assert (await sums(group))["HOLDING"] == 120_000


async def test_reversal_races(group: Group) -> None:
    await group.stock(group.steel)
    done = await group.surrender(group.steel, used(group.steel, 500))
    given = {"transferId": done["transfer"]["id"]}
    answers = await asyncio.gather(
        *(group.manager.attempt("reverseTransfer", given, POSTED) for _ in range(16)),
        *(group.manager.do("postTransfers", {"transfers": [{"kind": "REVERSE", **given}]}, RESULTS) for _ in range(16)),
    )
    single = codes(answers[:16])
    rows = Counter((p["results"][0]["error"] or {"code": "done"})["code"] for p in answers[16:])
    assert single + rows == {"done": 1, "ALREADY_REVERSED": 31}
    assert await sums(group) == {"HOLDING": 1000, "SURRENDERED": 0, "ISSUER": -1000}


async def test_a_key_in_use_elsewhere_holds_up_nobody(group: Group) -> None:
    """Who posts under a key that another transaction uses waits for it without a lock on what that one may want."""
    await group.stock(group.steel)
    move = {"legs": [moved(group.steel, group.cement, 30)]}
    await group.manager.do("transferAssets", move, POSTED)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def fail(_: Change) -> None:
        begun.set()
        await go_on.wait()
        raise BAD_IDEMPOTENCY_KEY(length=0)

    async def other() -> None:
        assert group.manager.principal is not None
        toolbox, actor = group.world.services.toolbox, Actor(group.manager.principal, idempotency_key="one")
        with pytest.raises(CodedError):
            await perform(toolbox, actor, "transferAssets", None, type(None), fail)

    first = asyncio.create_task(other())
    await begun.wait()
    second = asyncio.create_task(group.manager.do("transferAssets", move | {"idempotencyKey": "one"}, POSTED))
    for _ in range(5):
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            assert (await group.manager.do("transferAssets", move, POSTED))["errors"] == []
    assert not second.done()
    go_on.set()
    await first
    assert (await second)["errors"] == []
    assert await rests(group) == {"CEMENT": 210, "STEEL": 790}


@pytest.mark.parametrize("way", ["quick", "ordinary", "list", "row by row", "hold", "issue", "reversal"])
async def test_one_key_many_clients(group: Group, way: str) -> None:
    """By two processes' worth of services: it is done once, and everybody is told the same."""
    await group.stock(group.steel)
    sent = await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 7)]}, POSTED)
    move, use = {"legs": [moved(group.steel, group.cement, 30)]}, {"legs": [used(group.steel, 30)]}
    by: dict[str, tuple[str, dict[str, Any], str]] = {
        "quick": ("transferAssets", move, POSTED),
        "ordinary": ("surrenderAssets", use | {"beneficiaryId": group.steel, "forYear": 2024}, POSTED),
        "list": ("postTransfers", {"transfers": [{"kind": "TRANSFER", **move}]}, RESULTS),
        # One that is refused has the list judged row by row.
        "row by row": ("postTransfers", {"transfers": [{"kind": "TRANSFER", **x} for x in (move, _too_much(group))]},
                       RESULTS),
        "hold": ("reserveAssets", {"aim": "FREEZE", **use}, "reservation { id }"),
        "issue": ("issueLots", {"lots": [a_lot(group.cement, "new", 30)]}, "results { lot { id } }"),
        "reversal": ("reverseTransfer", {"transferId": sent["transfer"]["id"]}, POSTED),
    }  # fmt: skip
    mutation, given, fields = by[way]
    callers = (group.manager, Caller(Services(group.world.services.toolbox), group.manager.principal))
    answers = await asyncio.gather(
        *(callers[i % 2].do(mutation, given | {"idempotencyKey": "one"}, fields) for i in range(CLIENTS))
    )
    assert Counter(a.pop("replayed") for a in answers) == {False: 1, True: CLIENTS - 1}
    assert all(a == answers[0] for a in answers)
    moves = {"quick": {"CEMENT": 37, "STEEL": 963}, "ordinary": {"CEMENT": 7, "STEEL": 963, "SURRENDERED": 30},
             "hold": {"CEMENT": 7, "STEEL": 993}, "issue": {"CEMENT": 37, "STEEL": 993},
             "reversal": {"STEEL": 1000}}  # fmt: skip
    assert await rests(group) == moves.get(way, moves["quick"])
    async with group.world.owner.read(group.world.tenant_id) as session:
        assert await session.scalar("SELECT sum(reserved_t) FROM asset_balance") == (30 if way == "hold" else 0)


def _too_much(group: Group) -> dict[str, Any]:
    return {"legs": [moved(group.steel, group.cement, 5000)]}


async def test_one_reference_many_clients(group: Group, database: Database) -> None:
    given = [a_lot(group.steel, serial={"prefix": "C", "first": "1", "last": "1000"})]
    overlapping = [a_lot(group.steel, "other", serial={"prefix": "C", "first": "500", "last": "1499"})]
    answers = await asyncio.gather(*(group.issue(*(given if i % 2 else overlapping)) for i in range(32)))
    issued = [rows[0]["lot"]["issueReference"] for rows in answers if rows[0]["lot"]]
    refused = {rows[0]["error"]["code"] for rows in answers if rows[0]["error"]}
    assert len(issued) == 1
    assert refused == {"LOT_ALREADY_ISSUED", "SERIAL_OVERLAP"}
