"""Use cases on inventories: make, submit, check, approve, verify, lock, reopen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.accounting.domain.inventories import (
    INVENTORY_EMPTY,
    INVENTORY_MONTHS,
    INVENTORY_STATE,
    REOPENING_REASON,
    SIGNED_AS,
    Inventory,
    InventoryEvent,
    InventoryKnown,
    InventoryLine,
    InventoryState,
    InventoryTotal,
    NewInventory,
    Restatement,
    RestatementCause,
    Step,
    differences,
)
from backend.accounting.domain.records import checked_month, checked_reason
from backend.accounting.repository import inventories as rows
from backend.accounting.repository import inventory_history as history
from backend.accounting.repository.results import alone
from backend.accounting.service import inventory_checks as checks
from backend.accounting.service.reach import reach
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation
from tenants.commands import Actor, Change, Done, perform

NEEDS: Final = {
    Step.REVIEW: Permission.EMISSION_MANAGE,
    Step.APPROVE: Permission.EMISSION_APPROVE,
    Step.VERIFY: Permission.EMISSION_VERIFY,
    Step.LOCK: Permission.EMISSION_APPROVE,
    Step.REJECT: Permission.EMISSION_READ,
}
OPERATIONS: Final = {
    Step.REVIEW: "confirmInventory",
    Step.APPROVE: "approveInventory",
    Step.VERIFY: "completeInventoryVerification",
    Step.LOCK: "lockInventory",
    Step.REJECT: "rejectInventory",
}


class InventoryService:
    """Inventories of the organisations of a tenant (8.2.5.6, 9.1.1)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewInventory) -> Done[Inventory]:
        """Open an inventory. Errors: NOT_FOUND, FORBIDDEN, INVENTORY_MONTHS, MONTH_OUT_OF_RANGE, INVENTORY_OVERLAPS."""

        async def work(change: Change) -> Inventory:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            await require_organisation(change.unit, new.organisation_id, "organisationId")
            if not 1 <= new.months <= 12:
                raise INVENTORY_MONTHS(path=("months",), months=new.months)
            checked_month(new.first_month, self.toolbox.clock.today(), "firstMonth")
            made = self._blank(new, 1, "")
            await self._begin(change, made)
            return made

        return await perform(self.toolbox, actor, "createInventory", new, Inventory, work)

    async def submit(self, actor: Actor, key: UUID, note: str, incomplete_reason: str = "") -> Done[Inventory]:
        """Freeze what the organisation emitted in the period. Writers wait while it is copied.

        `incomplete_reason`: why months with quantities of which nothing counts are submitted all the same; it stands
        in the step with those months. Errors: NOT_FOUND, FORBIDDEN, INVENTORY_STATE, RESULT_CUT, EVIDENCE_MISSING,
        DOCUMENT_MISSING, NOTHING_COUNTS, INVENTORY_EMPTY.
        """

        async def work(change: Change) -> Inventory:
            found = await self._own(change, key, Permission.EMISSION_MANAGE)
            if found.state is not InventoryState.OPEN:
                raise INVENTORY_STATE(path=("id",), state=found.state, needed=InventoryState.OPEN)
            await alone(change.unit)
            await checks.check_cut(change.unit, found)
            await checks.check_evidence(change.unit, found)
            said = await checks.incomplete(change.unit, found, tidy(incomplete_reason))
            sha256 = await rows.freeze(change.unit, found, found.round + 1)
            if sha256 is None:
                raise INVENTORY_EMPTY(path=("id",), period=found.period)
            member = actor.principal.member_id
            values = {"round": found.round + 1, "sha256": sha256, "submitted_by": member}
            values |= {"reviewed_by": None, "approved_by": None, "verified_by": None}
            return await self._moved(change, found, InventoryState.SUBMITTED, f"{note} {said}", values)

        body = {"id": key, "note": note} | ({"incomplete": incomplete_reason} if incomplete_reason else {})
        return await perform(self.toolbox, actor, "submitInventory", body, Inventory, work)

    async def take(self, actor: Actor, key: UUID, step: Step, note: str) -> Done[Inventory]:
        """Review, approve, verify, lock or reject. Errors: NOT_FOUND, FORBIDDEN, INVENTORY_STATE, CHECKER_TOOK_PART,
        REASON_MISSING (to reject).
        """

        async def work(change: Change) -> Inventory:
            found = await self._own(change, key, NEEDS[step])
            if step is Step.REJECT:
                # Who may check may also refuse.
                right = Permission.EMISSION_MANAGE
                if found.state is InventoryState.REVIEWED:
                    right = Permission.EMISSION_APPROVE
                await change.require(right, found.organisation_id)
                checked_reason(note)
            state = found.moved(step)
            values: dict[str, object] = {}
            if step in SIGNED_AS:
                found.sign(actor.principal.member_id)
                values[SIGNED_AS[step]] = actor.principal.member_id
            return await self._moved(change, found, state, note, values)

        return await perform(self.toolbox, actor, OPERATIONS[step], {"id": key, "note": note}, Inventory, work)

    async def reopen(
        self, actor: Actor, key: UUID, reason: str, cause: RestatementCause = RestatementCause.ERROR
    ) -> Done[Inventory]:
        """Begin a restatement: the next version, open; the frozen one stays readable.

        Errors: NOT_FOUND, FORBIDDEN, INVENTORY_STATE, REOPENING_REASON.
        """

        async def work(change: Change) -> Inventory:
            because = tidy(reason)
            if not because:
                raise REOPENING_REASON(path=("reason",))
            found = await self._own(change, key, Permission.EMISSION_APPROVE)
            if found.state in {InventoryState.OPEN, InventoryState.REOPENED}:
                needed = "SUBMITTED / REVIEWED / APPROVED / VERIFIED / LOCKED"
                raise INVENTORY_STATE(path=("id",), state=found.state, needed=needed)
            await self._moved(change, found, InventoryState.REOPENED, because, {})
            period = NewInventory(found.organisation_id, found.first_month, found.months)
            made = replace(self._blank(period, found.version + 1, because), cause=cause)
            await self._begin(change, made)
            return made

        body = {"id": key, "reason": reason, "cause": cause}
        return await perform(self.toolbox, actor, "reopenInventory", body, Inventory, work)

    def _blank(self, new: NewInventory, version: int, reason: str) -> Inventory:
        return Inventory(
            id=uuid7(),
            organisation_id=new.organisation_id,
            first_month=new.first_month,
            months=new.months,
            version=version,
            state=InventoryState.OPEN,
            round=0,
            sha256=None,
            reason=reason,
            submitted_by=None,
            reviewed_by=None,
            approved_by=None,
            verified_by=None,
            created_at=self.toolbox.clock.now(),
        )

    @staticmethod
    async def _begin(change: Change, made: Inventory) -> None:
        await rows.insert(change.unit, made)
        member = change.actor.principal.member_id
        await rows.note(change.unit, made.id, made.state, made.reason, None, member)
        await change.audit("Inventory", made.id, made.organisation_id, after=made)

    @staticmethod
    async def _moved(
        change: Change, found: Inventory, state: InventoryState, note: str, values: dict[str, object]
    ) -> Inventory:
        await rows.change(change.unit, found.id, state=state.value, **values)
        made = (await rows.inventories(change.unit, [found.id]))[found.id]
        member = change.actor.principal.member_id
        await rows.note(change.unit, found.id, state, tidy(note), made.sha256, member)
        await change.audit("Inventory", found.id, found.organisation_id, before=found, after=made)
        return replace(made)

    @staticmethod
    async def _own(change: Change, key: UUID, permission: Permission) -> Inventory:
        found = (await rows.inventories(change.unit, [key], lock=True)).get(key)
        return await reach(change, permission, "Inventory", key, found)

    async def page(self, principal: Principal, organisation_id: UUID | None, request: PageRequest) -> Page[Inventory]:
        """Errors: NOT_FOUND, FORBIDDEN for an organisation out of reach."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page(session, principal, organisation_id, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Inventory]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.inventories(session, keys, principal)

    async def events(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, list[InventoryEvent]]:
        """The steps taken on inventories the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.events(session, keys)

    async def totals(self, principal: Principal, of: Sequence[Inventory]) -> dict[UUID, list[InventoryTotal]]:
        """What inventories the caller was given already add up to, as submitted last."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.totals(session, [(i.id, i.round) for i in of])

    async def lines(self, principal: Principal, of: Inventory, request: PageRequest) -> Page[InventoryLine]:
        """The frozen lines of an inventory the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_lines(session, of.id, of.round, request)

    async def restatements(
        self, principal: Principal, organisation_id: UUID | None, request: PageRequest
    ) -> Page[Restatement]:
        """What restatements changed, category by category. Errors: NOT_FOUND, FORBIDDEN for an organisation."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            page = await history.restated(session, principal, organisation_id, request)
            asked = {i.id: i for pair in page.rows for i in pair}
            totals = await rows.totals(session, [(i.id, i.round) for i in asked.values()])

        def made(pair: tuple[Inventory, Inventory]) -> Restatement:
            new, old = pair
            told = differences(totals.get(old.id, []), totals.get(new.id, [])) if new.round else []
            return Restatement(new, old, tuple(told))

        return page.map(made)

    async def known_at(
        self, principal: Principal, organisation_id: UUID, moment: datetime
    ) -> list[tuple[InventoryKnown, list[InventoryTotal]]]:
        """The inventories of an organisation as they stood at a moment, with their totals then: of what was
        submitted last, or while open, of the records that were known. Errors: NOT_FOUND, FORBIDDEN.
        """
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            found = await history.known_at(session, organisation_id, moment)
            frozen = await rows.totals(session, [(k.inventory.id, k.round) for k in found])
            answer = []
            for known in found:
                if known.state is InventoryState.OPEN:
                    totals = await history.live_totals_at(session, known.inventory, moment)
                else:
                    totals = frozen.get(known.inventory.id, [])
                answer.append((known, totals))
            return answer
