"""SQL of coefficients: what was derived for streams, class by class and month by month."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from backend.accounting.domain.derivation import Coefficient, GasTerm, as_json, from_json
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.records import Method
from backend.accounting.domain.revisions import Kept, Piece
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.ids import uuid7
from tenants.domain import GwpSet

StreamYear = tuple[UUID, int]
Months = tuple[Method, date, date, UUID | None]
"""Class, first and last month, basis."""

_OF_YEARS: Final = """
FROM unnest(CAST(:streams AS uuid[]), CAST(:years AS integer[])) AS w (stream_id, year)
JOIN stream_coefficient c ON c.stream_id = w.stream_id AND c.superseded_at IS NULL
  AND c.first_month BETWEEN make_date(w.year, 1, 1) AND make_date(w.year, 12, 1)
"""
_COVERED: Final = text(f"SELECT w.stream_id, w.year, c.method, c.first_month, c.last_month, c.basis_id {_OF_YEARS}")
_KEPT: Final = text(f"SELECT w.year, c.* {_OF_YEARS} ORDER BY c.stream_id, c.first_month, c.method")
_INSERT: Final = """
INSERT INTO stream_coefficient (tenant_id, id, stream_id, method, first_month, last_month, co2e_per_unit, unit, gases,
                                gwp_set, steps, kind, basis_id)
SELECT :tenant_id, r.id, r.stream_id, b.method, r.first_month, r.last_month, b.value, b.unit, b.gases, b.gwp_set,
       b.steps, b.kind, r.basis_id
FROM unnest(CAST(:ids AS uuid[]), CAST(:streams AS uuid[]), CAST(:firsts AS date[]), CAST(:lasts AS date[]),
            CAST(:bases AS uuid[]), CAST(:which AS integer[]))
  AS r (id, stream_id, first_month, last_month, basis_id, n)
JOIN jsonb_to_recordset(CAST(:bodies AS jsonb)) AS b(
  n integer, method text, value numeric, unit text, gases jsonb, gwp_set text, steps jsonb, kind text) ON b.n = r.n
ORDER BY r.stream_id, r.first_month
ON CONFLICT DO NOTHING
"""
_SUPERSEDE: Final = """
UPDATE stream_coefficient SET superseded_at = greatest(now(), recorded_at), superseded_because = :because
WHERE id = ANY (:keys) AND superseded_at IS NULL
"""
_STREAM_YEARS: Final = """
SELECT DISTINCT stream_id, year FROM (
  SELECT stream_id, extract(year FROM month)::integer AS year FROM stream_month
  WHERE month BETWEEN :first AND :last AND {which}
  UNION ALL
  SELECT stream_id, extract(year FROM first_month)::integer FROM stream_coefficient
  WHERE superseded_at IS NULL AND first_month <= :last AND last_month >= :first AND {which}
) k ORDER BY stream_id, year
"""
_COUNTING_GASES: Final = """
SELECT DISTINCT w.stream_id, w.month, ARRAY(SELECT g ->> 'gas' FROM jsonb_array_elements(c.gases) g) AS gases
FROM unnest(CAST(:streams AS uuid[]), CAST(:months AS date[])) AS w (stream_id, month)
JOIN emission_stream t ON t.id = w.stream_id
JOIN source_method h ON h.tenant_id = t.tenant_id AND h.source_id = t.source_id AND h.superseded_at IS NULL
  AND w.month >= h.first_month AND (h.last_month IS NULL OR w.month <= h.last_month)
JOIN stream_coefficient c ON c.tenant_id = t.tenant_id AND c.stream_id = w.stream_id AND c.method = h.method
  AND c.superseded_at IS NULL AND w.month BETWEEN c.first_month AND c.last_month
