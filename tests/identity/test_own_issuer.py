"""Our own issuer end to end: a client is made by GraphQL, gets tokens over HTTP, and they open our door."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from starlette.applications import Starlette

from backend.config import IdentitySettings
from backend.identity.authenticator import Authenticator
from backend.identity.issuer import routes
from backend.identity.local import LocalIssuer, ensure_keys, rotate_keys
from backend.identity.tokens import Signer, parse
from backend.kit.database import Database
from backend.kit.errors import CodedError
from tenants.access import Permission, Principal, Role
from tests.fixtures.identity import AUDIENCE, Hands, ec_key, serving
from tests.fixtures.world import World

CLIENT = "partnerClient { id clientId scopes status memberId } secret"


@dataclass(slots=True)
class House:
    """The API's identity parts over HTTP, a tenant in it, and its operator."""

    world: World
    url: str
    settings: IdentitySettings
    door: Authenticator
    local: LocalIssuer
    owner: Database
    hands: Hands

    async def partner(self, **given: Any) -> dict[str, Any]:
        admin = await self.world.caller(Role.TENANT_ADMINISTRATOR)
        return await admin.do("createPartnerClient", {"name": "上海环境能源交易所", **given}, CLIENT)

    async def ask(self, form: Any, **given: Any) -> httpx.Response:
        async with httpx.AsyncClient() as http:
            return await http.post(f"{self.url}/oauth/token", data=form, **given)

    async def token(self, made: dict[str, Any], **form: str) -> str:
        answer = await self.ask(
            {"grant_type": "client_credentials", **form}, auth=(made["partnerClient"]["clientId"], made["secret"])
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def outcome(self, token: str, tenant: str | None = None) -> str:
        try:
            await self.door.authenticate(f"Bearer {token}", tenant)
        except CodedError as error:
            return f"{error.code.name} {error.params.get('flaw', '')}".strip()
        return "OPEN"


@pytest.fixture
async def house(world: World, database: Database, owner_database: Database) -> AsyncIterator[House]:
    hands = Hands()
    clock = hands.clock()
    await ensure_keys(owner_database, clock)
    application = Starlette()
    async with serving(application) as url:
        settings = IdentitySettings(public_url=url, audience=AUDIENCE, admission_cache_s=0)
        application.router.routes.extend(routes(database, clock, settings))
        door = Authenticator(database, clock, settings)
        local = LocalIssuer(owner_database, clock, settings)
        yield House(world, url, settings, door, local, owner_database, hands)
        await door.close()


GRANT = {"grant_type": "client_credentials"}


async def test_a_partner_gets_a_token_and_comes_in(house: House) -> None:
    made = await house.partner(scopes=["asset.sync", "asset.read"])
    client = made["partnerClient"]
    assert (client["scopes"], client["status"]) == (["asset.read", "asset.sync"], "ACTIVE")
    answer = await house.ask(GRANT | {"scope": "asset.sync"}, auth=(client["clientId"], made["secret"]))
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "asset.sync")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    token = parse(body["access_token"])
    assert (token.header["typ"], token.header["alg"]) == ("at+jwt", "ES256")
    assert token.claims["client_id"] == token.claims["sub"] == client["clientId"]
    principal = await house.door.authenticate(f"Bearer {body['access_token']}", None)
    assert principal is not None
    assert principal.tenant_id == house.world.tenant_id
    assert principal.display_name == "上海环境能源交易所"
    assert [p for p in Permission if principal.may_somewhere(p)] == [Permission.ASSET_SYNC]


async def test_credentials_go_by_header_or_by_form(house: House) -> None:
    made = await house.partner()
    client_id, secret = made["partnerClient"]["clientId"], made["secret"]
    by_header = await house.ask(GRANT, auth=(client_id, secret))
    by_form = await house.ask(GRANT | {"client_id": client_id, "client_secret": secret})
    for answer in (by_header, by_form):
        assert answer.json()["scope"].split() == made["partnerClient"]["scopes"]
        assert await house.outcome(answer.json()["access_token"]) == "OPEN"


