"""What the rules say about units that are about to be used: refusals where they bind, remarks where they recommend.

Pure: everything known about the lots, the obligation and what was used before is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from backend.kit.errors import Code, CodedError
from backend.kit.quantity import trimmed
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.rulebook import codes
from backend.ledger.rulebook.domain import Base, DueEvent, Rule, Rulebook, RuleKind

CREDITS: Final = frozenset({AssetClass.CCER, AssetClass.VERIFIED_SAVING, AssetClass.SINK})
# 8.4.2: allowances bought at an exchange, then CCER, then verified savings. 8.4.3 gives own sinks no place in it.
PREFERENCE: Final = (AssetClass.ALLOWANCE, AssetClass.CCER, AssetClass.VERIFIED_SAVING)
# 9.1.4, and an auditor's question of every unit: what shows that it came, and that it was used up.
PROVED: Final = frozenset({TransferKind.ISSUE, TransferKind.SURRENDER, TransferKind.RETIRE, TransferKind.CANCEL})

_LASTING: Final = 2100
"""The last year of rules that have no end."""


@dataclass(frozen=True, slots=True)
class LotFacts:
    """What the rules ask of a lot. `name` is how people know it. `reduced_from`: the first day of the reductions in it,
    None where only the vintage is known; `in_scheme`: it comes from a project inside an allowance scheme.
    """

    name: str
    scheme: str
    asset_class: AssetClass
    vintage: int | None
    issued_on: date
    reduced_from: date | None = None
    in_scheme: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the beneficiary stands for the year: what is due (None: not recorded), of which market, what was
    allocated, what offsets were surrendered and what of everything, what offsets are set aside to be surrendered, what
    it holds of the classes that 8.4.2 ranks (bought allowances), the codes of rules from which an exception stands for
    it, and the last year of a period that holds the year and is named by another.
    """

    market: str = ""
    due_t: Decimal | None = None
    allocated_t: int = 0
    offsets_t: int = 0
    pending_t: int = 0
    held: Mapping[AssetClass, int] = field(default_factory=dict)
    excepted: frozenset[str] = frozenset()
    surrendered_t: int = 0
    period_of: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Units about to be used, lot by lot, for an organisation and a year; whether a paper was named."""

    kind: TransferKind
    year: int
    on: date
    lots: Sequence[tuple[LotFacts, int]]
    evidenced: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is not met."""

    error: CodedError
    must: bool
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Headroom:
    """How much of a limit on offsets is left: tonnes; None where the base is not recorded. What is set aside to be
    surrendered (`pending_t`) holds its part of it.
    """

    rule: Rule
    base_t: Decimal | None
    used_t: int
    pending_t: int = 0

    @property
    def limit_t(self) -> int | None:
        """The limit, rounded down: a fraction of a unit cannot be surrendered."""
        assert self.rule.share is not None, "a limit has its share"
        return None if self.base_t is None else floor(self.base_t * self.rule.share)

    @property
    def left_t(self) -> int | None:
        return None if self.limit_t is None else max(self.limit_t - self.used_t - self.pending_t, 0)


def floor(value: Decimal) -> int:
    """Allowances are rounded down, always (MEE allocation plans)."""
    return int(value.to_integral_value(ROUND_FLOOR))


def ceiling(value: Decimal) -> int:
    """What is due is met by whole units: a fraction takes one more."""
    return -floor(-value)


def headroom(rule: Rule, standing: Standing) -> Headroom:
    base = Decimal(standing.allocated_t) if rule.base is Base.ALLOCATED else standing.due_t
    return Headroom(rule, base, standing.offsets_t, standing.pending_t)


def judged(use: Use, standing: Standing, book: Rulebook) -> tuple[Finding, ...]:
    """Every rule that the use does not meet, those that refuse first; one with an exception only warns. A use that no
    market knows meets them all.
    """
    if use.kind is TransferKind.RETIRE:
        found = list(_out_of_order(use, standing, book))
    elif use.kind is TransferKind.SURRENDER:
        found = [*_surrendered(use, standing, book), *_owed(use, standing, book), *_late(use, standing, book)]
        found += _of_no_market(use, book)
    else:
        found = []
    found += unproved(use.kind, use.on, book) if not use.evidenced else ()
    found += _to_come(use, book)
    lowered = [replace(f, must=False) if f.rule in standing.excepted else f for f in found]
    return tuple(sorted(lowered, key=lambda f: not f.must))


def market_of(use: Use, standing: Standing, book: Rulebook) -> str:
    """The market of the obligation; where it says none, that of the units."""
    named = (book.market_of(lot.scheme) for lot, _ in use.lots)
    return standing.market or next((m for m in named if m), "")


