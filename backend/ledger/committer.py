"""Waiting postings of a tenant go to the database together: one call, one transaction, an answer for each caller.

A posting alone pays a transaction, two balances' locks and a flush of the log by itself; many together share them, so
the busier the ledger, the cheaper a posting. One call of a tenant is under way at a time (a second would only wait at
the tenant's chain): while the database works on it, the next is gathered. Nothing waits for company: a posting that
finds the way free leaves at once.

What the books do not take at the first look (a refusal, a used key, a caller whose reach is in doubt, a failed
statement) is answered with `NotTaken`: nothing of it was written, and its caller has it judged alone, with all the
reasons.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from asyncpg.exceptions import PostgresError

from backend.kit.database import Database
from backend.ledger.repository.posting import Asked, Landed

MOST: Final = 200
"""Postings in one call: what comes on top waits for the next."""
FEW: Final = 16
"""As many go together in any case."""
IDLE_TURNS: Final = 4
"""Turns of the event loop the way stays open for callers that were just answered and come again."""

Commit = Callable[[object, UUID, Sequence[Asked]], Awaitable[list[Landed | None]]]
Waiting = tuple[Asked, "asyncio.Future[Landed]"]


class NotTaken(Exception):  # noqa: N818 - not an error: a way to go on
    """The posting was not written; it has to be judged by itself."""


def is_unsure(error: PostgresError) -> bool:
    """The server undid the statement and says why; unless it was going down, when nobody knows."""
    return str(getattr(error, "sqlstate", "")).startswith(("08", "57"))


class Committer:
    """One for a process: it keeps the tenants apart."""

    def __init__(self, database: Database, commit: Commit) -> None:
        self._database = database
        self._commit = commit
        self._lines: dict[UUID, _Line] = {}

    async def post(self, tenant_id: UUID, asked: Asked) -> Landed:
        """Post one transfer with whatever else waits. Errors: NotTaken.

        A caller that is cancelled while it waits in line is dropped from it; later its posting stands all the same.
        """
        line = self._lines.get(tenant_id)
        if line is None:
            line = self._lines[tenant_id] = _Line(self, tenant_id)
        answer: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()
        line.waiting.append((asked, answer))
        line.open()
        return await answer

    def _forget(self, line: _Line) -> None:
        self._lines.pop(line.tenant_id, None)


class _Line:
    """The postings of one tenant that wait, and the task that takes them to the database."""

    def __init__(self, committer: Committer, tenant_id: UUID) -> None:
        self.committer = committer
        self.tenant_id = tenant_id
        self.waiting: deque[Waiting] = deque()
        self.task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """See to it that somebody takes what waits."""
        if self.task is None:
            self.task = asyncio.create_task(self._run())
            self.task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self.task = None
        error = NotTaken() if task.cancelled() else task.exception()
        while error is not None and self.waiting:
            # Without a connection nobody gets further; each caller hears why.
            _fail(self.waiting.popleft()[1], error)
        if self.waiting:
            self.open()
        else:
            self.committer._forget(self)  # noqa: SLF001 - of one module

    async def _run(self) -> None:
        async with self.committer._database.engine.connect() as connection:  # noqa: SLF001 - of one module
            driver = (await connection.get_raw_connection()).driver_connection
            while batch := await self._gather():
                try:
                    await self._settle(driver, batch)
                except Exception:
                    # Its callers have heard it. Who waits goes by another connection.
                    await connection.invalidate()
                    return

    async def _gather(self) -> list[Waiting]:
        """The next to go, in the order they came; each key once, for its second use is a replay of the first.

        Of many only the older half goes: so callers come back and prepare while the database works for the others.
        """
        for _ in range(IDLE_TURNS):
            if self.waiting:
                break
            await asyncio.sleep(0)
        most = min(MOST, max(FEW, (len(self.waiting) + 1) // 2))
        batch: list[Waiting] = []
        keys: set[tuple[UUID, str]] = set()
        while self.waiting and len(batch) < most:
            asked, answer = self.waiting.popleft()
            if answer.done():
                continue
            if asked.key is not None:
                key = (asked.member_id, asked.key)
                if key in keys:
                    answer.set_exception(NotTaken())
                    continue
                keys.add(key)
            batch.append((asked, answer))
        return batch

    async def _settle(self, driver: object, batch: Sequence[Waiting]) -> None:
        try:
            landed = await self.committer._commit(driver, self.tenant_id, [asked for asked, _ in batch])  # noqa: SLF001
        except PostgresError as error:
            unsure = is_unsure(error)
            for _, answer in batch:
                _fail(answer, error if unsure else NotTaken())
            return
        except BaseException as error:
            for _, answer in batch:
                _fail(answer, error if isinstance(error, Exception) else NotTaken())
            raise
        left = []
        for waiting, found in zip(batch, landed, strict=True):
            if found is None:
                left.append(waiting)
            elif found.refused:
                _fail(waiting[1], NotTaken())
            elif not waiting[1].done():
                waiting[1].set_result(found)
        if left:
            await self._settle(driver, left)


def _fail(answer: asyncio.Future[Landed], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
