"""What a token must be like: every way in which one can be wrong, over real keys and a real JWK set."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from backend.identity.authenticator import Authenticator
from backend.identity.domain import INVALID_TOKEN, Flaw
from backend.identity.tokens import parse, public_keys
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.errors import CodedError
from tenants.access import Permission, Principal, Role
from tests.fixtures.identity import (
    SETTINGS,
    TestIssuer,
    add_member,
    ec_key,
    issuing,
    rsa_key,
    trust,
)
from tests.fixtures.world import World


@pytest.fixture
async def issuer(world: World, owner_database: Database) -> AsyncIterator[TestIssuer]:
    """An issuer that the world's tenant trusts, with a member `alice`."""
    async with issuing() as made:
        await trust(world, made.url)
        await add_member(owner_database, world.tenant_id, made.url, "alice")
        yield made


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Authenticator]:
    made = Authenticator(database, Clock(), SETTINGS)
    yield made
    await made.close()


async def enter(door: Authenticator, token: str, world: World) -> Principal:
    principal = await door.authenticate(f"Bearer {token}", world.slug)
    assert principal is not None
    return principal


async def refused(door: Authenticator, token: str, world: World) -> CodedError:
    with pytest.raises(CodedError) as caught:
        await door.authenticate(f"Bearer {token}", world.slug)
    return caught.value


