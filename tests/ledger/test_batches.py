"""Many rows at once: each judged on its own, or all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from backend.kit.clock import REPORTING_ZONE, Clock
from backend.kit.database import Database, count_statements
from tests.fixtures.ledger import ISSUED, POSTED, RESULTS, Group, a_lot, key, moved, retired, used


def use(organisation_id: str, quantity: int, kind: str = "SURRENDER", **more: Any) -> dict[str, Any]:
    legs = [used(organisation_id, quantity)]
    return {"kind": kind, **retired(organisation_id, *legs), **more}


def codes(rows: list[dict[str, Any]]) -> list[str | None]:
    return [row["error"] and row["error"]["code"] for row in rows]


async def test_lots_are_judged_one_by_one(group: Group) -> None:
    await group.stock(group.steel)
    block = {"prefix": "C", "first": "1", "last": "10"}
    rows = await group.issue(
        a_lot(group.steel, "2024-001"),
        a_lot(group.steel, "a", 10, serial=block),
        a_lot(group.steel, "b", 10, serial=block | {"first": "10", "last": "19"}),
        a_lot(group.steel, "c", 10, serial=block | {"first": "11", "last": "20"}),
        a_lot(group.steel, "c", 10),
        a_lot(group.steel, "d", 10, serial=block | {"first": "30", "last": "40"}),
        a_lot(group.steel, "e", 0),
        a_lot(group.steel, "f", 10, origin="CERTIFIED_SINK"),
        a_lot(group.steel, "g", 10, accountCode="登记"),
        a_lot(group.steel, "h", 10, issuedOn="2999-01-01"),
        a_lot(group.steel, "  ", 10),
        a_lot(group.steel, "i", 10, scheme="CCER", serial=block, assetClass="CCER", origin="ISSUED_CREDIT"),
    )
    assert codes(rows) == [
        "LOT_ALREADY_ISSUED",
        None,
        "SERIAL_OVERLAP",
        None,
        "LOT_ALREADY_ISSUED",
        "SERIAL_LENGTH",
        "BAD_QUANTITY",
        "ORIGIN_DOES_NOT_FIT",
        "UNKNOWN_ACCOUNT",
        "EFFECTIVE_IN_FUTURE",
        "MISSING_TEXT",
        None,
    ]
    otherwise = [a_lot(group.steel, "a", scheme=" ｃｅａ"), a_lot(group.steel, "j", 10, scheme="cea", serial=block)]
    otherwise += [a_lot(group.steel, "k", 10, serial=block | {"prefix": " ｃ"})]
    assert codes(await group.issue(*otherwise)) == ["LOT_ALREADY_ISSUED", "SERIAL_OVERLAP", "SERIAL_OVERLAP"]
    assert rows[2]["error"]["path"] == ["lots", "2", "serial"]
    assert "'a'" in rows[2]["error"]["message"]
    assert await group.held(group.steel) == {"2024-001": "1000", "a": "10", "c": "10", "i": "10"}


async def test_all_lots_or_none(group: Group) -> None:
    rows = await group.issue(a_lot(group.steel, "a"), a_lot(group.steel, "b", 0), allOrNothing=True)
    assert codes(rows) == ["NOT_POSTED", "BAD_QUANTITY"]
    assert await group.held(group.steel) == {}


async def test_transfers_are_judged_in_order(group: Group) -> None:
    await group.stock(group.steel)
    move = {"kind": "TRANSFER", "legs": [moved(group.steel, group.cement, 500)]}
    rows = [
        use(group.cement, 1),
        move,
        use(group.cement, 500, "RETIRE"),
        use(group.steel, 501),
        use(group.steel, 400),
        use(group.steel, 100, "CANCEL", beneficiaryId=None, forYear=None),
        use(group.steel, 1),
        {"kind": "ISSUE", "legs": [used(group.steel, 1)]},
        {"kind": "RETIRE", "legs": [used(group.steel, 1)]},
        use(group.steel, 1, "RETIRE", purpose=" "),
        {"kind": "TRANSFER", "legs": []},
        {"kind": "REVERSE", "legs": []},
    ]
    payload = await group.manager.do("postTransfers", {"transfers": rows}, RESULTS)
    assert codes(payload["results"]) == [
        "INSUFFICIENT_BALANCE",
        None,
        None,
        "INSUFFICIENT_BALANCE",
        None,
        None,
        "INSUFFICIENT_BALANCE",
        "ISSUE_BY_LOTS",
        "USE_NEEDS_BENEFICIARY",
        "PURPOSE_NEEDED",
        "WRONG_LEGS",
        "MISSING_TEXT",
    ]
    assert payload["results"][3]["error"]["path"] == ["transfers", "3", "legs", "0", "quantity"]
    assert payload["results"][-1]["error"]["path"] == ["transfers", "11", "transferId"]
    assert sorted(b["quantity"] for b in payload["balances"]) == ["0", "0"]


@pytest.mark.parametrize("way", ["quick", "ordinary", "list"])
async def test_legs_out_of_one_balance_are_judged_together(group: Group, way: str) -> None:
    """Two legs that fit each by itself and not together; in a list the rows alike."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 100)]}, POSTED)
    legs = [moved(group.steel, group.cement, 500), moved(group.steel, group.cement, 401)]
    if way == "list":
        rows = {"transfers": [{"kind": "TRANSFER", "legs": [leg]} for leg in legs]}
        done = await group.manager.do("postTransfers", rows, RESULTS)
        assert codes(done["results"]) == [None, "INSUFFICIENT_BALANCE"]
        assert await group.held(group.cement) == {"2024-001": "600"}
        return
    today = {"effectiveOn": Clock().today(REPORTING_ZONE).isoformat()} if way == "ordinary" else {}
    refused = await group.manager.attempt("transferAssets", {"legs": legs, **today}, POSTED)
    assert [e["code"] for e in refused["errors"]] == ["INSUFFICIENT_BALANCE"]
    assert "901" in refused["errors"][0]["message"]
    assert await group.held(group.cement) == {"2024-001": "100"}


