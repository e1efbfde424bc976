"""GraphQL of inventories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import inventories as domain
from backend.accounting.domain.inventories import InventoryState, NewInventory, RestatementCause, Step
from backend.accounting.graphql.enums import Category, DirectKind
from backend.accounting.graphql.gwp_totals import GwpTotal, Sets
from backend.accounting.graphql.inventory_checks import CheckedInventory, InventoryFinding, findings_of
from backend.accounting.graphql.sources import EmissionSource, EmissionStream, fetch_sources, fetch_streams
from backend.accounting.service.inventories import InventoryService
from backend.accounting.service.totals import TotalService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import GwpSet
from tenants.graphql import Organisation, fetch_organisations
from tenants.graphql.members import Member, fetch_members
from tenants.graphql.types import After, First

enum_type(InventoryState)
enum_type(RestatementCause)
AnInventory = Annotated["Inventory", strawberry.lazy("backend.accounting.graphql.inventories")]
AnEvent = Annotated["InventoryEvent", strawberry.lazy("backend.accounting.graphql.inventories")]
ALine = Annotated["InventoryLine", strawberry.lazy("backend.accounting.graphql.inventories")]


@object_type
class InventoryTotal:
    """What one category of an inventory adds up to."""

    category: Category
    """Which of the six categories of 8.2.2."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    co2e_t: Decimal
    """tCO2e."""
    records: int
    """How many records it is made of."""


@object_type
class InventoryLine:
    """A frozen result: of a stream in a month, or a declared one."""

    record: strawberry.Private[domain.InventoryLine]
    n: int
    """Its place, from 1."""
    first_month: Month
    """First month."""
    months: int
    """Length in months."""
    category: Category
    """Category."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    quantity: Decimal | None
    """Sum of the quantities, in the stream's unit; null for a declared result."""
    co2e_t: Decimal
    """tCO2e."""
    records: int
    """How many records it is made of."""

    @strawberry.field
    def written(self) -> str:
        """The text line that the digest is made of: with those of the other lines, behind the inventory's heading."""
        return domain.written(self.record)

    @batched
    async def source(parents: list[ALine], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.record.source_id for p in parents}), info)
        return [found.get(p.record.source_id) for p in parents]

    @batched
    async def stream(parents: list[ALine], info: Info) -> list[EmissionStream | None]:
        """The stream; null for a declared result."""
        found = await fetch_streams([p.record.stream_id for p in parents if p.record.stream_id], info)
        return [found.get(p.record.stream_id) if p.record.stream_id else None for p in parents]


@object_type
class InventoryEvent:
    """A step that was taken on an inventory."""

    record: strawberry.Private[domain.InventoryEvent]
    state: InventoryState
    """What it led to."""
    note: str
    """What was said with it."""
    sha256: str | None
    """Digest of the frozen content then."""
    at: datetime
    """When."""

    @batched
    async def member(parents: list[AnEvent], info: Info) -> list[Member | None]:
        """Who; null when the caller may not see members."""
        found = await fetch_members(list({p.record.member_id for p in parents}), info)
        return [found.get(p.record.member_id) for p in parents]


