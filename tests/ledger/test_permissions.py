"""Who may move what: the holder decides; what is out of reach answers as what does not exist."""

from __future__ import annotations

import pytest

from tenants.access import ROLES, Permission, Role
from tests.fixtures.ledger import ISSUED, POSTED, RESULTS, Group, a_lot, key, moved, retired, used
from tests.fixtures.world import Caller, World

MANAGERS = {Role.OVERALL_LEAD, Role.NEUTRALITY_TEAM, Role.ASSET_MANAGER, Role.PARTNER_CLIENT}


async def manager_of(group: Group, organisation_id: str, role: Role = Role.ASSET_MANAGER) -> Caller:
    return await group.world.member((role, key(organisation_id)))


async def test_manager_of_one_company(group: Group) -> None:
    await group.stock(group.steel)
    steel, cement = await manager_of(group, group.steel), await manager_of(group, group.cement)
    away = {"legs": [moved(group.steel, group.cement, 100)]}
    unseen = await cement.attempt("transferAssets", away, POSTED)
    assert unseen["errors"][0]["code"] == "UNKNOWN_ACCOUNT"
    assert unseen["errors"][0]["path"] == ["legs", "0", "source"]
    nowhere = {"legs": [moved("T3JnYW5pc2F0aW9uOjAxOTNhMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMA", group.cement, 1)]}
    absent = await cement.attempt("transferAssets", nowhere, POSTED)
    assert absent["errors"][0]["code"] == unseen["errors"][0]["code"]
    sent = await steel.do("transferAssets", away, POSTED)
    back = await steel.attempt("reverseTransfer", {"transferId": sent["transfer"]["id"]}, POSTED)
    assert [(e["code"], e["path"]) for e in back["errors"]] == [("FORBIDDEN", ["transferId"])], "it sees the transfer"
    stranger = await cement.attempt("reverseTransfer", {"transferId": sent["transfer"]["id"]}, POSTED)
    assert stranger["errors"] == []
    assert await group.held(group.steel) == {"2024-001": "1000"}


async def test_each_sees_its_own(group: Group) -> None:
    await group.stock(group.steel)
    await group.stock(group.cement, 5, "2024-002")
    cement = await manager_of(group, group.cement)
    everything = (
        "{ assetAccounts { nodes { id } } assetLots { nodes { issueReference } } assetTransfers { nodes { id } } }"
    )
    own = await cement.ask(everything)
    assert [lot["issueReference"] for lot in own["assetLots"]["nodes"]] == ["2024-002"]
    assert len(own["assetAccounts"]["nodes"]) == len(own["assetTransfers"]["nodes"]) == 1
    whole = await group.manager.ask(everything)
    ids = [n["id"] for kind in ("assetAccounts", "assetTransfers") for n in whole[kind]["nodes"]]
    seen = await cement.ask("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert sum(n is not None for n in seen["nodes"]) == 2
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert len((await cement.ask(everything))["assetLots"]["nodes"]) == 2


async def test_rows_out_of_reach_cost_the_others_nothing(group: Group) -> None:
    await group.stock(group.steel)
    await group.stock(group.cement, 5, "2024-002")
    cement = await manager_of(group, group.cement)
    rows = [
        {"kind": "RETIRE", **retired(group.head, leg)}
        for leg in (used(group.steel, 1), used(group.cement, 1, "2024-002"))
    ]
    payload = await cement.do("postTransfers", {"transfers": rows}, RESULTS)
    assert [r["error"] and r["error"]["code"] for r in payload["results"]] == ["UNKNOWN_ACCOUNT", None]
    issued = await cement.do("issueLots", {"lots": [a_lot(group.steel, "x"), a_lot(group.cement, "x")]}, ISSUED)
    assert [r["error"] and r["error"]["code"] for r in issued["results"]] == ["NOT_FOUND", None]


async def test_reader_is_forbidden(group: Group) -> None:
    await group.stock(group.steel)
    auditor = await manager_of(group, group.head, Role.INTERNAL_AUDITOR)
    refused = await auditor.attempt("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert refused["errors"][0]["code"] == "FORBIDDEN"
    mixed = await group.world.member((Role.INTERNAL_AUDITOR, None), (Role.ASSET_MANAGER, key(group.cement)))
    inside = await mixed.attempt("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert inside["errors"][0]["code"] == "FORBIDDEN"
    assert inside["errors"][0]["path"] == ["legs", "0"]


async def test_who_sends_does_not_see_what_the_other_holds(group: Group) -> None:
    """Any organisation may be sent to, in a rehearsal too: it must not be a way to read its balances."""
    await group.stock(group.steel, 100)
    await group.stock(group.cement, 70, "M")
    steel = await manager_of(group, group.steel)
    told = "balances { quantity reserved version account { organisationId } }"
    leg = moved(group.steel, group.cement, 1)
    single, rows = {"legs": [leg]}, {"transfers": [{"kind": "TRANSFER", "legs": [leg]}]}
    held = {"aim": "PENDING", "kind": "TRANSFER", "legs": [leg]}
    kept = (await steel.do("reserveAssets", held, "reservation { id }"))["reservation"]["id"]
    for operation, given in (
        ("transferAssets", single | {"dryRun": True}),
        ("transferAssets", single | {"idempotencyKey": "k"}),
        ("transferAssets", single | {"idempotencyKey": "k"}),
        ("transferAssets", single | {"effectiveOn": "2024-07-02"}),
        ("postTransfers", rows | {"idempotencyKey": "r"}),
        ("postTransfers", rows | {"idempotencyKey": "r"}),
        ("postReservation", {"reservationId": kept}),
    ):
        balances = (await steel.do(operation, given, told))["balances"]
        assert [b["account"]["organisationId"] for b in balances] == [group.steel], operation
    seen = (await group.manager.do("transferAssets", single, told))["balances"]
    assert {b["account"]["organisationId"] for b in seen} == {group.steel, group.cement}


@pytest.mark.parametrize("role", list(Role))
async def test_roles(group: Group, role: Role) -> None:
    await group.stock(group.steel)
    node = key(group.head)
    caller = await group.world.member((role, node))
    moves = await caller.attempt("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    opens = await caller.attempt("createAssetAccount", {"organisationId": group.steel, "code": "R"}, "account { id }")
    reads = await caller.run("{ assetLots { nodes { id } } obligations { nodes { id } } }")
    assert (not moves["errors"]) == (role in MANAGERS)
    assert (not opens["errors"]) == (role in MANAGERS - {Role.PARTNER_CLIENT})
    assert (not reads.errors) == (Permission.ASSET_READ in ROLES[role])


async def test_nothing_crosses_tenants(group: Group, world: World) -> None:
    await group.stock(group.steel)
    other = await World.create(world.owner, world.services)
    stranger = await other.caller(Role.ASSET_MANAGER)
    refused = await stranger.attempt("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    assert refused["errors"][0]["code"] == "UNKNOWN_LOT"
    listed = await stranger.ask("{ assetAccounts { nodes { id } } assetLots { nodes { id } } }")
    assert listed == {"assetAccounts": {"nodes": []}, "assetLots": {"nodes": []}}
