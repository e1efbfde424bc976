"""What is told of a unit is what the books know: what certainly moved it, what may have, and where it may be."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backend.kit.ids import uuid7
from backend.ledger.history.domain import Moved, Stage, traced
from tenants.access import Role
from tests.fixtures.ledger import POSTED, Group, a_lot, key, moved, used

LIFE = """query Q($n: Tonnes!) { assetUnitHistory(scheme: "CEA", prefix: "c", number: $n) {
  lot { issueReference } certainty elsewhere places { kind organisationId }
  steps { certainty kind evidence effectiveOn transfer { id kind } } } }"""
MAYBE, SURE = "POSSIBLE", "CERTAIN"


async def numbered(group: Group) -> None:
    serial = {"prefix": "C", "first": "100", "last": "199"}
    await group.issue(a_lot(group.steel, "L", 100, serial=serial, evidence="配发通知"))


async def send(group: Group, source: str, to: str, quantity: int, reference: str = "L", **more: Any) -> str:
    """Without serial numbers."""
    given = {"legs": [moved(source, to, quantity, reference)], **more}
    return str((await group.manager.do("transferAssets", given, POSTED))["transfer"]["id"])


async def life(group: Group, number: int) -> dict[str, Any]:
    return dict((await group.manager.ask(LIFE, n=str(number)))["assetUnitHistory"])


def told(found: dict[str, Any]) -> list[tuple[str, str]]:
    assert all(step["transfer"]["kind"] == step["kind"] for step in found["steps"])
    return [(step["kind"], step["certainty"]) for step in found["steps"]]


def whereabouts(found: dict[str, Any]) -> tuple[str, set[str]]:
    return found["certainty"], {place["organisationId"] or place["kind"] for place in found["places"]}


async def test_parts_that_move_without_numbers(group: Group) -> None:
    """Nothing tells which forty of a hundred went; when all have come together again, it is certain where each is."""
    await numbered(group)
    found = await life(group, 150)
    assert (told(found), whereabouts(found)) == ([("ISSUE", SURE)], (SURE, {group.steel}))
    sent = await send(group, group.steel, group.cement, 40, evidence="合同")
    found = await life(group, 150)
    assert (told(found)[1:], whereabouts(found)) == ([("TRANSFER", MAYBE)], (MAYBE, {group.steel, group.cement}))
    assert found["steps"][1]["evidence"] == "合同"
    await group.surrender(group.steel, used(group.steel, 10, "L"))
    assert whereabouts(await life(group, 150)) == (MAYBE, {group.steel, group.cement, "SURRENDERED"})
    uses = (await group.manager.ask("{ assetTransfers(kind: SURRENDER) { nodes { id } } }"))["assetTransfers"]["nodes"]
    for back in (uses[0]["id"], sent):
        await group.manager.do("reverseTransfer", {"transferId": back}, POSTED)
    found = await life(group, 150)
    assert told(found)[1:] == [(kind, MAYBE) for kind in ("TRANSFER", "SURRENDER", "REVERSE", "REVERSE")]
    assert whereabouts(found) == (SURE, {group.steel})
    await send(group, group.steel, group.cement, 100)
    found = await life(group, 150)
    assert (told(found)[-1], whereabouts(found)) == (("TRANSFER", SURE), (SURE, {group.cement}))
    both = [moved(group.cement, group.steel, 60, "L"), moved(group.cement, group.head, 40, "L")]
    await group.manager.do("transferAssets", {"legs": both}, POSTED)
    found = await life(group, 150)
    assert (told(found)[-1], whereabouts(found)) == (("TRANSFER", SURE), (MAYBE, {group.steel, group.head}))


async def test_what_is_named_by_number_is_certain(group: Group) -> None:
    """A range on a leg, and a split: what happened to the others after it is not told of the unit."""
    await numbered(group)
    leg = used(group.steel, 10, "L") | {"serials": {"first": "120", "last": "129"}}
    await group.surrender(group.steel, leg)
    await send(group, group.steel, group.cement, 30, "L/130-199")
    assert told(await life(group, 125)) == [("ISSUE", SURE), ("SPLIT", SURE), ("SURRENDER", SURE)]
    assert whereabouts(await life(group, 125)) == (SURE, {"SURRENDERED"})
    assert told(await life(group, 110)) == [("ISSUE", SURE), ("SPLIT", SURE)]
    found = await life(group, 150)
    assert told(found) == [("ISSUE", SURE), ("SPLIT", SURE), ("TRANSFER", MAYBE)]
    assert whereabouts(found) == (MAYBE, {group.steel, group.cement})
    lot = {"scheme": "CEA", "issueReference": "L/100-119"}
    await group.manager.do("splitLot", {"lot": lot, "parts": [{"first": "100", "last": "104"}]}, "lots { id }")
    await send(group, group.steel, group.cement, 5, "L/100-104")
    assert told(await life(group, 102))[2:] == [("SPLIT", SURE), ("TRANSFER", SURE)]
    assert told(await life(group, 110))[2:] == [("SPLIT", SURE)]


async def test_a_cut_ends_the_doubt(group: Group) -> None:
    """What was doubtful before stays so; a lot is cut where it rests wholly, so from there on it is certain again."""
    await numbered(group)
    await send(group, group.steel, group.cement, 40)
    await send(group, group.cement, group.steel, 40)
    lot = {"scheme": "CEA", "issueReference": "L"}
    await group.manager.do("splitLot", {"lot": lot, "parts": [{"first": "100", "last": "109"}]}, "lots { id }")
    parts = [{"scheme": "CEA", "issueReference": f"L/{block}"} for block in ("100-109", "110-199")]
    await group.manager.do("mergeLots", {"lots": parts}, "lots { id }")
    await send(group, group.steel, group.cement, 99, "L/100-199")
    found = await life(group, 105)
    assert told(found) == [
        ("ISSUE", SURE), ("TRANSFER", MAYBE), ("TRANSFER", MAYBE), ("SPLIT", SURE), ("MERGE", SURE),
        ("TRANSFER", MAYBE),
    ]  # fmt: skip
    assert whereabouts(found) == (MAYBE, {group.steel, group.cement})


async def test_steps_stand_in_the_order_of_their_days(group: Group) -> None:
    await numbered(group)
    await send(group, group.steel, group.cement, 40, effectiveOn="2024-09-01")
    await send(group, group.steel, group.head, 5, effectiveOn="2024-08-01")
    days = [step["effectiveOn"] for step in (await life(group, 150))["steps"]]
    assert days == ["2024-07-01", "2024-08-01", "2024-09-01"]


async def test_as_far_as_the_caller_may_see(group: Group) -> None:
    """Who reads one company's assets is told that the unit may be elsewhere, and not where."""
    await numbered(group)
    await send(group, group.steel, group.cement, 40)
    await send(group, group.cement, group.head, 20)
    local = await group.world.member((Role.ASSET_MANAGER, key(group.steel)))
    found = (await local.ask(LIFE, n="150"))["assetUnitHistory"]
    assert told(found) == [("ISSUE", SURE), ("TRANSFER", MAYBE)]
    assert (*whereabouts(found), found["elsewhere"]) == (MAYBE, {group.steel}, True)
    await send(group, group.steel, group.cement, 60)
    found = (await local.ask(LIFE, n="150"))["assetUnitHistory"]
    assert (*whereabouts(found), found["elsewhere"]) == (MAYBE, set(), True), "in two places, neither of them shown"
    await send(group, group.head, group.cement, 20)
    found = (await local.ask(LIFE, n="150"))["assetUnitHistory"]
    assert (*whereabouts(found), found["elsewhere"]) == (SURE, set(), True)