@object_type
class Inventory(CheckedInventory):
    """What an organisation emitted in a period, and how final that is (排放清单)."""

    first_month: Month
    """First month of the period."""
    months: int
    """Length of the period in months."""
    version: int
    """1 for the first; each restatement is one more."""
    state: InventoryState
    """How final it is."""
    sha256: str | None
    """Digest of what was submitted last; null before."""
    reason: str
    """Why it restates the version before it; empty for the first."""
    cause: RestatementCause | None
    """What makes it a restatement; null for the first version."""

    @strawberry.field
    def heading(self) -> str | None:
        """The first text line that the digest is made of; null before it is submitted."""
        return domain.heading(self.record, self.record.round) if self.record.sha256 else None

    @batched
    async def documents(parents: list[AnInventory], info: Info) -> list[list[Document]]:
        """The documents attached to it: a verification report, a resolution."""
        return await attached("Inventory", [p.record.id for p in parents], info)

    @batched
    async def organisation(parents: list[AnInventory], info: Info) -> list[Organisation | None]:
        """The organisation; null when the caller may not see it."""
        found = await fetch_organisations(list({p.record.organisation_id for p in parents}), info)
        return [found.get(p.record.organisation_id) for p in parents]

    @batched
    async def totals(parents: list[AnInventory], info: Info) -> list[list[InventoryTotal]]:
        """What it adds up to by category, as submitted last; empty before."""
        of = [p.record for p in parents]
        found = await info.context.use(InventoryService).totals(info.context.principal, of)
        return [[build(InventoryTotal, t) for t in found.get(p.record.id, [])] for p in parents]

    @batched
    async def totals_by_gwp_set(parents: list[AnInventory], info: Info, gwp_sets: Sets = None) -> list[list[GwpTotal]]:
        """What was submitted last under other sets of warming potentials, from the frozen masses by gas."""
        wanted = list(GwpSet) if gwp_sets is None else gwp_sets
        of = [p.record for p in parents]
        found = await info.context.use(TotalService).of_inventories(info.context.principal, of, wanted)
        return [[GwpTotal.of(t) for t in found[i.id]] for i in of]

    @batched
    async def events(parents: list[AnInventory], info: Info) -> list[list[InventoryEvent]]:
        """The steps taken on it, in order."""
        keys = [p.record.id for p in parents]
        found = await info.context.use(InventoryService).events(info.context.principal, keys)
        return [[build(InventoryEvent, e, record=e) for e in found.get(key, [])] for key in keys]

    @batched
    async def lines(
        parents: list[AnInventory], info: Info, first: First = None, after: After = None
    ) -> list[Connection[InventoryLine]]:
        """What was frozen, as submitted last."""
        service, request = info.context.use(InventoryService), PageRequest.read(first, after)
        pages = [await service.lines(info.context.principal, p.record, request) for p in parents]
        return [Connection.of(page.map(lambda x: build(InventoryLine, x, record=x))) for page in pages]

    @classmethod
    def of(cls, record: domain.Inventory) -> Inventory:
        return build(cls, record, id=to_id("Inventory", record.id), record=record)


@input_type
class CreateInventoryInput(MutationInput):
    """The period of an inventory."""

    organisation_id: strawberry.ID
    """The organisation."""
    first_month: Month
    """First month."""
    months: int = 12
    """Length, 1 to 12 months."""

    def command(self) -> NewInventory:
        return build(NewInventory, self, organisation_id=key_of(self.organisation_id, "Organisation", "organisationId"))


@input_type
class InventoryStepInput(MutationInput):
    """An inventory, and what is said with the step."""

    id: strawberry.ID
    """The inventory."""
    note: str = ""
    """What is said with it."""


@input_type
class SubmitInventoryInput(InventoryStepInput):
    """An inventory to submit."""

    incomplete_reason: str = ""
    """Why months are submitted in which sources have quantities and nothing of the class that counts."""


@input_type
class ConfirmInventoryInput(InventoryStepInput):
    """A submitted inventory."""


@input_type
class ApproveInventoryInput(InventoryStepInput):
    """A reviewed inventory."""


@input_type
class CompleteInventoryVerificationInput(InventoryStepInput):
    """An approved inventory that a third party has verified."""


@input_type
class LockInventoryInput(InventoryStepInput):
    """An approved or verified inventory."""


@input_type
class RejectInventoryInput(InventoryStepInput):
    """A submitted or reviewed inventory, and in the note why it goes back."""


@input_type
class ReopenInventoryInput(MutationInput):
    """A frozen inventory to restate."""

    id: strawberry.ID
    """The inventory."""
    reason: str
    """Why."""
    cause: RestatementCause = RestatementCause.ERROR
    """What makes it a restatement."""


@object_type
class InventoryPayload(Payload):
    """The inventory as it is now."""

    inventory: Inventory | None = None
    """The inventory."""


@object_type
class CreateInventoryPayload(InventoryPayload):
    """The new inventory."""


@object_type
class SubmitInventoryPayload(InventoryPayload):
    """The inventory, submitted."""

    findings: list[InventoryFinding]
    """What of it ought to be looked at all the same."""


@object_type
class ConfirmInventoryPayload(InventoryPayload):
    """The inventory, reviewed."""


@object_type
class ApproveInventoryPayload(InventoryPayload):
    """The inventory, approved."""


@object_type
class CompleteInventoryVerificationPayload(InventoryPayload):
    """The inventory, verified."""


