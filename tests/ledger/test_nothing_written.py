"""Every bad request to the ledger has its code, and leaves every table of the tenant as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from backend.kit.database import Database
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tenants.access import Role
from tenants.lifecycle import suspend
from tests.fixtures.ledger import ISSUED, POSTED, RESULTS, Group, a_lot, key, moved, used
from tests.fixtures.world import Caller, World

_TABLES = """
SELECT c.table_name FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_name = c.table_name AND t.table_schema = c.table_schema
WHERE c.column_name = 'tenant_id' AND c.table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY 1
"""
NUMBERS = {"prefix": "C", "first": "100", "last": "199"}


@dataclass(slots=True)
class Scene:
    """A group with lots and a key that was used, a closed account and period, and things of another tenant."""

    group: Group
    key_of_lot: str
    closed: str
    foreign_lot: str
    foreign_account: str
    cement: Caller

    async def written(self) -> dict[str, str]:
        """All that the tenant has, table by table."""
        world = self.group.world
        async with world.owner.read(world.tenant_id) as session:
            tables = [row.table_name for row in await session.rows(_TABLES)]
            found = {}
            for table in tables:
                content = f"SELECT md5(coalesce(string_agg(x::text, '|' ORDER BY x::text), '')) FROM {table} x"
                found[table] = str(await session.scalar(content + " WHERE tenant_id = :t", {"t": world.tenant_id}))
        return found


async def _account(caller: Caller, organisation_id: str) -> str:
    found = await caller.ask(
        "query Q($o: ID) { assetAccounts(organisationId: $o) { nodes { id } } }", o=organisation_id
    )
    return str(found["assetAccounts"]["nodes"][0]["id"])


@pytest.fixture
async def scene(world: World, group: Group) -> Scene:
    lot = await group.stock(group.steel)
    await group.issue(
        a_lot(group.steel, "L", 100, serial=NUMBERS),
        a_lot(group.steel, "M", 100, serial=NUMBERS | {"first": "300", "last": "399"}),
    )
    done = {"legs": [moved(group.steel, group.cement, 1)], "idempotencyKey": "used"}
    await group.manager.do("transferAssets", done, POSTED)
    given = {"organisationId": group.steel, "code": "OLD"}
    made = await group.manager.do("createAssetAccount", given, "account { id }")
    shut = {"accountId": made["account"]["id"], "state": "CLOSED", "reason": "x"}
    await group.manager.do("setAssetAccountState", shut, "state { state }")
    await group.manager.do("closeAssetPeriod", {"through": "2024-07-31", "reason": "x"}, "through")
    other = await Group.create(await World.create(world.owner, world.services))
    foreign = await other.stock(other.steel)
    cement = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    return Scene(group, lot, made["account"]["id"], foreign, await _account(other.manager, other.steel), cement)


def legs(scene: Scene, **changes: Any) -> dict[str, Any]:
    return {"legs": [moved(scene.group.steel, scene.group.cement, 1) | changes]}


QUANTITIES = {"zero": "0", "negative": "-1"}
NO_NUMBERS = {"fractional": "0.5", "2^63": "9223372036854775808", "a word": "all"}


async def _refused(caller: Caller, mutation: str, given: dict[str, Any], fields: str) -> str:
    """The code of the refusal: of the request, or of its only row."""
    payload = await caller.attempt(mutation, given, fields)
    rows = [row["error"]["code"] for row in payload.get("results") or () if row["error"]]
    return str(payload["errors"][0]["code"] if payload["errors"] else rows[0])


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("verb", ["transferAssets", "postTransfers", "issueLots", "reserveAssets"])
async def test_quantities(scene: Scene, verb: str, quantity: str) -> None:
    given, fields = _of_quantity(scene, verb, QUANTITIES[quantity])
    before = await scene.written()
    assert await _refused(scene.group.manager, verb, given, fields) == "BAD_QUANTITY"
    assert await scene.written() == before


@pytest.mark.parametrize("quantity", NO_NUMBERS)
async def test_no_quantities(scene: Scene, quantity: str) -> None:
    """What is no whole number of tonnes does not get past the scalar."""
    before = await scene.written()
    for verb, kind in (("transferAssets", "TransferAssetsInput"), ("postTransfers", "PostTransfersInput"),
                       ("issueLots", "IssueLotsInput"), ("reserveAssets", "ReserveAssetsInput")):  # fmt: skip
        given, _ = _of_quantity(scene, verb, NO_NUMBERS[quantity])
        document = f"mutation M($input: {kind}!) {{ {verb}(input: $input) {{ errors {{ code }} }} }}"
        response = await scene.group.manager.run(document, input=given)
        assert response.request_error
        assert "Tonnes" in str(response.errors[0]["message"])
    assert await scene.written() == before


def _of_quantity(scene: Scene, verb: str, quantity: str) -> tuple[dict[str, Any], str]:
    moving = legs(scene, quantity=quantity)
    return {
        "transferAssets": (moving, POSTED),
        "postTransfers": ({"transfers": [{"kind": "TRANSFER", **moving}]}, RESULTS),
        "issueLots": ({"lots": [a_lot(scene.group.steel, "new") | {"quantity": quantity}]}, ISSUED),
        "reserveAssets": ({"aim": "FREEZE", "legs": [used(scene.group.steel, 1) | {"quantity": quantity}]},
                          "reservation { id }"),
    }[verb]  # fmt: skip


CASES: dict[str, tuple[str, Any, str]] = {
    "unknown lot": ("transferAssets", lambda s: legs(s, lot={"scheme": "CEA", "issueReference": "?"}), "UNKNOWN_LOT"),
    "foreign lot": ("transferAssets", lambda s: legs(s, lot={"id": s.foreign_lot}), "UNKNOWN_LOT"),
    "unknown account": (
        "transferAssets", lambda s: legs(s, source={"id": to_id("AssetAccount", uuid7())}), "UNKNOWN_ACCOUNT",
    ),
    "foreign account": ("transferAssets", lambda s: legs(s, source={"id": s.foreign_account}), "UNKNOWN_ACCOUNT"),
    "foreign destination": (
        "transferAssets", lambda s: legs(s, destination={"id": s.foreign_account}), "UNKNOWN_ACCOUNT",
    ),
    "closed account": ("transferAssets", lambda s: legs(s, destination={"id": s.closed}), "ACCOUNT_NOT_OPEN"),
    "issue to a closed account": (
        "issueLots", lambda s: {"lots": [a_lot(s.group.steel, "n", issuedOn="2024-08-01", accountCode="OLD")]},
        "ACCOUNT_NOT_OPEN",
    ),
    "a gap in the serials": (
        "issueLots",
        lambda s: {"lots": [a_lot(s.group.steel, "n", 99, serial=NUMBERS | {"first": "1", "last": "100"})]},
        "SERIAL_LENGTH",
    ),
    "merged over a gap": (
        "mergeLots", lambda s: {"lots": [{"scheme": "CEA", "issueReference": x} for x in ("L", "M")]}, "NOT_ADJACENT",
    ),
    "serials that overlap": (
        "issueLots",
        lambda s: {"lots": [a_lot(s.group.cement, "n", issuedOn="2024-08-01", quantity=10,
                                  serial=NUMBERS | {"first": "195", "last": "204"})]},
        "SERIAL_OVERLAP",
    ),
    "serials beyond the lot": (
        "transferAssets",
        lambda s: legs(s, lot={"scheme": "CEA", "issueReference": "L"}, quantity="10",
                       serials={"first": "195", "last": "204"}),
        "BAD_CUT",
    ),
    "serials that overlap in a transfer": (
        "transferAssets",
        lambda s: {"legs": legs(s, lot={"scheme": "CEA", "issueReference": "L"}, quantity="10",
                                serials={"first": "110", "last": "119"})["legs"] * 2},
        "BAD_CUT",
    ),
    "same key, other body": ("transferAssets", lambda s: legs(s, quantity="2") | {"idempotencyKey": "used"},
                             "IDEMPOTENCY_KEY_REUSED"),
    "same key, other mutation": (
        "cancelAssets",
        lambda s: {"legs": [used(s.group.steel, 1)], "idempotencyKey": "used"},
        "IDEMPOTENCY_KEY_REUSED",
    ),
    "stale version": ("transferAssets", lambda s: legs(s, expectedVersion=str(uuid7())), "STALE_VERSION"),
    "stale version there": (
        "transferAssets", lambda s: legs(s, expectedDestinationVersion=str(uuid7())), "STALE_VERSION",
    ),
    "closed period": ("transferAssets", lambda s: legs(s) | {"effectiveOn": "2024-07-31"}, "PERIOD_CLOSED"),
    "issue into a closed period": (
        "issueLots", lambda s: {"lots": [a_lot(s.group.steel, "n", issuedOn="2024-07-31")]}, "PERIOD_CLOSED",
    ),
    "more than there is": ("transferAssets", lambda s: legs(s, quantity="1000"), "INSUFFICIENT_BALANCE"),
}  # fmt: skip
_FIELDS = {"issueLots": ISSUED, "mergeLots": "lots { issueReference }"}


@pytest.mark.parametrize("case", CASES)
async def test_refused_and_nothing_written(scene: Scene, case: str) -> None:
    mutation, make, code = CASES[case]
    given, before = make(scene), await scene.written()
    assert await _refused(scene.group.manager, mutation, given, _FIELDS.get(mutation, POSTED)) == code
    assert await scene.written() == before


@pytest.mark.parametrize("case", [c for c, (mutation, _, code) in CASES.items() if mutation == "transferAssets"])
async def test_in_a_list_too(scene: Scene, case: str) -> None:
    """A row of a list is refused by the same code; a key stands for the whole list, so it is not one of a row."""
    _, make, code = CASES[case]
    given = make(scene)
    key_of_list = {"idempotencyKey": given.pop("idempotencyKey")} if "idempotencyKey" in given else {}
    rows, before = {"transfers": [{"kind": "TRANSFER", **given}], "allOrNothing": True}, await scene.written()
    assert await _refused(scene.group.manager, "postTransfers", rows | key_of_list, RESULTS) == code
    assert await scene.written() == before


async def test_rights_on_one_side_only(scene: Scene) -> None:
    """Whoever may dispose of the receiver alone takes nothing out of the sender, by whatever way."""
    before = await scene.written()
    leg = moved(scene.group.steel, scene.group.cement, 1)
    number = {"serials": {"first": "100", "last": "100"}, "lot": {"scheme": "CEA", "issueReference": "L"}}
    for mutation, given, fields in (
        ("transferAssets", {"legs": [leg]}, POSTED),
        ("transferAssets", {"legs": [leg | number]}, POSTED),
        ("postTransfers", {"transfers": [{"kind": "TRANSFER", "legs": [leg]}]}, RESULTS),
        ("reserveAssets", {"aim": "FREEZE", "legs": [used(scene.group.steel, 1)]}, "reservation { id }"),
        ("splitLot", {"lot": number["lot"], "parts": [{"first": "110", "last": "119"}]}, "lots { quantity }"),
    ):
        code = await _refused(scene.cement, mutation, given, fields)
        assert code in {"UNKNOWN_ACCOUNT", "UNKNOWN_LOT", "FORBIDDEN", "NOT_FOUND"}, mutation
    assert await scene.written() == before


async def test_a_suspended_tenant(scene: Scene, owner_database: Database) -> None:
    await suspend(owner_database, scene.group.world.slug, "欠费")
    before = await scene.written()
    for mutation, given, fields in (
        ("transferAssets", legs(scene), POSTED),
        ("postTransfers", {"transfers": [{"kind": "TRANSFER", **legs(scene)}]}, RESULTS),
        ("issueLots", {"lots": [a_lot(scene.group.steel, "n")]}, ISSUED),
        ("reserveAssets", {"aim": "FREEZE", "legs": [used(scene.group.steel, 1)]}, "reservation { id }"),
        ("transferAssets", legs(scene, expectedVersion=str(uuid7())), POSTED),
    ):
        assert await _refused(scene.group.manager, mutation, given, fields) == "TENANT_SUSPENDED", mutation
    assert await scene.written() == before
