"""Coefficients of streams: derived once per class and span of months, and derived anew when what they rest on changes.

What they rest on: the bases of a stream, the library, and the GWP set of the boundary. Nothing changes silently: a
coefficient that is kept stays until `rederive` is asked for, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from uuid import UUID

from backend.accounting.domain.adoption import AdoptedSets
from backend.accounting.domain.bases import Part, StreamBasis, parts
from backend.accounting.domain.coefficients import derive
from backend.accounting.domain.derivation import Coefficient
from backend.accounting.domain.factors import Library
from backend.accounting.domain.inventories import Inventory
from backend.accounting.domain.methods.registry import derive as derive_by
from backend.accounting.domain.methods.spec import Context, GivenParameter
from backend.accounting.domain.months import checked_year
from backend.accounting.domain.records import Method
from backend.accounting.domain.results import Changes
from backend.accounting.domain.revisions import Piece, revise
from backend.accounting.domain.sources import Stream
from backend.accounting.repository import coefficients as rows
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import methods as method_rows
from backend.accounting.repository import results as result_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository.coefficients import StreamYear
from backend.accounting.service.adopted import adopted_sets
from backend.accounting.service.long_work import Report, unheard
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.errors import CodedError
from backend.kit.toolbox import Toolbox
from tenants.access import Principal
from tenants.domain import GwpSet
from tenants.service.boundaries import BoundaryReader

_NOBODY: Final = UUID(int=0)
_AT_ONCE: Final = 5_000
_TOLD_AT_ONCE: Final = 2_000

Failures = dict[tuple[StreamYear, Part], CodedError]


@dataclass(frozen=True, slots=True)
class Rederivation:
    """What deriving anew does: coefficients superseded and made, each stream-month that changes, which classes of
    which stream-years have no value now (they keep what they had), and the inventories whose months are frozen.
    """

    superseded: int
    made: int
    changes: Changes
    errors: Mapping[tuple[StreamYear, Method], CodedError]
    frozen: tuple[Inventory, ...]


class CoefficientService:
    """What streams are accounted with, for streams the caller was given already."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def pieces(self, principal: Principal, wanted: Sequence[tuple[Stream, int]]) -> dict[StreamYear, list[Piece]]:
        """All classes of each stream and year, by month: as kept, or as they would be derived today.

        Errors: YEAR_OUT_OF_RANGE.
        """
        for _, year in wanted:
            checked_year(year, "year")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await kept_or_derived(session, wanted)

    async def that_count(
        self, principal: Principal, wanted: Sequence[tuple[Stream, date, date]]
    ) -> dict[tuple[UUID, date], Coefficient]:
        """The first coefficient of the class that counts between two months of a year; by stream and first month.

        Absent when there is none of that class.
        """
        async with self.toolbox.database.read(principal.tenant_id) as session:
            found = await kept_or_derived(session, [(stream, first.year) for stream, first, _ in wanted])
            choices = await method_rows.choices_of(session, {stream.source_id for stream, _, _ in wanted})
        counting: dict[tuple[UUID, date], Coefficient] = {}
        for stream, first, last in wanted:
            pieces = sorted(found.get((stream.id, first.year), []), key=lambda p: p.first_month)
            for piece in (p for p in pieces if p.first_month <= last and first <= p.last_month):
                spans = [c.span for c in choices.get(stream.source_id, []) if c.method is piece.method]
                if any(span.first <= min(last, piece.last_month) and piece.first_month <= span.end for span in spans):
                    counting.setdefault((stream.id, first), piece.coefficient)
        return counting


async def ensure_coefficients(unit: UnitOfWork, wanted: Iterable[tuple[Stream, int]]) -> dict[StreamYear, CodedError]:
    """Derive and keep what is missing, once per class and months of a stream and year.

    Answers why some cannot be derived that count; a class that does not count may lack a value.
    """
    asked = {(stream.id, year): stream for stream, year in wanted}
    if not asked:
        return {}
    await result_rows.share(unit)
    await result_rows.plan_for(unit, many=result_rows.are_many(asked))
    deriver = await _Deriver.of(unit, asked)
    covered = await rows.covered(unit, list(asked))
    missing = {key: _uncovered(deriver.parts(key), covered.get(key, set())) for key in asked}
    missing = {key: some for key, some in missing.items() if some}
    if not missing:
        return {}
    failures: Failures = {}
    await deriver.prepare(missing)
    await rows.insert(unit, [p for key, some in missing.items() for p in deriver.pieces(key, some, failures)])
    return await _that_count(unit, asked, failures)


def _uncovered(wanted: Iterable[Part], covered: Collection[rows.Months]) -> list[Part]:
    return [
        p for p in wanted if not any(m is p.method and first <= p.first_month <= last for m, first, last, _ in covered)
    ]


