"""GraphQL of quality scores, uncertainty and allocation to co-products."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import judgements as domain
from backend.accounting.domain.allocation import AllocationBasis, CoProduct
from backend.accounting.domain.judgements import Subject
from backend.accounting.domain.quality import QualityScores
from backend.accounting.domain.uncertainty import Spread
from backend.accounting.graphql.measured import (
    After,
    AtOrganisation,
    First,
    KeptRecord,
    OfOneStream,
    StreamRecord,
    Superseded,
    Year,
    fetcher,
    listed,
    shown,
)
from backend.accounting.graphql.sources import EmissionSource, fetch_sources
from backend.accounting.service.judgements import JudgementService
from backend.accounting.service.results import ResultService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(AllocationBasis)
enum_type(Subject, name="UncertaintySubject")

AnAllocation = Annotated["Allocation", strawberry.lazy("backend.accounting.graphql.judgements")]
ASpread = Annotated["SourceUncertainty", strawberry.lazy("backend.accounting.graphql.judgements")]
Own = Annotated[strawberry.ID, strawberry.argument(description="The organisation; its own sources.")]


@object_type
class QualityScore(StreamRecord):
    """Scores of the data of a stream in a year, 1 (poor) to 5 (best); the note says why (数据质量评价, 9.1.1 b)."""

    year: int
    """The year."""
    representative: int
    """Representative (代表性)."""
    fair: int
    """Fair, impartial (公正性)."""
    complete: int
    """Complete (完整性)."""
    accurate: int
    """Accurate (准确性)."""
    applicable: int
    """Applicable (适用性)."""

    @classmethod
    def of(cls, record: domain.QualityScore) -> QualityScore:
        return shown(cls, record)


@object_type
class DataQuality:
    """The quality of an organisation's data in a year, weighted by emissions."""

    overall: Decimal
    """Mean score, 1 to 5."""
    lowest: Decimal
    """The lowest score of a stream that emits."""
    scored_share: Decimal
    """Share of the emissions that has scores."""


@object_type
class StreamUncertainty(StreamRecord):
    """Half the 95 % interval of an input of a stream in a year; the note says where it comes from."""

    year: int
    """The year."""
    subject: Subject
    """Of the activity, or of the coefficient."""
    half_width: Decimal
    """As a share: 0.05 is 5 %."""
    correlation: str
    """The cause it shares with others (one meter, one factor); empty when it is its own."""

    @classmethod
    def of(cls, record: domain.StreamUncertainty) -> StreamUncertainty:
        return shown(cls, record)


@object_type
class ResultSpread:
    """A result and half its 95 % interval."""

    tonnes: Decimal
    """The result, tCO2e."""
    half_width_t: Decimal
    """Half the interval, tCO2e."""
    share: Decimal | None
    """The same as a share of the result; null when that is 0."""

    @classmethod
    def of(cls, spread: Spread) -> ResultSpread:
        return build(cls, spread)


@object_type
class SourceUncertainty:
    """A source, its result and how uncertain that is."""

    about: strawberry.Private[UUID]
    spread: ResultSpread
    """Its result."""

    @batched
    async def source(parents: list[ASpread], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.about for p in parents}), info)
        return [found.get(p.about) for p in parents]


@object_type
class OrganisationUncertainty:
    """How uncertain the results of an organisation's own sources are.

    A product: √ΣU²; a sum: √Σ(U·x)² / |Σx|; what shares a cause adds linearly. Half-widths that nobody stated are
    left out: `statedShare` says how much of the emissions has both.
    """

    spread: ResultSpread
    """All of them together."""
    stated_share: Decimal
    """Share of the emissions whose activity and coefficient have a stated uncertainty."""
    sources: list[SourceUncertainty]
    """Source by source."""

    @classmethod
    def of(cls, found: domain.OrganisationSpread) -> OrganisationUncertainty:
        sources = [SourceUncertainty(about=s.source_id, spread=ResultSpread.of(s.spread)) for s in found.sources]
        return build(cls, found, spread=ResultSpread.of(found.spread), sources=sources)


