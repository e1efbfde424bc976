"""Use cases of projects: entered, taken step by step, measured, claimed; a registered claim issues its lot, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean, tidy
from backend.kit.toolbox import Toolbox
from backend.ledger.codes import MISSING_TEXT, SERIAL_OF_NEW_LOT
from backend.ledger.domain.lots import AssetClass, NewLot, Origin
from backend.ledger.projects import codes, repository
from backend.ledger.projects.domain import (
    APPLIED,
    CANCELLED,
    REGISTERED,
    Claim,
    Event,
    NewProject,
    Project,
    Regime,
    Step,
    Taken,
    check_claim,
    check_claimed_in_time,
    check_let_go,
    check_registrable,
    check_step,
    checked_project,
    methodologies,
    regimes,
    same_body,
)
from backend.ledger.projects.sinks import Removal, Round, Stand, checked_round, checked_stand, countable_t, removals
from backend.ledger.service import LedgerService, must_exist
from backend.ledger.values import check_quantity
from tenants.access import Permission, Principal
from tenants.commands import STALE_VERSION, Actor, Change, Done, perform


@dataclass(frozen=True, slots=True)
class Sink:
    """What is known of a project's trees: stands, measurements, and the removals between them."""

    stands: Sequence[Stand]
    rounds: Sequence[Round]
    removals: Sequence[Removal]


