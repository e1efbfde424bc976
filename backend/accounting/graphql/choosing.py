"""GraphQL of setting methods of streams and choosing which class of a source counts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import results as domain
from backend.accounting.domain.choices import Derived
from backend.accounting.graphql.method_inputs import (
    ChooseSourceMethodInput,
    DeriveCoefficientsAnewInput,
    SetDivergenceThresholdInput,
    SetStreamMethodInput,
    WithdrawStreamMethodInput,
)
from backend.accounting.graphql.methods import MethodComparison, MethodQueries, StreamBasis
from backend.accounting.graphql.sources import EmissionSource, EmissionStream, Year, fetch_sources, fetch_streams
from backend.accounting.service.comparison import ComparisonService
from backend.accounting.service.methods import MethodService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.work.graphql import Job, job_shown

AChange = Annotated["EmissionChange", strawberry.lazy("backend.accounting.graphql.choosing")]
AStreamYear = Annotated["StreamYear", strawberry.lazy("backend.accounting.graphql.choosing")]
ADivergence = Annotated["MethodDivergence", strawberry.lazy("backend.accounting.graphql.choosing")]


@object_type
class EmissionChange:
    """What a change of method or coefficient does to a stream in a month."""

    stream_id: strawberry.Private[UUID]
    source_id: strawberry.Private[UUID]
    month: Month
    """The month."""
    quantity: Decimal
    """Its quantity, which stays."""
    old_value: Decimal | None
    """The coefficient before; null when the stream did not count."""
    new_value: Decimal | None
    """The coefficient after; null when the stream does not count."""
    old_t: Decimal
    """tCO2e before."""
    new_t: Decimal
    """tCO2e after."""

    @batched
    async def stream(parents: list[AChange], info: Info) -> list[EmissionStream | None]:
        """The stream."""
        found = await fetch_streams(list({p.stream_id for p in parents}), info)
        return [found.get(p.stream_id) for p in parents]

    @batched
    async def source(parents: list[AChange], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.source_id for p in parents}), info)
        return [found.get(p.source_id) for p in parents]


@object_type
class EmissionChanges:
    """Stream-months whose emission changes, and what they add up to."""

    old_t: Decimal
    """tCO2e of these months before."""
    new_t: Decimal
    """tCO2e of these months after."""
    months: list[EmissionChange]
    """By stream and month."""

    @classmethod
    def of(cls, changes: Sequence[domain.MonthChange]) -> EmissionChanges:
        old, new = (sum((getattr(c, n) for c in changes), Decimal(0)) for n in ("old_t", "new_t"))
        return cls(old_t=old, new_t=new, months=[build(EmissionChange, c) for c in changes])


@object_type
class SetStreamMethodPayload(Payload):
    """The basis as it holds now."""

    basis: StreamBasis | None = None
    """The basis."""
    changes: EmissionChanges | None = None
    """What it does to results."""


@object_type
class WithdrawStreamMethodPayload(Payload):
    """What withdrawing does."""

    changes: EmissionChanges | None = None
    """What it does to results."""


@object_type
class ChooseSourceMethodPayload(Payload):
    """The source, with what counts now, or the job that makes the choice, where much is concerned."""

    source: EmissionSource | None = None
    """The source."""
    changes: EmissionChanges | None = None
    """What the choice does to results, month by month; null while a job makes it."""
    job: Job | None = None
    """The job that makes the choice, all of it or nothing; null when it was made at once."""


@object_type
class StreamYear:
    """A stream in a year."""

    stream_id: strawberry.Private[UUID]
    year: int
    """The year."""

    @batched
    async def stream(parents: list[AStreamYear], info: Info) -> list[EmissionStream | None]:
        """The stream."""
        found = await fetch_streams(list({p.stream_id for p in parents}), info)
        return [found.get(p.stream_id) for p in parents]


@object_type
class DerivedAnew:
    """What deriving coefficients anew did."""

    superseded: int
    """How many coefficients were superseded."""
    made: int
    """How many took their place."""
    changed_months: int
    """How many stream-months have another result."""
    changes: EmissionChanges
    """Totals of all of them, and the first 1000."""
    without_value: list[StreamYear]
    """For what nothing can be derived now, so that it keeps what it had; at most 1000."""
    frozen: list[str]
    """Periods of submitted inventories, which keep what they had."""

    @classmethod
    def of(cls, done: Derived) -> DerivedAnew:
        months = [build(EmissionChange, c) for c in done.changes]
        without = [StreamYear(stream_id=key, year=year) for key, year in done.without_value]
        changes = EmissionChanges(old_t=done.old_t, new_t=done.new_t, months=months)
        return build(cls, done, changes=changes, without_value=without, frozen=list(done.frozen))


@object_type
class DeriveCoefficientsAnewPayload(Payload):
    """What it did, or the job that does it, where much is concerned."""

    result: DerivedAnew | None = None
    """What it did; null while a job does it."""
    job: Job | None = None
    """The job that derives anew, all of it or nothing; null when it was done at once."""


@object_type
class SetDivergenceThresholdPayload(Payload):
    """The source."""

    source: EmissionSource | None = None
    """The source."""


@object_type
class MethodDivergence:
    """A source whose methods diverge beyond its threshold in some month."""

    source_id: strawberry.Private[UUID]
    comparison: MethodComparison
    """Its methods side by side."""

    @batched
    async def source(parents: list[ADivergence], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources([p.source_id for p in parents], info)
        return [found.get(p.source_id) for p in parents]


@object_type
class ChoiceQueries(MethodQueries):
    """Methods: what there is, and where they diverge."""

    @query(requires(Permission.EMISSION_READ))
    async def method_divergences(
        self, info: Info, organisation_id: strawberry.ID, year: Year, first: int | None = None, after: str | None = None
    ) -> Connection[MethodDivergence]:
        """Sources of an organisation and all below it with a month whose methods diverge beyond the threshold."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        page = await info.context.use(ComparisonService).divergences(
            info.context.principal, key, year, PageRequest.read(first, after)
        )
        return Connection.of(
            page.map(lambda c: MethodDivergence(source_id=c.source_id, comparison=MethodComparison.of(c)))
        )


