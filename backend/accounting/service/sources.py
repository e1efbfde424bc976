"""Use cases on sources and streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from backend.accounting.domain.bases import StreamBasis
from backend.accounting.domain.coefficients import Basis, basis_of
from backend.accounting.domain.factors import Library
from backend.accounting.domain.sources import (
    SOURCE_CODE_TAKEN,
    EmissionSource,
    NewSource,
    NewStream,
    Stream,
    Subtype,
    check_subtype,
    checked_code,
    checked_source,
)
from backend.accounting.repository import sources as rows
from backend.accounting.service.adopted import libraries, library_at
from backend.accounting.service.bases import check_first_choice, first_choices, keep_bases, prepared_basis
from backend.accounting.service.batches import (
    Errors,
    check_size,
    common_organisation,
    reach_sources,
    read_apart,
    refused_rows,
    sift,
    stop_if_refused,
)
from backend.kit.errors import REASON_MISSING, CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean, tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, Refused, perform


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What became of one row: the source, or why there is none."""

    source: EmissionSource | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """What became of a call, row by row."""

    outcomes: tuple[SourceOutcome, ...]


@dataclass(frozen=True, slots=True)
class _Ready:
    new: NewSource
    source: EmissionSource
    streams: tuple[Stream, ...]
    bases: tuple[StreamBasis, ...]


