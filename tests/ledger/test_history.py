"""How things stood: by day of effect, by moment of knowledge, and through the life of a unit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from backend.kit.ids import uuid7
from backend.kit.provision import OWNER
from tenants.access import Role
from tests.fixtures.ledger import POSTED, Group, a_lot, key, moved, used

AS_OF = (
    "query Q($o: ID!, $d: Date, $k: DateTime, $b: Boolean! = false) "
    "{ assetBalancesAsOf(organisationId: $o, effectiveOn: $d, knownAt: $k, below: $b) { quantity } }"
)
LIFE = (
    'query Q($n: Tonnes!) { assetUnitHistory(scheme: "CEA", prefix: "C", number: $n) '
    "{ lot { issueReference } steps { kind evidence effectiveOn } } }"
)  # fmt: skip


async def stood(group: Group, organisation_id: str, **asked: Any) -> int:
    rows = (await group.manager.ask(AS_OF, o=organisation_id, **asked))["assetBalancesAsOf"]
    return sum(int(row["quantity"]) for row in rows)


async def test_by_day_and_by_knowledge(group: Group) -> None:
    await group.issue(a_lot(group.steel, quantity=1000, issuedOn="2024-01-10"))
    before = datetime.now(UTC).isoformat()
    back = {"legs": [moved(group.steel, group.cement, 300)], "effectiveOn": "2024-02-01"}
    sent = await group.manager.do("transferAssets", back, POSTED)
    between = datetime.now(UTC).isoformat()
    reversal = {"transferId": sent["transfer"]["id"], "effectiveOn": "2024-03-01"}
    await group.manager.do("reverseTransfer", reversal, POSTED)
    steel = {d: await stood(group, group.steel, d=d) for d in ("2024-01-09", "2024-01-31", "2024-02-01", "2024-03-01")}
    assert steel == {"2024-01-09": 0, "2024-01-31": 1000, "2024-02-01": 700, "2024-03-01": 1000}
    # Nobody knew of the transfer of February before it was recorded, nor then of its reversal.
    assert [await stood(group, group.steel, d="2024-02-01", k=k) for k in (before, between)] == [1000, 700]
    assert [await stood(group, group.steel, d="2024-03-01", k=k) for k in (between, None)] == [700, 1000]
    assert await stood(group, group.head, d="2024-02-01") == 0
    assert await stood(group, group.head, d="2024-02-01", b=True) == 1000


async def test_only_where_assets_may_be_read(group: Group) -> None:
    await group.stock(group.steel)
    other = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    refused = await other.run(AS_OF, o=group.steel)
    assert [e["extensions"]["code"] for e in refused.errors or ()] == ["NOT_FOUND"]


async def test_the_life_of_a_unit(group: Group) -> None:
    serial = {"prefix": "C", "first": "100", "last": "199"}
    await group.issue(a_lot(group.steel, "L", 100, serial=serial, evidence="配发通知"))
    sold = {"legs": [moved(group.steel, group.cement, 40, "L")], "evidence": "合同"}
    await group.manager.do("transferAssets", sold, POSTED)
    await group.surrender(group.cement, used(group.cement, 40, "L"), evidence="清缴单")
    life = (await group.manager.ask(LIFE, n="150"))["assetUnitHistory"]
    assert life["lot"]["issueReference"] == "L"
    assert [(s["kind"], s["evidence"]) for s in life["steps"]] == [
        ("ISSUE", "配发通知"), ("TRANSFER", "合同"), ("SURRENDER", "清缴单"),
    ]  # fmt: skip
    assert (await group.manager.ask(LIFE, n="200"))["assetUnitHistory"] is None
    stranger = await group.world.member((Role.ASSET_MANAGER, key(group.head)))
    nobody = await group.world.member((Role.TENANT_ADMINISTRATOR, None))
    assert (await stranger.ask(LIFE, n="150"))["assetUnitHistory"] is not None
    assert (await nobody.run(LIFE, n="150")).errors


async def test_a_closed_period_takes_nothing_more(group: Group, database_url: str) -> None:
    await group.issue(a_lot(group.steel, quantity=1000, issuedOn="2024-01-10"))
    close = {"through": "2024-06-30", "reason": "半年关账"}
    assert (await group.manager.do("closeAssetPeriod", close, "through"))["through"] == "2024-06-30"
    assert (await group.manager.ask("{ assetClosedThrough }"))["assetClosedThrough"] == "2024-06-30"
    auditor = await group.world.caller(Role.INTERNAL_AUDITOR)
    events = (await auditor.ask("{ auditEvents { nodes { operation changes { field after } } } }"))["auditEvents"][
        "nodes"
    ]
    (closing,) = [str(e["changes"]) for e in events if e["operation"] == "closeAssetPeriod"]
    assert "半年关账" in closing, "why it was closed is on record"
    back = {"legs": [moved(group.steel, group.cement, 300)], "effectiveOn": "2024-06-30"}
    refused = await group.manager.attempt("transferAssets", back, POSTED)
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("PERIOD_CLOSED", ["effectiveOn"])]
    (row,) = await group.issue(a_lot(group.steel, "late", issuedOn="2024-06-01"))
    assert row["error"]["code"] == "PERIOD_CLOSED"
    assert await stood(group, group.steel, d="2024-06-30") == 1000
    await group.manager.do("transferAssets", back | {"effectiveOn": "2024-07-01"}, POSTED)
    await group.manager.do("transferAssets", {"legs": [moved(group.cement, group.steel, 300)]}, POSTED)
    shown = AS_OF.replace("below: $b", "below: $b, zero: true")
    assert (await group.manager.ask(shown, o=group.cement))["assetBalancesAsOf"] == [{"quantity": "0"}]
    before = await group.manager.ask(shown, o=group.cement, d="2024-06-30")
    assert before["assetBalancesAsOf"] == [], "it had never been there by then"
    for through in ("2024-06-30", "2024-01-31", "2999-01-01"):
        again = await group.manager.attempt("closeAssetPeriod", close | {"through": through}, "through")
        assert again["errors"][0]["code"] == "CLOSING_DAY"
    local = await group.world.member((Role.ASSET_MANAGER, key(group.steel)))
    refused = await local.attempt("closeAssetPeriod", close | {"through": "2024-08-31"}, "through")
    assert refused["errors"][0]["code"] == "FORBIDDEN"
    await _nor_for_the_owner(group, database_url)


async def test_what_is_learned_after_a_closing_keeps_its_day_of_issue(group: Group) -> None:
    close = {"through": "2024-06-30", "reason": "半年关账"}
    await group.manager.do("closeAssetPeriod", close, "through")
    (row,) = await group.issue(a_lot(group.steel, "late", 7, issuedOn="2024-06-01", effectiveOn="2024-07-01"))
    assert row["error"] is None
    lots = (await group.manager.ask("{ assetLots { nodes { issueReference issuedOn } } }"))["assetLots"]["nodes"]
    assert lots == [{"issueReference": "late", "issuedOn": "2024-06-01"}]
    assert [await stood(group, group.steel, d=day) for day in ("2024-06-30", "2024-07-01")] == [0, 7]
    refused: list[tuple[dict[str, Any], str]] = [
        ({"issuedOn": "2024-06-01", "effectiveOn": "2024-06-30"}, "PERIOD_CLOSED"),
        ({"issuedOn": "2024-08-01", "effectiveOn": "2024-07-31"}, "EFFECTIVE_BEFORE_ISSUE"),
        ({"issuedOn": "2024-08-01", "effectiveOn": "2999-01-01"}, "EFFECTIVE_IN_FUTURE"),
        ({"issuedOn": "2024-06-30"}, "PERIOD_CLOSED"),
    ]
    for days, code in refused:
        (row,) = await group.issue(a_lot(group.steel, "odd", **days))
        assert (row["error"]["code"], row["error"]["path"]) == (code, ["lots", "0", "effectiveOn"])


async def test_a_slip_in_the_day_of_issue_is_told_there(group: Group) -> None:
    (row,) = await group.issue(a_lot(group.steel, issuedOn="2999-01-01", effectiveOn="2025-01-01"))
    assert (row["error"]["code"], row["error"]["path"]) == ("EFFECTIVE_IN_FUTURE", ["lots", "0", "issuedOn"])


async def _nor_for_the_owner(group: Group, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    copied = (
        "INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, operation, correlation_id) "
        "SELECT tenant_id, $1, kind, legs, '2024-06-30', operation, correlation_id FROM asset_transfer "
    )
    legs = "INSERT INTO asset_leg SELECT tenant_id, $1, leg, lot_id, from_account_id, to_account_id, 1 FROM asset_leg "
    first = "WHERE {} = (SELECT id FROM asset_transfer WHERE kind = 'TRANSFER' ORDER BY id LIMIT 1)"
    made = uuid7()
    await connection.execute(copied + first.format("id"), made)
    with pytest.raises(asyncpg.exceptions.PostgresError) as refused:
        await connection.execute(legs + first.format("transfer_id"), made)
    assert getattr(refused.value, "constraint_name", "") == "asset_leg_open_period"
    for statement in ("DELETE FROM asset_closing", "TRUNCATE asset_closing", "UPDATE asset_closing SET reason = 'x'"):
        with pytest.raises(asyncpg.exceptions.PostgresError):
            await connection.execute(statement)
    await connection.close()