async def test_a_client_is_let_in_at_its_organisation(house: House) -> None:
    admin = await house.world.caller(Role.TENANT_ADMINISTRATOR)
    group = {"kind": "GROUP", "code": "HD", "nameZh": "华东集团", "enteredOn": "2020-01-01"}
    node = (await admin.do("createOrganisation", group, "organisation { id }"))["organisation"]["id"]
    token = await house.token(await house.partner(organisationId=node))
    principal = await house.door.authenticate(f"Bearer {token}", house.world.slug)
    assert principal is not None
    (granted,) = principal.grants
    assert granted.role is Role.PARTNER_CLIENT
    assert granted.organisation_id is not None


async def test_refusals_are_those_of_the_standard(house: House) -> None:
    made = await house.partner(scopes=["asset.read"])
    good = (made["partnerClient"]["clientId"], made["secret"])
    unknown = f"{house.world.slug}.0123"
    cases: list[tuple[Any, Any, int, str]] = [
        (GRANT, (good[0], "wrong"), 401, "invalid_client"),
        (GRANT, (good[0], "x" * 5000), 401, "invalid_client"),
        (GRANT, (unknown, good[1]), 401, "invalid_client"),
        (GRANT, ("nowhere.0123", good[1]), 401, "invalid_client"),
        (GRANT, ("没有", "密码"), 401, "invalid_client"),
        (GRANT, None, 401, "invalid_client"),
        (GRANT | {"client_id": good[0]}, None, 401, "invalid_client"),
        (GRANT | {"client_id": good[0], "client_secret": good[1]}, good, 400, "invalid_request"),
        (GRANT | {"scope": "asset.sync"}, good, 400, "invalid_scope"),
        (GRANT | {"scope": "asset.read tenant.manage"}, good, 400, "invalid_scope"),
        ({"grant_type": "password", "username": "a", "password": "b"}, good, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, good, 400, "unsupported_grant_type"),
        ({"scope": "asset.read"}, good, 400, "invalid_request"),
        ({}, good, 400, "invalid_request"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, good, 400, "invalid_request"),
        (GRANT | {"x": "y" * 9000}, good, 400, "invalid_request"),
    ]
    for form, auth, status, error in cases:
        answer = await house.ask(form, auth=auth)
        assert (answer.status_code, answer.json()["error"]) == (status, error), (form, answer.text)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers.get("www-authenticate", "").startswith("Basic") == (status == 401)