class SourceService:
    """Emission sources of a tenant and the streams they consist of (8.2.3)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewSource) -> Done[EmissionSource]:
        """Add one source with its streams.

        Errors: NOT_FOUND, FORBIDDEN, DIRECT_KIND_MISMATCH, SOURCE_CODE_TAKEN, STREAM_CODE_TAKEN, METHOD_NOT_ALLOWED,
        DEVIATION_NEEDS_REASON, UNKNOWN_MATERIAL …
        """

        async def work(change: Change) -> EmissionSource:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            ready, errors = await self._judge(change, [new])
            for error in errors.values():
                raise error
            (made,) = (await self._store(change, ready)).values()
            await change.audit("EmissionSource", made.id, made.organisation_id, after=new)
            return made

        return await perform(self.toolbox, actor, "createEmissionSource", new, EmissionSource, work)

    async def create_many(
        self, actor: Actor, new: Sequence[NewSource | Refused], *, all_or_nothing: bool
    ) -> Done[SourceBatch]:
        """Add up to 1000 sources, each judged on its own unless all or nothing is asked. Errors: BATCH_SIZE."""
        check_size(len(new))

        async def work(change: Change) -> SourceBatch:
            ready, errors = await self._judge(change, new)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            made = await self._store(change, ready)
            if made:
                about = common_organisation(list(made.values()))
                await change.audit("EmissionSourceBatch", uuid7(), about, after=[r.new for r in ready.values()])
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "createEmissionSources", body, SourceBatch, work)

    async def _judge(self, change: Change, new: Sequence[NewSource | Refused]) -> tuple[dict[int, _Ready], Errors]:
        read, errors = read_apart(new)
        seen = await libraries(change.unit, {n.organisation_id for n in read.values()})
        verdicts = await change.refusals(Permission.EMISSION_MANAGE, {n.organisation_id for n in read.values()})
        known = await rows.organisations_known(change.unit, {n.organisation_id for n in read.values()})
        checked = sift(read, checked_source, errors)
        taken = await rows.codes_taken(change.unit, [(n.organisation_id, n.code) for n in checked.values()])

        def ready(row: NewSource) -> _Ready:
            verdict = verdicts.get(row.organisation_id)
            if verdict is not None:
                raise verdict.at("organisationId")
            if row.organisation_id not in known:
                raise not_found("Organisation", row.organisation_id, "organisationId")
            if (row.organisation_id, row.code) in taken:
                raise SOURCE_CODE_TAKEN(path=("code",), code=row.code)
            made = _ready(row, seen[row.organisation_id], self.toolbox.clock.today())
            taken.add((row.organisation_id, row.code))
            return made

        return sift(checked, ready, errors), errors

    @staticmethod
    async def _store(change: Change, ready: dict[int, _Ready]) -> dict[int, EmissionSource]:
        made = {i: r.source for i, r in ready.items()}
        streams = {s.id: s for r in ready.values() for s in r.streams}
        if made:
            await rows.insert_sources(change.unit, list(made.values()))
        if streams:
            await rows.insert_streams(change.unit, list(streams.values()))
        bases = [b for r in ready.values() for b in r.bases]
        asked = {r.source.id: r.new.method for r in ready.values() if r.new.method is not None}
        await first_choices(change, list(made.values()), streams, bases, asked)
        return made

    async def add_stream(self, actor: Actor, source_id: UUID, new: NewStream) -> Done[Stream]:
        """Add a stream to a source. Errors: NOT_FOUND, FORBIDDEN, STREAM_CODE_TAKEN, UNKNOWN_MATERIAL …"""

        async def work(change: Change) -> Stream:
            look_up = await reach_sources(change, Permission.EMISSION_MANAGE, [source_id])
            source = look_up(source_id)
            library = await library_at(change.unit, source.organisation_id)
            made = prepared_stream(source.id, new, library)
            bases = _bases(source, made, new, library, self.toolbox.clock.today())
            await rows.insert_streams(change.unit, [made])
            await keep_bases(change, bases)
            await change.audit("EmissionStream", made.id, source.organisation_id, after=made)
            return made

        body = {"source_id": source_id, "stream": new}
        return await perform(self.toolbox, actor, "createEmissionStream", body, Stream, work)

    async def classify(
        self, actor: Actor, source_id: UUID, subtype: Subtype | None, reason: str
    ) -> Done[EmissionSource]:
        """Say what a source is within its category. Errors: NOT_FOUND, FORBIDDEN, SUBTYPE_MISMATCH, REASON_MISSING."""

        async def work(change: Change) -> EmissionSource:
            look_up = await reach_sources(change, Permission.EMISSION_MANAGE, [source_id])
            before = look_up(source_id)
            check_subtype(before.category, subtype)
            if not tidy(reason):
                raise REASON_MISSING(path=("reason",))
            await rows.set_subtype(change.unit, source_id, subtype)
            after = replace(before, subtype=subtype)
            noted = {"subtype": subtype, "reason": tidy(reason)}
            was = {"subtype": before.subtype}
            await change.audit("EmissionSource", source_id, before.organisation_id, before=was, after=noted)
            return after

        body = {"source_id": source_id, "subtype": subtype, "reason": reason}
        return await perform(self.toolbox, actor, "classifyEmissionSource", body, EmissionSource, work)

    async def page(
        self, principal: Principal, organisation_id: UUID | None, request: PageRequest
    ) -> Page[EmissionSource]:
        """Sources the caller may read, of an organisation and all below it. Errors: NOT_FOUND, FORBIDDEN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page_of_sources(session, principal, organisation_id, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, EmissionSource]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.sources(session, keys, principal)

    async def streams(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Stream]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.streams(session, keys, principal)

    async def streams_of(self, principal: Principal, source_ids: Sequence[UUID]) -> dict[UUID, list[Stream]]:
        """The streams of sources the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.streams_of(session, source_ids)


def prepared_stream(source_id: UUID, new: NewStream, library: Library) -> Stream:
    """A stream ready to be kept. Errors: UNKNOWN_MATERIAL, FACTOR_OR_MATERIAL …"""
    return _stream(source_id, new, basis_of(new, library))


def _ready(new: NewSource, library: Library, today: date) -> _Ready:
    source = _source(new)
    streams: list[Stream] = []
    bases: list[StreamBasis] = []
    for position, given in enumerate(new.streams):
        try:
            stream = prepared_stream(source.id, given, library)
            bases += _bases(source, stream, given, library, today)
        except CodedError as error:
            raise error.at("streams", str(position)) from error
        streams.append(stream)
    if new.method is not None:
        check_first_choice(new.method, source, streams, bases)
    return _Ready(new, source, tuple(streams), tuple(bases))


def _bases(source: EmissionSource, stream: Stream, new: NewStream, library: Library, today: date) -> list[StreamBasis]:
    if new.method is None:
        return []
    try:
        return [prepared_basis(source, stream, new.method, library, today)]
    except CodedError as error:
        raise error.at("method") from error


def _batch(count: int, made: dict[int, EmissionSource], refused: dict[int, Refused]) -> SourceBatch:
    return SourceBatch(tuple(SourceOutcome(made.get(i), refused.get(i)) for i in range(count)))


def _source(new: NewSource) -> EmissionSource:
    return EmissionSource(
        id=uuid7(),
        organisation_id=new.organisation_id,
        code=new.code,
        name_zh=new.name_zh,
        name_en=new.name_en,
        category=new.category,
        direct_kind=new.direct_kind,
        subtype=new.subtype,
        evidence_required=new.evidence_required,
    )


def _stream(source_id: UUID, new: NewStream, basis: Basis) -> Stream:
    own = new.own_factor
    return Stream(
        id=uuid7(),
        source_id=source_id,
        code=checked_code(new.code, "code"),
        name_zh=tidy(new.name_zh),
        name_en=tidy(new.name_en),
        material=basis.material,
        flow=new.flow,
        programme=new.programme,
        unit=basis.unit,
        gas=basis.gas,
        factor_set=basis.factor_set,
        region=basis.region,
        factor_year=new.factor_year,
        own_factor=own.per_canonical_unit() if own else None,
        own_factor_source=tidy(own.source) if own else "",
        cadence=new.cadence,
        evidence_required=new.evidence_required,
        technology=clean(new.technology),
    )
