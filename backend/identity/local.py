"""What the operator does with our issuer: make and rotate its keys, hand out tokens to people trying the system.

Works on the database in the role of the owner; the API cannot do any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from asyncpg import Range
from joserfc.jwk import ECKey

from backend.config import IdentitySettings
from backend.identity import repository
from backend.identity.authenticator import own_trust
from backend.identity.domain import (
    CLOCK_SKEW,
    MAX_LIFETIME,
    OWN_ALGORITHM,
    OWN_ISSUER,
    TRIAL_ROLE_NEEDS_ORGANISATION,
    checked_lifetime,
)
from backend.identity.keys import OwnKeys
from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork
from backend.kit.errors import not_found
from tenants.access import Role
from tenants.domain.members import LEAD_EXISTS, MemberKind, NewMember, period
from tenants.repository import members

TRIAL_NAME: Final = "试用用户"
TRIAL_DAYS: Final = 365


async def ensure_keys(owner: Database, clock: Clock) -> bool:
    """Have a signing key. Whether one had to be made."""

    async def work(unit: UnitOfWork) -> bool:
        return await _make_key(unit, clock)

    return await owner.write(None, work)


async def rotate_keys(owner: Database, clock: Clock, *, withdraw: bool = False) -> None:
    """Sign with a new key from now on.

    The old ones go on verifying until the longest-lived token they signed has ended; with `withdraw` (one was stolen)
    tokens of all of them are refused within 30 s, which is how long a process keeps what it read.
    """

    async def work(unit: UnitOfWork) -> None:
        now = clock.now()
        await repository.retire_signing_key(unit, now, now + MAX_LIFETIME + CLOCK_SKEW)
        if withdraw:
            await repository.withdraw_retired_keys(unit, now)
        await _make_key(unit, clock)

    await owner.write(None, work)


async def _make_key(unit: UnitOfWork, clock: Clock) -> bool:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": OWN_ALGORITHM}, private=True, auto_kid=True)
    return await repository.insert_signing_key(unit, key.as_dict(), key.as_dict(private=True), clock.now())


def trial_subject(roles: Sequence[Role], name: str = TRIAL_NAME, organisation: str | None = None) -> str:
    """How a trial member is called in the tokens of our own issuer: one for each name, roles and place."""
    place = f"@{organisation}" if organisation else ""
    return f"trial:{'+'.join(sorted(roles))}{place}:{name}"


def trial_administrator() -> NewMember:
    """The first administrator of a tenant that nobody else administers: whom `tanheng token` speaks for by default."""
    subject = trial_subject([Role.TENANT_ADMINISTRATOR])
    return NewMember(issuer=OWN_ISSUER, subject=subject, kind=MemberKind.PERSON, display_name=TRIAL_NAME)


class LocalIssuer:
    """Hands out tokens for trial members."""

    def __init__(self, owner: Database, clock: Clock, settings: IdentitySettings) -> None:
        self._owner = owner
        self._clock = clock
        self._trust = own_trust(settings)
        self._keys = OwnKeys(owner, clock)

    async def token_for(
        self,
        tenant_slug: str,
        *roles: Role,
        name: str = TRIAL_NAME,
        organisation: str | None = None,
        lifetime: timedelta = timedelta(hours=8),
    ) -> str:
        """An access token of a member of that name who has the roles in the organisation of that code and below it (in
        the whole tenant when there is none), made if need be.

        Errors: NOT_FOUND, LIFETIME_TOO_LONG, TRIAL_ROLE_NEEDS_ORGANISATION, OVERALL_LEAD_EXISTS, NO_SIGNING_KEY,
        TENANT_SUSPENDED.
        """
        checked_lifetime(lifetime)
        if Role.OVERALL_LEAD in roles and organisation is None:
            raise TRIAL_ROLE_NEEDS_ORGANISATION(path=("role",))
        async with self._owner.read(None) as session:
            tenant_id = await repository.tenant_named(session, tenant_slug)
        if tenant_id is None:
            raise not_found("Tenant", tenant_slug, "tenant")
        subject = trial_subject(roles, name, organisation)
        await self._have_member(tenant_id, subject, roles, name, organisation)
        signer = await self._keys.signer()
        return signer.sign(
            issuer=self._trust.issuer,
            audience=self._trust.audience,
            subject=subject,
            tenant=tenant_slug,
            now=self._clock.now(),
            lifetime=lifetime,
        )

    async def _have_member(
        self, tenant_id: UUID, subject: str, roles: Sequence[Role], name: str, organisation: str | None
    ) -> None:
        """Writes only what is missing, so a suspended tenant can still be looked at."""
        async with self._owner.read(tenant_id) as session:
            node = await repository.organisation_named(session, organisation) if organisation else None
            if organisation and node is None:
                raise not_found("Organisation", organisation, "organisation")
            found = await repository.membership(session, OWN_ISSUER, subject)
        held = {g.role for g in found.principal.grants} if found is not None else set()
        missing = [role for role in roles if role not in held]
        if not missing:
            return
        today = self._clock.today()

        async def work(unit: UnitOfWork) -> None:
            member_id = (
                found.principal.member_id
                if found is not None
                else await repository.insert_member(unit, subject, MemberKind.PERSON, name)
            )
            valid = Range(today, today + timedelta(days=TRIAL_DAYS))
            for role in missing:
                if role is Role.OVERALL_LEAD:
                    await _refuse_second_lead(unit, node, today)
                await repository.insert_role(unit, member_id, role, node, valid, None)

        await self._owner.write(tenant_id, work)


async def _refuse_second_lead(unit: UnitOfWork, node: UUID | None, today: date) -> None:
    for found in await members.standing(unit, Role.OVERALL_LEAD, node, today, today + timedelta(days=TRIAL_DAYS)):
        names = await members.names(unit, [found.member_id])
        held_for = period(found.valid_from, found.valid_until)
        raise LEAD_EXISTS(path=("organisation",), name=names[found.member_id], period=held_for)
