"""Rows of an organisation that are kept as they were recorded: written, read by id, paged, superseded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Row, Select, Table, func, select
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A table whose rows belong to organisations, and the dataclass its rows are read as (of the same names)."""

    of: Table
    into: type[T]
    readers: dict[str, Callable[[Any], Any]]

    def read(self, row: Row[Any]) -> T:
        names = self.into.__dataclass_fields__  # type: ignore[attr-defined]
        given = {n: getattr(row, n) for n in names}
        return self.into(**given | {n: make(given[n]) for n, make in self.readers.items() if given[n] is not None})

    async def insert(
        self, unit: UnitOfWork, made: Sequence[T], codes: dict[str, Callable[[], CodedError]], **more: Any
    ) -> None:
        """Errors: those of `codes`, by the constraint that refuses."""
        names = [c.name for c in self.of.c if c.name in self.into.__dataclass_fields__]  # type: ignore[attr-defined]
        rows = [{n: _written(getattr(m, n)) for n in names} | {"tenant_id": unit.tenant_id, **more} for m in made]
        try:
            await unit.execute(self.of.insert(), rows)
        except DBAPIError as error:
            raise translate(error, codes) from error

    def seen(self, principal: Principal | None) -> Select[Any]:
        """With a principal, only rows of organisations whose emissions it may read."""
        if principal is None:
            return select(self.of)
        return select(self.of).where(within(principal, Permission.EMISSION_READ, self.of.c.organisation_id))

    async def by_ids(
        self, session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None, *, lock: bool = False
    ) -> dict[UUID, T]:
        statement = self.seen(principal).where(self.of.c.id.in_(keys)).order_by(self.of.c.id)
        rows = await session.rows(statement.with_for_update() if lock else statement)
        return {row.id: self.read(row) for row in rows}

    async def page(self, session: ReadSession, principal: Principal, request: PageRequest, *which: Any) -> Page[T]:
        """What the caller may see of `which`, the latest first."""
        statement = keyset(self.seen(principal).where(*which), request, self.of.c.id, latest_first=True)
        rows = [self.read(row) for row in await session.rows(statement)]
        return Page.cut(rows, request, lambda r: (r.id,))  # type: ignore[attr-defined]

    async def matching(self, session: ReadSession, *which: Any) -> list[T]:
        """All of `which`, whoever asks."""
        rows = await session.rows(select(self.of).where(*which).order_by(self.of.c.id))
        return [self.read(row) for row in rows]

    async def current(self, session: ReadSession, *which: Any) -> list[T]:
        """Those of `which` that are not superseded."""
        return await self.matching(session, self.of.c.superseded_at.is_(None), *which)

    async def supersede(self, unit: UnitOfWork, key: UUID, reason: str) -> bool:
        """False when somebody did so before."""
        of = self.of.c
        statement = self.of.update().where(of.id == key, of.superseded_at.is_(None))
        return await unit.execute(statement.values(superseded_at=func.now(), superseded_because=reason)) == 1

    async def change(self, unit: UnitOfWork, key: UUID, **values: Any) -> None:
        await unit.execute(self.of.update().where(self.of.c.id == key).values(**values))


def _written(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return [_written(v) for v in value] if isinstance(value, tuple) else value
