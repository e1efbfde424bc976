"""Data quality: the five properties of 9.1.1 b) as scores, and how they add up.

The standard names the properties and no scale. Our reading: 1 (poor) to 5 (best) each, a record's score is their mean,
and records add up weighted by the size of their emissions, so that large ones decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from backend.accounting.domain.means import weighted_mean
from backend.kit.errors import invalid
from backend.kit.quantity import round_half_up
from backend.kit.words import in_chinese

LOWEST: Final = 1
BEST: Final = 5
_DECIMALS: Final = 2

in_chinese({
    "representative": "代表性", "fair": "公正性", "complete": "完整性", "accurate": "准确性", "applicable": "适用性",
})  # fmt: skip
BAD_SCORE = invalid(
    "BAD_QUALITY_SCORE",
    en="{name} is scored from {lowest} (poor) to {best} (best); {value} is not.",
    zh="{name_zh}的评分为 {lowest}（差）至 {best}（最佳）；{value} 不符合。",
)


@dataclass(frozen=True, slots=True)
class QualityScores:
    """代表性、公正性、完整性、准确性、适用性. Errors when made: BAD_QUALITY_SCORE."""

    representative: int
    fair: int
    complete: int
    accurate: int
    applicable: int

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not LOWEST <= value <= BEST:
                raise BAD_SCORE(path=(name,), name=name, lowest=LOWEST, best=BEST, value=value)

    @property
    def overall(self) -> Fraction:
        """The mean of the five."""
        return Fraction(sum(astuple(self)), len(astuple(self)))


@dataclass(frozen=True, slots=True)
class QualityTotal:
    """Scores of many records, 2 decimals, and the share of emissions that has any."""

    overall: Decimal
    lowest: Decimal
    scored_share: Decimal


def total(records: Iterable[tuple[Decimal, QualityScores | None]]) -> QualityTotal | None:
    """Scores weighted by |tonnes|; None when nothing scored has emissions. Records without scores lower the share."""
    rows = [(abs(Fraction(tonnes)), scores) for tonnes, scores in records]
    scored = [(s.overall, weight) for weight, s in rows if s is not None]
    mean = weighted_mean(scored)
    if mean is None:
        return None
    every, known = sum((w for w, _ in rows), Fraction(0)), sum((w for _, w in scored), Fraction(0))
    lowest = min(score for score, weight in scored if weight)
    return QualityTotal(
        round_half_up(mean, _DECIMALS), round_half_up(lowest, _DECIMALS), round_half_up(known / every, _DECIMALS + 2)
    )
