"""SQL of what follows from the records: sums per stream and month, results per source and period, totals.

A stream-month is the exact sum of its current lines; emissions follow from it by the coefficient of the method class
that counts in the month; without one it is kept and emits nothing. Sums move by what is added and taken away, which is
exact in decimals: the order of writers does not matter, and a rebuild gives the same bits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.activity import MONTH_IS_DERIVED
from backend.accounting.domain.inventories import PERIOD_LOCKED
from backend.accounting.domain.records import RESULT_OVERLAPS
from backend.accounting.domain.results import CategoryTotal, MonthChange, Origin, SourceResult
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.quantity import trimmed

MANY_STREAMS: Final = 500
_SHARE: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('results', 0) # hashtextextended(:tenant, 0))"
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('results', 0) # hashtextextended(:tenant, 0))"

_MEMORY: Final = "4MB"
_MEMORY_FOR_MANY: Final = "64MB"

_SUMS_OF_BATCHES: Final = """
SELECT p.tenant_id, p.stream_id, p.month, sum(p.quantity) AS quantity, sum(cardinality(p.days))::integer AS records,
       now() AS last_recorded_at
FROM activity_pack p WHERE p.batch_id = ANY (:batches) GROUP BY p.tenant_id, p.stream_id, p.month
"""
_SUMS_OF_ALL: Final = """
SELECT p.tenant_id, p.stream_id, p.month, p.quantity - coalesce(w.quantity, 0) AS quantity,
       p.records - coalesce(w.records, 0) AS records, greatest(p.at, w.at) AS last_recorded_at
FROM (
  SELECT p.tenant_id, p.stream_id, p.month, sum(p.quantity) AS quantity,
         sum(cardinality(p.days))::integer AS records, max(b.recorded_at) AS at
  FROM activity_pack p JOIN activity_batch b ON b.tenant_id = p.tenant_id AND b.id = p.batch_id
  GROUP BY p.tenant_id, p.stream_id, p.month) p
LEFT JOIN (
  SELECT tenant_id, stream_id, month, sum(quantity) AS quantity, count(*)::integer AS records, max(at) AS at
  FROM activity_withdrawal GROUP BY tenant_id, stream_id, month) w USING (tenant_id, stream_id, month)
WHERE p.records > coalesce(w.records, 0)
"""
# The class that counts for a source in a month, and the coefficient a stream has of it.
_COUNTS: Final = """
JOIN source_method h ON h.tenant_id = m.tenant_id AND h.source_id = m.source_id AND h.superseded_at IS NULL
  AND m.month >= h.first_month AND (h.last_month IS NULL OR m.month <= h.last_month)
LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.stream_id = m.stream_id AND c.method = h.method
  AND c.superseded_at IS NULL AND m.month BETWEEN c.first_month AND c.last_month
"""
_ADD: Final = """
INSERT INTO stream_month (tenant_id, stream_id, month, source_id, organisation_id, category, direct_kind,
                          coefficient_id, quantity, co2e_t, records, last_recorded_at)
SELECT m.tenant_id, m.stream_id, m.month, m.source_id, m.organisation_id, m.category, m.direct_kind, c.id, m.quantity,
       coalesce(round(m.quantity * c.co2e_per_unit, 9), 0), m.records, m.last_recorded_at
FROM (
  SELECT s.*, o.id AS source_id, o.organisation_id, o.category, o.direct_kind
  FROM ({sums}) s
  JOIN emission_stream t ON t.tenant_id = s.tenant_id AND t.id = s.stream_id
  JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id) m
{counts}
ORDER BY m.stream_id, m.month
ON CONFLICT (tenant_id, stream_id, month) DO UPDATE SET
  coefficient_id = excluded.coefficient_id,
  quantity = stream_month.quantity + excluded.quantity,
  co2e_t = coalesce(round((stream_month.quantity + excluded.quantity) * (
    SELECT c.co2e_per_unit FROM stream_coefficient c
    WHERE c.tenant_id = excluded.tenant_id AND c.id = excluded.coefficient_id), 9), 0),
  records = stream_month.records + excluded.records,
  last_recorded_at = greatest(stream_month.last_recorded_at, excluded.last_recorded_at)
