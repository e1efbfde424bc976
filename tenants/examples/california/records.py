"""California cap-and-trade 2013-2017, as published by the California Air Resources Board, as plain values.

Nothing is corrected and nothing is special-cased: a row is taken as it stands or reported as a `Trap`. What
the figures say about each other (a lot nobody issued, lines that do not sum to the published total) is for
the ledger and the comparison to find out, so such rows are taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path

from tenants.examples.rows import Row, Trap, UnreadableRow, read_rows

_PERIOD = re.compile(r"(CP\d) (20\d\d)-(20\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A compliance period: its obligation is the sum over its years, settled once at the end."""

    first_year: int
    last_year: int
    code: str

    @classmethod
    def parse(cls, label: str) -> Period:
        """From the published label, such as `CP1 2013-2014`; `ValueError` when it is something else."""
        match = _PERIOD.fullmatch(label)
        if match is None or match[2] > match[3]:
            raise ValueError(f"{label!r} is not a period; it must be such as 'CP1 2013-2014'")
        return cls(int(match[2]), int(match[3]), match[1])

    @property
    def years(self) -> range:
        return range(self.first_year, self.last_year + 1)

    def __str__(self) -> str:
        return f"{self.code} {self.first_year}-{self.last_year}"


class Instrument(StrEnum):
    ALLOWANCE = "ALLOWANCE"
    OFFSET = "OFFSET"


class Status(StrEnum):
    """The published verdict. The star is the publisher's footnote to a fulfilment."""

    FULFILLED = "Fulfilled"
    FULFILLED_NOTED = "Fulfilled*"
    UNFULFILLED = "Unfulfilled"

    @property
    def fulfilled(self) -> bool:
        return self is not Status.UNFULFILLED


@dataclass(frozen=True, slots=True)
class Entity:
    """A registered company. `name` is its latest legal name."""

    entity_id: str
    name: str
    legal_names: Mapping[Period, str]


