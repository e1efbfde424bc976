"""Tokens of a certified OpenID provider open our door: code flow with PKCE, and client credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from backend.identity.authenticator import Authenticator
from backend.identity.tokens import parse
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.errors import CodedError
from tenants.access import Permission, Role
from tests.fixtures.identity import SETTINGS, add_member, trust
from tests.fixtures.provider import RESOURCE, Provider, running_provider
from tests.fixtures.world import World

pytestmark = pytest.mark.server("node")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as made:
        yield made


@pytest.fixture
async def door(
    database: Database, provider: Provider, world: World, owner_database: Database
) -> AsyncIterator[Authenticator]:
    """Of a tenant that trusts the provider, with a person 王芳 and the program `partner`."""
    await trust(world, provider.issuer)
    await add_member(owner_database, world.tenant_id, provider.issuer, "王芳")
    await add_member(owner_database, world.tenant_id, provider.issuer, "partner", kind="CLIENT", role="PARTNER_CLIENT")
    made = Authenticator(database, Clock(), SETTINGS)
    yield made
    await made.close()


@pytest.mark.parametrize("resource", [RESOURCE, f"{RESOURCE}:ec"])
async def test_code_flow_with_pkce(door: Authenticator, provider: Provider, world: World, resource: str) -> None:
    answer = await provider.sign_in("王芳", resource=resource)
    header = parse(answer["access_token"]).header
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256" if resource.endswith("ec") else "RS256")
    principal = await door.authenticate(f"Bearer {answer['access_token']}", world.slug)
    assert principal is not None
    assert [g.role for g in principal.grants] == [Role.TOP_MANAGEMENT]
    assert principal.scopes is None


async def test_a_real_id_token_is_no_access_token(door: Authenticator, provider: Provider, world: World) -> None:
    answer = await provider.sign_in("王芳")
    with pytest.raises(CodedError) as caught:
        await door.authenticate(f"Bearer {answer['id_token']}", world.slug)
    assert caught.value.params["flaw"] == "TOKEN_TYPE"


async def test_somebody_else_of_the_provider_is_no_member(
    door: Authenticator, provider: Provider, world: World
) -> None:
    answer = await provider.sign_in("李雷")
    with pytest.raises(CodedError) as caught:
        await door.authenticate(f"Bearer {answer['access_token']}", world.slug)
    assert caught.value.code.name == "UNKNOWN_MEMBER"


async def test_client_credentials(door: Authenticator, provider: Provider, world: World) -> None:
    token = await provider.client_token(scope="asset.read audit.read")
    principal = await door.authenticate(f"Bearer {token}", world.slug)
    assert principal is not None
    assert principal.scopes == frozenset({Permission.ASSET_READ, Permission.AUDIT_READ})
    assert [p for p in Permission if principal.may_somewhere(p)] == [Permission.ASSET_READ]
