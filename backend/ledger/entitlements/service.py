"""What an entity is entitled to by the plan of its sector and year. Nothing is written: allocations are recorded."""

from __future__ import annotations

from datetime import date

from backend.accounting.domain.factors import FactorFilter, Parameter
from backend.accounting.service.factors import FactorService
from backend.kit.pages import PageRequest
from backend.kit.text import clean
from backend.kit.toolbox import Toolbox
from backend.ledger.entitlements.domain import NO_ALLOCATION_DATA
from backend.ledger.entitlements.reckoning import Asked, Benchmark, Entitlement, Plan, check, known, reckoned
from backend.ledger.rulebook.domain import Rule, RuleKind, known_market, rulebook
from tenants.access import Principal


class EntitlementService:
    """Reckons entitlements from the rulebook and the factor library."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def reckon(self, principal: Principal, asked: Asked, on: date | None) -> Entitlement:
        """By the rules in force on a day, today when none is given.

        Errors: UNKNOWN_MARKET, NO_ALLOCATION_DATA, WRONG_PARTS, MISSING_FIGURE.
        """
        market = known_market(clean(asked.market), "market").code
        day = on or self.toolbox.clock.today()

        def rule_of(kind: RuleKind, *, needed: bool = True) -> Rule | None:
            found = [r for r in rulebook().binding(market, kind, asked.year, day) if r.concerns(asked.sector)]
            if not found and needed:
                raise NO_ALLOCATION_DATA(
                    path=("year",), kind=kind, sector=asked.sector,
                    year=asked.year, market=market, on=day,
                    known=known(list(rulebook().rules(market, kind=kind))),
                )  # fmt: skip
            return found[0] if found else None

        allocation = rule_of(RuleKind.ALLOCATION)
        assert allocation is not None, "it was needed"
        assert allocation.method is not None, "an allocation has its method"
        check(asked, allocation.method)
        plan = Plan(
            day,
            allocation,
            rule_of(RuleKind.SHORTFALL_CAP, needed=False),
            None if asked.previous_t is None else rule_of(RuleKind.PRE_ALLOCATION),
            None if asked.owed_t is None else rule_of(RuleKind.DEDUCTION),
            None if asked.due_t is None else rule_of(RuleKind.RETENTION),
            await self._benchmarks(principal, allocation, asked.year),
        )
        assert all({u.kind, u.kind.heat} <= set(plan.benchmarks) for u in asked.units), "a plan has all its benchmarks"
        return reckoned(asked, plan)

    async def _benchmarks(self, principal: Principal, rule: Rule, year: int) -> dict[str, Benchmark]:
        if rule.library is None:
            return {}
        wanted = FactorFilter(parameter=Parameter.BENCHMARK, set_code=rule.library, year=year)
        page = await FactorService(self.toolbox).page(principal, wanted, PageRequest.read(1000, None))
        return {f.code: Benchmark(f.value, f.unit, f"{f.set_code} {f.code}", f.source) for f in page.rows}