"""
# Months of submitted inventories stay as they are, whatever became of their coefficients.
_WHICH: Final = """m.month BETWEEN :from_month AND :to_month
  AND (CAST(:streams AS uuid[]) IS NULL OR m.stream_id = ANY (CAST(:streams AS uuid[])))
  AND NOT EXISTS (
    SELECT FROM inventory i WHERE i.tenant_id = m.tenant_id AND i.organisation_id = m.organisation_id
      AND i.state NOT IN ('OPEN', 'REOPENED') AND m.month >= i.first_month
      AND m.month < i.first_month + make_interval(months => i.months))"""
_RECALCULATE: Final = """
UPDATE stream_month m SET coefficient_id = c.id, co2e_t = round(m.quantity * c.co2e_per_unit, 9)
FROM source_method h, stream_coefficient c
WHERE h.tenant_id = m.tenant_id AND h.source_id = m.source_id AND h.superseded_at IS NULL
  AND m.month >= h.first_month AND (h.last_month IS NULL OR m.month <= h.last_month)
  AND c.tenant_id = m.tenant_id AND c.stream_id = m.stream_id AND c.method = h.method AND c.superseded_at IS NULL
  AND m.month BETWEEN c.first_month AND c.last_month AND m.coefficient_id IS DISTINCT FROM c.id AND {which}
"""
_LET_GO: Final = """
UPDATE stream_month m SET coefficient_id = NULL, co2e_t = 0
FROM source_method h
WHERE h.tenant_id = m.tenant_id AND h.source_id = m.source_id AND h.superseded_at IS NULL
  AND m.month >= h.first_month AND (h.last_month IS NULL OR m.month <= h.last_month)
  AND m.coefficient_id IS NOT NULL AND {which}
  AND NOT EXISTS (
    SELECT FROM stream_coefficient c
    WHERE c.tenant_id = m.tenant_id AND c.stream_id = m.stream_id AND c.method = h.method AND c.superseded_at IS NULL
      AND m.month BETWEEN c.first_month AND c.last_month)
"""
_PENDING: Final = """
SELECT m.stream_id, m.source_id, m.organisation_id, m.category, m.direct_kind, m.month, m.quantity,
       m.coefficient_id AS old_id, c.id AS new_id, k.co2e_per_unit AS old_value, c.co2e_per_unit AS new_value,
       m.co2e_t AS old_t, coalesce(round(m.quantity * c.co2e_per_unit, 9), 0) AS new_t
FROM stream_month m
{counts}
LEFT JOIN stream_coefficient k ON k.tenant_id = m.tenant_id AND k.id = m.coefficient_id
WHERE (k.co2e_per_unit IS DISTINCT FROM c.co2e_per_unit OR k.gases IS DISTINCT FROM c.gases) AND {which}
ORDER BY m.source_id, m.stream_id, m.month
"""


_HOW_MANY: Final = """
SELECT count(*) FROM stream_month WHERE stream_id = ANY (:streams) AND month BETWEEN :first AND :last
"""
_WITHOUT_RESULT: Final = """
SELECT m.source_id, m.month FROM stream_month m
WHERE m.source_id = ANY (:sources) AND m.month BETWEEN :first AND :last AND NOT EXISTS (
  SELECT FROM declared_result d WHERE d.tenant_id = m.tenant_id AND d.source_id = m.source_id
    AND d.superseded_at IS NULL AND m.month >= d.first_month
    AND m.month < d.first_month + make_interval(months => d.months))
