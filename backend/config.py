"""Settings, one small frozen class per concern, read once from the environment.

| variable | meaning |
|---|---|
| DATABASE_URL | any PostgreSQL ≥ 15; unset: the embedded one. A general login takes on the roles |
| DATABASE_APP_URL, DATABASE_WORKER_URL, DATABASE_OWNER_URL | exact logins per role (needed behind PgBouncer) |
| DATABASE_POOLER | `transaction` behind PgBouncer in transaction mode |
| DATABASE_POOL_SIZE | connections one process keeps, 10 |
| BROKER_URL | amqp://… or redis://…; unset: jobs are carried inside the process |
| BROKER_QUEUE | queue of this installation where several share a broker, `tanheng` |
| WORKER_SLOTS | jobs one worker does at once, 4 |
| WORKER_LEASE_S | seconds after which a silent worker's job is given to another, 60 |
| WORKER_POLL_S | seconds between looks at the queue when nothing rings, 1 |
| WORKER_GRACE_S | seconds running jobs get to end when the worker must stop, 30 |
| WORKER_SCHEDULES_OFF | periodic jobs a worker does not start, by name with commas between, or `all`; none |
| TANHENG_STATE_DIR | where the embedded database lives, `.tanheng` in the project |
| TANHENG_PUBLIC_URL | the address clients see, http://127.0.0.1:8000 |
| TANHENG_AUDIENCE | the audience access tokens must name, `tanheng` |
| TANHENG_PRIVATE_ISSUERS | `true`: trusted issuers may live on private networks (an intranet's own provider) |
| TANHENG_ADMISSION_CACHE_S | seconds a revoked member may still get in, 2; 0 asks the database on every request |
| OBJECTS_BUCKET | bucket of an S3 store for files; unset: files in the state folder behind URLs of our own |
| OBJECTS_ENDPOINT, OBJECTS_REGION | where the store is, when not Amazon's; its region, `us-east-1` |
| OBJECTS_ACCESS_KEY, OBJECTS_SECRET_KEY | the login to it |
| OBJECTS_LOCKING | whether the bucket has object lock: retention and legal hold are then set there too, `false` |
| TANHENG_AT_ONCE | stream-months a request restates itself, 5000; more become a job |
| TANHENG_LOG | `json` (default when not a terminal) or `console` |
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.kit.jobs.domain import Pace

ROOT = Path(__file__).resolve().parent.parent


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore")


class StateSettings(_Settings):
    """Where this installation keeps what it must not lose."""

    model_config = SettingsConfigDict(env_prefix="TANHENG_", frozen=True, extra="ignore")
    state_dir: Path = ROOT / ".tanheng"


class DatabaseSettings(_Settings):
    """Which PostgreSQL, and how to log in for each of the roles."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_", frozen=True, extra="ignore")
    url: str | None = None
    app_url: str | None = None
    worker_url: str | None = None
    owner_url: str | None = None
    pooler: Literal["transaction"] | None = None
    pool_size: int = 10


class BrokerSettings(_Settings):
    """What carries the ids of jobs to the workers."""

    model_config = SettingsConfigDict(env_prefix="BROKER_", frozen=True, extra="ignore")
    url: str | None = None
    queue: str = "tanheng"


class WorkerSettings(_Settings):
    """At which pace a worker works."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", frozen=True, extra="ignore")
    slots: int = 4
    lease_s: float = 60.0
    poll_s: float = 1.0
    grace_s: float = 30.0
    schedules_off: str = ""

    def off(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.schedules_off.split(",") if name.strip())

    def pace(self) -> Pace:
        return Pace(slots=self.slots, lease_s=self.lease_s, poll_s=self.poll_s, grace_s=self.grace_s)


class ApiSettings(_Settings):
    """How the API is seen from outside."""

    model_config = SettingsConfigDict(env_prefix="TANHENG_", frozen=True, extra="ignore")
    public_url: str = "http://127.0.0.1:8000"
    audience: str = "tanheng"


class LongWorkSettings(_Settings):
    """From where on work is too long for a request."""

    model_config = SettingsConfigDict(env_prefix="TANHENG_", frozen=True, extra="ignore")
    at_once: int = Field(default=5_000, ge=0)


class IdentitySettings(ApiSettings):
    """Whose tokens are taken, and for how long a decision about one is remembered."""

    private_issuers: bool = False
    admission_cache_s: float = Field(default=2.0, ge=0, le=5)


class ObjectSettings(_Settings):
    """Where files are kept."""

    model_config = SettingsConfigDict(env_prefix="OBJECTS_", frozen=True, extra="ignore")
    bucket: str | None = None
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
    locking: bool = False
    """Whether the bucket was made with object lock."""


class LogSettings(_Settings):
    """How logs are written."""

    model_config = SettingsConfigDict(env_prefix="TANHENG_", frozen=True, extra="ignore")
    log: Literal["json", "console"] | None = None
