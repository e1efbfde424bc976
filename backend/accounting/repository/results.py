"""SQL of what follows from the records: sums per stream and month, results per source and period, totals.

One rule keeps them: a row is computed anew from the records beneath it while it is locked, never adjusted by a
difference. So the order of writers does not matter, and a rebuild gives the same bits.
"""

# ruff: noqa: S608 - the pieces put together here are constants of this file
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.records import RESULT_OVERLAPS
from backend.accounting.domain.results import CategoryTotal, Origin, SourceResult
from backend.accounting.domain.sources import Category, DirectKind, Stream
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.quantity import trimmed

_SHARE: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('results', 0) # hashtextextended(:tenant, 0))"
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('results', 0) # hashtextextended(:tenant, 0))"

_STREAM_KEYS: Final = "unnest(CAST(:streams AS uuid[]), CAST(:months AS date[])) AS k (stream_id, month)"
_STREAM_SUMS: Final = "sum(a.quantity) AS quantity, count(*) AS records, max(a.recorded_at) AS last_recorded_at"
_LOCK_STREAM_MONTHS: Final = f"""
INSERT INTO stream_month (tenant_id, stream_id, month, coefficient_id)
SELECT c.tenant_id, k.stream_id, k.month, c.id
FROM {_STREAM_KEYS} JOIN stream_coefficient c ON c.stream_id = k.stream_id AND c.year = extract(year FROM k.month)
ORDER BY k.stream_id, k.month
ON CONFLICT (tenant_id, stream_id, month) DO UPDATE SET records = stream_month.records
"""
_SUM_STREAM_MONTHS: Final = f"""
UPDATE stream_month m SET quantity = s.quantity, co2e_t = round(s.quantity * c.value, 9), records = s.records,
  last_recorded_at = s.last_recorded_at
FROM {_STREAM_KEYS} CROSS JOIN LATERAL (
    SELECT {_STREAM_SUMS} FROM activity_record a
    WHERE a.stream_id = k.stream_id AND a.month = k.month AND a.superseded_at IS NULL
  ) s, stream_coefficient c
WHERE m.stream_id = k.stream_id AND m.month = k.month AND c.id = m.coefficient_id AND s.records > 0
"""
_DROP_EMPTY_STREAM_MONTHS: Final = f"""
DELETE FROM stream_month m USING {_STREAM_KEYS}
WHERE m.stream_id = k.stream_id AND m.month = k.month AND NOT EXISTS (
  SELECT FROM activity_record a WHERE a.tenant_id = m.tenant_id AND a.stream_id = m.stream_id
    AND a.month = m.month AND a.superseded_at IS NULL)
"""
_ALL_STREAM_MONTHS: Final = f"""
INSERT INTO stream_month (tenant_id, stream_id, month, coefficient_id, quantity, co2e_t, records, last_recorded_at)
SELECT s.tenant_id, s.stream_id, s.month, c.id, s.quantity, round(s.quantity * c.value, 9), s.records,
       s.last_recorded_at
FROM (SELECT a.tenant_id, a.stream_id, a.month, {_STREAM_SUMS} FROM activity_record a
      WHERE a.superseded_at IS NULL GROUP BY a.tenant_id, a.stream_id, a.month) s
JOIN stream_coefficient c ON c.tenant_id = s.tenant_id AND c.stream_id = s.stream_id
  AND c.year = extract(year FROM s.month)
"""

