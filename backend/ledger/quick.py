"""The quick way of a posting: from what the process knows, to the database, in one round trip that is the transaction.

A single posting goes by the committer, with whatever else waits; a list goes by itself, whole.

Only what can be said yes to goes this way. Names that are known to exist (accounts never change, lots only by being
withdrawn, when nothing of them is left anywhere) are kept; anything else, and every refusal, is left to the ordinary
way (`PostingService.post`), which knows all the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg.exceptions import PostgresError

from backend.kit.database import Database
from backend.kit.errors import CodedError
from backend.kit.ids import uuids7
from backend.ledger.books import Books, answering, planned
from backend.ledger.committer import Committer, NotTaken
from backend.ledger.domain.accounts import OUTSIDE, Account, AccountKind, AccountRef
from backend.ledger.domain.lots import LotRef, NamedLot
from backend.ledger.domain.transfers import Order, Transfer, TransferKind
from backend.ledger.effects import touched_by
from backend.ledger.outcomes import KeptList, Posting, TransferOutcome, told
from backend.ledger.repository import names, posting
from backend.ledger.repository.names import Names
from backend.ledger.repository.posting import Asked, AskedList, Landed, is_unsure
from tenants.access import Permission, Principal
from tenants.commands import Actor, brief_digest

MOST_NAMES: Final = 200_000
"""Names of one tenant that a process keeps, about 100 MB of them at most; then it begins anew."""
QUICK: Final = frozenset({TransferKind.TRANSFER, TransferKind.CANCEL})
"""Uses are judged by rules of their scheme and year, and a reversal by what it takes back: these look closer. So does
a cancellation without a paper, which is remarked."""
_MOVERS: Final = (Permission.ASSET_MANAGE, Permission.ASSET_SYNC)


@dataclass(frozen=True, slots=True)
class Known:
    """Names of one tenant that were found once."""

    accounts: dict[AccountRef, Account] = field(default_factory=dict)
    outside: dict[AccountKind, Account] = field(default_factory=dict)
    lots: dict[LotRef, NamedLot] = field(default_factory=dict)
    organisations: set[UUID] = field(default_factory=set)

    def learn(self, books: Books | Names) -> None:
        if len(self.accounts) + len(self.lots) + len(self.organisations) > MOST_NAMES:
            self.accounts.clear()
            self.lots.clear()
            self.organisations.clear()
        self.accounts.update(books.accounts)
        self.outside.update(books.outside)
        self.lots.update(books.lots)
        self.organisations.update(books.organisations)


class Quick:
    """What a process knows of its tenants' names, and its committer."""

    def __init__(self, database: Database, committer: Committer) -> None:
        self._database = database
        self._committer = committer
        self._known: dict[UUID, tuple[Known, Books]] = {}

    def learn(self, tenant_id: UUID, books: Books | Names) -> None:
        """Keep names that are committed."""
        if tenant_id not in self._known:
            known = Known()
            frozen = Books(known.accounts, known.outside, known.lots, {}, known.organisations)
            self._known[tenant_id] = (known, frozen)
        self._known[tenant_id][0].learn(books)

    async def post(self, actor: Actor, operation: str, body: Order, order: Order) -> Posting | None:
        """Post a checked order with whatever else waits; None when it has to go the ordinary way."""
        # A day that is named may be a closed one.
        if actor.dry_run or not _plain(order) or body.effective_on is not None:
            return None
        plans = self._plans(actor, [order]) or await self._looked_up(actor, [order])
        if plans is None:
            return None
        (plan,) = plans
        try:
            reach = tuple(_reach(actor.principal, {answering(leg) for leg in plan.legs}))
            asked = Asked(
                plan,
                actor.principal.member_id,
                operation,
                actor.correlation_id,
                actor.idempotency_key,
                brief_digest(body) if actor.idempotency_key is not None else b"",
                answering(plan.legs[0]),
                touched_by((plan,)),
                reach,
            )
            landed = await self._committer.post(actor.principal.tenant_id, asked)
        except NotTaken:
            return None
        return _posting(asked, landed)

    async def post_list(
        self, actor: Actor, operation: str, body: object, asked: Sequence[Order], orders: Sequence[Order]
    ) -> Posting | None:
        """Post checked orders (`asked`: as they came) whole; None when the list has to go the ordinary way."""
        if actor.dry_run or not all(map(_plain, orders)):
            return None
        # A day that is named may be a closed one.
        if any(order.effective_on is not None for order in asked):
            return None
        plans = self._plans(actor, orders) or await self._looked_up(actor, orders)
        if plans is None:
            return None
        organisations = [answering(plan.legs[0]) for plan in plans]
        try:
            reach = tuple(_reach(actor.principal, {answering(leg) for plan in plans for leg in plan.legs}))
        except NotTaken:
            return None
        key = actor.idempotency_key
        digest = b"" if key is None else brief_digest(body)
        principal, kept = actor.principal, KeptList.pack(plans)
        wanted = AskedList(
            plans, principal.member_id, operation, actor.correlation_id, key, digest, kept, organisations, reach
        )
        landed = await self._commit_list(principal.tenant_id, wanted)
        if landed is None:
            return None
        rows = tuple(TransferOutcome(plan.recorded(landed[0])) for plan in plans)
        return Posting(rows, told(touched_by(plans), landed[1]))

    async def _commit_list(self, tenant_id: UUID, asked: AskedList) -> tuple[datetime, list[int]] | None:
        async with self._database.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            try:
                return await posting.commit_list(driver, tenant_id, asked)
            except PostgresError as error:
                if is_unsure(error):
                    await connection.invalidate()
                    raise
                return None
            except BaseException:
                # Nobody knows how it ended; the key finds out.
                await connection.invalidate()
                raise

    def _plans(self, actor: Actor, orders: Sequence[Order]) -> list[Transfer] | None:
        known = self._known.get(actor.principal.tenant_id)
        if known is None:
            return None
        try:
            return [planned(order, known[1], key) for order, key in zip(orders, uuids7(len(orders)), strict=True)]
        except CodedError:
            return None

    async def _looked_up(self, actor: Actor, orders: Sequence[Order]) -> list[Transfer] | None:
        """The plans after a look at what the orders name: each name is met once for the first time."""
        legs = [leg for order in orders for leg in order.legs]
        sides = {s for leg in legs for s in (leg.source, leg.destination) if s is not None and not s.market}
        served = {order.beneficiary_id for order in orders if order.beneficiary_id is not None}
        async with self._database.read(actor.principal.tenant_id) as session:
            found = await names.known(session, sides, {leg.lot for leg in legs}, served)
        if len(found.outside) < len(OUTSIDE):
            return None
        self.learn(actor.principal.tenant_id, found)
        return self._plans(actor, orders)


def _plain(order: Order) -> bool:
    """Nothing is judged or remarked about it."""
    return order.kind in QUICK and (order.kind is TransferKind.TRANSFER or bool(order.evidence))


def _reach(principal: Principal, organisations: Iterable[UUID]) -> Iterable[tuple[UUID, UUID]]:
    nodes = {g.organisation_id for p in _MOVERS for g in principal.granting(p)}
    if not nodes:
        raise NotTaken
    if None in nodes:
        return ()
    return ((organisation, node) for organisation in organisations for node in nodes if node is not None)


def _posting(asked: Asked, landed: Landed) -> Posting:
    transfer = asked.plan.recorded(landed.recorded_at)
    return Posting((TransferOutcome(transfer),), told(asked.touched, landed.quantities))