@object_type
class AllocatedProduct:
    """A product and what it bears."""

    name: str
    """Name."""
    quantity_t: Decimal
    """Quantity, t."""
    heat_gj_per_t: Decimal | None
    """Heat value, GJ/t."""
    price_per_t: Decimal | None
    """Price, yuan/t."""
    share: Decimal
    """Its share, rounded to 6 decimals for display; the shares add up to 1."""
    co2e_t: Decimal
    """What it bears of the source's emissions of the year, tCO2e; they add up to the whole."""


@object_type
class Allocation(KeptRecord):
    """How the emissions of a source in a year are shared among its products (8.2.5.3 note 4)."""

    record: strawberry.Private[domain.Allocation]
    year: int
    """The year."""
    basis: AllocationBasis
    """By what."""
    statement: str
    """Why; the standard asks for it."""

    @batched
    async def source(parents: list[AnAllocation], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.record.source_id for p in parents}), info)
        return [found.get(p.record.source_id) for p in parents]

    @batched
    async def products(parents: list[AnAllocation], info: Info) -> list[list[AllocatedProduct]]:
        """The products with what each bears today."""
        totals: dict[tuple[UUID, int], Decimal] = {}
        for year in {p.year for p in parents}:
            keys = sorted({p.record.source_id for p in parents if p.year == year})
            found = await info.context.use(ResultService).of_sources(info.context.principal, keys, year)
            totals |= {(k, year): sum((r.co2e_t for r in found.get(k, [])), Decimal(0)) for k in keys}
        return [_shared(p.record, totals[p.record.source_id, p.year]) for p in parents]

    @classmethod
    def of(cls, record: domain.Allocation) -> Allocation:
        return shown(cls, record, record=record)


def _shared(record: domain.Allocation, total: Decimal) -> list[AllocatedProduct]:
    shared = record.shared
    rows = zip(shared.products, shared.shares, shared.amounts_t(total), strict=True)
    return [build(AllocatedProduct, product, share=share, co2e_t=tonnes) for product, share, tonnes in rows]


@input_type
class SetQualityScoreInput(MutationInput):
    """Scores of a stream in a year, 1 to 5."""

    stream_id: strawberry.ID
    """The stream."""
    year: int
    """The year."""
    representative: int
    """Representative."""
    fair: int
    """Fair, impartial."""
    complete: int
    """Complete."""
    accurate: int
    """Accurate."""
    applicable: int
    """Applicable."""
    reason: str
    """Why these scores."""


@object_type
class SetQualityScorePayload(Payload):
    """The scores."""

    score: QualityScore | None = None
    """The scores as they now stand."""


@input_type
class SetStreamUncertaintyInput(MutationInput):
    """The uncertainty of an input of a stream in a year."""

    stream_id: strawberry.ID
    """The stream."""
    year: int
    """The year."""
    subject: Subject
    """Of what."""
    half_width: Decimal
    """Half the 95 % interval, as a share: 0.05 is 5 %."""
    correlation: str = ""
    """The cause it shares with others, by any name: the code of a meter, of a factor."""
    reason: str
    """Where it comes from: class of the meter, range of the factor, judgement."""


@object_type
class SetStreamUncertaintyPayload(Payload):
    """The uncertainty."""

    uncertainty: StreamUncertainty | None = None
    """The uncertainty as it now stands."""


@input_type
class CoProductInput:
    """A product of a source."""

    name: str
    """Name."""
    quantity_t: Decimal
    """Quantity of the year, t."""
    heat_gj_per_t: Decimal | None = None
    """Heat value, GJ/t; for ENERGY."""
    price_per_t: Decimal | None = None
    """Price, yuan/t; for ECONOMIC."""


