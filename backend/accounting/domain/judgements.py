"""How good data are, how uncertain results are, and how co-products share them: what somebody judged, with the reason.

Uncertainty: of each stream and year the half-width of the activity and of the coefficient (95 %, as shares), each with
the cause it may share with others (one meter, one factor). A stream's result is a product of both; results of streams
add up; one cause adds linearly wherever it appears, different ones by squares. A stream of which a half-width is not
stated is in the sum with what is stated, and `stated_share` says how much of the emissions has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

from backend.accounting.domain.allocation import AllocationBasis, AllocationStatement, CoProduct, allocate
from backend.accounting.domain.measured import OfSource, OfStream
from backend.accounting.domain.quality import QualityScores, QualityTotal, total
from backend.accounting.domain.uncertainty import Contribution, Spread, Uncertainty, of_product, of_sum
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import QUANTITY_DECIMALS, round_half_up

JUST_STATED = conflict(
    "JUST_STATED",
    en="Somebody has stated this for the year just now; read it again.",
    zh="刚刚已有人填报该年度的内容，请重新读取。",
)
ALREADY_ALLOCATED = rule(
    "ALREADY_ALLOCATED",
    en="The source is shared among products by {basis} in {year} already; give a reason to share it otherwise.",
    zh="该排放源 {year} 年已按 {basis} 分配；变更须填写理由。",
)
PRODUCT_TWICE = invalid(
    "PRODUCT_TWICE",
    en="The product '{name}' stands twice, or has no name; each product stands once.",
    zh="产品 '{name}' 重复或缺少名称，请各列一次。",
)


class Subject(StrEnum):
    """What an uncertainty is of."""

    ACTIVITY = "ACTIVITY"
    """The quantity (活动数据)."""
    COEFFICIENT = "COEFFICIENT"
    """Tonnes per unit (排放因子)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScore(OfStream):
    """Scores of the data of a stream in a year, 1 (poor) to 5 (best); `note` says why."""

    year: int
    representative: int
    fair: int
    complete: int
    accurate: int
    applicable: int

    @property
    def scores(self) -> QualityScores:
        return QualityScores(self.representative, self.fair, self.complete, self.accurate, self.applicable)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUncertainty(OfStream):
    """Half the 95 % interval of an input of a stream in a year, as a share; `note` says where it comes from."""

    year: int
    subject: Subject
    half_width: Decimal
    correlation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(OfSource):
    """By what the emissions of a source in a year are shared among its products, and why (8.2.5.3 note 4)."""

    year: int
    basis: AllocationBasis
    statement: str
    products: tuple[CoProduct, ...] = ()

    @property
    def shared(self) -> AllocationStatement:
        return allocate(self.basis, self.products, self.statement)


@dataclass(frozen=True, slots=True)
class StreamTonnes:
    """What a stream emitted in a year, tCO2e; without a stream: a source's declared results."""

    source_id: UUID
    stream_id: UUID | None
    co2e_t: Decimal


@dataclass(frozen=True, slots=True)
class SourceSpread:
    """The result of a source, and how uncertain it is."""

    source_id: UUID
    spread: Spread


@dataclass(frozen=True, slots=True)
class OrganisationSpread:
    """The results of an organisation's own sources in a year, together and one by one.

    `stated_share`: the share of |tonnes| whose activity and coefficient both have a stated uncertainty, 4 decimals.
    """

    spread: Spread
    stated_share: Decimal
    sources: tuple[SourceSpread, ...]


def checked_half_width(value: Decimal) -> Decimal:
    """A share that can be kept. Errors: BAD_UNCERTAINTY."""
    of_product([Uncertainty(value)])
    return round_half_up(value, QUANTITY_DECIMALS)


def checked_products(products: Sequence[CoProduct]) -> tuple[CoProduct, ...]:
    """Errors: PRODUCT_TWICE."""
    seen: set[str] = set()
    for i, product in enumerate(products):
        if not product.name or product.name in seen:
            raise PRODUCT_TWICE(path=("products", str(i), "name"), name=product.name[:60])
        seen.add(product.name)
    return tuple(products)


def spread_of(tonnes: Sequence[StreamTonnes], stated: Iterable[StreamUncertainty]) -> OrganisationSpread:
    """The uncertainty of results and of each source by itself. Source: IPCC 2006 V1 ch. 3, 3.1 and 3.2."""
    inputs: dict[UUID, dict[Subject, Uncertainty]] = {}
    for one in stated:
        inputs.setdefault(one.stream_id, {})[one.subject] = Uncertainty(one.half_width, one.correlation)
    by_source: dict[UUID, list[Contribution]] = {}
    known = every = Fraction(0)
    for item in tonnes:
        given = inputs.get(item.stream_id, {}) if item.stream_id else {}
        by_source.setdefault(item.source_id, []).append(Contribution(item.co2e_t, tuple(given.values())))
        every += abs(Fraction(item.co2e_t))
        known += abs(Fraction(item.co2e_t)) if len(given) == len(Subject) else 0
    sources = tuple(SourceSpread(key, of_sum(parts)) for key, parts in by_source.items())
    together = of_sum([part for parts in by_source.values() for part in parts])
    return OrganisationSpread(together, round_half_up(known / every if every else Fraction(0), 4), sources)


def quality_of(tonnes: Sequence[StreamTonnes], scores: Iterable[QualityScore]) -> QualityTotal | None:
    """The scores of an organisation's results, weighted by |tonnes|; None when nothing scored emits."""
    known = {score.stream_id: score.scores for score in scores}
    return total((item.co2e_t, known.get(item.stream_id) if item.stream_id else None) for item in tonnes)
