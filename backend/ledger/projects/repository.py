"""SQL of projects, their steps, claims and sinks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Table, func, select
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.projects import codes
from backend.ledger.projects.domain import Claim, Event, Project
from backend.ledger.projects.sinks import Round, Stand
from backend.ledger.projects.tables import carbon_project, monitoring_round, project_claim, project_event, sink_stand
from backend.ledger.tables import asset_account, asset_balance, asset_lot
from tenants.access import Permission, Principal, within

_MOVE_PROJECT: Final = """
UPDATE carbon_project SET state = :state, version = version + 1, validator = :validator
WHERE id = :id AND version = :version
"""
_MOVE_CLAIM: Final = """
UPDATE project_claim SET state = :state, version = version + 1, verifier = :verifier, verified_t = :verified_t,
       lot_id = :lot_id
WHERE id = :id AND version = :version
"""
_LOCK: Final = "SELECT id FROM carbon_project WHERE id = :id FOR UPDATE"
_HELD: Final = "SELECT carbon_project_held(:tenant_id, :id)"
_SUPERSEDE: Final = {
    "sink_stand": "UPDATE sink_stand SET superseded_at = now(), superseded_because = :reason "
    "WHERE project_id = :project AND code = :key AND superseded_at IS NULL",
    "monitoring_round": "UPDATE monitoring_round SET superseded_at = now(), superseded_because = :reason "
    "WHERE project_id = :project AND measured_on = :key AND superseded_at IS NULL",
}


def _made(into: Any, row: Row[Any]) -> Any:
    return into(**{n: getattr(row, n) for n in into.__dataclass_fields__})


async def projects(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, Project]:
    visible = within(principal, Permission.ASSET_READ, carbon_project.c.organisation_id)
    rows = await session.rows(select(carbon_project).where(carbon_project.c.id.in_(keys), visible))
    return {r.id: _made(Project, r) for r in rows}


async def page_of_projects(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[Project]:
    """By code."""
    of = carbon_project
    statement = select(of).where(within(principal, Permission.ASSET_READ, of.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(of.c.organisation_id == organisation_id)
    rows = await session.rows(keyset(statement, request, of.c.code, of.c.id))
    return Page.cut([_made(Project, r) for r in rows], request, lambda p: (p.code, p.id))


async def claims(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, Claim]:
    """Claims by id, of projects that may be read."""
    visible = within(principal, Permission.ASSET_READ, carbon_project.c.organisation_id)
    rows = await session.rows(
        select(project_claim)
        .join(
            carbon_project,
            (carbon_project.c.tenant_id == project_claim.c.tenant_id)
            & (carbon_project.c.id == project_claim.c.project_id),
        )
        .where(project_claim.c.id.in_(keys), visible)
    )
    return {r.id: _made(Claim, r) for r in rows}


async def claims_of(session: ReadSession, project_ids: Collection[UUID]) -> dict[UUID, list[Claim]]:
    """Of each project, in order."""
    of = project_claim
    return await _grouped(session, of, Claim, project_ids, of.c.number)


async def events_of(session: ReadSession, project_ids: Collection[UUID]) -> dict[UUID, list[Event]]:
    """Steps taken, of each project and its claims, in order."""
    of = project_event
    return await _grouped(session, of, Event, project_ids, of.c.claim_number, of.c.number)


async def stands_of(session: ReadSession, project_ids: Collection[UUID]) -> dict[UUID, list[Stand]]:
    """Stands in force, by code."""
    return await _grouped(session, sink_stand, Stand, project_ids, sink_stand.c.code)


async def rounds_of(session: ReadSession, project_ids: Collection[UUID]) -> dict[UUID, list[Round]]:
    """Rounds in force, by day."""
    return await _grouped(session, monitoring_round, Round, project_ids, monitoring_round.c.measured_on)


async def _grouped(
    session: ReadSession, of: Table, into: Any, project_ids: Collection[UUID], *order: Any
) -> dict[UUID, list[Any]]:
    statement = select(of).where(of.c.project_id.in_(project_ids)).order_by(*order)
    if "superseded_at" in of.c:
        statement = statement.where(of.c.superseded_at.is_(None))
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in await session.rows(statement):
        found[row.project_id].append(_made(into, row))
    return found


async def insert_project(unit: UnitOfWork, made: Project, created_by: UUID) -> None:
    """Errors: PROJECT_CODE_TAKEN."""
    taken = codes.PROJECT_CODE_TAKEN(path=("code",), code=made.code)
    await _insert(unit, carbon_project, made, {"carbon_project_code": lambda: taken}, created_by=created_by)


async def insert_claim(unit: UnitOfWork, made: Claim, created_by: UUID) -> None:
    """Errors: CLAIM_OVERLAPS."""
    span = {"first": str(made.period_from), "last": str(made.period_to)}
    overlap: Callable[[], CodedError] = lambda: codes.CLAIM_OVERLAPS(path=("periodFrom",), **span)  # noqa: E731
    refused = {"a_day_is_claimed_once": overlap, "project_claim_number": overlap}
    await _insert(unit, project_claim, made, refused, created_by=created_by)


async def insert_event(unit: UnitOfWork, project_id: UUID, made: Event, recorded_by: UUID) -> None:
    fields = {k: v for k, v in asdict(made).items() if k != "recorded_at"}
    row = {"tenant_id": unit.tenant_id, "id": uuid7(), "project_id": project_id, "recorded_by": recorded_by}
    await unit.execute(project_event.insert(), row | fields)


async def keep_stand(unit: UnitOfWork, made: Stand, reason: str, recorded_by: UUID) -> None:
    """Errors: SINK_RECORDED."""
    await _keep(unit, sink_stand, made, ("sink_stand_code", made.code), reason, recorded_by)


async def keep_round(unit: UnitOfWork, made: Round, reason: str, recorded_by: UUID) -> None:
    """Errors: SINK_RECORDED."""
    await _keep(unit, monitoring_round, made, ("monitoring_round_of_day", made.measured_on), reason, recorded_by)


async def _keep(
    unit: UnitOfWork, of: Table, made: Stand | Round, key: tuple[str, Any], reason: str, recorded_by: UUID
) -> None:
    if reason:
        await unit.execute(_SUPERSEDE[of.name], {"project": made.project_id, "key": key[1], "reason": reason})
    refused = {key[0]: lambda: codes.SINK_RECORDED(path=(), what=str(key[1]))}
    await _insert(unit, of, made, refused, id=uuid7(), recorded_by=recorded_by)


async def _insert(
    unit: UnitOfWork, of: Table, made: Any, refused: Mapping[str, Callable[[], CodedError]], **same: Any
) -> None:
    try:
        await unit.execute(of.insert(), asdict(made) | same | {"tenant_id": unit.tenant_id})
    except DBAPIError as error:
        raise translate(error, refused) from error


async def move_project(unit: UnitOfWork, moved: Project) -> bool:
    """From the version before; False when somebody was faster."""
    keys = {n: getattr(moved, n) for n in ("id", "state", "validator")}
    return bool(await unit.execute(_MOVE_PROJECT, keys | {"version": moved.version - 1}))


async def units_held(unit: UnitOfWork, project_id: UUID, principal: Principal) -> tuple[int, int]:
    """Units of a project in accounts of organisations (t), and those of them that may be seen; until the unit of work
    ends no claim of it is registered and none come back.
    """
    await unit.execute(_LOCK, {"id": project_id})
    held: int = await unit.scalar(_HELD, {"tenant_id": unit.tenant_id, "id": project_id})
    project = carbon_project.c
    names = (project.code, project.name, project.code + " " + project.name)
    seen = (
        select(func.coalesce(func.sum(asset_balance.c.quantity_t), 0))
        .join(asset_lot, asset_lot.c.id == asset_balance.c.lot_id)
        .join(carbon_project, asset_lot.c.project.in_(names))
        .join(asset_account, asset_account.c.id == asset_balance.c.account_id)
        .where(asset_account.c.organisation_id.is_not(None), project.id == project_id)
        .where(within(principal, Permission.ASSET_READ, asset_account.c.organisation_id))
    )
    return held, int(await unit.scalar(seen))


async def move_claim(unit: UnitOfWork, moved: Claim) -> bool:
    """From the version before; False when somebody was faster. Errors: SAME_BODY is the domain's to find."""
    keys = {n: getattr(moved, n) for n in ("id", "state", "verifier", "verified_t", "lot_id")}
    return bool(await unit.execute(_MOVE_CLAIM, keys | {"version": moved.version - 1}))


def next_number(events: Sequence[Event]) -> int:
    """Of the next step of the same life cycle."""
    return max((e.number for e in events), default=0) + 1
