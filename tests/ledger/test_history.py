"""How things stood: by day of effect, by moment of knowledge, and through the life of a unit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
