"""How refusals leave the house: 401 and a challenge for tokens, 403 for tenants and members."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from backend.identity.authenticator import Authenticator, own_trust
from backend.identity.local import LocalIssuer, ensure_keys
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.graphql.http import endpoint, locale_of
from backend.kit.toolbox import Services
from tenants.access import Role
from tenants.context import TenantContext
from tests.fixtures.identity import SETTINGS, TestIssuer, ec_key, serving
from tests.fixtures.world import World, executor

BODY = {"query": "{ viewer { displayName } }"}


@pytest.fixture
async def url(database: Database, services: Services) -> AsyncIterator[str]:
    """The GraphQL endpoint with its door, as the application wires them."""
    door = Authenticator(database, Clock(), SETTINGS)

    async def context(request: Request) -> TenantContext:
        caller = await door.authenticate(request.headers.get("authorization"), request.headers.get("x-tenant"))
        return TenantContext(services=services, locale=locale_of(request), caller=caller)

    async with serving(Starlette(routes=[Route("/", endpoint(executor(), context), methods=["POST"])])) as made:
        yield made
    await door.close()


async def post(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(url, json=BODY, headers=headers)


async def test_a_good_token(url: str, world: World, owner_database: Database) -> None:
    await ensure_keys(owner_database, Clock())
    token = await LocalIssuer(owner_database, Clock(), SETTINGS).token_for(world.slug, Role.PURCHASER, name="采购员")
    answer = await post(url, authorization=f"Bearer {token}")
    assert answer.json() == {"data": {"viewer": {"displayName": "采购员"}}}
    wrong = await post(url, authorization=f"Bearer {token}", **{"x-tenant": "nowhere"})
    assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["code"]) == (403, "WRONG_TENANT")
    assert "www-authenticate" not in wrong.headers


async def test_a_bad_token_is_challenged_in_ascii(url: str, world: World) -> None:
    answer = await post(url, authorization="Bearer x.y.z", **{"accept-language": "zh-CN"})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_TOKEN"
    assert "访问令牌不被接受" in answer.json()["errors"][0]["message"]
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="tanheng", error="invalid_token", error_description="The access token')
    assert challenge.isascii()
    assert challenge.count('"') == 6


async def test_no_token_is_nobody(url: str) -> None:
    answer = await post(url)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_key_id_cannot_break_the_challenge(url: str, world: World) -> None:
    strange = TestIssuer(url=own_trust(SETTINGS).issuer, signing=ec_key('"\r\nset-cookie: 碳=\\'))
    answer = await post(url, authorization=f"Bearer {strange.token()}")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert answer.headers["www-authenticate"].count('"') == 6
