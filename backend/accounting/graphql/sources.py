"""GraphQL of sources, streams and their results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import sources as domain
from backend.accounting.domain.months import checked_year
from backend.accounting.domain.sources import NewSource, NewStream, OwnFactor
from backend.accounting.graphql.coefficients import Coefficient
from backend.accounting.graphql.enums import Cadence, Category, DirectKind, Flow, Method, Programme, Subtype
from backend.accounting.graphql.method_inputs import StreamMethodInput
from backend.accounting.graphql.methods import (
    MethodComparison,
    SourceMethod,
    StreamBasis,
    StreamCoefficient,
    bases_of,
    choices_of,
    pieces_of,
)
from backend.accounting.graphql.results import MonthlyResult
from backend.accounting.graphql.rows import read_rows, why
from backend.accounting.service.coefficients import CoefficientService
from backend.accounting.service.comparison import ComparisonService
from backend.accounting.service.results import ResultService
from backend.accounting.service.sources import SourceService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload, UserError
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.graphql import Organisation, fetch_organisations

AStream = Annotated["EmissionStream", strawberry.lazy("backend.accounting.graphql.sources")]
ASource = Annotated["EmissionSource", strawberry.lazy("backend.accounting.graphql.sources")]
OneClass = Annotated[Method | None, strawberry.argument(description="Only of this class of method.")]
History = Annotated[bool, strawberry.argument(description="Also what was replaced or withdrawn.")]
Year = Annotated[int, strawberry.argument(description="A calendar year, such as 2024.")]


@object_type
class EmissionStream(Node):
    """A stream of a source: a fuel, a meter, a material in or out; what quantities are recorded for (排放流)."""

    record: strawberry.Private[domain.Stream]
    code: str
    """Code, unique in the source."""
    name_zh: str
    """Name in Chinese; may be empty."""
    name_en: str
    """Name in English; may be empty."""
    material: str | None
    """Code of the fuel or material in the library; null with an own factor, or where only its methods account it."""
    flow: Flow
    """Whether it is consumed, or leaves in a product."""
    programme: Programme
    """Whose rules apply where programmes differ (oxidation)."""
    unit: str
    """Canonical unit its quantities are kept in: t, 1e4Nm3, MWh, GJ, t*km, tCO2e."""
    factor_set: str | None
    """Factor set chosen for it, of the tenant's own as CODE@VERSION; null: what its organisation has adopted, before
    the library's defaults."""
    region: str | None
    """Region of its factor; null: the nation."""
    factor_year: int | None
    """Year its factor is pinned to; null: the latest that holds."""
    technology: str
    """Technology its factor is for; empty: values that hold for any."""
    own_factor: Decimal | None
    """Emission factor of the tenant's own, tCO2e per unit."""
    own_factor_source: str
    """Where the own factor comes from."""
    cadence: Cadence
    """How often it is recorded."""
    evidence_required: bool
    """Whether its records must have evidence before they can be submitted."""

    @batched
    async def coefficient(parents: list[AStream], info: Info, year: Year) -> list[Coefficient | None]:
        """What quantities of a year are multiplied by, explained; the first of the year that counts. Null when nothing
        of the class that counts can be derived for that year.
        """
        checked_year(year, "year")
        return await coefficients(info, [(p.record, date(year, 1, 1), date(year, 12, 1)) for p in parents])

    @batched
    async def coefficients(
        parents: list[AStream], info: Info, year: Year, method: OneClass = None
    ) -> list[list[StreamCoefficient]]:
        """Its coefficients of a year, of every class it has a basis of, by month."""
        return await pieces_of(info, [(p.record, year) for p in parents], method)

    @batched
    async def bases(parents: list[AStream], info: Info, history: History = False) -> list[list[StreamBasis]]:
        """By which methods it is accounted, beside the defaults of the library for its material."""
        return await bases_of(info, [p.record.id for p in parents], superseded=history)

    @classmethod
    def of(cls, record: domain.Stream) -> EmissionStream:
        return build(cls, record, id=to_id("EmissionStream", record.id), record=record)


async def coefficients(info: Info, wanted: Sequence[tuple[domain.Stream, date, date]]) -> list[Coefficient | None]:
    """What counts for each stream between two months of a year."""
    found = await info.context.use(CoefficientService).that_count(info.context.principal, wanted)
    made = [found.get((stream.id, first)) for stream, first, _ in wanted]
    return [Coefficient.of(c, info) if c else None for c in made]


