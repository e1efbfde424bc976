"""What takes effect on a past day must fit that day and all that came after it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.kit.ids import uuid7
from backend.kit.provision import OWNER
from tests.fixtures.ledger import POSTED, RESULTS, TRANSFER, Group, a_lot, key, moved, on_day, retired, used
from tests.fixtures.world import World

FIRST = date(2025, 2, 1)
AS_OF = (
    "query Q($o: ID!, $d: Date) { assetBalancesAsOf(organisationId: $o, effectiveOn: $d, zero: true) "
    "{ quantity lot { issueReference } } }"
)


@pytest.fixture
async def late(group: Group) -> Group:
    """Cement has had the 500 t of V24 since March; steel got them in January."""
    await group.issue(a_lot(group.steel, "V24", 500, issuedOn="2025-01-01"))
    legs = {"legs": [moved(group.steel, group.cement, 500, "V24")], "effectiveOn": "2025-03-01"}
    await group.manager.do("transferAssets", legs, POSTED)
    return group


async def stood(group: Group, organisation_id: str, day: date) -> int:
    rows = (await group.manager.ask(AS_OF, o=organisation_id, d=day.isoformat()))["assetBalancesAsOf"]
    return sum(int(row["quantity"]) for row in rows)


def told(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(e["code"], e["path"]) for e in payload["errors"]]


async def test_units_that_came_later_cannot_have_left_before(late: Group) -> None:
    back: dict[str, Any] = {"legs": [moved(late.cement, late.steel, 300, "V24")]}
    for manager, day in (
        (late.manager, "2025-02-01"),
        (late.manager, "2025-02-28"),
        (on_day(late.manager, "2025-02-28"), None),
    ):
        for rehearsed in (False, True):
            given_ = back | {"effectiveOn": day, "dryRun": rehearsed}
            refused = await manager.attempt("transferAssets", given_, POSTED)
            assert told(refused) == [("SHORT_ON_DAY", ["effectiveOn"])]
            assert f"300 t of lot CEA V24 short on {day or '2025-02-28'}" in refused["errors"][0]["message"]
    assert await stood(late, late.cement, date(2025, 2, 15)) == 0
    # From the day they came on they may have left; and what left then lacks on all days from then on.
    await late.manager.do("transferAssets", back | {"effectiveOn": "2025-03-01"}, POSTED)
    more = {"legs": [moved(late.cement, late.steel, 200, "V24")], "effectiveOn": "2025-06-01"}
    await late.manager.do("transferAssets", more, POSTED)
    assert [await stood(late, late.cement, d) for d in (date(2025, 3, 1), date(2025, 6, 1))] == [200, 0]


async def test_the_first_short_day_may_come_long_after(late: Group) -> None:
    """Steel sent all away in March: what it gives up in January lacks in March, not in January."""
    await late.manager.do("transferAssets", {"legs": [moved(late.cement, late.steel, 400, "V24")]}, POSTED)
    early = {"legs": [moved(late.steel, late.head, 150, "V24")], "effectiveOn": "2025-01-15"}
    refused = await late.manager.attempt("transferAssets", early, POSTED)
    assert told(refused) == [("SHORT_ON_DAY", ["effectiveOn"])]
    assert "150 t of lot CEA V24 short on 2025-03-01" in refused["errors"][0]["message"]


async def test_uses_reversals_and_withdrawn_issues_too(late: Group) -> None:
    refused = await late.surrender(late.cement, used(late.cement, 5, "V24"), effectiveOn="2025-02-27")
    assert told(refused) == [("SHORT_ON_DAY", ["effectiveOn"])]
    used_up = retired(late.cement, used(late.cement, 5, "V24"), year=2025, effectiveOn="2025-05-01")
    done = await late.manager.do("retireAssets", used_up, POSTED)
    # Taken back before it was used: the account of what is retired would have been below zero.
    for day, code in (("2025-04-30", ["SHORT_ON_DAY"]), ("2025-05-01", [])):
        back = {"transferId": done["transfer"]["id"], "effectiveOn": day, "dryRun": True}
        assert [e["code"] for e in (await late.manager.attempt("reverseTransfer", back, POSTED))["errors"]] == code
    (row,) = await late.issue(a_lot(late.steel, "W", 10, issuedOn="2025-01-01"))
    sent = {"legs": [moved(late.steel, late.cement, 10, "W")], "effectiveOn": "2025-02-01"}
    await late.manager.do("transferAssets", sent, POSTED)
    await late.manager.do("transferAssets", {"legs": [moved(late.cement, late.steel, 10, "W")]}, POSTED)
    found = await late.manager.ask("{ assetTransfers(first: 100) { nodes { id kind legs { lot { id } } } } }")
    (issue,) = (
        t["id"] for t in found["assetTransfers"]["nodes"]
        if t["kind"] == "ISSUE" and t["legs"][0]["lot"]["id"] == row["lot"]["id"]
    )  # fmt: skip
    withdrawn = await late.manager.attempt(
        "reverseTransfer", {"transferId": issue, "effectiveOn": "2025-01-02"}, TRANSFER
    )
    assert told(withdrawn) == [("SHORT_ON_DAY", ["effectiveOn"])]
    await late.manager.do("reverseTransfer", {"transferId": issue}, TRANSFER)


async def test_a_list_is_judged_row_by_row(late: Group) -> None:
    back = {"kind": "TRANSFER", "legs": [moved(late.cement, late.steel, 300, "V24")]}
    rows = [back | {"effectiveOn": day} for day in ("2025-02-01", "2025-03-01", "2025-03-02")]
    done = await late.manager.do("postTransfers", {"transfers": rows, "allOrNothing": False}, RESULTS)
    codes = [row["error"] and row["error"]["code"] for row in done["results"]]
    assert codes == ["SHORT_ON_DAY", None, "INSUFFICIENT_BALANCE"]


async def test_serial_numbers_too(group: Group) -> None:
    serial = {"prefix": "S", "first": "1", "last": "100"}
    await group.issue(a_lot(group.steel, "S", 100, issuedOn="2025-01-01", serial=serial))
    sent = {"legs": [moved(group.steel, group.cement, 100, "S")], "effectiveOn": "2025-03-01"}
    await group.manager.do("transferAssets", sent, POSTED)
    leg = moved(group.cement, group.steel, 10, "S") | {"serials": {"first": "1", "last": "10"}}
    for day, code in (("2025-02-01", ["SHORT_ON_DAY"]), ("2025-03-01", [])):
        refused = await group.manager.attempt("transferAssets", {"legs": [leg], "effectiveOn": day}, POSTED)
        assert [e["code"] for e in refused["errors"]] == code


async def test_the_database_refuses_the_owner(late: Group, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(late.world.tenant_id))
    sent = "(SELECT id FROM asset_transfer WHERE kind = 'TRANSFER' ORDER BY id LIMIT 1)"
    made = uuid7()
    await connection.execute(
        "INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, operation, correlation_id) "
        "SELECT tenant_id, $1, kind, legs, '2025-02-01', operation, correlation_id FROM asset_transfer "
        "WHERE id = " + sent, made,
    )  # fmt: skip
    with pytest.raises(asyncpg.exceptions.PostgresError) as refused:
        await connection.execute(
            "INSERT INTO asset_leg SELECT tenant_id, $1, leg, lot_id, to_account_id, from_account_id, 1 "
            "FROM asset_leg WHERE transfer_id = " + sent, made,
        )  # fmt: skip
    assert getattr(refused.value, "constraint_name", "") == "asset_leg_covered_each_day"
    await connection.close()


async def test_two_at_once_cannot_both_take_what_a_day_had(late: Group) -> None:
    """On the first of March cement had 500 t, and it has 1000 t now: only one can have taken 400 t then."""
    await late.issue(a_lot(late.steel, "X", 500, issuedOn="2025-01-01"))
    first = {"legs": [moved(late.steel, late.cement, 200, "X")], "effectiveOn": "2025-03-01"}
    await late.manager.do("transferAssets", first, POSTED)
    await late.manager.do("transferAssets", {"legs": [moved(late.steel, late.cement, 300, "X")]}, POSTED)
    back = {"legs": [moved(late.cement, late.steel, 150, "X")], "effectiveOn": "2025-04-01"}
    done = await asyncio.gather(*(late.manager.attempt("transferAssets", back, POSTED) for _ in range(4)))
    assert sorted(len(d["errors"]) for d in done) == [0, 1, 1, 1]


async def test_a_day_is_judged_by_the_legs_of_its_account_alone(late: Group, database_url: str) -> None:
    """Also where the planner takes it that all legs are of one account, as after a large issue, and their key is the
    smaller index.
    """
    lots = [a_lot(late.steel, f"many-{i}", 1, issuedOn="2025-01-01") for i in range(500)]
    await late.issue(*lots)
    await late.issue(*(lot | {"issueReference": lot["issueReference"] + "b"} for lot in lots))
    connection = await asyncpg.connect(database_url)
    await connection.execute("BEGIN; ALTER TABLE asset_leg ALTER from_account_id SET (n_distinct = 1)")
    await connection.execute("ALTER TABLE asset_leg ALTER to_account_id SET (n_distinct = 1); ANALYZE asset_leg")
    for side in ("out", "in"):
        await connection.execute(f"ALTER INDEX asset_leg_{side} SET (fillfactor = 60); REINDEX INDEX asset_leg_{side}")
    seen = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'asset_leg'"
    before = await connection.fetchval(seen)
    found = await connection.fetch(
        "SELECT s.day FROM asset_balance b, ledger_short_day(b.tenant_id, '2025-03-01', ARRAY[b.account_id], "
        "ARRAY[b.lot_id], ARRAY[-501::bigint]) AS s WHERE b.tenant_id = $1 AND b.account_id = "
        "(SELECT id FROM asset_account WHERE organisation_id = $2)", late.world.tenant_id, key(late.cement),
    )  # fmt: skip
    after = await connection.fetchval(seen)
    await connection.execute("ROLLBACK")
    await connection.close()
    assert [row["day"] for row in found] == [date(2025, 3, 1)]
    assert after - before <= 4


PLACES = ("steel", "cement")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    moves=st.lists(
        st.tuples(st.permutations(PLACES), st.integers(1, 8), st.integers(0, 5), st.sampled_from(("move", "retire"))),
        min_size=1,
        max_size=12,
    )
)
async def test_no_balance_was_ever_below_zero(world: World, moves: list[Any]) -> None:
    """Postings of any past day in any order: every day of every account is what a plain sum of days says, and none is
    below zero; what is refused would have been.
    """
    group = await Group.create(await World.create(world.owner, world.services))
    await group.issue(a_lot(group.steel, "P", 12, issuedOn=FIRST.isoformat()))
    entries: list[tuple[str, int, int]] = [("steel", 0, 12)]
    held = {"steel": group.steel, "cement": group.cement}
    for (source, to), quantity, day, verb in moves:
        on = (FIRST + timedelta(days=day)).isoformat()
        if verb == "move":
            order: dict[str, Any] = {"legs": [moved(held[source], held[to], quantity, "P")], "effectiveOn": on}
            done = await group.manager.attempt("transferAssets", order, POSTED)
            new = [(source, day, -quantity), (to, day, quantity)]
        else:
            order = retired(held[source], used(held[source], quantity, "P"), year=2025)
            done = await group.manager.attempt("retireAssets", order | {"effectiveOn": on}, POSTED)
            new = [(source, day, -quantity)]
        fits = all(_sum(entries + new, source, d) >= 0 for d in range(7))
        assert (not done["errors"]) == fits, (entries, new, done["errors"])
        entries += new if fits else []
    for place, organisation in held.items():
        for day in range(7):
            assert await stood(group, organisation, FIRST + timedelta(days=day)) == _sum(entries, place, day) >= 0


def _sum(entries: list[tuple[str, int, int]], place: str, day: int) -> int:
    return sum(amount for where, on, amount in entries if where == place and on <= day)
