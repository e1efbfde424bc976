"""The way to PostgreSQL: read sessions and units of work, each bound to one tenant for one short transaction.

BEGIN and the tenant go to the server in one round trip, so row-level security holds from the first statement.
A read cannot write (the transaction is READ ONLY); a unit of work is one function, so that the plumbing can
commit it once and run it again when the server says that two writers met (40001, 40P01).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import Executable, Row, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backend.kit.errors import BUSY, TIMEOUT, CodedError, conflict, unavailable

T = TypeVar("T")
Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK: Final = "40P01"
LOCK_TIMEOUT: Final = "55P03"
QUERY_CANCELED: Final = "57014"
TENANT_SUSPENDED_STATE: Final = "TH001"
ATTEMPTS: Final = 8

TENANT_SUSPENDED = conflict(
    "TENANT_SUSPENDED",
    en="This tenant is suspended: its records can be read, not written. Ask the operator to resume it.",
    zh="该租户已停用：数据可读不可写。请联系运营方恢复。",
)

INTERRUPTED = unavailable(
    "INTERRUPTED",
    en="The database went away, so nobody knows whether this was done. Ask again, a mutation with the same "
    "idempotencyKey: what was done is not done twice.",
    zh="数据库连接中断，无法确定本次请求是否已完成。请重试；变更操作请使用同一幂等键（idempotencyKey），已完成的不会重复执行。",
)


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Connections one process may hold, and how long (s) a caller waits for one."""

    size: int = 10
    overflow: int = 10
    wait_s: float = 10.0
    through_pooler: bool = False


@dataclass(slots=True)
class ReadSession:
    """One short read-only transaction inside one tenant. Not for concurrent use."""

    connection: AsyncConnection
    tenant_id: UUID | None

    async def rows(self, statement: Executable | str, parameters: Parameters | None = None) -> Sequence[Row[Any]]:
        return (await self._run(statement, parameters)).all()  # type: ignore[no-any-return]

    async def first(self, statement: Executable | str, parameters: Parameters | None = None) -> Row[Any] | None:
        return (await self._run(statement, parameters)).first()  # type: ignore[no-any-return]

    async def scalar(self, statement: Executable | str, parameters: Parameters | None = None) -> Any:
        return (await self._run(statement, parameters)).scalar()

    async def _run(self, statement: Executable | str, parameters: Parameters | None) -> Any:
        executable = text(statement) if isinstance(statement, str) else statement
        return await self.connection.execute(executable, parameters)


@dataclass(slots=True)
class UnitOfWork(ReadSession):
    """One read-write transaction. Whoever is given it may write; nobody but the plumbing commits it."""

    after_commit: list[Callable[[], None]] = field(default_factory=list)

    async def execute(self, statement: Executable | str, parameters: Parameters | None = None) -> int:
        """Run a statement; the number of rows it touched."""
        return int((await self._run(statement, parameters)).rowcount)

    async def driver(self) -> Any:
        """The asyncpg connection beneath, for COPY and for the hottest statements."""
        return (await self.connection.get_raw_connection()).driver_connection


class RollBack(Exception):  # noqa: N818 - not an error: the caller asked for a rehearsal
    """Raised inside a unit of work to undo it and still hand a value back (dry runs)."""

    def __init__(self, value: Any) -> None:
        super().__init__("rehearsal")
        self.value = value


class Database:
    """An engine whose transactions we open and close ourselves."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def read(self, tenant_id: UUID | None) -> AsyncIterator[ReadSession]:
        async with self._transaction(f"BEGIN READ ONLY; {_bind(tenant_id)}") as connection:
            yield ReadSession(connection, tenant_id)

    @asynccontextmanager
    async def snapshot(self, tenant_id: UUID | None) -> AsyncIterator[ReadSession]:
        """A read whose statements all see the same instant (reports, frozen inputs)."""
        begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_bind(tenant_id)}"
        async with self._transaction(begin) as connection:
            yield ReadSession(connection, tenant_id)

    async def write(
        self,
        tenant_id: UUID | None,
        work: Callable[[UnitOfWork], Awaitable[T]],
        *,
        isolation: Isolation = "READ COMMITTED",
    ) -> T:
        """Run `work` in one transaction and commit it; again, with jitter, when writers met.

        Errors: BUSY after the last attempt, TIMEOUT when the server gave up, TENANT_SUSPENDED.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await self._write_once(tenant_id, work, isolation)
            except (DBAPIError, PostgresError) as error:
                # What ran on the driver itself (`UnitOfWork.driver`) raises in its own dress.
                state = sqlstate(error)
                if state not in {SERIALIZATION_FAILURE, DEADLOCK}:
                    raise _coded(error, state) from error
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise BUSY()

    async def _write_once(
        self, tenant_id: UUID | None, work: Callable[[UnitOfWork], Awaitable[T]], isolation: Isolation
    ) -> T:
        begin = f"BEGIN ISOLATION LEVEL {isolation}; {_bind(tenant_id)}; {_writable(tenant_id)}"
        try:
            async with self._transaction(begin) as connection:
                unit = UnitOfWork(connection, tenant_id)
                result = await work(unit)
        except RollBack as rehearsal:
            return rehearsal.value  # type: ignore[no-any-return]
        for notify in unit.after_commit:
            notify()
        return result

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool, outside of any transaction. A server that is not there fails in SQLAlchemy's dress,
        like all else of it.
        """
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self.engine.connect())
            except OSError as error:
                raise DBAPIError("", None, error) from error
            yield connection

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[AsyncConnection]:
        async with self.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            try:
                await _simple(raw, begin)
                yield connection
                await _simple(raw, "COMMIT")
            except BaseException:
                await _abandon(connection, raw)
                raise

    async def close(self) -> None:
        await self.engine.dispose()


async def _simple(raw: Any, sql: str) -> None:
    """Several statements in one round trip, errors in SQLAlchemy's dress like all others."""
    try:
        await raw.execute(sql)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        raise DBAPIError(sql, None, error) from error


