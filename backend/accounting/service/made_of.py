"""What records and coefficients of an explanation follow from, loaded for the nodes that are opened at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

from backend.accounting.domain import made_of as nodes_of
from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.bases import StreamBasis
from backend.accounting.domain.chinese import in_chinese
from backend.accounting.domain.explain import MADE_OF, Explained, ExplainKind, Frame, NodeKey, Words
from backend.accounting.domain.measured import Cause
from backend.accounting.domain.metering import Meter, MeterDirection, MeterMonth, MeterReading
from backend.accounting.domain.monitoring import Instrument
from backend.accounting.domain.quality_batches import MEAN_OF_BATCHES, TAKES, MaterialBatch, QualityMean, means
from backend.accounting.domain.sources import Stream
from backend.accounting.domain.stacks import StackMonitor, StackMonth
from backend.accounting.domain.stock_ledger import StockRow
from backend.accounting.repository import measurements as rows
from backend.accounting.repository import metering as meter_rows
from backend.accounting.repository import methods as method_rows
from backend.accounting.repository import monitoring as monitoring_rows
from backend.accounting.repository import sources as source_rows
from backend.kit.database import ReadSession
from backend.kit.keyset import whole
from backend.kit.pages import Page, PageRequest
from tenants.access import Principal

Grounds = dict[int, list[Explained]]
C = TypeVar("C", bound=Cause)
_CAUSES: Final[Mapping[ExplainKind, type[Cause]]] = {
    ExplainKind.STOCK_ROW: StockRow,
    ExplainKind.METER_MONTH: MeterMonth,
    ExplainKind.STACK_MONTH: StackMonth,
}


async def causes(session: ReadSession, nodes: Mapping[int, Explained], found: Grounds) -> None:
    """The ledger row, settled month or stack month that a record follows from."""
    batches = {i: batch_and_line(n.subject_id)[0] for i, n in nodes.items() if n.kind is ExplainKind.RECORD}
    if not batches:
        return
    caused = await rows.cause_of(session, list(set(batches.values())))
    for kind in _CAUSES.values():
        keys = [key for name, key in caused.values() if name == kind.__name__]
        known = await _shown(session, kind, keys) if keys else {}
        for place, batch in batches.items():
            make = known.get(caused[batch][1]) if batch in caused else None
            if make is not None:
                found.setdefault(place, []).append(make(nodes[place]))


async def _shown(
    session: ReadSession, kind: type[Cause], keys: Sequence[UUID]
) -> dict[UUID, Callable[[Explained], Explained]]:
    """By id, how each of these is shown under the node it explains."""
    loaded = await rows.by_ids(session, kind, keys)
    streams = await source_rows.streams(session, list({c.stream_id for c in loaded.values()}))

    def shown(cause: Cause) -> Callable[[Explained], Explained]:
        if isinstance(cause, StockRow):
            return lambda anchor: nodes_of.stock_row(anchor, cause)
        if isinstance(cause, MeterMonth):
            return lambda anchor: nodes_of.meter_month(anchor, cause, streams[cause.stream_id].unit)
        assert isinstance(cause, StackMonth)
        return lambda anchor: nodes_of.stack_month(anchor, cause)

    return {key: shown(cause) for key, cause in loaded.items()}


async def means_behind(session: ReadSession, nodes: Mapping[int, Explained], found: Grounds) -> None:
    """The mean of batches that a coefficient's method was given."""
    wanted = {i: n.basis_id for i, n in nodes.items() if n.kind is ExplainKind.COEFFICIENT and n.basis_id}
    known = await _means(session, list(set(wanted.values()))) if wanted else {}
    for place, key in wanted.items():
        if key in known:
            mean, _ = known[key]
            found.setdefault(place, []).append(nodes_of.quality_mean(nodes[place], key, mean))


async def _means(
    session: ReadSession, basis_ids: Sequence[UUID]
) -> dict[UUID, tuple[QualityMean, dict[UUID, MaterialBatch]]]:
    """Worked out anew from the batches that stood when the basis was recorded.

    Only where that gives the very value of the basis is it what the basis follows from.
    """
    bases = await method_rows.bases(session, basis_ids)
    taken = {key: parameter for key, basis in bases.items() if (parameter := _of_batches(basis))}
    streams = await source_rows.streams(session, list({bases[key].stream_id for key in taken}))
    found = {}
    for key, value in taken.items():
        basis = bases[key]
        batches = await rows.batches_of(session, basis.stream_id, basis.span.first.year, basis.recorded_at)
        mean = _mean_of(streams[basis.stream_id], basis, batches, value)
        if mean is not None:
            found[key] = (mean, {b.id: b for b in batches})
    return found


def _of_batches(basis: StreamBasis) -> Decimal | None:
    given = [p.value for p in basis.parameters if p.source.startswith(MEAN_OF_BATCHES)]
    return given[0] if len(given) == 1 and basis.span.first == basis.span.last else None


def _mean_of(
    stream: Stream, basis: StreamBasis, batches: Sequence[MaterialBatch], value: Decimal
) -> QualityMean | None:
    month = basis.span.first
    taken = {p for p, (kind, _) in TAKES.items() if kind is basis.kind}
    for mean in means(stream, batches, {month: Decimal(1)}):
        if mean.month == month and mean.parameter in taken and mean.value == value:
            return mean
    return None


