"""GraphQL of explanations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import strawberry
from strawberry import UNSET

from backend.accounting.domain import explain as domain
from backend.accounting.domain.explain import ExplainKind, read_key
from backend.accounting.graphql.enums import Category
from backend.accounting.service.explain import ExplainService, SourceSubject, TotalSubject
from backend.accounting.service.grounds import GroundService
from backend.kit.graphql.fields import batched, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, enum_type, input_type, object_type, one_of_input_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import ConsolidationApproach
from tenants.graphql.types import After, First

enum_type(ExplainKind)
ANode = Annotated["ExplainNode", strawberry.lazy("backend.accounting.graphql.explain")]

_TYPES: Final = {
    ExplainKind.TOTAL: "Organisation",
    ExplainKind.OWN: "Organisation",
    ExplainKind.SOURCE: "EmissionSource",
    ExplainKind.STREAM_MONTH: "EmissionStream",
    ExplainKind.DECLARED_RESULT: "DeclaredResult",
    ExplainKind.RECORD: "ActivityRecord",
    ExplainKind.FACTOR: "EmissionFactor",
    ExplainKind.PARAMETER: "PlanParameter",
    ExplainKind.DOCUMENT: "Document",
    ExplainKind.INVENTORY: "Inventory",
    ExplainKind.FROZEN: "Inventory",
    ExplainKind.SIGNATURE: "Member",
    ExplainKind.STOCK_ROW: "StockRow",
    ExplainKind.METER_MONTH: "MeterMonth",
    ExplainKind.METER_READING: "MeterReading",
    ExplainKind.INSTRUMENT: "Instrument",
    ExplainKind.STACK_MONTH: "StackMonth",
    ExplainKind.QUALITY_MEAN: "StreamBasis",
    ExplainKind.MATERIAL_BATCH: "MaterialBatch",
}


@object_type
class ExplainNode:
    """A node of an explanation. Its children add up to it exactly; what it rests on is not added (溯源节点)."""

    record: strawberry.Private[domain.Explained]
    id: strawberry.ID
    """Opaque; a node that has children is found again by it (ExplainSubject.node)."""
    kind: ExplainKind
    """What it is."""
    label: str
    """What it is called, in the language of the request."""
    detail: str
    """How it came about, in a few words; may be empty."""
    value: Decimal | None
    """Its value; null where it is no number."""
    unit: str
    """Unit of the value: tCO2e for whatever is added; empty where there is no value."""
    share: Decimal | None
    """Its share of the node it adds to, a fraction of 1 with 6 decimals; null where that is 0, or it adds to none."""
    part: Decimal
    """The part of the organisation's emissions that counts, a fraction of 1; values are multiplied by it already."""
    records: int
    """How many records it is made of; 0 for what is not added."""
    subject_id: strawberry.ID | None
    """Global id of the object it is about, where it is about one."""

    @batched
    async def children(
        parents: list[ANode], info: Info, first: First = None, after: After = None
    ) -> list[Connection[ANode] | None]:
        """Its summands, in its own unit. Null where the caller may see the sum and not what it is made of."""
        request = PageRequest.read(first, after)
        service = info.context.use(ExplainService)
        pages = await service.children(info.context.principal, [p.record for p in parents], request)
        return [
            Connection.of(page.map(lambda n: ExplainNode.of(n, info))) if page is not None else None for page in pages
        ]

    @batched
    async def grounds(parents: list[ANode], info: Info) -> list[list[ANode]]:
        """What it rests on: coefficient, steps, factors, evidence, inventory, signatures, the ledger row, meters or
        stack a record follows from, the batches of a mean; none without the right.
        """
        found = await info.context.use(GroundService).grounds(info.context.principal, [p.record for p in parents])
        return [[ExplainNode.of(n, info) for n in some] for some in found]

    @classmethod
    def of(cls, record: domain.Explained, info: Info) -> ExplainNode:
        about = _TYPES.get(record.kind)
        hidden = record.label is domain.HIDDEN
        return build(
            cls,
            record,
            record=record,
            id=strawberry.ID(record.key),
            label=record.label.said(info.context.locale),
            detail=record.detail.said(info.context.locale),
            subject_id=to_id(about, record.subject_id) if about and not hidden else None,
        )


@input_type
class ExplainTotal:
    """The total of an organisation with all below it."""

    organisation_id: strawberry.ID
    """The organisation."""
    year: int
    """Calendar year."""
    category: Category | None = None
    """Only this category; all that the organisation's boundary accounts when left out."""
    approach: ConsolidationApproach | None = None
    """How the parts are put together; that of the organisation's boundary when left out."""

    def command(self) -> TotalSubject:
        owner = key_of(self.organisation_id, "Organisation", "subject", "total", "organisationId")
        return build(TotalSubject, self, organisation_id=owner)


@input_type
class ExplainSource:
    """What a source emitted."""

    source_id: strawberry.ID
    """The source."""
    year: int
    """Calendar year."""

    def command(self) -> SourceSubject:
        return build(SourceSubject, self, source_id=key_of(self.source_id, "EmissionSource", "subject", "sourceId"))


@one_of_input_type
class ExplainSubject:
    """What to explain: exactly one of these."""

    total: ExplainTotal | None = UNSET
    """A total of an organisation."""
    source: ExplainSource | None = UNSET
    """A total of a source."""
    inventory: strawberry.ID | None = UNSET
    """A frozen inventory, as it was submitted last: the records and coefficients of then, whatever became of them."""
    node: str | None = UNSET
    """A node of an explanation that has children, by its id."""


@object_type
class ExplainQueries:
    """Explanations."""

    @query(requires(Permission.TOTALS_READ, Permission.EMISSION_READ))
    async def explain(
        self,
        info: Info,
        subject: Annotated[ExplainSubject, strawberry.argument(description="What to explain.")],
    ) -> ExplainNode:
        """Where a total comes from, level by level, down to records, coefficients, factors, evidence and approver.

        A total is the one that consolidation finds for the year: the tree and ownership of its last day, the
        approach and the categories of the boundary. Errors: NOT_FOUND, FORBIDDEN.
        """
        service, principal = info.context.use(ExplainService), info.context.principal
        if subject.total:
            found = await service.total(principal, subject.total.command())
        elif subject.source:
            found = await service.source(principal, subject.source.command())
        elif subject.inventory:
            key = key_of(subject.inventory, "Inventory", "subject", "inventory")
            found = await service.inventory(principal, key)
        else:
            found = await service.node(principal, read_key(subject.node or ""))
        return ExplainNode.of(found, info)
