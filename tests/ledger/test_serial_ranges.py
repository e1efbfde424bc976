"""A leg names units by their serial numbers: they are cut out of their lot and move in one step, or nothing does."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from backend.ledger import seals
from tests.fixtures.ledger import POSTED, RESULTS, Group, a_lot, moved, used


async def numbered(group: Group) -> None:
    await group.issue(a_lot(group.steel, "L", 100, serial={"prefix": "C", "first": "100", "last": "199"}))


def by_number(leg: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    return leg | {"serials": {"first": str(first), "last": str(last)}}


def used_range(group: Group, first: int, last: int, lot: str = "L") -> dict[str, Any]:
    return by_number(used(group.steel, last - first + 1, lot), first, last)


def code(payload: dict[str, Any]) -> str:
    return payload["errors"][0]["code"] if payload["errors"] else "done"


async def test_cut_and_used_in_one_step(group: Group) -> None:
    await numbered(group)
    leg = used_range(group, 120, 129)
    rehearsed = await group.surrender(group.steel, leg, dryRun=True)
    assert [x["lot"]["issueReference"] for x in rehearsed["transfer"]["legs"]] == ["L/120-129"]
    assert await group.held(group.steel) == {"L": "100"}
    done = await group.surrender(group.steel, leg, idempotencyKey="k", evidence="清缴单")
    assert [x["lot"]["issueReference"] for x in done["transfer"]["legs"]] == ["L/120-129"]
    assert await group.held(group.steel) == {"L/100-119": "20", "L/130-199": "70"}
    again = await group.surrender(group.steel, leg, idempotencyKey="k", evidence="清缴单")
    assert (again["replayed"], again["transfer"]["id"]) == (True, done["transfer"]["id"])
    life = await group.manager.ask(
        '{ assetUnitHistory(scheme: "CEA", prefix: "C", number: "125") { steps { kind evidence } } }'
    )
    steps = [(s["kind"], s["evidence"]) for s in life["assetUnitHistory"]["steps"]]
    assert steps == [("ISSUE", "登记证明"), ("SPLIT", "清缴单"), ("SURRENDER", "清缴单")]
    found = await seals.verify(group.world.owner, group.world.tenant_id)
    assert found.transfers == 3


async def test_many_ranges_of_a_lot_in_one_transfer(group: Group) -> None:
    """Several parts, the whole of another lot, and units without numbers: all in one."""
    await numbered(group)
    await group.issue(a_lot(group.steel, "W", 10, serial={"prefix": "W", "first": "1", "last": "10"}))
    await group.stock(group.steel, 50)
    legs = [
        by_number(moved(group.steel, group.cement, 10, "L"), 190, 199),
        moved(group.steel, group.cement, 7),
        by_number(moved(group.steel, group.cement, 1, "L"), 100, 100),
        by_number(moved(group.steel, group.cement, 10, "W"), 1, 10),
    ]
    done = await group.manager.attempt("transferAssets", {"legs": legs}, POSTED)
    assert code(done) == "done"
    assert await group.held(group.cement) == {"L/190-199": "10", "2024-001": "7", "L/100-100": "1", "W": "10"}
    assert await group.held(group.steel) == {"L/101-189": "89", "2024-001": "43"}


async def test_all_or_nothing(group: Group) -> None:
    """A leg that cannot stand leaves the lot whole."""
    await numbered(group)
    await group.stock(group.steel, 5)
    leg = used_range(group, 120, 129)
    refused = await group.surrender(group.steel, leg, used(group.steel, 6))
    assert code(refused) == "INSUFFICIENT_BALANCE"
    assert code(await group.surrender(group.steel, used_range(group, 120, 129), used(group.steel, 1, "L"))) == (
        "INSUFFICIENT_BALANCE"
    )
    rows = [{"kind": "SURRENDER", "legs": [x], "beneficiaryId": group.steel, "forYear": 2024} for x in (leg, leg)]
    row, other = rows
    alone = await group.manager.attempt("postTransfers", {"transfers": [row]}, RESULTS)
    assert code(alone) == "SERIALS_ALL_OR_NOTHING"
    given = {"transfers": [row, other | {"legs": [used(group.steel, 6)]}], "allOrNothing": True}
    payload = await group.manager.do("postTransfers", given, RESULTS)
    assert [r["error"]["code"] for r in payload["results"]] == ["NOT_POSTED", "INSUFFICIENT_BALANCE"]
    assert await group.held(group.steel) == {"L": "100", "2024-001": "5"}
    given = {"transfers": [row, other | {"legs": [used_range(group, 130, 139)]}], "allOrNothing": True}
    payload = await group.manager.do("postTransfers", given, RESULTS)
    assert [r["error"] for r in payload["results"]] == [None, None]
    assert await group.held(group.steel) == {"L/100-119": "20", "L/140-199": "60", "2024-001": "5"}


async def test_what_is_no_range(group: Group) -> None:
    await numbered(group)
    await group.stock(group.steel, 10)
    for leg, expected in (
        (used_range(group, 90, 110), "BAD_CUT"),
        (used_range(group, 195, 204), "BAD_CUT"),
        (by_number(used(group.steel, 10, "L"), 100, 110), "SERIALS_LENGTH"),
        (by_number(used(group.steel, 10), 1, 10), "NO_SERIALS"),
    ):
        payload = await group.surrender(group.steel, leg)
        assert (code(payload), payload["errors"][0]["path"][:2]) == (expected, ["legs", "0"])
    twice = await group.surrender(group.steel, used_range(group, 110, 120), used_range(group, 120, 121))
    assert (code(twice), twice["errors"][0]["path"]) == ("BAD_CUT", ["legs", "0", "serials"])
    elsewhere = by_number(used(group.cement, 10, "L"), 100, 109)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert code(await group.surrender(group.cement, elsewhere)) == "LOT_NOT_WHOLE"
    hold = {"aim": "FREEZE", "legs": [used_range(group, 150, 159)]}
    await group.manager.do("reserveAssets", hold, "reservation { id }")
    assert await group.held(group.steel) == {
        "L/100-149": "50", "L/150-159": "10", "L/160-199": "40", "2024-001": "9"
    }  # fmt: skip
    assert code(await group.surrender(group.steel, used(group.steel, 1, "L/150-159"))) == "INSUFFICIENT_BALANCE"
    assert code(await group.surrender(group.steel, used_range(group, 150, 151, "L/150-159"))) == "LOT_NOT_WHOLE"


async def test_many_want_the_same_numbers(group: Group) -> None:
    await numbered(group)
    answers = await asyncio.gather(
        *(group.surrender(group.steel, used_range(group, 120 + i % 4, 129)) for i in range(24))
    )
    found = Counter(code(a) for a in answers)
    assert found["done"] == 1
    assert set(found) <= {"done", "LOT_NOT_WHOLE", "LOT_CUT"}
    assert sum(int(q) for q in (await group.held(group.steel)).values()) in {90, 91, 92, 93}
    await seals.verify(group.world.owner, group.world.tenant_id)
