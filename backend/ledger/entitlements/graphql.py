"""GraphQL of entitlements: what a plan allocates to an entity, every figure with its rule and source."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import strawberry

from backend.kit.graphql.fields import query
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.ledger.entitlements import domain, reckoning
from backend.ledger.entitlements.domain import PowerUnitKind
from backend.ledger.entitlements.reckoning import FigureCode
from backend.ledger.entitlements.service import EntitlementService
from backend.ledger.rulebook.domain import Method, Sector
from backend.ledger.rulebook.graphql import MarketRule
from tenants.context import Info, SignedIn

enum_type(PowerUnitKind)
enum_type(FigureCode, name="AllowanceFigureCode")
enum_type(Method, name="AllocationMethod")


@input_type
class PowerUnitInput:
    """A unit of a power company and its year."""

    name: str
    """What the figures are to call it."""
    kind: PowerUnitKind
    """Kind, which its benchmarks follow from."""
    electricity: Decimal
    """MWh supplied."""
    heat: Decimal = Decimal(0)
    """GJ supplied."""
    load_factor: Decimal | None = None
    """Load factor, as a fraction; must be given for conventional coal, whose low load is made up for."""
    verified: Decimal | None = None
    """Verified emissions in tonnes: a gas unit is topped up to them."""

    def command(self) -> domain.PowerUnit:
        return build(
            domain.PowerUnit, self, electricity_mwh=self.electricity, heat_gj=self.heat, verified_t=self.verified
        )


@input_type
class AllocationLineInput:
    """A production line of steel, cement or aluminium and its year."""

    name: str
    """What the figures are to call it."""
    verified: Decimal
    """Verified emissions in tonnes."""
    intensity: Decimal | None = None
    """Its emissions per product; needed where the intensity counts."""
    balance_point: Decimal | None = None
    """The balance point of its kind, in the same measure (盈亏平衡点)."""
    special: bool = False
    """Whether it gets its verified emissions: white clinker, new or closed in the year, and the like."""

    def command(self) -> reckoning.Line:
        return build(reckoning.Line, self, verified_t=self.verified)


@input_type
class AllowanceEntitlementInput:
    """Whose entitlement, and the figures it comes from."""

    market: str = "CN"
    """Market."""
    sector: Sector
    """Sector."""
    year: int
    """Compliance year; one that no plan in force is held for is refused, and told which years are held."""
    on: date | None = None
    """The day whose rules hold; today when not given."""
    power_units: list[PowerUnitInput] = strawberry.field(default_factory=list)
    """Units of a power company, 1 to 500."""
    lines: list[AllocationLineInput] = strawberry.field(default_factory=list)
    """Production lines of the other sectors, 1 to 500."""
    verified: Decimal | None = None
    """Verified emissions of a power company in tonnes: where the plan caps its shortfall, it is topped up."""
    previous_verified: Decimal | None = None
    """Verified emissions of the year before: gives the pre-allocation."""
    deduction_owed: Tonnes | None = None
    """What is owed from earlier years: gives what is taken off."""
    due: Tonnes | None = None
    """What is due of an entity at risk: gives what is kept back."""

    def command(self) -> reckoning.Asked:
        return reckoning.Asked(
            self.market,
            self.sector,
            self.year,
            tuple(unit.command() for unit in self.power_units),
            tuple(line.command() for line in self.lines),
            self.verified,
            self.previous_verified,
            self.deduction_owed,
            self.due,
        )


@object_type
class AllowanceFigure:
    """A figure on the way to an entitlement, and how it came about."""

    code: FigureCode
    """What it is."""
    part: str
    """The unit or line it is of; empty for the entity."""
    value: Decimal
    """The figure."""
    measure: str
    """Its measure: t, tCO2/MWh, tCO2/GJ, or 1."""
    formula: str
    """How it was found; empty for what was looked up. E, E': verified emissions of the year, of the year before."""
    rule: str
    """Code of the rule in the rulebook, or name of the value in the factor library."""
    source: str
    """Where that is written."""


@object_type
class AllowanceEntitlement:
    """What an entity is entitled to for a year by the plan of its sector (配额核定测算)."""

    market: str
    """Market."""
    sector: Sector
    """Sector."""
    year: int
    """Compliance year."""
    on: date
    """The day whose rules were taken."""
    method: Method
    """How it was found."""
    allowance: Tonnes
    """The entitlement, before anything is taken off or kept back."""
    pre_allocation: Tonnes | None
    """What is allocated in advance; null when the emissions of the year before were not given."""
    figures: list[AllowanceFigure]
    """Every figure on the way, in order."""
    rules: list[MarketRule]
    """The rules that were taken; their levels say how far each can be trusted."""

    @classmethod
    def of(cls, found: reckoning.Entitlement) -> AllowanceEntitlement:
        assert found.plan.allocation.method is not None, "an allocation has its method"
        return cls(
            market=found.plan.allocation.market,
            sector=found.asked.sector,
            year=found.asked.year,
            on=found.plan.on,
            method=found.plan.allocation.method,
            allowance=Tonnes(found.final_t),
            pre_allocation=None if found.pre_t is None else Tonnes(found.pre_t),
            figures=[build(AllowanceFigure, figure) for figure in found.figures],
            rules=[MarketRule.of(r, found.plan.on) for r in found.plan.rules],
        )


@object_type
class Queries:
    """Root queries about entitlements."""

    @query(SignedIn("plans are the same for every tenant, and the figures are the caller's own"))
    async def allowance_entitlement(self, info: Info, input: AllowanceEntitlementInput) -> AllowanceEntitlement:
        """What a plan of the market allocates to an entity, reckoned from its figures; nothing is recorded."""
        service, principal = info.context.use(EntitlementService), info.context.principal
        return AllowanceEntitlement.of(await service.reckon(principal, input.command(), input.on))
