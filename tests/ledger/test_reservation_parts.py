"""A pending reservation posted part by part: what is set aside is what was reserved less what was posted."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from backend.kit.ids import uuid7
from backend.kit.provision import APP, OWNER
from backend.ledger import seals
from backend.ledger.reservations.service import ReservationService
from tests.fixtures.ledger import POSTED, Group, key, moved, used
from tests.ledger.test_reservations import code, kept, reserve, void

AFTER = f"{POSTED} reservation {{ state transferId transferIds legs {{ quantity held }} }}"


async def part(group: Group, reservation_id: str, quantity: int, **more: Any) -> dict[str, Any]:
    parts = [{"leg": 0, "quantity": str(quantity)}]
    given = {"reservationId": reservation_id, "parts": parts, "final": False, **more}
    return await group.manager.attempt("postReservation", given, AFTER)


async def pending(group: Group, quantity: int = 400, **more: Any) -> str:
    await group.stock(group.steel)
    made = await reserve(group, moved(group.steel, group.cement, quantity), **more)
    return str(made["reservation"]["id"])


async def test_part_by_part_until_used_up(group: Group) -> None:
    made = await pending(group)
    first = await part(group, made, 150, idempotencyKey="p")
    assert first["transfer"]["legs"][0]["quantity"] == "150"
    assert first["reservation"] == {
        "state": "ACTIVE", "transferId": None, "transferIds": [first["transfer"]["id"]],
        "legs": [{"quantity": "400", "held": "250"}],
    }  # fmt: skip
    again = await part(group, made, 150, idempotencyKey="p")
    assert (again["replayed"], again["reservation"]) == (True, first["reservation"])
    assert await kept(group) == {"STEEL": (850, 250), "CEMENT": (150, 0)}
    await seals.verify(group.world.owner, group.world.tenant_id)
    assert code(await group.surrender(group.steel, used(group.steel, 601))) == "INSUFFICIENT_BALANCE"
    wrong = await part(group, made, 251)
    assert (code(wrong), wrong["errors"][0]["path"]) == ("RESERVATION_PART", ["parts", "0", "quantity"])
    beyond = await part(group, made, 1, parts=[{"leg": 7, "quantity": "1"}])
    assert (code(beyond), beyond["errors"][0]["path"]) == ("UNKNOWN_LEG", ["parts", "0", "leg"])
    assert "Leg 0 has 250 t set aside and cannot be posted with 251 t" in wrong["errors"][0]["message"]
    assert code(await part(group, made, 0)) == "RESERVATION_PART"
    twice = await part(group, made, 10, parts=[{"leg": 0, "quantity": "10"}, {"leg": 0, "quantity": "20"}])
    assert (code(twice), twice["errors"][0]["path"]) == ("INVALID_INPUT", ["parts", "1", "leg"])
    rehearsed = await part(group, made, 100, dryRun=True)
    assert rehearsed["reservation"]["legs"] == [{"quantity": "400", "held": "150"}]
    assert await kept(group) == {"STEEL": (850, 250), "CEMENT": (150, 0)}
    second, last = await part(group, made, 100), await part(group, made, 150)
    posted = [answer["transfer"]["id"] for answer in (first, second, last)]
    assert last["reservation"] == {
        "state": "POSTED", "transferId": posted[2], "transferIds": posted, "legs": [{"quantity": "400", "held": "0"}]
    }  # fmt: skip
    assert await kept(group) == {"STEEL": (600, 0), "CEMENT": (400, 0)}
    assert code(await part(group, made, 1)) == "RESERVATION_ENDED"
    await seals.verify(group.world.owner, group.world.tenant_id)


async def test_the_final_part_frees_the_rest(group: Group) -> None:
    await group.stock(group.steel, 50, "2024-002")
    await group.stock(group.steel)
    legs = (moved(group.steel, group.cement, 400), moved(group.steel, group.cement, 50, "2024-002"))
    made = (await reserve(group, *legs))["reservation"]["id"]
    first = await part(group, made, 10)
    assert [leg["held"] for leg in first["reservation"]["legs"]] == ["390", "0"], "of the other leg all that was left"
    last = await part(group, made, 20, final=True)
    assert (last["reservation"]["state"], len(last["transfer"]["legs"])) == ("POSTED", 1)
    assert sum(reserved for _, reserved in (await kept(group)).values()) == 0
    assert await group.held(group.cement) == {"2024-001": "30", "2024-002": "50"}


@pytest.mark.parametrize("end", ["given up", "expired"])
async def test_the_end_frees_what_is_left(group: Group, end: str) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=0.7)).isoformat()
    made = await pending(group, expiresAt=soon if end == "expired" else None)
    first = await part(group, made, 150)
    if end == "expired":
        await asyncio.sleep(0.8)
        assert code(await part(group, made, 1)) == "RESERVATION_EXPIRED"
        assert await group.world.services.get(ReservationService).expire_overdue(group.world.tenant_id) == 1
    else:
        assert code(await void(group, made)) == "done"
    assert await kept(group) == {"STEEL": (850, 0), "CEMENT": (150, 0)}
    asked = "query Q($i: ID!) { node(id: $i) { ... on AssetReservation { state transferId transferIds } } }"
    assert (await group.manager.ask(asked, i=made))["node"] == {
        "state": {"expired": "EXPIRED", "given up": "VOIDED"}[end],
        "transferId": None,
        "transferIds": [first["transfer"]["id"]],
    }
    await seals.verify(group.world.owner, group.world.tenant_id)


async def test_what_stays_has_no_parts(group: Group) -> None:
    await group.stock(group.steel)
    frozen = (await reserve(group, used(group.steel, 10), aim="FREEZE"))["reservation"]["id"]
    assert code(await part(group, frozen, 5)) == "RESERVATION_STAYS"


async def test_parts_race(group: Group) -> None:
    """Sixteen take 50 of 400: eight find something, and the last of them ends it."""
    made = await pending(group)
    answers = await asyncio.gather(*(part(group, made, 50) for _ in range(16)))
    assert Counter(code(a) for a in answers) == {"done": 8, "RESERVATION_ENDED": 8}
    assert await kept(group) == {"STEEL": (600, 0), "CEMENT": (400, 0)}
    await seals.verify(group.world.owner, group.world.tenant_id)


async def test_parts_race_with_the_end(group: Group) -> None:
    made = await pending(group)
    tries = [work for n in range(12) for work in (part(group, made, 7), *([void(group, made)] if n % 4 == 3 else []))]
    answers = await asyncio.gather(*tries)
    balances = await kept(group)
    assert all(reserved == 0 for _, reserved in balances.values())
    posted = sum(1 for a in answers if code(a) == "done" and "transfer" in a)
    assert balances.get("CEMENT", (0, 0))[0] == 7 * posted
    assert sum(1 for a in answers if code(a) == "done" and "transfer" not in a) == 1


async def test_the_database_refuses_whoever_asks(group: Group, database_url: str) -> None:
    made = await pending(group)
    await part(group, made, 150)
    frozen = (await reserve(group, used(group.steel, 10), aim="FREEZE"))["reservation"]["id"]
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    insert = (
        "INSERT INTO asset_reservation_part (tenant_id, transfer_id, reservation_id, leg, quantity_t) "
        "VALUES ($1, $2, $3, $4, $5)"
    )
    tenant, other = (
        group.world.tenant_id,
        await connection.fetchval("SELECT id FROM asset_transfer WHERE kind = 'ISSUE'"),
    )

    async def refusal(sql: str, *arguments: object) -> str:
        try:
            async with connection.transaction():
                await connection.execute(sql, *arguments)
        except asyncpg.exceptions.PostgresError as error:
            return str(getattr(error, "constraint_name", "") or getattr(error, "sqlstate", ""))
        return "done"

    for quantity in (251, 250):
        assert await refusal(insert, tenant, uuid7(), key(made), 1, quantity) == "asset_reservation_part_lawful"
    assert await refusal(insert, tenant, uuid7(), key(frozen), 1, 5) == "asset_reservation_part_lawful"
    assert await refusal(insert, tenant, uuid7(), key(made), 1, 0) == "asset_reservation_part_quantity_t_check"
    assert await refusal(insert, tenant, other, key(made), 1, 5) == "asset_reservation_part_is_kept"
    posted = await connection.fetchval("SELECT transfer_id FROM asset_reservation_part")
    end = "INSERT INTO asset_reservation_end (tenant_id, reservation_id, outcome, transfer_id) VALUES ($1, $2, $3, $4)"
    assert await refusal(end, tenant, key(made), "POSTED", posted) == "asset_reservation_end_lawful"
    assert await refusal("TRUNCATE asset_reservation_part") == "TH003"
    assert await refusal("DELETE FROM asset_reservation_part") == "TH003"
    assert await refusal("UPDATE asset_reservation_part SET quantity_t = 1") == "TH003"
    await connection.execute(f"RESET ROLE; SET ROLE {APP}")
    assert await refusal(insert, tenant, uuid7(), key(made), 1, 5) == "42501"
    await connection.close()
    assert (await kept(group))["STEEL"] == (850, 260)
    assert code(await void(group, made)) == "done"
    assert (await kept(group))["STEEL"] == (850, 10)
