"""Boundary settings (4.3, 8.2.1, 8.2.2): what is accounted, how a group is consolidated, and where each value is from.

A setting made on a node holds for all that lies below, until a node below sets the same key: the nearest wins. What
nobody sets has a default. A value never comes alone: it says which node and which record it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, cast
from uuid import UUID

from backend.kit.errors import rule
from backend.kit.text import clean
from tenants.domain.organisations import wrong
from tenants.domain.tree import REASON_NEEDED

FACTOR_SET_IS_ADOPTED = rule(
    "FACTOR_SET_IS_ADOPTED",
    en="A factor set is adopted by adoptFactorSet, which shows what would change and recalculates with your reason.",
    zh="因子集须通过 adoptFactorSet 采用：先显示将发生的变化，再按说明的原因重新计算。",
)


class BoundaryKey(StrEnum):
    """What can be set for an organisation and all below it."""

    CONSOLIDATION_APPROACH = "CONSOLIDATION_APPROACH"
    """How the parts of a group are put together (8.2.1)."""
    CATEGORIES = "CATEGORIES"
    """Which of the six categories are accounted (8.2.2.1 to 8.2.2.6)."""
    GASES = "GASES"
    """Which greenhouse gases are accounted."""
    GWP_SET = "GWP_SET"
    """Which assessment report the warming potentials are from."""
    BASE_YEAR = "BASE_YEAR"
    """The year later ones are compared with; needs an explanation (8.2.2.7)."""
    FACTOR_SET = "FACTOR_SET"
    """Which set of emission factors is preferred."""
    MATERIALITY = "MATERIALITY"
    """What may be left out or wrong, as a fraction of the total."""
    ALLOWANCE_POLICY = "ALLOWANCE_POLICY"
    """Which allowances may offset emissions (8.4.1, 8.4.2)."""
    EVIDENCE_DOCUMENTS = "EVIDENCE_DOCUMENTS"
    """For which kinds of records a stored document is demanded before they are submitted (8.2.5.6)."""


class ConsolidationApproach(StrEnum):
    """How the emissions and assets of a group's parts are put together."""

    OPERATIONAL_CONTROL = "OPERATIONAL_CONTROL"
    """All of what the consolidating organisation operates, nothing of the rest (运营控制)."""
    FINANCIAL_CONTROL = "FINANCIAL_CONTROL"
    """All of what it controls financially, nothing of the rest (财务控制)."""
    EQUITY_SHARE = "EQUITY_SHARE"
    """Of each part the share it owns (股权比例)."""


class BoundaryCategory(StrEnum):
    """The six categories of emissions."""

    DIRECT = "DIRECT"
    """Direct emissions (8.2.2.1). 直接排放"""
    IMPORTED_ENERGY = "IMPORTED_ENERGY"
    """Indirect emissions from imported energy (8.2.2.2). 外购能源"""
    TRANSPORT = "TRANSPORT"
    """Indirect emissions from transport (8.2.2.3). 运输"""
    PRODUCTS_USED = "PRODUCTS_USED"
    """Indirect emissions from products the organisation uses (8.2.2.4). 使用的产品"""
    USE_OF_OWN_PRODUCTS = "USE_OF_OWN_PRODUCTS"
    """Indirect emissions from the use of the organisation's products (8.2.2.5). 产品使用"""
    OTHER = "OTHER"
    """Other indirect emissions (8.2.2.6). 其他"""


class BoundaryGas(StrEnum):
    """The greenhouse gases of GB/T 32150."""

    CO2 = "CO2"
    """Carbon dioxide. 二氧化碳"""
    CH4 = "CH4"
    """Methane. 甲烷"""
    N2O = "N2O"
    """Nitrous oxide. 氧化亚氮"""
    HFCS = "HFCS"
    """Hydrofluorocarbons. 氢氟碳化物"""
    PFCS = "PFCS"
    """Perfluorocarbons. 全氟碳化物"""
    SF6 = "SF6"
    """Sulphur hexafluoride. 六氟化硫"""
    NF3 = "NF3"
    """Nitrogen trifluoride. 三氟化氮"""


class GwpSet(StrEnum):
    """An assessment report of the IPCC whose hundred-year warming potentials are used."""

    SAR = "SAR"
    """The second, 1995."""
    AR4 = "AR4"
    """The fourth, 2007."""
    AR5 = "AR5"
    """The fifth, 2013."""
    AR6 = "AR6"
    """The sixth, 2021."""


class AllowancePolicy(StrEnum):
    """Which allowances may offset emissions. The standard names both kinds as assets (6.2.3) but asks for bought ones
    when it comes to offsetting (8.4.2, 9.1.1); a group that reads it otherwise says so here, and statements show it.
    """

    BOUGHT_ONLY = "BOUGHT_ONLY"
    """Only allowances that were bought."""
    ALL = "ALL"
    """Bought allowances and those the government allocated."""


