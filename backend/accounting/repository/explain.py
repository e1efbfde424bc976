"""SQL of explanations: each level of the tree for many parents at once, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.derivation import Coefficient
from backend.accounting.domain.explain import Frame
from backend.accounting.repository.coefficients import coefficient_of
from backend.kit.database import ReadSession
from backend.kit.keyset import whole
from backend.kit.pages import PageRequest

Placed = dict[int, list[Row[Any]]]

# The members of some subtrees of the frame, each with the part of it that counts for the frame's root.
_MEMBERS: Final = """
SELECT a.ancestor_id, a.descendant_id, a.depth,
       CASE :approach WHEN 'EQUITY_SHARE' THEN w.equity_share
                      WHEN 'FINANCIAL_CONTROL' THEN w.financial_control::integer
                      ELSE w.operational_control::integer END AS part
FROM organisation_closure a
JOIN organisation_closure w ON w.tenant_id = a.tenant_id AND w.descendant_id = a.descendant_id
  AND w.ancestor_id = :root AND w.valid @> CAST(:day AS date)
WHERE a.ancestor_id = ANY (:organisations) AND a.valid @> CAST(:day AS date)
"""
# Results of the year; what a source emitted of biogenic CO2 is 0 here and stands beside the total.
_RESULTS: Final = """
SELECT m.organisation_id, m.source_id, m.category, m.co2e_t, m.records FROM stream_month m
WHERE {of_months} AND m.category = ANY (:categories)
  AND m.month >= make_date(:year, 1, 1) AND m.month < make_date(:year + 1, 1, 1)
UNION ALL
SELECT o.organisation_id, o.id, o.category, d.co2e_t, 1
FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
WHERE {of_sources} AND o.category = ANY (:categories) AND d.superseded_at IS NULL AND d.gas <> 'CO2_BIOGENIC'
  AND d.first_month >= make_date(:year, 1, 1) AND d.first_month < make_date(:year + 1, 1, 1)
"""
_OF_MEMBERS: Final = _RESULTS.format(
    of_months="m.organisation_id IN (SELECT descendant_id FROM members)",
    of_sources="o.organisation_id IN (SELECT descendant_id FROM members)",
)
_OF_SOURCE: Final = _RESULTS.format(of_months="m.source_id = s.id", of_sources="o.id = s.id")
_TOTALS: Final = """
WITH members AS ({members}),
own AS (SELECT organisation_id, sum(co2e_t) AS co2e_t, sum(records) AS records FROM ({results}) r
        GROUP BY organisation_id)
SELECT o.id, o.code, o.name_zh, o.name_en, max(m.part) FILTER (WHERE m.depth = 0) AS part,
       coalesce(sum(m.part * w.co2e_t), 0) AS co2e_t, coalesce(sum(w.records), 0)::integer AS records,
       coalesce(sum(m.part * w.co2e_t) FILTER (WHERE m.depth = 0), 0) AS own_t,
       coalesce(sum(w.records) FILTER (WHERE m.depth = 0), 0)::integer AS own_records
