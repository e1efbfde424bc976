"""The audit trail: what transfers tell by themselves stands in it beside the events of everything else."""

from __future__ import annotations

from typing import Any

from tenants.access import Role
from tests.fixtures.ledger import POSTED, Group, a_lot, key, moved
from tests.fixtures.world import Caller

EVENTS = """query E($s: ID, $n: Int, $after: String) { auditEvents(subjectId: $s, first: $n, after: $after) {
  nodes { id operation subjectType subjectId correlationId recordedAt member { displayName } organisation { code }
          changes { field before after } }
  pageInfo { endCursor } } }"""


async def events(caller: Caller, **asked: Any) -> list[dict[str, Any]]:
    return list((await caller.ask(EVENTS, **asked))["auditEvents"]["nodes"])


async def test_a_transfer_is_its_own_event(group: Group) -> None:
    await group.stock(group.steel)
    sent = {"legs": [moved(group.steel, group.cement, 300)]}
    moved_by = (await group.manager.do("transferAssets", sent, POSTED))["transfer"]["id"]
    auditor = await group.world.caller(Role.INTERNAL_AUDITOR)
    (event,) = await events(auditor, s=moved_by)
    shown = (event["operation"], event["subjectType"], event["subjectId"], event["organisation"]["code"])
    assert shown == ("transferAssets", "AssetTransfer", moved_by, "STEEL")
    assert event["member"] is not None
    assert {"field": "kind", "before": None, "after": "TRANSFER"} in event["changes"]
    node = await auditor.ask("query N($i: ID!) { node(id: $i) { ... on AuditEvent { operation } } }", i=event["id"])
    assert node == {"node": {"operation": "transferAssets"}}


async def test_pages_go_through_both_in_one_order(group: Group) -> None:
    """Issues have events of their own, transfers none: whoever turns the pages does not notice."""
    for name in ("A", "B"):
        await group.issue(a_lot(group.steel, name, 10))
        await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1, name)]}, POSTED)
    auditor = await group.world.caller(Role.INTERNAL_AUDITOR)
    all_at_once, turned, after = await events(auditor, n=100), [], None
    while page := (await auditor.ask(EVENTS, n=1, after=after))["auditEvents"]:
        if not page["nodes"]:
            break
        turned += page["nodes"]
        after = page["pageInfo"]["endCursor"]
    assert turned == all_at_once
    told = [e["operation"] for e in all_at_once][:4]
    assert told == ["transferAssets", "issueLots", "transferAssets", "issueLots"]
    assert [e["recordedAt"] for e in turned] == sorted((e["recordedAt"] for e in turned), reverse=True)


async def test_who_audits_a_part_sees_its_part(group: Group) -> None:
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 300)]}, POSTED)
    of_steel = await group.world.member((Role.INTERNAL_AUDITOR, key(group.steel)))
    of_cement = await group.world.member((Role.INTERNAL_AUDITOR, key(group.cement)))
    assert "transferAssets" in [e["operation"] for e in await events(of_steel)]
    assert "transferAssets" not in [e["operation"] for e in await events(of_cement)]


async def test_pages_are_read_in_order_and_not_sorted_whole(group: Group) -> None:
    """Both halves by their keys, the latest first: a page costs the same however long the trail is."""
    latest = await plan(group, "SELECT * FROM audit_trail ORDER BY id DESC LIMIT 51")
    assert "Merge Append" in latest
    assert "->  Sort" not in latest


async def plan(group: Group, statement: str) -> str:
    """How the API's role would have it read, were there much of it."""
    async with group.world.services.toolbox.database.read(group.world.tenant_id) as session:
        await session.scalar("SELECT set_config('enable_seqscan', 'off', true)")
        return "\n".join(row[0] for row in await session.rows(f"EXPLAIN {statement}"))
