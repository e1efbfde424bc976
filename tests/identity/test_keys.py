"""Keys of other issuers: kept, renewed when they rotate, lived on for a while when their issuer is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from backend.config import IdentitySettings
from backend.identity.authenticator import Authenticator
from backend.identity.keys import SourceError, refuse_private
from backend.kit.database import Database
from backend.kit.errors import CodedError
from tests.fixtures.identity import AUDIENCE, SETTINGS, Hands, TestIssuer, add_member, issuing, rsa_key, serving, trust
from tests.fixtures.world import World


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def door(database: Database, hands: Hands) -> AsyncIterator[Authenticator]:
    made = Authenticator(database, hands.clock(), SETTINGS)
    yield made
    await made.close()


@pytest.fixture
async def issuer(world: World, owner_database: Database) -> AsyncIterator[TestIssuer]:
    async with issuing() as made:
        await trust(world, made.url)
        await add_member(owner_database, world.tenant_id, made.url, "alice")
        yield made


async def outcome(door: Authenticator, token: str, world: World) -> str:
    """OPEN, or the code of the refusal."""
    try:
        await door.authenticate(f"Bearer {token}", world.slug)
    except CodedError as error:
        return error.code.name
    return "OPEN"


async def test_keys_are_fetched_once(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    token = issuer.token(exp=issuer.claims()["exp"] + 9000)
    assert [await outcome(door, token, world) for _ in range(20)] == ["OPEN"] * 20
    together = await asyncio.gather(*(outcome(door, token, world) for _ in range(20)))
    assert set(together) == {"OPEN"}
    assert issuer.asked == ["metadata", "jwks"]


async def test_many_at_once_fetch_once(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    token = issuer.token()
    assert set(await asyncio.gather(*(outcome(door, token, world) for _ in range(30)))) == {"OPEN"}
    assert issuer.asked == ["metadata", "jwks"]


async def test_a_rotated_key_is_found(door: Authenticator, issuer: TestIssuer, world: World, hands: Hands) -> None:
    old = issuer.token()
    assert await outcome(door, old, world) == "OPEN"
    issuer.signing = rsa_key("k2")
    issuer.published = [issuer.signing]
    hands.move(seconds=11)
    assert set(await asyncio.gather(*(outcome(door, issuer.token(), world) for _ in range(10)))) == {"OPEN"}
    assert issuer.asked.count("jwks") == 2
    assert await outcome(door, old, world) == "INVALID_TOKEN"


async def test_unknown_keys_cannot_make_us_ask_all_the_time(
    door: Authenticator, issuer: TestIssuer, world: World, hands: Hands
) -> None:
    assert await outcome(door, issuer.token(), world) == "OPEN"
    for n in range(50):
        assert await outcome(door, issuer.token(header={"kid": f"x{n}"}), world) == "INVALID_TOKEN"
    assert issuer.asked.count("jwks") == 1
    hands.move(seconds=11)
    for n in range(50):
        assert await outcome(door, issuer.token(header={"kid": f"y{n}"}), world) == "INVALID_TOKEN"
    assert issuer.asked.count("jwks") == 2


async def test_a_withdrawn_key_is_refused_after_five_minutes(
    door: Authenticator, issuer: TestIssuer, world: World, hands: Hands
) -> None:
    stolen = issuer.token(exp=issuer.claims()["exp"] + 9000)
    assert await outcome(door, stolen, world) == "OPEN"
    issuer.published = [rsa_key("k2")]
    hands.move(seconds=301)
    assert await outcome(door, stolen, world) == "INVALID_TOKEN"


async def test_a_silent_issuer_is_borne_for_an_hour(
    door: Authenticator, issuer: TestIssuer, world: World, hands: Hands
) -> None:
    token = issuer.token(exp=issuer.claims()["exp"] + 9000)
    assert await outcome(door, token, world) == "OPEN"
    issuer.failing = True
    hands.move(minutes=50)
    assert [await outcome(door, token, world) for _ in range(5)] == ["OPEN"] * 5
    assert issuer.asked.count("jwks") == 2
    hands.move(minutes=11)
    assert await outcome(door, token, world) == "KEYS_UNAVAILABLE"
    issuer.failing = False
    hands.move(seconds=11)
    assert await outcome(door, token, world) == "OPEN"


async def test_metadata_of_another_issuer_are_refused(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    issuer.claimed_issuer = "https://elsewhere.example"
    assert await outcome(door, issuer.token(), world) == "KEYS_UNAVAILABLE"


async def test_a_configured_address_needs_no_discovery(
    door: Authenticator, world: World, owner_database: Database
) -> None:
    async with issuing() as issuer:
        await trust(world, issuer.url, jwksUri=f"{issuer.url}/jwks")
        await add_member(owner_database, world.tenant_id, issuer.url, "alice")
        assert await outcome(door, issuer.token(), world) == "OPEN"
        assert issuer.asked == ["jwks"]


async def test_what_sends_us_elsewhere_or_too_much_is_refused(door: Authenticator, world: World) -> None:
    async def application(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        assert callable(send)
        redirect = scope["path"] == "/jwks"
        headers = [(b"location", b"https://example.org/")] if redirect else []
        await send({"type": "http.response.start", "status": 302 if redirect else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if redirect else b"[" + b"1," * 200_000})

    async with serving(application) as url:
        key = rsa_key("k1")
        for path in ("/jwks", "/large"):
            issuer = TestIssuer(url=f"{url}{path}", signing=key)
            await trust(world, issuer.url, jwksUri=issuer.url)
            assert await outcome(door, issuer.token(), world) == "KEYS_UNAVAILABLE"


async def test_private_networks_are_out_of_bounds_unless_allowed(
    database: Database, issuer: TestIssuer, world: World, hands: Hands
) -> None:
    strict = IdentitySettings(audience=AUDIENCE, private_issuers=False)
    door = Authenticator(database, hands.clock(), strict)
    assert await outcome(door, issuer.token(), world) == "KEYS_UNAVAILABLE"
    assert issuer.asked == []
    await door.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
    ],
)
async def test_addresses_of_our_own_network(url: str) -> None:
    with pytest.raises(SourceError):
        await refuse_private(url)


async def test_public_addresses_pass() -> None:
    await refuse_private("https://8.8.8.8/keys")
    await refuse_private("https://[2001:4860:4860::8888]:8443/keys")


async def test_the_client_follows_nothing(door: Authenticator) -> None:
    assert not door._http.follow_redirects
    assert isinstance(door._http, httpx.AsyncClient)