GROUP BY m.source_id, m.month HAVING count(m.coefficient_id) = 0 ORDER BY m.source_id, m.month
"""


@contextmanager
def overlap_coded() -> Iterator[None]:
    """Two writers met over the same source, gas and time, or over a period that is frozen: one of them is let in."""
    try:
        yield
    except DBAPIError as error:
        clash = RESULT_OVERLAPS(
            path=("rows",), gas="the same gas", gas_zh="同一气体", earlier="recorded just now", earlier_zh="刚刚记录"
        )
        names = ("one_origin_per_gas_and_month", "declared_result_no_overlap")
        codes = dict.fromkeys(names, lambda: clash) | {
            "period_is_open": _locked,
            "derived_months_stand_alone": _derived,
        }
        raise translate(error, codes) from error


def _locked() -> CodedError:
    return PERIOD_LOCKED(path=("rows",), period="this time", period_zh="此期间", state="SUBMITTED")


def _derived() -> CodedError:
    return MONTH_IS_DERIVED(
        path=("rows",),
        stream="-",
        month="this time",
        month_zh="此期间",
        cause="STOCK / METER / MONITOR",
        cause_zh="台账、计量表或烟气监测",
    )


async def share(unit: UnitOfWork) -> None:
    """Write beside others, never while somebody rebuilds or recalculates."""
    await unit.execute(_SHARE, {"tenant": str(unit.tenant_id)})


async def alone(unit: UnitOfWork) -> None:
    """Nobody writes while this transaction lasts: for what copies or computes everything anew."""
    await unit.execute(_ALONE, {"tenant": str(unit.tenant_id)})


async def settle(unit: UnitOfWork, batch_ids: Sequence[UUID], *, many: bool) -> None:
    """Add new batches to the stream-months; all writers lock them in one order. `many`: ten thousands of them.

    Errors: RESULT_OVERLAPS when a declared result came in between.
    """
    await plan_for(unit, many=many)
    add = _ADD.format(sums=_SUMS_OF_BATCHES, counts=_COUNTS)
    await unit.execute(_planned(add, many=many), {"batches": list(batch_ids)})


async def plan_for(session: ReadSession, *, many: bool) -> None:
    """Statistics know nothing of rows that came a moment ago: what joins all of them must not be planned for one.

    Holds until the transaction ends or asks otherwise. Many are hashed in memory: merging reads a source's method
    again for each of its months.
    """
    await session.rows(
        "SELECT set_config('enable_nestloop', :use, true), set_config('enable_mergejoin', :use, true), "
        "set_config('work_mem', :memory, true)",
        {"use": "off" if many else "on", "memory": _MEMORY_FOR_MANY if many else _MEMORY},
    )


def _planned(statement: str, *, many: bool) -> str:
    """A prepared statement may keep the plan it got first: few and many are two, so that each has its own."""
    return f"{statement}-- many" if many else statement


async def recalculate(unit: UnitOfWork, stream_ids: Collection[UUID] | None, from_month: date, to_month: date) -> int:
    """Compute stream-months anew with the coefficients that count now; writers wait. How many rows changed.

    `stream_ids` None: of every stream. A month that has the coefficient that counts stays.
    """
    await alone(unit)
    many = are_many(stream_ids)
    await plan_for(unit, many=many)
    given = _which(stream_ids, from_month, to_month)
    with overlap_coded():
        let_go = await unit.execute(_planned(_LET_GO.format(which=_WHICH), many=many), given)
        return let_go + await unit.execute(_planned(_RECALCULATE.format(which=_WHICH), many=many), given)


def are_many(stream_ids: Collection[object] | None) -> bool:
    """Whether so many streams (None: all) are concerned that they are better joined as a whole."""
    return stream_ids is None or len(stream_ids) >= MANY_STREAMS


def _which(stream_ids: Collection[UUID] | None, from_month: date, to_month: date) -> dict[str, object]:
    streams = None if stream_ids is None else list(stream_ids)
    return {"streams": streams, "from_month": from_month, "to_month": to_month}


async def pending(
    session: ReadSession, stream_ids: Collection[UUID] | None, from_month: date, to_month: date
) -> list[MonthChange]:
    """What `recalculate` would change now, by source, stream and month; not where another coefficient says the same."""
    many = are_many(stream_ids)
    await plan_for(session, many=many)
    statement = _planned(_PENDING.format(counts=_COUNTS, which=_WHICH), many=many)
    return [
        MonthChange(
            stream_id=r.stream_id,
            source_id=r.source_id,
            organisation_id=r.organisation_id,
            category=Category(r.category),
            direct_kind=DirectKind(r.direct_kind) if r.direct_kind else None,
            month=r.month,
            quantity=trimmed(r.quantity),
            old_coefficient_id=r.old_id,
            new_coefficient_id=r.new_id,
            old_value=r.old_value,
            new_value=r.new_value,
            old_t=r.old_t,
            new_t=r.new_t,
        )
        for r in await session.rows(statement, _which(stream_ids, from_month, to_month))
    ]


async def how_many(session: ReadSession, stream_ids: Collection[UUID], from_month: date, to_month: date) -> int:
    """Stream-months that a change of these streams concerns."""
    given = {"streams": list(stream_ids), "first": from_month, "last": to_month}
    return int(await session.scalar(_HOW_MANY, given))


async def months_without_result(
    session: ReadSession, source_ids: Collection[UUID], first: date, last: date
) -> dict[UUID, list[date]]:
    """Months in which sources have quantities, none of which counts; those with a declared result are not meant."""
    found: dict[UUID, list[date]] = {}
    for r in await session.rows(_WITHOUT_RESULT, {"sources": list(source_ids), "first": first, "last": last}):
        found.setdefault(r.source_id, []).append(r.month)
    return found


async def rebuild(unit: UnitOfWork) -> int:
    """Forget every stream-month of the tenant and derive it again from the packs; writers wait. How many there are."""
    await alone(unit)
    await unit.execute("DELETE FROM stream_month")
    await plan_for(unit, many=True)
    return await unit.execute(_ADD.format(sums=_SUMS_OF_ALL, counts=_COUNTS))


# Of a coefficient with several gases the first takes what rounding leaves, so that the gases add up to the total.
_RESULTS: Final = """
SELECT r.source_id, r.first_month, r.months, r.gas, r.origin, sum(r.mass_t) AS mass_t,
       sum(r.exact_mass_t) AS exact_mass_t, sum(r.co2e_t) AS co2e_t,
       sum(r.records)::integer AS records, max(r.last_recorded_at) AS last_recorded_at
