"""The life of a tenant, for the operator: provision, list, suspend, resume. Needs the owner's login, serves no request.

Each is one transaction and is written into the tenant's own audit trail (without a member: the operator is none).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork
from backend.kit.errors import not_found
from backend.kit.text import tidy
from tenants.access import Role
from tenants.commands import plain
from tenants.domain.members import NewMember, NewRole
from tenants.domain.organisations import wrong
from tenants.domain.tenant import SLUG_TAKEN, Tenant, TenantStatus
from tenants.repository import members
from tenants.repository import tenant as repository


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A new tenant and its first administrator."""

    tenant_id: UUID
    slug: str
    administrator_id: UUID


async def provision(owner: Database, slug: str, name: str, administrator: NewMember) -> Provisioned:
    """Make a tenant and its first administrator, both or neither. Errors: TENANT_SLUG_TAKEN, INVALID_INPUT."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,62}", slug):
        raise wrong(
            f"a short name has 2 to 63 small letters, digits and dashes; got '{slug[:70]}'",
            f"简称由 2 至 63 个小写字母、数字和连字符组成，收到 '{slug[:70]}'",
            "slug",
        )
    if not tidy(name):
        raise wrong("a tenant has a name", "租户须有名称", "name")

    async def work(unit: UnitOfWork) -> Provisioned:
        key = await repository.insert_tenant(unit, slug, tidy(name))
        if key is None:
            raise SLUG_TAKEN(path=("slug",), slug=slug)
        await repository.bind(unit, key)
        made = await members.insert_member(unit, administrator)
        assert made is not None, "the first member of a new tenant"
        role = NewRole(Role.TENANT_ADMINISTRATOR.value, None, valid_from=Clock().today(), reason="first administrator")
        await members.insert_assignment(unit, made.id, role, None)
        await repository.note(unit, "provisionTenant", {"slug": slug, "name": name, "administrator": plain(made)})
        return Provisioned(key, slug, made.id)

    return await owner.write(None, work)


async def list_tenants(owner: Database) -> Sequence[Tenant]:
    """Every tenant, by slug."""
    async with owner.read(None) as session:
        return await repository.all_tenants(session)


async def suspend(owner: Database, slug: str, reason: str) -> Tenant:
    """From now on reads are answered and writes refused (TENANT_SUSPENDED). Errors: NOT_FOUND, INVALID_INPUT."""
    if not tidy(reason):
        raise wrong("say why the tenant is suspended", "请说明停用原因", "reason")
    return await _set_status(owner, slug, TenantStatus.SUSPENDED, tidy(reason))


async def resume(owner: Database, slug: str) -> Tenant:
    """Let it be written again. Errors: NOT_FOUND."""
    return await _set_status(owner, slug, TenantStatus.ACTIVE, None)


async def _set_status(owner: Database, slug: str, status: TenantStatus, because: str | None) -> Tenant:
    async def work(unit: UnitOfWork) -> Tenant:
        found = await repository.set_status(unit, slug, status, because)
        if found is None:
            raise not_found("Tenant", slug)
        await repository.bind(unit, found.id)
        operation = "suspendTenant" if status is TenantStatus.SUSPENDED else "resumeTenant"
        await repository.note(unit, operation, {"status": status.value, "suspendedBecause": because})
        return found

    return await owner.write(None, work)