async def _that_count(
    session: ReadSession, asked: Mapping[StreamYear, Stream], failures: Failures
) -> dict[StreamYear, CodedError]:
    """The failures of the class that counts for the source in some of those months."""
    if not failures:
        return {}
    chosen = await method_rows.choices_of(session, {asked[key].source_id for key, _ in failures})
    found = {}
    for (key, part), error in failures.items():
        spans = [c for c in chosen.get(asked[key].source_id, []) if c.method is part.method]
        if any(c.span.first <= part.last_month and part.first_month <= c.span.end for c in spans):
            found[key] = error
    return found


async def kept_or_derived(session: ReadSession, wanted: Iterable[tuple[Stream, int]]) -> dict[StreamYear, list[Piece]]:
    """The pieces of streams and years as kept, or as they would be derived now; without those that have no value."""
    asked = {(stream.id, year): stream for stream, year in wanted}
    kept = await rows.kept(session, list(asked)) if asked else {}
    found = {key: [k.piece for k in pieces] for key, pieces in kept.items()}
    missing = {key: stream for key, stream in asked.items() if key not in found}
    if missing:
        deriver = await _Deriver.of(session, missing)
        await deriver.prepare(missing)
        found |= {key: list(deriver.pieces(key, deriver.parts(key), {})) for key in missing}
    return found


async def rederive(
    unit: UnitOfWork,
    stream_ids: Collection[UUID] | None,
    from_month: date,
    to_month: date,
    because: str,
    *,
    dry_run: bool = False,
    most: int | None = None,
    report: Report = unheard,
) -> Rederivation:
    """Derive the coefficients of streams (None: all) anew from bases, library and boundary, and what follows from them.

    A coefficient that comes out otherwise is superseded with the reason; the months of frozen inventories keep theirs,
    as do streams for which nothing can be derived now. Writers wait. `dry_run`: nothing of it is kept. `most`: so many
    changes are told one by one, the first in the order of `stream_ids`. `report` hears how far it is.
    """
    await result_rows.alone(unit)
    if dry_run:
        await unit.execute("SAVEPOINT rehearsal")
    await result_rows.plan_for(unit, many=result_rows.are_many(stream_ids))
    years = await rows.stream_years(unit, stream_ids, from_month, to_month)
    superseded = made = 0
    errors: dict[tuple[StreamYear, Method], CodedError] = {}
    frozen: dict[UUID, Inventory] = {}
    parts = list(range(0, len(stream_ids or ()), _TOLD_AT_ONCE)) or [0]
    slices = range(0, len(years), _AT_ONCE)
    steps = len(slices) + len(parts) + 1
    for n, start in enumerate(slices):
        await report(n, steps, "deriving")
        some = await _revised(unit, years[start : start + _AT_ONCE], from_month, to_month)
        await rows.supersede(unit, some.superseded, because)
        await rows.insert(unit, some.made)
        superseded, made = superseded + len(some.superseded), made + len(some.made)
        errors |= some.errors
        frozen |= some.frozen
    changes, ordered = Changes(most), None if stream_ids is None else list(stream_ids)
    for n, start in enumerate(parts, len(slices)):
        await report(n, steps, "comparing")
        part = None if ordered is None else ordered[start : start + _TOLD_AT_ONCE]
        changes.add(await result_rows.pending(unit, part, from_month, to_month))
    if dry_run:
        await unit.execute("ROLLBACK TO SAVEPOINT rehearsal")
    elif superseded or made:
        await report(steps - 1, steps, "recalculating")
        await result_rows.recalculate(unit, stream_ids, from_month, to_month)
    return Rederivation(superseded, made, changes, errors, tuple(frozen.values()))


@dataclass(frozen=True, slots=True)
class _Revised:
    superseded: list[UUID]
    made: list[Piece]
    errors: dict[tuple[StreamYear, Method], CodedError]
    frozen: dict[UUID, Inventory]


async def _revised(unit: UnitOfWork, years: Sequence[StreamYear], first: date, last: date) -> _Revised:
    streams = await source_rows.streams(unit, list({key for key, _ in years}))
    asked = {key: streams[key[0]] for key in years}
    deriver = await _Deriver.of(unit, asked)
    await deriver.prepare(asked)
    kept = await rows.kept(unit, years)
    inventories = await inventory_rows.frozen(unit, list(set(deriver.owners.values())))
    done = _Revised([], [], {}, {i.id: i for i in inventories})
    for key in years:
        failures: Failures = {}
        wanted = list(deriver.pieces(key, deriver.parts(key), failures))
        done.errors.update({(k, part.method): error for (k, part), error in failures.items()})
        closed = [i for i in inventories if i.organisation_id == deriver.owners[key[0]]]
        lost = [part for _, part in failures]
        for method in Method:
            may_change = _may_change(method, first, last, closed, lost)
            mine = [k for k in kept.get(key, []) if k.piece.method is method]
            revision = revise(mine, [p for p in wanted if p.method is method], may_change)
            done.superseded.extend(revision.superseded)
            done.made.extend(revision.made)
    return done


