"""Splitting a lot by its serial numbers, and merging adjacent ones: units stay where they are and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.kit.toolbox import Toolbox
from backend.ledger.accounts.codes import ACCOUNT_NOT_OPEN
from backend.ledger.books import no_lot
from backend.ledger.codes import UNKNOWN_LOT
from backend.ledger.cuts import domain, repository
from backend.ledger.cuts.domain import Cut, MergeLots, Resting, SplitLot
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.posting import require_manager
from backend.ledger.repository import holdings, names, transfers
from backend.ledger.rulebook.repository import not_open
from backend.ledger.values import worded
from tenants.commands import Actor, Change, Done, perform


class CutService:
    """Splits and merges of a tenant's lots."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def split(self, actor: Actor, given: SplitLot) -> Done[Cut]:
        """Cut parts out of a lot that rests wholly in one account; what is left around them become lots too.

        Errors: UNKNOWN_LOT, LOT_CUT, NO_SERIALS, CUT_SIZE, BAD_CUT, LOT_NOT_WHOLE, ACCOUNT_NOT_OPEN, TEXT_TOO_LONG,
        FORBIDDEN.
        """

        async def work(change: Change) -> Cut:
            (found,) = await _resting(change, [given.lot])
            blocks = domain.blocks(found.lot, given.parts)
            await _check_whole(change, [found])
            return await self._cut(change, TransferKind.SPLIT, given.evidence, [found], blocks)

        return await perform(self.toolbox, actor, "splitLot", given, Cut, work)

    async def merge(self, actor: Actor, given: MergeLots) -> Done[Cut]:
        """Join lots of one issue with adjacent numbers in one account.

        Errors: UNKNOWN_LOT, LOT_CUT, NO_SERIALS, CUT_SIZE, NOT_ADJACENT, LOT_NOT_WHOLE, ACCOUNT_NOT_OPEN, FORBIDDEN.
        """

        async def work(change: Change) -> Cut:
            found = await _resting(change, given.lots)
            domain.check_merge(len(found))
            await _check_whole(change, found)
            lots, block = domain.merged(found)
            ordered = [next(r for r in found if r.lot.id == lot.id) for lot in lots]
            return await self._cut(change, TransferKind.MERGE, given.evidence, ordered, [block])

        return await perform(self.toolbox, actor, "mergeLots", given, Cut, work)

    async def _cut(
        self,
        change: Change,
        kind: TransferKind,
        evidence: str,
        old: Sequence[Resting],
        blocks: Sequence[tuple[int, int]],
    ) -> Cut:
        account = await _open(change, old)
        today = self.toolbox.clock.today()
        lots = [r.lot for r in old]
        transfer_id, new = await repository.cut_into(
            change, kind, today, worded(evidence, "evidence"), account, lots, blocks
        )
        return Cut(tuple(new), (await transfers.transfers(change.unit, [transfer_id]))[transfer_id])


async def _resting(change: Change, refs: Sequence[LotRef]) -> list[Resting]:
    """The lots of these names and where they rest; one that is nowhere the caller may reach is not there."""
    named = (await names.look_up(change.unit, (), refs)).lots
    keys: list[UUID] = []
    for ref in refs:
        if ref not in named or not named[ref].standing:
            cut = await repository.in_place_of(change.unit, [ref], change.actor.principal)
            if ref not in named or ref in cut:
                raise no_lot(ref, cut, ("lot",), named.get(ref))
        keys.append(named[ref].id)
    lots = await holdings.lots(change.unit, keys, change.actor.principal)
    at = await repository.resting(change.unit, keys)
    for ref, key in zip(refs, keys, strict=True):
        if key not in lots:
            raise UNKNOWN_LOT(path=("lot",), lot=str(ref))
    return [Resting(lots[key], at.get(key)) for key in dict.fromkeys(keys)]


async def _check_whole(change: Change, old: Sequence[Resting]) -> None:
    """Each rests wholly in one account, and the caller may dispose of it. Errors: FORBIDDEN, LOT_NOT_WHOLE."""
    for resting in old:
        await require_manager(change, resting.account.organisation_id if resting.account else resting.lot.issued_to)
        if resting.account is None:
            raise domain.not_whole(resting.lot)


async def _open(change: Change, old: Sequence[Resting]) -> Account:
    """The account all rest in, when it is open. Errors: ACCOUNT_NOT_OPEN."""
    account = old[0].account
    assert account is not None, "each rests somewhere, and merged lots in one place"
    shut = await not_open(change.unit, [account.id])
    if shut:
        raise ACCOUNT_NOT_OPEN(path=("lot",), account=account.named, state=shut[account.id])
    return account
