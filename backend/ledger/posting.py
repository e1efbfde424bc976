"""Posting orders: resolve what they name, ask whether the caller may, plan, post, and answer each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any, Final
from uuid import UUID

from backend.kit.database import Database
from backend.kit.errors import FORBIDDEN, NOT_FOUND, CodedError
from backend.kit.ids import global_id, uuid7
from backend.kit.toolbox import Toolbox
from backend.ledger import codes
from backend.ledger.books import Books, answering, asked_together, insufficient, planned, short_on
from backend.ledger.committer import Committer
from backend.ledger.cuts.repository import in_place_of
from backend.ledger.domain.accounts import HOLDING, AccountRef
from backend.ledger.domain.balances import Balance
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import Order, Transfer, TransferKind
from backend.ledger.effects import touched_by
from backend.ledger.exact import held_to, is_exact
from backend.ledger.orders import checked_order
from backend.ledger.outcomes import KeptList, KeptPosting, Posting, TransferOutcome, settled, told
from backend.ledger.quick import Quick
from backend.ledger.repository import closings, names, posting, transfers
from backend.ledger.repository.posting import Posted, Refused
from backend.ledger.rulebook.service import judge, remember
from backend.ledger.values import check_size
from tenants.access import Permission, Principal, refusals
from tenants.commands import Actor, Change, Done, perform

KEPT: Final[Any] = Posting | KeptList | KeptPosting
"""How an answer may be kept with its key: by the ordinary way in full, by the quick way in short."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders that came together."""

    orders: tuple[Order, ...]
    all_or_nothing: bool


class PostingService:
    """Everything that moves units."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox
        self._quick = Quick(toolbox.database, Committer(toolbox.database, posting.commit))

    async def post(self, actor: Actor, operation: str, order: Order) -> Done[Posting]:
        """Post one transfer. Errors: those of `checked_order`, `planned` and `held_to`, INSUFFICIENT_BALANCE,
        REVERSAL_NOT_COVERED, REVERSAL_FROZEN, FORBIDDEN.
        """
        checked = checked_order(order, self.toolbox.clock.today())
        quick = None if is_exact(checked) else await self._quick.post(actor, operation, order, checked)
        if quick is not None:
            return await self._answered(actor, Done(quick))
        found: list[Books] = []

        async def work(change: Change) -> Posting:
            outcome = await post_within(change, [checked], found=found)
            refusal = outcome.rows[0].refusal
            if refusal is not None:
                raise refusal.error()
            return outcome

        done = await perform(self.toolbox, actor, operation, order, KEPT, work)
        if found and not actor.dry_run:
            self._quick.learn(actor.principal.tenant_id, found[-1])
        return await self._answered(actor, done)

    async def post_all(self, actor: Actor, batch: Batch) -> Done[Posting]:
        """Post up to 500 transfers in order, each judged on its own; with `all_or_nothing` a refused row keeps all
        from being written, and the sound ones answer NOT_POSTED. Errors: TOO_MANY_ROWS, SERIALS_ALL_OR_NOTHING; the
        others per row.
        """
        check_size(len(batch.orders), "transfers")
        if not batch.all_or_nothing and any(leg.serials is not None for o in batch.orders for leg in o.legs):
            raise codes.SERIALS_ALL_OR_NOTHING(path=("allOrNothing",))
        today = self.toolbox.clock.today()
        checked = [_checked(order, today) for order in batch.orders]
        sound = [order for order in checked if isinstance(order, Order)]
        if len(sound) == len(checked) and not any(is_exact(order) for order in sound):
            quick = await self._quick.post_list(actor, "postTransfers", batch, batch.orders, sound)
            if quick is not None:
                return await self._answered(actor, Done(quick))

        async def work(change: Change) -> Posting:
            outcome = await post_within(change, checked)
            return settled(outcome.rows, partial(_told, outcome), all_or_nothing=batch.all_or_nothing)

        done = await perform(self.toolbox, actor, "postTransfers", batch, KEPT, work)
        return await self._answered(actor, done)

    async def _answered(self, actor: Actor, done: Done[Posting | KeptList | KeptPosting]) -> Done[Posting]:
        """The answer as it was given, as far as the caller may see it now."""
        posting = done.value if isinstance(done.value, Posting) else await self._restored(actor, done.value)
        return Done(await as_seen(self.toolbox.database, actor.principal, posting), done.replayed)

    async def _restored(self, actor: Actor, kept: KeptList | KeptPosting) -> Posting:
        """What is kept in short: the quick way keeps the transfers' ids and the balances they left."""
        keys = kept.keys() if isinstance(kept, KeptList) else [kept.transfer]
        async with self.toolbox.database.read(actor.principal.tenant_id) as session:
            found = await transfers.transfers(session, keys)
        posted = [replace(found[key], reversed_by_id=None) for key in keys]
        rows = tuple(TransferOutcome(t) for t in posted)
        if isinstance(kept, KeptList):
            return Posting(rows, told(touched_by(posted), kept.quantities))
        own = {a.id for leg in posted[0].legs for a in leg.sides() if a.organisation_id}
        return Posting(rows, tuple(Balance(*b, kept.transfer) for b in kept.balances if b[0] in own))


