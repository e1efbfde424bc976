"""Use cases on monitoring plans, instruments, readings and what falls short of the plan (8.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain import monitored
from backend.accounting.domain.monitored import Calibration, Finding, FindingKind, ParameterReading
from backend.accounting.domain.monitoring import (
    BAD_PARAMETER,
    MAKER_IS_CHECKER,
    MOST,
    PLAN_ALREADY_OPEN,
    PLAN_INCOMPLETE,
    PLAN_STARTS_TOO_EARLY,
    PLAN_STATE,
    UNKNOWN_TEMPLATE,
    Gap,
    Instrument,
    MonitoringPlan,
    NewParameter,
    PlanHeader,
    PlanParameter,
    PlanState,
    checked_header,
    checked_parameters,
    gaps,
)
from backend.accounting.domain.plan_templates import Template, Unbound, templates
from backend.accounting.domain.sources import checked_code
from backend.accounting.domain.units import checked_name
from backend.accounting.repository import monitoring as rows
from backend.accounting.repository.sources import organisations_known
from backend.accounting.service.batches import check_size
from backend.accounting.service.readings import NewReading, judged_reading, unread
from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean, tidy
from backend.kit.toolbox import Toolbox
from backend.kit.words import named_in_chinese, word_in_chinese
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform


@dataclass(frozen=True, slots=True)
class PlanMade:
    """A new plan, and what of its template did not find its stream."""

    plan: MonitoringPlan
    unbound: tuple[Unbound, ...]


class MonitoringService:
    """What is to be measured, what was, and the difference."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create_plan(
        self, actor: Actor, header: PlanHeader, *, template: str | None = None, copy_of: UUID | None = None
    ) -> Done[PlanMade]:
        """A new version as a draft, empty, from a template, or with the parameters of an earlier version.

        Parameters of a template are read from the streams it names, where the organisation has them.

        Errors: NOT_FOUND, FORBIDDEN, PLAN_ALREADY_OPEN, UNKNOWN_PLAN_TEMPLATE.
        """

        async def work(change: Change) -> PlanMade:
            at = header.organisation_id
            await change.require(Permission.EMISSION_MANAGE, at)
            await _exists(change, at)
            versions = await rows.plans_of(change.unit, at)
            for open_ in (p for p in versions if p.state in {PlanState.DRAFT, PlanState.SUBMITTED}):
                raise PLAN_ALREADY_OPEN(path=("organisationId",), version=open_.version)
            parameters: Sequence[NewParameter] = []
            unbound: Sequence[Unbound] = ()
            if template is not None:
                parameters, unbound = _template(template).bound(await rows.streams_by_code(change.unit, at))
            if copy_of is not None:
                source = await _reach(change, "plan", copy_of, "copyOfPlanId", Permission.EMISSION_READ)
                if source.organisation_id != at:
                    raise not_found("MonitoringPlan", copy_of, "copyOfPlanId")
                parameters = await rows.parameters_of(change.unit, [copy_of])
            made = MonitoringPlan(
                id=uuid7(),
                version=len(versions) + 1,
                state=PlanState.DRAFT,
                ends_on=None,
                created_by=actor.principal.member_id,
                **asdict(checked_header(header)),
            )
            await rows.insert(change.unit, "plan", [made])
            await _keep(change, made, parameters)
            await change.audit("MonitoringPlan", made.id, at, after=made)
            return PlanMade(made, tuple(unbound))

        operation = "createMonitoringPlanFromTemplate" if template is not None else "createMonitoringPlan"
        body = {"header": header, "template": template, "copy_of": copy_of}
        return await perform(self.toolbox, actor, operation, body, PlanMade, work)

    async def set_parameters(
        self, actor: Actor, plan_id: UUID, given: Sequence[NewParameter], removed: Sequence[str]
    ) -> Done[MonitoringPlan]:
        """Add, replace (by code) and remove parameters of a draft. Errors: PLAN_STATE, BAD_PARAMETER, NOT_FOUND …"""

        async def work(change: Change) -> MonitoringPlan:
            plan: MonitoringPlan = await _reach(change, "plan", plan_id, "planId", Permission.EMISSION_MANAGE)
            _must_be(plan, PlanState.DRAFT)
            checked = checked_parameters(given) if given or not removed else []
            await _references(change.unit, plan, checked)
            before = await rows.parameters_of(change.unit, [plan_id])
            gone = {clean(code) for code in removed} | {p.code for p in checked}
            left = {p.code for p in before if p.code not in gone} | {p.code for p in checked}
            partners = [*checked, *(p for p in before if p.code not in gone)]
            for p in partners:
                if p.partner_code is not None and p.partner_code not in left:
                    raise _bad(f"{p.code}: there is no parameter '{p.partner_code}' to check against.",
                               f"{p.code}：没有对照参数 '{p.partner_code}'。", "parameters")  # fmt: skip
            await rows.remove_parameters(change.unit, plan_id, sorted(gone))
            await _keep(change, plan, checked)
            await change.audit("MonitoringPlan", plan.id, plan.organisation_id, before=sorted(gone), after=checked)
            return plan

        body = {"plan_id": plan_id, "parameters": list(given), "removed": list(removed)}
        return await perform(self.toolbox, actor, "setPlanParameters", body, MonitoringPlan, work)

    async def submit(self, actor: Actor, plan_id: UUID) -> Done[MonitoringPlan]:
        """Errors: PLAN_STATE, PLAN_INCOMPLETE with everything that is missing."""

        async def work(change: Change) -> MonitoringPlan:
            plan: MonitoringPlan = await _reach(change, "plan", plan_id, "planId", Permission.EMISSION_MANAGE)
            _must_be(plan, PlanState.DRAFT)
            missing = await _gaps(change.unit, plan)
            if missing:
                listed = ", ".join(f"{g.item}: {g.about}" for g in missing[:20])
                listed_zh = "、".join(f"{named_in_chinese(g.item)}：{word_in_chinese(g.about)}" for g in missing[:20])
                raise PLAN_INCOMPLETE(
                    path=("planId",), gaps=listed, gaps_zh=listed_zh, source="T/CIECCPA 061-2023, 8.2.4"
                )
            now = self.toolbox.clock.now()
            me = actor.principal.member_id
            return await _moved(change, plan, state=PlanState.SUBMITTED, submitted_by=me, submitted_at=now)

        return await perform(self.toolbox, actor, "submitMonitoringPlan", plan_id, MonitoringPlan, work)

    async def reject(self, actor: Actor, plan_id: UUID, reason: str) -> Done[MonitoringPlan]:
        """Send a submitted plan back to its makers. Errors: PLAN_STATE, BAD_PARAMETER without a reason."""

        async def work(change: Change) -> MonitoringPlan:
            plan: MonitoringPlan = await _reach(change, "plan", plan_id, "planId", Permission.EMISSION_APPROVE)
            _must_be(plan, PlanState.SUBMITTED)
            if not tidy(reason):
                raise _bad("A reason is needed.", "须填写理由。", "reason")
            return await _moved(change, plan, state=PlanState.DRAFT, submitted_by=None, submitted_at=None)

        body = {"plan_id": plan_id, "reason": reason}
        return await perform(self.toolbox, actor, "rejectMonitoringPlan", body, MonitoringPlan, work)

    async def approve(self, actor: Actor, plan_id: UUID) -> Done[MonitoringPlan]:
        """The plan before ends there. Errors: PLAN_STATE, MAKER_IS_CHECKER, PLAN_STARTS_TOO_EARLY."""

        async def work(change: Change) -> MonitoringPlan:
            plan: MonitoringPlan = await _reach(change, "plan", plan_id, "planId", Permission.EMISSION_APPROVE)
            _must_be(plan, PlanState.SUBMITTED)
            me = actor.principal.member_id
            if me in {plan.created_by, plan.submitted_by}:
                raise MAKER_IS_CHECKER(path=("planId",), source="8.2.4")
            for earlier in await rows.plans_of(change.unit, plan.organisation_id):
                if earlier.state is not PlanState.APPROVED:
                    continue
                if plan.starts_on <= earlier.starts_on:
                    raise PLAN_STARTS_TOO_EARLY(path=("planId",), earlier=earlier.starts_on, source="8.2.4")
                await _moved(change, earlier, state=PlanState.SUPERSEDED, ends_on=plan.starts_on)
            now = self.toolbox.clock.now()
            return await _moved(change, plan, state=PlanState.APPROVED, approved_by=me, approved_at=now)

        return await perform(self.toolbox, actor, "approveMonitoringPlan", plan_id, MonitoringPlan, work)

    async def add_instrument(self, actor: Actor, new: Instrument) -> Done[Instrument]:
        """Errors: NOT_FOUND, FORBIDDEN, BAD_PARAMETER when the code is taken or the accuracy is no share."""

        async def work(change: Change) -> Instrument:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            await _exists(change, new.organisation_id)
            made = replace(new, code=checked_code(new.code, "code"), name_zh=checked_name(new.name_zh),
                           name_en=tidy(new.name_en), instrument_type=tidy(new.instrument_type),
                           model=tidy(new.model), serial=tidy(new.serial), point=tidy(new.point))  # fmt: skip
            if not made.instrument_type or not 0 < made.required_error < 1:
                raise _bad("An instrument has a type, and a required accuracy between 0 and 1 (0.005 is 0.5 %).",
                           "仪表须有类型，要求准确度须在 0 与 1 之间（0.005 即 0.5%）。", "requiredError")  # fmt: skip
            if made.code in {i.code for i in await rows.instruments_of(change.unit, made.organisation_id)}:
                raise _bad(f"The code '{made.code}' is taken.", f"代码 '{made.code}' 已被使用。", "code")
            await rows.insert(change.unit, "instrument", [made])
            await change.audit("Instrument", made.id, made.organisation_id, after=made)
            return made

        body = {n: v for n, v in asdict(new).items() if n != "id"}
        return await perform(self.toolbox, actor, "createInstrument", body, Instrument, work)

    async def calibrate(self, actor: Actor, instrument_id: UUID, new: Calibration) -> Done[Calibration]:
        """Record a calibration. Errors: NOT_FOUND, FORBIDDEN, BAD_READING."""

        async def work(change: Change) -> Calibration:
            found = await _reach(change, "instrument", instrument_id, "instrumentId", Permission.EMISSION_RECORD)
            made = replace(new, organisation_id=found.organisation_id, certificate=tidy(new.certificate))
            if made.done_on > made.valid_until or not 0 <= made.actual_error < 1 or not made.certificate:
                raise unread("A calibration has a certificate, ends after it was done, and an error from 0 to 1.",
                              "校准须有证书，有效期不早于校准日，误差须在 0 与 1 之间。", "validUntil")  # fmt: skip
            seen = await rows.page_of(
                change.unit, "calibration", actor.principal, PageRequest(1000), instrument_id=instrument_id
            )
            if made.done_on in {c.done_on for c in seen.rows}:
                raise unread("There is a calibration of that day.", "该日已有校准记录。", "doneOn")
            await rows.insert(change.unit, "calibration", [made], recorded_by=actor.principal.member_id)
            await change.audit("Calibration", made.id, made.organisation_id, after=made)
            return made

        body = {n: v for n, v in asdict(new).items() if n not in {"id", "organisation_id"}}
        return await perform(self.toolbox, actor, "recordCalibration", body, Calibration, work)

    async def record(self, actor: Actor, given: Sequence[NewReading]) -> Done[list[ParameterReading]]:
        """Record up to 1000 readings, all or none.

        Errors (with the row): NOT_FOUND, FORBIDDEN, READ_FROM_STREAM, READING_OUTSIDE_PLAN, READING_TAKEN, BAD_READING.
        """
        check_size(len(given))

        async def work(change: Change) -> list[ParameterReading]:
            made = await self._judged(change, given)
            await rows.insert(change.unit, "reading", made, recorded_by=actor.principal.member_id)
            owners = {m.organisation_id for m in made}
            await change.audit("ParameterReading", uuid7(), owners.pop() if len(owners) == 1 else None, after=made)
            return made

        return await perform(self.toolbox, actor, "recordReadings", list(given), list[ParameterReading], work)

    @staticmethod
    async def _judged(change: Change, given: Sequence[NewReading]) -> list[ParameterReading]:
        principal = change.actor.principal
        parameters = await rows.by_ids(change.unit, "parameter", [g.parameter_id for g in given], principal)
        plans = await rows.by_ids(change.unit, "plan", [p.plan_id for p in parameters.values()], principal)
        owners = {p.organisation_id for p in parameters.values()}
        refused = await change.refusals(Permission.EMISSION_RECORD, owners)
        taken = await rows.taken(change.unit, list(owners), [g.day for g in given])
        made = []
        for i, new in enumerate(given):
            parameter = parameters.get(new.parameter_id)
            try:
                made.append(judged_reading(new, parameter, parameter and plans[parameter.plan_id], refused, taken))
            except CodedError as error:
                raise error.at("rows", str(i)) from error
        return made

    async def supersede(
        self, actor: Actor, reading_id: UUID, value: Decimal | None, reason: str
    ) -> Done[ParameterReading]:
        """Withdraw a reading, or put another value in its place. Errors: READING_SUPERSEDED, BAD_READING."""

        async def work(change: Change) -> ParameterReading:
            old: ParameterReading = await _reach(change, "reading", reading_id, "id", Permission.EMISSION_RECORD)
            if not tidy(reason):
                raise unread("A reason is needed.", "须填写理由。", "reason")
            if value is not None and abs(value) >= MOST:
                raise unread("A reading is below 1e15.", "读数须小于 1e15。", "value")
            if not await rows.supersede(change.unit, reading_id, tidy(reason)):
                raise monitored.READING_SUPERSEDED(path=("id",))
            after = (await rows.by_ids(change.unit, "reading", [reading_id]))[reading_id]
            if value is not None:
                after = replace(old, id=uuid7(), value=value, recorded_at=None)
                await rows.insert(change.unit, "reading", [after], recorded_by=actor.principal.member_id)
            await change.audit("ParameterReading", reading_id, old.organisation_id, before=old, after=after)
            return after  # type: ignore[no-any-return]

        body = {"id": reading_id, "value": value, "reason": reason}
        return await perform(self.toolbox, actor, "supersedeReading", body, ParameterReading, work)

    async def findings(
        self, principal: Principal, at: UUID, span: tuple[date, date], kinds: Sequence[FindingKind] | None,
        request: PageRequest,
    ) -> Page[Finding]:  # fmt: skip
        """Shortfalls of an organisation's plans between two days. Errors: NOT_FOUND, FORBIDDEN, PERIOD_TOO_LONG."""
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, at)
            watched = await rows.watched(session, at, *span)
        found = monitored.findings(watched, *span, self.toolbox.clock.today())
        after = tuple(request.key(date.fromisoformat, str, FindingKind, UUID)) if request.after is not None else None
        keyed = [f for f in found if kinds is None or f.kind in kinds]
        if after is not None:
            last = (after[0].isoformat(), after[1], after[2].value, str(after[3]))
            keyed = [f for f in keyed if f.key > last]
        return Page.cut(keyed, request, lambda f: f.key)

    async def gaps(self, principal: Principal, plan: MonitoringPlan) -> list[Gap]:
        """What the plan lacks (8.2.4 a to f)."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await _gaps(session, plan)

    async def parameters_of(self, principal: Principal, plan_ids: Sequence[UUID]) -> list[PlanParameter]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.parameters_of(session, plan_ids)

    async def page(self, principal: Principal, kind: str, request: PageRequest, **where: UUID | None) -> Page[Any]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if where.get("organisation_id") is not None:
                await require(session, principal, Permission.EMISSION_READ, where["organisation_id"])
            return await rows.page_of(session, kind, principal, request, **where)

    async def by_ids(self, principal: Principal, kind: str, keys: Sequence[UUID]) -> dict[UUID, Any]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.by_ids(session, kind, keys, principal)


def _bad(en: str, zh: str, *path: str) -> CodedError:
    return BAD_PARAMETER(path=path, reason=en, reason_zh=zh)


def _template(code: str) -> Template:
    found = templates().get(clean(code))
    if found is None:
        raise UNKNOWN_TEMPLATE(path=("template",), code=code[:60], known=", ".join(templates()))
    return found


def _must_be(plan: MonitoringPlan, state: PlanState) -> None:
    if plan.state is not state:
        raise PLAN_STATE(path=("planId",), state=plan.state, needed=state)


async def _exists(change: Change, at: UUID) -> None:
    if not await organisations_known(change.unit, [at]):
        raise not_found("Organisation", at, "organisationId")


_TYPES: Final = {"plan": "MonitoringPlan", "instrument": "Instrument", "reading": "ParameterReading"}


async def _reach(change: Change, kind: str, key: UUID, field: str, permission: Permission) -> Any:
    found = (await rows.by_ids(change.unit, kind, [key], change.actor.principal)).get(key)
    if found is None:
        raise not_found(_TYPES[kind], key, field)
    await change.require(permission, found.organisation_id)
    return found


async def _keep(change: Change, plan: MonitoringPlan, given: Sequence[NewParameter]) -> None:
    made = [
        PlanParameter(
            **{n: getattr(p, n) for n in NewParameter.__dataclass_fields__},
            id=uuid7(),
            plan_id=plan.id,
            organisation_id=plan.organisation_id,
        )
        for p in given
    ]
    if made:
        await rows.insert(change.unit, "parameter", made)


async def _references(session: ReadSession, plan: MonitoringPlan, given: Sequence[NewParameter]) -> None:
    """Streams and instruments are the organisation's own."""
    streams = await rows.streams_at(session, plan.organisation_id)
    instruments = {i.id for i in await rows.instruments_of(session, plan.organisation_id)}
    for i, p in enumerate(given):
        if p.stream_id is not None and p.stream_id not in streams:
            raise not_found("EmissionStream", p.stream_id, "parameters", str(i), "streamId")
        if p.instrument_id is not None and p.instrument_id not in instruments:
            raise not_found("Instrument", p.instrument_id, "parameters", str(i), "instrumentId")


async def _gaps(session: ReadSession, plan: MonitoringPlan) -> list[Gap]:
    parameters = await rows.parameters_of(session, [plan.id])
    streams = await rows.streams_at(session, plan.organisation_id)
    unwatched = [name for key, name in streams.items() if key not in {p.stream_id for p in parameters}]
    return gaps(plan, parameters, await rows.instruments_of(session, plan.organisation_id), unwatched)


async def _moved(change: Change, plan: MonitoringPlan, **to: Any) -> MonitoringPlan:
    after = replace(plan, **to)
    await rows.move(change.unit, after)
    await change.audit("MonitoringPlan", plan.id, plan.organisation_id, before=plan, after=after)
    return after
