"""GraphQL of the adoption of factor sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import adoption as domain
from backend.accounting.domain.adoption import NewAdoption, checked_months
from backend.accounting.domain.results import MonthChange
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.graphql.choosing import EmissionChange
from backend.accounting.graphql.inventories import Inventory
from backend.accounting.graphql.sources import EmissionStream, fetch_streams
from backend.accounting.service.adoption import AdoptionService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission
from tenants.commands import Actor
from tenants.context import Info, requires
from tenants.graphql import Organisation, fetch_organisations
from tenants.graphql.members import Member, fetch_members
from tenants.graphql.types import After, First
from tenants.work.graphql import Job, job_shown

AnAdoption = Annotated["FactorAdoption", strawberry.lazy("backend.accounting.graphql.adoption")]
ALack = Annotated["LackingFactor", strawberry.lazy("backend.accounting.graphql.adoption")]


@object_type
class CategoryChange:
    """What a category adds up to, before and after."""

    category: Category
    """The category."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    before_t: Decimal
    """tCO2e before."""
    after_t: Decimal
    """tCO2e after."""


@object_type
class LackingFactor:
    """A stream that has no factor in a year; it keeps the coefficient it has, if any."""

    key: strawberry.Private[UUID]
    year: int
    """The year."""
    code: str
    """Code of the error that recording would meet."""
    message: str
    """What is missing, in the language of the request."""

    @batched
    async def stream(parents: list[ALack], info: Info) -> list[EmissionStream | None]:
        """The stream; null when the caller may not see it."""
        found = await fetch_streams(list({p.key for p in parents}), info)
        return [found.get(p.key) for p in parents]


@object_type
class FactorAdoptionReport:
    """What adopting a factor set changes."""

    record: strawberry.Private[domain.AdoptionReport]
    factor_set: str | None
    """The set, of the tenant's own as CODE@VERSION; null: what is adopted here is given up."""
    superseded_coefficients: int
    """Coefficients that are superseded."""
    new_coefficients: int
    """Coefficients that take their place."""
    changed_months: int
    """Months of streams whose emission changes."""
    before_t: Decimal
    """tCO2e of those before."""
    after_t: Decimal
    """tCO2e of those after."""
    categories: list[CategoryChange]
    """Totals of all streams of the organisation and below in the months, by category."""
    lacking: list[LackingFactor]
    """Streams that have no factor then."""
    frozen: list[Inventory]
    """Submitted inventories in the time: their months are not touched."""

    @strawberry.field
    def changes(self, first: First = None, after: After = None) -> Connection[EmissionChange]:
        """Month by month of each stream what changes, by source, stream and month; of an adoption the first 1000."""
        request = PageRequest.read(first, after)
        behind = tuple(request.key(UUID, UUID, date.fromisoformat)) if request.after else None
        rows = [c for c in self.record.changes if behind is None or _key(c) > behind]
        page = Page.cut(rows[: request.first + 1], request, _key)
        return Connection.of(page.map(lambda c: build(EmissionChange, c)))

    @classmethod
    def of(cls, report: domain.AdoptionReport, info: Info) -> FactorAdoptionReport:
        chinese = info.context.locale == "zh-CN"
        return cls(
            record=report,
            factor_set=report.factor_set,
            superseded_coefficients=report.superseded,
            new_coefficients=report.made,
            changed_months=report.changed_months,
            before_t=report.before_t,
            after_t=report.after_t,
            categories=[build(CategoryChange, c) for c in report.categories],
            lacking=[
                LackingFactor(
                    key=x.stream_id, year=x.year, code=x.code, message=x.message_zh if chinese else x.message_en
                )
                for x in report.lacking
            ],
            frozen=[Inventory.of(i) for i in report.frozen],
        )


def _key(change: MonthChange) -> tuple[UUID, UUID, date]:
    return change.source_id, change.stream_id, change.month