async def test_a_good_token_opens(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    principal = await enter(door, issuer.token(), world)
    assert (principal.tenant_id, principal.display_name) == (world.tenant_id, "爱丽丝")
    assert [g.role for g in principal.grants] == [Role.TOP_MANAGEMENT]
    assert principal.scopes is None


async def test_no_token_is_nobody(door: Authenticator, world: World) -> None:
    assert await door.authenticate(None, world.slug) is None


async def test_an_elliptic_key_and_the_long_type_open_too(
    door: Authenticator, issuer: TestIssuer, world: World
) -> None:
    issuer.published = [key := ec_key("e1")]
    await enter(door, issuer.token(key=key, header={"typ": "application/AT+JWT"}), world)
    await enter(door, issuer.token(key=key, aud=["other", "tanheng"], nbf=0), world)


async def test_a_token_without_kid_opens_when_one_key_fits(
    door: Authenticator, issuer: TestIssuer, world: World
) -> None:
    issuer.published = [issuer.signing, ec_key("e1")]
    await enter(door, issuer.token(header={"kid": None}), world)


BAD_CLAIMS: list[tuple[dict[str, Any], Flaw]] = [
    ({"aud": "somebody else"}, Flaw.AUDIENCE),
    ({"aud": None}, Flaw.AUDIENCE),
    ({"aud": ["a", "b"]}, Flaw.AUDIENCE),
    ({"exp": -31}, Flaw.EXPIRED),
    ({"exp": None}, Flaw.MISSING),
    ({"exp": "tomorrow"}, Flaw.MISSING),
    ({"exp": True}, Flaw.MISSING),
    ({"exp": 1e300}, Flaw.MISSING),
    ({"nbf": 60}, Flaw.NOT_YET),
    ({"nbf": "soon"}, Flaw.MISSING),
    ({"iat": 60}, Flaw.ISSUED_LATER),
    ({"iat": None}, Flaw.MISSING),
    ({"sub": None}, Flaw.MISSING),
    ({"sub": ""}, Flaw.MISSING),
    ({"sub": "a\0b"}, Flaw.MISSING),
    ({"sub": 7}, Flaw.MISSING),
    ({"tenant": ["x"]}, Flaw.MISSING),
    ({"iss": None}, Flaw.MISSING),
    ({"iss": "a\0"}, Flaw.MISSING),
]


@pytest.mark.parametrize(("changed", "flaw"), BAD_CLAIMS, ids=lambda x: x.name if isinstance(x, Flaw) else str(x))
async def test_bad_claims_are_refused(
    door: Authenticator, issuer: TestIssuer, world: World, changed: dict[str, Any], flaw: Flaw
) -> None:
    good = issuer.claims()
    moved = {k: good["iat"] + v if k in {"exp", "nbf", "iat"} and type(v) is int else v for k, v in changed.items()}
    error = await refused(door, issuer.token(**moved), world)
    assert (error.code.name, error.params["flaw"]) == ("INVALID_TOKEN", flaw.name)


async def test_small_differences_of_clocks_are_forgiven(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    now = issuer.claims()["iat"]
    await enter(door, issuer.token(exp=now - 20, iat=now - 300), world)
    await enter(door, issuer.token(nbf=now + 20, iat=now + 20), world)


BAD_HEADERS: list[tuple[dict[str, Any], Flaw]] = [
    ({"typ": "JWT"}, Flaw.TOKEN_TYPE),
    ({"typ": None}, Flaw.TOKEN_TYPE),
    ({"typ": "id+jwt"}, Flaw.TOKEN_TYPE),
    ({"alg": "RS512"}, Flaw.ALGORITHM),
    ({"kid": "k0"}, Flaw.UNKNOWN_KEY),
    ({"b64": True}, Flaw.CRITICAL),
]


@pytest.mark.parametrize(("changed", "flaw"), BAD_HEADERS, ids=lambda x: x.name if isinstance(x, Flaw) else str(x))
async def test_bad_headers_are_refused(
    door: Authenticator, issuer: TestIssuer, world: World, changed: dict[str, Any], flaw: Flaw
) -> None:
    error = await refused(door, issuer.token(header=changed), world)
    assert error.params["flaw"] == flaw.name


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None])
async def test_alg_none_is_refused(
    door: Authenticator, issuer: TestIssuer, world: World, algorithm: str | None
) -> None:
    token = unsigned({"alg": algorithm, "typ": "at+jwt", "kid": "k1"}, issuer.claims())
    assert (await refused(door, token, world)).params["flaw"] == "ALGORITHM"


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_hmac_with_the_public_key_is_refused(
    door: Authenticator, issuer: TestIssuer, world: World, form: str
) -> None:
    assert isinstance(issuer.signing, RSAKey)
    public = {
        "pem": issuer.signing.as_pem(private=False),
        "der": issuer.signing.as_der(private=False),
        "jwk": json.dumps(issuer.signing.as_dict()).encode(),
    }[form]
    parts = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": "k1"}, issuer.claims()).rpartition(".")[0]
    mac = base64.urlsafe_b64encode(hmac.digest(public, parts.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert (await refused(door, f"{parts}.{mac}", world)).params["flaw"] == "ALGORITHM"


async def test_a_published_symmetric_key_is_not_used(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    secret = OctKey.generate_key(256, {"kid": "o1"})
    issuer.published = [issuer.signing, secret.as_dict(private=True)]
    assert (await refused(door, issuer.token(key=secret), world)).params["flaw"] == "ALGORITHM"


async def test_the_signature_must_be_of_the_named_key(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    forged = issuer.token(key=rsa_key("k1", 1))
    assert (await refused(door, forged, world)).params["flaw"] == "SIGNATURE"
    issuer.published = [issuer.signing, ec_key("e1")]
    head, body, signature = issuer.token().split(".")
    cut = f"{head}.{body}.{signature[:-8]}"
    assert (await refused(door, cut, world)).params["flaw"] == "SIGNATURE"
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "bob"}
    swapped = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert (await refused(door, f"{head}.{swapped}.{signature}", world)).params["flaw"] == "SIGNATURE"


async def test_a_key_is_used_with_its_own_algorithm(door: Authenticator, issuer: TestIssuer, world: World) -> None:
    assert (await refused(door, issuer.token(key=ec_key("k1")), world)).params["flaw"] == "UNKNOWN_KEY"


async def test_only_the_algorithms_the_tenant_chose(
    door: Authenticator, world: World, owner_database: Database
) -> None:
    async with issuing() as issuer:
        await trust(world, issuer.url, algorithms=["ES256"])
        error = await refused(door, issuer.token(), world)
        assert error.params["flaw"] == "ALGORITHM"
        assert "ES256" in error.message("en")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic abc", "令牌", "Bearer a.b", "Bearer ....", "Bearer e30.e30.", "Bearer 令"],
)
async def test_what_is_no_bearer_token_is_refused(door: Authenticator, world: World, header: str) -> None:
    with pytest.raises(CodedError) as caught:
        await door.authenticate(header, world.slug)
    assert caught.value.code.name == "INVALID_TOKEN"


THREE_PARTS = st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){2}", fullmatch=True)
NAMES = st.sampled_from(["alg", "typ", "crit", "kid"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)


def parses(token: str) -> bool:
    """Whether it does; anything but the one coded refusal is a fault."""
    try:
        parse(token)
    except CodedError as error:
        return error.code is not INVALID_TOKEN
    return True


@given(st.text(max_size=200) | THREE_PARTS)
def test_any_text_is_refused(text: str) -> None:
    assert not parses(text)


@given(ANY_JSON, ANY_JSON)
def test_only_objects_are_read(header: Any, claims: Any) -> None:
    fit = isinstance(header, dict) and "alg" in header and isinstance(claims, dict)
    assert parses(unsigned(header, claims)) == fit


def test_a_key_set_is_read_with_care() -> None:
    rsa, ec = rsa_key("r"), ec_key("e")
    odd: list[Any] = [
        OctKey.generate_key(256).as_dict(private=True),
        {**rsa.as_dict(), "use": "enc"},
        ECKey.generate_key("P-384").as_dict(),
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "x" * 20_000, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA"},
        {"kty": "PQC", "pub": "x"},
        "no object",
        None,
    ]
    found = public_keys({"keys": [*odd, rsa.as_dict(private=True), ec.as_dict(private=True)]})
    assert [k.kid for k in found] == ["r", "e"]
    assert not any(k.is_private for k in found)
    broken: object
    for broken in (None, [], {}, {"keys": 1}):
        with pytest.raises(ValueError, match="JWK set"):
            public_keys(broken)


async def test_scopes_narrow_a_client_and_leave_a_person(
    door: Authenticator, issuer: TestIssuer, world: World, owner_database: Database
) -> None:
    await add_member(owner_database, world.tenant_id, issuer.url, "robot", kind="CLIENT", role="PARTNER_CLIENT")
    person = await enter(door, issuer.token(scope="openid profile"), world)
    assert person.scopes is None
    delegated = await enter(door, issuer.token(scope="openid audit.read"), world)
    assert delegated.scopes == frozenset({Permission.AUDIT_READ})
    client = await enter(door, issuer.token(sub="robot", scope="asset.read asset.fly"), world)
    assert client.may_somewhere(Permission.ASSET_READ)
    assert not client.may_somewhere(Permission.ASSET_SYNC)
    empty = await enter(door, issuer.token(sub="robot"), world)
    assert not any(empty.may_somewhere(p) for p in Permission)


async def test_another_claim_may_name_the_member(door: Authenticator, world: World, owner_database: Database) -> None:
    async with issuing() as issuer:
        await trust(world, issuer.url, subjectClaim="oid")
        await add_member(owner_database, world.tenant_id, issuer.url, "o-17")
        await enter(door, issuer.token(oid="o-17"), world)
        assert (await refused(door, issuer.token(), world)).params["flaw"] == "MISSING"
