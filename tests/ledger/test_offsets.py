"""Offsets between two registries: used up at both or at neither, from wherever the steps were broken off."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from backend.kit.errors import Locale
from backend.kit.provision import OWNER
from backend.ledger import seals
from backend.ledger.offsets.domain import OffsetStep
from backend.ledger.offsets.service import OffsetService
from tenants.access import Role
from tests.fixtures.jobs import working
from tests.fixtures.ledger import POSTED, Group, a_credit, key, moved, used

SURRENDER = "surrender { id state quantity reservationId steps { step cause reason transferId } }"
HEADROOM = "query Q($o: ID!) { offsetHeadroom(organisationId: $o, year: 2024) { limits { used pending headroom } } }"


async def stocked(group: Group, due: str = "2000") -> None:
    await group.issue(a_credit(group.steel))
    await group.owe(group.steel, due)


async def begin(group: Group, quantity: int = 60, **more: Any) -> dict[str, Any]:
    legs = [used(group.steel, quantity, "ZL-1", "CCER")]
    given = {"legs": legs, "beneficiaryId": group.steel, "forYear": 2024, "reference": "冻结单 1"} | more
    return await group.manager.attempt("beginOffsetSurrender", given, SURRENDER)


async def decide(group: Group, surrender_id: str, *, accepted: bool = True, **more: Any) -> dict[str, Any]:
    given = {"surrenderId": surrender_id, "accepted": accepted, "reference": "抵销单 1", **more}
    return await group.manager.attempt("decideOffsetSurrender", given, SURRENDER)


async def withdraw(group: Group, surrender_id: str) -> dict[str, Any]:
    given = {"surrenderId": surrender_id, "reason": "改用配额"}
    return await group.manager.attempt("withdrawOffsetSurrender", given, SURRENDER)


async def advance(group: Group, surrender_id: str, times: int = 10) -> list[str]:
    """The steps that the job would take, at most so many: as if it had been killed after them."""
    service, taken = group.world.services.get(OffsetService), []
    for _ in range(times):
        step = await service.advance(group.world.tenant_id, key(surrender_id))
        if step is None:
            break
        taken.append(step.value)
    return taken


async def room(group: Group) -> tuple[str, str, str]:
    """(offsets surrendered, set aside to be, left)."""
    (limit,) = (await group.manager.ask(HEADROOM, o=group.steel))["offsetHeadroom"]["limits"]
    return limit["used"], limit["pending"], limit["headroom"]


async def states(group: Group) -> list[list[str]]:
    found = await group.manager.ask("{ offsetSurrenders { nodes { steps { step } } } }")
    return [[s["step"] for s in node["steps"]] for node in found["offsetSurrenders"]["nodes"]]


async def why(group: Group, locale: Locale = "en") -> dict[str, Any]:
    """The step back of the one surrender that came to nothing, as somebody who reads this language is told."""
    asked = "{ offsetSurrenders(state: VOIDED) { nodes { steps { step cause code reason } } } }"
    (node,) = (await replace(group.manager, locale=locale).ask(asked))["offsetSurrenders"]["nodes"]
    (back,) = [s for s in node["steps"] if s["step"] == "TURNED_BACK"]
    return dict(back)


async def free(group: Group) -> tuple[int, int]:
    """(units of the holder, of them frozen)."""
    async with group.world.owner.read(group.world.tenant_id) as session:
        row = await session.first(
            "SELECT sum(b.quantity_t)::int AS units, sum(b.reserved_t)::int AS frozen FROM asset_balance b "
            "JOIN asset_account a ON a.id = b.account_id WHERE a.organisation_id IS NOT NULL"
        )
    assert row is not None
    return row.units, row.frozen


def code(payload: dict[str, Any]) -> str:
    return payload["errors"][0]["code"] if payload["errors"] else "done"


async def test_from_freezing_to_surrender(group: Group) -> None:
    await stocked(group)
    made = (await begin(group, idempotencyKey="b"))["surrender"]
    assert (await begin(group, idempotencyKey="b"))["surrender"]["id"] == made["id"]
    assert (made["state"], await free(group), await room(group)) == ("FROZEN", (1000, 60), ("0", "60", "40"))
    assert await advance(group, made["id"]) == ["OFFERED"]
    assert await room(group) == ("0", "60", "40")
    assert code(await decide(group, made["id"])) == "done"
    assert await advance(group, made["id"]) == ["SURRENDERED"]
    assert (await free(group), await room(group)) == ((940, 0), ("60", "0", "40"))
    assert await states(group) == [["FROZEN", "OFFERED", "ACCEPTED", "SURRENDERED"]]
    found = await group.manager.ask(
        "query Q($i: ID!) { node(id: $i) { ... on OffsetSurrender { steps { transferId } } } }", i=made["id"]
    )
    transfer_id = found["node"]["steps"][-1]["transferId"]
    transfer = await group.manager.ask(
        "query Q($i: ID!) { node(id: $i) { ... on AssetTransfer { kind forYear legs { quantity } } } }", i=transfer_id
    )
    assert transfer["node"] == {"kind": "SURRENDER", "forYear": 2024, "legs": [{"quantity": "60"}]}
    assert code(await decide(group, made["id"])) == "OFFSET_STEP"
    assert code(await withdraw(group, made["id"])) == "OFFSET_STEP"
    assert await advance(group, made["id"]) == []
    await seals.verify(group.world.owner, group.world.tenant_id)


async def test_what_is_under_way_holds_its_part_of_the_limit(group: Group) -> None:
    """A limit of 100: 60 frozen leave 40, for whatever way, and who asks for more is told so at once."""
    await stocked(group)
    first = (await begin(group))["surrender"]["id"]
    for dry in (True, False):
        refused = await begin(group, 41, dryRun=dry)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [("OFFSET_LIMIT_EXCEEDED", ["legs"])]
        assert "60 t are used or pending, 40 t are left, 41 t were asked for" in refused["errors"][0]["message"]
    over = {"legs": [used(group.steel, 41, "ZL-1", "CCER")], "beneficiaryId": group.steel, "forYear": 2024}
    assert code(await group.manager.attempt("surrenderAssets", over, POSTED)) == "OFFSET_LIMIT_EXCEEDED"
    assert (await free(group), await states(group)) == ((1000, 60), [["FROZEN"]])
    assert await advance(group, first) == ["OFFERED"]
    assert code(await begin(group, 41)) == "OFFSET_LIMIT_EXCEEDED"
    assert code(await decide(group, first, accepted=False, reason="资料不全")) == "done"
    assert await advance(group, first) == ["OFFER_VOIDED", "VOIDED"]
    assert (await free(group), await room(group)) == ((1000, 0), ("0", "0", "100"))
    assert code(await begin(group, 100)) == "done"
    assert await room(group) == ("0", "100", "0")


async def reserve(group: Group, quantity: int, **more: Any) -> dict[str, Any]:
    given = {"aim": "PENDING", "kind": "SURRENDER", "beneficiaryId": group.steel, "forYear": 2024}
    given |= {"legs": [used(group.steel, quantity, "ZL-1", "CCER")], **more}
    return await group.manager.attempt("reserveAssets", given, "reservation { id }")


async def post(group: Group, reservation_id: str, **more: Any) -> dict[str, Any]:
    return await group.manager.attempt("postReservation", {"reservationId": reservation_id, **more}, POSTED)


async def test_what_is_reserved_to_be_surrendered_holds_its_part(group: Group) -> None:
    await stocked(group)
    made = (await reserve(group, 80))["reservation"]["id"]
    assert [code(await reserve(group, 21)), code(await begin(group, 21))] == ["OFFSET_LIMIT_EXCEEDED"] * 2
    assert await room(group) == ("0", "80", "20")
    assert code(await post(group, made, parts=[{"leg": 0, "quantity": "30"}], final=False)) == "done"
    assert (await free(group), await room(group)) == ((970, 50), ("30", "50", "20"))
    assert code(await reserve(group, 21)) == "OFFSET_LIMIT_EXCEEDED"
    assert code(await post(group, made)) == "done"
    assert (await free(group), await room(group)) == ((920, 0), ("80", "0", "20"))
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    assert code(await reserve(group, 20, expiresAt=soon)) == "done"
    assert code(await reserve(group, 1)) == "OFFSET_LIMIT_EXCEEDED"
    await asyncio.sleep(0.6)
    assert (await free(group), await room(group)) == ((920, 20), ("80", "0", "20")), "what came too late holds nothing"


async def test_posting_judges_by_what_holds_then(group: Group) -> None:
    """The obligation shrinks after it was set aside."""
    await stocked(group)
    made = (await reserve(group, 80))["reservation"]["id"]
    await group.owe(group.steel, "1000")
    assert code(await post(group, made)) == "OFFSET_LIMIT_EXCEEDED"
    assert (await free(group), await room(group)) == ((1000, 80), ("0", "80", "0"))
    part = {"parts": [{"leg": 0, "quantity": "40"}], "final": False}
    assert code(await post(group, made, **part)) == "done", "its own rest does not stand in its way"
    assert code(await post(group, made, **part)) == "OFFSET_LIMIT_EXCEEDED"
    assert code(await post(group, made, parts=[{"leg": 0, "quantity": "10"}])) == "done"
    assert (await free(group), await room(group)) == ((950, 0), ("50", "0", "0"))


async def test_two_at_once_cannot_share_what_is_left(group: Group) -> None:
    """Offset surrenders, reservations and direct surrenders, sixteen of 15 t at once, where 100 t are the limit."""
    await stocked(group)
    direct = {"legs": [used(group.steel, 15, "ZL-1", "CCER")], "beneficiaryId": group.steel, "forYear": 2024}
    tries = [
        work
        for _ in range(6)
        for work in (
            begin(group, 15),
            reserve(group, 15),
            group.manager.attempt("surrenderAssets", direct, POSTED),
        )
    ]
    found = Counter(code(answer) for answer in await asyncio.gather(*tries))
    assert found == {"done": 6, "OFFSET_LIMIT_EXCEEDED": 12}
    surrendered, pending, left = map(int, await room(group))
    assert (surrendered + pending, left) == (90, 10)


async def test_reserving_and_posting_at_once_do_not_lock_each_other_out(group: Group) -> None:
    await stocked(group, "4000")
    held = [(await reserve(group, 10))["reservation"]["id"] for _ in range(8)]
    answers = await asyncio.gather(*(work for key in held for work in (post(group, key), reserve(group, 10))))
    assert Counter(code(a) for a in answers) == {"done": 16}
    assert await room(group) == ("80", "80", "40")


@pytest.mark.parametrize("way", ["accepted", "refused", "withdrawn", "withdrawn early", "late"])
async def test_broken_off_after_every_step(group: Group, way: str) -> None:
    """Each time killed after one step and taken up by another; at every stop units and limit agree with the state."""
    await stocked(group)
    soon = (datetime.now(UTC) + timedelta(seconds=0.7)).isoformat()
    made = (await begin(group, 60, deadline=soon if way == "late" else None))["surrender"]
    if way != "withdrawn early":
        await advance(group, made["id"], 1)
    if way == "accepted":
        await decide(group, made["id"])
    elif way == "refused":
        await decide(group, made["id"], accepted=False, reason="资料不全")
    elif way == "late":
        await asyncio.sleep(0.8)
        assert code(await decide(group, made["id"])) == "OFFSET_LATE"
    else:
        assert code(await withdraw(group, made["id"])) == "done"
    while True:
        ((*_, state),) = await states(group)
        units, frozen = await free(group)
        assert (units, frozen) == {"SURRENDERED": (940, 0), "VOIDED": (1000, 0)}.get(state, (1000, 60))
        part = {"SURRENDERED": ("60", "0", "40"), "VOIDED": ("0", "0", "100")}.get(state, ("0", "60", "40"))
        assert await room(group) == part
        answers = await asyncio.gather(*(advance(group, made["id"], 1) for _ in range(2)))
        if not any(answers):
            break
    assert state == ("SURRENDERED" if way == "accepted" else "VOIDED")
    if state == "VOIDED":
        told = [await why(group), await why(group, "zh-CN")]
        assert {t["cause"] for t in told} == {{"late": "DEADLINE", "refused": "REFUSED"}.get(way, "WITHDRAWN")}
        words = {"refused": "资料不全"}.get(way, "改用配额")
        assert {t["code"] for t in told} == ({"OFFSET_LATE"} if way == "late" else {None})
        if way == "late":
            assert told[0]["reason"].startswith("The offset surrender had to be decided by 20")
            assert told[1]["reason"].startswith("抵销清缴应于 20")
        else:
            assert {t["reason"] for t in told} == {words}
    await seals.verify(group.world.owner, group.world.tenant_id)


@pytest.mark.parametrize("when", ["before the offer", "after the acceptance"])
async def test_a_refusal_of_the_rules_turns_it_back(group: Group, when: str) -> None:
    """The obligation shrinks, and with it the limit."""
    await stocked(group)
    made = (await begin(group))["surrender"]
    offered = when == "after the acceptance"
    if offered:
        await advance(group, made["id"])
        await decide(group, made["id"])
    await group.owe(group.steel, "100")
    assert await advance(group, made["id"]) == ["TURNED_BACK", *(["OFFER_VOIDED"] if offered else []), "VOIDED"]
    assert (await free(group), (await room(group))[:2]) == ((1000, 0), ("0", "0"))
    turned = await why(group)
    assert (turned["cause"], turned["code"]) == ("RULE", "OFFSET_LIMIT_EXCEEDED")
    assert turned["reason"].startswith("Offsets for 2024 may be at most 5 t")
    assert (await why(group, "zh-CN"))["reason"].startswith("2024 年度抵销量上限为 5 吨")
    asked = "query Q($i: ID!) { node(id: $i) { ... on AssetReservation { reason } } }"
    assert (await group.manager.ask(asked, i=made["reservationId"]))["node"] == {"reason": "OFFSET_LIMIT_EXCEEDED"}


async def test_the_worker_takes_the_steps(group: Group, database_url: str, empty_queue: None) -> None:
    await stocked(group)
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    kept = (await begin(group, 30))["surrender"]["id"]
    lost = (await begin(group, 20, deadline=soon))["surrender"]["id"]
    async with working(database_url):
        await _until(group, kept, OffsetStep.OFFERED)
        await decide(group, kept)
        await _until(group, kept, OffsetStep.SURRENDERED)
        await _until(group, lost, OffsetStep.VOIDED)
    assert await free(group) == (970, 0)


async def _until(group: Group, surrender_id: str, state: OffsetStep) -> None:
    asked = "query Q($i: ID!) { node(id: $i) { ... on OffsetSurrender { state } } }"
    async with asyncio.timeout(20):
        while (await group.manager.ask(asked, i=surrender_id))["node"]["state"] != state:  # noqa: ASYNC110 - the worker tells nobody
            await asyncio.sleep(0.1)


async def test_nothing_else_ends_it(group: Group) -> None:
    await stocked(group)
    made = (await begin(group))["surrender"]
    voided = {"reservationId": made["reservationId"], "reason": "x"}
    assert code(await group.manager.attempt("voidReservation", voided, "reservation { id }")) == "RESERVATION_OF_OFFSET"
    posted = {"reservationId": made["reservationId"]}
    assert code(await group.manager.attempt("postReservation", posted, POSTED)) == "RESERVATION_OF_OFFSET"
    part = posted | {"parts": [{"leg": 0, "quantity": "1"}], "final": False}
    assert code(await group.manager.attempt("postReservation", part, POSTED)) == "RESERVATION_OF_OFFSET"
    stranger = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    given = {"surrenderId": made["id"], "reason": "x"}
    assert code(await stranger.attempt("withdrawOffsetSurrender", given, SURRENDER)) == "UNKNOWN_OFFSET_SURRENDER"
    assert (await free(group), await states(group)) == ((1000, 60), [["FROZEN"]])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, "RESERVATION_DEADLINE"),
        ({"quantity": "1001"}, "INSUFFICIENT_BALANCE"),
        ({"quantity": "0"}, "BAD_QUANTITY"),
        ({"lot": {"scheme": "CEA", "issueReference": "2024-001"}}, "OFFSETS_ONLY"),
        ({"legs": []}, "WRONG_LEGS"),
        ({"forYear": 1800}, "BAD_YEAR"),
    ],
)
async def test_bad_input_freezes_nothing(group: Group, given: dict[str, Any], expected: str) -> None:
    await stocked(group, "100000")
    await group.stock(group.steel)
    leg = used(group.steel, 10, "ZL-1", "CCER") | {k: given.pop(k) for k in ("quantity", "lot") if k in given}
    assert code(await begin(group, **({"legs": [leg]} | given))) == expected
    assert (await free(group), await states(group)) == ((2000, 0), [])


async def test_the_database_holds_the_order(group: Group, database_url: str) -> None:
    await stocked(group)
    made = (await begin(group))["surrender"]
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    insert = (
        "INSERT INTO offset_surrender_step (tenant_id, surrender_id, number, step, cause, reason, transfer_id, "
        "refusal_code, refusal_params) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $8 <> '' THEN '{}'::jsonb END)"
    )
    other = await connection.fetchval("SELECT id FROM asset_transfer LIMIT 1")

    async def refusal(
        number: int, step: str, cause: str | None = None, reason: str = "", posted: Any = None, coded: str | None = None
    ) -> str:
        try:
            async with connection.transaction():
                await connection.execute(
                    insert, group.world.tenant_id, key(made["id"]), number, step, cause, reason, posted, coded
                )
        except asyncpg.exceptions.PostgresError as error:
            return str(getattr(error, "constraint_name", ""))
        return "done"

    for step in ("FROZEN", "ACCEPTED", "OFFER_VOIDED", "VOIDED"):
        assert await refusal(2, step) == "offset_step_follows"
    assert await refusal(3, "OFFERED") == "offset_step_follows"
    for because in (
        (),
        (None, "x"),
        ("RULE",),
        ("RULE", "x", None, "BUSY"),
        ("REFUSED", "", None, "BUSY"),
        ("RULE", "", None, ""),
    ):
        assert await refusal(2, "TURNED_BACK", *because) == "offset_step_because", because
    assert await refusal(2, "OFFERED", None, "", None, "BUSY") == "offset_step_because"
    assert [await refusal(2, "OFFERED"), await refusal(3, "ACCEPTED")] == ["done", "done"]
    assert await refusal(4, "SURRENDERED", posted=other) == "offset_step_ends_reservation"
    assert await refusal(4, "SURRENDERED") == "offset_step_posted"
    assert await refusal(4, "TURNED_BACK", "RULE", "x") == "done"
    asked = "{ offsetSurrenders { nodes { steps { step code reason } } } }"
    (found,) = (await group.manager.ask(asked))["offsetSurrenders"]["nodes"]
    assert found["steps"][-1] == {"step": "TURNED_BACK", "code": None, "reason": "x"}, (
        "as it was kept before there were codes"
    )
    assert await refusal(5, "VOIDED") == "offset_step_follows"
    for statement in ("DELETE FROM offset_surrender_step", "UPDATE offset_surrender SET quantity_t = 1"):
        with pytest.raises(asyncpg.exceptions.PostgresError):
            await connection.execute(statement)
    await connection.close()


async def test_units_that_are_offered_cannot_be_spent(group: Group) -> None:
    await stocked(group)
    made = (await begin(group, 100))["surrender"]
    await advance(group, made["id"])
    leg = moved(group.steel, group.cement, 901, "ZL-1") | {"lot": {"scheme": "CCER", "issueReference": "ZL-1"}}
    assert code(await group.manager.attempt("transferAssets", {"legs": [leg]}, POSTED)) == "INSUFFICIENT_BALANCE"