FROM members m
JOIN organisation o ON o.id = m.ancestor_id
LEFT JOIN own w ON w.organisation_id = m.descendant_id
GROUP BY o.tenant_id, o.id
"""
_BY_CATEGORY: Final = """
WITH members AS ({members})
SELECT r.category, sum(m.part * r.co2e_t) AS co2e_t
FROM members m JOIN ({results}) r ON r.organisation_id = m.descendant_id
GROUP BY r.category
"""
_BELOW: Final = """
SELECT p.place, k.*
FROM unnest(CAST(:places AS integer[]), CAST(:parents AS uuid[])) AS p (place, parent_id)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT 0 AS rank, o.code, o.id FROM organisation o
    WHERE o.id = p.parent_id AND EXISTS (SELECT FROM emission_source s WHERE s.organisation_id = p.parent_id)
    UNION ALL
    SELECT 1, o.code, o.id FROM organisation_closure c
    JOIN organisation o ON o.tenant_id = c.tenant_id AND o.id = c.descendant_id
    WHERE c.ancestor_id = p.parent_id AND c.depth = 1 AND c.valid @> CAST(:day AS date)
  ) b
  WHERE CAST(:rank AS integer) IS NULL OR (b.rank, b.code) > (CAST(:rank AS integer), CAST(:code AS text))
  ORDER BY b.rank, b.code LIMIT :most
) k
ORDER BY p.place, k.rank, k.code
"""
_SOURCES: Final = """
SELECT p.place, s.id, s.organisation_id, s.code, s.name_zh, s.name_en, s.category, s.direct_kind, r.co2e_t, r.records
FROM unnest(CAST(:places AS integer[]), CAST(:parents AS uuid[])) AS p (place, parent_id)
CROSS JOIN LATERAL (
  SELECT * FROM emission_source s
  WHERE s.organisation_id = p.parent_id AND s.category = ANY (:categories)
    AND (CAST(:code AS text) IS NULL OR s.code > CAST(:code AS text))
    AND (CAST(:only AS uuid) IS NULL OR s.id = CAST(:only AS uuid))
  ORDER BY s.code LIMIT :most
) s
CROSS JOIN LATERAL (
  SELECT coalesce(sum(co2e_t), 0) AS co2e_t, coalesce(sum(records), 0)::integer AS records FROM ({results}) x
) r
ORDER BY p.place, s.code
"""
_MONTHS: Final = """
SELECT p.place, k.*
FROM unnest(CAST(:places AS integer[]), CAST(:parents AS uuid[])) AS p (place, parent_id)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT m.month AS first_month, 0 AS rank, m.stream_id AS id, 1 AS months, t.code, t.name_zh, t.name_en, m.quantity,
           t.unit, m.co2e_t, m.records, m.coefficient_id, coalesce(c.co2e_per_unit, 0) AS co2e_per_unit,
           coalesce(c.unit, '-') AS coefficient_unit,
           '' AS evidence, NULL::uuid AS factor_id, '' AS method
    FROM stream_month m
    JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
    LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
    WHERE m.source_id = p.parent_id AND (CAST(:only AS uuid) IS NULL OR m.stream_id = CAST(:only AS uuid))
    UNION ALL
    SELECT d.first_month, 1, d.id, d.months, d.gas, '', '', d.mass_t, 't', d.co2e_t, 1, NULL, d.gwp, 'tCO2e/t',
           d.evidence, d.gwp_factor_id, d.method
    FROM declared_result d
    WHERE d.source_id = p.parent_id AND d.superseded_at IS NULL AND CAST(:only AS uuid) IS NULL
  ) b
  WHERE b.first_month >= make_date(:year, 1, 1) AND b.first_month < make_date(:year + 1, 1, 1)
    AND (CAST(:month AS date) IS NULL
         OR (b.first_month, b.rank, b.id) > (CAST(:month AS date), CAST(:rank AS integer), CAST(:id AS uuid)))
  ORDER BY b.first_month, b.rank, b.id LIMIT :most
) k
ORDER BY p.place, k.first_month, k.rank, k.id
"""
# What the month's emission grows by with each line: so rounding loses nothing between the lines and their sum. Which
# lines are meant (`known`, `still`), what counts their month (`counted`) and what else is told differ.
RECORDS: Final = """
SELECT p.place, k.*, b.entered_unit, b.evidence, b.note, b.recorded_at, b.recorded_by{also}
FROM unnest(CAST(:places AS integer[]), CAST(:parents AS uuid[]), CAST(:months AS date[]))
  AS p (place, parent_id, month)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT x.*, t.unit,
           coalesce(round(x.upto * c.co2e_per_unit, 9) - round((x.upto - x.quantity) * c.co2e_per_unit, 9), 0) AS co2e_t
    FROM (
      SELECT a.tenant_id, a.stream_id, a.month, a.batch_id, a.first_line + u.n::integer - 1 AS line,
             a.month + (u.day - 1) AS day, u.quantity,
             sum(u.quantity) OVER (ORDER BY a.batch_id, a.first_line, u.n) AS upto
      FROM activity_pack a {known}
      CROSS JOIN LATERAL unnest(a.days, a.quantities) WITH ORDINALITY AS u (day, quantity, n)
      WHERE a.stream_id = p.parent_id AND a.month = p.month
        AND NOT EXISTS (SELECT FROM activity_withdrawal w WHERE w.tenant_id = a.tenant_id AND w.batch_id = a.batch_id
          AND w.line = a.first_line + u.n::integer - 1 {still})
    ) x
    {counted}
    LEFT JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
    JOIN emission_stream t ON t.tenant_id = x.tenant_id AND t.id = x.stream_id
  ) v
  WHERE CAST(:batch AS uuid) IS NULL OR (v.batch_id, v.line) > (CAST(:batch AS uuid), CAST(:line AS integer))
  ORDER BY v.batch_id, v.line LIMIT :most
) k
JOIN activity_batch b ON b.tenant_id = k.tenant_id AND b.id = k.batch_id {more}
ORDER BY p.place, k.batch_id, k.line
"""
_CURRENT: Final = RECORDS.format(
    also="",
    known="",
    still="",
    counted="JOIN stream_month m ON m.tenant_id = x.tenant_id AND m.stream_id = x.stream_id AND m.month = x.month",
    more="",
)


def _framed(frame: Frame) -> dict[str, Any]:
    return {
        "root": frame.root_id,
        "day": frame.day,
        "year": frame.year,
        "approach": frame.approach.value,
        "categories": [c.value for c in frame.categories],
    }


def _placed(rows: Sequence[Row[Any]]) -> Placed:
    found: Placed = {}
    for row in rows:
        found.setdefault(row.place, []).append(row)
    return found


def _parents(keys: Sequence[UUID], request: PageRequest) -> dict[str, Any]:
    return {"places": list(range(len(keys))), "parents": list(keys), "most": request.first + 1}


async def totals(session: ReadSession, frame: Frame, organisations: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """Of each organisation of the frame's tree: what it and all below emitted (co2e_t), and itself (own_t)."""
    given = _framed(frame) | {"organisations": list(organisations)}
    return {row.id: row for row in await session.rows(_TOTALS.format(members=_MEMBERS, results=_OF_MEMBERS), given)}