def _surrendered(use: Use, standing: Standing, book: Rulebook) -> Iterator[Finding]:
    market = market_of(use, standing, book)
    if market not in book.markets:
        return
    offsets_t = 0
    for index, (lot, quantity_t) in enumerate(use.lots):
        path = ("legs", str(index), "lot")
        own = book.markets[market].instruments.get(lot.scheme)
        home = book.market_of(lot.scheme)
        if own is None and home is not None:
            yield Finding(codes.WRONG_MARKET(path=path, lot=lot.name, market=home, year=use.year, needed=market), True)
        elif lot.asset_class in CREDITS:
            offsets_t += quantity_t
            yield from _eligible(use, lot, path, book.markets[market].code, book)
        else:
            yield from _vintage(use, lot, path, market, book)
    if offsets_t:
        yield from _within_limit(use, offsets_t, standing, market, book)


def _of_no_market(use: Use, book: Rulebook) -> Iterator[Finding]:
    """What no market issues serves none as far as is known here; a company may know better, so it warns."""
    for index, (lot, _) in enumerate(use.lots):
        if book.market_of(lot.scheme) is None:
            for rule in book.rules(on=use.on, kind=RuleKind.SCHEME):
                yield _finding(rule, codes.UNKNOWN_SCHEME, ("legs", str(index), "lot"), lot=lot.name)


def _owed(use: Use, standing: Standing, book: Rulebook) -> Iterator[Finding]:
    """A surrender of any market serves an obligation, and not more than it; a company may know better, so it warns."""
    asked_t = sum(quantity_t for _, quantity_t in use.lots)
    for rule in book.rules(on=use.on, kind=RuleKind.SURRENDER):
        if standing.due_t is None and standing.period_of is not None:
            yield _finding(rule, codes.SURRENDER_NAMES_PERIOD, ("forYear",), year=use.year, named=standing.period_of)
        elif standing.due_t is None:
            yield _finding(rule, codes.SURRENDER_OWES_NOTHING, ("forYear",), year=use.year)
        elif standing.surrendered_t + asked_t > (due_t := ceiling(standing.due_t)):
            yield _finding(rule, codes.SURRENDER_BEYOND_DUE, ("legs",), year=use.year, due=due_t,
                           used=standing.surrendered_t, asked=asked_t,
                           beyond=standing.surrendered_t + asked_t - due_t)  # fmt: skip


def _late(use: Use, standing: Standing, book: Rulebook) -> Iterator[Finding]:
    """A deadline is missed, not lost: who is late still has to surrender, so it is remarked and never refused."""
    for rule in book.binding(market_of(use, standing, book), RuleKind.DEADLINE, use.year, use.on):
        if rule.event is DueEvent.SURRENDER and rule.day is not None and use.on > rule.day:
            late = _finding(rule, codes.SURRENDER_LATE, ("effectiveOn",), year=use.year, day=rule.day, on=use.on,
                            days=(use.on - rule.day).days)  # fmt: skip
            yield replace(late, must=False)


def _to_come(use: Use, book: Rulebook) -> Iterator[Finding]:
    """A year of the future is a slip of the pen, most often; who pays ahead may mean it, so it warns."""
    if use.year > use.on.year:
        for rule in book.rules(on=use.on, kind=RuleKind.YEAR):
            yield _finding(rule, codes.YEAR_TO_COME, ("forYear",), year=use.year, on=use.on)


def undated(scheme: str, book: Rulebook) -> list[Finding]:
    """What there is to say of allowances issued without a vintage, where their market asks for one from a year on."""
    market = book.market_of(scheme)
    rules = book.rules(market, kind=RuleKind.VINTAGE) if market is not None else ()
    return [
        replace(_finding(rule, codes.NO_VINTAGE, ("vintage",), market=market, first=rule.years[0]), must=False)
        for rule in rules
        if rule.must and rule.years[1] == _LASTING
    ]


def unproved(kind: TransferKind, on: date, book: Rulebook) -> list[Finding]:
    """What there is to say of an issue or use that names no paper."""
    rules = book.rules(on=on, kind=RuleKind.EVIDENCE) if kind in PROVED else ()
    return [_finding(rule, codes.NO_EVIDENCE, ("evidence",), kind=kind) for rule in rules]


def unexplained(on: date, book: Rulebook) -> list[Finding]:
    """What there is to say of a reversal that names neither reason nor paper."""
    return [_finding(rule, codes.NO_REASON, ("purpose",)) for rule in book.rules(on=on, kind=RuleKind.REVERSAL)]


