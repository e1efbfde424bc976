"""graphql.read_1000: 1,000 organisations × 8 fields + 1 nested object, against hand-written Starlette + asyncpg +
orjson that answers the same bytes. Both are called as ASGI applications in one process, so no client is measured.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.kit.clock import Clock
from backend.kit.database import PoolLimits, connect
from backend.kit.graphql.execute import Executor
from backend.kit.graphql.http import GRAPHQL_JSON, endpoint
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.kit.provision import APP, OWNER
from backend.kit.toolbox import Services, Toolbox
from schema.build import build_schema, core
from tenants.access import Role
from tenants.context import TenantContext
from tests.benchmarks.table import Figure, interleaved
from tests.fixtures.world import Caller, World

FIELDS: Final = ("code", "nameZh", "nameEn", "address", "divisionCode", "industryCode", "business", "capacity")
COLUMNS: Final = ("code", "name_zh", "name_en", "address", "division_code", "industry_code", "business", "capacity")
QUERY: Final = f"{{ organisations(first: 1000) {{ nodes {{ {' '.join(FIELDS)} parent {{ id code }} }} }} }}"
RAW: Final = """
SELECT o.code, o.name_zh, o.name_en, o.address, o.division_code, o.industry_code, o.business, o.capacity,
       p.id AS parent_id, p.code AS parent_code
FROM organisation o
LEFT JOIN organisation_link l ON l.tenant_id = o.tenant_id AND l.child_id = o.id AND l.valid @> current_date
LEFT JOIN organisation p ON p.tenant_id = l.tenant_id AND p.id = l.parent_id
WHERE o.tenant_id = $1 ORDER BY o.code, o.id LIMIT 1000
"""


async def read_1000(url: str) -> Figure:
    owner = connect(url, role=OWNER, limits=PoolLimits(size=2))
    database = connect(url, role=APP, limits=PoolLimits(size=4))
    pool = await asyncpg.create_pool(url, min_size=4, max_size=4)
    try:
        services = Services(Toolbox(database, Clock()))
        world = await World.create(owner, services)
        caller = await world.caller(Role.TENANT_ADMINISTRATOR)
        await _grow(world, caller)
        # As autovacuum would have done by the time anybody reads.
        await pool.execute("ANALYZE")
        ours, limit = _graphql(services, caller), _raw(pool, world)
        assert await _call(ours) == await _call(limit), "the two must answer the same bytes"
        rate, raw, ratio = await interleaved(lambda: _call(ours), lambda: _call(limit))
    finally:
        await pool.close()
        await database.close()
        await owner.close()
    note = "1,000 organisations × 8 fields + parent, against Starlette + asyncpg + orjson"
    return Figure("graphql.read_1000", rate, raw, ratio, "requests/s", note)


async def _grow(world: World, caller: Caller) -> None:
    root = to_id("Organisation", await world.root())
    rows = [
        {
            "kind": "SITE",
            "code": f"S{i:04d}",
            "nameZh": f"第{i}号厂区",
            "nameEn": f"Site {i}",
            "address": "江苏省无锡市示例工业园",
            "divisionCode": "320205",
            "industryCode": "C3110",
            "business": "炼铁炼钢",
            "capacity": "粗钢120万吨/年",
            "parentId": root,
            "enteredOn": "2020-01-01",
        }
        for i in range(999)
    ]
    for start in range(0, len(rows), 500):
        await caller.do(
            "createOrganisations", {"organisations": rows[start : start + 500]}, "results { organisation { id } }"
        )


def _graphql(services: Services, caller: Caller) -> Any:
    async def context(_request: Request) -> TenantContext:
        return TenantContext(services, "en", caller=caller.principal)

    serve = endpoint(Executor(core(build_schema())), context)
    return Starlette(routes=[Route("/graphql", serve, methods=["POST"])])


def _raw(pool: Any, world: World) -> Any:
    async def serve(request: Request) -> Response:
        await request.body()
        rows = await pool.fetch(RAW, world.tenant_id)
        nodes = [
            dict(zip(FIELDS, row, strict=False))
            | {"parent": row[8] and {"id": to_id("Organisation", row[8]), "code": row[9]}}
            for row in rows
        ]
        body = orjson.dumps({"data": {"organisations": {"nodes": nodes}}})
        return Response(body, media_type=GRAPHQL_JSON)

    return Starlette(routes=[Route("/graphql", serve, methods=["POST"])])


async def _call(app: Any) -> bytes:
    """One request through the ASGI interface."""
    body = orjson.dumps({"query": QUERY})
    headers = [(b"content-type", b"application/json"), (b"accept", GRAPHQL_JSON.encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/graphql", "raw_path": b"/graphql",
        "query_string": b"", "headers": headers, "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "correlation_id": uuid7().hex,
    }  # fmt: skip
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(parts)