class ProjectService:
    """Projects of a tenant and what is claimed of them (8.3.2, 8.3.3)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewProject) -> Done[Project]:
        """Enter a project. Errors: those of `checked_project`, PROJECT_CODE_TAKEN, MISSING_TEXT, NOT_FOUND."""
        sound = replace(new, code=clean(new.code)[:60], name=tidy(new.name), region=tidy(new.region))
        for what, text in (("code", sound.code), ("name", sound.name)):
            if not text:
                raise MISSING_TEXT(path=(what,), what=what)
        checked_project(sound)

        async def work(change: Change) -> Project:
            await change.require(Permission.ASSET_MANAGE, sound.organisation_id)
            await must_exist(change, sound.organisation_id)
            made = Project(id=uuid7(), **asdict(sound))
            await repository.insert_project(change.unit, made, actor.principal.member_id)
            await change.audit("CarbonProject", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "createCarbonProject", new, Project, work)

    async def take_step(self, actor: Actor, project_id: UUID, taken: Taken) -> Done[Project]:
        """Take a step of the project's life cycle.

        Errors: WRONG_STEP, DOCUMENT_MISSING, NOTICE_RUNS, STEP_BEFORE_LAST, BODY_MISSING, PROJECT_NOT_ELIGIBLE,
        PROJECT_UNITS_HELD, STALE_VERSION, NOT_FOUND, FORBIDDEN.
        """

        async def work(change: Change) -> Project:
            project = await _project(change, project_id, "projectId")
            _expect(project.version, taken)
            regime = regimes()[project.regime]
            step = regime.find(clean(taken.step), project.state)
            events = [e for e in await _events(change.unit, project_id) if e.claim_number == 0]
            sound = _sound(taken)
            check_step(regime, step, sound, events, self.toolbox.clock.today())
            if step.to == REGISTERED:
                check_registrable(regime, project)
            if step.to == CANCELLED and project.state == REGISTERED:
                check_let_go(*await repository.units_held(change.unit, project.id, actor.principal))
            validator = sound.body if step.names == "VALIDATOR" else project.validator
            moved = replace(project, state=step.to, version=project.version + 1, validator=validator)
            if not await repository.move_project(change.unit, moved):
                raise STALE_VERSION(path=("expectedVersion",), actual=moved.version, expected=project.version)
            await _note(change, project_id, 0, events, step, sound)
            await change.audit("CarbonProject", project.id, project.organisation_id, before=project, after=moved)
            return moved

        body = {"project": project_id, "taken": taken}
        return await perform(self.toolbox, actor, "takeProjectStep", body, Project, work)

    async def claim(self, actor: Actor, new: Claim) -> Done[Claim]:
        """Claim reductions of a period. Errors: PROJECT_NOT_REGISTERED, CLAIM_OUTSIDE, CLAIM_OVERLAPS, BAD_QUANTITY."""
        check_quantity(new.quantity_t)

        async def work(change: Change) -> Claim:
            project = await _project(change, new.project_id, "projectId")
            if project.state != REGISTERED:
                raise codes.NOT_REGISTERED(path=("projectId",), **codes.in_state(project.state))
            check_claim(regimes()[project.regime], project, new.period_from, new.period_to)
            before = (await repository.claims_of(change.unit, [project.id])).get(project.id, [])
            made = replace(new, id=uuid7(), number=len(before) + 1, validator=project.validator)
            await repository.insert_claim(change.unit, made, actor.principal.member_id)
            await change.audit("ProjectClaim", made.id, project.organisation_id, after=made)
            return made

        body = {n: v for n, v in asdict(new).items() if n != "id"}
        return await perform(self.toolbox, actor, "claimReductions", body, Claim, work)

    async def take_claim_step(self, actor: Actor, claim_id: UUID, taken: Taken) -> Done[Claim]:
        """Take a step of a claim; the one that registers it issues its lot in the same transaction.

        Errors: as `take_step`, SAME_BODY, VERIFIED_MORE, MEASURED_LESS, SERIAL_OF_NEW_LOT, CLAIM_OUTSIDE, those of
        issuing.
        """

        async def work(change: Change) -> Claim:
            claim = (await repository.claims(change.unit, [claim_id], actor.principal)).get(claim_id)
            if claim is None:
                raise not_found("ProjectClaim", claim_id, "claimId")
            project = await _project(change, claim.project_id, "claimId")
            _expect(claim.version, taken)
            regime = regimes()[project.regime]
            step = regime.find(clean(taken.step), claim.state, claim=True)
            events = [e for e in await _events(change.unit, project.id) if e.claim_number == claim.number]
            sound = _sound(taken)
            check_step(regime, step, sound, events, self.toolbox.clock.today())
            moved = await self._moved(change, (regime, project, step), claim, sound)
            if not await repository.move_claim(change.unit, moved):
                raise STALE_VERSION(path=("expectedVersion",), actual=moved.version, expected=claim.version)
            await _note(change, project.id, claim.number, events, step, sound)
            await change.audit("ProjectClaim", claim.id, project.organisation_id, before=claim, after=moved)
            return moved

        body = {"claim": claim_id, "taken": taken}
        return await perform(self.toolbox, actor, "takeClaimStep", body, Claim, work)

    async def _moved(self, change: Change, at: tuple[Regime, Project, Step], claim: Claim, taken: Taken) -> Claim:
        regime, project, step = at
        moved = replace(claim, state=step.to, version=claim.version + 1)
        if step.names == "VERIFIER":
            if same_body(taken.body, project.validator):
                raise codes.SAME_BODY(path=("body",), body=taken.body, source=regime.source)
            verified_t = claim.quantity_t if taken.verified_t is None else taken.verified_t
            if not 1 <= verified_t <= claim.quantity_t:
                raise codes.VERIFIED_MORE(path=("verified",), verified=verified_t, claimed=claim.quantity_t)
            if methodologies()[project.methodology].sink:
                await _check_measured(change.unit, project, claim, verified_t)
            moved = replace(moved, verifier=taken.body, verified_t=verified_t)
        if taken.serial is not None and step.to != REGISTERED:
            raise SERIAL_OF_NEW_LOT(path=("serial",), what=f"the step {step.code}", what_zh=f"步骤 {step.code} ")
        if step.to == APPLIED:
            check_claimed_in_time(regime, claim, taken.happened_on)
        if step.to == REGISTERED:
            if project.state != REGISTERED:
                raise codes.NOT_REGISTERED(path=("claimId",), **codes.in_state(project.state))
            moved = replace(moved, lot_id=await self._issued(change, regime, project, moved, taken))
        return moved

    async def _issued(self, change: Change, regime: Regime, project: Project, claim: Claim, taken: Taken) -> UUID:
        assert claim.verified_t is not None, "what is registered was verified"
        lot = NewLot(
            AssetClass.CCER, regime.scheme, f"{project.code}-{claim.number}", claim.verified_t, Origin.ISSUED_CREDIT,
            project.organisation_id, taken.happened_on, (claim.period_to - timedelta(days=1)).year,
            f"{project.code} {project.name}", serial=taken.serial, evidence=next(iter(taken.documents.values()), ""),
        )  # fmt: skip
        return (await LedgerService(self.toolbox).issue_one(change, lot, "happenedOn")).id

    async def record_stand(self, actor: Actor, new: Stand, replaces_because: str) -> Done[Stand]:
        """Record a stand of trees. Errors: BAD_STAND, SINK_RECORDED, MISSING_TEXT, NOT_FOUND, FORBIDDEN."""
        sound = checked_stand(
            replace(new, code=clean(new.code)[:60], species=tidy(new.species), planting_plan=tidy(new.planting_plan))
        )
        for what, text in (("code", sound.code), ("species", sound.species)):
            if not text:
                raise MISSING_TEXT(path=(what,), what=what)

        async def work(change: Change) -> Stand:
            project = await _project(change, sound.project_id, "projectId")
            await repository.keep_stand(change.unit, sound, tidy(replaces_because), actor.principal.member_id)
            await change.audit("CarbonProject", project.id, project.organisation_id, after=sound)
            return sound

        body = {"new": new, "because": replaces_because}
        return await perform(self.toolbox, actor, "recordSinkStand", body, Stand, work)

    async def record_round(self, actor: Actor, new: Round, replaces_because: str) -> Done[Round]:
        """Record a measurement. Errors: BAD_STAND, SINK_RECORDED, STEP_BEFORE_LAST, MISSING_TEXT, NOT_FOUND."""
        sound = checked_round(replace(new, evidence=tidy(new.evidence)))
        today = self.toolbox.clock.today()
        if not sound.evidence:
            raise MISSING_TEXT(path=("evidence",), what="evidence")

        async def work(change: Change) -> Round:
            project = await _project(change, sound.project_id, "projectId")
            if not project.begun_on <= sound.measured_on <= today:
                raise codes.STEP_BEFORE_LAST(path=("measuredOn",), day=str(sound.measured_on),
                                             earliest=str(project.begun_on), today=str(today))  # fmt: skip
            await repository.keep_round(change.unit, sound, tidy(replaces_because), actor.principal.member_id)
            await change.audit("CarbonProject", project.id, project.organisation_id, after=sound)
            return sound

        body = {"new": new, "because": replaces_because}
        return await perform(self.toolbox, actor, "recordMonitoringRound", body, Round, work)

    async def page(self, principal: Principal, request: PageRequest, organisation_id: UUID | None) -> Page[Project]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_projects(session, principal, request, organisation_id)

    async def projects(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Project]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.projects(session, keys, principal)

    async def claims(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Claim]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.claims(session, keys, principal)

    async def parts(
        self, principal: Principal, kind: Literal["claims", "events"], project_ids: Sequence[UUID]
    ) -> dict[UUID, list[Any]]:
        """Claims or events of projects the caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if kind == "claims":
                return await repository.claims_of(session, project_ids)
            return await repository.events_of(session, project_ids)

    async def sinks(self, principal: Principal, shown: Sequence[Project]) -> dict[UUID, Sink]:
        """The trees of projects the caller was shown."""
        keys = [p.id for p in shown]
        async with self.toolbox.database.read(principal.tenant_id) as session:
            stands = await repository.stands_of(session, keys)
            rounds = await repository.rounds_of(session, keys)
        by = methodologies()
        return {
            p.id: Sink(stands.get(p.id, []), rounds.get(p.id, []), removals(rounds.get(p.id, []), by[p.methodology]))
            for p in shown
        }


