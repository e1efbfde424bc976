"""Random sequences of postings, in batches of random size, against an independent model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import count
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.kit.ids import uuid7
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.lots import AssetClass, LotRef, NewLot, Origin
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind
from backend.ledger.posting import Batch, PostingService
from backend.ledger.service import LedgerService, LotBatch
from tenants.commands import Actor
from tests.fixtures.ledger import Group, key
from tests.ledger.model import Model, Move

LOTS = ("A", "B")
STOCK = 20
USES = {"SURRENDERED": TransferKind.SURRENDER, "RETIRED": TransferKind.RETIRE, "CANCELLED": TransferKind.CANCEL}
OUTSIDE = {*USES, "MARKET"}
_PREFIXES = count()


@st.composite
def moves(draw: st.DrawFn, lots: tuple[str, ...] = LOTS) -> Move:
    if draw(st.integers(0, 4)) == 0:
        return Move(reverses=draw(st.integers(0, 12)))
    use = draw(st.sampled_from([None, None, *USES]))
    held = ("steel", "cement") if use else ("steel", "cement", "MARKET")
    legs = []
    for _ in range(draw(st.integers(1, 3))):
        source = draw(st.sampled_from(held))
        to = use or draw(st.sampled_from([h for h in held if h != source]))
        legs.append((draw(st.sampled_from(lots)), source, to, draw(st.integers(1, STOCK))))
    return Move(tuple(legs))


@dataclass(slots=True)
class Run:
    """One sequence: lots of its own in the group's accounts, and the ids of what was posted."""

    group: Group
    prefix: str
    posted: dict[int, UUID]
    issued_on: date = date(2024, 1, 1)

    def organisation(self, name: str) -> UUID:
        return key(self.group.steel if name == "steel" else self.group.cement)

    def account(self, name: str) -> AccountRef:
        return AccountRef(market=True) if name == "MARKET" else AccountRef(organisation_id=self.organisation(name))

    def order(self, move: Move) -> Order:
        if move.reverses is not None:
            return Order(TransferKind.REVERSE, reverses_id=self.posted.get(move.reverses, uuid7()))
        kind = USES.get(move.legs[0][2], TransferKind.TRANSFER)
        moves = kind is TransferKind.TRANSFER
        legs = tuple(
            LegOrder(
                LotRef(scheme="CEA", issue_reference=self.prefix + lot),
                quantity,
                self.account(source),
                self.account(to) if moves else None,
            )
            for lot, source, to, quantity in move.legs
        )
        served = kind in {TransferKind.SURRENDER, TransferKind.RETIRE}
        beneficiary, year = (self.organisation("steel"), 2024) if served else (None, None)
        return Order(kind, legs, beneficiary, year, "碳中和", "注销证明")

    async def issue(self, actor: Actor) -> None:
        lots = [self._lot(self.prefix + lot, "steel") for lot in LOTS]
        # Cement's account exists from the start, whatever comes first: its lot is none of the model's.
        lots.append(self._lot(f"cement's of {self.prefix}", "cement"))
        await self.group.world.services.get(LedgerService).issue(actor, LotBatch(tuple(lots)))

    def _lot(self, reference: str, owner: str) -> NewLot:
        to = self.organisation(owner)
        return NewLot(AssetClass.ALLOWANCE, "CEA", reference, STOCK, Origin.ALLOCATED, to, self.issued_on, 2024)

    async def balances(self) -> dict[tuple[str, str], int]:
        """All of them from the entries, and the same as the balances kept: the names the model uses."""
        async with self.group.world.owner.read(self.group.world.tenant_id) as session:
            rows = await session.rows(
                "SELECT coalesce(o.code, a.code) AS holder, l.issue_reference, b.quantity_t, "
                "(SELECT sum(e.amount_t) FROM asset_entry e WHERE e.account_id = b.account_id AND e.lot_id = b.lot_id) "
                "AS entries FROM asset_balance b JOIN asset_account a ON a.id = b.account_id "
                "JOIN asset_lot l ON l.id = b.lot_id LEFT JOIN organisation o ON o.id = a.organisation_id "
                "WHERE l.issue_reference LIKE :prefix AND a.kind <> 'ISSUER'",
                {"prefix": self.prefix + "%"},
            )
        assert all(row.entries is None or row.entries == row.quantity_t for row in rows)
        known = {"STEEL": "steel", "CEMENT": "cement"}
        return {
            (known.get(row.holder, row.holder), row.issue_reference.removeprefix(self.prefix)): row.quantity_t
            for row in rows
            if row.quantity_t
        }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(moves(), min_size=1, max_size=4), min_size=1, max_size=6))
async def test_sequences_against_the_model(group: Group, batches: list[list[Move]]) -> None:
    """Two hundred sequences: each posting has the model's outcome, and the balances are the model's in the end."""
    assert group.manager.principal is not None
    actor = Actor(group.manager.principal)
    run, model = Run(group, f"{next(_PREFIXES)}-", {}), Model()
    await run.issue(actor)
    for lot in LOTS:
        model.balances["steel", lot] = STOCK
    service, number = group.world.services.get(PostingService), count()
    for batch in batches:
        # A batch names what it reverses by id, so what the batch itself posts cannot be meant.
        numbered = [(next(number), move) for move in batch]
        before = set(model.posted)
        orders = tuple(run.order(move) for _, move in numbered)
        done = await service.post_all(actor, Batch(orders, all_or_nothing=False))
        for (index, move), row in zip(numbered, done.value.rows, strict=True):
            known = move.reverses is None or move.reverses in before
            expected = model.apply(index, move) if known else "UNKNOWN_TRANSFER"
            assert (row.refusal and row.refusal.code) == expected
            if row.transfer is not None:
                run.posted[index] = row.transfer.id
    assert await run.balances() == {cell: quantity for cell, quantity in model.balances.items() if quantity}
