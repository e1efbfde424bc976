"""GraphQL of the ledger of purchases, stock and sales."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import stock_ledger as domain
from backend.accounting.graphql.measured import (
    After,
    AtOrganisation,
    CauseRecord,
    First,
    OfOneStream,
    Superseded,
    Year,
    fetcher,
    listed,
    shown,
)
from backend.accounting.graphql.rows import read_rows, why
from backend.accounting.graphql.sources import EmissionStream, fetch_streams
from backend.accounting.service.stocks import StockService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload, UserError
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

AGap = Annotated["StockGap", strawberry.lazy("backend.accounting.graphql.stocks")]


@object_type
class StockRow(CauseRecord):
    """A month of the ledger of a stream; consumption is what is left (购产销存台账, 8.2.5.3 note 2)."""

    month: Month
    """The month."""
    unit: str
    """Unit of the parts, as entered."""
    opening: Decimal
    """Stock at the beginning (期初库存)."""
    purchased: Decimal
    """Bought (购入)."""
    produced: Decimal
    """Made by the organisation itself (自产)."""
    closing: Decimal
    """Stock at the end (期末库存)."""
    sold: Decimal
    """Sold (销售)."""
    other_use: Decimal
    """Used outside the source (其他用途)."""
    losses: Decimal
    """Lost (损耗)."""
    consumption: Decimal
    """opening + purchased + produced − closing − sold − other use − losses, in `unit` (消费量)."""
    explanation: str
    """Why it does not continue its neighbours, or why more went than came."""
    quantity: Decimal
    """The consumption in the canonical unit of the stream: the activity."""

    @classmethod
    def of(cls, record: domain.StockRow) -> StockRow:
        return shown(cls, record)


@object_type
class StockGap:
    """A month that opens with something else than the month before closed with."""

    about: strawberry.Private[UUID]
    month: Month
    """The month that opens."""
    closed: Decimal
    """What the month before closed with."""
    opens: Decimal
    """What the month opens with."""
    difference: Decimal
    """Opening less closing."""
    unit: str
    """Canonical unit."""
    explanation: str
    """What was written about it; empty when nothing was."""

    @batched
    async def stream(parents: list[AGap], info: Info) -> list[EmissionStream | None]:
        """The stream."""
        found = await fetch_streams(list({p.about for p in parents}), info)
        return [found.get(p.about) for p in parents]

    @classmethod
    def of(cls, gap: domain.StockGap) -> StockGap:
        return build(cls, gap, about=gap.stream_id)


@input_type
class StockPartsInput:
    """The parts of a month, in one unit, none negative."""

    opening: Decimal = Decimal(0)
    """Stock at the beginning; what the month before closed with."""
    purchased: Decimal = Decimal(0)
    """Bought."""
    produced: Decimal = Decimal(0)
    """Made by the organisation itself."""
    closing: Decimal = Decimal(0)
    """Stock at the end."""
    sold: Decimal = Decimal(0)
    """Sold."""
    other_use: Decimal = Decimal(0)
    """Used outside the source."""
    losses: Decimal = Decimal(0)
    """Lost."""

    def command(self) -> domain.Parts:
        return build(domain.Parts, self)


@row_type
class StockRowInput:
    """A month of the ledger of a stream."""

    stream_id: strawberry.ID
    """The stream."""
    month: Month
    """The month."""
    unit: str
    """Unit of the parts; one that fits the stream."""
    parts: StockPartsInput
    """Stock, purchases, production, sales."""
    explanation: str = ""
    """Explains what would be refused: a gap to a neighbouring month, more sold than there was."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> domain.NewStockRow:
        stream = key_of(self.stream_id, "EmissionStream", *path, "streamId")
        return build(domain.NewStockRow, self, stream_id=stream, parts=self.parts.command())


@input_type
class RecordStocksInput(MutationInput):
    """Rows of the ledger to record, at most 1000."""

    rows: list[StockRowInput]
    """The rows."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""


@object_type
class StockOutcome:
    """What became of one row."""

    row: StockRow | None
    """The ledger row; null when it was refused."""
    error: UserError | None
    """Why it was refused."""


@object_type
class RecordStocksPayload(Payload):
    """What became of each row."""

    outcomes: list[StockOutcome]
    """One per row, in their order."""


@input_type
class StockChangeInput:
    """What a new version of a row says; what is left out stays."""

    parts: StockPartsInput | None = None
    """All parts anew."""
    unit: str | None = None
    """Unit of the parts."""
    explanation: str | None = None
    """Explanation."""
    evidence: str | None = None
    """Reference of the evidence."""
    note: str | None = None
    """Remark."""

    def command(self) -> domain.StockChange:
        return build(domain.StockChange, self, parts=self.parts.command() if self.parts else None)


@input_type
class SupersedeStockInput(MutationInput):
    """A correction of a row of the ledger."""

    id: strawberry.ID
    """The row that stands."""
    reason: str
    """Why it is corrected."""
    change: StockChangeInput | None = None
    """What the new version says; left out, the row and its record are withdrawn."""


@object_type
class SupersedeStockPayload(Payload):
    """The row as it now stands."""

    row: StockRow | None = None
    """The new version, or the withdrawn row."""


@object_type
class StockQueries:
    """The ledger."""

    @query(requires(Permission.EMISSION_READ))
    async def stock_rows(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[StockRow]:  # fmt: skip
        """Rows of the ledger the caller may read, in the order they were recorded."""
        return await listed(
            info, domain.StockRow, StockRow.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def stock_gaps(
        self,
        info: Info,
        organisation_id: Annotated[strawberry.ID, strawberry.argument(description="It and all below it.")],
        year: Year,
        first: First = None,
        after: After = None,
    ) -> Connection[StockGap]:
        """Months of a year that do not open with what the month before closed with, by month."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        page = await info.context.use(StockService).gaps(
            info.context.principal, owner, year, PageRequest.read(first, after)
        )
        return Connection.of(page.map(StockGap.of))


@object_type
class StockMutations:
    """Changes to the ledger."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_stocks(self, info: Info, input: RecordStocksInput) -> RecordStocksPayload:
        """Record up to 1000 months of ledgers with the activity that follows; each row is judged on its own."""
        rows = read_rows(input.rows, StockRowInput.command)
        done = await info.context.use(StockService).record(
            info.context.actor(input), rows, all_or_nothing=input.all_or_nothing
        )
        outcomes = [
            StockOutcome(row=StockRow.of(o.row) if o.row else None, error=why(o.refusal, info))
            for o in done.value.outcomes
        ]
        return RecordStocksPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_stock(self, info: Info, input: SupersedeStockInput) -> SupersedeStockPayload:
        """Replace a row and its activity record by new versions, or withdraw both."""
        key = key_of(input.id, "StockRow", "id")
        change = input.change.command() if input.change else None
        done = await info.context.use(StockService).supersede(info.context.actor(input), key, input.reason, change)
        return SupersedeStockPayload(errors=[], row=StockRow.of(done.value), replayed=done.replayed)


NODES = {"StockRow": (StockRow, fetcher(domain.StockRow, StockRow.of))}
