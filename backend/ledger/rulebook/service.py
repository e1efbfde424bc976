"""Judging uses by the rulebook inside a posting, and what can be asked of it: rules, headroom, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from backend.kit.errors import CodedError, not_found
from backend.kit.toolbox import Toolbox
from backend.ledger.accounts.codes import ACCOUNT_NOT_OPEN
from backend.ledger.accounts.domain import AccountState
from backend.ledger.domain import OUTSIDE, AssetClass, Refusal, Transfer, TransferKind
from backend.ledger.repository import names
from backend.ledger.rulebook import repository
from backend.ledger.rulebook.domain import Market, Rule, RuleKind, known_market, rulebook
from backend.ledger.rulebook.judging import CREDITS, Headroom, Standing, Use, headroom, judged
from backend.ledger.rulebook.repository import Facts, Served
from tenants.access import Permission, Principal, require
from tenants.commands import Change

JUDGED = frozenset({TransferKind.SURRENDER, TransferKind.RETIRE})


async def judge(change: Change, plans: Sequence[Transfer | CodedError]) -> list[Transfer | CodedError]:
    """Each plan as the rules leave it: refused, or with what they remark. In order: a use counts for those behind it.

    Errors per plan: ACCOUNT_NOT_OPEN, VINTAGE_NOT_USABLE, OFFSET_LIMIT_EXCEEDED, OFFSET_LIMIT_UNKNOWN,
    OFFSET_NOT_ELIGIBLE, WRONG_MARKET.
    """
    sound = [p for p in plans if isinstance(p, Transfer)]
    sides = {a.id for p in sound for leg in p.legs for a in (leg.source, leg.destination) if a.kind not in OUTSIDE}
    shut = await repository.not_open(change.unit, sides) if sides else {}
    uses = [p for p in sound if p.kind in JUDGED]
    facts = await _facts(change, uses) if uses else Facts({}, {})
    bench = _Bench(shut, facts)
    return [p if isinstance(p, CodedError) else bench.judged(p) for p in plans]


async def remember(change: Change, posted: Sequence[Transfer]) -> None:
    """Keep the remarks about transfers that were posted."""
    if any(t.remarks for t in posted):
        await repository.remember(change.unit, posted)


async def _facts(change: Change, uses: Sequence[Transfer]) -> Facts:
    served = {_served(u) for u in uses}
    lots = await repository.lot_facts(change.unit, {leg.lot_id for u in uses for leg in u.legs})
    spent = {
        _served(u)
        for u in uses
        if u.kind is TransferKind.SURRENDER and any(lots[leg.lot_id].asset_class in CREDITS for leg in u.legs)
    }
    if spent:
        await repository.lock(change.unit, spent)
    return await repository.facts(change.unit, lots, served)


def _served(use: Transfer) -> Served:
    assert use.beneficiary_id is not None, "a use names whom it serves"
    assert use.for_year is not None, "a use names its year"
    return use.beneficiary_id, use.for_year


class _Bench:
    """Judges plan after plan, and remembers what the sound ones spend."""

    def __init__(self, shut: dict[UUID, AccountState], facts: Facts) -> None:
        self.shut, self.lots, self.standings = shut, facts.lots, dict(facts.standings)

    def judged(self, plan: Transfer) -> Transfer | CodedError:
        for number, leg in enumerate(plan.legs):
            for side, account in (("source", leg.source), ("destination", leg.destination)):
                if account.id in self.shut:
                    path = ("legs", str(number), side)
                    return ACCOUNT_NOT_OPEN(path=path, account=account.named, state=self.shut[account.id])
        return self._by_rules(plan) if plan.kind in JUDGED else plan

    def _by_rules(self, plan: Transfer) -> Transfer | CodedError:
        served = _served(plan)
        standing = self.standings.get(served, Standing())
        lots = [(self.lots[leg.lot_id], leg.quantity_t) for leg in plan.legs]
        findings = judged(Use(plan.kind, served[1], plan.effective_on, lots), standing, rulebook())
        if findings and findings[0].must:
            return findings[0].error
        if plan.kind is TransferKind.SURRENDER:
            offsets_t = sum(q for lot, q in lots if lot.asset_class is not AssetClass.ALLOWANCE)
            self.standings[served] = replace(standing, offsets_t=standing.offsets_t + offsets_t)
        return replace(plan, remarks=tuple(Refusal.of(f.error) for f in findings))


@dataclass(frozen=True, slots=True)
class OffsetRoom:
    """The limits on offsets of an organisation for a year, by the market of its obligation."""

    market: str
    year: int
    rooms: Sequence[Headroom]


class RuleService:
    """What the rulebook says, and what is left of its limits."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    def rules(self, market: str | None, on: date | None, scheme: str | None = None) -> list[Rule]:
        """Rules in force on a day (today when not given): of one market or all, of those a scheme's units serve in.

        Errors: UNKNOWN_MARKET.
        """
        if market is not None:
            known_market(market, "market")
        found = rulebook().rules(market, on or self.toolbox.clock.today())
        return [r for r in found if scheme is None or scheme in rulebook().markets[r.market].instruments]

    @staticmethod
    def markets() -> list[Market]:
        return list(rulebook().markets.values())

    async def headroom(self, principal: Principal, organisation_id: UUID, year: int, market: str | None) -> OffsetRoom:
        """Errors: FORBIDDEN, NOT_FOUND, UNKNOWN_MARKET."""
        if market is not None:
            known_market(market, "market")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            if not await names.organisations(session, [organisation_id]):
                raise not_found("Organisation", organisation_id)
            facts = await repository.facts(session, (), [(organisation_id, year)])
        standing = facts.standings[organisation_id, year]
        at = market or standing.market or next(iter(rulebook().markets))
        rules = rulebook().binding(at, RuleKind.OFFSET_LIMIT, year, self.toolbox.clock.today())
        return OffsetRoom(at, year, [headroom(rule, standing) for rule in rules])

    async def remarks(self, principal: Principal, transfer_ids: Sequence[UUID]) -> dict[UUID, list[Refusal]]:
        """What was remarked about transfers the caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.remarks(session, transfer_ids)
