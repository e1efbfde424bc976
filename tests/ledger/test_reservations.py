"""Two phases: units set aside cannot be spent, and come free again once, by whichever end comes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from backend.kit.clock import REPORTING_ZONE, Clock
from backend.kit.database import Database, UnitOfWork
from backend.kit.provision import APP, OWNER
from backend.ledger import seals
from backend.ledger.reservations.domain import ReservationState
from backend.ledger.reservations.repository import Ending, end
from tenants.access import Role
from tests.fixtures.jobs import working
from tests.fixtures.ledger import POSTED, Group, key, moved, used

RESERVED = (
    "reservation { id aim kind state reason expiresAt transferId endedAt "
    "legs { quantity source { code } destination { code kind } } }"
)


async def reserve(group: Group, *legs: dict[str, Any], aim: str = "PENDING", **more: Any) -> dict[str, Any]:
    kind = {"kind": "TRANSFER"} if aim == "PENDING" else {}
    given = {"aim": aim, "legs": list(legs), **kind, **more}
    return await group.manager.attempt("reserveAssets", given, RESERVED)


async def post(group: Group, reservation_id: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"reservationId": reservation_id, "parts": list(parts), **more}
    return await group.manager.attempt("postReservation", given, POSTED)


async def void(group: Group, reservation_id: str, reason: str = "交易取消") -> dict[str, Any]:
    return await group.manager.attempt("voidReservation", {"reservationId": reservation_id, "reason": reason}, RESERVED)


async def kept(group: Group) -> dict[str, tuple[int, int]]:
    """(units, of them set aside) by holder, for the accounts of organisations."""
    async with group.world.owner.read(group.world.tenant_id) as session:
        rows = await session.rows(
            "SELECT o.code, b.quantity_t, b.reserved_t FROM asset_balance b "
            "JOIN asset_account a ON a.id = b.account_id JOIN organisation o ON o.id = a.organisation_id"
        )
    return {row.code: (row.quantity_t, row.reserved_t) for row in rows}


def code(payload: dict[str, Any]) -> str:
    return payload["errors"][0]["code"] if payload["errors"] else "done"


async def test_set_aside_then_posted(group: Group) -> None:
    await group.stock(group.steel)
    given = {"aim": "PENDING", "kind": "TRANSFER", "legs": [moved(group.steel, group.cement, 400)], "dryRun": True}
    rehearsed = await group.manager.do("reserveAssets", given, "reservation { state recordedAt }")
    assert rehearsed["reservation"] == {"state": "ACTIVE", "recordedAt": None}
    made = (await reserve(group, moved(group.steel, group.cement, 400), idempotencyKey="r"))["reservation"]
    assert (made["state"], made["kind"], made["legs"][0]["destination"]["code"]) == ("ACTIVE", "TRANSFER", "HOLDING")
    again = await reserve(group, moved(group.steel, group.cement, 400), idempotencyKey="r")
    assert (again["replayed"], again["reservation"]["id"]) == (True, made["id"])
    assert (await kept(group))["STEEL"] == (1000, 400)
    document = (
        "query Q($o: ID!) { assetAccounts(organisationId: $o) { nodes { balances { nodes { quantity reserved } } } } "
        "assetBalancesAsOf(organisationId: $o) { quantity reserved } }"
    )
    told = await group.manager.ask(document, o=group.steel)
    assert told["assetAccounts"]["nodes"][0]["balances"]["nodes"] == [{"quantity": "1000", "reserved": "400"}]
    assert told["assetBalancesAsOf"] == [{"quantity": "1000", "reserved": None}]
    done = await post(group, made["id"])
    assert done["transfer"]["legs"][0]["quantity"] == "400"
    assert await kept(group) == {"STEEL": (600, 0), "CEMENT": (400, 0)}
    found = (await group.manager.ask("{ assetReservations { nodes { state transferId } } }"))["assetReservations"]
    assert found["nodes"] == [{"state": "POSTED", "transferId": done["transfer"]["id"]}]
    assert code(await post(group, made["id"])) == "RESERVATION_ENDED"
    assert code(await void(group, made["id"])) == "RESERVATION_ENDED"
    await seals.verify(group.world.owner, group.world.tenant_id)


async def test_what_is_set_aside_cannot_be_spent(group: Group) -> None:
    await group.stock(group.steel)
    made = (await reserve(group, used(group.steel, 700), aim="FREEZE"))["reservation"]
    refused = await group.surrender(group.steel, used(group.steel, 301))
    assert "has 300 t of lot CEA 2024-001 free" in refused["errors"][0]["message"]
    for _ in range(2):  # the second goes the quick way: its names are known by now
        given = {"legs": [moved(group.steel, group.cement, 301)]}
        payload = await group.manager.attempt("transferAssets", given, POSTED)
        assert code(payload) == "INSUFFICIENT_BALANCE"
    assert code(await reserve(group, used(group.steel, 301), aim="PLEDGE")) == "INSUFFICIENT_BALANCE"
    pledged = (await reserve(group, used(group.steel, 300), aim="PLEDGE"))["reservation"]
    assert (await kept(group))["STEEL"] == (1000, 1000)
    ended = (await void(group, made["id"], "解冻"))["reservation"]
    assert (ended["state"], ended["reason"]) == ("VOIDED", "解冻")
    assert code(await group.surrender(group.steel, used(group.steel, 700))) == "done"
    assert await kept(group) == {"STEEL": (300, 300)}
    assert code(await post(group, pledged["id"])) == "RESERVATION_STAYS"


@pytest.mark.parametrize("way", ["quick", "ordinary", "list", "row by row", "surrender", "reversal", "reservation"])
async def test_held_units_are_not_spent_by_any_way(group: Group, way: str) -> None:
    """Cement got 400 t, of which 300 t are held: whoever wants 200 t of them is told that there are 100 t."""
    await group.stock(group.steel)
    sent = await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 400)]}, POSTED)
    assert code(await reserve(group, used(group.cement, 300), aim="FREEZE")) == "done"
    leg = moved(group.cement, group.steel, 200)
    today = {"effectiveOn": Clock().today(REPORTING_ZONE).isoformat()}
    by: dict[str, tuple[str, dict[str, Any]]] = {
        "quick": ("transferAssets", {"legs": [leg]}),
        # A posting whose day is named goes the ordinary way.
        "ordinary": ("transferAssets", {"legs": [leg], **today}),
        "list": ("postTransfers", {"transfers": [{"kind": "TRANSFER", "legs": [leg]}]}),
        "row by row": ("postTransfers", {"transfers": [{"kind": "TRANSFER", "legs": [leg], **today}]}),
        "reversal": ("reverseTransfer", {"transferId": sent["transfer"]["id"]}),
    }
    if way == "surrender":
        refused = await group.surrender(group.cement, used(group.cement, 200))
    elif way == "reservation":
        refused = await reserve(group, leg)
    else:
        mutation, given = by[way]
        rows = "results { error { code message } }" if mutation == "postTransfers" else POSTED
        refused = await group.manager.attempt(mutation, given, rows)
    errors = refused["errors"] or [row["error"] for row in refused.get("results", ())]
    expected = "REVERSAL_FROZEN" if way == "reversal" else "INSUFFICIENT_BALANCE"
    assert [error and error["code"] for error in errors] == [expected]
    assert "100" in errors[0]["message"]
    assert (await kept(group))["CEMENT"] == (400, 300)


async def test_who_posts_and_waits_for_a_new_balance_has_locked_no_other(group: Group) -> None:
    """A balance that somebody else is making is waited for before those that are there are locked: so no circle."""
    await group.stock(group.steel)
    await group.stock(group.head, 10, "2024-002")
    made = (await reserve(group, moved(group.steel, group.head, 100)))["reservation"]
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def makes_it(unit: UnitOfWork) -> None:
        await unit.execute(
            "INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing) SELECT a.tenant_id, a.id, l.id, false "
            "FROM asset_account a JOIN organisation o ON o.id = a.organisation_id AND o.code = 'HD' "
            "JOIN asset_lot l ON l.issue_reference = '2024-001'"
        )
        begun.set()
        await go_on.wait()

    first = asyncio.create_task(group.world.owner.write(group.world.tenant_id, makes_it))
    await begun.wait()
    second = asyncio.create_task(post(group, made["id"]))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(3):
        await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert not second.done()
    go_on.set()
    await first
    assert code(await second) == "done"
    held = {organisation: await group.held(organisation) for organisation in (group.steel, group.cement, group.head)}
    assert [x["2024-001"] for x in held.values()] == ["899", "1", "100"]


async def test_posted_in_part(group: Group) -> None:
    await group.stock(group.steel)
    await group.stock(group.steel, 50, "2024-002")
    legs = (moved(group.steel, group.cement, 400), moved(group.steel, group.cement, 50, "2024-002"))
    made = (await reserve(group, *legs))["reservation"]
    for leg, quantity, told in ((0, "401", "RESERVATION_PART"), (2, "1", "UNKNOWN_LEG"), (0, "0", "done")):
        assert code(await post(group, made["id"], {"leg": leg, "quantity": quantity}, dryRun=True)) == told
    none = [{"leg": 0, "quantity": "0"}, {"leg": 1, "quantity": "0"}]
    assert code(await post(group, made["id"], *none)) == "RESERVATION_PART"
    done = await post(group, made["id"], {"leg": 0, "quantity": "150"}, {"leg": 1, "quantity": "0"})
    assert [leg["quantity"] for leg in done["transfer"]["legs"]] == ["150"]
    assert (await group.held(group.cement)) == {"2024-001": "150"}
    assert sum(reserved for _, reserved in (await kept(group)).values()) == 0


async def test_pending_use_serves_somebody(group: Group) -> None:
    await group.stock(group.steel)
    given: dict[str, Any] = {"kind": "SURRENDER", "beneficiaryId": group.steel, "forYear": 2024}
    made = (await reserve(group, used(group.steel, 10), **given))["reservation"]
    assert made["legs"][0]["destination"]["kind"] == "SURRENDERED"
    done = await post(group, made["id"])
    assert (done["transfer"]["kind"], done["transfer"]["forYear"]) == ("SURRENDER", 2024)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"aim": "PENDING"}, "RESERVATION_KIND"),
        ({"aim": "FREEZE", "kind": "CANCEL"}, "RESERVATION_KIND"),
        ({"aim": "PENDING", "kind": "REVERSE"}, "RESERVATION_KIND"),
        ({"aim": "PENDING", "kind": "SURRENDER"}, "USE_NEEDS_BENEFICIARY"),
        ({"aim": "PENDING", "kind": "TRANSFER"}, "WRONG_DESTINATION"),
        ({"aim": "FREEZE", "expiresAt": "2020-01-01T00:00:00Z"}, "RESERVATION_DEADLINE"),
        ({"aim": "FREEZE", "legs": []}, "WRONG_LEGS"),
        ({"aim": "FREEZE", "quantity": "0"}, "BAD_QUANTITY"),
        ({"aim": "FREEZE", "quantity": "1001"}, "INSUFFICIENT_BALANCE"),
    ],
)
async def test_bad_reservations_write_nothing(group: Group, given: dict[str, Any], expected: str) -> None:
    await group.stock(group.steel)
    leg = used(group.steel, 10) | ({"quantity": given.pop("quantity")} if "quantity" in given else {})
    refused = await group.manager.attempt("reserveAssets", {"legs": [leg], **given}, RESERVED)
    assert code(refused) == expected
    assert await kept(group) == {"STEEL": (1000, 0)}
    async with group.world.owner.read(group.world.tenant_id) as session:
        assert await session.scalar("SELECT count(*) FROM asset_reservation") == 0


async def test_only_the_holder_decides(group: Group) -> None:
    await group.stock(group.steel)
    made = (await reserve(group, moved(group.steel, group.cement, 10)))["reservation"]
    stranger = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    for mutation, given, selection in (
        ("reserveAssets", {"aim": "FREEZE", "legs": [used(group.steel, 1)]}, RESERVED),
        ("postReservation", {"reservationId": made["id"]}, POSTED),
        ("voidReservation", {"reservationId": made["id"], "reason": "x"}, RESERVED),
    ):
        refused = code(await stranger.attempt(mutation, given, selection))
        assert refused in {"UNKNOWN_RESERVATION", "UNKNOWN_ACCOUNT", "NOT_FOUND"}, (mutation, refused)
    assert (await stranger.ask("{ assetReservations { nodes { id } } }"))["assetReservations"]["nodes"] == []
    assert (await kept(group))["STEEL"] == (1000, 10)


async def test_a_deadline_ends_it(group: Group, database_url: str, empty_queue: None) -> None:
    await group.stock(group.steel)
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    made = (await reserve(group, moved(group.steel, group.cement, 10), expiresAt=soon))["reservation"]
    async with working(database_url):
        for _ in range(100):
            if (await kept(group))["STEEL"][1] == 0:
                break
            await asyncio.sleep(0.1)
    assert await kept(group) == {"STEEL": (1000, 0)}
    state = "query Q($i: ID!) { node(id: $i) { ... on AssetReservation { state } } }"
    found = await group.manager.ask(state, i=made["id"])
    assert found["node"]["state"] == "EXPIRED"
    assert code(await post(group, made["id"])) == "RESERVATION_ENDED"


async def test_late_is_late_before_the_job_has_run(group: Group) -> None:
    await group.stock(group.steel)
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    made = (await reserve(group, moved(group.steel, group.cement, 10), expiresAt=soon))["reservation"]
    await asyncio.sleep(0.6)
    assert code(await post(group, made["id"])) == "RESERVATION_EXPIRED"
    assert code(await void(group, made["id"])) == "done"


async def test_ends_race_and_one_wins(group: Group) -> None:
    """Sixteen post and sixteen give up the same reservation, while others spend what is free."""
    await group.stock(group.steel)
    made = (await reserve(group, moved(group.steel, group.cement, 600)))["reservation"]
    ends = [*(post(group, made["id"]) for _ in range(16)), *(void(group, made["id"]) for _ in range(16))]
    spends = [group.surrender(group.steel, used(group.steel, 100)) for _ in range(16)]
    answers = await asyncio.gather(*ends, *spends)
    assert Counter(code(a) for a in answers[:32])["done"] == 1
    balances = await kept(group)
    assert all(reserved == 0 for _, reserved in balances.values())
    spent = Counter(code(a) for a in answers[32:])["done"]
    posted = balances.get("CEMENT", (0, 0))[0]
    assert posted in {0, 600}
    assert balances["STEEL"][0] == 1000 - posted - 100 * spent
    assert spent <= (4 if posted else 10)


async def test_the_database_ends_it_once(group: Group, owner_database: Database) -> None:
    """Whoever asks, and however often: what another hold keeps is not given back by it."""
    await group.stock(group.steel)
    made = [(await reserve(group, used(group.steel, 400), aim="FREEZE"))["reservation"] for _ in range(2)]
    ending = Ending(key(made[0]["id"]), ReservationState.VOIDED, reason="x")

    async def work(unit: UnitOfWork) -> bool:
        return await end(unit, ending)

    assert [await owner_database.write(group.world.tenant_id, work) for _ in range(3)] == [True, False, False]
    assert await kept(group) == {"STEEL": (1000, 400)}


async def test_many_want_the_same_units(group: Group) -> None:
    await group.stock(group.steel)
    answers = await asyncio.gather(*(reserve(group, used(group.steel, 30), aim="FREEZE") for _ in range(48)))
    assert Counter(code(a) for a in answers) == {"done": 33, "INSUFFICIENT_BALANCE": 15}
    assert await kept(group) == {"STEEL": (1000, 990)}


async def test_the_database_refuses_whoever_asks(group: Group, database_url: str, database: Database) -> None:
    await group.stock(group.steel)
    made = (await reserve(group, moved(group.steel, group.cement, 600)))["reservation"]
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    tenant, reservation = group.world.tenant_id, key(made["id"])

    async def refusal(sql: str, *arguments: object) -> str:
        try:
            async with connection.transaction():
                await connection.execute(sql, *arguments)
        except asyncpg.exceptions.PostgresError as error:
            return str(getattr(error, "sqlstate", ""))
        return "done"

    more = "INSERT INTO asset_reservation_leg SELECT tenant_id, reservation_id, 2, lot_id, account_id, to_account_id, 1"
    end = "INSERT INTO asset_reservation_end (tenant_id, reservation_id, outcome, transfer_id) VALUES ($1, $2, $3, $4)"
    other = await connection.fetchval("SELECT id FROM asset_transfer LIMIT 1")
    assert await refusal(more + " FROM asset_reservation_leg") == "TH005"
    assert await refusal("UPDATE asset_balance SET reserved_t = 0") == "TH003"
    assert await refusal(end, tenant, reservation, "EXPIRED", None) == "TH005"
    assert await refusal(end, tenant, reservation, "POSTED", None) == "23514"
    assert await refusal(end, tenant, reservation, "POSTED", other) == "TH005"
    for table in ("asset_reservation", "asset_reservation_leg", "asset_reservation_end"):
        assert await refusal(f"TRUNCATE {table} CASCADE") == "TH003"
    for table in ("asset_reservation", "asset_reservation_leg"):
        assert await refusal(f"DELETE FROM {table}") == "TH003"
    await connection.execute(f"RESET ROLE; SET ROLE {APP}")
    assert await refusal(end, tenant, reservation, "VOIDED", None) == "42501"
    assert await refusal("DELETE FROM asset_reservation") == "42501"
    await connection.close()
    assert (await kept(group))["STEEL"] == (1000, 600)
