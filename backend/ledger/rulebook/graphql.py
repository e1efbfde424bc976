"""GraphQL of the rulebook: markets, rules in force, headroom of offsets, remarks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.kit.errors import Locale
from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, object_type
from backend.ledger.domain.refusals import Refusal
from backend.ledger.graphql_enums import AssetClass
from backend.ledger.rulebook import domain
from backend.ledger.rulebook.domain import Base, DueEvent, Level, RuleKind, RuleState, Sector
from backend.ledger.rulebook.judging import Headroom
from backend.ledger.rulebook.service import RuleService
from tenants.access import Permission
from tenants.context import Info, SignedIn, requires

enum_type(RuleKind, name="MarketRuleKind")
enum_type(Base, name="OffsetBase")
enum_type(DueEvent)
enum_type(Level, name="RuleLevel")
enum_type(RuleState)
enum_type(Sector, name="AllocationSector")

OfMarket = Annotated[str | None, strawberry.argument(description="Code of a market, as `markets` lists them.")]


@object_type
class TransferRemark:
    """A rule that recommends otherwise than was done; recorded, not refused."""

    code: str
    """Code of the rule's message, from the published list."""
    rule: str
    """Code of the rule in the rulebook; empty where it is that the rulebook has none."""
    source: str
    """Where the rule is written; empty likewise."""
    message: str
    """What it says, in the language of Accept-Language."""

    @classmethod
    def of(cls, remark: Refusal, locale: Locale) -> TransferRemark:
        said = remark.error().message(locale)
        rule, source = str(remark.params.get("rule", "")), str(remark.params.get("source", ""))
        return cls(code=remark.code, rule=rule, source=source, message=said)


@object_type
class MarketRule:
    """A rule of a market, as data: since when, for which years, where it is written and how far that is verified."""

    code: str
    """Code."""
    market: str
    """Code of the market."""
    kind: RuleKind
    """What it is about."""
    must: bool
    """Whether a breach is refused; otherwise it is remarked and recorded. A surrender after a DEADLINE is remarked all
    the same: who is late still owes."""
    state: RuleState
    """How it stands on the day that was asked about: today, unless the query names one."""
    sectors: list[Sector]
    """Sectors it is for; empty: all."""
    from_year: int
    """First compliance year it is for."""
    to_year: int
    """Last compliance year it is for."""
    in_force_from: date
    """Day since which it binds."""
    in_force_to: date | None
    """Last day on which it binds; null while there is none."""
    level: Level
    """How far the text can be trusted."""
    source: str
    """Where it is written."""
    text_zh: str
    """What it says, in Chinese."""
    text_en: str
    """What it says, in English."""
    share: Decimal | None
    """A share, as a fraction."""
    base: Base | None
    """What the share is a share of; null unless the rule limits offsets."""
    day: date | None
    """The day it names: a deadline, or the first day of what is eligible."""
    event: DueEvent | None
    """What falls due; null unless it is a deadline."""
    first_vintage: int | None
    """First vintage it allows."""
    exceptions: bool
    """Whether a recorded exception makes it only warn for one entity and year."""

    @classmethod
    def of(cls, rule: domain.Rule, on: date) -> MarketRule:
        base = rule.base if rule.kind is RuleKind.OFFSET_LIMIT else None
        first, last = rule.years
        return build(
            cls, rule, from_year=first, to_year=last, base=base, state=rule.state(on), sectors=list(rule.sectors)
        )


@object_type
class MarketInstrument:
    """What a market accepts, by scheme."""

    scheme: str
    """Scheme, as lots name it."""
    asset_class: AssetClass
    """Class of its units."""


@object_type
class CarbonMarket:
    """A carbon market (8.3.1.3, note 1)."""

    code: str
    """Code."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    instruments: list[MarketInstrument]
    """What serves there."""
    remark_zh: str
    """What is to be said about it, in Chinese; may be empty."""
    remark_en: str
    """The same in English."""

    @classmethod
    def of(cls, market: domain.Market) -> CarbonMarket:
        kinds = [MarketInstrument(scheme=s, asset_class=c) for s, c in market.instruments.items()]
        return build(cls, market, instruments=kinds)


@object_type
class OffsetLimit:
    """A limit on offsets and what is left of it: tonnes, rounded down."""

    rule: MarketRule
    """The rule."""
    base: Decimal | None
    """Tonnes the share is taken of; null while nothing is recorded as due."""
    limit: Tonnes | None
    """Offsets that may serve."""
    used: Tonnes
    """Offsets surrendered so far, net of reversals."""
    pending: Tonnes
    """Offsets set aside to be surrendered: reservations and offset surrenders under way. They hold their part."""
    headroom: Tonnes | None
    """What is left beside both; null while the limit is not known."""

    @classmethod
    def of(cls, room: Headroom, on: date) -> OffsetLimit:
        limit, left = room.limit_t, room.left_t
        return cls(
            rule=MarketRule.of(room.rule, on),
            base=room.base_t,
            limit=None if limit is None else Tonnes(limit),
            used=Tonnes(room.used_t),
            pending=Tonnes(room.pending_t),
            headroom=None if left is None else Tonnes(left),
        )


@object_type
class OffsetHeadroom:
    """How many more offsets an organisation may surrender for a year."""

    market: str
    """Market whose rules hold: of the obligation, or the first of the rulebook."""
    year: int
    """Compliance year."""
    limits: list[OffsetLimit]
    """Every limit in force; none means that no rule limits offsets."""


@object_type
class Queries:
    """Root queries of the rulebook."""

    @query(SignedIn("the rulebook is the same for every tenant"))
    async def markets(self, info: Info) -> list[CarbonMarket]:
        """The carbon markets the rulebook knows."""
        return [CarbonMarket.of(m) for m in info.context.use(RuleService).markets()]

    @query(SignedIn("the rulebook is the same for every tenant"))
    async def rules(
        self,
        info: Info,
        market: OfMarket = None,
        scheme: Annotated[
            str | None, strawberry.argument(description="Only of markets where this scheme's units serve.")
        ] = None,
        on: Annotated[date | None, strawberry.argument(description="Day; today when not given.")] = None,
        states: Annotated[
            list[RuleState] | None,
            strawberry.argument(description="Rules that stand so on the day; only those in force when not given."),
        ] = None,
    ) -> list[MarketRule]:
        """Rules of one market or of all, those in force on a day unless others are asked for by `states`. Rules whose
        last day is over and deadlines that have passed have both EXPIRED.
        """
        day, rules = info.context.use(RuleService).rules(market, on, scheme, states or ())
        return [MarketRule.of(r, day) for r in rules]

    @query(requires(Permission.ASSET_READ))
    async def offset_headroom(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        year: Annotated[int, strawberry.argument(description="Compliance year.")],
        market: OfMarket = None,
    ) -> OffsetHeadroom:
        """How many more offsets an organisation may surrender for a year (8.3.2, note 5)."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(RuleService).headroom(info.context.principal, key, year, market)
        limits = [OffsetLimit.of(room, found.on) for room in found.rooms]
        return OffsetHeadroom(market=found.market, year=found.year, limits=limits)
