"""Judging uses by the rulebook inside a posting, and what can be asked of it: rules, headroom, remarks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from backend.kit.errors import CodedError, not_found
from backend.kit.toolbox import Toolbox
from backend.ledger.accounts.codes import ACCOUNT_NOT_OPEN
from backend.ledger.accounts.domain import AccountState
from backend.ledger.domain.accounts import OUTSIDE
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import Transfer, TransferKind
from backend.ledger.repository import names
from backend.ledger.rulebook import repository
from backend.ledger.rulebook.domain import Market, Rule, RuleKind, RuleState, known_market, rulebook
from backend.ledger.rulebook.judging import Headroom, Standing, Use, headroom, judged, undated, unexplained, unproved
from backend.ledger.rulebook.repository import Facts, Served
from backend.ledger.values import check_year
from tenants.access import Permission, Principal, require
from tenants.commands import Change

JUDGED = frozenset({TransferKind.SURRENDER, TransferKind.RETIRE})


async def judge(
    change: Change, plans: Sequence[Transfer | CodedError], besides: UUID | None = None
) -> list[Transfer | CodedError]:
    """Each plan as the rules leave it: refused, or with what they remark. In order: a use counts for those behind it.
    `besides`: the reservation that a plan is for, which would count as pending otherwise.

    Errors per plan: ACCOUNT_NOT_OPEN, VINTAGE_NOT_USABLE, OFFSET_LIMIT_EXCEEDED, OFFSET_LIMIT_UNKNOWN,
    OFFSET_NOT_ELIGIBLE, WRONG_MARKET.
    """
    sound = [p for p in plans if isinstance(p, Transfer)]
    sides = {a.id for p in sound for leg in p.legs for a in (leg.source, leg.destination) if a.kind not in OUTSIDE}
    shut = await repository.not_open(change.unit, sides) if sides else {}
    uses = [p for p in sound if p.kind in JUDGED]
    facts = await _facts(change, uses, besides) if uses else Facts({}, {})
    bench = _Bench(shut, facts)
    return [p if isinstance(p, CodedError) else bench.judged(p) for p in plans]


async def judge_one(change: Change, plan: Transfer, besides: UUID | None = None) -> Transfer:
    """The one plan as the rules leave it. Errors: those of `judge`."""
    (found,) = await judge(change, [plan], besides)
    if isinstance(found, CodedError):
        raise found
    return found


async def take_turn(change: Change, beneficiary_id: UUID, year: int) -> None:
    """Wait for whoever judges uses for an organisation and year: for who locks balances before it is judged."""
    await repository.lock(change.unit, [(beneficiary_id, year)])


async def remember(change: Change, posted: Sequence[Transfer]) -> None:
    """Keep the remarks about transfers that were posted."""
    await repository.remember(change.unit, {t.id: t.remarks for t in posted})


async def _facts(change: Change, uses: Sequence[Transfer], besides: UUID | None) -> Facts:
    served = {_served(u) for u in uses}
    lots = await repository.lot_facts(change.unit, {leg.lot_id for u in uses for leg in u.legs})
    surrendered = {_served(u) for u in uses if u.kind is TransferKind.SURRENDER}
    if surrendered:
        await repository.lock(change.unit, surrendered)
    return await repository.facts(change.unit, lots, served, besides)


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
                    path, name = ("legs", str(number), side), account.named if side == "source" else account.coded
                    return ACCOUNT_NOT_OPEN(path=path, account=name, state=self.shut[account.id])
        if plan.kind in JUDGED:
            return self._by_rules(plan)
        try:
            remarks = _bare(plan)
        except CodedError as error:
            return error
        return replace(plan, remarks=remarks) if remarks else plan

    def _by_rules(self, plan: Transfer) -> Transfer | CodedError:
        served = _served(plan)
        standing = self.standings.get(served, Standing())
        lots = [(self.lots[leg.lot_id], leg.quantity_t) for leg in plan.legs]
        use = Use(plan.kind, served[1], plan.effective_on, lots, evidenced=bool(plan.evidence))
        findings = judged(use, standing, rulebook())
        if findings and findings[0].must:
            return findings[0].error
        if plan.kind is TransferKind.SURRENDER:
            offsets_t = sum(q for lot, q in lots if lot.asset_class is not AssetClass.ALLOWANCE)
            self.standings[served] = replace(
                standing,
                offsets_t=standing.offsets_t + offsets_t,
                surrendered_t=standing.surrendered_t + sum(q for _, q in lots),
            )
        return replace(plan, remarks=tuple(Refusal.of(f.error) for f in findings))


def _bare(plan: Transfer) -> tuple[Refusal, ...]:
    """What is remarked about a cancellation without a paper, and a reversal without a reason."""
    if plan.kind is TransferKind.CANCEL and not plan.evidence:
        return without_paper(plan.kind, plan.effective_on)
    if plan.kind is TransferKind.REVERSE and not (plan.purpose or plan.evidence):
        return tuple(Refusal.of(f.error) for f in unexplained(plan.effective_on, rulebook()))
    return ()


def without_paper(kind: TransferKind, on: date) -> tuple[Refusal, ...]:
    """What is remarked about an issue or use that names no document. Errors: NO_EVIDENCE, where a rule binds."""
    found = unproved(kind, on, rulebook())
    for finding in found:
        if finding.must:
            raise finding.error
    return tuple(Refusal.of(f.error) for f in found)


def without_vintage(scheme: str) -> tuple[Refusal, ...]:
    """What is remarked about allowances that are issued without a vintage."""
    return tuple(Refusal.of(f.error) for f in undated(scheme, rulebook()))


@dataclass(frozen=True, slots=True)
class OffsetRoom:
    """The limits on offsets of an organisation for a year, by the market of its obligation, as they are on a day."""

    market: str
    year: int
    rooms: Sequence[Headroom]
    on: date


class RuleService:
    """What the rulebook says, and what is left of its limits."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    def rules(
        self, market: str | None, on: date | None, scheme: str | None = None, states: Collection[RuleState] = ()
    ) -> tuple[date, list[Rule]]:
        """The day (today, when none is given) and the rules that stand so on it (in force, when nothing else is given):
        of one market or all, of those a scheme's units serve in. Errors: UNKNOWN_MARKET.
        """
        if market is not None:
            known_market(market, "market")
        day, wanted = on or self.toolbox.clock.today(), set(states) or {RuleState.IN_FORCE}
        found = (r for r in rulebook().rules(market) if r.state(day) in wanted)
        return day, [r for r in found if scheme is None or scheme in rulebook().markets[r.market].instruments]

    @staticmethod
    def markets() -> list[Market]:
        return list(rulebook().markets.values())

    async def headroom(self, principal: Principal, organisation_id: UUID, year: int, market: str | None) -> OffsetRoom:
        """Errors: BAD_YEAR, FORBIDDEN, NOT_FOUND, UNKNOWN_MARKET."""
        check_year(year, "year")
        if market is not None:
            known_market(market, "market")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            if not await names.organisations(session, [organisation_id]):
                raise not_found("Organisation", organisation_id)
            facts = await repository.facts(session, (), [(organisation_id, year)])
        standing = facts.standings[organisation_id, year]
        at = market or standing.market or next(iter(rulebook().markets))
        today = self.toolbox.clock.today()
        rules = rulebook().binding(at, RuleKind.OFFSET_LIMIT, year, today)
        return OffsetRoom(at, year, [headroom(rule, standing) for rule in rules], today)

    async def remarks(self, principal: Principal, transfer_ids: Sequence[UUID]) -> dict[UUID, list[Refusal]]:
        """What was remarked about transfers the caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.remarks(session, transfer_ids)
