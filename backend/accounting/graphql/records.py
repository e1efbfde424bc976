"""GraphQL of activity records and declared results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import records as domain
from backend.accounting.domain.records import (
    DERIVED,
    ActivityChange,
    BatchOrigin,
    Method,
    NewActivity,
    NewDeclaredResult,
    RecordFilter,
    ResultChange,
)
from backend.accounting.graphql.coefficients import Coefficient
from backend.accounting.graphql.sources import (
    EmissionSource,
    EmissionStream,
    coefficients,
    fetch_sources,
    fetch_streams,
)
from backend.accounting.service.activity import ActivityService
from backend.accounting.service.declared import DeclaredResultService
from backend.accounting.service.measurements import MeasurementReader
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from tenants.context import Info
from tenants.domain import GwpSet

enum_type(BatchOrigin, name="ActivityOrigin")

ARecord = Annotated["ActivityRecord", strawberry.lazy("backend.accounting.graphql.records")]
AResult = Annotated["DeclaredResult", strawberry.lazy("backend.accounting.graphql.records")]


@object_type
class ActivityRecord(Node):
    """A recorded quantity of a stream in a month; superseded, never edited (活动数据)."""

    record: strawberry.Private[domain.ActivityRecord]
    month: Month
    """The month it belongs to."""
    occurred_on: date
    """The day it counts on; the first of the month when none was named."""
    quantity: Decimal
    """The quantity in the canonical unit; negative where something is exported or sold on."""
    unit: str
    """The canonical unit."""
    entered_quantity: Decimal
    """The number as it was entered."""
    entered_unit: str
    """The unit as it was entered."""
    evidence: str
    """Reference of the evidence: an invoice, a meter, a ledger."""
    note: str
    """Remark."""
    recorded_at: datetime
    """When it was recorded."""
    superseded_at: datetime | None
    """When it was replaced or withdrawn; null while it is current."""
    superseded_because: str | None
    """Why."""
    origin: BatchOrigin
    """How it came in; STOCK, METER and MONITOR follow from something else."""

    @batched
    async def follows_from_id(parents: list[ARecord], info: Info) -> list[strawberry.ID | None]:
        """What it follows from (a StockRow, MeterMonth or StackMonth); null for what was entered or imported."""
        derived = [p.record.id for p in parents if p.record.origin in DERIVED]
        found = await info.context.use(MeasurementReader).causes(info.context.principal, derived) if derived else {}
        return [to_id(*found[p.record.id]) if p.record.id in found else None for p in parents]

    @batched
    async def source(parents: list[ARecord], info: Info) -> list[EmissionSource | None]:
        """The source it belongs to."""
        found = await fetch_sources(list({p.record.source_id for p in parents}), info)
        return [found.get(p.record.source_id) for p in parents]

    @batched
    async def stream(parents: list[ARecord], info: Info) -> list[EmissionStream | None]:
        """The stream it belongs to."""
        found = await fetch_streams(list({p.record.stream_id for p in parents}), info)
        return [found.get(p.record.stream_id) for p in parents]

    @batched
    async def coefficient(parents: list[ARecord], info: Info) -> list[Coefficient | None]:
        """What the quantity is multiplied by, explained."""
        streams = await fetch_streams(list({p.record.stream_id for p in parents}), info)
        reachable = [p.record for p in parents if p.record.stream_id in streams]
        wanted = [(streams[r.stream_id].record, r.month, r.month) for r in reachable]
        found = dict(zip((r.id for r in reachable), await coefficients(info, wanted), strict=True))
        return [found.get(p.record.id) for p in parents]

    @batched
    async def documents(parents: list[ARecord], info: Info) -> list[list[Document]]:
        """The documents that prove it."""
        return await attached("ActivityRecord", [p.record.id for p in parents], info)

    @batched
    async def history(parents: list[ARecord], info: Info) -> list[list[ARecord]]:
        """All versions of this record, oldest first."""
        lines = [p.record.line_id for p in parents]
        found = await info.context.use(ActivityService).versions(info.context.principal, lines)
        return [[ActivityRecord.of(r) for r in found[line]] for line in lines]

    @classmethod
    def of(cls, record: domain.ActivityRecord) -> ActivityRecord:
        return build(cls, record, id=to_id("ActivityRecord", record.id), record=record)


@object_type
class DeclaredResult(Node):
    """A result that was measured or worked out elsewhere; superseded, never edited (申报结果)."""

    record: strawberry.Private[domain.DeclaredResult]
    first_month: Month
    """First month of the period."""
    months: int
    """Length of the period in months."""
    gas: str
    """Gas: CO2, CH4, N2O, HFC-134a, … or CO2E; CO2_BIOGENIC is kept beside the total."""
    mass_t: Decimal
    """Mass of the gas, tonnes."""
    method: Method
    """How it was obtained."""
    gwp_set: GwpSet
    """The set of global warming potentials applied."""
    gwp: Decimal
    """The potential applied, tCO2e per tonne."""
    co2e_t: Decimal
    """CO2 equivalent, tonnes."""
    evidence: str
    """Reference of the evidence."""
    note: str
    """Remark."""
    recorded_at: datetime
    """When it was recorded."""
    superseded_at: datetime | None
    """When it was replaced or withdrawn; null while it is current."""
    superseded_because: str | None
    """Why."""

    @batched
    async def source(parents: list[AResult], info: Info) -> list[EmissionSource | None]:
        """The source it belongs to."""
        found = await fetch_sources(list({p.record.source_id for p in parents}), info)
        return [found.get(p.record.source_id) for p in parents]

    @batched
    async def documents(parents: list[AResult], info: Info) -> list[list[Document]]:
        """The documents that prove it."""
        return await attached("DeclaredResult", [p.record.id for p in parents], info)

    @batched
    async def history(parents: list[AResult], info: Info) -> list[list[AResult]]:
        """All versions of this result, oldest first."""
        lines = [p.record.line_id for p in parents]
        found = await info.context.use(DeclaredResultService).versions(info.context.principal, lines)
        return [[DeclaredResult.of(r) for r in found[line]] for line in lines]

    @classmethod
    def of(cls, record: domain.DeclaredResult) -> DeclaredResult:
        return build(cls, record, id=to_id("DeclaredResult", record.id), record=record)


@input_type
class EmissionRecordFilter:
    """Which records to list; what is left out does not narrow."""

    organisation_id: strawberry.ID | None = None
    """Only of this organisation and all below it."""
    source_id: strawberry.ID | None = None
    """Only of this source."""
    from_month: Month | None = None
    """Only from this month on (a declared result: by its first month)."""
    to_month: Month | None = None
    """Only up to this month."""
    known_at: datetime | None = None
    """As known at this moment: what had been recorded and not superseded by then."""
    superseded: bool = False
    """All versions, superseded ones too."""

    def command(self) -> RecordFilter:
        owner, source = self.organisation_id, self.source_id
        return build(
            RecordFilter,
            self,
            organisation_id=key_of(owner, "Organisation", "filter", "organisationId") if owner else None,
            source_id=key_of(source, "EmissionSource", "filter", "sourceId") if source else None,
        )


@row_type
class NewActivityInput:
    """A quantity of a stream in a month, as it is written on the paper."""

    source_id: strawberry.ID
    """The source."""
    stream: str | None = None
    """Code of the stream; may be left out where the source has only one."""
    month: Month
    """The month it belongs to."""
    occurred_on: date | None = None
    """The day, for a stream that is recorded by day or delivery; it lies in the month."""
    quantity: str
    """The number, in digits of either width and without separators: "1234.5". Negative for export or resale."""
    unit: str
    """Its unit: t, kg, 吨, 1e4Nm3, 万立方米, MWh, kWh, 万kWh, GJ, TJ …"""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewActivity:
        return build(NewActivity, self, source_id=key_of(self.source_id, "EmissionSource", *path, "sourceId"))


@row_type
class NewDeclaredResultInput:
    """A mass of one gas over a period."""

    source_id: strawberry.ID
    """The source."""
    first_month: Month
    """First month of the period."""
    months: int = 1
    """Length of the period, 1 to 12 months of one calendar year."""
    gas: str
    """Gas: CO2, CH4, N2O, HFC-134a, SF6, … or CO2E, or CO2_BIOGENIC."""
    mass_t: Decimal
    """Mass of the gas, tonnes."""
    method: Method
    """How it was obtained."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewDeclaredResult:
        return build(NewDeclaredResult, self, source_id=key_of(self.source_id, "EmissionSource", *path, "sourceId"))


