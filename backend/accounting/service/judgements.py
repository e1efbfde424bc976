"""Use cases on judgements: quality scores, uncertainties, allocation to co-products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from backend.accounting.domain.allocation import AllocationBasis, CoProduct, allocate
from backend.accounting.domain.judgements import (
    ALREADY_ALLOCATED,
    JUST_STATED,
    Allocation,
    OrganisationSpread,
    QualityScore,
    StreamUncertainty,
    Subject,
    checked_half_width,
    checked_products,
    quality_of,
    spread_of,
)
from backend.accounting.domain.measured import Kept
from backend.accounting.domain.months import checked_year
from backend.accounting.domain.quality import QualityScores, QualityTotal
from backend.accounting.domain.records import Period, checked_reason
from backend.accounting.repository import measurements as rows
from backend.accounting.service.batches import reach_sources, refuse_locked
from backend.accounting.service.derivation import reach_streams
from backend.kit.ids import uuid7
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform

REPLACED: Final = "被后来的填报取代 (replaced by a later one)"
K = TypeVar("K", bound=Kept)


class JudgementService:
    """What is judged of a year, with its reason; a later judgement supersedes the earlier one."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def score(
        self, actor: Actor, stream_id: UUID, year: int, scores: QualityScores, reason: str
    ) -> Done[QualityScore]:
        """Score the data of a stream in a year (9.1.1 b).

        Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE, BAD_QUALITY_SCORE, REASON_MISSING, PERIOD_LOCKED.
        """

        async def work(change: Change) -> QualityScore:
            place = (await reach_streams(change, Permission.EMISSION_MANAGE, [stream_id]))(stream_id)
            await self._open(change, place.organisation_id, year)
            made = QualityScore(
                id=uuid7(), stream_id=stream_id, year=year, note=checked_reason(reason),
                **{n: getattr(scores, n) for n in QualityScores.__dataclass_fields__},
            )  # fmt: skip
            before = await rows.current(change.unit, QualityScore, ("id",), stream_id=[stream_id], year=[year])
            return await self._state(change, place.organisation_id, before, made)

        body = {"stream": stream_id, "year": year, "scores": scores, "reason": reason}
        return await perform(self.toolbox, actor, "setQualityScore", body, QualityScore, work)

    async def state_uncertainty(
        self, actor: Actor, stream_id: UUID, year: int, subject: Subject, half_width: Decimal, correlation: str,
        reason: str,
    ) -> Done[StreamUncertainty]:  # fmt: skip
        """State how uncertain an input of a stream is.

        Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE, BAD_UNCERTAINTY, REASON_MISSING, PERIOD_LOCKED.
        """

        async def work(change: Change) -> StreamUncertainty:
            place = (await reach_streams(change, Permission.EMISSION_MANAGE, [stream_id]))(stream_id)
            await self._open(change, place.organisation_id, year)
            made = StreamUncertainty(
                id=uuid7(), stream_id=stream_id, year=year, subject=subject, note=checked_reason(reason),
                half_width=checked_half_width(half_width), correlation=tidy(correlation),
            )  # fmt: skip
            before = await rows.current(
                change.unit, StreamUncertainty, ("id",), stream_id=[stream_id], year=[year], subject=[subject]
            )
            return await self._state(change, place.organisation_id, before, made)

        body = {"stream": stream_id, "year": year, "subject": subject, "width": half_width}
        body |= {"correlation": correlation, "reason": reason}
        return await perform(self.toolbox, actor, "setStreamUncertainty", body, StreamUncertainty, work)

    async def allocate(
        self, actor: Actor, source_id: UUID, year: int, basis: AllocationBasis, products: Sequence[CoProduct],
        statement: str, reason: str,
    ) -> Done[Allocation]:  # fmt: skip
        """Share the emissions of a source in a year among its products (8.2.5.3 note 4).

        Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE, PRODUCT_TWICE, ALLOCATION_REASON (no statement),
        ALLOCATION_MISSING, ALLOCATION_WEIGHT, ALLOCATION_EMPTY, ALREADY_ALLOCATED without a reason, PERIOD_LOCKED.
        """

        async def work(change: Change) -> Allocation:
            source = (await reach_sources(change, Permission.EMISSION_MANAGE, [source_id]))(source_id)
            await self._open(change, source.organisation_id, year)
            named = checked_products([replace(p, name=tidy(p.name)) for p in products])
            shared = allocate(basis, named, statement)
            before = await rows.current(change.unit, Allocation, ("id",), source_id=[source_id], year=[year])
            if before and not tidy(reason):
                raise ALREADY_ALLOCATED(path=("reason",), basis=before[0].basis, year=year, source="8.2.5.3 note 4")
            made = Allocation(
                id=uuid7(), source_id=source_id, year=year, basis=basis, statement=shared.reason, products=named
            )
            return await self._state(change, source.organisation_id, before, made, tidy(reason) or REPLACED)

        body = {"source": source_id, "year": year, "basis": basis, "products": list(products)}
        body |= {"statement": statement, "reason": reason}
        return await perform(self.toolbox, actor, "setAllocation", body, Allocation, work)

    async def uncertainty(self, principal: Principal, at: UUID, year: int) -> OrganisationSpread:
        """The uncertainty of an organisation's own sources in a year.

        Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE.
        """
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, at)
            tonnes = await rows.tonnes_of(session, at, year)
            streams = [t.stream_id for t in tonnes if t.stream_id]
            stated = await rows.current(session, StreamUncertainty, ("id",), stream_id=streams, year=[year])
        return spread_of(tonnes, stated)

    async def quality(self, principal: Principal, at: UUID, year: int) -> QualityTotal | None:
        """The quality of an organisation's own data in a year. Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, at)
            tonnes = await rows.tonnes_of(session, at, year)
            streams = [t.stream_id for t in tonnes if t.stream_id]
            scores = await rows.current(session, QualityScore, ("id",), stream_id=streams, year=[year])
        return quality_of(tonnes, scores)

    async def _open(self, change: Change, organisation_id: UUID, year: int) -> None:
        checked_year(year, "year")
        locked = await refuse_locked(change.unit, {0: (organisation_id, Period(date(year, 1, 1), 12))})
        for error in locked.values():
            raise error.at("year")

    @staticmethod
    async def _state(change: Change, organisation_id: UUID, before: Sequence[K], made: K, because: str = REPLACED) -> K:
        for old in before:
            if not await rows.supersede(change.unit, old, because):
                raise JUST_STATED(path=("year",))
        await rows.insert(change.unit, [made], change.actor.principal.member_id)
        await change.audit(type(made).__name__, made.id, organisation_id, before=list(before), after=made)
        return made