async def as_seen(database: Database, principal: Principal, posting: Posting) -> Posting:
    """A posting with the balances of those accounts whose assets the caller may read: any organisation may be sent to,
    and who sends need not see what it holds.
    """
    if principal.may_everywhere(Permission.ASSET_READ):
        return posting
    owner = {key: account.organisation_id for key, account in posting.accounts().items()}
    touched = {owner[b.account_id] for b in posting.balances}
    async with database.read(principal.tenant_id) as session:
        hidden = await refusals(session, principal, Permission.ASSET_READ, touched)
    return replace(posting, balances=tuple(b for b in posting.balances if owner[b.account_id] not in hidden))


async def post_within(
    change: Change,
    orders: Sequence[Order | CodedError],
    *,
    transfer_ids: Sequence[UUID] | None = None,
    found: list[Books] | None = None,
    besides: UUID | None = None,
) -> Posting:
    """Judge every order in a unit of work that is open; post those that stand, under these ids when given. Orders that
    failed a check before come as their error. `found` is handed the names that were looked up; what is left of the
    reservation `besides` does not stand in the way of what is posted of it.
    """
    books = await books_of(change, [o for o in orders if isinstance(o, Order)])
    if found is not None:
        found.append(books)
    planner = _Judge(change, books)
    keys = transfer_ids or [uuid7() for _ in orders]
    plans = [o if isinstance(o, CodedError) else await planner.plan(o, k) for o, k in zip(orders, keys, strict=True)]
    closed = await closings.closed_through(change.unit)
    plans = await judge(change, [_in_open_period(p, closed) for p in plans], besides)
    held = await held_to(change, orders, plans, books)
    plans, books = held.plans, held.books
    standing = [p for p in plans if isinstance(p, Transfer)]
    posted = await _write(change, standing)
    refused = {standing[r.index].id: r for r in posted.refused} if posted else {}
    await remember(change, [t for t in standing if t.id not in refused])
    rows = [_outcome(p, refused.get(p.id) if isinstance(p, Transfer) else None, posted, books) for p in plans]
    if change.actor.dry_run:
        rows = [replace(row, transfer=row.transfer and replace(row.transfer, recorded_at=None)) for row in rows]
    return Posting(tuple(rows), _own_balances(standing, posted), held.cut if change.actor.dry_run else ())


def _told(outcome: Posting, rows: tuple[TransferOutcome, ...]) -> Posting:
    """The outcome with these rows; of what was not posted no balances are told."""
    posted = any(row.transfer is not None for row in rows)
    return replace(outcome, rows=rows, balances=outcome.balances if posted else ())


def _in_open_period(plan: Transfer | CodedError, closed: date | None) -> Transfer | CodedError:
    if isinstance(plan, Transfer) and closed is not None and plan.effective_on <= closed:
        return codes.PERIOD_CLOSED(path=("effectiveOn",), through=closed.isoformat(), day=plan.effective_on.isoformat())
    return plan


async def _write(change: Change, standing: Sequence[Transfer]) -> Posted | None:
    if not standing:
        return None
    return await posting.post(change, standing, [answering(t.legs[0]) for t in standing])


def _outcome(
    plan: Transfer | CodedError, refused: Refused | None, posted: Posted | None, books: Books
) -> TransferOutcome:
    if isinstance(plan, CodedError):
        return TransferOutcome(refusal=Refusal.of(plan))
    if refused is not None:
        return TransferOutcome(refusal=Refusal.of(_explained(plan, refused, books)))
    assert posted is not None, "a plan without refusal was posted"
    return TransferOutcome(transfer=replace(plan, recorded_at=posted.recorded_at))


def _explained(plan: Transfer, refused: Refused, books: Books) -> CodedError:
    if refused.code == codes.ALREADY_REVERSED.name:
        return codes.ALREADY_REVERSED(path=("transferId",), transfer=global_id("AssetTransfer", plan.reverses_id))
    assert refused.leg is not None, "a posting that lacks cover lacks it in a leg"
    leg = plan.legs[refused.leg]
    lot = books.name_of(leg.lot_id)
    if refused.day is not None:
        assert refused.available_t is not None, "a day that is short tells by how much"
        return short_on(plan.effective_on, leg.source, lot, (refused.day, -refused.available_t))
    asked = asked_together(plan.legs, leg)
    available = refused.available_t
    assert available is not None, "a posting that lacks cover tells how much there is"
    said = {"account": leg.source.named, "lot": lot, "asked": asked, "available": available}
    if plan.kind is TransferKind.REVERSE and refused.reserved_t:
        gone = max(asked - available - refused.reserved_t, 0)
        return codes.REVERSAL_FROZEN(path=("transferId",), frozen=refused.reserved_t, gone=gone, **said)
    if plan.kind is TransferKind.REVERSE:
        return codes.REVERSAL_NOT_COVERED(path=("transferId",), **said)
    return insufficient(plan.legs, refused.leg, books, available, refused.reserved_t)


