"""GraphQL of batches with quality, their means, and the bases that follow."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain import quality_batches as domain
from backend.accounting.domain.means import State
from backend.accounting.domain.quality_batches import NewBatch, QualityBasis, QualityParameter
from backend.accounting.graphql.choosing import EmissionChanges
from backend.accounting.graphql.measured import (
    After,
    AtOrganisation,
    First,
    OfOneStream,
    StreamRecord,
    Superseded,
    Year,
    fetcher,
    listed,
    shown,
)
from backend.accounting.graphql.methods import StreamBasis
from backend.accounting.graphql.rows import read_rows, why
from backend.accounting.service.material_batches import BatchService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload, UserError
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(State, name="MaterialPhase")
enum_type(QualityParameter)
enum_type(QualityBasis)


@object_type
class QualityResult:
    """What a laboratory found."""

    parameter: QualityParameter
    """What."""
    value: Decimal
    """The value, as written."""
    unit: str
    """Its unit."""
    basis: QualityBasis
    """The state of the sample."""


@object_type
class MaterialBatch(StreamRecord):
    """A batch of a fuel or material that was received or used, and its quality."""

    day: date
    """Day it was received or used."""
    code: str
    """Code, unique in the stream and day."""
    phase: State
    """How it weighs in the mean of the month: a solid by quantity, tests of a fluid alike."""
    mix: str
    """Mix, for clinker of several; otherwise empty."""
    unit: str
    """Unit as entered."""
    quantity: Decimal
    """Quantity, in the canonical unit of the stream."""
    laboratory: str
    """Laboratory."""
    report: str
    """Number of the report."""
    results: list[QualityResult]
    """What was found."""

    @classmethod
    def of(cls, record: domain.MaterialBatch) -> MaterialBatch:
        return shown(cls, record, results=[build(QualityResult, r) for r in record.results])


@object_type
class BatchValue:
    """What a batch adds to a mean."""

    batch_id: strawberry.ID
    """The batch."""
    code: str
    """Its code."""
    value: Decimal
    """Its value on the as-received basis."""
    weight: Decimal
    """Its weight in the mean of the month."""
    defaulted: bool
    """Whether it was not analysed and takes the punitive default."""

    @classmethod
    def of(cls, value: domain.BatchValue) -> BatchValue:
        return build(cls, value, batch_id=to_id("MaterialBatch", value.batch_id))


@object_type
class QualityMean:
    """The mean of a parameter in a month, or in the year."""

    month: Month | None
    """The month; null: the year, weighted by what each month consumed."""
    parameter: QualityParameter
    """What."""
    mix: str
    """Mix."""
    unit: str
    """Unit."""
    value: Decimal
    """The mean, 12 decimals; what is computed with."""
    shown: Decimal
    """As the programme shows it; for display only."""
    weight: Decimal
    """What was consumed in the month: its weight in the year."""
    defaulted: bool
    """Whether a default is in it."""
    batches: list[BatchValue]
    """The batches it is made of."""
    untested: list[str]
    """Codes of batches left out, without a value and a default."""

    @classmethod
    def of(cls, mean: domain.QualityMean) -> QualityMean:
        batches = [BatchValue.of(b) for b in mean.batches]
        return build(cls, mean, batches=batches, untested=list(mean.untested))


@input_type
class QualityResultInput:
    """What a laboratory found."""

    parameter: QualityParameter
    """What."""
    value: Decimal
    """The value."""
    unit: str
    """Its unit: GJ/t, kJ/kg, tC/t, % …"""
    basis: QualityBasis = QualityBasis.AR
    """The state of the sample."""


@row_type
class MaterialBatchInput:
    """A batch of a stream."""

    stream_id: strawberry.ID
    """The stream."""
    day: date
    """Day it was received or used."""
    code: str
    """Code, unique in the stream and day."""
    quantity: Decimal
    """Quantity."""
    unit: str
    """Its unit; one that fits the stream."""
    results: list[QualityResultInput] = strawberry.field(default_factory=list)
    """What was found; each parameter once."""
    phase: State | None = None
    """FLUID for liquids; a gas is a fluid and everything else a solid when not given."""
    mix: str = ""
    """Mix, for clinker of several."""
    laboratory: str = ""
    """Laboratory."""
    report: str = ""
    """Number of the report."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewBatch:
        stream = key_of(self.stream_id, "EmissionStream", *path, "streamId")
        return build(
            NewBatch, self, stream_id=stream, results=tuple(build(domain.QualityResult, r) for r in self.results)
        )