class EvidenceKind(StrEnum):
    """A kind of record that a boundary may demand a stored document for; a reference in words is not enough then."""

    ENTRY = "ENTRY"
    """Quantities that were entered. 录入的活动数据"""
    IMPORT = "IMPORT"
    """Quantities that were read from a file. 导入的活动数据"""
    STOCK = "STOCK"
    """Months of the ledger of purchases, stock and sales. 购产销存台账"""
    METER = "METER"
    """Settled months of meters. 计量表结算"""
    MONITOR = "MONITOR"
    """Months of measured stacks. 烟气监测"""
    DECLARED = "DECLARED"
    """Declared results. 申报结果"""


BoundaryValue = (
    ConsolidationApproach
    | tuple[BoundaryCategory, ...]
    | tuple[BoundaryGas, ...]
    | tuple[EvidenceKind, ...]
    | GwpSet
    | int
    | str
    | Decimal
    | AllowancePolicy
)
Written = str | int | tuple[str, ...]
"""A value as JSON keeps it: text, a year, or a list of texts; decimals as text."""


@dataclass(frozen=True, slots=True)
class BoundarySetting:
    """A value set at an organisation for a time [valid_from, valid_until), as it was recorded."""

    id: UUID
    organisation_id: UUID
    key: BoundaryKey
    written: Written
    valid_from: date
    valid_until: date | None
    reason: str
    recorded_at: datetime
    recorded_by: UUID | None
    superseded_at: datetime | None = None

    @property
    def value(self) -> BoundaryValue:
        return read(self.key, self.written)


@dataclass(frozen=True, slots=True)
class NewSetting:
    """A value to record at an organisation for [valid_from, valid_until)."""

    organisation_id: UUID
    key: BoundaryKey
    written: Written
    valid_from: date
    valid_until: date | None
    reason: str
    recorded_by: UUID | None


def rest_of(old: BoundarySetting, since: date, until: date | None) -> list[NewSetting]:
    """What is left of a record when the days [since, until) are taken out of it."""
    periods: list[tuple[date, date | None]] = []
    if old.valid_from < since:
        periods.append((old.valid_from, since))
    if until is not None and (old.valid_until is None or old.valid_until > until):
        periods.append((until, old.valid_until))
    return [
        NewSetting(old.organisation_id, old.key, old.written, a, b, old.reason, old.recorded_by) for a, b in periods
    ]


@dataclass(frozen=True, slots=True)
class Spell:
    """Days [since, until) in which a value set `depth` levels above reaches an organisation."""

    depth: int
    value: BoundaryValue
    since: date
    until: date | None

    def holds_on(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day < self.until)


class BoundaryOrigin(StrEnum):
    """Where an effective value comes from."""

    OWN = "OWN"
    """Set at the organisation itself."""
    INHERITED = "INHERITED"
    """Set at an organisation above."""
    DEFAULT = "DEFAULT"
    """Set nowhere; the default of the service."""


@dataclass(frozen=True, slots=True)
class BoundaryEntry:
    """One effective value: where it comes from, and the record that says so (None for a default)."""

    key: BoundaryKey
    value: BoundaryValue | None
    origin: BoundaryOrigin
    setting: BoundarySetting | None = None


@dataclass(frozen=True, slots=True)
class EffectiveBoundary:
    """All that holds for an organisation on a day."""

    organisation_id: UUID
    as_of: date
    entries: Mapping[BoundaryKey, BoundaryEntry]

    def value(self, key: BoundaryKey) -> BoundaryValue | None:
        return self.entries[key].value

    @property
    def approach(self) -> ConsolidationApproach:
        return cast("ConsolidationApproach", self.value(BoundaryKey.CONSOLIDATION_APPROACH))

    @property
    def categories(self) -> tuple[BoundaryCategory, ...]:
        return cast("tuple[BoundaryCategory, ...]", self.value(BoundaryKey.CATEGORIES))

    @property
    def gases(self) -> tuple[BoundaryGas, ...]:
        return cast("tuple[BoundaryGas, ...]", self.value(BoundaryKey.GASES))

    @property
    def gwp_set(self) -> GwpSet:
        return cast("GwpSet", self.value(BoundaryKey.GWP_SET))

    @property
    def base_year(self) -> int | None:
        return cast("int | None", self.value(BoundaryKey.BASE_YEAR))

    @property
    def factor_set(self) -> str | None:
        return cast("str | None", self.value(BoundaryKey.FACTOR_SET))

    @property
    def materiality(self) -> Decimal:
        return cast("Decimal", self.value(BoundaryKey.MATERIALITY))

    @property
    def allowance_policy(self) -> AllowancePolicy:
        return cast("AllowancePolicy", self.value(BoundaryKey.ALLOWANCE_POLICY))

    @property
    def evidence_documents(self) -> tuple[EvidenceKind, ...]:
        return cast("tuple[EvidenceKind, ...]", self.value(BoundaryKey.EVIDENCE_DOCUMENTS))