async def _check_measured(session: ReadSession, project: Project, claim: Claim, verified_t: int) -> None:
    """A sink is verified for no more than its rounds count. Errors: MEASURED_LESS."""
    rounds = (await repository.rounds_of(session, [project.id])).get(project.id, [])
    found = removals(rounds, methodologies()[project.methodology])
    counted = countable_t(found, claim.period_from, claim.period_to)
    if verified_t > counted:
        raise codes.MEASURED_LESS(path=("verified",), verified=verified_t, counted=counted,
                                  first=str(claim.period_from), last=str(claim.period_to))  # fmt: skip


async def _project(change: Change, project_id: UUID, field: str) -> Project:
    found = (await repository.projects(change.unit, [project_id], change.actor.principal)).get(project_id)
    if found is None:
        raise not_found("CarbonProject", project_id, field)
    await change.require(Permission.ASSET_MANAGE, found.organisation_id)
    return found


async def _events(session: ReadSession, project_id: UUID) -> list[Event]:
    return (await repository.events_of(session, [project_id])).get(project_id, [])


async def _note(
    change: Change, project_id: UUID, claim: int, events: Sequence[Event], step: Step, taken: Taken
) -> None:
    number = repository.next_number(events)
    made = Event(claim, number, step.code, step.to, taken.happened_on, taken.documents, taken.note)
    await repository.insert_event(change.unit, project_id, made, change.actor.principal.member_id)


def _sound(taken: Taken) -> Taken:
    documents = {clean(kind): tidy(reference) for kind, reference in taken.documents.items()}
    return replace(taken, documents=documents, body=tidy(taken.body), note=tidy(taken.note))


def _expect(version: int, taken: Taken) -> None:
    if taken.expected_version not in {None, version}:
        raise STALE_VERSION(path=("expectedVersion",), actual=version, expected=taken.expected_version)
