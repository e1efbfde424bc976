"""Use cases on targets and deviations (9.1.2): set a target, find what departs, close it with its cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.deviations import (
    ANALYSIS_MISSING,
    BAD_TARGET,
    DEVIATION_ENDED,
    TARGET_TAKEN,
    YEAR_NOT_OVER,
    Departure,
    DeviationCause,
    DeviationFinding,
    DeviationState,
    EmissionTarget,
    NewTarget,
    beyond_targets,
    year_on_year,
)
from backend.accounting.domain.explain import checked_year
from backend.accounting.domain.outputs import IntensityQuestion
from backend.accounting.domain.sources import Category
from backend.accounting.repository import outputs as rows
from backend.accounting.repository.outputs import FINDINGS, TARGETS
from backend.accounting.service.explain import TotalSubject, frame_of
from backend.accounting.service.outputs import intensities_of
from backend.accounting.service.reach import reach
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import GREENHOUSE_GAS, trimmed
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation
from tenants.commands import Actor, Change, Done, perform
from tenants.service import BoundaryReader


@dataclass(frozen=True, slots=True)
class Found:
    """The findings of a year that are open after a comparison."""

    findings: tuple[DeviationFinding, ...]


class DeviationService:
    """Targets of organisations, and what departs from them or from the year before."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def set_target(self, actor: Actor, new: NewTarget) -> Done[EmissionTarget]:
        """Errors: NOT_FOUND, FORBIDDEN, BAD_TARGET, TARGET_TAKEN (to replace one takes a reason)."""

        async def work(change: Change) -> EmissionTarget:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            await require_organisation(change.unit, new.organisation_id, "organisationId")
            made = await self._target(change, new)
            old = await TARGETS.current(change.unit, *_same_target(made))
            if old and not tidy(new.reason):
                raise TARGET_TAKEN(path=("reason",))
            for target in old:
                await TARGETS.supersede(change.unit, target.id, tidy(new.reason))
            codes = {"emission_target_once": lambda: TARGET_TAKEN(path=("year",))}
            await TARGETS.insert(change.unit, [made], codes, recorded_by=actor.principal.member_id)
            before = old[0] if old else None
            await change.audit("EmissionTarget", made.id, made.organisation_id, before=before, after=made)
            return made

        return await perform(self.toolbox, actor, "setEmissionTarget", new, EmissionTarget, work)

    async def _target(self, change: Change, new: NewTarget) -> EmissionTarget:
        checked_year(new.year)
        product = tidy(new.product) if new.product is not None else None
        if not (new.value.is_finite() and 0 <= new.value < 10**15 and 0 <= new.threshold <= 1):
            raise BAD_TARGET(
                path=("value",),
                reason="A target is from 0 to 1e15, its threshold a fraction from 0 to 1.",
                reason_zh="目标值须在 0 至 1e15 之间，阈值为 0 至 1 的小数。",
            )
        unit = GREENHOUSE_GAS
        if product is not None:
            known = await rows.units_of_product(change.unit, [new.organisation_id], product)
            if not known:
                raise BAD_TARGET(
                    path=("product",),
                    reason=f"No output of '{product[:60]}' is recorded here; record one first.",
                    reason_zh=f"此处没有“{product[:60]}”的产量记录；请先填报。",
                )
            unit = f"{unit}/{min(known)}"
        return EmissionTarget(
            id=uuid7(),
            organisation_id=new.organisation_id,
            year=new.year,
            category=new.category,
            product=product,
            value=new.value,
            unit=unit,
            threshold=new.threshold,
            note=tidy(new.note),
            recorded_at=self.toolbox.clock.now(),
        )

    async def find(self, actor: Actor, organisation_id: UUID, year: int) -> Done[Found]:
        """Compare a whole year with the one before (threshold: the boundary's materiality) and with its targets.

        What departs is recorded; an open finding whose figures have changed is replaced.
        Errors: NOT_FOUND, FORBIDDEN, BAD_EXPLAINED_YEAR, YEAR_NOT_OVER.
        """
        checked_year(year)

        async def work(change: Change) -> Found:
            await change.require(Permission.EMISSION_MANAGE, organisation_id)
            await require_organisation(change.unit, organisation_id, "organisationId")
            latest = self.toolbox.clock.today().year - 1
            if year > latest:
                raise YEAR_NOT_OVER(path=("year",), year=year, latest=latest)
            departures = await self._departures(change, organisation_id, year)
            return Found(tuple(await self._record(change, organisation_id, year, departures)))

        body = {"organisation_id": organisation_id, "year": year}
        return await perform(self.toolbox, actor, "findDeviations", body, Found, work)

    @staticmethod
    async def _departures(change: Change, organisation_id: UUID, year: int) -> list[Departure]:
        frame = await frame_of(change.unit, TotalSubject(organisation_id, year))
        before = await rows.totals(change.unit, replace(frame, year=year - 1))
        now = await rows.totals(change.unit, frame)
        boundary = (await BoundaryReader.effective(change.unit, [organisation_id], frame.day))[organisation_id]
        of = TARGETS.of.c
        targets = await TARGETS.current(change.unit, of.organisation_id == organisation_id, of.year == year)
        told: dict[UUID, Decimal | None] = {}
        for target in targets:
            if target.product is not None:
                categories = (target.category,) if target.category else frame.categories
                question = IntensityQuestion(organisation_id, target.product, year, categories)
                value = (await intensities_of(change.unit, question))[0].value
                told[target.id] = None if value is None else trimmed(value)
        return year_on_year(before, now, boundary.materiality) + beyond_targets(targets, now, told)

    async def _record(
        self, change: Change, organisation_id: UUID, year: int, departures: Sequence[Departure]
    ) -> list[DeviationFinding]:
        of = FINDINGS.of.c
        open_ = await FINDINGS.matching(
            change.unit, of.organisation_id == organisation_id, of.year == year, of.state == DeviationState.OPEN.value
        )
        standing = {f.slot: f for f in open_}
        made: list[DeviationFinding] = []
        for departure in departures:
            new = self._finding(organisation_id, year, departure)
            old = standing.pop(new.slot, None)
            if old is not None and (old.compared, old.actual) == (new.compared, new.actual):
                made.append(old)
                continue
            if old is not None:
                await self._end(change, old, state=DeviationState.REPLACED.value)
            await FINDINGS.insert(change.unit, [new], {}, found_by=change.actor.principal.member_id)
            await change.audit("DeviationFinding", new.id, organisation_id, before=old, after=new)
            made.append(new)
        for old in standing.values():
            await self._end(change, old, state=DeviationState.REPLACED.value)
        return made

    def _finding(self, organisation_id: UUID, year: int, departure: Departure) -> DeviationFinding:
        return DeviationFinding(
            id=uuid7(),
            organisation_id=organisation_id,
            kind=departure.kind,
            year=year,
            category=departure.category,
            product=departure.product,
            target_id=departure.target_id,
            compared=departure.compared,
            actual=departure.actual,
            unit=departure.unit,
            threshold=departure.threshold,
            state=DeviationState.OPEN,
            cause=None,
            analysis="",
            found_at=self.toolbox.clock.now(),
            closed_by=None,
            closed_at=None,
        )

    @staticmethod
    async def _end(change: Change, old: DeviationFinding, **values: object) -> DeviationFinding:
        await FINDINGS.change(change.unit, old.id, **values)
        made = (await FINDINGS.by_ids(change.unit, [old.id]))[old.id]
        await change.audit("DeviationFinding", old.id, old.organisation_id, before=old, after=made)
        return made

    async def close(self, actor: Actor, key: UUID, cause: DeviationCause, analysis: str) -> Done[DeviationFinding]:
        """Errors: NOT_FOUND, FORBIDDEN, DEVIATION_ENDED, ANALYSIS_MISSING."""

        async def work(change: Change) -> DeviationFinding:
            found = (await FINDINGS.by_ids(change.unit, [key], lock=True)).get(key)
            old = await reach(change, Permission.EMISSION_MANAGE, "DeviationFinding", key, found)
            if old.state is not DeviationState.OPEN:
                raise DEVIATION_ENDED(path=("id",), state=old.state)
            if not tidy(analysis):
                raise ANALYSIS_MISSING(path=("analysis",), source="9.1.2")
            closed = {"closed_by": actor.principal.member_id, "closed_at": self.toolbox.clock.now()}
            told = {"state": DeviationState.CLOSED.value, "cause": cause.value, "analysis": tidy(analysis)}
            return await self._end(change, old, **told, **closed)

        body = {"id": key, "cause": cause, "analysis": analysis}
        return await perform(self.toolbox, actor, "closeDeviation", body, DeviationFinding, work)

    async def page(
        self, principal: Principal, organisation_id: UUID, state: DeviationState | None, request: PageRequest
    ) -> Page[DeviationFinding]:
        """Errors: NOT_FOUND, FORBIDDEN."""
        of = FINDINGS.of.c
        which = [of.organisation_id == organisation_id, *([of.state == state.value] if state else [])]
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await FINDINGS.page(session, principal, request, *which)

    async def page_of_targets(
        self, principal: Principal, organisation_id: UUID, request: PageRequest
    ) -> Page[EmissionTarget]:
        """The targets in force. Errors: NOT_FOUND, FORBIDDEN."""
        of = TARGETS.of.c
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            which = (of.organisation_id == organisation_id, of.superseded_at.is_(None))
            return await TARGETS.page(session, principal, request, *which)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, DeviationFinding]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await FINDINGS.by_ids(session, keys, principal)

    async def targets_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, EmissionTarget]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await TARGETS.by_ids(session, keys, principal)


def _same_target(made: EmissionTarget) -> list[object]:
    of = TARGETS.of.c
    category: Category | None = made.category
    return [
        of.organisation_id == made.organisation_id,
        of.year == made.year,
        of.category.is_not_distinct_from(category.value if category else None),
        of.product.is_not_distinct_from(made.product),
    ]
