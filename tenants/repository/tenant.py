"""The tenant's own row, as the application and as the owner see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from tenants.domain.tenant import Tenant, TenantSettings, TenantStatus
from tenants.tables import tenant

_SETTINGS: Final = fields(TenantSettings)


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        id=row.id,
        slug=row.slug,
        name=row.name,
        status=TenantStatus(row.status),
        suspended_because=row.suspended_because,
        settings=_settings(row.settings),
        created_at=row.created_at,
    )


def _settings(written: Mapping[str, Any]) -> TenantSettings:
    known = {f.name: written[f.name] for f in _SETTINGS if f.name in written}
    if "deadline_reminder_days" in known:
        known["deadline_reminder_days"] = tuple(known["deadline_reminder_days"])
    return TenantSettings(**known)


async def own_tenant(session: ReadSession) -> Tenant:
    row = await session.first(select(tenant).where(tenant.c.id == session.tenant_id))
    assert row is not None
    return _tenant(row)


async def knows_zone(session: ReadSession, zone: str) -> bool:
    return bool(await session.scalar("SELECT true FROM pg_timezone_names WHERE name = :zone", {"zone": zone}))


async def set_settings(unit: UnitOfWork, settings: TenantSettings) -> None:
    await unit.execute(tenant.update().where(tenant.c.id == unit.tenant_id).values(settings=asdict(settings)))


async def insert_tenant(unit: UnitOfWork, slug: str, name: str) -> UUID | None:
    """As the owner: a new tenant's id; None when the slug is taken."""
    key = uuid7()
    row = {"id": key, "slug": slug, "name": name}
    inserted = await unit.execute(insert(tenant).values(row).on_conflict_do_nothing(index_elements=["slug"]))
    return key if inserted else None


async def bind(unit: UnitOfWork, tenant_id: UUID) -> None:
    """As the owner: go on inside one tenant."""
    await unit.execute("SELECT set_config('app.tenant_id', :t, true)", {"t": str(tenant_id)})
    unit.tenant_id = tenant_id


async def all_tenants(session: ReadSession) -> Sequence[Tenant]:
    """As the owner: every tenant, by slug."""
    return [_tenant(row) for row in await session.rows(select(tenant).order_by(tenant.c.slug))]


async def set_status(unit: UnitOfWork, slug: str, status: TenantStatus, because: str | None) -> Tenant | None:
    """As the owner: the tenant as it now is; None when there is no such one."""
    values = {"status": status.value, "suspended_because": because}
    await unit.execute(tenant.update().where(tenant.c.slug == slug).values(values))
    row = await unit.first(select(tenant).where(tenant.c.slug == slug))
    return _tenant(row) if row is not None else None


_NOTE: Final = """
INSERT INTO audit_event (tenant_id, id, operation, subject_type, subject_id, after)
VALUES (:tenant_id, :id, :operation, 'Tenant', :tenant_id, CAST(:after AS jsonb))
"""


async def note(unit: UnitOfWork, operation: str, after: dict[str, object]) -> None:
    """As the owner: write down in the tenant's audit trail what the operator did."""
    parameters = {"tenant_id": unit.tenant_id, "id": uuid7(), "operation": operation}
    await unit.execute(_NOTE, parameters | {"after": orjson.dumps(after).decode()})