def _vintage(use: Use, lot: LotFacts, path: tuple[str, ...], market: str, book: Rulebook) -> Iterator[Finding]:
    for rule in book.binding(market, RuleKind.VINTAGE, use.year, use.on):
        first = rule.first_vintage or 1990
        last = rule.last_vintage or (2100 if rule.vintage_lag is None else use.year + rule.vintage_lag)
        if lot.vintage is None or not first <= lot.vintage <= last:
            usable = f"{first} - {last}" if last < 2100 else f"{first} -"
            yield _finding(rule, codes.VINTAGE_NOT_USABLE, path, lot=lot.name, vintage=lot.vintage or "-",
                           year=use.year, usable=usable)  # fmt: skip


def _eligible(use: Use, lot: LotFacts, path: tuple[str, ...], market: str, book: Rulebook) -> Iterator[Finding]:
    for rule in book.binding(market, RuleKind.REDUCTION_AFTER, use.year, use.on):
        assert rule.day is not None, "the rule names its day"
        if lot.reduced_from is not None and lot.reduced_from <= rule.day:
            yield _ineligible(
                rule, use, lot, path, ("reductions after", "减排量产生于此日之后："), rule.day, lot.reduced_from
            )
        elif lot.reduced_from is None and (lot.vintage is None or lot.vintage < rule.day.year):
            needed = ("a vintage from", "年份不早于 ")
            yield _ineligible(rule, use, lot, path, needed, rule.day.year, lot.vintage)
    for rule in book.binding(market, RuleKind.REGISTERED_AFTER, use.year, use.on):
        assert rule.day is not None, "the rule names its day"
        if lot.issued_on <= rule.day:
            needed = ("a registration after", "登记于此日之后：")
            yield _ineligible(rule, use, lot, path, needed, rule.day, lot.issued_on)
    for rule in book.binding(market, RuleKind.OUTSIDE_SCHEME, use.year, use.on) if lot.in_scheme else ():
        yield _finding(rule, codes.OFFSET_INSIDE_SCHEME, path, lot=lot.name, year=use.year)


def _ineligible(
    rule: Rule, use: Use, lot: LotFacts, path: tuple[str, ...], words: tuple[str, str], need: object, found: object
) -> Finding:
    en, zh = words
    return _finding(rule, codes.OFFSET_NOT_ELIGIBLE, path, lot=lot.name, year=use.year, need=f"{en} {need}",
                    need_zh=f"{zh}{need}", found="none" if found is None else str(found),
                    found_zh="未注明" if found is None else str(found))  # fmt: skip


def _within_limit(use: Use, asked_t: int, standing: Standing, market: str, book: Rulebook) -> Iterator[Finding]:
    for rule in book.binding(market, RuleKind.OFFSET_LIMIT, use.year, use.on):
        room = headroom(rule, standing)
        if room.left_t is None or room.base_t is None:
            yield _finding(rule, codes.OFFSET_LIMIT_UNKNOWN, ("forYear",), year=use.year, share=rule.share)
        elif asked_t > room.left_t:
            yield _finding(rule, codes.OFFSET_LIMIT_EXCEEDED, ("legs",), year=use.year, share=rule.share,
                           base=trimmed(room.base_t), limit=room.limit_t, used=room.used_t + room.pending_t,
                           headroom=room.left_t, asked=asked_t)  # fmt: skip
    for rule in book.binding(market, RuleKind.OFFSET_LOCAL, use.year, use.on):
        yield _finding(rule, codes.LOCAL_SHARE_NOT_SHOWN, ("legs",), share=rule.share)


def _out_of_order(use: Use, standing: Standing, book: Rulebook) -> Iterator[Finding]:
    """8.4.2 is a recommendation, wherever the units come from: what it prefers and is held should go first."""
    rules = list(book.rules(on=use.on, kind=RuleKind.NEUTRALITY_ORDER))
    taken = {kind: sum(q for lot, q in use.lots if lot.asset_class is kind) for kind in AssetClass}
    for rule in rules:
        for place, kind in enumerate(PREFERENCE):
            for better in PREFERENCE[:place] if taken[kind] else ():
                held = standing.held.get(better, 0) - taken[better]
                if held > 0:
                    yield _finding(rule, codes.PREFERRED_FIRST, ("legs",), held=held, preferred=better, used=kind)


def _finding(rule: Rule, code: Code, path: tuple[str, ...], **said: object) -> Finding:
    return Finding(code(path=path, rule=rule.code, source=rule.source, **said), rule.must, rule.code)
