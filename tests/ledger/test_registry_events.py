"""Serial blocks as a registry published them: issued, split, retired by sub-range; never twice, never overlapping."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import Any, Final

from tests.fixtures.ledger import ISSUED, POSTED, RESULTS, Group, retired, used
from tests.fixtures.shared_data import public_records

EVENTS: Final = 120
# Batch - first - last - the rest, which names registry, programme, methodology, country, project and period.
SERIAL: Final = re.compile(r"(\d+)-(\d+)-(\d+)-(.+)")


@dataclass(frozen=True, slots=True)
class Event:
    """One published event: a block, its quantity, and the day of its retirement when it was retired."""

    batch: str
    first: int
    last: int
    programme: str
    quantity: int
    issued_on: str
    vintage: int
    project: str
    retired_on: str

    @property
    def reference(self) -> str:
        return f"{self.batch}-{self.first}-{self.last}"

    def lot(self, organisation_id: str, **more: Any) -> dict[str, Any]:
        serial = {"prefix": f"{self.batch}-", "first": str(self.first), "last": str(self.last)}
        fixed = {"assetClass": "CCER", "scheme": "VCS", "origin": "ISSUED_CREDIT", "issuedToId": organisation_id}
        said = {"vintage": self.vintage, "project": self.project, "issuedOn": self.issued_on}
        return {**fixed, **said, "issueReference": self.reference, "quantity": str(self.quantity),
                "serial": serial, **more}  # fmt: skip


def events() -> list[Event]:
    found = []
    with (public_records("registry") / "serial_events.csv").open(encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text):
            match = SERIAL.fullmatch(row["serial"])
            assert match, row["serial"]
            found.append(
                Event(match[1], int(match[2]), int(match[3]), match[4], int(row["quantity"].replace(",", "")),
                      row["issuance_date"], int(row["vintage_end"][:4]), row["project_id"], row["retired_on"])
            )  # fmt: skip
    return found


def test_every_serial_says_its_quantity() -> None:
    found = events()
    assert len(found) == EVENTS
    assert [e.reference for e in found if e.last - e.first + 1 != e.quantity] == []


async def test_issued_retired_and_never_again(group: Group) -> None:
    found = events()
    issued = await group.issue(*(e.lot(group.steel) for e in found))
    assert [row["error"] for row in issued] == [None] * EVENTS
    assert sum(int(q) for q in (await group.held(group.steel)).values()) == sum(e.quantity for e in found)
    gone = [e for e in found if e.retired_on]
    rows = [_retired(group, e, e.quantity) for e in gone]
    done = await group.manager.do("postTransfers", {"transfers": rows}, RESULTS)
    assert [r["error"] for r in done["results"]] == [None] * len(gone)
    again = await group.manager.do("postTransfers", {"transfers": [_retired(group, e, 1) for e in gone]}, RESULTS)
    assert {r["error"]["code"] for r in again["results"]} == {"INSUFFICIENT_BALANCE"}
    left = await group.held(group.steel)
    assert left == {e.reference: str(e.quantity) for e in found if not e.retired_on}


async def test_blocks_of_the_record_cannot_overlap(group: Group) -> None:
    found = events()
    await group.issue(*(e.lot(group.steel) for e in found))
    overlapping = []
    for number, e in enumerate(found):
        block = {"prefix": f"{e.batch}-", "first": str(e.last), "last": str(e.last + 9)}
        overlapping.append(e.lot(group.cement, issueReference=f"again {number}", quantity="10", serial=block))
    refused = await group.manager.attempt("issueLots", {"lots": overlapping}, ISSUED)
    assert {r["error"]["code"] for r in refused["results"]} == {"SERIAL_OVERLAP"}
    assert await group.held(group.cement) == {}


async def test_retired_by_sub_range(group: Group) -> None:
    """Of each block the middle third is retired by its numbers, all in one call: cut out, used up, and never again."""
    found = [e for e in events() if e.quantity >= 3]
    assert len(found) == 105
    await group.issue(*(e.lot(group.steel) for e in found))
    rows = [_retired_range(group, e, *_third(e)) for e in found]
    broken = [*rows, _retired(group, found[0], found[0].quantity + 1)]
    refused = await group.manager.do("postTransfers", {"transfers": broken, "allOrNothing": True}, RESULTS)
    assert {r["error"]["code"] for r in refused["results"]} == {"NOT_POSTED", "INSUFFICIENT_BALANCE"}
    assert await group.held(group.steel) == {e.reference: str(e.quantity) for e in found}
    given = {"transfers": rows, "allOrNothing": True, "idempotencyKey": "thirds"}
    done = await group.manager.do("postTransfers", given, RESULTS)
    assert [r["error"] for r in done["results"]] == [None] * len(found)
    again = await group.manager.do("postTransfers", given, RESULTS)
    assert again["results"] == done["results"]
    left = await group.held(group.steel)
    assert sum(map(int, left.values())) == sum(e.quantity - _third(e)[1] + _third(e)[0] - 1 for e in found)
    largest = max(found, key=lambda e: e.quantity)
    first, last = _third(largest)
    before, part = f"{largest.reference}/{largest.first}-{first - 1}", f"{largest.reference}/{first}-{last}"
    for lot, numbers, code in (
        (largest.reference, (first, last), "LOT_CUT"),
        (part, (first, first), "LOT_NOT_WHOLE"),
        (part, (first, last), "INSUFFICIENT_BALANCE"),
        (before, (first - 1, first), "BAD_CUT"),
    ):
        row = _retired_range(group, largest, *numbers, lot=lot)
        single = retired(group.steel, *row["legs"], year=2025)
        assert (await group.manager.attempt("retireAssets", single, POSTED))["errors"][0]["code"] == code
    assert await group.held(group.steel) == left
    asked = (
        "query Q($n: Tonnes!, $p: String!) "
        '{ assetUnitHistory(scheme: "VCS", prefix: $p, number: $n) { steps { kind } } }'
    )
    for number, expected in ((first, ["ISSUE", "SPLIT", "RETIRE"]), (first - 1, ["ISSUE", "SPLIT"])):
        life = await group.manager.ask(asked, n=str(number), p=f"{largest.batch}-")
        assert [s["kind"] for s in life["assetUnitHistory"]["steps"]] == expected


def _third(event: Event) -> tuple[int, int]:
    return event.first + event.quantity // 3, event.first + 2 * event.quantity // 3 - 1


def _retired_range(group: Group, event: Event, first: int, last: int, lot: str = "") -> dict[str, Any]:
    leg = used(group.steel, last - first + 1, lot or event.reference, "VCS")
    leg |= {"serials": {"first": str(first), "last": str(last)}}
    return {"kind": "RETIRE", **retired(group.steel, leg, year=event.vintage)}


def _retired(group: Group, event: Event, quantity: int) -> dict[str, Any]:
    leg = used(group.steel, quantity, event.reference, "VCS")
    return {"kind": "RETIRE", **retired(group.steel, leg, year=event.vintage)}
