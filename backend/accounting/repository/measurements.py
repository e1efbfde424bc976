"""SQL of what activity is made of: rows that are superseded, read and paged alike, whatever they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Row, Select, Table, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.activity import MONTH_IS_DERIVED
from backend.accounting.domain.allocation import CoProduct
from backend.accounting.domain.judgements import JUST_STATED, Allocation, QualityScore, StreamTonnes, StreamUncertainty
from backend.accounting.domain.measured import Cause, Kept
from backend.accounting.domain.metering import (
    METER_COUNTS_BACK,
    METER_READING_TAKEN,
    Meter,
    MeterMonth,
    MeterReading,
)
from backend.accounting.domain.quality_batches import BATCH_TAKEN, MaterialBatch, QualityResult
from backend.accounting.domain.stacks import MONITOR_TAKEN, StackMonitor, StackMonth
from backend.accounting.domain.stock_ledger import STOCK_MONTH_TAKEN, StockRow
from backend.accounting.repository.sources import below, may_read
from backend.accounting.tables import measurements as tables
from backend.accounting.tables.sources import emission_source, emission_stream
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from tenants.access import Principal
from tenants.commands import adapter, plain

K = TypeVar("K", bound=Kept)
_TABLES: Final[Mapping[type[Kept], Table]] = {
    StockRow: tables.stock_row,
    Meter: tables.meter,
    MeterReading: tables.meter_reading,
    MeterMonth: tables.meter_month,
    StackMonitor: tables.stack_monitor,
    StackMonth: tables.stack_month,
    MaterialBatch: tables.material_batch,
    QualityScore: tables.quality_score,
    StreamUncertainty: tables.stream_uncertainty,
    Allocation: tables.allocation,
}


@dataclass(frozen=True, slots=True)
class _Children:
    """Rows that belong to a record and are read and written with it, as one of its fields."""

    of: Table
    key: str
    kind: Any
    field: str


_CHILDREN: Final[Mapping[type[Kept], _Children]] = {
    MaterialBatch: _Children(tables.quality_result, "batch_id", QualityResult, "results"),
    Allocation: _Children(tables.allocation_product, "allocation_id", CoProduct, "products"),
}
# What a broken constraint means when two writers met; everything else was looked at before.
_MET: Final[Mapping[str, Callable[[], CodedError]]] = {
    "stock_row_current": lambda: STOCK_MONTH_TAKEN(path=("rows",), month="this time", month_zh="此期间"),
    **dict.fromkeys(
        ("quality_score_current", "stream_uncertainty_current", "allocation_current"),
        lambda: JUST_STATED(path=("year",)),
    ),
    "material_batch_current": lambda: BATCH_TAKEN(path=("rows",), code="?", day="this day", day_zh="该日"),
    "stack_monitor_current": lambda: MONITOR_TAKEN(path=("streamId",)),
    "stack_month_current": lambda: MONTH_IS_DERIVED(
        path=("month",), stream="-", month="this time", month_zh="此期间", cause="MONITOR", cause_zh="烟气监测"
    ),
    "meter_month_current": lambda: MONTH_IS_DERIVED(
        path=("month",), stream="-", month="this time", month_zh="此期间", cause="METER", cause_zh="计量表"
    ),
    "meter_reading_current": lambda: METER_READING_TAKEN(path=("rows",), day="this day", day_zh="该日"),
    "meter_removed_once": lambda: METER_READING_TAKEN(path=("rows",), day="its removal", day_zh="拆表日"),
    "registers_count_up": lambda: METER_COUNTS_BACK(
        path=("rows",),
        value="?",
        day="this day",
        day_zh="该日",
        other="?",
        other_day="a day",
        other_day_zh="另一日",
        source="9.1.1 b",
    ),
}


async def _read(session: ReadSession, kind: type[K], statement: Select[Any]) -> list[K]:
    """The records of a statement, with what belongs to them."""
    found = await session.rows(statement)
    belongs = _CHILDREN.get(kind)
    children = await _children(session, belongs, [row.id for row in found]) if belongs and found else {}
    return [_made(kind, row, {belongs.field: children.get(row.id, ())} if belongs else {}) for row in found]


async def _children(session: ReadSession, belongs: _Children, keys: Sequence[UUID]) -> dict[UUID, list[Any]]:
    key = belongs.of.c[belongs.key]
    statement = select(belongs.of).where(key.in_(keys)).order_by(*belongs.of.primary_key.columns)
    found: dict[UUID, list[Any]] = {}
    for row in await session.rows(statement):
        found.setdefault(getattr(row, belongs.key), []).append(_made(belongs.kind, row, {}))
    return found


def _made(kind: Any, row: Row[Any], more: Mapping[str, Any]) -> Any:
    given = {f.name: _plainer(getattr(row, f.name)) for f in fields(kind) if f.name not in more}
    return adapter(kind).validate_python({**given, **more})


def _plainer(value: Any) -> Any:
    """Numbers without the zeros that a fixed scale puts behind them."""
    return trimmed(value) if isinstance(value, Decimal) else value


def _statement(of: Table) -> Select[Any]:
    """The rows with the source they belong to, for what the caller may read."""
    if "source_id" in of.c:
        return select(of).join(emission_source)
    return select(of).join(emission_stream).join(emission_source)


@contextmanager
def met_coded() -> Iterator[None]:
    """Two writers met over the same thing: one of them is told so."""
    try:
        yield
    except DBAPIError as error:
        raise translate(error, _MET) from error


async def insert(unit: UnitOfWork, made: Sequence[Kept], recorded_by: UUID) -> None:
    """Rows of one kind. Errors: the conflict of the kind when another writer was faster."""
    of = _TABLES[type(made[0])]
    same = {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
    left_out = {*same, "superseded_at", "superseded_because", "recorded_at"}
    columns = [c for c in of.c if c.name not in left_out]
    rows = [
        {c.name: plain(v) if isinstance(c.type, JSONB) else v for c in columns for v in (getattr(row, c.name),)} | same
        for row in made
    ]
    with met_coded():
        await unit.execute(of.insert(), rows)
    belongs = _CHILDREN.get(type(made[0]))
    if belongs is None:
        return
    parts = [(row.id, n, part) for row in made for n, part in enumerate(getattr(row, belongs.field), 1)]
    names = [c.name for c in belongs.of.c if c.name not in {"tenant_id", belongs.key, "n"}]
    numbered = "n" in belongs.of.c
    kept = [
        {n: getattr(part, n) for n in names}
        | {"tenant_id": unit.tenant_id, belongs.key: key}
        | ({"n": number} if numbered else {})
        for key, number, part in parts
    ]
    if kept:
        await unit.execute(belongs.of.insert(), kept)


async def supersede(unit: UnitOfWork, row: Kept, because: str) -> bool:
    """Mark a row as superseded now; False when somebody did so before."""
    of = _TABLES[type(row)]
    statement = of.update().where(of.c.id == row.id, of.c.superseded_at.is_(None))
    return await unit.execute(statement.values(superseded_at=func.now(), superseded_because=because)) == 1


async def by_ids(
    session: ReadSession, kind: type[K], keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, K]:
    """Of one kind, by id; with a principal, only those of sources it may read."""
    of = _TABLES[kind]
    statement = _statement(of).where(of.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(may_read(principal))
    return {made.id: made for made in await _read(session, kind, statement)}


async def current(session: ReadSession, kind: type[K], order: Sequence[str], /, **where: Sequence[Any]) -> list[K]:
    """The rows that stand, of these streams (months, meters …), in the order of these columns."""
    of = _TABLES[kind]
    statement = select(of).where(of.c.superseded_at.is_(None), *(of.c[n].in_(list(v)) for n, v in where.items()))
    return await _read(session, kind, statement.order_by(*(of.c[n] for n in order)))


async def page(
    session: ReadSession,
    kind: type[K],
    principal: Principal,
    request: PageRequest,
    *,
    organisation_id: UUID | None = None,
    superseded: bool = False,
    **where: UUID | None,
) -> Page[K]:
    """Of one kind, in the order they were recorded; of an organisation and all below it."""
    of = _TABLES[kind]
    statement = _statement(of).where(may_read(principal))
    if organisation_id is not None:
        statement = statement.where(below(organisation_id))
    if not superseded:
        statement = statement.where(of.c.superseded_at.is_(None))
    for name, value in where.items():
        if value is not None:
            statement = statement.where(of.c[name] == value)
    rows = await _read(session, kind, keyset(statement, request, of.c.id))
    return Page.cut(rows, request, lambda r: (r.id,))


_CAUSES: Final = """
SELECT k.stream_id, k.month, c.cause
FROM (SELECT DISTINCT * FROM unnest(CAST(:streams AS uuid[]), CAST(:months AS date[]))) k (stream_id, month)
CROSS JOIN LATERAL (
  SELECT 'STOCK' AS cause FROM stock_row r
  WHERE r.stream_id = k.stream_id AND r.month = k.month AND r.superseded_at IS NULL
  UNION ALL SELECT 'METER' FROM meter_month r
  WHERE r.stream_id = k.stream_id AND r.month = k.month AND r.superseded_at IS NULL
  UNION ALL SELECT 'MONITOR' FROM stack_month r
  WHERE r.stream_id = k.stream_id AND r.month = k.month AND r.superseded_at IS NULL
) c
"""


async def causes(session: ReadSession, wanted: Sequence[tuple[UUID, date]]) -> dict[tuple[UUID, date], str]:
    """Which of these months of streams follow from a ledger row, meters or a monitor."""
    given = {"streams": [w[0] for w in wanted], "months": [w[1] for w in wanted]}
    return {(r.stream_id, r.month): r.cause for r in await session.rows(_CAUSES, given)} if wanted else {}


_DERIVED: Final = " UNION ALL ".join(
    f"SELECT stream_id, month, '{cause}' AS cause FROM {table} "  # noqa: S608
    "WHERE stream_id = ANY (:streams) AND superseded_at IS NULL"
    for table, cause in (("stock_row", "STOCK"), ("meter_month", "METER"), ("stack_month", "MONITOR"))
)


async def derived_months(session: ReadSession, stream_ids: Sequence[UUID]) -> dict[tuple[UUID, date], str]:
    """All months of these streams that follow from a ledger row, meters or a monitor: for callers with many streams."""
    return {(r.stream_id, r.month): r.cause for r in await session.rows(_DERIVED, {"streams": list(stream_ids)})}


_CAUSE_OF: Final = " UNION ALL ".join(
    f"SELECT batch_id, '{kind.__name__}' AS kind, id FROM {table.name} WHERE batch_id = ANY (:batches)"  # noqa: S608
    for kind, table in _TABLES.items()
    if issubclass(kind, Cause)
)


async def cause_of(session: ReadSession, batch_ids: Sequence[UUID]) -> dict[UUID, tuple[str, UUID]]:
    """What the records of these batches follow from: its kind and id."""
    found = await session.rows(_CAUSE_OF, {"batches": list(batch_ids)})
    return {r.batch_id: (r.kind, r.id) for r in found}


async def stock_rows_of(session: ReadSession, organisation_id: UUID, first: date, last: date) -> list[StockRow]:
    """The rows that stand of an organisation and all below it, between two months, both included."""
    of = tables.stock_row
    statement = _statement(of).where(below(organisation_id), of.c.superseded_at.is_(None))
    statement = statement.where(of.c.month.between(first, last)).order_by(of.c.stream_id, of.c.month)
    return await _read(session, StockRow, statement)


async def consumed(session: ReadSession, stream_id: UUID, year: int) -> dict[date, Decimal]:
    """What a stream consumed in each month of a year, in its canonical unit; months without a record are absent."""
    found = await session.rows(
        "SELECT month, quantity FROM stream_month WHERE stream_id = :stream "
        "AND month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1) ORDER BY month",
        {"stream": stream_id, "year": year},
    )
    return {r.month: trimmed(r.quantity) for r in found}


async def batches_of(
    session: ReadSession, stream_id: UUID, year: int, known_at: datetime | None = None
) -> list[MaterialBatch]:
    """The batches that stand of a stream in a year, or that stood at a moment, by day and code."""
    of = tables.material_batch
    statement = select(of).where(of.c.stream_id == stream_id)
    if known_at is None:
        statement = statement.where(of.c.superseded_at.is_(None))
    else:
        later = of.c.superseded_at.is_(None) | (of.c.superseded_at > known_at)
        statement = statement.where(of.c.recorded_at <= known_at, later)
    within = of.c.day.between(date(year, 1, 1), date(year, 12, 31))
    return await _read(session, MaterialBatch, statement.where(within).order_by(of.c.day, of.c.code))


_TONNES: Final = """
SELECT source_id, stream_id, sum(co2e_t) AS co2e_t FROM (
  SELECT m.source_id, m.stream_id, m.co2e_t FROM stream_month m
  WHERE m.organisation_id = :organisation AND m.month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
  UNION ALL
  SELECT d.source_id, NULL, d.co2e_t FROM declared_result d
  JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
  WHERE o.organisation_id = :organisation AND d.superseded_at IS NULL AND d.gas <> 'CO2_BIOGENIC'
    AND d.first_month BETWEEN make_date(:year, 1, 1) AND make_date(:year, 12, 1)
) r GROUP BY source_id, stream_id ORDER BY source_id, stream_id
"""


async def tonnes_of(session: ReadSession, organisation_id: UUID, year: int) -> list[StreamTonnes]:
    """What each stream of an organisation's own sources emitted in a year; declared results without a stream."""
    found = await session.rows(_TONNES, {"organisation": organisation_id, "year": year})
    return [StreamTonnes(r.source_id, r.stream_id, r.co2e_t) for r in found]