@object_type
class FactorAdoption(Node):
    """A factor set as an organisation adopted it for itself and all below it (因子集采用)."""

    record: strawberry.Private[domain.Adoption]
    factor_set: str | None
    """The set, of the tenant's own as CODE@VERSION; null: what was adopted here was given up."""
    from_month: Month
    """First month it holds for."""
    to_month: Month | None
    """Last month; null: for good."""
    reason: str
    """Why; also the reason of every coefficient it superseded."""
    changed_months: int
    """Months of streams whose emission changed."""
    before_t: Decimal
    """tCO2e of those before."""
    after_t: Decimal
    """tCO2e of those after."""
    adopted_at: datetime
    """When."""

    @batched
    async def organisation(parents: list[AnAdoption], info: Info) -> list[Organisation | None]:
        """The organisation; null when the caller may not see it."""
        found = await fetch_organisations(list({p.record.organisation_id for p in parents}), info)
        return [found.get(p.record.organisation_id) for p in parents]

    @batched
    async def member(parents: list[AnAdoption], info: Info) -> list[Member | None]:
        """Who adopted it; null when the caller may not see members."""
        found = await fetch_members(list({p.record.adopted_by for p in parents}), info)
        return [found.get(p.record.adopted_by) for p in parents]

    @classmethod
    def of(cls, record: domain.Adoption) -> FactorAdoption:
        return build(cls, record, id=to_id("FactorAdoption", record.id), record=record)


@input_type
class FactorAdoptionInput:
    """A factor set to adopt."""

    organisation_id: strawberry.ID
    """The organisation; it holds for all below it that adopt none themselves."""
    factor_set: str | None = None
    """Code of a set for inventories, of the library or of an organisation at or above; null: give up what is adopted
    here, back to what holds above.
    """
    from_month: Month
    """First month it holds for."""
    to_month: Month | None = None
    """Last month; null: for good."""

    def asked(self, reason: str = "", *, keep_lacking: bool = False) -> NewAdoption:
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        span = checked_months(self.from_month, self.to_month)
        return NewAdoption(owner, self.factor_set, span, reason, keep_lacking)


@input_type
class AdoptFactorSetInput(MutationInput, FactorAdoptionInput):
    """A factor set to adopt, and why."""

    reason: str
    """Why; the reason of every coefficient that is superseded."""
    keep_lacking: bool = False
    """Adopt although streams lack a factor then: they keep the coefficients they have."""


@object_type
class AdoptFactorSetPayload(Payload):
    """The adoption, and what it changed (a dry run: would change); or the job that adopts, where much changes."""

    adoption: FactorAdoption | None = None
    """The adoption; null while a job does it, and in `factorAdoptions` when it has."""
    report: FactorAdoptionReport | None = None
    """What changed."""
    job: Job | None = None
    """The job that adopts the set, all of it or nothing; null when it was done at once."""


@object_type
class AdoptionQueries:
    """Adoptions."""

    @query(requires(Permission.EMISSION_READ))
    async def factor_adoption_report(
        self,
        info: Info,
        input: Annotated[FactorAdoptionInput, strawberry.argument(description="The set, and from when.")],
    ) -> FactorAdoptionReport:
        """What adopting a factor set would change: stream by stream and month by month; nothing is written."""
        actor = Actor(info.context.principal, correlation_id=info.context.correlation_id)
        return FactorAdoptionReport.of(await info.context.use(AdoptionService).report(actor, input.asked()), info)

    @query(requires(Permission.EMISSION_READ))
    async def factor_adoptions(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only at this organisation and below it.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[FactorAdoption]:
        """Adoptions of factor sets the caller may read, oldest first."""
        at = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        page = await info.context.use(AdoptionService).page(info.context.principal, at, PageRequest.read(first, after))
        return Connection.of(page.map(FactorAdoption.of))


@object_type
class AdoptionMutations:
    """Adopting factor sets."""

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def adopt_factor_set(self, info: Info, input: AdoptFactorSetInput) -> AdoptFactorSetPayload:
        """Adopt a factor set for an organisation and all below it, and restate the months that are not frozen."""
        asked = input.asked(input.reason, keep_lacking=input.keep_lacking)
        done = await info.context.use(AdoptionService).adopt(info.context.actor(input), asked)
        made = done.value
        return AdoptFactorSetPayload(
            errors=[],
            adoption=FactorAdoption.of(made.adoption) if made.adoption else None,
            report=FactorAdoptionReport.of(made.report, info) if made.report else None,
            job=await job_shown(made.job_id, info),
            replayed=done.replayed,
        )


async def fetch_adoptions(keys: Sequence[UUID], info: Info) -> dict[UUID, FactorAdoption]:
    found = await info.context.use(AdoptionService).by_ids(info.context.principal, keys)
    return {key: FactorAdoption.of(record) for key, record in found.items()}


NODES = {"FactorAdoption": (FactorAdoption, fetch_adoptions)}
