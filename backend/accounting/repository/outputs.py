"""SQL of outputs, targets, deviations, and of the totals they are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.deviations import (
    DeviationCause,
    DeviationFinding,
    DeviationKind,
    DeviationState,
    EmissionTarget,
)
from backend.accounting.domain.explain import Frame
from backend.accounting.domain.outputs import IntensityQuestion, ProductOutput
from backend.accounting.domain.sources import Category
from backend.accounting.repository.explain import category_totals_of
from backend.accounting.repository.kept import Kept
from backend.accounting.tables.outputs import deviation_finding, emission_target, product_output
from backend.kit.database import ReadSession
from backend.kit.quantity import trimmed

OUTPUTS: Final = Kept(product_output, ProductOutput, {"quantity": trimmed})
TARGETS: Final = Kept(emission_target, EmissionTarget, {"category": Category, "value": trimmed})
FINDINGS: Final = Kept(
    deviation_finding,
    DeviationFinding,
    {
        "kind": DeviationKind,
        "category": Category,
        "state": DeviationState,
        "cause": DeviationCause,
        "compared": trimmed,
        "actual": trimmed,
    },
)

# The unit that is asked for and what lies below it, where one is.
_PLACE: Final = """
WITH RECURSIVE unit AS (
  SELECT id FROM emission_unit WHERE id = CAST(:unit AS uuid)
  UNION ALL
  SELECT e.id FROM unit JOIN emission_unit e ON e.parent_id = unit.id
),
place AS (SELECT descendant_id AS id FROM organisation_closure
          WHERE ancestor_id = :organisation AND valid @> CAST(:day AS date))
"""
_EMITTED: Final = """{place}
SELECT r.first_month, r.months, sum(r.co2e_t) AS co2e_t
FROM (
  SELECT m.source_id, m.month AS first_month, 1 AS months, m.co2e_t FROM stream_month m
  WHERE m.month >= make_date(:year, 1, 1) AND m.month < make_date(:year + 1, 1, 1)
  UNION ALL
  SELECT d.source_id, d.first_month, d.months, d.co2e_t FROM declared_result d
  WHERE d.superseded_at IS NULL AND d.gas <> 'CO2_BIOGENIC'
    AND d.first_month >= make_date(:year, 1, 1) AND d.first_month < make_date(:year + 1, 1, 1)
) r
JOIN emission_source s ON s.id = r.source_id
WHERE s.organisation_id IN (SELECT id FROM place) AND s.category = ANY (:categories)
  AND (CAST(:unit AS uuid) IS NULL OR s.unit_id IN (SELECT id FROM unit))
  AND (CAST(:device AS uuid) IS NULL OR s.device_id = CAST(:device AS uuid))
GROUP BY r.first_month, r.months
"""
_PRODUCED: Final = """{place}
SELECT o.month, o.unit, sum(o.quantity) AS quantity FROM product_output o
WHERE o.organisation_id IN (SELECT id FROM place) AND o.product = :product AND o.superseded_at IS NULL
  AND o.month >= make_date(:year, 1, 1) AND o.month < make_date(:year + 1, 1, 1)
  AND (CAST(:unit AS uuid) IS NULL OR o.unit_id IN (SELECT id FROM unit))
  AND (CAST(:device AS uuid) IS NULL OR o.device_id = CAST(:device AS uuid))
GROUP BY o.month, o.unit
"""


def _asked(question: IntensityQuestion) -> dict[str, Any]:
    return {
        "organisation": question.organisation_id,
        "year": question.year,
        "day": date(question.year, 12, 31),
        "unit": question.unit_id,
        "device": question.device_id,
    }


async def emitted(session: ReadSession, question: IntensityQuestion) -> list[tuple[date, int, Decimal]]:
    """Results that lie in the year: first month, length in months, tCO2e."""
    given = _asked(question) | {"categories": [c.value for c in question.categories]}
    return [(r.first_month, r.months, r.co2e_t) for r in await session.rows(_EMITTED.format(place=_PLACE), given)]


async def produced(session: ReadSession, question: IntensityQuestion) -> list[tuple[date, str, Decimal]]:
    """Outputs of the product in the year: month, unit, quantity."""
    rows = await session.rows(_PRODUCED.format(place=_PLACE), _asked(question) | {"product": question.product})
    return [(r.month, r.unit, trimmed(r.quantity)) for r in rows]


async def units_of_product(session: ReadSession, organisation_ids: Sequence[UUID], product: str) -> set[str]:
    """In which units the product is recorded in these organisations."""
    rows = await session.rows(
        "SELECT DISTINCT unit FROM product_output WHERE organisation_id = ANY (:organisations) "
        "AND product = :product AND superseded_at IS NULL",
        {"organisations": list(organisation_ids), "product": product},
    )
    return {r.unit for r in rows}


async def totals(session: ReadSession, frame: Frame) -> dict[Category, Decimal]:
    """What the frame's total is made of, by category (tCO2e); categories without a result are absent."""
    rows = await category_totals_of(session, frame)
    return {Category(r.category): trimmed(r.co2e_t) for r in rows}
