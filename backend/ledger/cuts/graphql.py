"""GraphQL of splits and merges."""

from __future__ import annotations

from typing import Final, Self

import strawberry

from backend.kit.graphql.fields import mutation
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import input_type, object_type
from backend.ledger.cuts.domain import Cut, MergeLots, SplitLot
from backend.ledger.cuts.service import CutService
from backend.ledger.graphql_legs import LotRefInput, SerialRangeInput
from backend.ledger.graphql_types import AssetLot, AssetTransfer
from tenants.access import Permission
from tenants.commands import Done
from tenants.context import Info, requires

_MOVE: Final = requires(Permission.ASSET_MANAGE, Permission.ASSET_SYNC)


@input_type
class SplitLotInput(MutationInput):
    """Parts to cut out of a lot."""

    lot: LotRefInput
    """The lot; it rests wholly and free in one account."""
    parts: list[SerialRangeInput]
    """1 to 50 parts that do not overlap; what is left around them become lots too."""
    evidence: str = ""
    """Reference of the document that proves it."""

    def command(self) -> SplitLot:
        parts = tuple((int(part.first), int(part.last)) for part in self.parts)
        return SplitLot(self.lot.ref("lot"), parts, self.evidence)


@input_type
class MergeLotsInput(MutationInput):
    """Lots to join."""

    lots: list[LotRefInput]
    """2 to 50 lots of one issue with adjacent serial numbers, each wholly and free in one account, the same."""
    evidence: str = ""
    """Reference of the document that proves it."""

    def command(self) -> MergeLots:
        return MergeLots(tuple(lot.ref("lots", str(i)) for i, lot in enumerate(self.lots)), self.evidence)


@object_type
class LotCutPayload(Payload):
    """The lots that came of it."""

    lots: list[AssetLot] = strawberry.field(default_factory=list)
    """The new lots, in the order of their serial numbers; each is referred to as the old one, with its numbers."""
    transfer: AssetTransfer | None = None
    """The transfer: the old lots out, the new ones in, in the same account."""

    @classmethod
    def of(cls, done: Done[Cut]) -> Self:
        lots = [AssetLot.of(lot) for lot in done.value.lots]
        return cls(
            errors=[],
            lots=lots,
            transfer=AssetTransfer.of(done.value.transfer, done.value.lots),
            replayed=done.replayed,
        )


@object_type
class SplitLotPayload(LotCutPayload):
    """The parts of the lot."""


@object_type
class MergeLotsPayload(LotCutPayload):
    """The joined lot."""


@object_type
class Mutations:
    """Root mutations that cut lots."""

    @mutation(_MOVE)
    async def split_lot(self, info: Info, input: SplitLotInput) -> SplitLotPayload:
        """Cut a lot by its serial numbers, so that a part can be moved or used up by itself (拆分)."""
        done = await info.context.use(CutService).split(info.context.actor(input), input.command())
        return SplitLotPayload.of(done)

    @mutation(_MOVE)
    async def merge_lots(self, info: Info, input: MergeLotsInput) -> MergeLotsPayload:
        """Join lots of adjacent serial numbers (合并)."""
        done = await info.context.use(CutService).merge(info.context.actor(input), input.command())
        return MergeLotsPayload.of(done)