_COLUMNS: Final = (
    "tenant_id, source_id, first_month, months, gas, origin, organisation_id, category, direct_kind, "
    "mass_t, co2e_t, records, last_recorded_at"
)
_SOURCE_KEYS: Final = (
    "unnest(CAST(:sources AS uuid[]), CAST(:months AS date[]), CAST(:gases AS text[])) AS k (source_id, month, gas)"
)
_SOURCE_SUMS: Final = (
    "sum(m.co2e_t) AS mass_t, sum(m.co2e_t) AS co2e_t, sum(m.records)::integer AS records, "
    "max(m.last_recorded_at) AS last_recorded_at"
)
_LOCK_SOURCE_MONTHS: Final = f"""
INSERT INTO source_month (tenant_id, source_id, first_month, months, gas, origin, organisation_id, category,
                          direct_kind)
SELECT o.tenant_id, k.source_id, k.month, 1, k.gas, 'ACTIVITY', o.organisation_id, o.category, o.direct_kind
FROM {_SOURCE_KEYS} JOIN emission_source o ON o.id = k.source_id
ORDER BY k.source_id, k.month, k.gas
ON CONFLICT (tenant_id, source_id, first_month, months, gas, origin) DO UPDATE SET records = source_month.records
"""
_SUM_SOURCE_MONTHS: Final = f"""
UPDATE source_month r SET mass_t = s.mass_t, co2e_t = s.co2e_t, records = s.records,
  last_recorded_at = s.last_recorded_at
FROM {_SOURCE_KEYS} CROSS JOIN LATERAL (
    SELECT {_SOURCE_SUMS}
    FROM emission_stream t JOIN stream_month m ON m.tenant_id = t.tenant_id AND m.stream_id = t.id
    WHERE t.source_id = k.source_id AND t.gas = k.gas AND m.month = k.month
  ) s
WHERE r.source_id = k.source_id AND r.first_month = k.month AND r.months = 1 AND r.gas = k.gas
  AND r.origin = 'ACTIVITY' AND s.records > 0
"""
_DROP_EMPTY_SOURCE_MONTHS: Final = f"""
DELETE FROM source_month r USING {_SOURCE_KEYS}
WHERE r.source_id = k.source_id AND r.first_month = k.month AND r.months = 1 AND r.gas = k.gas
  AND r.origin = 'ACTIVITY' AND NOT EXISTS (
    SELECT FROM emission_stream t JOIN stream_month m ON m.tenant_id = t.tenant_id AND m.stream_id = t.id
    WHERE t.source_id = r.source_id AND t.gas = r.gas AND m.month = r.first_month)
"""
_ALL_SOURCE_MONTHS: Final = f"""
INSERT INTO source_month ({_COLUMNS})
SELECT t.tenant_id, t.source_id, m.month, 1, t.gas, 'ACTIVITY', o.organisation_id, o.category, o.direct_kind,
       {_SOURCE_SUMS}
FROM stream_month m
JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
GROUP BY t.tenant_id, t.source_id, m.month, t.gas, o.organisation_id, o.category, o.direct_kind
"""

_BY_DECLARATION: Final = """
SELECT d.tenant_id, d.source_id, d.first_month, d.months, d.gas, 'DECLARED', o.organisation_id, o.category,
       o.direct_kind, d.mass_t, d.co2e_t, 1, d.recorded_at
FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
WHERE d.superseded_at IS NULL {narrowed}
"""
_DROP_DECLARED: Final = """
DELETE FROM source_month r USING declared_result d
WHERE d.id = ANY (:superseded) AND r.tenant_id = d.tenant_id AND r.source_id = d.source_id
  AND r.first_month = d.first_month AND r.months = d.months AND r.gas = d.gas AND r.origin = 'DECLARED'
"""


@contextmanager
def overlap_coded() -> Iterator[None]:
    """Two writers met over the same source, gas and time: the exclusion constraints let one of them in."""
    try:
        yield
    except DBAPIError as error:
        clash = RESULT_OVERLAPS(path=("rows",), gas="the same gas", earlier="recorded just now")
        names = ("source_month_no_overlap", "declared_result_no_overlap")
        raise translate(error, dict.fromkeys(names, lambda: clash)) from error


async def settle_activity(
    unit: UnitOfWork, touched: Iterable[tuple[Stream, date]], *, may_be_empty: bool = False
) -> None:
    """Compute the touched stream-months and the source-months above them anew from the records.

    Rows are locked in one order by all writers. `may_be_empty` when records were taken away: months that none is left
    in disappear. Errors: RESULT_OVERLAPS when a declared result came in between.
    """
    found = list(touched)
    by_stream = sorted({(s.id, month) for s, month in found})
    by_source = sorted({(s.source_id, month, s.gas) for s, month in found})
    stream_keys = {"streams": [k[0] for k in by_stream], "months": [k[1] for k in by_stream]}
    source_keys = {
        "sources": [k[0] for k in by_source],
        "months": [k[1] for k in by_source],
        "gases": [k[2] for k in by_source],
    }
    await unit.execute(_SHARE, {"tenant": str(unit.tenant_id)})
    await unit.execute(_LOCK_STREAM_MONTHS, stream_keys)
    await unit.execute(_SUM_STREAM_MONTHS, stream_keys)
    if may_be_empty:
        await unit.execute(_DROP_EMPTY_STREAM_MONTHS, stream_keys)
    with overlap_coded():
        await unit.execute(_LOCK_SOURCE_MONTHS, source_keys)
    await unit.execute(_SUM_SOURCE_MONTHS, source_keys)
    if may_be_empty:
        await unit.execute(_DROP_EMPTY_SOURCE_MONTHS, source_keys)


