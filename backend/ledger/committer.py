"""Waiting postings of a tenant go to the database together: one call, one transaction, an answer for each caller.

A posting alone pays a transaction, two balances' locks and a flush of the log by itself; many together share them, so
the busier the ledger, the cheaper a posting. Two calls of a tenant are under way at a time (a third would only wait at
the tenant's chain): while the log is flushed for one, the database works on the other, and the next is gathered.
Nothing waits for company: a posting that finds a way free leaves at the next turn of the event loop.

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
from backend.ledger.repository.posting import Asked, Landed, is_unsure

MOST: Final = 200
"""Postings in one call: what comes on top waits for the next."""
FEW: Final = 4
"""As many go together in any case: what a call costs before its first posting is that of about twenty."""
WAYS: Final = 2
"""Calls of one tenant under way."""
IDLE_TURNS: Final = 4
"""Turns of the event loop the way stays open for callers that were just answered and come again; one in any case, so
that many callers make calls larger rather than more."""

Commit = Callable[[object, UUID, Sequence[Asked]], Awaitable[list[Landed | None]]]
Waiting = tuple[Asked, "asyncio.Future[Landed]"]


class NotTaken(Exception):  # noqa: N818 - not an error: a way to go on
    """The posting was not written; it has to be judged by itself."""


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
    """The postings of one tenant that wait, and the tasks that take them to the database."""

    def __init__(self, committer: Committer, tenant_id: UUID) -> None:
        self.committer = committer
        self.tenant_id = tenant_id
        self.waiting: deque[Waiting] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.idle = 0
        """Tasks that look for work at this moment: they will find what comes now."""
        self.keys: set[tuple[UUID, str]] = set()
        """Under way."""
        self.under_way = 0
        """Postings that the database has and has not answered."""

    def open(self) -> None:
        """See to it that somebody takes what waits."""
        if len(self.tasks) < WAYS and not self.idle:
            self.idle += 1
            task = asyncio.create_task(self._run())
            self.tasks.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = NotTaken() if task.cancelled() else task.exception()
        while error is not None and self.waiting and not self.tasks:
            # Without a connection nobody gets further; each caller hears why.
            _fail(self.waiting.popleft()[1], error)
        if self.waiting:
            self.open()
        elif not self.tasks:
            self.committer._forget(self)  # noqa: SLF001 - of one module

    async def _run(self) -> None:
        looking = True
        try:
            async with self.committer._database.connect() as connection:  # noqa: SLF001 - of one module
                driver = (await connection.get_raw_connection()).driver_connection
                while batch := await self._gather():
                    self.idle, looking = self.idle - 1, False
                    if self.waiting:
                        self.open()
                    try:
                        await self._settled(driver, batch)
                    except Exception:
                        # Its callers have heard it. Who waits goes by another connection.
                        await connection.invalidate()
                        return
                    self.idle, looking = self.idle + 1, True
        finally:
            self.idle -= looking

    async def _gather(self) -> list[Waiting]:
        """The next to go, in the order they came; each key once, for its second use is a replay of the first.

        Of all that are there, under way or waiting, no more than half go together: so callers are answered and come
        back while the database works for the others.
        """
        for _ in range(IDLE_TURNS):
            await asyncio.sleep(0)
            if self.waiting:
                break
        most = _share(len(self.waiting), self.under_way)
        batch: list[Waiting] = []
        while self.waiting and len(batch) < most:
            asked, answer = self.waiting.popleft()
            if answer.done():
                continue
            if asked.key is not None:
                key = (asked.member_id, asked.key)
                if key in self.keys:
                    answer.set_exception(NotTaken())
                    continue
                self.keys.add(key)
            batch.append((asked, answer))
        return batch

    async def _settled(self, driver: object, batch: Sequence[Waiting]) -> None:
        self.under_way += len(batch)
        try:
            await self._settle(driver, batch)
        finally:
            self.under_way -= len(batch)
            self.keys -= _keys(batch)

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


def _share(waiting: int, under_way: int) -> int:
    """How many of those that wait go in the next call."""
    return min(MOST, max(FEW, (waiting + under_way + 1) // 2))


def _keys(batch: Sequence[Waiting]) -> set[tuple[UUID, str]]:
    return {(asked.member_id, asked.key) for asked, _ in batch if asked.key is not None}


def _fail(answer: asyncio.Future[Landed], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
