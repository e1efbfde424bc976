"""Use cases: whom a tenant trusts, and the partner systems it lets in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from backend.identity import credentials, repository
from backend.identity.domain import (
    CLIENT_REVOKED,
    ClientStatus,
    NewPartnerClient,
    NewTrustedIssuer,
    PartnerClient,
    TrustedIssuer,
)
from backend.kit.errors import not_found
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.service.organisations import existing


def _of_whole_tenant(principal: Principal) -> bool:
    """Nodes of this slice belong to no organisation: only who manages the whole tenant may see them."""
    return principal.may_everywhere(Permission.TENANT_MANAGE)


class TrustedIssuerService:
    """The issuers whose tokens a tenant accepts besides our own."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def add(self, actor: Actor, new: NewTrustedIssuer) -> Done[TrustedIssuer]:
        """Errors: FORBIDDEN, BAD_ISSUER, BAD_ALGORITHM, ISSUER_ALREADY_TRUSTED."""
        new.checked()

        async def work(change: Change) -> TrustedIssuer:
            await change.require(Permission.TENANT_MANAGE, None)
            made = await repository.insert_issuer(change.unit, new)
            await change.audit("TrustedIssuer", made.id, None, after=made)
            return made

        return await perform(self.toolbox, actor, "addTrustedIssuer", new, TrustedIssuer, work)

    async def remove(self, actor: Actor, key: UUID) -> Done[TrustedIssuer]:
        """Errors: FORBIDDEN, NOT_FOUND."""

        async def work(change: Change) -> TrustedIssuer:
            await change.require(Permission.TENANT_MANAGE, None)
            found = (await repository.issuers(change.unit, [key])).get(key)
            if found is None:
                raise not_found("TrustedIssuer", key, "id")
            await repository.delete_issuer(change.unit, key)
            await change.audit("TrustedIssuer", key, None, before=found)
            return found

        return await perform(self.toolbox, actor, "removeTrustedIssuer", key, TrustedIssuer, work)

    async def page(self, principal: Principal, request: PageRequest) -> Page[TrustedIssuer]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.TENANT_MANAGE, None)
            return await repository.page_of_issuers(session, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, TrustedIssuer]:
        if not _of_whole_tenant(principal):
            return {}
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.issuers(session, keys)


@dataclass(frozen=True, slots=True)
class Revealed:
    """A change to a client, and the secret it made: told once, to the first caller, and kept nowhere."""

    done: Done[PartnerClient]
    secret: str | None


class PartnerClientService:
    """Partner systems with credentials of their own."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewPartnerClient) -> Revealed:
        """A client with the role PARTNER_CLIENT at its organisation. Errors: FORBIDDEN, NOT_FOUND, BAD_SCOPE."""
        new = new.checked()
        secret, digest = await _new_secret()

        async def work(change: Change) -> PartnerClient:
            await change.require(Permission.TENANT_MANAGE, None)
            if new.organisation_id is not None:
                await change.require(Permission.ORGANISATION_READ, new.organisation_id)
                await existing(change.unit, new.organisation_id, "organisationId")
            by, today = actor.principal.member_id, self.toolbox.clock.today()
            key = await repository.insert_client(change.unit, new, digest, by, today)
            made = (await repository.clients(change.unit, [key]))[key]
            await change.audit("PartnerClient", key, new.organisation_id, after=made)
            return made

        done = await perform(self.toolbox, actor, "createPartnerClient", new, PartnerClient, work)
        return _revealed(actor, done, secret)

    async def rotate_secret(self, actor: Actor, key: UUID, overlap: timedelta) -> Revealed:
        """A new secret; the present one works for `overlap` longer. Errors: FORBIDDEN, NOT_FOUND, CLIENT_REVOKED."""
        secret, digest = await _new_secret()

        async def work(change: Change) -> PartnerClient:
            found = await self._active(change, key)
            now = self.toolbox.clock.now()
            await repository.run_out_secrets(change.unit, key, now, now + overlap)
            await repository.insert_secret(change.unit, key, digest)
            await change.audit("PartnerClient", key, None, before=found, after=found)
            return found

        body = (key, overlap)
        done = await perform(self.toolbox, actor, "rotatePartnerClientSecret", body, PartnerClient, work)
        return _revealed(actor, done, secret)

    async def revoke(self, actor: Actor, key: UUID) -> Done[PartnerClient]:
        """No token any more, and those it has are refused. Errors: FORBIDDEN, NOT_FOUND, CLIENT_REVOKED."""

        async def work(change: Change) -> PartnerClient:
            before = await self._active(change, key)
            await repository.revoke_client(change.unit, key, self.toolbox.clock.now())
            after = (await repository.clients(change.unit, [key]))[key]
            await change.audit("PartnerClient", key, None, before=before, after=after)
            return after

        return await perform(self.toolbox, actor, "revokePartnerClient", key, PartnerClient, work)

    async def _active(self, change: Change, key: UUID) -> PartnerClient:
        await change.require(Permission.TENANT_MANAGE, None)
        await repository.lock_client(change.unit, key)
        found = (await repository.clients(change.unit, [key])).get(key)
        if found is None:
            raise not_found("PartnerClient", key, "id")
        if found.status is ClientStatus.REVOKED:
            raise CLIENT_REVOKED(path=("id",))
        return found

    async def page(self, principal: Principal, request: PageRequest) -> Page[PartnerClient]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.TENANT_MANAGE, None)
            return await repository.page_of_clients(session, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, PartnerClient]:
        if not _of_whole_tenant(principal):
            return {}
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.clients(session, keys)


async def _new_secret() -> tuple[str, str]:
    """A secret and its digest, made before the transaction begins: scrypt takes its time."""
    secret = credentials.new_secret()
    return secret, await asyncio.to_thread(credentials.digest_of, secret)


def _revealed(actor: Actor, done: Done[PartnerClient], secret: str) -> Revealed:
    return Revealed(done, None if done.replayed or actor.dry_run else secret)