async def test_odd_requests_are_bad_requests(house: House) -> None:
    broken = "Basic " + base64.b64encode(b"\xff\xfe:x").decode()
    assert (await house.ask(GRANT, headers={"authorization": broken})).json()["error"] == "invalid_request"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient() as http:
        for body, headers in ((b'{"grant_type": "x"}', {"content-type": "application/json"}), (b"a=%ff%fe", kind)):
            answer = await http.post(f"{house.url}/oauth/token", content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert (await http.get(f"{house.url}/oauth/token")).status_code == 405


async def test_unknown_clients_read_like_wrong_secrets(house: House) -> None:
    made = await house.partner()
    wrong = await house.ask(GRANT, auth=(made["partnerClient"]["clientId"], "wrong"))
    unknown = await house.ask(GRANT, auth=("nowhere.1", "wrong"))
    assert (wrong.status_code, wrong.text) == (unknown.status_code, unknown.text)


async def test_the_documents_say_where_everything_is(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url) as http:
        documents = [
            (await http.get(f"/.well-known/{name}")).json()
            for name in ("openid-configuration", "oauth-authorization-server")
        ]
        assert documents[0] == documents[1]
        assert documents[0]["issuer"] == house.url
        keys = await http.get(documents[0]["jwks_uri"])
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert all("d" not in key and key["kid"] for key in keys.json()["keys"])
    metadata = AuthorizationServerMetadata(documents[0])
    for name in ("jwks_uri", "token_endpoint", "scopes_supported", "grant_types_supported"):
        assert metadata[name]


async def test_a_rotated_secret_overlaps(house: House) -> None:
    made = await house.partner()
    key, client_id = made["partnerClient"]["id"], made["partnerClient"]["clientId"]
    admin = await house.world.caller(Role.TENANT_ADMINISTRATOR)

    async def works(secret: str) -> bool:
        return (await house.ask(GRANT, auth=(client_id, secret))).status_code == 200

    async def rotate(hours: int) -> str:
        given = {"id": key, "overlapHours": hours}
        return str((await admin.do("rotatePartnerClientSecret", given, CLIENT))["secret"])

    first, second = made["secret"], await rotate(2)
    assert [await works(s) for s in (first, second)] == [True, True]
    third = await rotate(2)
    assert [await works(s) for s in (first, second, third)] == [False, True, True]
    house.hands.move(hours=2.1)
    assert [await works(s) for s in (first, second, third)] == [False, False, True]
    fourth = await rotate(0)
    assert [await works(s) for s in (third, fourth)] == [False, True]


async def test_a_revoked_client_is_out(house: House) -> None:
    made = await house.partner()
    token = await house.token(made)
    assert await house.outcome(token) == "OPEN"
    admin = await house.world.caller(Role.TENANT_ADMINISTRATOR)
    revoked = await admin.do("revokePartnerClient", {"id": made["partnerClient"]["id"]}, CLIENT.removesuffix("secret"))
    assert revoked["partnerClient"]["status"] == "REVOKED"
    assert await house.outcome(token) == "MEMBER_REVOKED"
    answer = await house.ask(GRANT, auth=(made["partnerClient"]["clientId"], made["secret"]))
    assert answer.json()["error"] == "invalid_client"


async def test_keys_rotate_and_old_tokens_live_on(house: House) -> None:
    made = await house.partner()
    old = await house.token(made)
    await rotate_keys(house.owner, house.hands.clock())
    house.hands.move(seconds=31)
    new = await house.token(made)
    assert parse(old).key_id != parse(new).key_id
    assert [await house.outcome(t) for t in (old, new)] == ["OPEN", "OPEN"]


async def test_a_stolen_key_is_withdrawn(house: House) -> None:
    made = await house.partner()
    stolen = await house.token(made)
    await rotate_keys(house.owner, house.hands.clock())
    assert await house.outcome(stolen) == "OPEN"
    await rotate_keys(house.owner, house.hands.clock(), withdraw=True)
    house.hands.move(seconds=31)
    assert await house.outcome(stolen) == "INVALID_TOKEN UNKNOWN_KEY"
    assert await house.outcome(await house.token(made)) == "OPEN"


async def test_private_parts_of_old_keys_are_forgotten(house: House) -> None:
    await rotate_keys(house.owner, house.hands.clock())
    async with house.owner.read(None) as session:
        kept = await session.scalar("SELECT count(*) FROM signing_key WHERE private_jwk IS NOT NULL")
    assert kept == 1


async def test_keys_are_made_once(house: House) -> None:
    assert not await ensure_keys(house.owner, house.hands.clock())


async def test_people_who_try_it_get_a_token(house: House) -> None:
    slug = house.world.slug
    token = await house.local.token_for(slug, Role.ACCOUNTING_ENGINEER, name="李工")
    principal = await house.door.authenticate(f"Bearer {token}", None)
    assert principal is not None
    assert (principal.display_name, [g.role for g in principal.grants]) == ("李工", [Role.ACCOUNTING_ENGINEER])
    again = await house.local.token_for(slug, Role.ACCOUNTING_ENGINEER, name="李工")
    same = await house.door.authenticate(f"Bearer {again}", slug)
    assert same is not None
    assert same.member_id == principal.member_id
    house.hands.move(hours=8.1)
    assert await house.outcome(token) == "INVALID_TOKEN EXPIRED"


async def test_a_role_of_a_subtree_and_people_told_apart(house: House) -> None:
    slug, admin = house.world.slug, await house.world.caller(Role.TENANT_ADMINISTRATOR)
    made = {"kind": "GROUP", "code": "HD", "nameZh": "华东", "enteredOn": "2015-01-01"}
    await admin.do("createOrganisation", made, "organisation { id }")

    async def who(name: str, organisation: str | None) -> Principal:
        token = await house.local.token_for(slug, Role.MONITORING_STAFF, name=name, organisation=organisation)
        found = await house.door.authenticate(f"Bearer {token}", slug)
        assert found is not None
        return found

    everywhere, here, other = await who("李工", None), await who("李工", "HD"), await who("王工", "HD")
    assert len({everywhere.member_id, here.member_id, other.member_id}) == 3
    assert [g.organisation_id is None for p in (everywhere, here, other) for g in p.grants] == [True, False, False]
    assert (await who("李工", "HD")).member_id == here.member_id
    lead = await house.local.token_for(slug, Role.OVERALL_LEAD, name="李工", organisation="HD")
    assert await house.outcome(lead) == "OPEN"
    for name, organisation, code in (("王工", "HD", "OVERALL_LEAD_EXISTS"), ("王工", "X", "NOT_FOUND")):
        with pytest.raises(CodedError) as caught:
            await house.local.token_for(slug, Role.OVERALL_LEAD, name=name, organisation=organisation)
        assert caught.value.code.name == code


async def test_every_role_can_be_tried(house: House) -> None:
    for role in set(Role) - {Role.OVERALL_LEAD}:
        assert await house.outcome(await house.local.token_for(house.world.slug, role)) == "OPEN"


async def test_what_cannot_be_handed_out(house: House) -> None:
    for given, code in (
        ((house.world.slug, Role.OVERALL_LEAD), "TRIAL_ROLE_NEEDS_ORGANISATION"),
        (("nowhere", Role.TOP_MANAGEMENT), "NOT_FOUND"),
    ):
        with pytest.raises(CodedError) as caught:
            await house.local.token_for(*given)
        assert caught.value.code.name == code
    for days in (0, 8):
        with pytest.raises(CodedError) as caught:
            await house.local.token_for(house.world.slug, Role.TOP_MANAGEMENT, lifetime=timedelta(days=days))
        assert caught.value.code.name == "LIFETIME_TOO_LONG"


async def test_our_own_tokens_are_for_their_tenant_alone(house: House) -> None:
    other = await World.create(house.owner, house.world.services)
    token = await house.local.token_for(house.world.slug, Role.TOP_MANAGEMENT)
    assert await house.outcome(token, house.world.slug) == "OPEN"
    assert await house.outcome(token, other.slug) == "WRONG_TENANT"


async def test_a_forged_token_of_ours_does_not_find_out_tenants(house: House) -> None:
    token = await house.local.token_for(house.world.slug, Role.TOP_MANAGEMENT)
    head, body, _ = token.split(".")
    forged = f"{head}.{body}.{'A' * 86}"
    seen = {await house.outcome(forged, tenant) for tenant in (house.world.slug, "nowhere", None)}
    assert seen == {"INVALID_TOKEN SIGNATURE"}


async def test_a_key_of_another_house_signs_nothing_here(house: House) -> None:
    genuine = parse(await house.local.token_for(house.world.slug, Role.TOP_MANAGEMENT))
    stranger = Signer(ec_key(str(genuine.key_id))).sign(
        issuer=house.url,
        audience=AUDIENCE,
        subject=genuine.claims["sub"],
        tenant=house.world.slug,
        now=house.hands.clock().now(),
        lifetime=timedelta(minutes=5),
    )
    assert await house.outcome(stranger) == "INVALID_TOKEN SIGNATURE"
