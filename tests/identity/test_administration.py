"""Trusted issuers and partner clients through GraphQL; what is kept of secrets; who may see what in the database."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from backend.identity.credentials import NOBODY, digest_of, is_secret, new_secret
from backend.identity.local import ensure_keys
from backend.kit.clock import Clock
from backend.kit.database import Database, connect
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.provision import AUDITOR
from tenants.access import Role
from tests.fixtures.world import World

ISSUER = {"issuer": "https://login.example.cn/realm", "audience": "tanheng"}
SHOWN = "trustedIssuer { id issuer audience jwksUri algorithms subjectClaim addedAt }"
CLIENT = "partnerClient { id clientId name scopes status createdAt memberId } secret"


async def test_add_list_and_remove_an_issuer(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = (await admin.do("addTrustedIssuer", ISSUER, SHOWN))["trustedIssuer"]
    assert (made["algorithms"], made["subjectClaim"], made["jwksUri"]) == (["RS256", "ES256"], "sub", None)
    listed = await admin.ask("{ trustedIssuers { nodes { id issuer } } }")
    assert listed["trustedIssuers"]["nodes"] == [{"id": made["id"], "issuer": made["issuer"]}]
    one = "query($id: ID!) { node(id: $id) { __typename id } }"
    assert (await admin.ask(one, id=made["id"]))["node"]["__typename"] == "TrustedIssuer"
    await admin.do("removeTrustedIssuer", {"id": made["id"]}, SHOWN)
    assert (await admin.ask(one, id=made["id"]))["node"] is None
    gone = await admin.attempt("removeTrustedIssuer", {"id": made["id"]}, SHOWN)
    assert gone["errors"][0]["code"] == "NOT_FOUND"


async def test_pages_of_clients(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    for name in ("丙", "甲", "乙"):
        await admin.do("createPartnerClient", {"name": name}, CLIENT)
    document = (
        "query($after: String) { partnerClients(first: 2, after: $after) { nodes { name } pageInfo { endCursor } } }"
    )
    first = (await admin.ask(document))["partnerClients"]
    second = (await admin.ask(document, after=first["pageInfo"]["endCursor"]))["partnerClients"]
    assert {n["name"] for n in first["nodes"] + second["nodes"]} == {"甲", "乙", "丙"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"issuer": "http://login.example.cn"}, "BAD_ISSUER"),
        ({"issuer": "http://localhost.example.cn"}, "BAD_ISSUER"),
        ({"issuer": "https://user@login.example.cn"}, "BAD_ISSUER"),
        ({"issuer": "https://login.example.cn/?x=1"}, "BAD_ISSUER"),
        ({"issuer": "https://login.example.cn/#x"}, "BAD_ISSUER"),
        ({"issuer": "https://login.example.cn?"}, "BAD_ISSUER"),
        ({"issuer": "https://"}, "BAD_ISSUER"),
        ({"issuer": "https://[::1"}, "BAD_ISSUER"),
        ({"issuer": "https://x:99999"}, "BAD_ISSUER"),
        ({"issuer": "file:///etc/passwd"}, "BAD_ISSUER"),
        ({"issuer": "登录"}, "BAD_ISSUER"),
        ({"issuer": ""}, "BAD_ISSUER"),
        ({"jwksUri": "ftp://x"}, "BAD_ISSUER"),
        ({"algorithms": ["none"]}, "BAD_ALGORITHM"),
        ({"algorithms": ["RS256", "HS256"]}, "BAD_ALGORITHM"),
        ({"algorithms": []}, "BAD_ALGORITHM"),
        ({"audience": " "}, "INVALID_INPUT"),
        ({"subjectClaim": ""}, "INVALID_INPUT"),
    ],
    ids=str,
)
async def test_issuers_that_cannot_be_trusted(world: World, changed: dict[str, Any], code: str) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    refused = await admin.attempt("addTrustedIssuer", {**ISSUER, **changed}, SHOWN)
    assert [e["code"] for e in refused["errors"]] == [code]
    assert refused["errors"][0]["path"][0] == next(iter(changed))


async def test_an_issuer_is_trusted_once(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    await admin.do("addTrustedIssuer", ISSUER, SHOWN)
    refused = await admin.attempt("addTrustedIssuer", ISSUER, SHOWN)
    assert refused["errors"][0]["code"] == "ISSUER_ALREADY_TRUSTED"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"scopes": ["tenant.manage"]}, "BAD_SCOPE"),
        ({"scopes": ["碳"]}, "BAD_SCOPE"),
        ({"name": "\u3000 "}, "INVALID_INPUT"),
        ({"organisationId": "x"}, "INVALID_ID"),
    ],
    ids=str,
)
async def test_clients_that_cannot_be_made(world: World, changed: dict[str, Any], code: str) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    refused = await admin.attempt("createPartnerClient", {"name": "交易所", **changed}, CLIENT)
    assert [e["code"] for e in refused["errors"]] == [code]
    listed = await admin.ask("{ partnerClients { nodes { id } } }")
    assert listed["partnerClients"]["nodes"] == []


async def test_a_secret_is_shown_once(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    given = {"name": "交易所", "idempotencyKey": "k-1"}
    first = await admin.do("createPartnerClient", given, CLIENT)
    again = await admin.do("createPartnerClient", given, CLIENT)
    assert first["secret"].startswith("ths_")
    assert again == {**first, "secret": None, "replayed": True}
    rotate = {"id": first["partnerClient"]["id"], "idempotencyKey": "k-2"}
    second = await admin.do("rotatePartnerClientSecret", rotate, CLIENT)
    assert second["secret"] not in {None, first["secret"]}
    assert (await admin.do("rotatePartnerClientSecret", rotate, CLIENT))["secret"] is None
    assert (await admin.do("createPartnerClient", {"name": "乙", "dryRun": True}, CLIENT))["secret"] is None


async def test_secrets_are_kept_nowhere(world: World, owner_database: Database) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = await admin.do("createPartnerClient", {"name": "交易所", "idempotencyKey": "k"}, CLIENT)
    async with owner_database.read(world.tenant_id) as session:
        for table in ("audit_event", "idempotency_key", "oauth_client", "oauth_client_secret", "member"):
            rows = await session.rows(f"SELECT t::text AS line FROM {table} t")
            assert rows
            assert not any(made["secret"] in r.line for r in rows)
            digests = table != "oauth_client_secret" and any("scrypt" in r.line for r in rows)
            assert not digests


async def test_what_was_revoked_stays_revoked(world: World, database: Database) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = await admin.do("createPartnerClient", {"name": "交易所"}, CLIENT)
    key = {"id": made["partnerClient"]["id"]}
    await admin.do("revokePartnerClient", key, "partnerClient { status }")
    for mutation in ("revokePartnerClient", "rotatePartnerClientSecret"):
        assert (await admin.attempt(mutation, key))["errors"][0]["code"] == "CLIENT_REVOKED"
    with pytest.raises(DBAPIError, match="revoked for good"):
        await database.write(world.tenant_id, lambda unit: unit.execute("UPDATE oauth_client SET status = 'ACTIVE'"))


@pytest.mark.parametrize("hours", [-1, 169])
async def test_an_overlap_has_limits(world: World, hours: int) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = await admin.do("createPartnerClient", {"name": "交易所"}, CLIENT)
    given = {"id": made["partnerClient"]["id"], "overlapHours": hours}
    assert (await admin.attempt("rotatePartnerClientSecret", given))["errors"][0]["code"] == "BAD_OVERLAP"


async def test_only_who_manages_the_tenant(world: World, owner_database: Database) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    issuer = (await admin.do("addTrustedIssuer", ISSUER, SHOWN))["trustedIssuer"]["id"]
    client = (await admin.do("createPartnerClient", {"name": "交易所"}, CLIENT))["partnerClient"]["id"]
    group = {"kind": "GROUP", "code": "HD", "nameZh": "华东集团", "enteredOn": "2020-01-01"}
    node = (await admin.do("createOrganisation", group, "organisation { id }"))["organisation"]["id"]
    auditor = await world.caller(Role.INTERNAL_AUDITOR)
    partial = await world.member((Role.TENANT_ADMINISTRATOR, key_of(node, "Organisation")))
    other = await (await World.create(owner_database, world.services)).caller(Role.TENANT_ADMINISTRATOR)
    for caller in (auditor, partial, other):
        nodes = await caller.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[issuer, client])
        assert nodes["nodes"] == [None, None]
    for caller in (auditor, partial):
        for mutation, given in (
            ("addTrustedIssuer", {**ISSUER, "issuer": "https://x.example"}),
            ("removeTrustedIssuer", {"id": issuer}),
            ("createPartnerClient", {"name": "丙"}),
            ("rotatePartnerClientSecret", {"id": client}),
            ("revokePartnerClient", {"id": client}),
        ):
            assert (await caller.attempt(mutation, given))["errors"][0]["code"] == "FORBIDDEN"
        for field in ("trustedIssuers", "partnerClients"):
            answer = await caller.run(f"{{ {field} {{ nodes {{ id }} }} }}")
            assert answer.errors[0]["extensions"]["code"] == "FORBIDDEN"
    for mutation, given in (("removeTrustedIssuer", {"id": issuer}), ("revokePartnerClient", {"id": client})):
        assert (await other.attempt(mutation, given))["errors"][0]["code"] == "NOT_FOUND"
    assert (await other.ask("{ partnerClients { nodes { id } } }"))["partnerClients"]["nodes"] == []


async def test_another_kind_of_id_is_refused(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    given = {"id": to_id("Organisation", world.tenant_id)}
    assert (await admin.attempt("revokePartnerClient", given))["errors"][0]["code"] == "INVALID_ID"


PRIVATE = (
    "SELECT private_jwk FROM signing_key",
    "SELECT * FROM signing_key",
    "INSERT INTO signing_key (kid, public_jwk, private_jwk) VALUES ('x', '{}', '{\"d\": 1}')",
    "UPDATE signing_key SET retired_at = now()",
    "DELETE FROM signing_key",
)


async def test_private_keys_are_out_of_reach(
    database: Database, worker_database: Database, owner_database: Database, database_url: str
) -> None:
    await ensure_keys(owner_database, Clock())
    auditor = connect(database_url, role=AUDITOR)
    for reader in (database, worker_database, auditor):
        for statement in PRIVATE:
            with pytest.raises(DBAPIError, match="permission denied"):
                await reader.write(None, lambda unit, sql=statement: unit.execute(sql))  # type: ignore[misc]
    for reader in (worker_database, auditor):
        for statement in ("SELECT active_private_key()", "SELECT kid FROM signing_key"):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with reader.read(None) as session:
                    await session.scalar(statement)
        with pytest.raises(DBAPIError, match="permission denied"):
            async with reader.read(None) as session:
                await session.rows("SELECT digest FROM oauth_client_secret")
    await auditor.close()


def test_secrets_and_digests() -> None:
    secret = new_secret()
    digest = digest_of(secret)
    assert digest != digest_of(secret)
    assert is_secret(secret, digest)
    assert not is_secret(secret + "x", digest)
    assert not is_secret("", digest)
    assert not is_secret("密" * 100, digest)
    assert not is_secret("x" * 201, digest)
    assert not is_secret(secret, NOBODY)
