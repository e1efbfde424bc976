"""The rules of the carbon markets as dated data: what they say, since when, and where it is written.

The files lie in `markets/`; nothing in the code knows a percentage, a vintage or a deadline.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from backend.kit.words import members_in_chinese
from backend.ledger.domain.lots import AssetClass
from backend.ledger.rulebook.codes import UNKNOWN_MARKET

FOLDER: Final = Path(__file__).parent / "markets"


class RuleKind(StrEnum):
    """What a rule of a market is about."""

    VINTAGE = "VINTAGE"
    """Which vintages serve for a year; no borrowing (可用年份)."""
    OFFSET_LIMIT = "OFFSET_LIMIT"
    """How much of an obligation offsets may meet (抵销比例)."""
    OFFSET_LOCAL = "OFFSET_LOCAL"
    """How much of the offsets must come from the region (本地项目比例)."""
    REDUCTION_AFTER = "REDUCTION_AFTER"
    """Since when a reduction must have been made (减排量产生时间)."""
    REGISTERED_AFTER = "REGISTERED_AFTER"
    """Since when it must have been registered (减排量登记时间)."""
    CLAIM_WITHIN = "CLAIM_WITHIN"
    """How many years back a reduction may be claimed (申请时限)."""
    OUTSIDE_SCHEME = "OUTSIDE_SCHEME"
    """Projects lie outside allowance schemes (不得来自配额管理范围)."""
    CARRY_OVER = "CARRY_OVER"
    """How much of old vintages can be carried over, and until when (结转)."""
    SHORTFALL_CAP = "SHORTFALL_CAP"
    """How far an allocation may fall short of the emissions (缺口上限)."""
    PRE_ALLOCATION = "PRE_ALLOCATION"
    """Which share is allocated in advance (预分配)."""
    DEADLINE = "DEADLINE"
    """By when something of a year is due (期限)."""
    PRICE_LIMIT = "PRICE_LIMIT"
    """How far a price may move, and the size of an order (涨跌幅与申报量)."""
    NEUTRALITY_ORDER = "NEUTRALITY_ORDER"
    """Which units come first when emissions are neutralised (抵销顺序, 8.4.2)."""
    ALLOCATION_YEARS = "ALLOCATION_YEARS"
    """For which years allowances are allocated (配额年度)."""
    ALLOCATION = "ALLOCATION"
    """How the allowances of a sector are found (配额核定方法)."""
    DEDUCTION = "DEDUCTION"
    """How what is owed from earlier years is taken off an allocation (配额扣减)."""
    RETENTION = "RETENTION"
    """What is kept back of the allocation of an entity at risk (差异化发放)."""
    SURRENDER = "SURRENDER"
    """What a surrender is for (清缴与履约义务)."""
    EVIDENCE = "EVIDENCE"
    """That issues and uses have their papers (证据)."""
    SCHEME = "SCHEME"
    """That what is surrendered was issued by a market that is known (机制)."""
    REVERSAL = "REVERSAL"
    """That what is taken back says why (冲正)."""
    YEAR = "YEAR"
    """That what is used serves a year that has begun (所属年度)."""


class Base(StrEnum):
    """What a share is a share of."""

    DUE = "DUE"
    """The allowances due for the year (应清缴配额)."""
    ALLOCATED = "ALLOCATED"
    """The allowances allocated for the year (年度配额)."""
    ANNUAL = "ANNUAL"
    """The emissions of the year (年度排放量)."""


class DueEvent(StrEnum):
    """What falls due."""

    REPORT = "REPORT"
    """The emission report (排放报告)."""
    PRE_ALLOCATION = "PRE_ALLOCATION"
    """Allowances allocated in advance (预分配)."""
    FINAL_ALLOCATION = "FINAL_ALLOCATION"
    """The final allocation (最终核定)."""
    SURRENDER = "SURRENDER"
    """The surrender (清缴)."""
    PLAN = "PLAN"
    """The plan of the next year (数据质量控制计划)."""
    CARRY_OVER = "CARRY_OVER"
    """The application to carry over (结转申请)."""


class Sector(StrEnum):
    """A sector whose entities are allocated to by a plan of its own (行业)."""

    POWER = "POWER"
    """Power (发电)."""
    STEEL = "STEEL"
    """Iron and steel (钢铁)."""
    CEMENT = "CEMENT"
    """Cement (水泥)."""
    ALUMINIUM = "ALUMINIUM"
    """Aluminium smelting (铝冶炼)."""


class Method(StrEnum):
    """How an allocation is found."""

    BENCHMARK = "BENCHMARK"
    """Output by the benchmark of its kind (基准线法)."""
    VERIFIED = "VERIFIED"
    """The verified emissions themselves (按经核查排放量)."""
    INTENSITY = "INTENSITY"
    """Verified emissions, more or less by how the intensity stands to the balance point (盈亏平衡点)."""


members_in_chinese(Sector, {"POWER": "发电", "STEEL": "钢铁", "CEMENT": "水泥", "ALUMINIUM": "铝冶炼"})
members_in_chinese(Method, {"BENCHMARK": "基准线法", "VERIFIED": "经核查排放量", "INTENSITY": "盈亏平衡点"})
members_in_chinese(RuleKind, {
    "VINTAGE": "可用年份", "OFFSET_LIMIT": "抵销比例", "OFFSET_LOCAL": "本地项目比例",
    "REDUCTION_AFTER": "减排量产生时间", "REGISTERED_AFTER": "减排量登记时间", "CLAIM_WITHIN": "申请时限",
    "OUTSIDE_SCHEME": "不得来自配额管理范围", "CARRY_OVER": "结转", "SHORTFALL_CAP": "缺口上限",
    "PRE_ALLOCATION": "预分配", "DEADLINE": "期限", "PRICE_LIMIT": "涨跌幅与申报量", "NEUTRALITY_ORDER": "抵销顺序",
    "ALLOCATION_YEARS": "配额年度", "ALLOCATION": "配额核定方法", "DEDUCTION": "配额扣减", "RETENTION": "差异化发放",
    "SURRENDER": "清缴与履约义务", "EVIDENCE": "证据", "REVERSAL": "冲正", "SCHEME": "机制", "YEAR": "所属年度",
})  # fmt: skip


class RuleState(StrEnum):
    """Where a day lies to the days of a rule."""

    UPCOMING = "UPCOMING"
    """It binds from a later day on (尚未生效)."""
    IN_FORCE = "IN_FORCE"
    """It binds; the last day of a deadline or of an application is one of its days (有效)."""
    EXPIRED = "EXPIRED"
    """It no longer binds, or the day it sets is over (已失效或已到期)."""


class Level(StrEnum):
    """How far a rule's text can be trusted."""

    STANDARD = "STANDARD"
    """T/CIECCPA 061-2023 itself."""
    OFFICIAL_COPY = "OFFICIAL_COPY"
    """Read in a copy of the official text (官方文本副本)."""
    DRAFT = "DRAFT"
    """Read in a draft for comment (征求意见稿)."""
    SECONDARY = "SECONDARY"
    """From secondary material that transcribes it (二手资料)."""
    PAGE = "PAGE"
    """From a public web page (公开网页)."""
    MEMORY = "MEMORY"
    """General knowledge, not verified (未核实)."""
    HOUSE = "HOUSE"
    """No rule of a market: a check of this system (本系统检查)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `years` are the compliance years it is for (both included), `in_force_*` the days on which it binds
    (the last included). A rule that is no `must` warns. Shares are fractions, quantities tonnes.
    """

    code: str
    kind: RuleKind
    level: Level
    source: str
    text_zh: str
    text_en: str
    market: str = ""
    years: tuple[int, int] = (1990, 2100)
    in_force_from: date = date(1990, 1, 1)
    in_force_to: date | None = None
    must: bool = True
    share: Decimal | None = None
    base: Base = Base.DUE
    first_vintage: int | None = None
    last_vintage: int | None = None
    vintage_lag: int | None = None
    day: date | None = None
    event: DueEvent | None = None
    amount: int | None = None
    factor: Decimal | None = None
    window_from: date | None = None
    window_to: date | None = None
    cleared: tuple[int, ...] = ()
    mode: str | None = None
    least_t: int | None = None
    most_t: int | None = None
    sectors: tuple[Sector, ...] = ()
    """Whom it is for; empty: everybody."""
    method: Method | None = None
    library: str | None = None
    """The set of the factor library that holds its benchmarks."""
    figures: Mapping[str, Decimal] = field(default_factory=dict)
    """The numbers of its formula, by name."""
    exceptions: bool = False
    """Whether the market let entities go beyond it, so that a recorded exception makes it warn for one of them."""

    def binds(self, year: int, on: date) -> bool:
        """Whether it holds for a compliance year on a day."""
        return self.years[0] <= year <= self.years[1] and self.in_force(on)

    def in_force(self, on: date) -> bool:
        return self.in_force_from <= on and (self.in_force_to is None or on <= self.in_force_to)

    def concerns(self, sector: Sector) -> bool:
        return not self.sectors or sector in self.sectors

    def state(self, on: date) -> RuleState:
        """Where it stands on a day. A deadline whose day is over has expired; it goes on to say what came too late."""
        if on < self.in_force_from:
            return RuleState.UPCOMING
        over = self.kind is RuleKind.DEADLINE and self.day is not None and self.day < on
        return RuleState.EXPIRED if over or not self.in_force(on) else RuleState.IN_FORCE

    def __str__(self) -> str:
        return f"{self.code} ({self.source})"