async def details(session: ReadSession, nodes: Mapping[int, Explained], found: Grounds) -> None:
    """Of a meter's part the instrument and its readings, of a stack its instrument, of a batch what was found in it."""
    for place, node in nodes.items():
        if node.kind is ExplainKind.METER_PART:
            found.setdefault(place, []).extend(await _of_meter(session, node))
        elif node.kind is ExplainKind.STACK_MONTH:
            found.setdefault(place, []).extend(await _of_stack(session, node))
    batches = {i: n for i, n in nodes.items() if n.kind is ExplainKind.MATERIAL_BATCH}
    known = await rows.by_ids(session, MaterialBatch, [n.subject_id for n in batches.values()]) if batches else {}
    for place, node in batches.items():
        found.setdefault(place, []).extend(nodes_of.lab_values(node, known[node.subject_id]))


async def _of_meter(session: ReadSession, node: Explained) -> list[Explained]:
    meter = (await rows.by_ids(session, Meter, [node.subject_id]))[node.subject_id]
    readings = await rows.current(session, MeterReading, ("day",), meter_id=[meter.id])
    times = f"× {meter.multiplier}"
    way = Words(f"{times} {in_chinese(MeterDirection, meter.direction)}", f"{times} {meter.direction}")
    measured = await _instrument(session, node, meter.instrument_id, way)
    return [measured, *nodes_of.readings_of(node, meter, readings)]


async def _of_stack(session: ReadSession, node: Explained) -> list[Explained]:
    month = (await rows.by_ids(session, StackMonth, [node.subject_id]))[node.subject_id]
    monitor = (await rows.by_ids(session, StackMonitor, [month.monitor_id]))[month.monitor_id]
    if monitor.instrument_id is None:
        return []
    return [await _instrument(session, node, monitor.instrument_id, Words(monitor.code, monitor.code))]


async def _instrument(session: ReadSession, node: Explained, key: UUID, said: Words) -> Explained:
    known = await meter_rows.instruments_of(session, node.organisation_id)
    covered = await monitoring_rows.covered(session, [key])
    return nodes_of.instrument_of(node, known[key], covered.get(key, ()), said)


async def pages(
    session: ReadSession, _frame: Frame, parents: Sequence[Explained], request: PageRequest
) -> list[Page[Explained]]:
    """The children of nodes of one kind, each page by their place."""
    made = await _CHILDREN[parents[0].kind](session, parents)
    after = request.key(whole)[0] if request.after else None
    left = [[n for n in some if after is None or n.path[0] > after][: request.first + 1] for some in made]
    return [Page.cut(some, request, lambda n: n.path) for some in left]


async def _stock(session: ReadSession, parents: Sequence[Explained]) -> list[list[Explained]]:
    known = await rows.by_ids(session, StockRow, [p.subject_id for p in parents])
    return [nodes_of.stock_parts(p, known[p.subject_id]) for p in parents]


async def _meters(session: ReadSession, parents: Sequence[Explained]) -> list[list[Explained]]:
    known = await rows.by_ids(session, MeterMonth, [p.subject_id for p in parents])
    meters = await rows.by_ids(session, Meter, list({part.meter_id for m in known.values() for part in m.parts}))
    instruments: dict[UUID, Instrument] = {}
    for owner in {p.organisation_id for p in parents}:
        instruments |= await meter_rows.instruments_of(session, owner)
    both = {key: (m, instruments[m.instrument_id]) for key, m in meters.items()}
    return [nodes_of.meter_parts(p, known[p.subject_id], both) for p in parents]


async def _stacks(session: ReadSession, parents: Sequence[Explained]) -> list[list[Explained]]:
    known = await rows.by_ids(session, StackMonth, [p.subject_id for p in parents])
    monitors = await rows.by_ids(session, StackMonitor, list({m.monitor_id for m in known.values()}))
    of = [(p, known[p.subject_id]) for p in parents]
    return [nodes_of.stack_hours(p, month, monitors[month.monitor_id]) for p, month in of]


async def _batches(session: ReadSession, parents: Sequence[Explained]) -> list[list[Explained]]:
    known = await _means(session, [p.subject_id for p in parents])
    return [nodes_of.mean_batches(p, *known[p.subject_id]) if p.subject_id in known else [] for p in parents]


_Level = Callable[[ReadSession, Sequence[Explained]], Awaitable[list[list[Explained]]]]
_CHILDREN: Final[Mapping[ExplainKind, _Level]] = {
    ExplainKind.STOCK_ROW: _stock,
    ExplainKind.METER_MONTH: _meters,
    ExplainKind.STACK_MONTH: _stacks,
    ExplainKind.QUALITY_MEAN: _batches,
}
assert set(_CHILDREN) == set(MADE_OF)


async def stream_of(session: ReadSession, principal: Principal, key: NodeKey) -> UUID | None:
    """The stream of a ledger row, settled month, stack month or basis that the caller may read."""
    subject = key.subject_id
    if key.kind is ExplainKind.QUALITY_MEAN:
        basis = (await method_rows.bases(session, [subject], principal)).get(subject)
        return basis.stream_id if basis else None
    cause = (await rows.by_ids(session, _CAUSES[key.kind], [subject], principal)).get(subject)
    return cause.stream_id if cause else None


async def again(session: ReadSession, key: NodeKey, owner: UUID) -> Explained | None:
    """A node of these kinds, found again; the caller may read it."""
    anchor = Explained(key.kind, key.frame, key.subject_id, owner, Words("", ""))
    if key.kind is ExplainKind.QUALITY_MEAN:
        known = await _means(session, [key.subject_id])
        return nodes_of.quality_mean(anchor, key.subject_id, known[key.subject_id][0]) if known else None
    shown = await _shown(session, _CAUSES[key.kind], [key.subject_id])
    return replace(shown[key.subject_id](anchor), whole=None)
