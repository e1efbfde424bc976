"""GraphQL of product outputs and intensities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import outputs as domain
from backend.accounting.domain.outputs import IntensityQuestion, NewOutput, NoIntensity, OutputChange
from backend.accounting.graphql.enums import Category
from backend.accounting.service.outputs import OutputService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.rows import all_rows, row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.graphql import Organisation, fetch_organisations

enum_type(NoIntensity)
AnOutput = Annotated["ProductOutput", strawberry.lazy("backend.accounting.graphql.outputs")]


@object_type
class ProductOutput(Node):
    """What was produced in a month; superseded, never edited (产品产量)."""

    record: strawberry.Private[domain.ProductOutput]
    product: str
    """Product."""
    month: Month
    """Month."""
    quantity: Decimal
    """Quantity, in the unit."""
    unit: str
    """Unit: the canonical one where there is one."""
    unit_id: strawberry.ID | None
    """The emission unit that made it; null for the whole organisation."""
    device_id: strawberry.ID | None
    """The device that made it; null where none is named."""
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
    async def organisation(parents: list[AnOutput], info: Info) -> list[Organisation | None]:
        """The organisation; null when the caller may not see it."""
        found = await fetch_organisations(list({p.record.organisation_id for p in parents}), info)
        return [found.get(p.record.organisation_id) for p in parents]

    @batched
    async def documents(parents: list[AnOutput], info: Info) -> list[list[Document]]:
        """The documents that prove it."""
        return await attached("ProductOutput", [p.record.id for p in parents], info)

    @classmethod
    def of(cls, record: domain.ProductOutput) -> ProductOutput:
        unit = to_id("EmissionUnit", record.unit_id) if record.unit_id else None
        device = to_id("EmissionDevice", record.device_id) if record.device_id else None
        own = to_id("ProductOutput", record.id)
        return build(cls, record, id=own, record=record, unit_id=unit, device_id=device)


@row_type
class NewProductOutputInput:
    """An output to record."""

    organisation_id: strawberry.ID
    """The organisation."""
    unit_id: strawberry.ID | None = None
    """The emission unit that made it."""
    device_id: strawberry.ID | None = None
    """The device that made it; its unit is given too."""
    product: str
    """Product."""
    month: Month
    """Month."""
    quantity: Decimal
    """Quantity; not negative."""
    unit: str
    """Unit: t, MWh, GJ … or any other, such as 件; one for a product."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewOutput:
        owner = key_of(self.organisation_id, "Organisation", *path, "organisationId")
        unit = key_of(self.unit_id, "EmissionUnit", *path, "unitId") if self.unit_id else None
        device = key_of(self.device_id, "EmissionDevice", *path, "deviceId") if self.device_id else None
        return build(NewOutput, self, organisation_id=owner, unit_id=unit, device_id=device)


@input_type
class RecordProductOutputsInput(MutationInput):
    """Outputs to record, at most 1000; all or none."""

    rows: list[NewProductOutputInput]
    """The outputs."""


@object_type
class RecordProductOutputsPayload(Payload):
    """What was recorded."""

    outputs: list[ProductOutput]
    """The outputs, in their order."""


@input_type
class ProductOutputChangeInput:
    """What the new version changes; what is left out stays."""

    quantity: Decimal | None = None
    """Quantity, in the unit of the record."""
    evidence: str | None = None
    """Reference of the evidence."""
    note: str | None = None
    """Remark."""

    def command(self) -> OutputChange:
        return build(OutputChange, self)


@input_type
class SupersedeProductOutputInput(MutationInput):
    """A correction of an output."""

    id: strawberry.ID
    """The current version of the record."""
    reason: str
    """Why it is corrected."""
    change: ProductOutputChangeInput | None = None
    """What the new version says; left out, the record is withdrawn."""


@object_type
class SupersedeProductOutputPayload(Payload):
    """The record as it now stands."""

    output: ProductOutput | None = None
    """The new version, or the withdrawn record."""


