"""Boundary settings: the nearest on the way up, as of a day, as known at a moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, func, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within
from tenants.domain.boundaries import BoundaryKey, BoundarySetting, NewSetting, Spell, read
from tenants.repository.rows import is_one_of
from tenants.tables import boundary_setting

_NEAREST: Final = """
SELECT DISTINCT ON (c.descendant_id, s.key)
       c.descendant_id, s.*, lower(s.valid) AS valid_from, upper(s.valid) AS valid_until
FROM organisation_closure c
JOIN boundary_setting s ON s.tenant_id = c.tenant_id AND s.organisation_id = c.ancestor_id
WHERE c.descendant_id = ANY (CAST(:keys AS uuid[]))
  AND c.valid @> CAST(:as_of AS date) AND s.valid @> CAST(:as_of AS date)
  AND s.recorded_at <= coalesce(CAST(:known_at AS timestamptz), 'infinity')
  AND (s.superseded_at IS NULL OR s.superseded_at > CAST(:known_at AS timestamptz))
ORDER BY c.descendant_id, s.key, c.depth
"""


async def nearest(
    session: ReadSession, keys: Collection[UUID], as_of: date, known_at: datetime | None
) -> Mapping[UUID, Mapping[BoundaryKey, BoundarySetting]]:
    """For each organisation and key the setting that wins on a day, as known at a moment (None: now)."""
    found: dict[UUID, dict[BoundaryKey, BoundarySetting]] = defaultdict(dict)
    for row in await session.rows(_NEAREST, {"keys": list(keys), "as_of": as_of, "known_at": known_at}):
        found[row.descendant_id][BoundaryKey(row.key)] = to_setting(row)
    return found


_SPELLS: Final = """
SELECT c.descendant_id, c.depth, s.value, lower(s.valid * c.valid) AS since, upper(s.valid * c.valid) AS until
FROM boundary_setting s
JOIN organisation_closure c ON c.tenant_id = s.tenant_id AND c.ancestor_id = s.organisation_id AND c.valid && s.valid
WHERE s.key = :key AND s.superseded_at IS NULL AND c.descendant_id = ANY (CAST(:keys AS uuid[]))
"""


async def spells(session: ReadSession, keys: Collection[UUID], key: BoundaryKey) -> dict[UUID, list[Spell]]:
    """All settings of a key that reach these organisations at some time."""
    if await session.scalar("SELECT NOT EXISTS (SELECT FROM boundary_setting WHERE key = :key)", {"key": key.value}):
        return {}
    found: dict[UUID, list[Spell]] = defaultdict(list)
    for row in await session.rows(_SPELLS, {"keys": list(keys), "key": key.value}):
        value = tuple(row.value) if isinstance(row.value, list) else row.value
        found[row.descendant_id].append(Spell(row.depth, read(key, value), row.since, row.until))
    return found


def to_setting(row: Row[Any]) -> BoundarySetting:
    return BoundarySetting(
        id=row.id,
        organisation_id=row.organisation_id,
        key=BoundaryKey(row.key),
        written=tuple(row.value) if isinstance(row.value, list) else row.value,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        reason=row.reason,
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        superseded_at=row.superseded_at,
    )


_SETTING: Final = select(
    boundary_setting,
    func.lower(boundary_setting.c.valid).label("valid_from"),
    func.upper(boundary_setting.c.valid).label("valid_until"),
)


async def settings(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, BoundarySetting]:
    """By id, those the caller may read."""
    visible = within(principal, Permission.ORGANISATION_READ, boundary_setting.c.organisation_id)
    rows = await session.rows(_SETTING.where(is_one_of(boundary_setting.c.id, keys), visible))
    return {row.id: to_setting(row) for row in rows}


async def page_of_settings(session: ReadSession, organisation_id: UUID, request: PageRequest) -> Page[BoundarySetting]:
    """All that was ever recorded at one organisation, superseded records too, the latest first."""
    statement = _SETTING.where(boundary_setting.c.organisation_id == organisation_id)
    rows = await session.rows(keyset(statement, request, boundary_setting.c.id, latest_first=True))
    return Page.cut([to_setting(row) for row in rows], request, lambda x: (x.id,))


_COLLIDING: Final = """
SELECT s.*, lower(s.valid) AS valid_from, upper(s.valid) AS valid_until FROM boundary_setting s
WHERE s.organisation_id = :organisation_id AND s.key = :key AND s.superseded_at IS NULL
  AND s.valid && daterange(CAST(:since AS date), CAST(:until AS date))
ORDER BY s.valid
"""
_OVERRIDDEN: Final = """
SELECT EXISTS (
  SELECT FROM organisation_closure c
  JOIN boundary_setting s ON s.tenant_id = c.tenant_id AND s.organisation_id = c.ancestor_id
  WHERE c.descendant_id = :organisation_id AND c.depth > 0 AND s.key = :key AND s.superseded_at IS NULL
    AND s.valid * c.valid && daterange(CAST(:since AS date), CAST(:until AS date))
)
"""


async def colliding(
    unit: UnitOfWork, organisation_id: UUID, key: BoundaryKey, since: date, until: date | None
) -> list[BoundarySetting]:
    """What is set at the node itself for any of these days."""
    parameters = {"organisation_id": organisation_id, "key": key.value, "since": since, "until": until}
    return [to_setting(row) for row in await unit.rows(_COLLIDING, parameters)]


async def is_set_above(
    unit: UnitOfWork, organisation_id: UUID, key: BoundaryKey, since: date, until: date | None
) -> bool:
    """Whether an organisation above sets the key for any of these days."""
    parameters = {"organisation_id": organisation_id, "key": key.value, "since": since, "until": until}
    return bool(await unit.scalar(_OVERRIDDEN, parameters))


_INSERT: Final = """
INSERT INTO boundary_setting (tenant_id, id, organisation_id, key, value, valid, reason, recorded_by)
VALUES (:tenant_id, :id, :organisation_id, :key, CAST(:value AS jsonb),
        daterange(CAST(:valid_from AS date), CAST(:valid_until AS date)), :reason, :recorded_by)
"""


async def insert_setting(unit: UnitOfWork, new: NewSetting) -> BoundarySetting:
    """The setting as it was recorded."""
    key = uuid7()
    parameters = asdict(new) | {
        "tenant_id": unit.tenant_id,
        "id": key,
        "key": new.key.value,
        "value": orjson.dumps(new.written).decode(),
    }
    del parameters["written"]
    await unit.execute(_INSERT, parameters)
    row = await unit.first(_SETTING.where(boundary_setting.c.id == key))
    assert row is not None
    return to_setting(row)


async def supersede(unit: UnitOfWork, keys: Collection[UUID]) -> None:
    """From now on these records are history."""
    statement = boundary_setting.update().where(is_one_of(boundary_setting.c.id, keys))
    await unit.execute(statement.values(superseded_at=func.now()))
