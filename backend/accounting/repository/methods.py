"""SQL of bases of streams, of the method that counts for a source, and of thresholds of divergence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, Table, func, select
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.bases import BASIS_OVERLAPS, StreamBasis
from backend.accounting.domain.choices import SourceMethod
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.months import Span
from backend.accounting.domain.parameters import BasisParameter
from backend.accounting.domain.records import Method
from backend.accounting.repository.sources import may_read
from backend.accounting.tables.methods import divergence_threshold, source_method, stream_basis
from backend.accounting.tables.sources import emission_source, emission_stream
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from tenants.access import Principal

_BASIS: Final[Select[Any]] = select(stream_basis)
_CURRENT: Final = stream_basis.c.superseded_at.is_(None)


def _basis(row: Row[Any]) -> StreamBasis:
    return StreamBasis(
        id=row.id,
        stream_id=row.stream_id,
        method=Method(row.method),
        kind=MethodKind(row.kind),
        parameters=tuple(
            BasisParameter(
                p["name"], Decimal(p["value"]), p["unit"], p["source"], p["factor_id"] and UUID(p["factor_id"])
            )
            for p in row.parameters
        ),
        gas=row.gas,
        formula=row.formula,
        span=Span(row.first_month, row.last_month),
        reason=row.reason,
        evidence=row.evidence,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
        superseded_because=row.superseded_because,
        went_back_by=row.went_back_by,
    )


async def insert_bases(unit: UnitOfWork, made: Sequence[StreamBasis], recorded_by: UUID) -> None:
    """Errors: BASIS_OVERLAPS when another writer was faster."""
    rows = [
        {
            "tenant_id": unit.tenant_id,
            "id": b.id,
            "stream_id": b.stream_id,
            "method": b.method.value,
            "kind": b.kind.value,
            "parameters": [
                asdict(p) | {"value": str(p.value), "factor_id": p.factor_id and str(p.factor_id)} for p in b.parameters
            ],
            "gas": b.gas,
            "formula": b.formula,
            "first_month": b.span.first,
            "last_month": b.span.last,
            "reason": b.reason,
            "evidence": b.evidence,
            "recorded_by": recorded_by,
            "went_back_by": b.went_back_by,
        }
        for b in made
    ]
    try:
        await unit.execute(stream_basis.insert(), rows)
    except DBAPIError as error:
        taken = BASIS_OVERLAPS(path=("firstMonth",), method=made[0].method, months=str(made[0].span))
        raise translate(error, {"stream_basis_one_per_method": lambda: taken}) from error


async def bases(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, StreamBasis]:
    """By id; with a principal, only those of sources it may read."""
    statement = _BASIS.where(stream_basis.c.id.in_(keys))
    if principal is not None:
        statement = statement.join(emission_stream).join(emission_source).where(may_read(principal))
    return {row.id: _basis(row) for row in await session.rows(statement)}


async def bases_of(
    session: ReadSession, stream_ids: Collection[UUID], *, superseded: bool = False
) -> dict[UUID, list[StreamBasis]]:
    """The bases of each stream, by month; those that hold, or all that were ever recorded."""
    statement = _BASIS.where(stream_basis.c.stream_id == func.any(list(stream_ids)))
    if not superseded:
        statement = statement.where(_CURRENT)
    found: dict[UUID, list[StreamBasis]] = {}
    for row in await session.rows(statement.order_by(stream_basis.c.first_month, stream_basis.c.id)):
        found.setdefault(row.stream_id, []).append(_basis(row))
    return found


async def supersede(unit: UnitOfWork, table: Table, keys: Sequence[UUID], because: str, **more: Any) -> int:
    """Mark rows that hold as superseded now; how many did.

    A row of a transaction that began after this one, and ended before, is superseded at the moment it was recorded.
    """
    statement = (
        table.update()
        .where(table.c.id.in_(keys), table.c.superseded_at.is_(None))
        .values(superseded_at=func.greatest(func.now(), table.c.recorded_at), superseded_because=because, **more)
    )
    return await unit.execute(statement)


async def supersede_bases(unit: UnitOfWork, keys: Sequence[UUID], because: str, went_back_by: UUID | None) -> int:
    more = {} if went_back_by is None else {"went_back_by": went_back_by}
    return await supersede(unit, stream_basis, keys, because, **more)


def _choice(row: Row[Any]) -> SourceMethod:
    return SourceMethod(
        id=row.id,
        source_id=row.source_id,
        span=Span(row.first_month, row.last_month),
        method=Method(row.method),
        reason=row.reason,
        recorded_at=row.recorded_at,
        superseded_at=row.superseded_at,
        superseded_because=row.superseded_because,
    )


async def insert_choices(unit: UnitOfWork, made: Sequence[tuple[UUID, Method, Span, str]], recorded_by: UUID) -> None:
    """Source, class, months, reason."""
    rows = [
        {
            "tenant_id": unit.tenant_id,
            "id": uuid7(),
            "source_id": source_id,
            "method": method.value,
            "first_month": span.first,
            "last_month": span.last,
            "reason": reason,
            "recorded_by": recorded_by,
        }
        for source_id, method, span, reason in made
    ]
    await unit.execute(source_method.insert(), rows)


async def supersede_choices(unit: UnitOfWork, keys: Sequence[UUID], because: str) -> int:
    return await supersede(unit, source_method, keys, because)


async def choices_of(
    session: ReadSession, source_ids: Collection[UUID], *, superseded: bool = False
) -> dict[UUID, list[SourceMethod]]:
    """What counts for each source, by month; what holds, or all that was ever recorded."""
    statement = select(source_method).where(source_method.c.source_id.in_(source_ids))
    if not superseded:
        statement = statement.where(source_method.c.superseded_at.is_(None))
    found: dict[UUID, list[SourceMethod]] = {}
    ordered = statement.order_by(source_method.c.first_month, source_method.c.recorded_at, source_method.c.id)
    for row in await session.rows(ordered):
        found.setdefault(row.source_id, []).append(_choice(row))
    return found


async def lock_source(unit: UnitOfWork, source_id: UUID) -> None:
    """Writers of results of this source wait: activity, declared results and choices meet here."""
    await unit.rows("SELECT 1 FROM emission_source WHERE id = :key FOR NO KEY UPDATE", {"key": source_id})


_CLASSES: Final = """
SELECT t.source_id, 'FACTOR' AS method FROM emission_stream t
WHERE t.source_id = ANY (:sources) AND (t.material IS NOT NULL OR t.own_factor IS NOT NULL)
UNION
SELECT t.source_id, b.method
FROM emission_stream t JOIN stream_basis b ON b.tenant_id = t.tenant_id AND b.stream_id = t.id
WHERE t.source_id = ANY (:sources) AND b.superseded_at IS NULL
  AND b.first_month <= :last AND (b.last_month IS NULL OR b.last_month >= :first)
