"""A posting may name the versions of the balances it was decided on: once they have moved on, nothing is posted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from backend.kit.ids import uuid7
from tests.fixtures.ledger import Group, a_lot, moved, used

POSTED = "transfer { id } balances { accountId quantity version lot { issueReference } }"
RESULTS = "results { transfer { id } error { code path } } balances { quantity version }"


async def versions(group: Group, organisation_id: str) -> dict[str, str]:
    """The version of each balance of an organisation by issue reference, as the query shows it."""
    document = (
        "query Q($o: ID) { assetAccounts(organisationId: $o) { nodes { "
        "balances(first: 1000) { nodes { version lot { issueReference } } } } } }"
    )
    data = await group.manager.ask(document, o=organisation_id)
    rows = [b for a in data["assetAccounts"]["nodes"] for b in a["balances"]["nodes"]]
    return {b["lot"]["issueReference"]: b["version"] for b in rows}


def expecting(leg: dict[str, Any], version: str | None, there: str | None = None) -> dict[str, Any]:
    return leg | {"expectedVersion": version} | ({"expectedDestinationVersion": there} if there else {})


async def post(group: Group, *legs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return await group.manager.attempt("transferAssets", {"legs": list(legs), **more}, POSTED)


async def test_the_version_of_an_answer_is_the_one_that_is_read(group: Group) -> None:
    """Posted the quick way, again under the same key, in a list, by a list judged row by row, and after a hold."""
    await group.stock(group.steel)
    seen = [(await versions(group, group.steel))["2024-001"]]

    async def told(payload: dict[str, Any]) -> None:
        (read,) = (await versions(group, group.steel)).values()
        assert read in {b["version"] for b in payload["balances"]}
        assert read not in seen
        seen.append(read)

    leg = moved(group.steel, group.cement, 1)
    done = await post(group, leg, idempotencyKey="k")
    await told(done)
    again = await post(group, leg, idempotencyKey="k")
    assert (again["replayed"], again["balances"]) == (True, done["balances"])
    row = {"kind": "TRANSFER", "legs": [leg]}
    await told(await group.manager.do("postTransfers", {"transfers": [row, row]}, RESULTS))
    refused = {"kind": "TRANSFER", "legs": [moved(group.steel, group.cement, 10_000)]}
    mixed = await group.manager.do("postTransfers", {"transfers": [row, refused, row]}, RESULTS)
    assert [r["error"] and r["error"]["code"] for r in mixed["results"]] == [None, "INSUFFICIENT_BALANCE", None]
    await told(mixed)
    hold = {"aim": "FREEZE", "legs": [used(group.steel, 1)]}
    made = await group.manager.do("reserveAssets", hold, "reservation { id }")
    (held,) = (await versions(group, group.steel)).values()
    await group.manager.do(
        "voidReservation", {"reservationId": made["reservation"]["id"], "reason": "x"}, "reservation { id }"
    )
    (given_back,) = (await versions(group, group.steel)).values()
    assert len({held, given_back, *seen}) == len(seen) + 2


async def test_a_version_that_moved_on(group: Group) -> None:
    await group.stock(group.steel)
    old = (await versions(group, group.steel))["2024-001"]
    leg = moved(group.steel, group.cement, 10)
    done = await post(group, expecting(leg, old))
    assert done["errors"] == []
    stale = await post(group, expecting(leg, old), idempotencyKey="k")
    (error,) = stale["errors"]
    now = (await versions(group, group.steel))["2024-001"]
    assert (error["code"], error["path"]) == ("STALE_VERSION", ["legs", "0", "expectedVersion"])
    assert now in error["message"]
    assert stale["transfer"] is None
    there = (await versions(group, group.cement))["2024-001"]
    assert (await post(group, expecting(leg, now, there), dryRun=True))["errors"] == []
    assert (await post(group, expecting(leg, now, there)))["errors"] == []
    now = (await versions(group, group.steel))["2024-001"]
    (error,) = (await post(group, expecting(leg, now, there)))["errors"]
    assert (error["code"], error["path"]) == ("STALE_VERSION", ["legs", "0", "expectedDestinationVersion"])
    assert await group.held(group.steel) == {"2024-001": "980"}
    hold = await group.manager.attempt(
        "reserveAssets", {"aim": "FREEZE", "legs": [expecting(used(group.steel, 1), old)]}, "reservation { id }"
    )
    assert hold["errors"][0]["code"] == "STALE_VERSION"
    use = await group.surrender(group.steel, expecting(used(group.steel, 1), old))
    assert use["errors"][0]["code"] == "STALE_VERSION"
    # The key of what was refused is free: with the present version it posts.
    assert (await post(group, expecting(leg, now), idempotencyKey="k"))["errors"] == []


async def test_what_never_moved_has_a_version_too(group: Group) -> None:
    """A balance that is not there yet may be expected to be so: it is made and held before it is looked at."""
    await group.stock(group.steel)
    nil = "00000000-0000-0000-0000-000000000000"
    leg = moved(group.steel, group.cement, 10) | {"expectedDestinationVersion": nil}
    answers = await asyncio.gather(*(post(group, leg) for _ in range(8)))
    assert Counter(a["errors"][0]["code"] if a["errors"] else "done" for a in answers) == {
        "done": 1,
        "STALE_VERSION": 7,
    }
    assert await group.held(group.cement) == {"2024-001": "10"}


@pytest.mark.parametrize("quick", [False, True])
async def test_of_many_that_saw_one_state_one_posts(group: Group, quick: bool) -> None:
    """Each round, 16 clients decide on the same balance, some after others have posted the quick way in between: a
    version read outside the transaction would let two of them through.
    """
    await group.stock(group.steel)
    moved_on = 0
    for _ in range(6):
        seen = (await versions(group, group.steel))["2024-001"]
        leg = moved(group.steel, group.cement, 1)
        others = [post(group, leg)] if quick else []
        answers = await asyncio.gather(*(post(group, expecting(leg, seen)) for _ in range(16)), *others)
        found = Counter(a["errors"][0]["code"] if a["errors"] else "done" for a in answers[:16])
        assert set(found) <= {"done", "STALE_VERSION"}
        assert found["done"] <= 1
        assert found["done"] == 1 or quick
        moved_on += found["done"] + len(others)
    assert await group.held(group.cement) == {"2024-001": str(moved_on)}


async def test_crosswise_expectations_end(group: Group) -> None:
    """Expectations lock balances in the order of every posting: back and forth over many lots, none gets stuck."""
    lots = [f"L{i}" for i in range(4)]
    await group.issue(*(a_lot(o, f"{o[-6:]}{x}", 10_000) for x in lots for o in (group.steel, group.cement)))

    async def there_and_back(number: int) -> list[str]:
        found = []
        for _ in range(4):
            order = lots if number % 2 else lots[::-1]
            at = await versions(group, group.steel)
            legs = [
                expecting(moved(group.steel, group.cement, 1, f"{group.steel[-6:]}{x}"), at[f"{group.steel[-6:]}{x}"])
                for x in order
            ]
            answer = await post(group, *legs)
            found.append(answer["errors"][0]["code"] if answer["errors"] else "done")
        return found

    answers = await asyncio.gather(*(there_and_back(n) for n in range(12)))
    found = Counter(code for row in answers for code in row)
    assert set(found) <= {"done", "STALE_VERSION"}
    assert found["done"] > 0
    held = await group.held(group.steel)
    assert {held[f"{group.steel[-6:]}{x}"] for x in lots} == {str(10_000 - found["done"])}


async def test_no_version(group: Group) -> None:
    await group.stock(group.steel)
    refused = await post(group, expecting(moved(group.steel, group.cement, 1), "seven"))
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == (
        "INVALID_INPUT",
        ["legs", "0", "expectedVersion"],
    )
    refused = await post(group, expecting(moved(group.steel, group.cement, 1), str(uuid7())))
    assert refused["errors"][0]["code"] == "STALE_VERSION"


async def test_rows_of_a_list_expect_what_was_before_the_list(group: Group) -> None:
    await group.stock(group.steel)
    seen = (await versions(group, group.steel))["2024-001"]
    sound = {"kind": "TRANSFER", "legs": [expecting(moved(group.steel, group.cement, 1), seen)]}
    stale = {"kind": "TRANSFER", "legs": [expecting(moved(group.steel, group.cement, 1), str(uuid7()))]}
    done = await group.manager.do("postTransfers", {"transfers": [sound, stale, sound]}, RESULTS)
    assert [r["error"] and (r["error"]["code"], r["error"]["path"]) for r in done["results"]] == [
        None,
        ("STALE_VERSION", ["transfers", "1", "legs", "0", "expectedVersion"]),
        None,
    ]
    assert await group.held(group.steel) == {"2024-001": "998"}