@dataclass(frozen=True, slots=True)
class Facility:
    """A reporting facility as of its latest report, and the entities it was listed under in each period.

    `city` may be empty. Two entities in one period mean that it changed hands within it; the records give no
    date for that.
    """

    arb_id: str
    name: str
    city: str
    naics: str
    sector: str
    entities: Mapping[Period, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class FacilityYear:
    """What a facility reported for a year, t CO2e to the gram.

    `covered_t` is the part that carries an obligation.
    """

    arb_id: str
    year: int
    name: str
    total_t: Decimal
    covered_t: Decimal


@dataclass(frozen=True, slots=True)
class OffsetIssuance:
    """A lot of offset credits, whole t CO2e.

    A part of each forest lot goes to the state's buffer account; no company can use it.
    """

    issuance_id: str
    project_id: str
    project_name: str
    project_type: str
    vintage: int
    issued_t: int
    buffer_t: int
    issued_on: date
    period_start: date
    period_end: date

    @property
    def net_t(self) -> int:
        """What reached a holder, whole t CO2e."""
        return self.issued_t - self.buffer_t


@dataclass(frozen=True, slots=True)
class SurrenderLine:
    """Instruments of one kind handed in for a period, whole t CO2e; `issuance_id` for offsets only."""

    period: Period
    entity_id: str
    instrument: Instrument
    vintage: int
    issuance_id: str | None
    quantity_t: int
    line: int


@dataclass(frozen=True, slots=True)
class Obligation:
    """The published answer for an entity and period, whole t CO2e."""

    period: Period
    entity_id: str
    legal_name: str
    obligation_t: int
    allowances_t: int
    offsets_t: int
    total_t: int
    status: Status
    line: int


@dataclass(frozen=True, slots=True)
class Records:
    """The whole record: entities by id, facilities by id, the rest in the order of its file."""

    entities: Mapping[str, Entity]
    facilities: Mapping[str, Facility]
    emissions: tuple[FacilityYear, ...]
    issuances: Mapping[str, OffsetIssuance]
    surrenders: tuple[SurrenderLine, ...]
    obligations: tuple[Obligation, ...]
    traps: tuple[Trap, ...]


def read_records(folder: Path) -> Records:
    """Read the five files of the record in `folder`.

    Raises `FileNotFoundError` when one of them is absent; every row that cannot be read is in `traps`.
    """
    traps: list[Trap] = []
    obligations = read_rows(
        folder / "obligations_expected.csv",
        "period entity_id legal_name obligation allowances_surrendered offsets_surrendered total_surrendered status",
        _obligation,
        traps,
        key=lambda row: (str(row.period), row.entity_id),
    )
    entities = entities_of(obligations)
    reports = read_rows(
        folder / "facility_emissions.csv",
        "arb_id facility_name year total_co2e_t total_covered_t city naics sector",
        _report,
        traps,
        key=lambda row: (row.emissions.arb_id, row.emissions.year),
    )
    listings = read_rows(
        folder / "entity_facility.csv",
        "period entity_id arb_ghg_id",
        partial(_listing, entities, {report.emissions.arb_id for report in reports}),
        traps,
        key=lambda row: (str(row.period), row.entity_id, row.arb_id),
    )
    issuances = read_rows(
        folder / "offset_issuance.csv",
        "issuance_id project_id project_name project_type vintage credits_issued buffer_contribution"
        " issuance_date period_start period_end",
        _issuance,
        traps,
        key=lambda row: row.issuance_id,
    )
    surrenders = read_rows(
        folder / "surrender_lines.csv",
        "period entity_id instrument vintage project_id quantity",
        partial(_surrender, entities),
        traps,
    )
    return Records(
        entities=entities,
        facilities=_facilities(reports, listings),
        emissions=tuple(report.emissions for report in reports),
        issuances={lot.issuance_id: lot for lot in issuances},
        surrenders=tuple(surrenders),
        obligations=tuple(obligations),
        traps=tuple(traps),
    )


def entities_of(obligations: Iterable[Obligation]) -> dict[str, Entity]:
    """Gather the companies that have an obligation, each named as in its latest period."""
    names: defaultdict[str, dict[Period, str]] = defaultdict(dict)
    for row in obligations:
        names[row.entity_id][row.period] = row.legal_name
    return {key: Entity(key, by_period[max(by_period)], by_period) for key, by_period in names.items()}


@dataclass(frozen=True, slots=True)
class _Report:
    emissions: FacilityYear
    city: str
    naics: str
    sector: str


@dataclass(frozen=True, slots=True)
class _Listing:
    period: Period
    entity_id: str
    arb_id: str


def _facilities(reports: Iterable[_Report], listings: Iterable[_Listing]) -> dict[str, Facility]:
    listed: defaultdict[str, defaultdict[Period, list[str]]] = defaultdict(lambda: defaultdict(list))
    for listing in listings:
        listed[listing.arb_id][listing.period].append(listing.entity_id)
    latest: dict[str, _Report] = {}
    for report in sorted(reports, key=lambda each: each.emissions.year):
        latest[report.emissions.arb_id] = report
    return {
        arb_id: Facility(
            arb_id=arb_id,
            name=report.emissions.name,
            city=report.city,
            naics=report.naics,
            sector=report.sector,
            entities={period: tuple(ids) for period, ids in listed[arb_id].items()},
        )
        for arb_id, report in latest.items()
    }


def _obligation(row: Row) -> Obligation:
    status = row.text("status")
    if status not in set(Status):
        raise UnreadableRow("UNKNOWN_STATUS", f"status is {status!r}; it must be one of {', '.join(Status)}")
    return Obligation(
        period=_period(row),
        entity_id=row.text("entity_id"),
        legal_name=row.text("legal_name"),
        obligation_t=row.whole_t("obligation"),
        allowances_t=row.whole_t("allowances_surrendered"),
        offsets_t=row.whole_t("offsets_surrendered"),
        total_t=row.whole_t("total_surrendered"),
        status=Status(status),
        line=row.line,
    )


def _report(row: Row) -> _Report:
    emissions = FacilityYear(
        arb_id=row.text("arb_id"),
        year=row.year("year"),
        name=row.text("facility_name"),
        total_t=row.mass_t("total_co2e_t"),
        covered_t=row.mass_t("total_covered_t"),
    )
    return _Report(emissions, row.optional("city"), row.text("naics"), row.text("sector"))


def _listing(entities: Mapping[str, Entity], facilities: set[str], row: Row) -> _Listing:
    listing = _Listing(_period(row), _known_entity(entities, row), row.text("arb_ghg_id"))
    if listing.arb_id not in facilities:
        raise UnreadableRow("UNKNOWN_FACILITY", f"facility {listing.arb_id} never reported emissions")
    return listing


def _issuance(row: Row) -> OffsetIssuance:
    lot = OffsetIssuance(
        issuance_id=row.text("issuance_id"),
        project_id=row.text("project_id"),
        project_name=row.text("project_name"),
        project_type=row.text("project_type"),
        vintage=row.year("vintage"),
        issued_t=row.whole_t("credits_issued"),
        buffer_t=row.whole_t("buffer_contribution") if row.optional("buffer_contribution") else 0,
        issued_on=row.day("issuance_date"),
        period_start=row.day("period_start"),
        period_end=row.day("period_end"),
    )
    if lot.buffer_t > lot.issued_t:
        raise UnreadableRow("BUFFER_ABOVE_ISSUE", f"buffer {lot.buffer_t} t of {lot.issued_t} t issued")
    return lot


def _surrender(entities: Mapping[str, Entity], row: Row) -> SurrenderLine:
    kind = row.text("instrument")
    if kind not in set(Instrument):
        raise UnreadableRow("UNKNOWN_INSTRUMENT", f"instrument is {kind!r}; ALLOWANCE and OFFSET are known")
    instrument = Instrument(kind)
    issuance_id = row.optional("project_id") or None
    if (issuance_id is None) is (instrument is Instrument.OFFSET):
        raise UnreadableRow("LOT_MISPLACED", "project_id must name the issuance of an offset, and be empty otherwise")
    return SurrenderLine(
        period=_period(row),
        entity_id=_known_entity(entities, row),
        instrument=instrument,
        vintage=row.year("vintage"),
        issuance_id=issuance_id,
        quantity_t=row.whole_t("quantity"),
        line=row.line,
    )


def _period(row: Row) -> Period:
    try:
        return Period.parse(row.text("period"))
    except ValueError as error:
        raise UnreadableRow("UNKNOWN_PERIOD", str(error)) from None


def _known_entity(entities: Mapping[str, Entity], row: Row) -> str:
    entity_id = row.text("entity_id")
    if entity_id not in entities:
        raise UnreadableRow("UNKNOWN_ENTITY", f"entity {entity_id} has no published obligation")
    return entity_id