@input_type
class ActivityChangeInput:
    """What the new version changes; what is left out stays."""

    month: Month | None = None
    """The month it belongs to."""
    quantity: str | None = None
    """The number."""
    unit: str | None = None
    """Its unit."""
    evidence: str | None = None
    """Reference of the evidence."""
    note: str | None = None
    """Remark."""

    def command(self) -> ActivityChange:
        return build(ActivityChange, self)


@input_type
class DeclaredResultChangeInput:
    """What the new version changes; what is left out stays. The gas stays: withdraw the result instead."""

    first_month: Month | None = None
    """First month of the period."""
    months: int | None = None
    """Length of the period in months."""
    mass_t: Decimal | None = None
    """Mass of the gas, tonnes."""
    method: Method | None = None
    """How it was obtained."""
    gwp_set: GwpSet | None = None
    """The set of global warming potentials."""
    evidence: str | None = None
    """Reference of the evidence."""
    note: str | None = None
    """Remark."""

    def command(self) -> ResultChange:
        return build(ResultChange, self)


async def fetch_activity(keys: Sequence[UUID], info: Info) -> dict[UUID, ActivityRecord]:
    found = await info.context.use(ActivityService).by_ids(info.context.principal, keys)
    return {key: ActivityRecord.of(record) for key, record in found.items()}


async def fetch_declared(keys: Sequence[UUID], info: Info) -> dict[UUID, DeclaredResult]:
    found = await info.context.use(DeclaredResultService).by_ids(info.context.principal, keys)
    return {key: DeclaredResult.of(record) for key, record in found.items()}


NODES = {"ActivityRecord": (ActivityRecord, fetch_activity), "DeclaredResult": (DeclaredResult, fetch_declared)}