"""


async def classes_of(session: ReadSession, source_ids: Sequence[UUID], span: Span) -> dict[UUID, set[Method]]:
    """Which classes the streams of each source have a basis of, in some of these months."""
    given = {"sources": list(source_ids), "first": span.first, "last": span.end}
    found: dict[UUID, set[Method]] = {}
    for row in await session.rows(_CLASSES, given):
        found.setdefault(row.source_id, set()).add(Method(row.method))
    return found


async def thresholds(session: ReadSession, source_ids: Collection[UUID]) -> Mapping[UUID, Decimal]:
    """The shares set for sources themselves."""
    of = divergence_threshold.c
    statement = select(of.source_id, of.share).where(of.source_id.in_(source_ids), of.superseded_at.is_(None))
    return {row.source_id: row.share for row in await session.rows(statement)}


async def set_threshold(unit: UnitOfWork, source_id: UUID, share: Decimal | None, reason: str, by: UUID) -> None:
    """Instead of what was set before; None: as everybody's."""
    of = divergence_threshold
    held = select(of.c.id).where(of.c.source_id == source_id, of.c.superseded_at.is_(None))
    await supersede(unit, of, [row.id for row in await unit.rows(held)], reason)
    if share is not None:
        row = {"tenant_id": unit.tenant_id, "id": uuid7(), "source_id": source_id, "share": share, "reason": reason}
        await unit.execute(of.insert(), [row | {"recorded_by": by}])
