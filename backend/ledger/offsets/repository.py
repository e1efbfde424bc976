"""All SQL of offset surrenders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.refusals import Refusal
from backend.ledger.offsets.domain import OffsetCause, OffsetStep, OffsetSurrender, StepTaken
from backend.ledger.offsets.tables import offset_surrender, offset_surrender_step
from tenants.access import Permission, Principal, within

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('offset surrender ' || :name, 0))"
_UNFINISHED: Final = """
SELECT s.id FROM offset_surrender s WHERE NOT EXISTS (
  SELECT FROM offset_surrender_step e
  WHERE e.tenant_id = s.tenant_id AND e.surrender_id = s.id AND e.step IN ('SURRENDERED', 'VOIDED'))
"""
_step = offset_surrender_step
_STATE: Final = (
    select(_step.c.step)
    .where(_step.c.tenant_id == offset_surrender.c.tenant_id, _step.c.surrender_id == offset_surrender.c.id)
    .order_by(_step.c.number.desc())
    .limit(1)
    .scalar_subquery()
)


async def lock(unit: UnitOfWork, key: UUID) -> None:
    """Until the unit of work ends nobody else takes a step of this surrender."""
    await unit.execute(_LOCK, {"name": f"{unit.tenant_id} {key}"})


async def begin(unit: UnitOfWork, made: OffsetSurrender) -> None:
    """Keep a surrender without its steps."""
    row = {n: getattr(made, n) for n in OffsetSurrender.__dataclass_fields__ if n not in {"steps", "recorded_at"}}
    await unit.execute(offset_surrender.insert(), row | {"tenant_id": unit.tenant_id})


async def take(unit: UnitOfWork, found: OffsetSurrender, step: StepTaken) -> None:
    """Keep the next step; the database refuses one that does not follow."""
    row = {n: getattr(step, n) for n in StepTaken.__dataclass_fields__ if n not in {"taken_at", "refusal"}}
    if step.refusal is not None:
        row |= {"refusal_code": step.refusal.code, "refusal_params": dict(step.refusal.params)}
    key = {"tenant_id": unit.tenant_id, "surrender_id": found.id, "number": len(found.steps) + 1}
    await unit.execute(offset_surrender_step.insert(), row | key)


async def surrenders(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, OffsetSurrender]:
    """By id; with a principal, only those of organisations whose assets it may read."""
    statement = select(offset_surrender).where(offset_surrender.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(_visible(principal))
    return {s.id: s for s in await _with_steps(session, await session.rows(statement))}


async def unfinished(session: ReadSession) -> list[OffsetSurrender]:
    """Those that have not come to an end."""
    keys = [row.id for row in await session.rows(_UNFINISHED)]
    return list((await surrenders(session, keys)).values())


async def page_of_surrenders(
    session: ReadSession,
    principal: Principal,
    request: PageRequest,
    organisation_id: UUID | None,
    state: OffsetStep | None,
) -> Page[OffsetSurrender]:
    """The latest first."""
    statement: Select[Any] = select(offset_surrender).where(_visible(principal))
    if organisation_id is not None:
        statement = statement.where(offset_surrender.c.organisation_id == organisation_id)
    if state is not None:
        statement = statement.where(func.coalesce(_STATE, "") == state.value)
    rows = await session.rows(keyset(statement, request, offset_surrender.c.id, latest_first=True))
    return Page.cut(await _with_steps(session, rows), request, lambda s: (s.id,))


def _visible(principal: Principal) -> Any:
    return within(principal, Permission.ASSET_READ, offset_surrender.c.organisation_id)


async def _with_steps(session: ReadSession, rows: Sequence[Row[Any]]) -> list[OffsetSurrender]:
    steps: dict[UUID, list[StepTaken]] = defaultdict(list)
    if rows:
        taken = select(_step).where(_step.c.surrender_id.in_([r.id for r in rows])).order_by(_step.c.number)
        for row in await session.rows(taken):
            steps[row.surrender_id].append(_taken(row))
    fields = OffsetSurrender.__dataclass_fields__.keys() - {"steps"}
    return [OffsetSurrender(**{n: getattr(r, n) for n in fields}, steps=tuple(steps[r.id])) for r in rows]


def _taken(row: Row[Any]) -> StepTaken:
    fields = {n: getattr(row, n) for n in StepTaken.__dataclass_fields__ if n != "refusal"}
    cause = row.cause and OffsetCause(row.cause)
    refusal = row.refusal_code and Refusal(row.refusal_code, (), row.refusal_params)
    return StepTaken(**fields | {"step": OffsetStep(row.step), "cause": cause, "refusal": refusal})
