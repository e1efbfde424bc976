"""Use cases on the adoption of factor sets: what it would change, and adopting as a restatement with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain import adoption as domain
from backend.accounting.domain.adoption import FOR_GOOD, Adoption, AdoptionReport, Lacking, NewAdoption
from backend.accounting.domain.factors import Library, version_of
from backend.accounting.domain.months import next_month
from backend.accounting.domain.own_sets import PREFIX, SetState, SetVersion
from backend.accounting.repository import adoption as rows
from backend.accounting.repository import own_sets as set_rows
from backend.accounting.repository import results as result_rows
from backend.accounting.service.adopted import library_at
from backend.accounting.service.coefficients import Rederivation, rederive
from backend.accounting.service.long_work import Asked, Report, check_rehearsal, put_off, unheard
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.errors import REASON_MISSING
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean, tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.boundaries import BoundaryKey
from tenants.service.boundaries import SetBoundary, put

JOB: Final = "accounting.adopt_factor_set"
OPERATION: Final = "adoptFactorSet"
_REHEARSED: Final = "rehearsal"
MOST_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Adopted:
    """The record of an adoption, and what it changed: the first 1000 months one by one; or the job that will do it."""

    adoption: Adoption | None = None
    report: AdoptionReport | None = None
    job_id: UUID | None = None


class AdoptionService:
    """Adopts factor sets for organisations."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def report(self, actor: Actor, new: NewAdoption) -> AdoptionReport:
        """What adopting would do, by doing it and taking it back; writers wait that long.

        Errors: NOT_FOUND, FORBIDDEN (who reads may ask), UNKNOWN_FACTOR_SET, FACTOR_SET_STATE, REHEARSAL_TOO_LARGE.
        """

        async def work(change: Change) -> AdoptionReport:
            await change.require(Permission.EMISSION_READ, new.organisation_id)
            check_rehearsal(await _concerned(change, new))
            _, report = await _adopt(change, replace(new, reason=tidy(new.reason) or _REHEARSED))
            return report

        rehearsal = replace(actor, dry_run=True, idempotency_key=None)
        return (await perform(self.toolbox, rehearsal, "factorAdoptionReport", new, AdoptionReport, work)).value

    async def adopt(self, actor: Actor, new: NewAdoption) -> Done[Adopted]:
        """Adopt a set from a month on (to a month) for an organisation and all below it, and restate what follows.

        Months of frozen inventories stay as they are. Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING,
        UNKNOWN_FACTOR_SET, FACTOR_SET_STATE, FACTOR_SET_LACKS_VALUES, INVALID_INPUT
        when nothing is adopted that could be given up; of a rehearsal REHEARSAL_TOO_LARGE. What concerns more months
        than a request may work on is left to a job: what is known to be wrong is refused before, the rest by the job.
        """
        asked = replace(new, reason=tidy(new.reason))

        async def work(change: Change) -> Adopted:
            await _check(change, asked)
            months = await _concerned(change, asked)
            if actor.dry_run:
                check_rehearsal(months)
            elif months > self.toolbox.at_once:
                if asked.factor_set is not None:
                    await _reference(change, asked)
                return Adopted(job_id=await put_off(change, JOB, asked, asked.organisation_id))
            return await _adopt_and_record(change, asked)

        done = await perform(self.toolbox, actor, OPERATION, new, Adopted, work)
        self.toolbox.wake_relay()
        return done

    async def carry_out(self, unit: UnitOfWork, asked: Asked, report: Report) -> dict[str, Any]:
        """Adopt what was left to a job, if who asked still may. Errors: as of `adopt`."""
        change, new = await asked.change(unit, OPERATION), asked.read(NewAdoption)
        await _check(change, new)
        adoption = (await _adopt_and_record(change, new, report)).adoption
        assert adoption is not None
        return {"adoption_id": str(adoption.id), "changed_months": adoption.changed_months}

    async def page(self, principal: Principal, organisation_id: UUID | None, request: PageRequest) -> Page[Adoption]:
        """Adoptions at an organisation and below it, oldest first. Errors: NOT_FOUND, FORBIDDEN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page(session, principal, organisation_id, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Adoption]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.by_ids(session, keys, principal)


async def _check(change: Change, new: NewAdoption) -> None:
    await change.require(Permission.EMISSION_APPROVE, new.organisation_id)
    if not new.reason:
        raise REASON_MISSING(path=("reason",))


async def _concerned(change: Change, new: NewAdoption) -> int:
    first, last = new.span.first, new.span.last or FOR_GOOD
    streams = await rows.streams_below(change.unit, new.organisation_id, first, last)
    return await result_rows.how_many(change.unit, streams, first, last)


async def _adopt_and_record(change: Change, new: NewAdoption, hear: Report = unheard) -> Adopted:
    setting_id, report = await _adopt(change, new, most=MOST_SHOWN, hear=hear)
    if report.lacking and not new.keep_lacking:
        first = report.lacking[0]
        raise domain.SET_LACKS_VALUES(
            path=("factorSet",), count=len(report.lacking), first=f"{first.year}: {first.message_en}"
        )
    made = _record(new, new.reason, report, setting_id, change.actor.principal.member_id)
    await rows.insert(change.unit, made)
    await change.audit("FactorAdoption", made.id, made.organisation_id, after=made)
    return Adopted((await rows.by_ids(change.unit, [made.id]))[made.id], report)


def _record(new: NewAdoption, reason: str, report: AdoptionReport, setting_id: UUID | None, me: UUID) -> Adoption:
    return Adoption(
        id=uuid7(),
        organisation_id=new.organisation_id,
        factor_set=report.factor_set,
        from_month=new.span.first,
        to_month=new.span.last,
        reason=reason,
        setting_id=setting_id,
        changed_months=report.changed_months,
        before_t=report.before_t,
        after_t=report.after_t,
        adopted_by=me,
    )


async def _adopt(
    change: Change, new: NewAdoption, *, most: int | None = None, hear: Report = unheard
) -> tuple[UUID | None, AdoptionReport]:
    """Put the set in force and derive anew what it concerns; the setting that says so, and what changed."""
    first, last = new.span.first, new.span.last or FOR_GOOD
    reference = await _reference(change, new) if new.factor_set is not None else None
    until = next_month(new.span.last) if new.span.last else None
    setting = SetBoundary(new.organisation_id, BoundaryKey.FACTOR_SET, reference, first, until, new.reason)
    changed = await put(change, setting)
    streams = await rows.streams_below(change.unit, new.organisation_id, first, last)
    before = await rows.totals(change.unit, streams, first, last)
    done = await rederive(change.unit, streams, first, last, new.reason, most=most, report=hear)
    report = AdoptionReport(
        factor_set=reference,
        superseded=done.superseded,
        made=done.made,
        changed_months=done.changes.months,
        before_t=done.changes.old_t,
        after_t=done.changes.new_t,
        changes=tuple(done.changes.first),
        categories=domain.by_category(before, done.changes.moved),
        lacking=_lacking(done),
        frozen=tuple(i for i in done.frozen if i.first_month <= last and first < i.after),
    )
    return changed.setting.id if changed.setting else None, report


async def _reference(change: Change, new: NewAdoption) -> str:
    """How the set is named in the boundary: of an own set the version in force.

    Errors: UNKNOWN_FACTOR_SET, FACTOR_SET_STATE for a draft, a superseded or a withdrawn version.
    """
    written = clean(new.factor_set or "")
    code, _, _ = written.partition("@")
    if code.startswith(PREFIX):
        version = await _version(change.unit, new.organisation_id, written)
        if version is not None:
            version.must_be(SetState.APPROVED)
            return f"{code}@{version.version}"
    library: Library = await library_at(change.unit, new.organisation_id)
    return library.inventory_set(written)


async def _version(session: ReadSession, organisation_id: UUID, written: str) -> SetVersion | None:
    """The version somebody means: the one named, else the one in force, else the latest; None: there is no such set."""
    code, _, _ = written.partition("@")
    offered = (await set_rows.offered_at(session, [organisation_id])).get(organisation_id, frozenset())
    found = [s for s in (await set_rows.sets(session, list(offered))).values() if s.code == code]
    if not found:
        return None
    versions = (await set_rows.versions_of(session, [found[0].id]))[found[0].id]
    if "@" in written:
        return next((v for v in versions if v.version == version_of(written)), None)
    return next((v for v in versions if v.state is SetState.APPROVED), versions[-1])


def _lacking(done: Rederivation) -> tuple[Lacking, ...]:
    return tuple(
        Lacking(stream_id, year, error.code.name, error.message("zh-CN"), error.message("en"))
        for ((stream_id, year), _), error in sorted(done.errors.items(), key=lambda item: item[0])
    )
