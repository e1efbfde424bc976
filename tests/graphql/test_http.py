"""GraphQL over HTTP: media types, status codes, methods, languages, masking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from backend.kit.clock import Clock
from backend.kit.correlation import CorrelationMiddleware
from backend.kit.database import connect
from backend.kit.graphql.http import GRAPHQL_JSON, endpoint, locale_of
from backend.kit.toolbox import Services, Toolbox
from tenants.access import Role
from tenants.context import TenantContext
from tests.fixtures.world import World, executor

ASK = {"query": "{ __typename }"}


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)

    async def context(request: Request) -> TenantContext:
        caller = None if "x-nobody" in request.headers else admin.principal
        services = SERVICES[request.headers.get("x-services", "")](world)
        if "x-no-context" in request.headers:
            async with services.toolbox.database.read(None):
                pass
        return TenantContext(services, locale_of(request), request.scope["correlation_id"], caller=caller)

    route = Route("/graphql", endpoint(executor(), context), methods=["GET", "POST", "PUT", "HEAD"])
    app = CorrelationMiddleware(Starlette(routes=[route]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


class Faulty:
    """A database that fails for a reason that is nobody's business outside."""

    def read(self, _tenant_id: object) -> Any:
        raise RuntimeError("secret-place")


SERVICES: dict[str, Callable[[World], Services]] = {
    "": lambda world: world.services,
    "faulty": lambda _: Services(Toolbox(cast("Any", Faulty()), Clock())),
    "unreachable": lambda _: Services(Toolbox(connect("postgresql://nobody@127.0.0.1:1/secret-place"), Clock())),
}


async def test_the_better_liked_media_type_is_answered(http: httpx.AsyncClient) -> None:
    for accept, expected in (
        (GRAPHQL_JSON, GRAPHQL_JSON),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        (f"application/json;q=0.4, {GRAPHQL_JSON};q=0.9", GRAPHQL_JSON),
    ):
        answer = await http.post("/graphql", json=ASK, headers={"accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{expected}; charset=utf-8"
        assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"json": ASK, "headers": {"accept": "text/csv"}}, 406),
        ({"content": "{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": "[]", "headers": {"content-type": "application/json"}}, 400),
        ({"content": "{__typename}", "headers": {"content-type": "text/plain"}}, 415),
        ({"json": {"query": 7}}, 400),
        ({"json": {"query": "{"}}, 400),
        ({"json": {"query": "{ nothing }"}}, 400),
        ({"json": {"query": "query A{__typename} query B{__typename}"}}, 400),
        ({"json": {**ASK, "variables": "x"}}, 400),
        ({"json": {**ASK, "operationName": 1}}, 400),
        ({"content": b'{"query":"' + b"x" * 2_100_000 + b'"}', "headers": {"content-type": "application/json"}}, 413),
    ],
)
async def test_what_is_no_request_is_refused(http: httpx.AsyncClient, request_: dict[str, Any], status: int) -> None:
    answer = await http.post("/graphql", **request_)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"]
    assert "data" not in answer.json()


async def test_methods(http: httpx.AsyncClient) -> None:
    assert (await http.get("/graphql", params=ASK)).json() == {"data": {"__typename": "Query"}}
    unsafe = await http.get("/graphql", params={"query": "mutation { __typename }"})
    assert (unsafe.status_code, unsafe.headers["allow"]) == (405, "POST")
    assert (await http.put("/graphql", json=ASK)).status_code == 405


async def test_errors_speak_the_callers_language_and_keep_their_code(http: httpx.AsyncClient) -> None:
    query = {"query": '{ node(id: "nonsense") { id } }'}
    found = {}
    for language in ("zh-CN,zh;q=0.9", "en-GB"):
        answer = await http.post("/graphql", json=query, headers={"accept-language": language})
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "INVALID_ID"
        found[language] = error["message"]
    assert "标识" in found["zh-CN,zh;q=0.9"]
    assert "is not the id" in found["en-GB"]


async def test_nobody_is_told_to_sign_in(http: httpx.AsyncClient) -> None:
    answer = await http.post("/graphql", json={"query": "{ viewer { displayName } }"}, headers={"x-nobody": "1"})
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    published = await http.post(
        "/graphql", json={"query": "{ errorCodes { codes { code } } }"}, headers={"x-nobody": "1"}
    )
    assert {"code": "NOT_FOUND"} in published.json()["data"]["errorCodes"]["codes"]


async def test_what_was_not_expected_is_masked_and_can_be_found_again(http: httpx.AsyncClient) -> None:
    query = {"query": "{ organisations { nodes { code } } }"}
    headers = {"x-services": "faulty", "x-correlation-id": "find-me-7", "accept-language": "en"}
    answer = await http.post("/graphql", json=query, headers=headers)
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "correlationId": "find-me-7"}
    assert answer.headers["x-correlation-id"] == "find-me-7"
    assert "secret-place" not in answer.text


ORGANISATIONS = {"query": "{ organisations(first: 1) { nodes { id } } }"}


@pytest.mark.parametrize(("where", "status"), [({}, 200), ({"x-no-context": "1"}, 503)], ids=["field", "caller"])
async def test_a_database_that_is_not_there_is_asked_again(
    http: httpx.AsyncClient, where: dict[str, str], status: int
) -> None:
    answer = await http.post("/graphql", json=ORGANISATIONS, headers={"x-services": "unreachable", **where})
    (error,) = answer.json()["errors"]
    assert answer.status_code == status
    assert error["extensions"] == {"code": "INTERRUPTED", "retryable": True}
    assert "请使用同一幂等键" in error["message"]
    assert "secret-place" not in answer.text


async def test_a_connection_that_was_lost_is_told(http: httpx.AsyncClient, world: World, server_url: str) -> None:
    async with world.services.toolbox.database.read(None) as session:
        pid = await session.scalar("SELECT pg_backend_pid()")
    killer = await asyncpg.connect(server_url)
    await killer.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await killer.close()
    told = [(await http.post("/graphql", json=ORGANISATIONS)).json() for _ in range(2)]
    assert [e["extensions"]["code"] for e in told[0]["errors"]] == ["INTERRUPTED"]
    assert told[1]["data"]["organisations"] is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "query Q($s: String) { members(search: $s) { nodes { id } } }", "variables": {"s": "张\0三"}},
        {"query": '{ members(search: "张\\u0000三") { nodes { id } } }'},
        {"query": '{ members(search: "张\\u{0}三") { nodes { id } } }'},
    ],
    ids=["variable", "literal", "short literal"],
)
async def test_text_that_cannot_be_stored_is_refused(http: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    answer = await http.post("/graphql", json=asked)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "NUL_CHARACTER"
