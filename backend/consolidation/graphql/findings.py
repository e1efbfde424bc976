"""The types of what a run finds: sums, verdicts, the waterfall, remarks."""

from __future__ import annotations

from decimal import Decimal

from backend.accounting.domain.sources import Category, DirectKind
from backend.consolidation.domain import determination, verdicts
from backend.consolidation.domain.verdicts import ComplianceVerdict, NeutralityVerdict, RejectionReason, RemarkKind
from backend.kit.graphql.types import build, enum_type, object_type
from backend.ledger.domain.lots import AssetClass

for _enum in (NeutralityVerdict, ComplianceVerdict, RejectionReason, RemarkKind):
    enum_type(_enum)


@object_type
class CategoryEmission:
    """Emissions of one category (8.2.2) in the period."""

    category: Category
    """The category."""
    direct_kind: DirectKind | None
    """Which of the four direct kinds; null for every category but DIRECT."""
    own_t: Decimal
    """From the organisation's own sources, tCO2e."""
    consolidated_t: Decimal
    """From all it consolidates by the approach of the run, tCO2e."""
    counted: bool
    """Whether the category lies within the accounting boundary; if not it is in no total."""

    @classmethod
    def of(cls, record: determination.CategoryResult) -> CategoryEmission:
        return build(cls, record)


@object_type
class HeldAssets:
    """Carbon assets of one class held on the last day of the period."""

    asset_class: AssetClass
    """The class."""
    own_t: Decimal
    """In the organisation's own accounts, tonnes."""
    consolidated_t: Decimal
    """In the accounts of all it consolidates, weighed like emissions, tonnes."""

    @classmethod
    def of(cls, record: determination.HeldResult) -> HeldAssets:
        return build(cls, record)


@object_type
class WaterfallStep:
    """One class of assets in the order of 8.4.2, and what remains to be offset after it."""

    asset_class: AssetClass
    """The class."""
    used_t: Decimal
    """Retired for the period and counting, tonnes."""
    covers_t: Decimal
    """How much of that offsets emissions not yet covered, tonnes."""
    remaining_t: Decimal
    """Emissions still uncovered after this class, tCO2e."""

    @classmethod
    def of(cls, record: verdicts.WaterfallStep) -> WaterfallStep:
        return build(cls, record)


@object_type
class NeutralityDetermination:
    """Whether emissions do not exceed the assets used to offset them (8.4.1), and the way to the answer."""

    verdict: NeutralityVerdict
    """The finding."""
    total_t: Decimal
    """Emissions within the boundary, tCO2e."""
    counted_t: Decimal
    """Retired units that count, tonnes."""
    gap_t: Decimal
    """Emissions that no unit offsets, tCO2e; zero when neutral."""
    surplus_t: Decimal
    """Units beyond the emissions, tonnes."""
    waterfall: list[WaterfallStep]
    """Class by class in the order of 8.4.2."""

    @classmethod
    def of(cls, record: verdicts.Neutrality) -> NeutralityDetermination:
        return build(cls, record, waterfall=[WaterfallStep.of(step) for step in record.waterfall])


@object_type
class ComplianceDetermination:
    """Whether at least the obligations that fall due in the period were surrendered (履约)."""

    verdict: ComplianceVerdict
    """The finding."""
    obligation_t: Decimal
    """What had to be surrendered, tonnes."""
    surrendered_t: Decimal
    """What was, tonnes."""
    shortfall_t: Decimal
    """What is missing, tonnes."""

    @classmethod
    def of(cls, record: verdicts.Compliance) -> ComplianceDetermination:
        return build(cls, record)


@object_type
class DeterminationRemark:
    """What a reader of a verdict should know though it does not change it."""

    kind: RemarkKind
    """The remark."""
    used: AssetClass | None
    """The class that was used, where the remark is about the order of classes."""
    passed_over: AssetClass | None
    """The preferred class of which nothing was used."""
    count: int | None
    """How many organisations the remark is about, where it is about organisations."""

    @classmethod
    def of(cls, record: verdicts.Remark) -> DeterminationRemark:
        return build(cls, record)