@object_type
class EmissionIntensity:
    """Emissions per unit of a product, in a month or a year (排放强度)."""

    first_month: Month
    """First month."""
    months: int
    """Length in months: 12 for the year."""
    co2e_t: Decimal
    """Numerator: tCO2e of the categories asked for, of the organisation and all below it at 100 %."""
    output: Decimal
    """Denominator: the output, in the product's unit."""
    unit: str
    """Unit of the intensity."""
    value: Decimal | None
    """The quotient, kept to 18 decimals; null where there is none."""
    shown: str | None
    """As programmes report it: 4 decimals, half up."""
    missing: NoIntensity | None
    """Why there is none."""


@input_type
class EmissionIntensityInput:
    """What to divide by what."""

    organisation_id: strawberry.ID
    """The organisation, with all below it."""
    product: str
    """Product."""
    year: int
    """Calendar year."""
    categories: list[Category] | None = None
    """Categories of the numerator; all six when left out."""
    unit_id: strawberry.ID | None = None
    """Only of this emission unit and what lies below it."""
    device_id: strawberry.ID | None = None
    """Only of this device."""

    def command(self) -> IntensityQuestion:
        owner = key_of(self.organisation_id, "Organisation", "input", "organisationId")
        unit = key_of(self.unit_id, "EmissionUnit", "input", "unitId") if self.unit_id else None
        device = key_of(self.device_id, "EmissionDevice", "input", "deviceId") if self.device_id else None
        categories = tuple(Category) if self.categories is None else tuple(self.categories)
        return IntensityQuestion(owner, self.product, self.year, categories, unit, device)


@object_type
class OutputQueries:
    """Outputs."""

    @query(requires(Permission.EMISSION_READ))
    async def product_outputs(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        product: Annotated[str | None, strawberry.argument(description="Only of this product.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ProductOutput]:
        """Current outputs of an organisation, the latest recorded first."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        request = PageRequest.read(first, after)
        page = await info.context.use(OutputService).page(info.context.principal, owner, product, request)
        return Connection.of(page.map(ProductOutput.of))

    @query(requires(Permission.EMISSION_READ))
    async def emission_intensity(
        self,
        info: Info,
        input: Annotated[EmissionIntensityInput, strawberry.argument(description="What to divide by what.")],
    ) -> list[EmissionIntensity]:
        """The intensity of a year, then of its months."""
        found = await info.context.use(OutputService).intensity(info.context.principal, input.command())
        return [build(EmissionIntensity, i) for i in found]


@object_type
class OutputMutations:
    """Recording outputs."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_product_outputs(self, info: Info, input: RecordProductOutputsInput) -> RecordProductOutputsPayload:
        """Record up to 1000 outputs, all or none."""
        rows = all_rows("rows", input.rows, NewProductOutputInput.command)
        done = await info.context.use(OutputService).record(info.context.actor(input), rows)
        outputs = [ProductOutput.of(o) for o in done.value.made]
        return RecordProductOutputsPayload(errors=[], outputs=outputs, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_product_output(
        self, info: Info, input: SupersedeProductOutputInput
    ) -> SupersedeProductOutputPayload:
        """Replace an output by a corrected version, or withdraw it."""
        key = key_of(input.id, "ProductOutput", "id")
        changed = input.change.command() if input.change else None
        done = await info.context.use(OutputService).supersede(info.context.actor(input), key, input.reason, changed)
        return SupersedeProductOutputPayload(errors=[], output=ProductOutput.of(done.value), replayed=done.replayed)


async def fetch_outputs(keys: Sequence[UUID], info: Info) -> dict[UUID, ProductOutput]:
    found = await info.context.use(OutputService).by_ids(info.context.principal, keys)
    return {key: ProductOutput.of(record) for key, record in found.items()}


NODES = {"ProductOutput": (ProductOutput, fetch_outputs)}
