"""The judgements of 8.4 and of compliance, each a small function of sums.

Which units count for neutrality: those retired for the period. What was surrendered served compliance, what was
cancelled served nobody's neutrality, and an allowance that was never bought counts only where the policy says so
(8.4.1, 8.4.2). The order of 8.4.2 is a recommendation ("宜"): departing from it is remarked upon, not refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.consolidation.domain.rollup import ZERO
from backend.ledger.domain.balances import UsedAsset
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tenants.domain import AllowancePolicy

ORDER: Final = (AssetClass.ALLOWANCE, AssetClass.CCER, AssetClass.VERIFIED_SAVING, AssetClass.SINK)
# 8.4.2 ranks bought allowances, CCER and verified savings; own sinks (8.4.3) stand beside that order.
RANKED: Final = ORDER[:3]


class NeutralityVerdict(StrEnum):
    """The finding of 8.4.1."""

    NEUTRAL = "NEUTRAL"
    """Emissions do not exceed the units used to offset them; equality is enough (达成碳中和)."""
    NOT_NEUTRAL = "NOT_NEUTRAL"
    """Emissions exceed them by the gap (未达成碳中和)."""
    NO_DATA = "NO_DATA"
    """Nothing was reported within the boundary, so nothing can be found (无数据)."""


class ComplianceVerdict(StrEnum):
    """Whether what had to be surrendered was surrendered (履约)."""

    FULFILLED = "FULFILLED"
    """At least the obligation was surrendered (已履约)."""
    SHORT = "SHORT"
    """Less than the obligation was surrendered (未足额履约)."""
    NO_OBLIGATION = "NO_OBLIGATION"
    """Nothing had to be surrendered (无履约义务)."""


class Duty(StrEnum):
    """The two sides of compliance."""

    OWED = "OWED"
    """What must be surrendered."""
    SURRENDERED = "SURRENDERED"
    """What was."""


class RejectionReason(StrEnum):
    """Why used units do not count for neutrality."""

    SURRENDERED = "SURRENDERED"
    """They were surrendered for compliance; a unit serves one purpose once (已用于履约清缴)."""
    CANCELLED = "CANCELLED"
    """They were cancelled without being retired for neutrality (已注销但未用于中和)."""
    OTHER_YEAR = "OTHER_YEAR"
    """They were retired for a year outside the period (用于其他年度)."""
    NOT_BOUGHT = "NOT_BOUGHT"
    """Allowances that were allocated free of charge, while only bought ones count (非购买配额, 8.4.2)."""
    ALLOCATED_WITHIN = "ALLOCATED_WITHIN"
    """Allowances allocated free of charge to a member of the group and passed on inside it (集团内部划转的免费配额)."""


class RemarkKind(StrEnum):
    """What a reader of the verdict should know though it does not change it."""

    ORDER_NOT_FOLLOWED = "ORDER_NOT_FOLLOWED"
    """A class of units was used while none of a class that 8.4.2 prefers was (未按优先顺序)."""
    SITES_WITHOUT_DATA = "SITES_WITHOUT_DATA"
    """Sites within the boundary have reported nothing for the period (存在未报数据的厂区)."""
    ALLOCATED_ALLOWANCES_COUNT = "ALLOCATED_ALLOWANCES_COUNT"
    """The policy of the group lets allocated allowances count, beyond the reading of 8.4.2 (计入免费配额)."""
    MEMBERS_SHORT = "MEMBERS_SHORT"
    """Members below have surrendered less than they owe, whatever the sum says (存在未足额履约成员)."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on a verdict; the classes say which was used, and which was passed over for it."""

    kind: RemarkKind
    used: AssetClass | None = None
    passed_over: AssetClass | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    """One class of assets in the order of 8.4.2: what was used, how much of it covers, what remains. Tonnes."""

    asset_class: AssetClass
    used_t: Decimal
    covers_t: Decimal
    remaining_t: Decimal


