"""Work that is too long for a request: asked for in it, carried out by a worker with the rights of who asked."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

import orjson

from backend.kit.database import UnitOfWork
from backend.kit.errors import rule
from backend.kit.jobs.outbox import enqueue
from tenants.commands import Actor, Change, adapter, plain
from tenants.service.members import acting

T = TypeVar("T")
Report = Callable[[int, int, str], Awaitable[None]]
"""Hears how far work is: steps done, steps in all, what it is doing."""

MOST_REHEARSED: Final = 200_000
TOO_LARGE = rule(
    "REHEARSAL_TOO_LARGE",
    en="This concerns {months} stream-months; up to {most} can be shown beforehand. Ask for fewer months, or for the "
    "organisations below one by one.",
    zh="本次涉及 {months} 个流-月，事先演算最多 {most} 个。请缩短月份范围，或按下级组织逐一查询。",
)


async def unheard(_done: int, _total: int, _note: str) -> None:
    """For who does not want to hear."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for, as a job carries it: the member, the request it came in, and the input as JSON."""

    member_id: UUID
    correlation_id: str
    body: str

    def read(self, kind: type[T]) -> T:
        read: T = adapter(kind).validate_python(orjson.loads(self.body))
        return read

    async def change(self, unit: UnitOfWork, operation: str) -> Change:
        """The change of who asked, with the rights the member has by now."""
        assert unit.tenant_id is not None
        principal = await acting(unit, self.member_id)
        return Change(unit, Actor(principal, correlation_id=self.correlation_id), operation)


async def put_off(change: Change, job: str, body: object, organisation_id: UUID) -> UUID:
    """Have a worker do it after this transaction; while the same is under way for the same member, it is that job."""
    written = orjson.dumps(plain(body), option=orjson.OPT_SORT_KEYS).decode()
    me = change.actor.principal.member_id
    return await enqueue(
        change.unit,
        job,
        {"member_id": me, "correlation_id": change.actor.correlation_id, "body": written},
        organisation_id=organisation_id,
        created_by=me,
        deduplication_key=hashlib.sha256(f"{me}{written}".encode()).hexdigest(),
    )


def check_rehearsal(months: int) -> None:
    """Errors: REHEARSAL_TOO_LARGE for what would take longer than a request may."""
    if months > MOST_REHEARSED:
        raise TOO_LARGE(months=months, most=MOST_REHEARSED)
