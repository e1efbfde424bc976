"""Which PostgreSQL this process talks to, and as whom: DATABASE_URL, exact logins per role, or the embedded one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from backend.config import DatabaseSettings, StateSettings
from backend.kit.database import Database, PoolLimits, connect
from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import APP, OWNER, WORKER

EMBEDDED_NAME: Final = "tanheng"


@dataclass(frozen=True, slots=True)
class Login:
    """An address, and the role to take on there when the login is a general one."""

    url: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Databases:
    """One database, four ways in. `admin` may create roles and databases; it is None when only exact logins are set."""

    app: Login
    worker: Login
    owner: Login
    admin: str | None
    embedded: bool
    limits: PoolLimits

    def open_app(self) -> Database:
        return connect(self.app.url, role=self.app.role, limits=self.limits)

    def open_worker(self) -> Database:
        return connect(self.worker.url, role=self.worker.role, limits=self.limits)

    def open_owner(self) -> Database:
        return connect(self.owner.url, role=self.owner.role, limits=PoolLimits(size=2, overflow=2))


def locate(settings: DatabaseSettings, state: StateSettings) -> Databases:
    """Where the database is; starts the embedded one when no address is set. Call it before the event loop runs."""
    limits = PoolLimits(size=settings.pool_size, through_pooler=settings.pooler == "transaction")
    if settings.url is None and settings.app_url is None:
        return _embedded(Cluster(state.state_dir), limits)

    def login(exact: str | None, role: str) -> Login:
        return Login(exact) if exact else Login(settings.url or settings.app_url or "", role)

    return Databases(
        app=login(settings.app_url, APP),
        worker=login(settings.worker_url, WORKER),
        owner=login(settings.owner_url, OWNER),
        admin=settings.url,
        embedded=False,
        limits=limits,
    )


def _embedded(cluster: Cluster, limits: PoolLimits) -> Databases:
    endpoint = cluster.start()

    def login(role: str) -> Login:
        return Login(endpoint.url(user=role, database=EMBEDDED_NAME))

    admin = endpoint.url(user=endpoint.superuser, database=EMBEDDED_NAME)
    return Databases(login(APP), login(WORKER), login(OWNER), admin, embedded=True, limits=limits)