@dataclass(frozen=True, slots=True)
class Neutrality:
    """The determination of 8.4.1 with its way there. Tonnes of CO2e."""

    verdict: NeutralityVerdict
    total_t: Decimal
    counted_t: Decimal
    gap_t: Decimal
    surplus_t: Decimal
    waterfall: tuple[WaterfallStep, ...]


@dataclass(frozen=True, slots=True)
class Compliance:
    """Obligation against surrendered units. Tonnes."""

    verdict: ComplianceVerdict
    obligation_t: Decimal
    surrendered_t: Decimal
    shortfall_t: Decimal


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What decides whether a use counts: the period, the policy, and who belongs to the group."""

    from_year: int
    to_year: int
    policy: AllowancePolicy
    members: frozenset[UUID]

    def rejection(self, used: UsedAsset) -> RejectionReason | None:
        """Why a use does not count for neutrality in the period, or None: it counts."""
        if used.use is Use.SURRENDERED:
            return RejectionReason.SURRENDERED
        if used.use is Use.CANCELLED:
            return RejectionReason.CANCELLED
        if not self.from_year <= used.for_year <= self.to_year:
            return RejectionReason.OTHER_YEAR
        if used.asset_class is AssetClass.ALLOWANCE and self.policy is AllowancePolicy.BOUGHT_ONLY:
            return self._not_bought(used)
        return None

    def _not_bought(self, used: UsedAsset) -> RejectionReason | None:
        if not used.bought:
            return RejectionReason.NOT_BOUGHT
        return RejectionReason.ALLOCATED_WITHIN if used.allocated_to in self.members else None


def waterfall(total_t: Decimal, counted: Mapping[AssetClass, Decimal]) -> tuple[WaterfallStep, ...]:
    """What each class covers in the order of 8.4.2 and what remains after it; a negative total needs no cover.

    Calculate inside `localcontext(EXACT)`.
    """
    remaining = max(total_t, ZERO)
    steps: list[WaterfallStep] = []
    for asset_class in ORDER:
        used = counted.get(asset_class, ZERO)
        covers = min(remaining, used)
        remaining -= covers
        steps.append(WaterfallStep(asset_class, used, covers, remaining))
    return tuple(steps)


def neutrality(total_t: Decimal, counted: Mapping[AssetClass, Decimal], *, reported: bool) -> Neutrality:
    """Neutral when the total does not exceed what counts; equality passes (8.4.1). Inside `localcontext(EXACT)`."""
    steps = waterfall(total_t, counted)
    covered = sum((s.used_t for s in steps), ZERO)
    if not reported:
        return Neutrality(NeutralityVerdict.NO_DATA, ZERO, covered, ZERO, ZERO, steps)
    verdict = NeutralityVerdict.NEUTRAL if total_t <= covered else NeutralityVerdict.NOT_NEUTRAL
    difference = total_t - covered
    return Neutrality(verdict, total_t, covered, max(difference, ZERO), max(-difference, ZERO), steps)


def compliance(duties: Mapping[Duty, Decimal]) -> Compliance:
    """Fulfilled when at least the obligation was surrendered. Calculate inside `localcontext(EXACT)`."""
    owed, surrendered = duties.get(Duty.OWED), duties.get(Duty.SURRENDERED, ZERO)
    if owed is None:
        return Compliance(ComplianceVerdict.NO_OBLIGATION, ZERO, surrendered, ZERO)
    shortfall = max(owed - surrendered, ZERO)
    verdict = ComplianceVerdict.SHORT if shortfall else ComplianceVerdict.FULFILLED
    return Compliance(verdict, owed, surrendered, shortfall)


def order_remarks(counted: Mapping[AssetClass, Decimal]) -> Iterable[Remark]:
    """For each ranked class that was used, the nearest preferred one of which nothing was (8.4.2)."""
    for rank, asset_class in enumerate(RANKED):
        if not counted.get(asset_class):
            continue
        unused = [better for better in RANKED[:rank] if not counted.get(better)]
        if unused:
            yield Remark(RemarkKind.ORDER_NOT_FOLLOWED, asset_class, unused[0])