async def _abandon(connection: AsyncConnection, raw: Any) -> None:
    """Roll back; if even that fails (the server is gone, the task was cancelled), drop the connection."""
    try:
        await asyncio.shield(raw.execute("ROLLBACK"))
    except BaseException:
        await connection.invalidate()


def _bind(tenant_id: UUID | None) -> str:
    # set_config(…, true) is SET LOCAL; a UUID renders as hex digits and dashes only, whatever it holds.
    return f"SELECT set_config('app.tenant_id', '{'' if tenant_id is None else UUID(int=tenant_id.int)}', true)"


def _writable(tenant_id: UUID | None) -> str:
    return "" if tenant_id is None else "SELECT tenant_must_be_writable()"


def sqlstate(error: Exception) -> str:
    """The five characters by which PostgreSQL names an error, or an empty string."""
    origin: Any = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None) or "")


def interrupted(error: BaseException | None) -> CodedError | None:
    """INTERRUPTED, when it was the database that went away."""
    causes = (error.orig, getattr(error.orig, "__cause__", None)) if isinstance(error, DBAPIError) else (error,)
    lost = any(_is_lost(cause) for cause in causes)
    # Files and sockets of others fail by OSError too; those of the database come in SQLAlchemy's dress.
    unreachable = isinstance(error, DBAPIError) and any(isinstance(cause, OSError) for cause in causes)
    return INTERRUPTED() if lost or unreachable else None


def _is_lost(cause: BaseException | None) -> bool:
    if isinstance(cause, InterfaceError):
        return "closed" in str(cause)
    # What the driver says of a connection whose end it heard of between two requests.
    broken = isinstance(cause, InternalClientError)
    return broken or (isinstance(cause, Exception) and sqlstate(cause).startswith(("08", "57P")))


def constraint_name(error: DBAPIError) -> str:
    """The constraint or index that refused a row, or an empty string."""
    origin: Any = getattr(error.orig, "__cause__", None) or error.orig
    return str(getattr(origin, "constraint_name", None) or "")


def _coded(error: Exception, state: str) -> Exception:
    if state == TENANT_SUSPENDED_STATE:
        return TENANT_SUSPENDED()
    if state in {LOCK_TIMEOUT, QUERY_CANCELED}:
        return TIMEOUT()
    return error


def translate(error: DBAPIError, codes: Mapping[str, Callable[[], CodedError]]) -> CodedError | DBAPIError:
    """The coded error that a broken constraint means, or the error itself when none is named for it."""
    make = codes.get(constraint_name(error))
    return make() if make else error


ROLE_SETTINGS: Final[Mapping[str, str]] = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
# A general login that takes a role on does not get the settings of the role; these follow infra/sql/roles.sql.
PATIENT_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "tanheng_worker": {
        "statement_timeout": "10min",
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "10min",
    },
}


def connect(url: str, *, role: str | None = None, limits: PoolLimits = PoolLimits()) -> Database:
    """A database by URL (`postgresql://…`); as `role` when the login is a general one.

    Behind a pooler in transaction mode (PgBouncer) prepared statements are neither cached nor named, and no
    start-up parameter is sent: the login must be the role itself.
    """
    arguments: dict[str, Any] = {}
    if limits.through_pooler:
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,
        }
    elif role is not None:
        arguments["server_settings"] = {"role": role, **PATIENT_SETTINGS.get(role, ROLE_SETTINGS)}
    engine = create_async_engine(
        asyncpg_url(url),
        isolation_level="AUTOCOMMIT",
        pool_size=limits.size,
        max_overflow=limits.overflow,
        pool_timeout=limits.wait_s,
        # The connection used last comes first: its statements are planned already.
        pool_use_lifo=True,
        connect_args=arguments,
    )
    return Database(engine)


def asyncpg_url(url: str) -> URL:
    """The same database through asyncpg; `host=/socket/folder` in the query keeps its meaning."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def count_statements(database: Database, seen: list[str]) -> Callable[[], None]:
    """Append every statement to `seen` until the returned function is called (tests, `doctor`)."""

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    return lambda: event.remove(engine, "before_cursor_execute", note)
