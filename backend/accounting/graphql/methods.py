"""GraphQL of methods: what there is, what a stream is accounted by, and how the classes of a source compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import bases as bases_domain
from backend.accounting.domain import choices as choices_domain
from backend.accounting.domain import comparison as comparison_domain
from backend.accounting.domain.comparison import DataState
from backend.accounting.domain.methods.registry import METHODS
from backend.accounting.domain.methods.spec import Constant, MethodSpec, ParameterSpec
from backend.accounting.domain.revisions import Piece
from backend.accounting.domain.sources import Stream
from backend.accounting.graphql.coefficients import Coefficient
from backend.accounting.graphql.enums import Category, DirectKind, Flow, Method, MethodKind
from backend.accounting.service.coefficients import CoefficientService
from backend.accounting.service.methods import MethodService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, query
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, object_type
from tenants.context import Info, SignedIn

enum_type(DataState, name="MethodDataState")

ABasis = Annotated["StreamBasis", strawberry.lazy("backend.accounting.graphql.methods")]


@object_type
class ParameterUnit:
    """A unit a parameter may be given in, and what is plausible in it; any unit of the same dimension is read."""

    unit: str
    """The unit."""
    lowest: Decimal | None
    """Lowest plausible value."""
    highest: Decimal | None
    """Highest plausible value."""


@object_type
class MethodParameter:
    """A parameter of a method (参数)."""

    name: str
    """By which it is given."""
    symbol: str
    """Its symbol in formulas."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    required: bool
    """Whether it must be given: nothing stands in for it."""
    units: list[ParameterUnit]
    """Units that fit."""
    default: str | None
    """What stands in for it: a value that a guide fixes, or which value of the library; null without a default."""

    @classmethod
    def of(cls, spec: ParameterSpec) -> MethodParameter:
        default = None
        if isinstance(spec.default, Constant):
            default = f"{spec.default.value} {spec.default.unit}"
        elif spec.default is not None:
            default = spec.default.code or spec.default.parameter.value
        return build(cls, spec, units=[build(ParameterUnit, r) for r in spec.units], default=default)


@object_type
class MethodDescription:
    """A method: what it takes and where it fits, for building forms (核算方法)."""

    kind: MethodKind
    """The method."""
    method: Method
    """The class of the standard it belongs to (8.2.5)."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    source: str
    """Clause or guide it follows."""
    parameters: list[MethodParameter]
    """What it takes."""
    units: list[str]
    """Canonical units of the activity it fits."""
    flows: list[Flow]
    """Carbon flows it fits."""
    categories: list[Category]
    """Categories of sources it fits."""
    direct_kinds: list[DirectKind]
    """Direct kinds it fits, where the category is DIRECT."""
    takes_gas: bool
    """Whether it can be told which gas it accounts."""
    needs_gas: bool
    """Whether it must be."""
    takes_formula: bool
    """Whether it takes a formula of the tenant's own: signs + − × ÷ ^ % and brackets, min, max, round, sqrt, `k` for
    44/12 tCO2/tC, NCV, CC, OF and EF of the library, names of parameters (Chinese ones too); units are checked."""
    needs_material: bool
    """Whether the stream must name a material of the library."""

    @classmethod
    def of(cls, spec: MethodSpec) -> MethodDescription:
        return build(
            cls,
            spec,
            parameters=[MethodParameter.of(p) for p in spec.parameters],
            units=list(spec.units),
            flows=[f for f in Flow if f in spec.flows],
            categories=[c for c in Category if c in spec.categories],
            direct_kinds=[k for k in DirectKind if k in spec.direct_kinds and Category.DIRECT in spec.categories],
        )


@object_type
class BasisParameter:
    """A parameter as it was given."""

    name: str
    """Its name in the method."""
    value: Decimal
    """The value."""
    unit: str
    """Its unit."""
    source: str
    """Where it comes from."""


@object_type
class StreamBasis(Node):
    """By which method, and with which parameters, a stream is accounted in a span of months (核算依据)."""

    record: strawberry.Private[bases_domain.StreamBasis]
    kind: MethodKind
    """The method."""
    method: Method
    """Its class."""
    parameters: list[BasisParameter]
    """What was given; for the rest the defaults of the method hold."""
    gas: str
    """The gas it accounts, where the method asks for one."""
    formula: str
    """The formula, where it is the tenant's own."""
    first_month: Month
    """First month it holds in."""
    last_month: Month | None
    """Last month; null: until another is set."""
    reason: str
    """Why it was set."""
    evidence: str
    """Reference of the evidence."""
    recorded_at: datetime
    """When it was recorded."""
    superseded_at: datetime | None
    """When it was replaced or withdrawn; null while it holds."""
    superseded_because: str | None
    """Why."""

    @batched
    async def documents(parents: list[ABasis], info: Info) -> list[list[Document]]:
        """The documents that prove it."""
        return await attached("StreamBasis", [p.record.id for p in parents], info)

    @classmethod
    def of(cls, record: bases_domain.StreamBasis) -> StreamBasis:
        return build(
            cls,
            record,
            id=to_id("StreamBasis", record.id),
            record=record,
            parameters=[build(BasisParameter, p) for p in record.parameters],
            first_month=record.span.first,
            last_month=record.span.last,
        )