DEFAULTS: Final[Mapping[BoundaryKey, BoundaryValue | None]] = {
    BoundaryKey.CONSOLIDATION_APPROACH: ConsolidationApproach.OPERATIONAL_CONTROL,
    BoundaryKey.CATEGORIES: tuple(BoundaryCategory),
    BoundaryKey.GASES: tuple(BoundaryGas),
    BoundaryKey.GWP_SET: GwpSet.AR5,
    BoundaryKey.BASE_YEAR: None,
    BoundaryKey.FACTOR_SET: None,
    BoundaryKey.MATERIALITY: Decimal("0.05"),
    BoundaryKey.ALLOWANCE_POLICY: AllowancePolicy.BOUGHT_ONLY,
    BoundaryKey.EVIDENCE_DOCUMENTS: (),
}


def effective(organisation_id: UUID, as_of: date, nearest: Mapping[BoundaryKey, BoundarySetting]) -> EffectiveBoundary:
    """What holds, given for each key the nearest setting on the way up (absent where nobody sets it)."""
    entries: dict[BoundaryKey, BoundaryEntry] = {}
    for key, default in DEFAULTS.items():
        setting = nearest.get(key)
        if setting is None:
            entries[key] = BoundaryEntry(key, default, BoundaryOrigin.DEFAULT)
        else:
            own = setting.organisation_id == organisation_id
            origin = BoundaryOrigin.OWN if own else BoundaryOrigin.INHERITED
            entries[key] = BoundaryEntry(key, setting.value, origin, setting)
    return EffectiveBoundary(organisation_id, as_of, entries)


def checked_value(key: BoundaryKey, value: BoundaryValue) -> BoundaryValue:
    """The value in canonical form: lists without repetition in the order of the standard. Errors: INVALID_INPUT."""
    path = ("setting", key.value)
    if isinstance(value, tuple):
        if not value and key is BoundaryKey.EVIDENCE_DOCUMENTS:
            return ()
        if not value:
            raise wrong(f"{key} names at least one", f"{key} 至少包含一项", *path)
        return cast("BoundaryValue", tuple(x for x in type(value[0]) if x in value))
    if key is BoundaryKey.BASE_YEAR and not (isinstance(value, int) and 1990 <= value <= 2100):
        raise wrong(
            f"a base year lies between 1990 and 2100; got {value}", f"基准年须在 1990 至 2100 之间，收到 {value}", *path
        )
    if key is BoundaryKey.MATERIALITY and not (isinstance(value, Decimal) and 0 <= value <= 1):
        raise wrong(
            f"materiality is a fraction of the total from 0 to 1, such as 0.05; got {value}",
            f"重要性门槛为占总量的 0 至 1 之间的小数，例如 0.05；收到 {value}",
            *path,
        )
    if key is BoundaryKey.FACTOR_SET:
        value = clean(str(value))
        if not 1 <= len(value) <= 64:
            raise wrong("a factor set is named by 1 to 64 characters", "因子集名称须为 1 至 64 个字符", *path)
    return value


def check_reason(key: BoundaryKey, reason: str, *, overrides: bool, replaces: bool) -> None:
    """A base year is explained (8.2.2.7), as is what departs from above or before (8.2.2.8). Errors: REASON_NEEDED."""
    if reason:
        return
    if key is BoundaryKey.BASE_YEAR:
        what, what_zh, source = "a base year", "基准年", "8.2.2.7"
    elif overrides:
        what, what_zh, source = "an override of what is set above", "覆盖上级设置", "8.2.2.8"
    elif replaces:
        what, what_zh, source = "a change of the boundary", "边界变更", "8.2.2.8"
    else:
        return
    raise REASON_NEEDED(path=("reason",), what=what, what_zh=what_zh, source=source)


def written(value: BoundaryValue) -> Written:
    """As JSON keeps it."""
    if isinstance(value, tuple):
        return tuple(x.value for x in value)
    return value if isinstance(value, int) else str(value)


def read(key: BoundaryKey, value: Written) -> BoundaryValue:
    """What `written` wrote."""
    return cast("BoundaryValue", _READERS[key](value))


_READERS: Final[Mapping[BoundaryKey, Callable[[Any], Any]]] = {
    BoundaryKey.CONSOLIDATION_APPROACH: ConsolidationApproach,
    BoundaryKey.CATEGORIES: lambda names: tuple(BoundaryCategory(x) for x in names),
    BoundaryKey.GASES: lambda names: tuple(BoundaryGas(x) for x in names),
    BoundaryKey.GWP_SET: GwpSet,
    BoundaryKey.BASE_YEAR: int,
    BoundaryKey.FACTOR_SET: str,
    BoundaryKey.MATERIALITY: Decimal,
    BoundaryKey.ALLOWANCE_POLICY: AllowancePolicy,
    BoundaryKey.EVIDENCE_DOCUMENTS: lambda names: tuple(EvidenceKind(x) for x in names),
}
