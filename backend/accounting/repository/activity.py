"""SQL of activity: batches and their packs written set-wise, lines read out of them again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, Numeric, Row, Select, and_, cast, column, func, select, true, tuple_
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.activity import (
    MONTH_ALREADY_RECORDED,
    RECORD_IS_DERIVED,
    Batch,
    Packs,
    batch_and_line,
    record_id,
)
from backend.accounting.domain.records import ActivityRecord, BatchOrigin, RecordFilter
from backend.accounting.repository.records import narrowed
from backend.accounting.repository.results import overlap_coded, settle, share
from backend.accounting.repository.sources import may_read
from backend.accounting.tables.records import activity_batch, activity_pack, activity_withdrawal
from backend.accounting.tables.sources import emission_source, emission_stream
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.keyset import keyset, whole
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import read_unit, trimmed
from tenants.access import Principal

MANY: Final = 2_000

_BATCHES: Final = """
INSERT INTO activity_batch (tenant_id, id, origin, entered_unit, evidence, note, lines, line_id, recorded_by)
SELECT $1, b.id, b.origin, b.entered_unit, b.evidence, b.note, b.lines, b.line_id, $2
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::uuid[])
  AS b (id, origin, entered_unit, evidence, note, lines, line_id)
"""
# Arrays travel as their text: one parameter a column, however long the lists in it are.
_PACKS: Final = """
INSERT INTO activity_pack (tenant_id, stream_id, month, batch_id, first_line, days, quantities, source_rows, quantity)
SELECT $1, p.stream_id, p.month, p.batch_id, p.first_line, p.days::smallint[], p.quantities::numeric(27,12)[],
       p.source_rows::integer[], p.quantity::numeric