@input_type
class SetAllocationInput(MutationInput):
    """How the emissions of a source in a year are shared among its products."""

    source_id: strawberry.ID
    """The source."""
    year: int
    """The year."""
    basis: AllocationBasis
    """By what."""
    products: list[CoProductInput]
    """The products, two or more."""
    statement: str
    """Why they are shared so."""
    reason: str = ""
    """Why an allocation that was made before is changed."""


@object_type
class SetAllocationPayload(Payload):
    """The allocation."""

    allocation: Allocation | None = None
    """The allocation as it now stands."""


@object_type
class JudgementQueries:
    """Quality, uncertainty, allocation."""

    @query(requires(Permission.EMISSION_READ))
    async def quality_scores(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[QualityScore]:  # fmt: skip
        """Scores the caller may read, in the order they were given."""
        return await listed(
            info, domain.QualityScore, QualityScore.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def data_quality(self, info: Info, organisation_id: Own, year: Year) -> DataQuality | None:
        """The scores of an organisation's data in a year, weighted by emissions; null when nothing is scored."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(JudgementService).quality(info.context.principal, owner, year)
        return build(DataQuality, found) if found else None

    @query(requires(Permission.EMISSION_READ))
    async def stream_uncertainties(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[StreamUncertainty]:  # fmt: skip
        """Stated uncertainties the caller may read, in the order they were stated."""
        return await listed(
            info, domain.StreamUncertainty, StreamUncertainty.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def uncertainty(self, info: Info, organisation_id: Own, year: Year) -> OrganisationUncertainty:
        """How uncertain the results of an organisation's own sources in a year are."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(JudgementService).uncertainty(info.context.principal, owner, year)
        return OrganisationUncertainty.of(found)

    @query(requires(Permission.EMISSION_READ))
    async def allocations(
        self, info: Info, organisation_id: AtOrganisation = None, superseded: Superseded = False,
        first: First = None, after: After = None,
    ) -> Connection[Allocation]:  # fmt: skip
        """Allocations to co-products the caller may read, in the order they were made."""
        return await listed(
            info, domain.Allocation, Allocation.of, PageRequest.read(first, after), organisation_id=organisation_id,
            superseded=superseded,
        )  # fmt: skip


@object_type
class JudgementMutations:
    """Changes to judgements."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_quality_score(self, info: Info, input: SetQualityScoreInput) -> SetQualityScorePayload:
        """Score the data of a stream in a year."""
        key = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(JudgementService).score(
            info.context.actor(input), key, input.year, build(QualityScores, input), input.reason
        )
        return SetQualityScorePayload(errors=[], score=QualityScore.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_stream_uncertainty(self, info: Info, input: SetStreamUncertaintyInput) -> SetStreamUncertaintyPayload:
        """State how uncertain the activity or the coefficient of a stream is in a year."""
        key = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(JudgementService).state_uncertainty(
            info.context.actor(input), key, input.year, input.subject, input.half_width, input.correlation,
            input.reason,
        )  # fmt: skip
        made = StreamUncertainty.of(done.value)
        return SetStreamUncertaintyPayload(errors=[], uncertainty=made, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_allocation(self, info: Info, input: SetAllocationInput) -> SetAllocationPayload:
        """Share the emissions of a source in a year among its products."""
        key = key_of(input.source_id, "EmissionSource", "sourceId")
        products = [build(CoProduct, p) for p in input.products]
        done = await info.context.use(JudgementService).allocate(
            info.context.actor(input), key, input.year, input.basis, products, input.statement, input.reason
        )
        return SetAllocationPayload(errors=[], allocation=Allocation.of(done.value), replayed=done.replayed)


NODES = {
    "QualityScore": (QualityScore, fetcher(domain.QualityScore, QualityScore.of)),
    "StreamUncertainty": (StreamUncertainty, fetcher(domain.StreamUncertainty, StreamUncertainty.of)),
    "Allocation": (Allocation, fetcher(domain.Allocation, Allocation.of)),
}