def _own_balances(standing: Sequence[Transfer], posted: Posted | None) -> tuple[Balance, ...]:
    own = {a.id for t in standing for leg in t.legs for a in (leg.source, leg.destination) if a.organisation_id}
    if posted is None:
        return ()
    refused = {r.index for r in posted.refused}
    stood = [t for index, t in enumerate(standing) if index not in refused]
    last = {(a.id, leg.lot_id): t.id for t in stood for leg in t.legs for a in leg.sides()}
    return tuple(replace(b, version=last.get((b.account_id, b.lot_id))) for b in posted.balances if b.account_id in own)


def _checked(order: Order, today: date) -> Order | CodedError:
    try:
        return checked_order(order, today)
    except CodedError as error:
        return error


class _Judge:
    """Plans orders for one caller; asks for each organisation once."""

    def __init__(self, change: Change, books: Books) -> None:
        self.change = change
        self.books = books
        self.answers: dict[UUID, CodedError | None] = {}

    async def plan(self, order: Order, transfer_id: UUID) -> Transfer | CodedError:
        try:
            plan = planned(order, self.books, transfer_id)
            for number, leg in enumerate(plan.legs):
                await self._ask(order, number, answering(leg))
        except CodedError as error:
            return error
        return plan

    async def _ask(self, order: Order, number: int, organisation_id: UUID) -> None:
        if organisation_id not in self.answers:
            self.answers[organisation_id] = await _answer(self.change, organisation_id)
        error = self.answers[organisation_id]
        if error is None:
            return
        if order.kind is TransferKind.REVERSE:
            # The transfer is one the caller was shown, so there is nothing to hide of it.
            raise FORBIDDEN(path=("transferId",), permission=(Permission.ASSET_MANAGE,))
        raise _unseen(order, number) if error.code is NOT_FOUND else error.at("legs", str(number))


def _unseen(order: Order, number: int) -> CodedError:
    """What is out of reach answers as what does not exist."""
    leg = order.legs[number]
    side, ref = ("destination", leg.destination) if leg.source.market else ("source", leg.source)
    return codes.UNKNOWN_ACCOUNT(path=("legs", str(number), side), account=str(ref))


async def _answer(change: Change, organisation_id: UUID) -> CodedError | None:
    try:
        await require_manager(change, organisation_id)
    except CodedError as error:
        return error
    return None


async def require_manager(change: Change, organisation_id: UUID | None) -> None:
    """Refuse who may neither manage nor sync the assets of an organisation (None: of the whole tenant).

    Errors: FORBIDDEN, NOT_FOUND.
    """
    refused = FORBIDDEN(permission=(Permission.ASSET_MANAGE,))
    for permission in (Permission.ASSET_MANAGE, Permission.ASSET_SYNC):
        if change.actor.principal.may_somewhere(permission):
            try:
                return await change.require(permission, organisation_id)
            except CodedError as error:
                refused = error
    raise refused


async def books_of(change: Change, orders: Sequence[Order]) -> Books:
    """Look up everything the orders name, in as few statements as that takes."""
    unit = change.unit
    reversed_ids = {o.reverses_id for o in orders if o.reverses_id is not None}
    originals = await transfers.transfers(unit, reversed_ids, change.actor.principal) if reversed_ids else {}
    legs = [leg for o in orders for leg in o.legs]
    arriving = {leg.destination for leg in legs if leg.destination is not None and not leg.destination.market}
    refs = {leg.source for leg in legs if not leg.source.market} | arriving
    refs |= {AccountRef(leg.destination.id) for t in originals.values() for leg in t.legs}
    lots = {leg.lot for leg in legs} | {LotRef(leg.lot_id) for t in originals.values() for leg in t.legs}
    served = {o.beneficiary_id for o in orders if o.beneficiary_id is not None}
    found = await names.look_up(unit, refs, lots, served)
    to_open = [ref for ref in arriving if ref not in found.accounts and ref.id is None and ref.code == HOLDING]
    if to_open:
        await names.open_holding_accounts(unit, to_open)
        found = await names.look_up(unit, refs, lots, served)
    bound = await transfers.bound(unit, originals) if originals else {}
    gone = {ref for ref in lots if ref not in found.lots or not found.lots[ref].standing}
    cut = await in_place_of(unit, gone, change.actor.principal) if gone else {}
    return Books(found.accounts, found.outside, found.lots, originals, found.organisations, bound, cut)
