"""Finding transfers by lot and day, and what a balance says of its account."""

from __future__ import annotations

from typing import Any

from tenants.access import Role
from tests.fixtures.ledger import Group, a_lot, key, moved, used

LISTED = """query Q($l: ID, $a: Date, $b: Date, $o: ID) {
  assetTransfers(lotId: $l, effectiveFrom: $a, effectiveThrough: $b, organisationId: $o) { nodes { kind evidence } }
}"""
TOLD = "balances { quantity account { accountId organisationId code kind } }"


async def listed(group: Group, **given: Any) -> list[str]:
    found = (await group.manager.ask(LISTED, **given))["assetTransfers"]["nodes"]
    return [f"{t['kind']} {t['evidence']}" for t in found]


async def test_by_lot_and_by_day(group: Group) -> None:
    one, other = [
        (await group.issue(a_lot(group.steel, name, 100, issuedOn="2024-01-10", evidence=name)))[0]["lot"]["id"]
        for name in ("L", "M")
    ]
    for day, name in (("2024-02-01", "L"), ("2024-03-01", "M"), ("2024-02-15", "L")):
        legs = [moved(group.steel, group.cement, 1, name)]
        await group.manager.do("transferAssets", {"legs": legs, "effectiveOn": day, "evidence": day}, "transfer { id }")
    assert await listed(group, l=one) == ["TRANSFER 2024-02-15", "TRANSFER 2024-02-01", "ISSUE L"]
    assert await listed(group, l=one, o=group.cement) == ["TRANSFER 2024-02-15", "TRANSFER 2024-02-01"]
    assert await listed(group, l=other, b="2024-02-29") == ["ISSUE M"]
    assert await listed(group, a="2024-02-15") == ["TRANSFER 2024-02-15", "TRANSFER 2024-03-01"]
    assert await listed(group, a="2024-02-01", b="2024-02-01") == ["TRANSFER 2024-02-01"]
    back = {"legs": [used(group.cement, 1, "L") | {"destination": {"market": True}}], "evidence": "卖出"}
    await group.manager.do("transferAssets", back, "transfer { id }")
    assert (await listed(group, l=one))[0] == "TRANSFER 卖出"


async def test_by_account_and_subtree_as_known_at_a_moment(group: Group) -> None:
    """What was recorded later is not there yet, and what was reversed later is not reversed yet."""
    await group.stock(group.steel, 100)
    opened = {"organisationId": group.steel, "code": "R2", "name": "登记", "kind": "REGISTRY"}
    account = (await group.manager.do("createAssetAccount", opened, "account { id }"))["account"]["id"]
    aside = used(group.steel, 30) | {"destination": {"organisationId": group.steel, "code": "R2"}}
    sent = await group.manager.do("transferAssets", {"legs": [aside]}, "transfer { id recordedAt }")
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, "transfer { id }")
    await group.manager.do("reverseTransfer", {"transferId": sent["transfer"]["id"]}, "transfer { id }")
    document = """query Q($o: ID, $b: Boolean! = false, $c: ID, $k: DateTime) {
      assetTransfers(organisationId: $o, below: $b, accountId: $c, knownAt: $k) { nodes { kind reversedById } } }"""

    async def found(**given: Any) -> list[tuple[str, bool]]:
        nodes = (await group.manager.ask(document, **given))["assetTransfers"]["nodes"]
        return [(t["kind"], t["reversedById"] is not None) for t in nodes]

    assert await found(c=account) == [("REVERSE", False), ("TRANSFER", True)]
    assert await found(c=account, k=sent["transfer"]["recordedAt"]) == [("TRANSFER", False)]
    assert await found(c=account, o=group.cement) == []
    assert await found(o=group.head) == []
    assert len(await found(o=group.head, b=True)) == 4
    balances = """query Q($o: ID!, $b: Boolean! = false, $c: ID) {
      assetBalancesAsOf(organisationId: $o, below: $b, accountId: $c, zero: true) { quantity account { code } } }"""

    async def left(**given: Any) -> list[tuple[str, str]]:
        rows = (await group.manager.ask(balances, **given))["assetBalancesAsOf"]
        return sorted((b["account"]["code"], b["quantity"]) for b in rows)

    assert await left(o=group.steel) == [("HOLDING", "99"), ("R2", "0")]
    assert await left(o=group.steel, c=account) == [("R2", "0")]
    assert await left(o=group.cement, c=account) == []
    assert await left(o=group.head, b=True, c=account) == [("R2", "0")]


async def test_a_lot_out_of_reach_has_no_transfers(group: Group) -> None:
    lot = await group.stock(group.steel)
    cement = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    assert (await cement.ask(LISTED, l=lot))["assetTransfers"]["nodes"] == []
    refused = await cement.run(LISTED, l=group.steel)
    assert refused.errors[0]["extensions"]["code"] == "INVALID_ID"


async def test_a_balance_names_its_account(group: Group) -> None:
    """In a rehearsal too, whose accounts may be nowhere afterwards."""
    await group.stock(group.steel)
    given = {"legs": [moved(group.steel, group.cement, 10)]}
    for more in ({"dryRun": True}, {"idempotencyKey": "k"}, {"idempotencyKey": "k"}):
        told = (await group.manager.do("transferAssets", given | more, TOLD))["balances"]
        found = {b["account"]["organisationId"]: (b["quantity"], b["account"]["code"]) for b in told}
        assert found == {group.steel: ("990", "HOLDING"), group.cement: ("10", "HOLDING")}
    document = """query Q($o: ID!) { assetBalancesAsOf(organisationId: $o) { accountId account { accountId kind } } }"""
    (row,) = (await group.manager.ask(document, o=group.cement))["assetBalancesAsOf"]
    assert row["account"] == {"accountId": row["accountId"], "kind": "HOLDING"}
