"""Lots cut by their serial numbers and joined again: sums exact, numbers never twice, every unit's way on record."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.ids import uuid7
from backend.kit.provision import OWNER
from backend.ledger import seals
from backend.ledger.cuts.domain import blocks
from backend.ledger.domain.lots import AssetClass, Lot, Origin, SerialBlock
from tenants.access import Role
from tests.fixtures.ledger import ISSUED, POSTED, Group, a_lot, key, moved, used

CUT = "lots { issueReference quantity serial { prefix first last } } transfer { id kind legs { quantity } }"
LIFE = (
    'query Q($n: Tonnes!) { assetUnitHistory(scheme: "CEA", prefix: "C", number: $n) '
    "{ lot { issueReference } steps { kind evidence } } }"
)


async def numbered(group: Group) -> None:
    await group.issue(a_lot(group.steel, "L", 100, serial={"prefix": "C", "first": "100", "last": "199"}))


async def split(group: Group, *parts: tuple[int, int], lot: str = "L", **more: Any) -> dict[str, Any]:
    wanted = [{"first": str(first), "last": str(last)} for first, last in parts]
    given = {"lot": {"scheme": "CEA", "issueReference": lot}, "parts": wanted, **more}
    return await group.manager.attempt("splitLot", given, CUT)


async def merge(group: Group, *lots: str) -> dict[str, Any]:
    return await group.manager.attempt(
        "mergeLots", {"lots": [{"scheme": "CEA", "issueReference": lot} for lot in lots], "evidence": "合并单"}, CUT
    )


def code(payload: dict[str, Any]) -> str:
    return payload["errors"][0]["code"] if payload["errors"] else "done"


def names(payload: dict[str, Any]) -> list[str]:
    return [lot["issueReference"] for lot in payload["lots"]]


async def test_split_moved_used_and_merged(group: Group) -> None:
    await numbered(group)
    done = await split(group, (120, 129), evidence="拆分单", idempotencyKey="k")
    assert names(done) == ["L/100-119", "L/120-129", "L/130-199"]
    assert (done["transfer"]["kind"], len(done["transfer"]["legs"])) == ("SPLIT", 4)
    assert names(await split(group, (120, 129), evidence="拆分单", idempotencyKey="k")) == names(done)
    assert await group.held(group.steel) == {"L/100-119": "20", "L/120-129": "10", "L/130-199": "70"}
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 10, "L/120-129")]}, POSTED)
    assert code(await merge(group, "L/100-119", "L/120-129")) == "NOT_ADJACENT"
    await group.manager.do("transferAssets", {"legs": [moved(group.cement, group.steel, 10, "L/120-129")]}, POSTED)
    joined = await merge(group, "L/120-129", "L/100-119")
    assert names(joined) == ["L/100-129"]
    assert code(await merge(group, "L/100-129", "L/130-199")) == "done"
    assert await group.held(group.steel) == {"L/100-199": "100"}
    assert code(await group.surrender(group.steel, used(group.steel, 100, "L/100-199"))) == "done"
    found = await seals.verify(group.world.owner, group.world.tenant_id)
    assert found.transfers == 7


async def test_who_names_a_lot_that_was_cut_is_told_what_is_in_its_place(group: Group) -> None:
    await numbered(group)
    await split(group, (120, 129), (140, 149))
    await merge(group, "L/120-129", "L/100-119")
    frozen = {"aim": "FREEZE", "legs": [used(group.steel, 1, "L")]}
    for refused in (
        await group.surrender(group.steel, used(group.steel, 1, "L")),
        await split(group, (100, 101)),
        await group.manager.attempt("reserveAssets", frozen, "reservation { id }"),
    ):
        assert code(refused) == "LOT_CUT"
        assert "L/100-129, L/130-139, L/140-149, L/150-199." in refused["errors"][0]["message"]
    (again,) = await group.issue(a_lot(group.steel, "L", 5))
    assert again["error"]["code"] == "LOT_ALREADY_ISSUED", "who still says L means its parts"
    lots = "{ assetLots(first: 50) { nodes { id issueReference } } }"
    ids = {x["issueReference"]: x["id"] for x in (await group.manager.ask(lots))["assetLots"]["nodes"]}
    by_id = {"lot": {"id": ids["L"]}, "quantity": "1", "source": {"organisationId": group.steel}}
    for refused in (
        await group.surrender(group.steel, by_id),
        await group.manager.attempt("splitLot", {"lot": by_id["lot"], "parts": [{"first": "100", "last": "101"}]}, CUT),
    ):
        assert (code(refused), "CEA L " in refused["errors"][0]["message"]) == ("LOT_CUT", True)
    cement = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    given = {"legs": [moved(group.cement, group.steel, 1, "L")]}
    assert code(await cement.attempt("transferAssets", given, POSTED)) == "UNKNOWN_LOT"


async def test_an_issue_and_a_split_at_once_share_no_reference(group: Group) -> None:
    """Whichever comes first, the reference means the units of the first issue and their parts."""
    await numbered(group)
    cut, issued = await asyncio.gather(split(group, (120, 129)), group.issue(a_lot(group.steel, "L", 5)))
    assert (code(cut), issued[0]["error"]["code"]) == ("done", "LOT_ALREADY_ISSUED")


async def test_the_life_of_a_unit_goes_through_its_lots(group: Group) -> None:
    await numbered(group)
    await split(group, (120, 129), evidence="拆分单")
    await split(group, (125, 125), lot="L/120-129", evidence="再拆")
    await group.surrender(group.steel, used(group.steel, 1, "L/125-125"), evidence="清缴单")
    life = (await group.manager.ask(LIFE, n="125"))["assetUnitHistory"]
    assert life["lot"]["issueReference"] == "L/125-125"
    assert [(s["kind"], s["evidence"]) for s in life["steps"]] == [
        ("ISSUE", "登记证明"), ("SPLIT", "拆分单"), ("SPLIT", "再拆"), ("SURRENDER", "清缴单"),
    ]  # fmt: skip
    other = (await group.manager.ask(LIFE, n="150"))["assetUnitHistory"]
    assert [s["kind"] for s in other["steps"]] == ["ISSUE", "SPLIT"]


async def test_what_cannot_be_cut(group: Group) -> None:
    await numbered(group)
    await group.stock(group.steel, 10)
    for parts in ([(100, 199)], [(99, 120)], [(190, 200)], [(120, 110)], [(110, 120), (120, 130)]):
        assert code(await split(group, *parts)) == "BAD_CUT", parts
    assert code(await split(group)) == "CUT_SIZE"
    assert code(await split(group, (1, 2), lot="2024-001")) == "NO_SERIALS"
    assert code(await split(group, (1, 2), lot="unknown")) == "UNKNOWN_LOT"
    for lots in ((), ("L",), ("L", "L")):
        assert code(await merge(group, *lots)) == "CUT_SIZE", lots
    frozen = {"aim": "FREEZE", "legs": [used(group.steel, 1, "L")]}
    kept = (await group.manager.do("reserveAssets", frozen, "reservation { id }"))["reservation"]
    assert code(await split(group, (110, 120))) == "LOT_NOT_WHOLE"
    await group.manager.do("voidReservation", {"reservationId": kept["id"], "reason": "x"}, "reservation { id }")
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1, "L")]}, POSTED)
    assert code(await split(group, (110, 120))) == "LOT_NOT_WHOLE"
    stranger = await group.world.member((Role.ASSET_MANAGER, key(group.head)))
    cement = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    given = {"lot": {"scheme": "CEA", "issueReference": "L"}, "parts": [{"first": "110", "last": "120"}]}
    assert code(await stranger.attempt("splitLot", given, CUT)) == "LOT_NOT_WHOLE"
    assert code(await cement.attempt("splitLot", given, CUT)) in {"NOT_FOUND", "UNKNOWN_LOT", "FORBIDDEN"}
    posted = {"transfers": [{"kind": "SPLIT", "legs": [used(group.steel, 1, "L")]}]}
    refused = await group.manager.do("postTransfers", posted, "results { error { code message } }")
    assert "splitLot" in refused["results"][0]["error"]["message"]
    assert await group.held(group.steel) == {"L": "99", "2024-001": "10"}


async def test_numbers_stay_unique_and_cuts_stay(group: Group) -> None:
    await numbered(group)
    done = await split(group, (120, 129))
    again = {"prefix": "C", "first": "125", "last": "125"}
    payload = await group.manager.attempt("issueLots", {"lots": [a_lot(group.steel, "x", 1, serial=again)]}, ISSUED)
    assert payload["results"][0]["error"]["code"] == "SERIAL_OVERLAP"
    undone = await group.manager.attempt("reverseTransfer", {"transferId": done["transfer"]["id"]}, POSTED)
    assert code(undone) == "NOT_REVERSIBLE"


async def test_the_database_refuses_an_inexact_cut(group: Group, database_url: str) -> None:
    """The owner calls the function that cuts: with a number too few, with numbers of no lot, and rightly."""
    await numbered(group)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    lot = await connection.fetchval("SELECT id FROM asset_lot")
    account = await connection.fetchrow(
        "SELECT id, organisation_id FROM asset_account WHERE organisation_id IS NOT NULL"
    )
    cut = "SELECT ledger_cut($1, 'x', '-', $2, 'SPLIT', current_date, '', $3, $4, $5, $6, $7, $8, $9)"

    async def refusal(*found: tuple[int, int]) -> str:
        keys = [uuid7() for _ in found]
        refs, firsts, lasts = [f"c{i}" for i in range(len(found))], [a for a, _ in found], [b for _, b in found]
        what = (account["id"], account["organisation_id"], [lot], keys, refs, firsts, lasts)
        try:
            await connection.execute(cut, uuid7(), uuid7(), *what)
        except asyncpg.exceptions.PostgresError as error:
            return str(getattr(error, "constraint_name", ""))
        return "done"

    assert await refusal((100, 149), (150, 198)) == "asset_lot_cut_exact"
    assert await refusal((100, 149), (150, 200)) == "asset_lot_cut_exact"
    assert await refusal((100, 150), (150, 199)) == "asset_lot_serial_overlap"
    assert await refusal((100, 149), (150, 199)) == "done"
    with pytest.raises(asyncpg.exceptions.SerializationError, match="stays its own"):
        await connection.execute(
            "INSERT INTO asset_lot (tenant_id, id, asset_class, scheme, issue_reference, project, quantity_t, origin, "
            "issued_to, issued_on, issued_by) SELECT tenant_id, $1, asset_class, scheme, issue_reference, project, 1, "
            "origin, issued_to, issued_on, issued_by FROM asset_lot WHERE id = $2",
            uuid7(),
            lot,
        )
    for statement in ("DELETE FROM asset_lot_cut", "UPDATE asset_lot_cut SET parent_id = child_id"):
        with pytest.raises(asyncpg.exceptions.PostgresError):
            await connection.execute(statement)
    await connection.close()


@given(cuts=st.sets(st.integers(0, 99), min_size=2, max_size=10), picked=st.sets(st.integers(0, 8), min_size=1))
def test_blocks_cover_the_lot_exactly(cuts: set[int], picked: set[int]) -> None:
    marks = sorted(cuts)
    parts = [(a, b - 1) for i, (a, b) in enumerate(pairwise(marks)) if i in picked]
    lot = Lot(
        uuid7(), AssetClass.CCER, "CCER", "L", None, "", 100, Origin.ISSUED_CREDIT, uuid7(), None,  # type: ignore[arg-type]
        SerialBlock("C", 0, 99), uuid7(),
    )  # fmt: skip
    if not parts:
        return
    found = blocks(lot, parts)
    assert [n for first, last in found for n in range(first, last + 1)] == list(range(100))
    assert set(parts) <= set(found)
