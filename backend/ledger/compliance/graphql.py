"""GraphQL of compliance: obligations from inventories, allocation, carry-over, position, what is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from backend.ledger.compliance import domain
from backend.ledger.compliance.domain import Stage
from backend.ledger.compliance.graphql_inputs import (
    AllocateAllowancesInput,
    CarryOverAllowancesInput,
    SetObligationFromInventoryInput,
)
from backend.ledger.compliance.service import CompliancePosition as Position
from backend.ledger.compliance.service import ComplianceService
from backend.ledger.domain.balances import UsedAsset
from backend.ledger.domain.refusals import Refusal
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_enums import AssetClass
from backend.ledger.graphql_legs import organisation
from backend.ledger.graphql_types import Obligation
from backend.ledger.rulebook.domain import DueEvent
from backend.ledger.rulebook.graphql import MarketRule, OffsetLimit, TransferRemark
from backend.ledger.rulebook.service import RuleService
from tenants.access import Permission
from tenants.context import Info, requires

_READ = requires(Permission.ASSET_READ)
_MANAGE = requires(Permission.ASSET_MANAGE)


def _known(kind: str, key: UUID | None, *, rehearsed: bool) -> strawberry.ID | None:
    """The id of something that there is: what a rehearsal made is gone."""
    return None if key is None or rehearsed else to_id(kind, key)


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
    effective_on: date
    """Day it takes effect in the books."""
    lot_id: strawberry.ID | None
    """The lot that came; null in a rehearsal."""
    transfer_id: strawberry.ID | None
    """The transfer that took units back; null in a rehearsal."""
    recorded_at: datetime | None
    """When it was recorded; null in a rehearsal."""
    moved_by: strawberry.Private[UUID]
    told: strawberry.Private[tuple[Refusal, ...]]

    @batched
    async def remarks(parents: list[Any], info: Info) -> list[list[TransferRemark]]:
        """What is to be said of the year it is for; recorded with the transfer that moved the units."""
        service, principal = info.context.use(RuleService), info.context.principal
        kept = await service.remarks(principal, [p.moved_by for p in parents])
        return [
            [TransferRemark.of(r, info.context.locale) for r in p.told or kept.get(p.moved_by, ())] for p in parents
        ]

    @classmethod
    def of(cls, record: domain.Allocation, *, rehearsed: bool = False) -> AllowanceAllocation:
        return build(
            cls,
            record,
            organisation_id=to_id("Organisation", record.organisation_id),
            quantity=Tonnes(record.quantity_t),
            lot_id=_known("AssetLot", record.lot_id, rehearsed=rehearsed),
            transfer_id=_known("AssetTransfer", record.transfer_id, rehearsed=rehearsed),
            recorded_at=None if rehearsed else record.recorded_at,
            told=record.remarks,
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
    evidence: str
    """Reference of the application."""
    effective_on: date
    """Day it takes effect, whose rule held."""
    transfer_id: strawberry.ID | None
    """The transfer that gave the old units up; null in a rehearsal."""
    lot_id: strawberry.ID | None
    """The lot of new units; null in a rehearsal."""
    recorded_at: datetime | None
    """When it was recorded; null in a rehearsal."""

    @classmethod
    def of(cls, record: domain.CarryOver, *, rehearsed: bool = False) -> CarryOver:
        counted = {n: Tonnes(getattr(record, f"{n}_t")) for n in ("sold", "bought", "held", "most", "earlier")}
        return build(
            cls,
            record,
            organisation_id=to_id("Organisation", record.organisation_id),
            transfer_id=_known("AssetTransfer", record.transfer_id, rehearsed=rehearsed),
            lot_id=_known("AssetLot", record.lot_id, rehearsed=rehearsed),
            recorded_at=None if rehearsed else record.recorded_at,
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
            offset_limits=[OffsetLimit.of(room, position.on) for room in position.offsets],
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
        asked_on = due.day - timedelta(days=due.days_left)
        return build(cls, due, organisation_id=owner, open=due.open_t, rule=MarketRule.of(due.rule, asked_on))


@object_type
class SetObligationFromInventoryPayload(Payload):
    """The obligation in force."""

    obligation: Obligation | None = None
    """The obligation."""


@object_type
class AllocateAllowancesPayload(Payload):
    """The stage as it was recorded."""

    allocation: AllowanceAllocation | None = None
    """The stage."""


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
        allocation = AllowanceAllocation.of(done.value, rehearsed=input.dry_run)
        return AllocateAllowancesPayload(errors=[], allocation=allocation, replayed=done.replayed)

    @mutation(_MANAGE)
    async def carry_over_allowances(self, info: Info, input: CarryOverAllowancesInput) -> CarryOverAllowancesPayload:
        """Carry allowances of old vintages over into a year, within what the rule in force allows (结转)."""
        done = await info.context.use(ComplianceService).carry_over(info.context.actor(input), input.command())
        carry_over = CarryOver.of(done.value, rehearsed=input.dry_run)
        return CarryOverAllowancesPayload(errors=[], carry_over=carry_over, replayed=done.replayed)
