"""Which tenant a token opens, and to whom; how soon a revoked member is out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from backend.config import IdentitySettings
from backend.identity.authenticator import Authenticator
from backend.kit.database import Database, UnitOfWork, count_statements
from backend.kit.errors import CodedError
from backend.kit.graphql.nodes import to_id
from backend.kit.toolbox import Services
from tenants.access import Role
from tests.fixtures.identity import AUDIENCE, SETTINGS, Hands, TestIssuer, add_member, issuing, rsa_key, trust
from tests.fixtures.world import World


@dataclass(slots=True)
class Stage:
    """Two tenants, one issuer, and a door."""

    a: World
    b: World
    issuer: TestIssuer
    door: Authenticator
    owner: Database
    alice: UUID

    async def outcome(self, token: str, tenant: str | None) -> str:
        """The name of the tenant that opened (`a`, `b`), or the code of the refusal."""
        try:
            principal = await self.door.authenticate(f"Bearer {token}", tenant)
        except CodedError as error:
            return error.code.name
        assert principal is not None
        return {self.a.tenant_id: "a", self.b.tenant_id: "b"}[principal.tenant_id]

    async def set_status(self, status: str) -> None:
        async def work(unit: UnitOfWork) -> None:
            await unit.execute("UPDATE member SET status = :s WHERE id = :m", {"s": status, "m": self.alice})

        await self.owner.write(self.a.tenant_id, work)


@pytest.fixture
async def stage(world: World, owner_database: Database, database: Database, services: Services) -> AsyncIterator[Stage]:
    other = await World.create(owner_database, services)
    async with issuing() as issuer:
        await trust(world, issuer.url)
        alice = await add_member(owner_database, world.tenant_id, issuer.url, "alice")
        door = Authenticator(database, Hands().clock(), SETTINGS)
        yield Stage(world, other, issuer, door, owner_database, alice)
        await door.close()


async def test_the_tenant_is_named_by_header_or_claim(stage: Stage) -> None:
    a, plain = stage.a, stage.issuer.token()
    assert await stage.outcome(plain, a.slug) == "a"
    assert await stage.outcome(plain, str(a.tenant_id)) == "a"
    assert await stage.outcome(plain, str(a.tenant_id).upper()) == "a"
    assert await stage.outcome(stage.issuer.token(tenant=a.slug), None) == "a"
    assert await stage.outcome(stage.issuer.token(tenant=a.slug), str(a.tenant_id)) == "a"
    assert await stage.outcome(plain, None) == "TENANT_REQUIRED"
    assert await stage.outcome(plain, "") == "TENANT_REQUIRED"


async def test_a_token_of_one_tenant_does_not_open_another(stage: Stage) -> None:
    await trust(stage.b, stage.issuer.url)
    await add_member(stage.owner, stage.b.tenant_id, stage.issuer.url, "alice")
    for_a = stage.issuer.token(tenant=stage.a.slug)
    assert await stage.outcome(for_a, stage.a.slug) == "a"
    assert await stage.outcome(for_a, stage.b.slug) == "WRONG_TENANT"
    assert await stage.outcome(stage.issuer.token(tenant="nowhere"), stage.b.slug) == "WRONG_TENANT"
    assert await stage.outcome(stage.issuer.token(tenant="no\0where"), stage.b.slug) == "WRONG_TENANT"


async def test_one_person_in_two_tenants_chooses(stage: Stage) -> None:
    await trust(stage.b, stage.issuer.url)
    await add_member(stage.owner, stage.b.tenant_id, stage.issuer.url, "alice")
    token = stage.issuer.token()
    assert [await stage.outcome(token, w.slug) for w in (stage.a, stage.b, stage.a)] == ["a", "b", "a"]


async def test_an_issuer_bound_to_another_tenant_reads_like_a_tenant_that_is_not_there(stage: Stage) -> None:
    await add_member(stage.owner, stage.b.tenant_id, stage.issuer.url, "alice")
    token = stage.issuer.token()
    seen = []
    for tenant in (stage.b.slug, "nowhere"):
        with pytest.raises(CodedError) as caught:
            await stage.door.authenticate(f"Bearer {token}", tenant)
        seen.append(str(caught.value).replace(tenant, "…"))
    assert seen[0] == seen[1]
    assert seen[0].startswith("WRONG_TENANT")


async def test_a_removed_issuer_opens_no_more(stage: Stage) -> None:
    added = await trust(stage.b, stage.issuer.url)
    await add_member(stage.owner, stage.b.tenant_id, stage.issuer.url, "alice")
    assert await stage.outcome(stage.issuer.token(), stage.b.slug) == "b"
    admin = await stage.b.caller(Role.TENANT_ADMINISTRATOR)
    await admin.do("removeTrustedIssuer", {"id": to_id("TrustedIssuer", added)}, "trustedIssuer { issuer }")
    assert await stage.outcome(stage.issuer.token(), stage.b.slug) == "WRONG_TENANT"
    assert await stage.outcome(stage.issuer.token(), stage.a.slug) == "a"


async def test_strangers_and_the_revoked_are_refused(stage: Stage) -> None:
    assert await stage.outcome(stage.issuer.token(sub="mallory"), stage.a.slug) == "UNKNOWN_MEMBER"
    token = stage.issuer.token()
    assert await stage.outcome(token, stage.a.slug) == "a"
    await stage.set_status("REVOKED")
    assert await stage.outcome(token, stage.a.slug) == "MEMBER_REVOKED"
    await stage.set_status("ACTIVE")
    assert await stage.outcome(token, stage.a.slug) == "a"


async def test_a_subject_of_another_issuer_is_another_person(stage: Stage) -> None:
    async with issuing() as other:
        await trust(stage.a, other.url)
        assert await stage.outcome(other.token(), stage.a.slug) == "UNKNOWN_MEMBER"


async def test_an_issuer_cannot_speak_for_another(stage: Stage) -> None:
    async with issuing(signing=rsa_key("k1", 1)) as other:
        await trust(stage.a, other.url)
        assert await stage.outcome(other.token(iss=stage.issuer.url), stage.a.slug) == "INVALID_TOKEN"


async def test_a_remembered_admission_lasts_two_seconds(stage: Stage, database: Database) -> None:
    hands = Hands()
    stage.door = Authenticator(database, hands.clock(), IdentitySettings(audience=AUDIENCE, private_issuers=True))
    token = stage.issuer.token()
    assert await stage.outcome(token, stage.a.slug) == "a"
    await stage.set_status("REVOKED")
    statements: list[str] = []
    stop = count_statements(database, statements)
    assert await stage.outcome(token, stage.a.slug) == "a"
    stop()
    assert not statements
    hands.move(seconds=2)
    assert await stage.outcome(token, stage.a.slug) == "MEMBER_REVOKED"
    await stage.door.close()


async def test_a_remembered_admission_ends_with_its_token(stage: Stage, database: Database) -> None:
    hands = Hands()
    stage.door = Authenticator(database, hands.clock(), IdentitySettings(audience=AUDIENCE, private_issuers=True))
    token = stage.issuer.token(exp=stage.issuer.claims()["iat"] + 1)
    hands.move(seconds=29.5)
    assert await stage.outcome(token, stage.a.slug) == "a"
    hands.move(seconds=1.5)
    assert await stage.outcome(token, stage.a.slug) == "INVALID_TOKEN"
    await stage.door.close()


async def test_admissions_are_not_shared_between_tenants(stage: Stage, database: Database) -> None:
    stage.door = Authenticator(database, Hands().clock(), IdentitySettings(audience=AUDIENCE, private_issuers=True))
    token = stage.issuer.token()
    assert await stage.outcome(token, stage.a.slug) == "a"
    assert await stage.outcome(token, stage.b.slug) == "WRONG_TENANT"
    await stage.door.close()
