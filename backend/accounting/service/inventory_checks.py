"""What stops an inventory from being submitted, and what ought to be looked at before."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.domain.inventories import RESULT_CUT, Inventory
from backend.accounting.domain.inventory_checks import (
    EVIDENCE_MISSING,
    EVIDENCE_NOT_STORED,
    MOST_NAMED,
    NOTHING_COUNTS,
    Finding,
    Unproven,
    nothing_counts,
    passed_over,
    sorted_findings,
)
from backend.accounting.repository import inventory_checks as rows
from backend.accounting.repository import methods as method_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository.results import months_without_result
from backend.accounting.service.bases import precedence_of
from backend.kit.database import ReadSession
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Principal


class InventoryChecks:
    """What the makers of an inventory can ask before they submit it; for inventories the caller was given already."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def without_evidence(self, principal: Principal, of: Inventory, request: PageRequest) -> Page[Unproven]:
        """Records that it cannot be submitted with, as things stand today. Errors: BAD_CURSOR."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.lacking(session, of, request)

    async def findings(self, principal: Principal, of: Sequence[Inventory]) -> dict[UUID, list[Finding]]:
        """What ought to be looked at, as things stand today."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return {i.id: await findings(session, i) for i in of}


async def findings(session: ReadSession, of: Inventory) -> list[Finding]:
    """Sources of which nothing counts in some month, and classes of method that are passed over."""
    codes = await rows.sources(session, of)
    empty = await months_without_result(session, list(codes), of.first_month, of.each_month[-1])
    found = [nothing_counts(key, months) for key, months in empty.items()]
    available = await rows.available(session, of)
    several = [key for key, classes in available.items() if len({method for method, _ in classes}) > 1]
    choices = await method_rows.choices_of(session, several)
    streams = await source_rows.streams_of(session, several)
    for key in several:
        order = precedence_of({s.programme for s in streams.get(key, [])})
        found += passed_over(key, codes[key], of.each_month, available[key], choices.get(key, []), order)
    return sorted_findings(found, codes)


async def check_cut(session: ReadSession, of: Inventory) -> None:
    """Errors: RESULT_CUT."""
    cut = await rows.cut(session, of)
    if cut:
        raise RESULT_CUT(path=("id",), count=len(cut), first=cut[0])


async def check_evidence(session: ReadSession, of: Inventory) -> None:
    """Errors: EVIDENCE_NOT_STORED, EVIDENCE_MISSING."""
    in_words, documents = await rows.how_many_lack(session, of)
    if in_words or documents:
        code, count = (EVIDENCE_NOT_STORED, documents) if documents else (EVIDENCE_MISSING, in_words)
        page = await rows.lacking(session, of, PageRequest(first=1000))
        first = next((u.named for u in page.rows if u.lacks is code), "…")
        raise code(path=("id",), count=count, first=first, source="8.2.5.6")


async def incomplete(session: ReadSession, of: Inventory, reason: str) -> str:
    """What is said of months in which nothing counts; nothing when there are none. Errors: NOTHING_COUNTS."""
    codes = await rows.sources(session, of)
    empty = await months_without_result(session, list(codes), of.first_month, of.each_month[-1])
    lacking = sorted(f"{codes[key]} {month:%Y-%m}" for key, months in empty.items() for month in months)
    shown = ", ".join(lacking[:MOST_NAMED]) + (" …" if len(lacking) > MOST_NAMED else "")
    if lacking and not reason:
        raise NOTHING_COUNTS(path=("incompleteReason",), count=len(lacking), months=shown, source="8.2.5")
    return f"[{shown}: {reason}]" if lacking else ""