@object_type
class ChoiceMutations:
    """Changes of methods."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_stream_method(self, info: Info, input: SetStreamMethodInput) -> SetStreamMethodPayload:
        """Account a stream by a method in a span of months; results follow in the same step."""
        key = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(MethodService).set(info.context.actor(input), key, input.method.basis())
        basis = StreamBasis.of(done.value.basis) if done.value.basis else None
        changes = EmissionChanges.of(done.value.changes)
        return SetStreamMethodPayload(errors=[], replayed=done.replayed, basis=basis, changes=changes)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def withdraw_stream_method(self, info: Info, input: WithdrawStreamMethodInput) -> WithdrawStreamMethodPayload:
        """Take a basis away; of the class FACTOR the defaults of the library come back."""
        key = key_of(input.id, "StreamBasis", "id")
        done = await info.context.use(MethodService).withdraw(info.context.actor(input), key, input.reason)
        changes = EmissionChanges.of(done.value.changes)
        return WithdrawStreamMethodPayload(errors=[], replayed=done.replayed, changes=changes)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def choose_source_method(self, info: Info, input: ChooseSourceMethodInput) -> ChooseSourceMethodPayload:
        """Choose which class of method counts for a source; a rehearsal shows the change month by month."""
        done = await info.context.use(MethodService).choose(info.context.actor(input), input.command())
        source = (await fetch_sources([done.value.source_id], info)).get(done.value.source_id)
        job = await job_shown(done.value.job_id, info)
        changes = None if job else EmissionChanges.of(done.value.changes)
        return ChooseSourceMethodPayload(errors=[], replayed=done.replayed, source=source, changes=changes, job=job)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def derive_coefficients_anew(
        self, info: Info, input: DeriveCoefficientsAnewInput
    ) -> DeriveCoefficientsAnewPayload:
        """Derive coefficients anew after a change of the boundary's GWP set or of the library; a restatement."""
        done = await info.context.use(MethodService).derive_anew(info.context.actor(input), input.command())
        result = DerivedAnew.of(done.value.done) if done.value.done else None
        job = await job_shown(done.value.job_id, info)
        return DeriveCoefficientsAnewPayload(errors=[], replayed=done.replayed, result=result, job=job)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_divergence_threshold(
        self, info: Info, input: SetDivergenceThresholdInput
    ) -> SetDivergenceThresholdPayload:
        """Set from which divergence of its methods a source is looked at."""
        done = await info.context.use(MethodService).set_threshold(info.context.actor(input), input.command())
        return SetDivergenceThresholdPayload(errors=[], replayed=done.replayed, source=EmissionSource.of(done.value))