FROM unnest($2::uuid[], $3::date[], $4::uuid[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::text[])
  AS p (stream_id, month, batch_id, first_line, days, quantities, source_rows, quantity)
"""
_WITHDRAW: Final = """
INSERT INTO activity_withdrawal (tenant_id, batch_id, line, stream_id, month, quantity, because, withdrawn_by)
VALUES (:tenant_id, :batch_id, :line, :stream_id, :month, :quantity, :because, :withdrawn_by)
ON CONFLICT (tenant_id, batch_id, line) DO NOTHING
"""
_TAKE_AWAY: Final = """
UPDATE stream_month m SET quantity = m.quantity - :quantity, records = m.records - 1,
  co2e_t = coalesce(round((m.quantity - :quantity) * (
    SELECT c.co2e_per_unit FROM stream_coefficient c
    WHERE c.tenant_id = m.tenant_id AND c.id = m.coefficient_id), 9), 0),
  last_recorded_at = greatest(m.last_recorded_at, now())
WHERE m.stream_id = :stream_id AND m.month = :month
"""
_DROP_EMPTY: Final = "DELETE FROM stream_month WHERE stream_id = :stream_id AND month = :month AND records = 0"


async def store(unit: UnitOfWork, batches: Sequence[Batch], packs: Packs, recorded_by: UUID) -> None:
    """Keep batches with their packs, and add them to the stream-months; every stream-month has its coefficient.

    Errors: RESULT_OVERLAPS, MONTH_ALREADY_RECORDED when another writer was faster; nothing is kept then.
    """
    await store_parts(unit, batches, packs.lines, iter([packs]), recorded_by)


async def store_parts(
    unit: UnitOfWork, batches: Sequence[Batch], lines: Mapping[UUID, int], parts: Iterator[Packs], recorded_by: UUID
) -> None:
    """The same of packs that come part by part; `lines` says how many each batch has. While the server keeps one part
    the next is made.
    """
    filled = [b for b in batches if lines.get(b.id)]
    if not filled:
        return
    await share(unit)
    driver = await unit.driver()
    by_column = zip(
        *((b.id, b.origin.value, b.entered_unit, b.evidence, b.note, lines[b.id], b.line_id) for b in filled),
        strict=True,
    )
    await driver.execute(_BATCHES, unit.tenant_id, recorded_by, *(list(c) for c in by_column))
    packs = 0
    part = await asyncio.to_thread(next, parts, None)
    while part is not None:
        packs += len(part.stream_ids)
        coming = asyncio.create_task(asyncio.to_thread(next, parts, None))
        await driver.execute(_PACKS, unit.tenant_id, *_columns(part))
        part = await coming
    try:
        with overlap_coded():
            await settle(unit, [b.id for b in filled], many=packs > MANY)
    except DBAPIError as error:
        raise translate(error, {"as_often_as_the_cadence_says": _just_recorded}) from error


def _columns(packs: Packs) -> tuple[Sequence[object], ...]:
    return (
        packs.stream_ids,
        packs.months,
        packs.batch_ids,
        packs.first_lines,
        packs.days,
        packs.quantities,
        packs.source_rows,
        packs.sums,
    )


def _just_recorded() -> CodedError:
    return MONTH_ALREADY_RECORDED(
        path=("rows",),
        stream="-",
        cadence="MONTHLY / DAILY",
        when="this time",
        when_zh="此期间",
        earlier="recorded just now",
        earlier_zh="刚刚记录",
    )


async def withdraw(unit: UnitOfWork, record: ActivityRecord, because: str, withdrawn_by: UUID) -> bool:
    """Take a line out of its stream-month; False when somebody did so before."""
    batch_id, line = batch_and_line(record.id)
    key = {"stream_id": record.stream_id, "month": record.month, "quantity": record.quantity}
    withdrawal = key | {"tenant_id": unit.tenant_id, "batch_id": batch_id, "line": line}
    await share(unit)
    try:
        if not await unit.execute(_WITHDRAW, withdrawal | {"because": because, "withdrawn_by": withdrawn_by}):
            return False
    except DBAPIError as error:
        raise translate(error, {"record_stays_with_its_cause": lambda: RECORD_IS_DERIVED(path=("id",))}) from error
    with overlap_coded():
        await unit.execute(_TAKE_AWAY, key)
    await unit.execute(_DROP_EMPTY, {"stream_id": record.stream_id, "month": record.month})
    return True


_LINE: Final = (
    func.unnest(activity_pack.c.days, activity_pack.c.quantities)
    .table_valued(column("day", Integer), column("quantity", Numeric), with_ordinality="n")
    .render_derived(name="line")
)
_NUMBER: Final = (activity_pack.c.first_line + cast(_LINE.c.n, Integer) - 1).label("line")
_LINES: Final[Select[Any]] = (
    select(
        activity_pack.c.stream_id,
        activity_pack.c.month,
        _LINE.c.day,
        _NUMBER,
        _LINE.c.quantity,
        activity_batch,
        activity_withdrawal.c.at,
        activity_withdrawal.c.because,
        emission_stream.c.source_id,
        emission_stream.c.unit,
    )
    .select_from(activity_pack)
    .join(
        activity_batch,
        and_(
            activity_batch.c.tenant_id == activity_pack.c.tenant_id,
            activity_batch.c.id == activity_pack.c.batch_id,
        ),
    )
    .join(
        emission_stream,
        and_(
            emission_stream.c.tenant_id == activity_pack.c.tenant_id,
            emission_stream.c.id == activity_pack.c.stream_id,
        ),
    )
    .join(emission_source)
    .join(_LINE, true())
    .outerjoin(
        activity_withdrawal,
        and_(
            activity_withdrawal.c.tenant_id == activity_pack.c.tenant_id,
            activity_withdrawal.c.batch_id == activity_pack.c.batch_id,
            activity_withdrawal.c.line == _NUMBER,
        ),
    )
)


def _record(row: Row[Any]) -> ActivityRecord:
    key = record_id(row.id, row.line)
    return ActivityRecord(
        id=key,
        line_id=row.line_id or key,
        stream_id=row.stream_id,
        source_id=row.source_id,
        month=row.month,
        occurred_on=row.month.replace(day=row.day),
        quantity=trimmed(row.quantity),
        unit=row.unit,
        entered_quantity=trimmed(row.quantity / read_unit(row.entered_unit).factor),
        entered_unit=row.entered_unit,
        evidence=row.evidence,
        note=row.note,
        recorded_at=row.recorded_at,
        superseded_at=row.at,
        superseded_because=row.because,
        origin=BatchOrigin(row.origin),
    )


async def records(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, ActivityRecord]:
    """By id; with a principal, only those of sources it may read."""
    wanted = [batch_and_line(key) for key in keys]
    batches = [batch for batch, _ in wanted]
    statement = _LINES.where(
        activity_pack.c.batch_id.in_(batches),
        tuple_(activity_pack.c.batch_id, _NUMBER).in_([w for w in wanted if w[1] < 1 << 31]),
    )
    if principal is not None:
        statement = statement.where(may_read(principal))
    found = [_record(row) for row in await session.rows(statement)]
    return {record.id: record for record in found}


async def versions(session: ReadSession, lines: Sequence[UUID]) -> dict[UUID, list[ActivityRecord]]:
    """Every version of each line, oldest first."""
    first = await records(session, lines)
    found = {line: [record] for line, record in first.items()}
    later = _LINES.where(activity_batch.c.line_id.in_(lines)).order_by(activity_batch.c.id)
    for row in await session.rows(later):
        found.setdefault(row.line_id, []).append(_record(row))
    return found


async def page(
    session: ReadSession, principal: Principal, wanted: RecordFilter, request: PageRequest
) -> Page[ActivityRecord]:
    """In the order they were recorded."""
    statement = narrowed(
        _LINES,
        principal,
        wanted,
        activity_pack.c.month,
        activity_batch.c.recorded_at,
        activity_withdrawal.c.at,
    )
    if request.after is not None:
        # Packs that end before the cursor need not be unpacked.
        batch, line = request.key(UUID, whole)
        last = activity_pack.c.first_line + func.cardinality(activity_pack.c.days) - 1
        statement = statement.where(tuple_(activity_pack.c.batch_id, last) > tuple_(batch, line))
    statement = keyset(statement, request, activity_pack.c.batch_id, _NUMBER)
    rows = [_record(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda r: batch_and_line(r.id))


_ANY_RECORD: Final = "SELECT 1 FROM activity_pack WHERE stream_id = ANY (:streams) LIMIT 1"
_WORDS: Final = """
unnest(CAST(:units AS text[]), CAST(:proofs AS text[]), CAST(:notes AS text[]))
  WITH ORDINALITY AS w (entered_unit, evidence, note, nth)"""
_RECORDED: Final = """
SELECT k.stream_id, k.month
FROM unnest(CAST(:streams AS uuid[]), CAST(:months AS date[])) AS k (stream_id, month)
WHERE EXISTS (
  SELECT FROM activity_pack p
  JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
  JOIN {words} USING (entered_unit, evidence, note)
  WHERE p.stream_id = k.stream_id AND p.month = k.month)
"""
# Each pack is unpacked once, however many lines ask for it.
_SAID: Final = """
WITH k AS (
  SELECT DISTINCT stream_id, day, quantity, date_trunc('month', day)::date AS month
  FROM unnest(CAST(:streams AS uuid[]), CAST(:days AS date[]), CAST(:quantities AS numeric[]))
    AS x (stream_id, day, quantity)
), recorded AS MATERIALIZED (
  SELECT p.stream_id, p.month + (u.day - 1) AS day, u.quantity, w.nth
  FROM (SELECT DISTINCT stream_id, month FROM k) m
  JOIN activity_pack p ON p.stream_id = m.stream_id AND p.month = m.month
  JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
  JOIN {words} USING (entered_unit, evidence, note)
  CROSS JOIN unnest(p.days, p.quantities) WITH ORDINALITY AS u (day, quantity, n)
  WHERE NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = p.tenant_id
    AND w.batch_id = p.batch_id AND w.line = p.first_line + u.n - 1)
)
SELECT stream_id, day, quantity, nth, count(*)::integer AS times
FROM recorded JOIN k USING (stream_id, day, quantity) GROUP BY stream_id, day, quantity, nth
"""
Words = Sequence[tuple[str, str, str]]
"""What lines are said with: the unit they are entered in, evidence, note."""


async def recorded_months(
    session: ReadSession, wanted: Sequence[tuple[UUID, date]], words: Words
) -> list[tuple[UUID, date]]:
    """Those of these streams and months that something was ever recorded for with some of these words."""
    streams = [stream for stream, _ in wanted]
    if not await session.scalar(_ANY_RECORD, {"streams": list(set(streams))}):
        return []
    given = {"streams": streams, "months": [month for _, month in wanted]} | _by_column(words)
    return [(r.stream_id, r.month) for r in await session.rows(_RECORDED.format(words=_WORDS), given)]


async def said(
    session: ReadSession, lines: Sequence[tuple[UUID, date, Decimal]], words: Words
) -> list[tuple[UUID, date, Decimal, int, int]]:
    """Which of these lines (stream, day, quantity in the stream's unit) current records say, with which of the words
    (their position), and how often.
    """
    given = {
        "streams": [line[0] for line in lines],
        "days": [line[1] for line in lines],
        "quantities": [line[2] for line in lines],
    }
    found = await session.rows(_SAID.format(words=_WORDS), given | _by_column(words))
    return [(r.stream_id, r.day, r.quantity, r.nth - 1, r.times) for r in found]


def _by_column(words: Words) -> dict[str, list[str]]:
    units, proofs, notes = zip(*words, strict=True)
    return {"units": list(units), "proofs": list(proofs), "notes": list(notes)}


async def taken(session: ReadSession, wanted: Sequence[tuple[UUID, date]]) -> list[tuple[UUID, date, UUID]]:
    """The days on which these streams have current records in these months: stream, day, record."""
    rows = await session.rows(
        """
        SELECT p.stream_id, p.month + (u.day - 1) AS day, p.batch_id, p.first_line + u.n - 1 AS line
        FROM (SELECT DISTINCT * FROM unnest(CAST(:streams AS uuid[]), CAST(:months AS date[]))) k (stream_id, month)
        JOIN activity_pack p ON p.stream_id = k.stream_id AND p.month = k.month
        CROSS JOIN unnest(p.days) WITH ORDINALITY AS u (day, n)
        WHERE NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = p.tenant_id
          AND w.batch_id = p.batch_id AND w.line = p.first_line + u.n - 1)
        """,
        {"streams": [w[0] for w in wanted], "months": [w[1] for w in wanted]},
    )
    return [(r.stream_id, r.day, record_id(r.batch_id, r.line)) for r in rows]
