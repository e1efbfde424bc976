"""SQL of imports, and of what a file's rows may mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import Row, Uuid, column, select, text
from sqlalchemy.dialects.postgresql import insert as insert_or

from backend.accounting.domain.imports import IMPORT_BROKEN, ActivityImport, ImportMode, ImportState, Refusal
from backend.accounting.tables.imports import activity_import, import_refusal
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_REFUSALS_AT_ONCE: Final = 20_000
_FIELDS: Final = tuple(ActivityImport.__dataclass_fields__)


def _import(row: Row[Any]) -> ActivityImport:
    given = {name: getattr(row, name) for name in _FIELDS}
    return ActivityImport(**given | {"mode": ImportMode(row.mode), "state": ImportState(row.state)})


async def insert(unit: UnitOfWork, made: ActivityImport) -> bool:
    """False when this file is imported into the organisation already, or about to be."""
    row = {name: getattr(made, name) for name in _FIELDS} | {"tenant_id": unit.tenant_id}
    row |= {"mode": made.mode.value, "state": made.state.value}
    return await unit.execute(insert_or(activity_import).values(row).on_conflict_do_nothing()) == 1


async def same_file(
    session: ReadSession, organisation_id: UUID, sha256: str, sheet: str | None
) -> ActivityImport | None:
    """The import that holds the place of this file."""
    statement = select(activity_import).where(
        activity_import.c.organisation_id == organisation_id,
        activity_import.c.sha256 == sha256,
        activity_import.c.sheet.is_not_distinct_from(sheet),
        activity_import.c.state.in_([ImportState.QUEUED.value, ImportState.DONE.value]),
    )
    row = await session.first(statement)
    return _import(row) if row else None


async def close_broken(unit: UnitOfWork, now: datetime) -> None:
    """Imports whose job has ended without them are over: their files may be imported again."""
    problem = {"code": IMPORT_BROKEN.name, "params": {}}
    ended = text("SELECT id FROM job WHERE state IN ('FAILED', 'CANCELLED')").columns(column("id", Uuid))
    await unit.execute(
        activity_import.update()
        .where(
            activity_import.c.state == ImportState.QUEUED.value,
            activity_import.c.job_id.in_(select(ended.subquery().c.id)),
        )
        .values(state=ImportState.FAILED.value, problem=problem, finished_at=now)
    )


async def finish(unit: UnitOfWork, key: UUID, **values: Any) -> None:
    await unit.execute(activity_import.update().where(activity_import.c.id == key).values(**values))


async def imports(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, ActivityImport]:
    """By id; with a principal, only those of organisations whose emissions it may read."""
    statement = select(activity_import).where(activity_import.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.EMISSION_READ, activity_import.c.organisation_id))
    return {row.id: _import(row) for row in await session.rows(statement)}


async def page(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[ActivityImport]:
    """Imports the caller may see, the latest first."""
    statement = select(activity_import).where(
        within(principal, Permission.EMISSION_READ, activity_import.c.organisation_id)
    )
    if organisation_id is not None:
        statement = statement.where(activity_import.c.organisation_id == organisation_id)
    rows = [_import(r) for r in await session.rows(keyset(statement, request, activity_import.c.id, latest_first=True))]
    return Page.cut(rows, request, lambda i: (i.id,))


async def page_of_refusals(session: ReadSession, key: UUID, request: PageRequest) -> Page[Refusal]:
    """The refused rows of an import, in their order."""
    statement = keyset(select(import_refusal).where(import_refusal.c.import_id == key), request, import_refusal.c.row)
    rows = [Refusal(r.row, r.column_name, r.code, r.params, r.written) for r in await session.rows(statement)]
    return Page.cut(rows, request, lambda r: (r.row,))


async def insert_refusals(unit: UnitOfWork, key: UUID, refused: pl.DataFrame) -> None:
    """Columns: row, column, code, params (JSON), written."""
    driver = await unit.driver()
    for part in refused.iter_slices(_REFUSALS_AT_ONCE):
        await driver.execute(
            """
            INSERT INTO import_refusal (tenant_id, import_id, row, column_name, code, params, written)
            SELECT $1, $2, r.row, r.column_name, r.code, r.params::jsonb, r.written
            FROM unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS r (row, column_name, code, params, written)
            """,
            unit.tenant_id,
            key,
            *(part[name].to_list() for name in ("row", "column", "code", "params")),
            part["written"].fill_null("").str.slice(0, 200).to_list(),
        )


_DIRECTORY: Final = """
SELECT o.id AS organisation_id, o.code AS organisation_code, o.name_zh AS organisation_zh, o.name_en AS organisation_en,
       s.id AS source_id, s.code AS source_code, s.name_zh AS source_zh, s.name_en AS source_en, s.category,
       s.direct_kind, t.id AS stream_id, t.code AS stream_code, t.name_zh AS stream_zh, t.name_en AS stream_en,
       t.material, t.unit, t.gas, t.cadence, t.flow
FROM organisation_reach r
JOIN organisation o ON o.id = r.descendant_id
JOIN emission_source s ON s.tenant_id = o.tenant_id AND s.organisation_id = o.id
JOIN emission_stream t ON t.tenant_id = s.tenant_id AND t.source_id = s.id
WHERE r.ancestor_id = :organisation
"""


async def directory(session: ReadSession, organisation_id: UUID) -> Sequence[Row[Any]]:
    """Every stream of an organisation and of all below it today, with the names that rows may call it by."""
    return await session.rows(_DIRECTORY, {"organisation": organisation_id})


async def code_of(session: ReadSession, organisation_id: UUID) -> str:
    """What an organisation is called in files."""
    return str(await session.scalar("SELECT code FROM organisation WHERE id = :id", {"id": organisation_id}))


_DECLARED: Final = """
SELECT d.source_id, d.gas, (d.first_month + make_interval(months => n))::date AS month
FROM declared_result d CROSS JOIN generate_series(0, d.months - 1) n
WHERE d.source_id = ANY (:sources) AND d.superseded_at IS NULL
"""


async def declared_of(session: ReadSession, source_ids: Sequence[UUID]) -> dict[tuple[UUID, str], list[date]]:
    """The months for which sources have declared results, by source and gas."""
    found: dict[tuple[UUID, str], list[date]] = {}
    for row in await session.rows(_DECLARED, {"sources": list(source_ids)}):
        found.setdefault((row.source_id, row.gas), []).append(row.month)
    return found
