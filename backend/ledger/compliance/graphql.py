"""GraphQL of compliance: obligations from inventories, allocation, carry-over, position, what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain.sources import Category
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.compliance import domain
from backend.ledger.compliance.domain import NewAllocation, Stage
from backend.ledger.compliance.service import CompliancePosition as Position
from backend.ledger.compliance.service import ComplianceService
from backend.ledger.domain import LegOrder, UsedAsset
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_enums import AssetClass
from backend.ledger.graphql_inputs import SerialBlockInput
from backend.ledger.graphql_legs import UsedLegInput, organisation
from backend.ledger.graphql_types import Obligation
from backend.ledger.rulebook.domain import DueEvent
from backend.ledger.rulebook.graphql import MarketRule, OffsetLimit
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(Stage, name="AllocationStage")

_READ = requires(Permission.ASSET_READ)
_MANAGE = requires(Permission.ASSET_MANAGE)


@object_type
class AllowanceAllocation:
    """Units that an authority allocated, or took back, in one stage of a year."""

    organisation_id: strawberry.ID
    """Organisation."""
    market: str
    """Market."""
    year: int
    """Compliance year."""
    stage: Stage
    """Stage."""
    quantity: Tonnes
    """Units that came, or with CLAW_BACK went back."""
    evidence: str
    """Reference of the notice."""
    lot_id: strawberry.ID | None
    """The lot that came."""
    transfer_id: strawberry.ID | None
    """The transfer that took units back."""
    recorded_at: datetime | None
    """When it was recorded."""

    @classmethod
    def of(cls, record: domain.Allocation) -> AllowanceAllocation:
        return build(
            cls,
            record,
            organisation_id=to_id("Organisation", record.organisation_id),
            quantity=Tonnes(record.quantity_t),
            lot_id=record.lot_id and to_id("AssetLot", record.lot_id),
            transfer_id=record.transfer_id and to_id("AssetTransfer", record.transfer_id),
        )


@object_type
class CarryOver:
    """Allowances of old vintages carried over into a year, and how the most was found (结转)."""

    organisation_id: strawberry.ID
    """Organisation."""
    market: str
    """Market."""
    year: int
    """Vintage of the new units."""
    sold: Tonnes
    """Units sold in the window of the rule."""
    bought: Tonnes
    """Units bought in it."""
    held: Tonnes
    """Units held at its end."""
    most: Tonnes
    """The most that may be carried over in all."""
    earlier: Tonnes
    """What had been carried over before."""
    quantity: Tonnes
    """What was carried over this time."""
    rule: str
    """Code of the rule."""
    transfer_id: strawberry.ID
    """The transfer that gave the old units up."""
    lot_id: strawberry.ID
    """The lot of new units."""

    @classmethod
    def of(cls, record: domain.CarryOver) -> CarryOver:
        counted = {n: Tonnes(getattr(record, f"{n}_t")) for n in ("sold", "bought", "held", "most", "earlier")}
        return build(
            cls,
            record,
            organisation_id=to_id("Organisation", record.organisation_id),
            transfer_id=to_id("AssetTransfer", record.transfer_id),
            lot_id=to_id("AssetLot", record.lot_id),
            quantity=Tonnes(record.quantity_t),
            **counted,
        )


@object_type
class SurrenderedUnits:
    """Units of one class that were surrendered, net of reversals."""

    asset_class: AssetClass
    """Class."""
    quantity: Tonnes
    """Units."""


@object_type
class CompliancePosition:
    """Where an entity stands for a year (履约状况)."""

    organisation_id: strawberry.ID
    """The entity."""
    year: int
    """Compliance year; a period of several years is named by its last."""
    market: str
    """Market whose rules hold."""
    obligation: Obligation | None
    """What is due; null while nothing is recorded."""
    surrendered: list[SurrenderedUnits]
    """What was surrendered, by class."""
    shortfall: Tonnes | None
    """Units still to surrender, a fraction of a tonne taking one more; null without an obligation. Offsets beyond their
    limit do not count.
    """
    offsets_beyond_limit: Tonnes
    """Offsets that were surrendered beyond a limit that binds (超出抵销比例)."""
    offset_limits: list[OffsetLimit]
    """Limits on offsets and what is left of them."""
    deadline: date | None
    """Last day of the surrender, where the rulebook has one."""

    @classmethod
    def of(cls, position: Position) -> CompliancePosition:
        return cls(
            organisation_id=to_id("Organisation", position.organisation_id),
            year=position.year,
            market=position.market,
            obligation=None if position.obligation is None else Obligation.of(position.obligation),
            surrendered=_by_class(position.surrendered),
            shortfall=None if position.shortfall_t is None else Tonnes(position.shortfall_t),
            offsets_beyond_limit=Tonnes(position.beyond_limit_t),
            offset_limits=[OffsetLimit.of(room) for room in position.offsets],
            deadline=position.deadline,
        )


def _by_class(used: Sequence[UsedAsset]) -> list[SurrenderedUnits]:
    found: dict[AssetClass, int] = {}
    for u in used:
        found[u.asset_class] = found.get(u.asset_class, 0) + u.quantity_t
    return [SurrenderedUnits(asset_class=c, quantity=Tonnes(q)) for c, q in sorted(found.items())]


@object_type
class ComplianceDeadline:
    """Something that falls due."""

    organisation_id: strawberry.ID | None
    """The entity that owes; null when it concerns every entity of the market."""
    market: str
    """Market."""
    year: int
    """Compliance year."""
    event: DueEvent
    """What falls due."""
    day: date
    """Last day."""
    days_left: int
    """Days left; negative when it is late."""
    open: Decimal | None
    """Tonnes still to surrender."""
    rule: MarketRule
    """The rule that sets the day."""

    @classmethod
    def of(cls, due: domain.Due) -> ComplianceDeadline:
        owner = due.organisation_id and to_id("Organisation", due.organisation_id)
        return build(cls, due, organisation_id=owner, open=due.open_t, rule=MarketRule.of(due.rule))


@input_type
class SetObligationFromInventoryInput(MutationInput):
    """An obligation to take from approved inventories."""

    organisation_id: strawberry.ID
    """The entity; the inventories of all below it count too."""
    year: int
    """Compliance year."""
    market: str = ""
    """Market whose rules hold; empty: that of the units surrendered."""
    categories: list[Category] = strawberry.field(default_factory=lambda: [Category.DIRECT])
    """Categories that count: the national market counts direct emissions only."""


@object_type
class SetObligationFromInventoryPayload(Payload):
    """The obligation in force."""

    obligation: Obligation | None = None
    """The obligation."""


@input_type
class AllocateAllowancesInput(MutationInput):
    """A stage of an allocation."""

    organisation_id: strawberry.ID
    """Organisation that is allocated to."""
    market: str
    """Market."""
    year: int
    """Compliance year; the vintage of the units."""
    stage: Stage
    """PRE and FINAL bring a lot into its holding account; CLAW_BACK takes units back."""
    quantity: Tonnes
    """Units that come, or go back."""
    evidence: str
    """Reference of the notice."""
    issue_reference: str = ""
    """The registry's reference of the issue; made up when not given."""
    serial: SerialBlockInput | None = None
    """Serial numbers of the lot that comes, as many as units, where the registry gives them."""
    legs: list[UsedLegInput] = strawberry.field(default_factory=list)
    """For CLAW_BACK: the units that are taken, summing to the quantity."""

    def command(self) -> tuple[NewAllocation, list[LegOrder]]:
        owner = organisation(self.organisation_id, "organisationId")
        legs = [leg.order("legs", str(i)) for i, leg in enumerate(self.legs)]
        serial = self.serial and self.serial.block()
        return build(NewAllocation, self, organisation_id=owner, quantity_t=self.quantity, serial=serial), legs


