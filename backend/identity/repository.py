"""All SQL of the identity slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from asyncpg import Range
from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import IntegrityError

from backend.identity.domain import (
    ISSUER_ALREADY_TRUSTED,
    OWN_ISSUER,
    ClientStatus,
    NewPartnerClient,
    NewTrustedIssuer,
    PartnerClient,
    TrustedIssuer,
)
from backend.identity.tables import oauth_client, oauth_client_secret, signing_key, trusted_issuer
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Principal, Role
from tenants.domain.members import MemberKind
from tenants.repository import grants_of
from tenants.tables import member, role_assignment, tenant


async def tenant_named(session: ReadSession, name: str) -> UUID | None:
    """The tenant of a slug or id; needs no tenant to be bound."""
    found: UUID | None = await session.scalar("SELECT find_tenant(:name)", {"name": name})
    return found


async def organisation_named(session: ReadSession, code: str) -> UUID | None:
    """The organisation of a code in the tenant of the session."""
    found: UUID | None = await session.scalar("SELECT id FROM organisation WHERE code = :code", {"code": code})
    return found


@dataclass(frozen=True, slots=True)
class Membership:
    """A member as a request finds it, with what it may do today."""

    principal: Principal
    kind: MemberKind
    active: bool


async def membership(session: ReadSession, issuer: str, subject: str) -> Membership | None:
    """Who a subject of an issuer is in the tenant of the session."""
    columns = (member.c.id, member.c.display_name, member.c.kind, member.c.status)
    statement = select(*columns).where(
        member.c.tenant_id == session.tenant_id, member.c.issuer == issuer, member.c.subject == subject
    )
    row = await session.first(statement)
    if row is None or session.tenant_id is None:
        return None
    principal = Principal(session.tenant_id, row.id, row.display_name, await grants_of(session, row.id))
    return Membership(principal, MemberKind(row.kind), row.status == "ACTIVE")


# Trusted issuers


def _issuer(row: Row[Any]) -> TrustedIssuer:
    return TrustedIssuer(
        row.id, row.issuer, row.audience, row.jwks_uri, tuple(row.algorithms), row.subject_claim, row.added_at
    )


async def issuer_named(session: ReadSession, issuer: str) -> TrustedIssuer | None:
    row = await session.first(select(trusted_issuer).where(trusted_issuer.c.issuer == issuer))
    return row and _issuer(row)


async def issuers(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, TrustedIssuer]:
    rows = await session.rows(select(trusted_issuer).where(trusted_issuer.c.id.in_(keys)))
    return {row.id: _issuer(row) for row in rows}


async def page_of_issuers(session: ReadSession, request: PageRequest) -> Page[TrustedIssuer]:
    """By address."""
    statement = keyset(select(trusted_issuer), request, trusted_issuer.c.issuer, trusted_issuer.c.id)
    rows = [_issuer(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda i: (i.issuer, i.id))


async def insert_issuer(unit: UnitOfWork, new: NewTrustedIssuer) -> TrustedIssuer:
    """Errors: ISSUER_ALREADY_TRUSTED."""
    key = uuid7()
    try:
        await unit.execute(trusted_issuer.insert(), {**asdict(new), "tenant_id": unit.tenant_id, "id": key})
    except IntegrityError as error:
        taken = ISSUER_ALREADY_TRUSTED(path=("issuer",), issuer=new.issuer)
        raise translate(error, {"trusted_issuer_key": lambda: taken}) from error
    return (await issuers(unit, [key]))[key]


async def delete_issuer(unit: UnitOfWork, key: UUID) -> None:
    await unit.execute(trusted_issuer.delete().where(trusted_issuer.c.id == key))


# Partner clients


def _client(row: Row[Any]) -> PartnerClient:
    return PartnerClient(
        row.id, row.client_id, row.member_id, row.name, tuple(row.scopes), ClientStatus(row.status), row.created_at
    )


async def clients(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, PartnerClient]:
    rows = await session.rows(select(oauth_client).where(oauth_client.c.id.in_(keys)))
    return {row.id: _client(row) for row in rows}


async def page_of_clients(session: ReadSession, request: PageRequest) -> Page[PartnerClient]:
    """By name."""
    statement = keyset(select(oauth_client), request, oauth_client.c.name, oauth_client.c.id)
    rows = [_client(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda c: (c.name, c.id))


async def insert_client(unit: UnitOfWork, new: NewPartnerClient, digest: str, granted_by: UUID, today: date) -> UUID:
    """The client, the member it is, the role it has where it is let in, and its first secret."""
    key = uuid7()
    slug = await unit.scalar(select(tenant.c.slug).where(tenant.c.id == unit.tenant_id))
    client_id = f"{slug}.{key.hex}"
    member_id = await insert_member(unit, client_id, MemberKind.CLIENT, new.name)
    await insert_role(unit, member_id, Role.PARTNER_CLIENT, new.organisation_id, Range(today, None), granted_by)
    row = {"client_id": client_id, "member_id": member_id, "name": new.name, "scopes": new.scopes}
    await unit.execute(oauth_client.insert(), {**row, "tenant_id": unit.tenant_id, "id": key})
    await insert_secret(unit, key, digest)
    return key


async def insert_member(unit: UnitOfWork, subject: str, kind: MemberKind, name: str) -> UUID:
    """A member known to our own issuer."""
    key = uuid7()
    row = {"issuer": OWN_ISSUER, "subject": subject, "kind": kind.value, "display_name": name}
    await unit.execute(member.insert(), {**row, "tenant_id": unit.tenant_id, "id": key})
    return key


async def insert_role(
    unit: UnitOfWork, member_id: UUID, role: Role, node: UUID | None, valid: Range[date], granted_by: UUID | None
) -> None:
    row = {"member_id": member_id, "role": role.value, "organisation_id": node, "valid": valid}
    await unit.execute(
        role_assignment.insert(), {**row, "tenant_id": unit.tenant_id, "id": uuid7(), "granted_by": granted_by}
    )


async def insert_secret(unit: UnitOfWork, client_key: UUID, digest: str) -> None:
    row = {"tenant_id": unit.tenant_id, "id": uuid7(), "oauth_client_id": client_key, "digest": digest}
    await unit.execute(oauth_client_secret.insert(), row)


_LOCK_CLIENT: Final = "SELECT status FROM oauth_client WHERE id = :key FOR UPDATE"
_RUN_OUT: Final = """
UPDATE oauth_client_secret
SET expires_at = CASE WHEN expires_at IS NULL THEN :until ELSE least(expires_at, :now) END
WHERE oauth_client_id = :key
"""


async def lock_client(unit: UnitOfWork, key: UUID) -> None:
    """Rotations of one client go one after another."""
    await unit.execute(_LOCK_CLIENT, {"key": key})


async def run_out_secrets(unit: UnitOfWork, key: UUID, now: datetime, until: datetime) -> None:
    """The current secret lasts until then; those it had replaced end now."""
    await unit.execute(_RUN_OUT, {"key": key, "now": now, "until": until})


_REVOKE_MEMBER: Final = """
UPDATE member SET status = 'REVOKED' WHERE id = (SELECT member_id FROM oauth_client WHERE id = :key)
"""


async def revoke_client(unit: UnitOfWork, key: UUID, now: datetime) -> None:
    """No token for it any more, and none it has is good."""
    await unit.execute("UPDATE oauth_client SET status = 'REVOKED' WHERE id = :key", {"key": key})
    await unit.execute(_REVOKE_MEMBER, {"key": key})
    await run_out_secrets(unit, key, now, now)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What the token endpoint needs to know of a client."""

    client_id: str
    tenant: str
    scopes: tuple[str, ...]
    digests: tuple[str, ...]