FROM (
  SELECT m.source_id, m.month AS first_month, 1 AS months, g.gas, 'ACTIVITY' AS origin,
         round(m.quantity * g.value, 9) AS mass_t, m.quantity * g.value AS exact_mass_t,
         CASE WHEN g.n > 1 THEN g.co2e_t ELSE m.co2e_t - g.all_t + g.co2e_t END AS co2e_t,
         m.records, m.last_recorded_at
  FROM stream_month m
  JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
  CROSS JOIN LATERAL (
    SELECT e.gas, e.value, e.n, round(m.quantity * e.value * e.gwp, 9) AS co2e_t,
           sum(round(m.quantity * e.value * e.gwp, 9)) OVER () AS all_t
    FROM ROWS FROM (jsonb_to_recordset(c.gases) AS (gas text, value numeric, gwp numeric))
      WITH ORDINALITY AS e (gas, value, gwp, n)) g
  WHERE m.source_id = ANY (:sources) AND m.month >= make_date(:year, 1, 1) AND m.month < make_date(:year + 1, 1, 1)
  UNION ALL
  SELECT source_id, first_month, months, gas, 'DECLARED', mass_t, mass_t, co2e_t, 1, recorded_at
  FROM declared_result
  WHERE source_id = ANY (:sources) AND superseded_at IS NULL AND first_month >= make_date(:year, 1, 1)
    AND first_month < make_date(:year + 1, 1, 1)
) r
GROUP BY r.source_id, r.first_month, r.months, r.gas, r.origin
ORDER BY r.source_id, r.first_month, r.gas, r.origin
"""


async def results_of(session: ReadSession, source_ids: Sequence[UUID], year: int) -> dict[UUID, list[SourceResult]]:
    """The results of each source in a year, in order."""
    found: dict[UUID, list[SourceResult]] = {}
    for r in await session.rows(_RESULTS, {"sources": list(source_ids), "year": year}):
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
            r.exact_mass_t,
        )
        found.setdefault(r.source_id, []).append(result)
    return found


_CATEGORY_TOTALS: Final = """
SELECT organisation_id, category, direct_kind, sum(co2e_t) AS co2e_t, sum(records) AS records,
       max(last_recorded_at) AS last_recorded_at
FROM (
  SELECT organisation_id, category, direct_kind, co2e_t, records, last_recorded_at FROM stream_month
  WHERE organisation_id = ANY (:organisations)
    AND month >= make_date(:from_year, 1, 1) AND month < make_date(:to_year + 1, 1, 1)
  UNION ALL
  SELECT o.organisation_id, o.category, o.direct_kind, d.co2e_t, 1, d.recorded_at
  FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
  WHERE o.organisation_id = ANY (:organisations) AND d.gas <> 'CO2_BIOGENIC' AND d.superseded_at IS NULL
    AND d.first_month >= make_date(:from_year, 1, 1) AND d.first_month < make_date(:to_year + 1, 1, 1)
) r
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