@object_type
class EmissionSource(Node):
    """A source of emissions under an organisation, normally a site (排放源, 8.2.3)."""

    key: strawberry.Private[UUID]
    owner: strawberry.Private[UUID]
    code: str
    """Code, unique in the organisation."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    category: Category
    """Which of the six categories of 8.2.2 it belongs to."""
    direct_kind: DirectKind | None
    """Which term of formula (3) it is; null unless direct."""
    subtype: Subtype | None
    """What it is within its category (8.2.2, notes 5 to 7); null when not said."""
    evidence_required: bool
    """Whether all its records, declared results too, must have evidence before they can be submitted."""

    @batched
    async def organisation(parents: list[ASource], info: Info) -> list[Organisation | None]:
        """The organisation that owns it; null when the caller may not see that."""
        found = await fetch_organisations(list({p.owner for p in parents}), info)
        return [found.get(p.owner) for p in parents]

    @batched
    async def streams(parents: list[ASource], info: Info) -> list[list[EmissionStream]]:
        """Its streams, by code."""
        keys = [p.key for p in parents]
        found = await info.context.use(SourceService).streams_of(info.context.principal, keys)
        return [[EmissionStream.of(s) for s in found.get(key, [])] for key in keys]

    @batched
    async def monthly_results(parents: list[ASource], info: Info, year: Year) -> list[list[MonthlyResult]]:
        """Its results of a year, by period and gas."""
        keys = [p.key for p in parents]
        found = await info.context.use(ResultService).of_sources(info.context.principal, keys, year)
        return [[MonthlyResult.of(r) for r in found.get(key, [])] for key in keys]

    @batched
    async def methods(parents: list[ASource], info: Info, history: History = False) -> list[list[SourceMethod]]:
        """Which class of method counts, by month; with the history the number of rows is the version of the choice."""
        return await choices_of(info, [p.key for p in parents], superseded=history)

    @batched
    async def method_comparison(parents: list[ASource], info: Info, year: Year) -> list[MethodComparison]:
        """What each class of method says of it, month by month, beside the one that counts (6.2.3 note 3)."""
        keys = [p.key for p in parents]
        found = await info.context.use(ComparisonService).of_sources(info.context.principal, keys, year)
        return [MethodComparison.of(found[key]) for key in keys]

    @classmethod
    def of(cls, record: domain.EmissionSource) -> EmissionSource:
        return build(cls, record, id=to_id("EmissionSource", record.id), key=record.id, owner=record.organisation_id)


@input_type
class OwnFactorInput:
    """An emission factor of the tenant's own."""

    value: Decimal
    """tCO2e per `unit`."""
    unit: str
    """What it is per: t, 1e4Nm3, MWh, kWh, GJ, t*km, 万吨公里 …"""
    source: str
    """Where it comes from: supplier, study, report."""


@input_type
class NewEmissionStreamInput:
    """A stream: a material of the library, or an own factor."""

    code: str
    """Code, unique in the source."""
    name_zh: str = ""
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    material: str | None = None
    """Fuel or material of the library, by code or by name: BITUMINOUS_COAL, 烟煤, GRID_ELECTRICITY, PURCHASED_HEAT …"""
    flow: Flow = Flow.CONSUMED
    """LEAVING for products whose carbon is subtracted."""
    programme: Programme = Programme.GENERAL
    """MEE_STEEL leaves the oxidation rate out."""
    unit: str | None = None
    """GJ for a fuel that is metered by its heat; otherwise the library's unit."""
    factor_set: str | None = None
    """Factor set, of the library or the tenant's own; when not given, the adopted one before the library's defaults."""
    region: str | None = None
    """Region of an electricity factor: a province (CN-SD, 山东), a grid, or CN."""
    factor_year: int | None = None
    """Pins the factor to one published year; otherwise the latest not after the activity."""
    technology: str = ""
    """Technology, where values differ by it; empty: values that hold for any."""
    own_factor: OwnFactorInput | None = None
    """Instead of a material: an emission factor of the tenant's own."""
    cadence: Cadence = Cadence.MONTHLY
    """How often it is recorded; more than that is refused."""
    evidence_required: bool = False
    """Whether its records must have evidence before they can be submitted."""
    method: StreamMethodInput | None = None
    """A method of its own; then it needs no material, but its unit."""

    def command(self) -> NewStream:
        own = build(OwnFactor, self.own_factor) if self.own_factor else None
        return build(NewStream, self, own_factor=own, method=self.method.basis() if self.method else None)