_CREDENTIALS: Final = """
SELECT c.client_id, t.slug, c.scopes, array_agg(s.digest) AS digests
FROM oauth_client c
JOIN tenant t ON t.id = c.tenant_id
JOIN member m ON m.tenant_id = c.tenant_id AND m.id = c.member_id AND m.status = 'ACTIVE'
JOIN oauth_client_secret s ON s.tenant_id = c.tenant_id AND s.oauth_client_id = c.id
  AND (s.expires_at IS NULL OR s.expires_at > :now)
WHERE c.client_id = :client_id AND c.status = 'ACTIVE'
GROUP BY c.client_id, t.slug, c.scopes
"""


async def credentials_of(session: ReadSession, client_id: str, now: datetime) -> ClientCredentials | None:
    """Of an active client of an active member, in the tenant of the session."""
    row = await session.first(_CREDENTIALS, {"client_id": client_id, "now": now})
    return row and ClientCredentials(row.client_id, row.slug, tuple(row.scopes), tuple(row.digests))


# Signing keys


async def published_keys(session: ReadSession, now: datetime) -> list[dict[str, Any]]:
    """Public keys that verify: the one that signs, and those retired while tokens of theirs may live."""
    statement = (
        select(signing_key.c.public_jwk)
        .where(signing_key.c.published_until.is_(None) | (signing_key.c.published_until > now))
        .order_by(signing_key.c.created_at.desc())
    )
    return [row.public_jwk for row in await session.rows(statement)]


async def active_private_key(session: ReadSession) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await session.scalar(select(func.active_private_key(type_=JSONB)))
    return found


async def insert_signing_key(unit: UnitOfWork, public: dict[str, Any], private: dict[str, Any], now: datetime) -> bool:
    """Whether it became the one that signs; not when there is one already."""
    row = {"kid": public["kid"], "public_jwk": public, "private_jwk": private, "created_at": now}
    return await unit.execute(insert(signing_key).on_conflict_do_nothing(), row) == 1


_RETIRE: Final = """
UPDATE signing_key SET private_jwk = NULL, retired_at = :now, published_until = :until WHERE retired_at IS NULL
"""
_WITHDRAW: Final = "UPDATE signing_key SET published_until = :now WHERE published_until > :now"


async def retire_signing_key(unit: UnitOfWork, now: datetime, published_until: datetime) -> None:
    """No key signs any more, and the private part of the one that did is forgotten."""
    await unit.execute(_RETIRE, {"now": now, "until": published_until})


async def withdraw_retired_keys(unit: UnitOfWork, now: datetime) -> None:
    """None of the keys retired so far verifies any more."""
    await unit.execute(_WITHDRAW, {"now": now})