@input_type
class RecordMaterialBatchesInput(MutationInput):
    """Batches to record, at most 1000."""

    rows: list[MaterialBatchInput]
    """The batches."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""


@object_type
class MaterialBatchOutcome:
    """What became of one row."""

    batch: MaterialBatch | None
    """The batch; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""


@object_type
class RecordMaterialBatchesPayload(Payload):
    """What became of each row."""

    outcomes: list[MaterialBatchOutcome]
    """One per row, in their order."""


@input_type
class SupersedeMaterialBatchInput(MutationInput):
    """A batch to correct or withdraw."""

    id: strawberry.ID
    """The batch that stands."""
    reason: str
    """Why."""
    change: MaterialBatchInput | None = None
    """What takes its place, of the same stream; withdrawn when not given."""


@object_type
class SupersedeMaterialBatchPayload(Payload):
    """The batch as it now stands."""

    batch: MaterialBatch | None = None
    """The new version, or the withdrawn batch."""


@input_type
class ApplyQualityMeansInput(MutationInput):
    """A month of a stream to account by the mean of its batches."""

    stream_id: strawberry.ID
    """The stream."""
    month: Month
    """The month."""
    parameter: QualityParameter
    """NCV or CARBON."""
    reason: str = ""
    """Why; needed where results change or another basis is replaced."""


@object_type
class ApplyQualityMeansPayload(Payload):
    """The mean, the basis it became, and what changes with it."""

    mean: QualityMean | None = None
    """The mean."""
    basis: StreamBasis | None = None
    """The basis."""
    changes: EmissionChanges | None = None
    """What changes."""


@object_type
class BatchQueries:
    """Batches."""

    @query(requires(Permission.EMISSION_READ))
    async def material_batches(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[MaterialBatch]:  # fmt: skip
        """Batches the caller may read, in the order they were recorded."""
        return await listed(
            info, domain.MaterialBatch, MaterialBatch.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def quality_means(
        self,
        info: Info,
        stream_id: Annotated[strawberry.ID, strawberry.argument(description="The stream.")],
        year: Year,
    ) -> list[QualityMean]:
        """The weighted means of what was found in the batches of a year, month by month and of the year."""
        key = key_of(stream_id, "EmissionStream", "streamId")
        found = await info.context.use(BatchService).means(info.context.principal, key, year)
        return [QualityMean.of(mean) for mean in found]


@object_type
class BatchMutations:
    """Changes to batches."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_material_batches(
        self, info: Info, input: RecordMaterialBatchesInput
    ) -> RecordMaterialBatchesPayload:
        """Record up to 1000 batches with their quality; each row is judged on its own."""
        rows = read_rows(input.rows, MaterialBatchInput.command)
        done = await info.context.use(BatchService).record(
            info.context.actor(input), rows, all_or_nothing=input.all_or_nothing
        )
        outcomes = [
            MaterialBatchOutcome(batch=MaterialBatch.of(o.batch) if o.batch else None, error=why(o.refusal, info))
            for o in done.value.outcomes
        ]
        return RecordMaterialBatchesPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_material_batch(
        self, info: Info, input: SupersedeMaterialBatchInput
    ) -> SupersedeMaterialBatchPayload:
        """Put another version in the place of a batch, or withdraw it; bases applied before stay until applied anew."""
        key = key_of(input.id, "MaterialBatch", "id")
        new = input.change.command("change") if input.change else None
        done = await info.context.use(BatchService).supersede(info.context.actor(input), key, input.reason, new)
        return SupersedeMaterialBatchPayload(errors=[], batch=MaterialBatch.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def apply_quality_means(self, info: Info, input: ApplyQualityMeansInput) -> ApplyQualityMeansPayload:
        """Account a month of a stream by the mean of its batches: measured NCV or measured carbon."""
        stream = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(BatchService).apply(
            info.context.actor(input), stream, input.month, input.parameter, input.reason
        )
        return ApplyQualityMeansPayload(
            errors=[],
            mean=QualityMean.of(done.value.mean),
            basis=StreamBasis.of(done.value.basis),
            changes=EmissionChanges.of(done.value.changes),
            replayed=done.replayed,
        )


NODES = {"MaterialBatch": (MaterialBatch, fetcher(domain.MaterialBatch, MaterialBatch.of))}
