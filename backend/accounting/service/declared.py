"""Use cases on declared results: record, supersede, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from backend.accounting.domain.factors import DEFAULT_GWP_SET
from backend.accounting.domain.methods.allowed import check_sign_of_result
from backend.accounting.domain.records import (
    ALREADY_SUPERSEDED,
    RESULT_OVERLAPS,
    DeclaredResult,
    NewDeclaredResult,
    Period,
    RecordFilter,
    ResultChange,
    Weighed,
    checked_reason,
    checked_result,
    weigh,
    when_superseded,
)
from backend.accounting.domain.sources import EmissionSource
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import records as rows
from backend.accounting.service.batches import (
    Errors,
    check_size,
    common_organisation,
    reach_record,
    reach_sources,
    read_apart,
    refuse_locked,
    refused_rows,
    sift,
    stop_if_refused,
)
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, Refused, perform
from tenants.domain import GwpSet


@dataclass(frozen=True, slots=True)
class DeclaredOutcome:
    """What became of one row: the result, or why there is none."""

    result: DeclaredResult | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class DeclaredBatch:
    """What became of a call, row by row."""

    outcomes: tuple[DeclaredOutcome, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A row understood: its source, and the mass turned into CO2 equivalent."""

    row: NewDeclaredResult
    source: EmissionSource
    weighed: Weighed
    gwp_set: GwpSet

    @property
    def period(self) -> Period:
        return Period(self.row.first_month, self.row.months)


