"""From a bearer token to a principal: the way every request comes in.

A token is verified against the issuer that its tenant trusts, then its subject must be an active member. The answer is
remembered for `admission_cache_s` (2 s unless set, at most 5): that long a revoked member may still get in, and that
long a new role takes to show. With 0 every request asks the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx

from backend.config import IdentitySettings
from backend.identity import domain, repository, tokens
from backend.identity.domain import (
    MEMBER_REVOKED,
    OWN_ISSUER,
    TENANT_REQUIRED,
    UNKNOWN_MEMBER,
    WRONG_TENANT,
    Flaw,
    Trust,
    invalid_token,
)
from backend.identity.keys import FETCH_TIMEOUT_S, REMOTE, Freshness, OwnKeys, RemoteKeys
from backend.identity.tokens import Token
from backend.kit.clock import Clock
from backend.kit.database import Database
from tenants.access import Principal

MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Admission:
    principal: Principal
    until: datetime


class Authenticator:
    """Decides who is calling. One per process; `close` it at the end."""

    def __init__(
        self, database: Database, clock: Clock, settings: IdentitySettings, freshness: Freshness = REMOTE
    ) -> None:
        self._database = database
        self._clock = clock
        self._remembered_for = timedelta(seconds=settings.admission_cache_s)
        self._own = own_trust(settings)
        self._own_keys = OwnKeys(database, clock)
        self._http = httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        self._remote_keys = RemoteKeys(self._http, clock, private=settings.private_issuers, freshness=freshness)
        self._admitted: dict[tuple[bytes, str | None], _Admission] = {}
        self._tenants: dict[str, UUID] = {}

    async def close(self) -> None:
        await self._http.aclose()

    async def authenticate(self, authorization: str | None, tenant: str | None) -> Principal | None:
        """The caller of a request with this Authorization and X-Tenant header; None when it has no Authorization.

        Errors: INVALID_TOKEN, TENANT_REQUIRED, WRONG_TENANT, UNKNOWN_MEMBER, MEMBER_REVOKED, KEYS_UNAVAILABLE.
        """
        if authorization is None:
            return None
        token = tokens.bearer(authorization)
        key = (hashlib.sha256(token.encode()).digest(), tenant)
        earlier = self._admitted.get(key)
        if earlier is not None and self._clock.now() < earlier.until:
            return earlier.principal
        admission = await self._admit(tokens.parse(token), tenant)
        if len(self._admitted) >= MOST_REMEMBERED:
            self._admitted.clear()
        self._admitted[key] = admission
        return admission.principal

    async def _admit(self, token: Token, named: str | None) -> _Admission:
        if token.issuer == self._own.issuer:
            # Every tenant trusts it, so the signature comes first: a forged token must not find out tenants.
            trust = self._own
            await self._verify(token, trust)
            tenant_id = await self._tenant(asked_tenants(token, named))
        else:
            names = asked_tenants(token, named)
            tenant_id = await self._tenant(names)
            trust = await self._trust(tenant_id, token.issuer, names)
            await self._verify(token, trust)
        principal = await self._member(tenant_id, token, trust)
        return _Admission(principal, min(self._clock.now() + self._remembered_for, domain.expiry_of(token.claims)))

    async def _verify(self, token: Token, trust: Trust) -> None:
        domain.check_header(token.header, trust)
        key = await self._key(token, trust)
        if key is None:
            raise invalid_token(Flaw.UNKNOWN_KEY, value=f"'{token.key_id or ''}'")
        if not token.has_signature_of(key):
            raise invalid_token(Flaw.SIGNATURE)
        domain.check_claims(token.claims, trust, self._clock.now())

    async def _key(self, token: Token, trust: Trust) -> tokens.VerifyKey | None:
        algorithm = token.header["alg"]
        if trust is self._own:
            return await self._own_keys.find(token.key_id, algorithm)
        return await self._remote_keys.find(trust, token.key_id, algorithm)

    async def _tenant(self, names: Sequence[str]) -> UUID:
        found = {await self._tenant_id(n) for n in names}
        tenant_id = found.pop()
        if found or tenant_id is None:
            raise WRONG_TENANT(tenant=names[0][:100])
        return tenant_id

    async def _tenant_id(self, name: str) -> UUID | None:
        """A slug never moves to another tenant, so what was found once is kept."""
        known = self._tenants.get(name)
        if known is not None or "\0" in name:
            return known
        async with self._database.read(None) as session:
            found = await repository.tenant_named(session, name)
        if found is not None:
            if len(self._tenants) >= MOST_REMEMBERED:
                self._tenants.clear()
            self._tenants[name] = found
        return found

    async def _trust(self, tenant_id: UUID, issuer: str, names: Sequence[str]) -> Trust:
        async with self._database.read(tenant_id) as session:
            trusted = await repository.issuer_named(session, issuer)
        if trusted is None:
            # In the words for a tenant that does not exist: a stranger cannot tell the two apart.
            raise WRONG_TENANT(tenant=names[0][:100])
        return trusted.trust()

    async def _member(self, tenant_id: UUID, token: Token, trust: Trust) -> Principal:
        async with self._database.read(tenant_id) as session:
            subject = domain.subject_of(token.claims, trust)
            found = await repository.membership(session, trust.member_issuer, subject)
        if found is None:
            raise UNKNOWN_MEMBER()
        if not found.active:
            raise MEMBER_REVOKED()
        return replace(found.principal, scopes=domain.scopes_of(token.claims, found.kind))


def asked_tenants(token: Token, named: str | None) -> list[str]:
    """The tenant by header and by claim, whichever are there. Errors: TENANT_REQUIRED."""
    names = [n for n in (named, domain.named_tenant(token.claims)) if n]
    if not names:
        raise TENANT_REQUIRED()
    return names


def own_trust(settings: IdentitySettings) -> Trust:
    """What our own tokens are like: the issuer is the public address, which every tenant trusts."""
    return Trust(settings.public_url.rstrip("/"), settings.audience, (domain.OWN_ALGORITHM,), member_issuer=OWN_ISSUER)