@object_type
class SourceMethod:
    """Which class of method counts, or counted, for a source in a span of months."""

    method: Method
    """The class."""
    first_month: Month
    """First month."""
    last_month: Month | None
    """Last month; null: until another is chosen."""
    reason: str
    """Why it was chosen; empty where it follows the precedence."""
    recorded_at: datetime
    """When it was chosen."""
    superseded_at: datetime | None
    """When another choice took its place; null while it holds."""
    superseded_because: str | None
    """Why."""

    @classmethod
    def of(cls, record: choices_domain.SourceMethod) -> SourceMethod:
        return build(cls, record, first_month=record.span.first, last_month=record.span.last)


@object_type
class StreamCoefficient:
    """A coefficient of a stream for months of a year, of one class."""

    method: Method
    """The class."""
    first_month: Month
    """First month it holds in."""
    last_month: Month
    """Last month it holds in."""
    coefficient: Coefficient
    """The coefficient, with its derivation."""

    @classmethod
    def of(cls, piece: Piece, info: Info) -> StreamCoefficient:
        return build(cls, piece, coefficient=Coefficient.of(piece.coefficient, info))


@object_type
class MethodMonth:
    """What one class of method says of a source in a month, beside the class that counts."""

    month: Month
    """The month."""
    method: Method
    """The class."""
    counts: bool
    """Whether it is the one that counts."""
    co2e_t: Decimal | None
    """Tonnes of CO2 equivalent; null when nothing is known."""
    state: DataState
    """Whether its data are complete."""
    no_quantity: list[str]
    """Codes of streams of the class that have no quantity for the month."""
    no_basis: list[str]
    """Codes of streams of the class that have no basis for the month."""
    divergence_t: Decimal | None
    """Its tonnes less those that count."""
    divergence: Decimal | None
    """The same as a share of what counts, 6 decimals; null where what counts is 0."""
    alarm: bool
    """Whether both are complete and the divergence is beyond the threshold (6.2.3 note 3)."""

    @classmethod
    def of(cls, record: comparison_domain.Compared) -> MethodMonth:
        figure = record.figure
        lacking = {"no_quantity": list(figure.no_quantity), "no_basis": list(figure.no_basis)}
        beside = {"divergence_t": record.divergence_t, "divergence": record.share, "alarm": record.alarm}
        return build(cls, figure, **lacking, **beside)


@object_type
class MethodYear:
    """A class of method over a year."""

    method: Method
    """The class."""
    co2e_t: Decimal
    """Tonnes of CO2 equivalent, results declared for longer than a month with them."""
    months: int
    """Over how many months."""
    complete: bool
    """Whether these are all twelve, and complete."""


@object_type
class MethodComparison:
    """The classes of method of a source side by side (6.2.3 note 3)."""

    year: int
    """The year."""
    threshold: Decimal
    """From which share a divergence raises an alarm: the source's own, else the materiality of its boundary."""
    alarms: int
    """How many months of a class raise one."""
    months: list[MethodMonth]
    """By month and class."""
    totals: list[MethodYear]
    """By class."""
    without_result: list[Month]
    """Months in which the source has quantities, none of which counts: the class that counts has no basis for them."""
    preferred_method: Method | None
    """The class that comes first by precedence of those the source has a basis of in the year, when another counts in
    some month: choose it with chooseSourceMethod, or say why not. Null when it counts throughout."""

    @classmethod
    def of(cls, record: comparison_domain.Comparison) -> MethodComparison:
        return build(
            cls,
            record,
            alarms=len(record.alarms),
            months=[MethodMonth.of(c) for c in record.months],
            totals=[build(MethodYear, t) for t in record.totals],
            without_result=list(record.without_result),
        )


@object_type
class MethodQueries:
    """The registry of methods."""

    @query(SignedIn("the registry is the same for everyone"))
    async def method_kinds(self, info: Info) -> list[MethodDescription]:
        """Every method: its class, clause, parameters with units and ranges, and where it fits."""
        return [MethodDescription.of(spec) for spec in METHODS.values()]


async def pieces_of(
    info: Info, wanted: Sequence[tuple[Stream, int]], method: Method | None
) -> list[list[StreamCoefficient]]:
    """All coefficients of streams in a year, of one class or of all."""
    found = await info.context.use(CoefficientService).pieces(info.context.principal, wanted)
    return [
        [StreamCoefficient.of(p, info) for p in found.get((s.id, year), []) if method in {None, p.method}]
        for s, year in wanted
    ]


async def bases_of(info: Info, stream_ids: Sequence[UUID], *, superseded: bool) -> list[list[StreamBasis]]:
    found = await info.context.use(MethodService).bases_of(info.context.principal, stream_ids, superseded=superseded)
    return [[StreamBasis.of(b) for b in found.get(key, [])] for key in stream_ids]


async def choices_of(info: Info, source_ids: Sequence[UUID], *, superseded: bool) -> list[list[SourceMethod]]:
    found = await info.context.use(MethodService).choices_of(info.context.principal, source_ids, superseded=superseded)
    return [[SourceMethod.of(c) for c in found.get(key, [])] for key in source_ids]


async def fetch_bases(keys: Sequence[UUID], info: Info) -> dict[UUID, StreamBasis]:
    found = await info.context.use(MethodService).bases(info.context.principal, keys)
    return {key: StreamBasis.of(record) for key, record in found.items()}


NODES = {"StreamBasis": (StreamBasis, fetch_bases)}