class DeclaredResultService:
    """Results that were measured or worked out elsewhere (8.2.5.1, 8.2.5.2), gas by gas."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(
        self,
        actor: Actor,
        new: Sequence[NewDeclaredResult | Refused],
        *,
        gwp_set: GwpSet = DEFAULT_GWP_SET,
        all_or_nothing: bool = False,
    ) -> Done[DeclaredBatch]:
        """Record up to 1000 results, each judged on its own unless all or nothing is asked.

        Errors: BATCH_SIZE; per row NOT_FOUND, FORBIDDEN, BAD_PERIOD, MONTH_OUT_OF_RANGE, NUMBER_OUT_OF_RANGE,
        NEGATIVE_MEASUREMENT, NEGATIVE_BY_FACTOR, UNKNOWN_GAS, RESULT_OVERLAPS.
        """
        check_size(len(new))

        async def work(change: Change) -> DeclaredBatch:
            lines, errors = await self._judge(change, new, gwp_set)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            made = await self._store(change, lines)
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "gwp_set": gwp_set, "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordDeclaredResults", body, DeclaredBatch, work)

    async def _judge(
        self, change: Change, new: Sequence[NewDeclaredResult | Refused], gwp_set: GwpSet
    ) -> tuple[dict[int, _Line], Errors]:
        read, errors = read_apart(new)
        today = self.toolbox.clock.today()
        library = await factor_rows.library(change.unit)
        look_up = await reach_sources(change, Permission.EMISSION_RECORD, (n.source_id for n in read.values()))

        def line(row: NewDeclaredResult) -> _Line:
            source = look_up(row.source_id)
            checked = checked_result(row, today)
            check_sign_of_result(checked.mass_t, checked.method, source.direct_kind)
            return _Line(checked, source, weigh(checked.gas, checked.mass_t, gwp_set, library), gwp_set)

        lines = sift(read, line, errors)
        spans = {i: (x.source.organisation_id, x.period) for i, x in lines.items()}
        for i, error in (await refuse_locked(change.unit, spans)).items():
            errors[i] = error
            del lines[i]
        _refuse_repeats(lines, errors)
        await self._refuse_overlaps(change, lines, errors)
        return lines, errors

    @staticmethod
    async def _refuse_overlaps(change: Change, lines: dict[int, _Line], errors: Errors) -> None:
        positions = list(lines)
        wanted = [(lines[i].source.id, lines[i].weighed.gas, lines[i].period) for i in positions]
        for at, earlier in (await rows.overlapping(change.unit, wanted)).items():
            line = lines.pop(positions[at])
            errors[positions[at]] = RESULT_OVERLAPS(path=("firstMonth",), gas=line.weighed.gas, earlier=earlier)

    @staticmethod
    async def _store(change: Change, lines: dict[int, _Line]) -> dict[int, DeclaredResult]:
        if not lines:
            return {}
        moment, batch = await rows.now(change.unit), uuid7()
        made = {i: _result(line, moment) for i, line in lines.items()}
        await rows.insert_declared(change.unit, list(made.values()), batch, change.actor.principal.member_id)
        about = common_organisation([x.source for x in lines.values()])
        await change.audit("DeclaredResultBatch", batch, about, after=list(made.values()))
        return made

    async def supersede(
        self, actor: Actor, key: UUID, reason: str, changed: ResultChange | None
    ) -> Done[DeclaredResult]:
        """Replace a result by a new version, or (without a change) withdraw it; the old one stays readable.

        Answers the new version, or the withdrawn result. Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED,
        REASON_MISSING and those of recording.
        """

        async def work(change: Change) -> DeclaredResult:
            because = checked_reason(reason)
            found = (await rows.declared(change.unit, [key])).get(key)
            old, source = await reach_record(change, Permission.EMISSION_RECORD, "DeclaredResult", key, found)
            if old.superseded_at or not await rows.supersede(change.unit, key, because):
                raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(old.superseded_at))
            new = await self._replace(change, old, source, changed) if changed else None
            latest = new or (await rows.declared(change.unit, [key]))[key]
            await change.audit("DeclaredResult", latest.id, source.organisation_id, before=old, after=latest)
            return latest

        body = {"id": key, "reason": reason, "change": changed}
        return await perform(self.toolbox, actor, "supersedeDeclaredResult", body, DeclaredResult, work)

    async def _replace(
        self, change: Change, old: DeclaredResult, source: EmissionSource, changed: ResultChange
    ) -> DeclaredResult:
        row = NewDeclaredResult(
            source_id=source.id,
            first_month=changed.first_month or old.first_month,
            gas=old.gas,
            mass_t=old.mass_t if changed.mass_t is None else changed.mass_t,
            method=changed.method or old.method,
            months=changed.months or old.months,
            evidence=old.evidence if changed.evidence is None else changed.evidence,
            note=old.note if changed.note is None else changed.note,
        )
        checked = checked_result(row, self.toolbox.clock.today())
        check_sign_of_result(checked.mass_t, checked.method, source.direct_kind)
        gwp_set = changed.gwp_set or old.gwp_set
        library = await factor_rows.library(change.unit)
        line = _Line(checked, source, weigh(checked.gas, checked.mass_t, gwp_set, library), gwp_set)
        errors: Errors = {}
        await self._refuse_overlaps(change, {0: line}, errors)
        for error in errors.values():
            raise error
        made = replace(_result(line, await rows.now(change.unit)), line_id=old.line_id)
        await rows.insert_declared(change.unit, [made], uuid7(), change.actor.principal.member_id)
        return made

    async def page(self, principal: Principal, wanted: RecordFilter, request: PageRequest) -> Page[DeclaredResult]:
        """Errors: NOT_FOUND, FORBIDDEN for an organisation out of reach."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if wanted.organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, wanted.organisation_id)
            return await rows.page_of_declared(session, principal, wanted, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, DeclaredResult]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.declared(session, keys, principal)

    async def versions(self, principal: Principal, lines: Sequence[UUID]) -> dict[UUID, list[DeclaredResult]]:
        """Every version of lines the caller was given a result of already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.versions_of_declared(session, lines)


def _refuse_repeats(lines: dict[int, _Line], errors: Errors) -> None:
    """Within one call too, a source has one result per gas and month: the first row stays, later ones are refused."""
    taken: dict[tuple[UUID, str, int, int], int] = {}
    for i, line in list(lines.items()):
        first = line.row.first_month
        months = [
            (line.source.id, line.weighed.gas, first.year, m) for m in range(first.month, first.month + line.row.months)
        ]
        earlier = next((taken[m] for m in months if m in taken), None)
        if earlier is None:
            taken |= dict.fromkeys(months, i)
        else:
            errors[i] = RESULT_OVERLAPS(path=("firstMonth",), gas=line.weighed.gas, earlier=f"rows.{earlier}",
                                        earlier_zh=f"本次调用的第 {earlier + 1} 行")  # fmt: skip
            del lines[i]


def _batch(count: int, made: dict[int, DeclaredResult], refused: dict[int, Refused]) -> DeclaredBatch:
    return DeclaredBatch(tuple(DeclaredOutcome(made.get(i), refused.get(i)) for i in range(count)))


def _result(line: _Line, moment: datetime) -> DeclaredResult:
    key = uuid7()
    return DeclaredResult(
        id=key,
        line_id=key,
        source_id=line.source.id,
        first_month=line.row.first_month,
        months=line.row.months,
        gas=line.weighed.gas,
        mass_t=line.row.mass_t,
        method=line.row.method,
        gwp_set=line.gwp_set,
        gwp=line.weighed.gwp,
        gwp_factor_id=line.weighed.factor_id,
        co2e_t=line.weighed.co2e_t,
        evidence=line.row.evidence,
        note=line.row.note,
        recorded_at=moment,
        superseded_at=None,
        superseded_because=None,
    )