@object_type
class AllocateAllowancesPayload(Payload):
    """The stage as it was recorded."""

    allocation: AllowanceAllocation | None = None
    """The stage."""


@input_type
class CarryOverAllowancesInput(MutationInput):
    """Allowances to carry over."""

    organisation_id: strawberry.ID
    """Organisation that holds them."""
    market: str
    """Market."""
    year: int
    """Vintage of the new units."""
    legs: list[UsedLegInput]
    """The old units, of one origin."""
    evidence: str
    """Reference of the application."""


@object_type
class CarryOverAllowancesPayload(Payload):
    """What was carried over."""

    carry_over: CarryOver | None = None
    """The units, and how the most was found."""


@object_type
class Queries:
    """Root queries of compliance."""

    @query(_READ)
    async def compliance_position(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        year: Annotated[int, strawberry.argument(description="Compliance year.")],
    ) -> CompliancePosition:
        """What an entity owes for a year, what it surrendered, what is lacking and by when (履约)."""
        key = organisation(organisation_id, "organisationId")
        position = await info.context.use(ComplianceService).position(info.context.principal, key, year)
        return CompliancePosition.of(position)

    @query(_READ)
    async def compliance_deadlines(
        self,
        info: Info,
        within_days: Annotated[int, strawberry.argument(description="Days ahead, 0 to 3660.")] = 60,
        organisation_id: OfOrganisation = None,
        on: Annotated[date | None, strawberry.argument(description="Counted from this day; today if none.")] = None,
    ) -> list[ComplianceDeadline]:
        """What falls due soon, and surrenders that are late and still open; the soonest first."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        found = await info.context.use(ComplianceService).due(info.context.principal, within_days, owner, on)
        return [ComplianceDeadline.of(d) for d in found]

    @query(_READ)
    async def allowance_allocations(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[AllowanceAllocation]:
        """Stages of allocation, by year."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(ComplianceService).allocations(info.context.principal, request, owner)
        return Connection.of(page.map(AllowanceAllocation.of))

    @query(_READ)
    async def carry_overs(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[CarryOver]:
        """What was carried over, by year."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(ComplianceService).carry_overs(info.context.principal, request, owner)
        return Connection.of(page.map(CarryOver.of))


@object_type
class Mutations:
    """Root mutations of compliance."""

    @mutation(_MANAGE)
    async def set_obligation_from_inventory(
        self, info: Info, input: SetObligationFromInventoryInput
    ) -> SetObligationFromInventoryPayload:
        """Take what an entity owes for a year from its approved inventories."""
        key = key_of(input.organisation_id, "Organisation", "organisationId")
        service, actor = info.context.use(ComplianceService), info.context.actor(input)
        done = await service.from_inventory(actor, key, input.year, input.market, input.categories)
        return SetObligationFromInventoryPayload(
            errors=[], obligation=Obligation.of(done.value), replayed=done.replayed
        )

    @mutation(_MANAGE)
    async def allocate_allowances(self, info: Info, input: AllocateAllowancesInput) -> AllocateAllowancesPayload:
        """Record a stage of an allocation: in advance, final, or taken back (配额分配)."""
        new, legs = input.command()
        done = await info.context.use(ComplianceService).allocate(info.context.actor(input), new, legs)
        return AllocateAllowancesPayload(
            errors=[], allocation=AllowanceAllocation.of(done.value), replayed=done.replayed
        )

    @mutation(_MANAGE)
    async def carry_over_allowances(self, info: Info, input: CarryOverAllowancesInput) -> CarryOverAllowancesPayload:
        """Carry allowances of old vintages over into a year, within what the rule in force allows (结转)."""
        key = organisation(input.organisation_id, "organisationId")
        legs = [leg.order("legs", str(i)) for i, leg in enumerate(input.legs)]
        service, actor = info.context.use(ComplianceService), info.context.actor(input)
        done = await service.carry_over(actor, key, input.market, input.year, legs, input.evidence)
        return CarryOverAllowancesPayload(errors=[], carry_over=CarryOver.of(done.value), replayed=done.replayed)