ACCOUNTS = [uuid7() for _ in range(4)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 6)), max_size=3), max_size=8))
def test_no_unit_is_where_it_cannot_be(transfers: list[list[tuple[int, int, int]]]) -> None:
    """Six units followed one by one, in two of the ways they may have gone: each is in one of the places told, and each
    was moved by what certainly moved it.
    """
    day, issuer = date(2024, 1, 1), uuid7()
    for reverse in (False, True):
        at, moves, movers = dict.fromkeys(range(6), 0), list[Moved](), dict[Any, set[int]]()
        for legs in transfers:
            asked = Counter[int]()
            for source, to, quantity in legs:
                asked[source] += quantity if source != to else 0
            if any(quantity > sum(a == source for a in at.values()) for source, quantity in asked.items()):
                continue
            transfer, gone = uuid7(), set[int]()
            for source, to, quantity in legs:
                if source == to:
                    continue
                there = [u for u, a in at.items() if a == source and u not in gone]
                went = sorted(there, reverse=reverse)[:quantity]
                gone |= set(went)
                at |= dict.fromkeys(went, to)
                moves.append(Moved(transfer, day, ACCOUNTS[source], ACCOUNTS[to], quantity))
            movers[transfer] = gone
        trace = traced([Stage(Moved(uuid7(), day, issuer, ACCOUNTS[0], 6), moves)])
        assert trace.places == {ACCOUNTS[place] for place in at.values()}
        assert {step.certainty for step in trace.steps[1:] if len(movers[step.transfer_id]) == 6} <= {"CERTAIN"}
        assert {step.certainty for step in trace.steps[1:] if len(movers[step.transfer_id]) < 6} <= {"POSSIBLE"}