async def category_totals_of(session: ReadSession, frame: Frame) -> Sequence[Row[Any]]:
    """The total of the frame's root by category."""
    given = _framed(frame) | {"organisations": [frame.root_id]}
    return await session.rows(_BY_CATEGORY.format(members=_MEMBERS, results=_OF_MEMBERS), given)


async def organisations_below(
    session: ReadSession, frame: Frame, parents: Sequence[UUID], request: PageRequest
) -> Placed:
    """For each parent itself (rank 0, if it has sources), then the organisations directly below, by code."""
    rank, code = request.key(whole, str) if request.after else (None, None)
    given = _parents(parents, request) | {"day": frame.day, "rank": rank, "code": code}
    return _placed(await session.rows(_BELOW, given))


async def sources_of(
    session: ReadSession, frame: Frame, parents: Sequence[UUID], request: PageRequest, only: UUID | None = None
) -> Placed:
    """The sources of each organisation, by code, with what they emitted."""
    (code,) = request.key(str) if request.after else (None,)
    given = _parents(parents, request) | _framed(frame) | {"code": code, "only": only}
    asked = {name: value for name, value in given.items() if name not in {"root", "day", "approach"}}
    return _placed(await session.rows(_SOURCES.format(results=_OF_SOURCE), asked))


async def months_of(
    session: ReadSession, frame: Frame, parents: Sequence[UUID], request: PageRequest, only: UUID | None = None
) -> Placed:
    """The stream-months and declared results of each source, in order of time; `only` those of one stream."""
    month, rank, key = request.key(date.fromisoformat, whole, UUID) if request.after else (None, None, None)
    given = _parents(parents, request) | {"year": frame.year, "month": month, "rank": rank, "id": key, "only": only}
    return _placed(await session.rows(_MONTHS, given))


async def records_of(session: ReadSession, parents: Sequence[tuple[UUID, Any]], request: PageRequest) -> Placed:
    """The current lines of each stream and month, each with its part of the month's emission (tCO2e)."""
    batch, line = request.key(UUID, whole) if request.after else (None, None)
    given = _parents([p[0] for p in parents], request) | {"months": [p[1] for p in parents]}
    return _placed(await session.rows(_CURRENT, given | {"batch": batch, "line": line}))


async def coefficients(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, tuple[Coefficient, Row[Any]]]:
    """By id, superseded ones too: the very ones that results were computed with."""
    rows = await session.rows(
        """
        SELECT c.*, b.reason, b.evidence
        FROM stream_coefficient c LEFT JOIN stream_basis b ON b.tenant_id = c.tenant_id AND b.id = c.basis_id
        WHERE c.id = ANY (:keys)
        """,
        {"keys": list(keys)},
    )
    return {r.id: (coefficient_of(r), r) for r in rows}


async def parameters_of(session: ReadSession, streams: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The parameters of approved monitoring plans that watch these streams, with their instruments."""
    return await session.rows(
        """
        SELECT p.stream_id, p.id, p.code, p.name_zh, p.name_en, p.frequency, i.code AS instrument, i.instrument_type
        FROM plan_parameter p
        JOIN monitoring_plan l ON l.tenant_id = p.tenant_id AND l.id = p.plan_id AND l.state = 'APPROVED'
        LEFT JOIN instrument i ON i.tenant_id = p.tenant_id AND i.id = p.instrument_id
        WHERE p.stream_id = ANY (:streams) ORDER BY p.code
        """,
        {"streams": list(streams)},
    )


async def inventories_of(session: ReadSession, frame: Frame, organisations: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The inventories in force of these organisations that lie in the year or reach into it."""
    return await session.rows(
        """
        SELECT id, organisation_id, first_month, months, version, state, sha256 FROM inventory
        WHERE organisation_id = ANY (:organisations) AND state <> 'REOPENED'
          AND first_month < make_date(:year + 1, 1, 1)
          AND first_month + make_interval(months => months) > make_date(:year, 1, 1)
        ORDER BY first_month
        """,
        {"organisations": list(organisations), "year": frame.year},
    )