async def test_reversals_in_a_batch(group: Group) -> None:
    await group.stock(group.steel)
    first = await group.surrender(group.steel, used(group.steel, 600))
    back = {"kind": "REVERSE", "transferId": first["transfer"]["id"]}
    rows = [use(group.steel, 1000), back, back, use(group.steel, 1000)]
    payload = await group.manager.do("postTransfers", {"transfers": rows}, RESULTS)
    assert codes(payload["results"]) == ["INSUFFICIENT_BALANCE", None, "ALREADY_REVERSED", None]


async def test_all_transfers_or_none(group: Group) -> None:
    await group.stock(group.steel)
    given = {"transfers": [use(group.steel, 600), use(group.steel, 600)], "allOrNothing": True, "idempotencyKey": "k"}
    payload = await group.manager.do("postTransfers", given, RESULTS)
    assert codes(payload["results"]) == ["NOT_POSTED", "INSUFFICIENT_BALANCE"]
    assert await group.held(group.steel) == {"2024-001": "1000"}


async def test_replay_tells_refusals_again(group: Group) -> None:
    await group.stock(group.steel)
    given = {"transfers": [use(group.steel, 600), use(group.steel, 600)], "idempotencyKey": "k"}
    first = await group.manager.do("postTransfers", given, RESULTS)
    again = await group.manager.do("postTransfers", given, RESULTS)
    assert codes(first["results"]) == [None, "INSUFFICIENT_BALANCE"]
    assert again == {**first, "replayed": True}


async def test_five_hundred_in_few_statements(group: Group, database: Database) -> None:
    lots = [a_lot(group.steel, f"L{i}", 10) for i in range(500)]
    seen: list[str] = []
    stop = count_statements(database, seen)
    rows = await group.issue(*lots, idempotencyKey="all")
    uses = [{"kind": "RETIRE", **retired(group.steel, used(group.steel, 10, f"L{i}"))} for i in range(500)]
    payload = await group.manager.do("postTransfers", {"transfers": uses}, "results { error { code } }")
    stop()
    assert codes(rows) == codes(payload["results"]) == [None] * 500
    assert len(seen) <= 10
    assert await group.held(group.steel) == {}


async def test_size_is_bounded(group: Group) -> None:
    none = await group.manager.attempt("issueLots", {"lots": []}, ISSUED)
    many = await group.manager.attempt("issueLots", {"lots": [a_lot(group.steel)] * 501}, ISSUED)
    assert [p["errors"][0]["code"] for p in (none, many)] == ["TOO_MANY_ROWS"] * 2


async def test_every_transfer_has_its_audit_event(group: Group, owner_database: Database) -> None:
    await group.stock(group.steel)
    given = {"transfers": [use(group.steel, 1), use(group.steel, 2), use(group.steel, 10_000)]}
    await group.manager.do("postTransfers", given, RESULTS)
    async with owner_database.read(group.world.tenant_id) as session:
        rows = await session.rows(
            "SELECT e.organisation_id, e.operation, e.after->>'kind' AS kind FROM asset_transfer t "
            "JOIN audit_trail e ON e.subject_id = t.id AND e.subject_type = 'AssetTransfer' ORDER BY e.id"
        )
    assert [(r.operation, r.kind, r.organisation_id) for r in rows] == [
        ("postTransfers", "SURRENDER", key(group.steel)),
        ("postTransfers", "SURRENDER", key(group.steel)),
    ]