@dataclass(frozen=True, slots=True)
class Market:
    """A market: its instruments by scheme and how each may be traded (any way where it says nothing), its rules, and
    what is to be said about it.
    """

    code: str
    name_zh: str
    name_en: str
    instruments: Mapping[str, AssetClass]
    modes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rule: tuple[Rule, ...] = ()
    remark_zh: str = ""
    remark_en: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    market: tuple[Market, ...]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All markets, in the order of their files."""

    markets: Mapping[str, Market]

    def rules(self, market: str | None = None, on: date | None = None, kind: RuleKind | None = None) -> Iterator[Rule]:
        """Rules of one market or of all, those in force on a day or all, of one kind or of all."""
        for found in self.markets.values():
            if market in {None, found.code}:
                yield from (r for r in found.rule if (on is None or r.in_force(on)) and kind in {None, r.kind})

    def binding(self, market: str, kind: RuleKind, year: int, on: date) -> tuple[Rule, ...]:
        found = self.markets.get(market)
        return tuple(r for r in found.rule if r.kind is kind and r.binds(year, on)) if found else ()

    def classes(self, scheme: str) -> tuple[AssetClass, ...]:
        """What a scheme issues; none when no market has it."""
        found = (m.instruments[scheme] for m in self.markets.values() if scheme in m.instruments)
        return tuple(dict.fromkeys(found))

    def market_of(self, scheme: str) -> str | None:
        """The market whose allowances (or, first come, whose offsets) a scheme issues."""
        homes = [m for m in self.markets.values() if scheme in m.instruments]
        own = [m for m in homes if m.instruments[scheme] is AssetClass.ALLOWANCE]
        return (own or homes)[0].code if homes else None


@functools.cache
def rulebook() -> Rulebook:
    """The rulebook of the house."""
    # The national market leads: units that serve in several markets are its own unless an obligation says otherwise.
    files = (FOLDER / name for name in ("national.toml", "regional.toml", "california.toml", "europe.toml"))
    read = TypeAdapter(_File)
    made = [m for file in files for m in read.validate_python(tomllib.loads(file.read_text())).market]
    return Rulebook({m.code: _owned(m) for m in made})


def _owned(market: Market) -> Market:
    return replace(market, rule=tuple(replace(rule, market=market.code) for rule in market.rule))


def known_market(code: str, *path: str) -> Market:
    """Errors: UNKNOWN_MARKET."""
    found = rulebook().markets.get(code)
    if found is None:
        raise UNKNOWN_MARKET(path=path, market=code[:60], known=", ".join(rulebook().markets))
    return found