"""
_STREAMS_BELOW: Final = """
SELECT t.id FROM emission_stream t
JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
JOIN organisation_reach r ON r.descendant_id = o.organisation_id
WHERE r.ancestor_id = :organisation
ORDER BY t.source_id, t.id
"""
_OWNERS: Final = """
SELECT t.id, o.organisation_id FROM emission_stream t
JOIN emission_source o ON o.tenant_id = t.tenant_id AND o.id = t.source_id
WHERE t.id = ANY (:streams)
"""


def _years(wanted: Collection[StreamYear]) -> dict[str, Any]:
    return {"streams": [w[0] for w in wanted], "years": [w[1] for w in wanted]}


def _gas(kept: Mapping[str, Any]) -> GasTerm:
    key = kept.get("gwp_factor_id")
    return GasTerm(kept["gas"], Decimal(kept["value"]), Decimal(kept["gwp"]), UUID(key) if key else None)


def coefficient_of(row: Row[Any]) -> Coefficient:
    """A row of the table as the domain knows it."""
    gases = tuple(_gas(g) for g in row.gases)
    steps = tuple(from_json(step) for step in row.steps)
    return Coefficient(
        row.co2e_per_unit,
        row.unit,
        gases,
        GwpSet(row.gwp_set),
        Method(row.method),
        MethodKind(row.kind),
        steps,
    )


async def covered(session: ReadSession, wanted: Collection[StreamYear]) -> dict[StreamYear, set[Months]]:
    """For which months coefficients are kept already, class by class."""
    found: dict[StreamYear, set[Months]] = {}
    for r in await session.rows(_COVERED, _years(wanted)):
        months = (Method(r.method), r.first_month, r.last_month, r.basis_id)
        found.setdefault((r.stream_id, r.year), set()).add(months)
    return found


async def kept(session: ReadSession, wanted: Collection[StreamYear]) -> dict[StreamYear, list[Kept]]:
    """The coefficients of streams and years that hold now, by month and class."""
    found: dict[StreamYear, list[Kept]] = {}
    for r in await session.rows(_KEPT, _years(wanted)):
        piece = Piece(r.stream_id, Method(r.method), r.first_month, r.last_month, coefficient_of(r), r.basis_id)
        found.setdefault((r.stream_id, r.year), []).append(Kept(r.id, piece))
    return found


async def insert(unit: UnitOfWork, made: Sequence[Piece]) -> None:
    """Keep them; where another writer was faster, the earlier one stays (it is derived by the same rule)."""
    if not made:
        return
    # Many streams share one derivation; it is written out, sent and read once.
    coefficients = {id(p.coefficient): p.coefficient for p in made}
    number = {key: n for n, key in enumerate(coefficients)}
    given = {
        "tenant_id": unit.tenant_id,
        "ids": [uuid7() for _ in made],
        "streams": [p.stream_id for p in made],
        "firsts": [p.first_month for p in made],
        "lasts": [p.last_month for p in made],
        "bases": [p.basis_id for p in made],
        "which": [number[id(p.coefficient)] for p in made],
        "bodies": json.dumps([_body(c) | {"n": n} for n, c in enumerate(coefficients.values())]),
    }
    await unit.execute(_INSERT, given)


def _body(c: Coefficient) -> dict[str, Any]:
    return {
        "method": c.method.value,
        "value": str(c.co2e_per_unit),
        "unit": c.unit,
        "gases": [
            {"gas": g.gas, "value": str(g.value), "gwp": str(g.gwp)}
            | ({"gwp_factor_id": str(g.gwp_factor_id)} if g.gwp_factor_id else {})
            for g in c.gases
        ],
        "gwp_set": c.gwp_set.value,
        "steps": [as_json(step) for step in c.steps],
        "kind": c.kind.value,
    }


async def supersede(unit: UnitOfWork, keys: Sequence[UUID], because: str) -> int:
    return await unit.execute(_SUPERSEDE, {"keys": list(keys), "because": because})


async def stream_years(
    session: ReadSession, stream_ids: Collection[UUID] | None, first: date, last: date
) -> list[StreamYear]:
    """The years of each stream that have quantities or coefficients in these months; None: of every stream."""
    which = "true" if stream_ids is None else "stream_id = ANY (:streams)"
    given: Mapping[str, object] = {"first": first, "last": last}
    if stream_ids is not None:
        given = {**given, "streams": list(stream_ids)}
    return [(r.stream_id, r.year) for r in await session.rows(_STREAM_YEARS.format(which=which), given)]


async def streams_below(session: ReadSession, organisation_id: UUID) -> list[UUID]:
    """The streams of an organisation's sources and of those of all below it."""
    return [r.id for r in await session.rows(_STREAMS_BELOW, {"organisation": organisation_id})]


async def counting_gases(
    session: ReadSession, wanted: Collection[tuple[UUID, date]]
) -> dict[tuple[UUID, date], set[str]]:
    """The gases of what counts for streams in months; absent where nothing counts."""
    given = {"streams": [w[0] for w in wanted], "months": [w[1] for w in wanted]}
    return {(r.stream_id, r.month): set(r.gases) for r in await session.rows(_COUNTING_GASES, given)}


async def owners(session: ReadSession, stream_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The organisation each stream belongs to."""
    return {r.id: r.organisation_id for r in await session.rows(_OWNERS, {"streams": list(stream_ids)})}