async def settle_declared(unit: UnitOfWork, *, added: Sequence[UUID], superseded: Sequence[UUID] = ()) -> None:
    """Take the results of superseded declarations out, and those of added ones in."""
    await unit.execute(_SHARE, {"tenant": str(unit.tenant_id)})
    if superseded:
        await unit.execute(_DROP_DECLARED, {"superseded": list(superseded)})
    if added:
        rows = _BY_DECLARATION.format(narrowed="AND d.id = ANY (:added) ORDER BY d.source_id, d.first_month")
        with overlap_coded():
            await unit.execute(f"INSERT INTO source_month ({_COLUMNS}) {rows}", {"added": list(added)})


async def rebuild(unit: UnitOfWork) -> int:
    """Forget every result of the tenant and derive it again from the records; writers wait. How many rows there are."""
    await unit.execute(_ALONE, {"tenant": str(unit.tenant_id)})
    await unit.execute("DELETE FROM source_month")
    await unit.execute("DELETE FROM stream_month")
    await unit.execute(_ALL_STREAM_MONTHS)
    by_activity = await unit.execute(_ALL_SOURCE_MONTHS)
    declared = await unit.execute(f"INSERT INTO source_month ({_COLUMNS}) {_BY_DECLARATION.format(narrowed='')}")
    return by_activity + declared


async def results_of(session: ReadSession, source_ids: Sequence[UUID], year: int) -> dict[UUID, list[SourceResult]]:
    """The results of each source in a year, in order."""
    rows = await session.rows(
        """
        SELECT source_id, first_month, months, gas, origin, mass_t, co2e_t, records, last_recorded_at
        FROM source_month
        WHERE source_id = ANY (:sources) AND first_month >= make_date(:year, 1, 1)
          AND first_month < make_date(:year + 1, 1, 1)
        ORDER BY source_id, first_month, gas, origin
        """,
        {"sources": list(source_ids), "year": year},
    )
    found: dict[UUID, list[SourceResult]] = {}
    for r in rows:
        result = SourceResult(
            r.source_id,
            r.first_month,
            r.months,
            r.gas,
            Origin(r.origin),
            trimmed(r.mass_t),
            r.co2e_t,
            r.records,
            r.last_recorded_at,
        )
        found.setdefault(r.source_id, []).append(result)
    return found


_CATEGORY_TOTALS: Final = """
SELECT organisation_id, category, direct_kind, sum(co2e_t) AS co2e_t, sum(records) AS records,
       max(last_recorded_at) AS last_recorded_at
FROM source_month
WHERE organisation_id = ANY (:organisations) AND gas <> 'CO2_BIOGENIC'
  AND first_month >= make_date(:from_year, 1, 1) AND first_month < make_date(:to_year + 1, 1, 1)
GROUP BY organisation_id, category, direct_kind
"""


async def category_totals(
    session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
) -> list[CategoryTotal]:
    """Own totals of each organisation over the years, both included, in no order; those without a result are absent."""
    # Hundreds of thousands of groups: hashed in memory they cost half of what sorting them on disk does.
    await session.rows("SELECT set_config('work_mem', '64MB', true)")
    rows = await session.rows(
        _CATEGORY_TOTALS,
        {"organisations": list(organisation_ids), "from_year": from_year, "to_year": to_year},
    )
    return [
        CategoryTotal(
            r.organisation_id,
            Category(r.category),
            DirectKind(r.direct_kind) if r.direct_kind else None,
            r.co2e_t,
            int(r.records),
            r.last_recorded_at,
        )
        for r in rows
    ]