@row_type
class NewEmissionSourceInput:
    """A source to add, with its streams."""

    organisation_id: strawberry.ID
    """The organisation it belongs to."""
    code: str
    """Code, unique in the organisation."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    category: Category
    """One of the six categories of 8.2.2."""
    direct_kind: DirectKind | None = None
    """For DIRECT, and only there: the term of formula (3)."""
    subtype: Subtype | None = None
    """What it is within an indirect category; `emissionSubtypes` lists what fits."""
    evidence_required: bool = False
    """Whether all its records, declared results too, must have evidence before they can be submitted."""
    streams: list[NewEmissionStreamInput] = strawberry.field(default_factory=list)
    """Its streams; none when only declared results will be recorded."""
    method: Method | None = None
    """The class that counts from the beginning, such as MEASURED where measured results will be declared and the
    streams stand beside them; when not given, the first by precedence of what its streams have. What departs from
    the precedence needs a reason: leave it out here and say it with chooseSourceMethod."""

    def command(self, *path: str) -> NewSource:
        owner = key_of(self.organisation_id, "Organisation", *path, "organisationId")
        streams = tuple(s.command() for s in self.streams)
        return build(NewSource, self, organisation_id=owner, streams=streams)


@input_type
class CreateEmissionSourceInput(MutationInput, NewEmissionSourceInput):
    """A source to add to an organisation, with its streams."""


@object_type
class CreateEmissionSourcePayload(Payload):
    """The source as it was added."""

    source: EmissionSource | None = None
    """The new source."""


@input_type
class CreateEmissionSourcesInput(MutationInput):
    """Sources to add, at most 1000."""

    rows: list[NewEmissionSourceInput]
    """The sources."""
    all_or_nothing: bool = False
    """Add none when any row is refused."""


@object_type
class EmissionSourceOutcome:
    """What became of one row."""

    source: EmissionSource | None
    """The new source; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""


@object_type
class CreateEmissionSourcesPayload(Payload):
    """What became of each row."""

    outcomes: list[EmissionSourceOutcome]
    """One per row, in their order."""


@input_type
class CreateEmissionStreamInput(MutationInput):
    """A stream to add to a source."""

    source_id: strawberry.ID
    """The source."""
    stream: NewEmissionStreamInput
    """The stream."""


@object_type
class CreateEmissionStreamPayload(Payload):
    """The stream as it was added."""

    stream: EmissionStream | None = None
    """The new stream."""


@object_type
class SourceQueries:
    """Sources."""

    @query(requires(Permission.EMISSION_READ))
    async def emission_sources(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation and all below it.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[EmissionSource]:
        """Emission sources the caller may read, by code."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        page = await info.context.use(SourceService).page(info.context.principal, owner, PageRequest.read(first, after))
        return Connection.of(page.map(EmissionSource.of))


@object_type
class SourceMutations:
    """Changes to sources."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_emission_source(self, info: Info, input: CreateEmissionSourceInput) -> CreateEmissionSourcePayload:
        """Add an emission source with its streams to an organisation."""
        done = await info.context.use(SourceService).create(info.context.actor(input), input.command())
        return CreateEmissionSourcePayload(errors=[], source=EmissionSource.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_emission_sources(
        self, info: Info, input: CreateEmissionSourcesInput
    ) -> CreateEmissionSourcesPayload:
        """Add up to 1000 emission sources; each row is judged on its own unless all or nothing is asked."""
        rows = read_rows(input.rows, NewEmissionSourceInput.command)
        done = await info.context.use(SourceService).create_many(
            info.context.actor(input), rows, all_or_nothing=input.all_or_nothing
        )
        outcomes = [
            EmissionSourceOutcome(
                source=EmissionSource.of(o.source) if o.source else None,
                error=why(o.refusal, info),
            )
            for o in done.value.outcomes
        ]
        return CreateEmissionSourcesPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_emission_stream(self, info: Info, input: CreateEmissionStreamInput) -> CreateEmissionStreamPayload:
        """Add a stream to an emission source."""
        source_id = key_of(input.source_id, "EmissionSource", "sourceId")
        done = await info.context.use(SourceService).add_stream(
            info.context.actor(input), source_id, input.stream.command()
        )
        return CreateEmissionStreamPayload(errors=[], stream=EmissionStream.of(done.value), replayed=done.replayed)


async def fetch_sources(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionSource]:
    found = await info.context.use(SourceService).by_ids(info.context.principal, keys)
    return {key: EmissionSource.of(record) for key, record in found.items()}


async def fetch_streams(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionStream]:
    found = await info.context.use(SourceService).streams(info.context.principal, keys)
    return {key: EmissionStream.of(record) for key, record in found.items()}


NODES = {"EmissionSource": (EmissionSource, fetch_sources), "EmissionStream": (EmissionStream, fetch_streams)}
