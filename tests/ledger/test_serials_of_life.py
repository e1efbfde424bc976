"""Lots of allocation, purchase and projects with serial numbers: their units can be cut out and followed."""

from __future__ import annotations

from typing import Any

from tests.fixtures.ledger import Group
from tests.ledger.test_compliance import ALLOCATION, stage
from tests.ledger.test_projects import Office
from tests.ledger.test_trades import agreed, settle
from tests.ledger.test_trades import lot as named

CUT = "lots { issueReference }"
LIFE = """query Q($s: String!, $p: String!, $n: Tonnes!) {
  assetUnitHistory(scheme: $s, prefix: $p, number: $n) { lot { issueReference } steps { kind } } }"""


def block(prefix: str, first: int, last: int) -> dict[str, Any]:
    return {"serial": {"prefix": prefix, "first": str(first), "last": str(last)}}


def told(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(e["code"], e["path"]) for e in payload["errors"]]


async def life(group: Group, scheme: str, prefix: str, number: int) -> list[str]:
    found = (await group.manager.ask(LIFE, s=scheme, p=prefix, n=str(number)))["assetUnitHistory"]
    return [step["kind"] for step in found["steps"]]


async def test_of_an_allocation(group: Group) -> None:
    for serial, code in (
        (block("P", 1, 699), "SERIAL_LENGTH"),
        (block("P", -1, 698), "SERIAL_RANGE"),
        (block("P", 700, 1), "SERIAL_RANGE"),
    ):
        refused = await group.manager.attempt("allocateAllowances", stage(group, "PRE", 700, **serial), ALLOCATION)
        assert told(refused) == [(code, ["serial"])]
    given = stage(group, "PRE", 700, issueReference="YF-1", **block("P", 1, 700))
    recorded = (await group.manager.do("allocateAllowances", given, "allocation { recordedAt }"))["allocation"]
    assert recorded["recordedAt"] is not None
    overlapping = stage(group, "FINAL", 10, **block("P", 700, 709))
    assert told(await group.manager.attempt("allocateAllowances", overlapping, ALLOCATION))[0][0] == "SERIAL_OVERLAP"
    lot = {"scheme": "CEA", "issueReference": "YF-1"}
    await group.manager.do("splitLot", {"lot": lot, "parts": [{"first": "1", "last": "100"}]}, CUT)
    assert await life(group, "CEA", "P", 50) == ["ISSUE", "SPLIT"]
    leg = {"lot": {"scheme": "CEA", "issueReference": "YF-1/1-100"}, "quantity": "100"}
    back = stage(group, "CLAW_BACK", 100, legs=[leg | {"source": {"organisationId": group.steel}}])
    refused = await group.manager.attempt("allocateAllowances", back | block("P", 1, 100), ALLOCATION)
    assert told(refused) == [("SERIAL_OF_NEW_LOT", ["serial"])]


async def test_of_a_purchase(group: Group) -> None:
    key = await agreed(group, side="BUY")
    new = {"issueReference": "BUY-1", "vintage": 2024}
    assert told(await settle(group, key, **new, **block("B", 1, 99))) == [("SERIAL_LENGTH", ["serial"])]
    await group.stock(group.steel)
    assert told(await settle(group, key, **named(), **block("B", 1, 100))) == [("SERIAL_OF_NEW_LOT", ["serial"])]
    assert (await settle(group, key, **new, **block("B", 1, 100)))["errors"] == []
    assert await life(group, "CEA", "B", 100) == ["ISSUE"]


async def test_of_a_project(group: Group) -> None:
    office = Office(group)
    claim = await office.verified(await office.registered())
    refused = await office.go(claim, "APPLY", "2025-05-20", **block("ZL", 1, 880))
    assert told(refused) == [("SERIAL_OF_NEW_LOT", ["serial"])]
    await office.go(claim, "APPLY", "2025-05-20")
    refused = await office.go(claim, "REGISTER", "2025-06-10", **block("ZL", 1, 900))
    assert told(refused) == [("SERIAL_LENGTH", ["serial"])]
    assert (await office.go(claim, "REGISTER", "2025-06-10", **block("ZL", 1, 880)))["errors"] == []
    assert await life(group, "CCER", "ZL", 880) == ["ISSUE"]