@object_type
class LockInventoryPayload(InventoryPayload):
    """The inventory, locked."""


@object_type
class RejectInventoryPayload(InventoryPayload):
    """The inventory, open again."""


@object_type
class ReopenInventoryPayload(InventoryPayload):
    """The new version, open."""


@object_type
class InventoryQueries:
    """Inventories."""

    @query(requires(Permission.EMISSION_READ))
    async def inventories(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Inventory]:
        """Inventories the caller may see, the latest first, restated ones too."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(InventoryService).page(info.context.principal, owner, request)
        return Connection.of(page.map(Inventory.of))


async def _take(info: Info, input: InventoryStepInput, step: Step) -> tuple[Inventory, bool]:
    key = key_of(input.id, "Inventory", "id")
    done = await info.context.use(InventoryService).take(info.context.actor(input), key, step, input.note)
    return Inventory.of(done.value), done.replayed


@object_type
class InventoryMutations:
    """The steps by which an inventory becomes final."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_inventory(self, info: Info, input: CreateInventoryInput) -> CreateInventoryPayload:
        """Open an inventory of an organisation for a period."""
        done = await info.context.use(InventoryService).create(info.context.actor(input), input.command())
        return CreateInventoryPayload(errors=[], inventory=Inventory.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def submit_inventory(self, info: Info, input: SubmitInventoryInput) -> SubmitInventoryPayload:
        """Freeze the results of the period and hand them on to be checked."""
        key = key_of(input.id, "Inventory", "id")
        done = await info.context.use(InventoryService).submit(
            info.context.actor(input), key, input.note, input.incomplete_reason
        )
        (found,) = await findings_of([done.value], info)
        inventory = Inventory.of(done.value)
        return SubmitInventoryPayload(errors=[], inventory=inventory, findings=found, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def confirm_inventory(self, info: Info, input: ConfirmInventoryInput) -> ConfirmInventoryPayload:
        """Review a submitted inventory; not by who submitted it."""
        inventory, replayed = await _take(info, input, Step.REVIEW)
        return ConfirmInventoryPayload(errors=[], inventory=inventory, replayed=replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def approve_inventory(self, info: Info, input: ApproveInventoryInput) -> ApproveInventoryPayload:
        """Approve a reviewed inventory; not by who submitted or reviewed it."""
        inventory, replayed = await _take(info, input, Step.APPROVE)
        return ApproveInventoryPayload(errors=[], inventory=inventory, replayed=replayed)

    @mutation(requires(Permission.EMISSION_VERIFY))
    async def complete_inventory_verification(
        self, info: Info, input: CompleteInventoryVerificationInput
    ) -> CompleteInventoryVerificationPayload:
        """Confirm an approved inventory as the third party."""
        inventory, replayed = await _take(info, input, Step.VERIFY)
        return CompleteInventoryVerificationPayload(errors=[], inventory=inventory, replayed=replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def lock_inventory(self, info: Info, input: LockInventoryInput) -> LockInventoryPayload:
        """Close an approved or verified inventory."""
        inventory, replayed = await _take(info, input, Step.LOCK)
        return LockInventoryPayload(errors=[], inventory=inventory, replayed=replayed)

    @mutation(requires(Permission.EMISSION_READ))
    async def reject_inventory(self, info: Info, input: RejectInventoryInput) -> RejectInventoryPayload:
        """Give a submitted or reviewed inventory back, with the reason in the note."""
        inventory, replayed = await _take(info, input, Step.REJECT)
        return RejectInventoryPayload(errors=[], inventory=inventory, replayed=replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def reopen_inventory(self, info: Info, input: ReopenInventoryInput) -> ReopenInventoryPayload:
        """Restate a frozen inventory: its next version is opened, this one stays readable."""
        key = key_of(input.id, "Inventory", "id")
        done = await info.context.use(InventoryService).reopen(
            info.context.actor(input), key, input.reason, input.cause
        )
        return ReopenInventoryPayload(errors=[], inventory=Inventory.of(done.value), replayed=done.replayed)


async def fetch_inventories(keys: Sequence[UUID], info: Info) -> dict[UUID, Inventory]:
    found = await info.context.use(InventoryService).by_ids(info.context.principal, keys)
    return {key: Inventory.of(record) for key, record in found.items()}


NODES = {"Inventory": (Inventory, fetch_inventories)}
