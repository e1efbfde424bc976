"""The Starlette application: the only place that wires."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from backend.config import IdentitySettings, LongWorkSettings
from backend.graphiql import page as graphiql
from backend.identity import issuer
from backend.identity.authenticator import Authenticator
from backend.kit.clock import Clock
from backend.kit.correlation import CorrelationMiddleware
from backend.kit.database import Database
from backend.kit.garbage import settle
from backend.kit.graphql.execute import Executor
from backend.kit.graphql.http import endpoint, locale_of
from backend.kit.objects.files import FileStore
from backend.kit.objects.store import ObjectStore
from backend.kit.toolbox import Services, Toolbox
from backend.worker import WorkerThread
from schema.build import build_schema, core
from tenants.context import TenantContext


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of: an open database (in the role of the API), and a worker beside it, or none."""

    database: Database
    worker: WorkerThread | None
    identity: IdentitySettings
    objects: ObjectStore
    clock: Clock = field(default_factory=Clock)


def create_app(parts: Parts) -> Starlette:
    """The application over open databases. Its lifespan starts and stops the embedded worker, if there is one."""
    toolbox = Toolbox(parts.database, parts.clock, objects=parts.objects, at_once=LongWorkSettings().at_once)
    services = Services(replace(toolbox, wake_relay=parts.worker.ring) if parts.worker else toolbox)
    authenticator = Authenticator(parts.database, parts.clock, parts.identity)

    async def context(request: Request) -> TenantContext:
        headers = request.headers
        caller = await authenticator.authenticate(headers.get("authorization"), headers.get("x-tenant"))
        return TenantContext(services, locale_of(request), request.scope["correlation_id"], caller=caller)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if parts.worker:
            await parts.worker.start()
        settle()
        yield
        if parts.worker:
            await parts.worker.stop()
        await authenticator.close()
        await parts.database.close()

    serve = endpoint(Executor(core(build_schema())), context)
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes = [
        Route("/graphql", serve, methods=methods),
        Route("/livez", _alive),
        Route("/readyz", _ready(parts.database)),
        Route("/", lambda _request: RedirectResponse("/graphiql")),
        *graphiql.routes(),
        *issuer.routes(parts.database, parts.clock, parts.identity),
        *(parts.objects.routes() if isinstance(parts.objects, FileStore) else ()),
    ]
    return Starlette(routes=routes, middleware=[Middleware(CorrelationMiddleware)], lifespan=lifespan)


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _ready(database: Database) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_request: Request) -> Response:
        try:
            async with database.read(None) as session:
                revision = await session.scalar("SELECT version_num FROM alembic_version")
        except Exception as error:
            return JSONResponse({"status": "not ready", "because": type(error).__name__}, status_code=503)
        return JSONResponse({"status": "ready", "migration": revision})

    return ready
