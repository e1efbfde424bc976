"""Reading methods side by side, and which sources diverge beyond their threshold (6.2.3 note 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final
from uuid import UUID

from backend.accounting.domain.choices import preferred
from backend.accounting.domain.comparison import Comparison, compare
from backend.accounting.domain.months import Span, checked_year
from backend.accounting.repository import comparison as rows
from backend.accounting.repository import methods as method_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository.results import months_without_result
from backend.accounting.service.bases import precedence_of
from backend.kit.database import ReadSession
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.service.boundaries import BoundaryReader

_AT_ONCE: Final = 500


class ComparisonService:
    """What each class of method says of a source."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def of_sources(self, principal: Principal, source_ids: Sequence[UUID], year: int) -> dict[UUID, Comparison]:
        """For sources the caller was given already. Errors: YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await _compared(session, source_ids, year)

    async def divergences(
        self, principal: Principal, organisation_id: UUID, year: int, request: PageRequest
    ) -> Page[Comparison]:
        """The sources of an organisation and all below it with a month beyond the threshold, in order of their ids.

        Errors: NOT_FOUND, FORBIDDEN, BAD_CURSOR, YEAR_OUT_OF_RANGE.
        """
        checked_year(year, "year")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            several = sorted(await rows.with_several(session, principal, organisation_id, year))
            if request.after is not None:
                (last,) = request.key(UUID)
                several = [key for key in several if key > last]
            found: list[Comparison] = []
            for start in range(0, len(several), _AT_ONCE):
                some = await _compared(session, several[start : start + _AT_ONCE], year)
                found += [c for c in some.values() if c.alarms]
                if len(found) > request.first:
                    break
        return Page.cut(found[: request.first + 1], request, lambda c: (c.source_id,))


async def _compared(session: ReadSession, source_ids: Sequence[UUID], year: int) -> dict[UUID, Comparison]:
    figures = await rows.figures(session, source_ids, year)
    longer = await rows.declared_for_longer(session, source_ids, year)
    own = await method_rows.thresholds(session, source_ids)
    owners = {key: s.organisation_id for key, s in (await source_rows.sources(session, source_ids)).items()}
    without = {owners[key] for key in source_ids if key not in own}
    held = await BoundaryReader.effective(session, without, date(year, 12, 31)) if without else {}
    months = Span(date(year, 1, 1), date(year, 12, 1))
    empty = await months_without_result(session, source_ids, months.first, months.end)
    streams = await source_rows.streams_of(session, source_ids)
    classes = await method_rows.classes_of(session, source_ids, months)

    def compared(key: UUID) -> Comparison:
        threshold = own[key] if key in own else held[owners[key]].materiality
        made = compare(key, year, threshold, figures.get(key, []), longer.get(key, []))
        first = preferred(classes.get(key, ()), precedence_of({s.programme for s in streams.get(key, [])}))
        passed_over = any(c.figure.counts and c.figure.method is not first for c in made.months)
        return replace(made, without_result=tuple(empty.get(key, [])), preferred_method=first if passed_over else None)

    return {key: compared(key) for key in source_ids}