def _may_change(
    method: Method, first: date, last: date, closed: Sequence[Inventory], lost: Sequence[Part]
) -> Callable[[date], bool]:
    """Months in the span that no inventory freezes and whose basis still yields a value."""

    def open_(month: date) -> bool:
        return (
            first <= month <= last
            and not any(i.first_month <= month < i.after for i in closed)
            and not any(p.method is method and p.first_month <= month <= p.last_month for p in lost)
        )

    return open_


class _Deriver:
    """Derives for many streams at once: thousands of streams burn the same coal, which is derived once."""

    def __init__(self, session: ReadSession, asked: Mapping[StreamYear, Stream]) -> None:
        self.session, self.asked = session, asked
        self.bases: dict[UUID, list[StreamBasis]] = {}
        self.owners: dict[UUID, UUID] = {}
        self.adopted = AdoptedSets()
        self.library: Library | None = None
        self._seen: dict[str | None, Library] = {}
        self._gwp: dict[tuple[UUID, int], GwpSet] = {}
        self._known: dict[object, Coefficient | CodedError] = {}

    @classmethod
    async def of(cls, session: ReadSession, asked: Mapping[StreamYear, Stream]) -> _Deriver:
        made = cls(session, asked)
        streams = {key for key, _ in asked}
        made.bases = await method_rows.bases_of(session, streams)
        made.owners = await rows.owners(session, streams)
        made.adopted = await adopted_sets(session, set(made.owners.values()))
        return made

    def parts(self, key: StreamYear) -> list[Part]:
        """How a stream is accounted through a year."""
        stream = self.asked[key]
        whole = parts(self.bases.get(stream.id, ()), key[1], by_default=stream.has_default)
        owner = self.owners[stream.id]
        return [
            replace(part, first_month=first, last_month=last)
            for part in whole
            for first, last in self.adopted.split(owner, part.first_month, part.last_month)
        ]

    async def prepare(self, wanted: Collection[StreamYear]) -> None:
        """Read what deriving these needs: the library, and the GWP set of each owner at the end of each year."""
        self.library = await factor_rows.library(self.session)
        for year in {year for _, year in wanted}:
            owners = {self.owners[key] for key, y in wanted if y == year}
            held = await BoundaryReader.effective(self.session, owners, date(year, 12, 31))
            self._gwp |= {(owner, year): boundary.gwp_set for owner, boundary in held.items()}

    def pieces(self, key: StreamYear, wanted: Iterable[Part], failures: Failures) -> Iterator[Piece]:
        """The coefficients of these parts of a stream's year; why some cannot be derived goes to `failures`."""
        for part in wanted:
            found = self._derived(key, part)
            if isinstance(found, CodedError):
                failures[key, part] = found
                continue
            basis = part.basis.id if part.basis else None
            yield Piece(key[0], part.method, part.first_month, part.last_month, found, basis)

    def _derived(self, key: StreamYear, part: Part) -> Coefficient | CodedError:
        stream, owner = self.asked[key], self.owners[key[0]]
        gwp_set, adopted = self._gwp[owner, key[1]], self.adopted.on(owner, part.first_month)
        like = replace(stream, id=_NOBODY, source_id=_NOBODY, code="", name_zh="", name_en="")
        alike = (key[1], gwp_set, adopted, like, part.basis and (part.basis.id, part.first_month))
        if alike not in self._known:
            try:
                self._known[alike] = derived(stream, part, self._library(adopted), gwp_set)
            except CodedError as error:
                self._known[alike] = error
        return self._known[alike]

    def _library(self, adopted: str | None) -> Library:
        """As those see it who have adopted a set."""
        assert self.library is not None
        if adopted not in self._seen:
            self._seen[adopted] = self.library.preferring(adopted)
        return self._seen[adopted]


def derived(stream: Stream, part: Part, library: Library, gwp_set: GwpSet) -> Coefficient:
    """The coefficient of a part of a stream's year. Errors: FACTOR_NOT_FOUND, UNKNOWN_GAS, those of the method."""
    basis = part.basis
    if basis is None:
        return derive(stream, part.first_month.year, library, gwp_set)
    context = Context(stream, part.first_month, library, gwp_set, gas=basis.gas or None, formula=basis.formula or None)
    given = {p.name: GivenParameter(p.value, p.unit, p.source, p.factor_id) for p in basis.parameters}
    return derive_by(basis.kind, given, context)
