"""The reader of California's public records: what it takes, what it reports, and what the figures must be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from tenants.examples.california.group import as_group
from tenants.examples.california.manifest import read_manifest
from tenants.examples.california.records import (
    Instrument,
    Obligation,
    Period,
    Records,
    Status,
    SurrenderLine,
    read_records,
)
from tests.fixtures.shared_data import public_records

CP1 = Period(2013, 2014, "CP1")
CP2 = Period(2015, 2017, "CP2")

FILES = {
    "obligations_expected.csv": (
        "period,entity_id,legal_name,obligation,allowances_surrendered,offsets_surrendered,total_surrendered,status",
        'CP1 2013-2014,E1,"Old  Name, Inc. ",100,80,20,100,Fulfilled',
        "CP2 2015-2017,E1,新名字,7,0,0,0,Unfulfilled",
    ),
    "facility_emissions.csv": (
        "arb_id,facility_name,year,total_co2e_t,total_covered_t,city,naics,sector",
        "F1,First,2013,5656.07135999999,3779.71936,Trona ,221112 - Power,Cogeneration",
        "F1,Second,2014,0,0,,221112 - Power,Cogeneration",
    ),
    "entity_facility.csv": ("period,entity_id,arb_ghg_id", "CP1 2013-2014,E1,F1"),
    "offset_issuance.csv": (
        (
            "issuance_id,project_id,project_name,project_type,vintage,credits_issued,buffer_contribution,"
            "issuance_date,period_start,period_end"
        ),
        "LOT-A,P1,Blue Source – Bishop,Forest,2013,100,30,2014-06-10,2012-08-08,2013-06-23",
        "LOT-B,P1,Dairy,Livestock,2014,10,,2014-06-10,2013-06-24,2014-06-23",
    ),
    "surrender_lines.csv": (
        "period,entity_id,instrument,vintage,project_id,quantity",
        "CP1 2013-2014,E1,ALLOWANCE,2013,,80",
        "CP1 2013-2014,E1,OFFSET,2013,LOT-A,15",
        "CP1 2013-2014,E1,OFFSET,2013,LOT-A,5",
    ),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the five files, some with further lines, and give their folder."""

    def _write(**further: str | bytes) -> Path:
        for name, lines in FILES.items():
            extra = further.get(name.removesuffix(".csv"), b"")
            tail = extra.encode() if isinstance(extra, str) else extra
            (tmp_path / name).write_bytes("\n".join((*lines, "")).encode() + tail)
        return tmp_path

    return _write


def test_reads_each_file(write: Callable[..., Path]) -> None:
    records = read_records(write())

    assert records.traps == ()
    entity = records.entities["E1"]
    assert (entity.name, dict(entity.legal_names)) == ("新名字", {CP1: "Old Name, Inc.", CP2: "新名字"})
    facility = records.facilities["F1"]
    assert (facility.name, facility.city, dict(facility.entities)) == ("Second", "", {CP1: ("E1",)})
    assert [row.name for row in records.emissions] == ["First", "Second"]
    forest, dairy = records.issuances.values()
    assert (forest.net_t, forest.issued_on, dairy.buffer_t, dairy.net_t) == (70, date(2014, 6, 10), 0, 10)
    assert [(row.issuance_id, row.quantity_t, row.line) for row in records.surrenders] == [
        (None, 80, 2),
        ("LOT-A", 15, 3),
        ("LOT-A", 5, 4),
    ]
    assert [row.status.fulfilled for row in records.obligations] == [True, False]


def test_float_noise_is_dropped_at_the_gram(write: Callable[..., Path]) -> None:
    first = read_records(write()).emissions[0]

    assert (first.total_t, first.covered_t) == (Decimal("5656.07136"), Decimal("3779.71936"))


@pytest.mark.parametrize(
    ("file", "row", "code"),
    [
        ("obligations_expected", "CP1 2013-2014,E1,Again,1,1,0,1,Fulfilled", "DUPLICATE_ROW"),
        ("obligations_expected", "CP1 2013-2014,E2,Name,1,1,0,1,Perhaps", "UNKNOWN_STATUS"),
        ("obligations_expected", "CP9 2014-2013,E2,Name,1,1,0,1,Fulfilled", "UNKNOWN_PERIOD"),
        ("obligations_expected", "CP1 2013-2014,E2,Name,1.5,1,0,1,Fulfilled", "NOT_WHOLE_TONNES"),
        ("obligations_expected", 'CP1 2013-2014,E2,Name,"1,500",1,0,1,Fulfilled', "NOT_WHOLE_TONNES"),
        ("obligations_expected", "CP1 2013-2014,E2,Name,-1,1,0,1,Fulfilled", "NOT_WHOLE_TONNES"),
        ("obligations_expected", "CP1 2013-2014,E2,Name,１,1,0,1,Fulfilled", "NOT_WHOLE_TONNES"),
        ("obligations_expected", "CP1 2013-2014,E2,  ,1,1,0,1,Fulfilled", "EMPTY_CELL"),
        ("obligations_expected", "CP1 2013-2014,E2,Name,1", "WRONG_WIDTH"),
        ("facility_emissions", "F2,Name,2013,NaN,0,,x,y", "NOT_A_NUMBER"),
        ("facility_emissions", "F2,Name,2013,1e3,0,,x,y", "NOT_A_NUMBER"),
        ("facility_emissions", "F2,Name,13,1,0,,x,y", "NOT_A_YEAR"),
        ("facility_emissions", "F1,Name,2013,1,0,,x,y", "DUPLICATE_ROW"),
        ("entity_facility", "CP1 2013-2014,E1,F9", "UNKNOWN_FACILITY"),
        ("entity_facility", "CP1 2013-2014,E9,F1", "UNKNOWN_ENTITY"),
        (
            "offset_issuance",
            "LOT-C,P,N,Forest,2013,10,11,2014-06-10,2013-01-01,2013-12-31",
            "BUFFER_ABOVE_ISSUE",
        ),
        ("offset_issuance", "LOT-C,P,N,Forest,2013,10,1,2014-06-31,2013-01-01,2013-12-31", "NOT_A_DATE"),
        ("surrender_lines", "CP1 2013-2014,E1,OFFSET,2013,,5", "LOT_MISPLACED"),
        ("surrender_lines", "CP1 2013-2014,E1,ALLOWANCE,2013,LOT-A,5", "LOT_MISPLACED"),
        ("surrender_lines", "CP1 2013-2014,E1,FUTURE,2013,,5", "UNKNOWN_INSTRUMENT"),
        ("surrender_lines", b"CP1 2013-2014,E1,ALLOWANCE,2013,,5\xff", "NOT_UTF8"),
    ],
)
def test_a_row_that_cannot_be_read_is_one_trap(
    write: Callable[..., Path], file: str, row: str | bytes, code: str
) -> None:
    clean = read_records(write())
    dirty = read_records(write(**{file: row}))

    [trap] = dirty.traps
    assert (trap.file, trap.line, trap.code) == (f"{file}.csv", len(FILES[f"{file}.csv"]) + 1, code)
    assert trap.message
    assert (dirty.obligations, dirty.emissions, dirty.surrenders, dirty.issuances) == (
        clean.obligations,
        clean.emissions,
        clean.surrenders,
        clean.issuances,
    )


def test_a_good_row_after_a_bad_one_is_read(write: Callable[..., Path]) -> None:
    lines = "CP1 2013-2014,E1,ALLOWANCE,2013,,many\nCP1 2013-2014,E1,ALLOWANCE,2014,,3"
    records = read_records(write(surrender_lines=lines))

    assert [(trap.line, trap.code) for trap in records.traps] == [(5, "NOT_WHOLE_TONNES")]
    assert (records.surrenders[-1].quantity_t, records.surrenders[-1].line) == (3, 6)


def test_a_line_naming_a_lot_nobody_issued_is_taken(write: Callable[..., Path]) -> None:
    records = read_records(write(surrender_lines="CP1 2013-2014,E1,OFFSET,2013,LOT-Z,5"))

    assert records.traps == ()
    assert records.surrenders[-1].issuance_id == "LOT-Z"


def test_an_open_quote_is_reported_with_what_it_costs(write: Callable[..., Path]) -> None:
    lines = 'CP1 2013-2014,E1,ALLOWANCE,2013,"",1\nCP1 2013-2014,E1,"ALLOWANCE,2014,,3\nx,y'
    records = read_records(write(surrender_lines=lines))

    [trap] = records.traps
    assert (trap.line, trap.code) == (6, "BROKEN_CSV")
    assert len(records.surrenders) == 4


def test_a_missing_column_is_reported(write: Callable[..., Path]) -> None:
    folder = write()
    (folder / "offset_issuance.csv").write_text("issuance_id,vintage\nLOT-A,2013\n", encoding="utf-8")

    [trap] = read_records(folder).traps
    assert (trap.line, trap.code) == (1, "MISSING_COLUMN")


def test_a_missing_file_is_the_callers_error(write: Callable[..., Path]) -> None:
    folder = write()
    (folder / "surrender_lines.csv").unlink()

    with pytest.raises(FileNotFoundError):
        read_records(folder)


@pytest.fixture(scope="module")
def published() -> Records:
    return read_records(public_records("california"))


def test_published_counts(published: Records) -> None:
    assert len(published.obligations) == 568
    assert len(published.surrenders) == 3164
    assert len(published.issuances) == 1080
    assert len(published.emissions) == 4022
    assert (len(published.entities), len(published.facilities)) == (334, 884)
    assert Counter(row.status for row in published.obligations) == {
        Status.FULFILLED: 565,
        Status.FULFILLED_NOTED: 1,
        Status.UNFULFILLED: 2,
    }


def test_published_traps(published: Records) -> None:
    """Two facilities are listed under an entity and never reported; every other row can be read."""
    assert [(trap.file, trap.line, trap.code) for trap in published.traps] == [
        ("entity_facility.csv", 783, "UNKNOWN_FACILITY"),
        ("entity_facility.csv", 840, "UNKNOWN_FACILITY"),
    ]


def test_published_lines_against_published_totals(published: Records) -> None:
    """One entity-period's lines do not sum to its totals: a total stands among them as if it were a line."""
    sums: Counter[tuple[Period, str, Instrument]] = Counter()
    for line in published.surrenders:
        sums[line.period, line.entity_id, line.instrument] += line.quantity_t
    off = [
        (
            row.entity_id,
            row.period.code,
            sums[row.period, row.entity_id, Instrument.ALLOWANCE],
            row.allowances_t,
        )
        for row in published.obligations
        if sums[row.period, row.entity_id, Instrument.ALLOWANCE] != row.allowances_t
        or sums[row.period, row.entity_id, Instrument.OFFSET] != row.offsets_t
    ]
    assert off == [("CA1085", "CP2", 2 * 4_834_795, 4_834_795)]


def test_the_rule_of_surrender_against_published_status(published: Records) -> None:
    """567 of 568 statuses follow from `surrendered ≥ obligation`; its neighbour has what the other lacks."""
    surrendered: Counter[tuple[Period, str]] = Counter()
    for line in published.surrenders:
        surrendered[line.period, line.entity_id] += line.quantity_t
    differ = [
        (row.entity_id, row.obligation_t - surrendered[row.period, row.entity_id])
        for row in published.obligations
        if (surrendered[row.period, row.entity_id] >= row.obligation_t) is not row.status.fulfilled
    ]
    excess = [(row.entity_id, over) for row in published.obligations if (over := row.total_t - row.obligation_t) > 0]
    assert differ == [("CA1850", 6139)]
    assert excess == [("CA1821", 6139)]


def test_published_lots_are_known_and_never_overdrawn(published: Records) -> None:
    used: Counter[str] = Counter()
    for line in published.surrenders:
        if line.issuance_id is not None:
            assert line.vintage == published.issuances[line.issuance_id].vintage
            used[line.issuance_id] += line.quantity_t
    assert len(used) == 746
    assert [lot for lot, quantity in used.items() if quantity > published.issuances[lot].net_t] == []


def test_obligations_are_covered_emissions_rounded_per_facility_and_year(published: Records) -> None:
    """515 obligations are, to the tonne, the sum of covered emissions in whole tonnes per facility-year."""
    covered: defaultdict[tuple[Period, str], int] = defaultdict(int)
    for report in published.emissions:
        for period, entities in published.facilities[report.arb_id].entities.items():
            if report.year in period.years:
                for entity in entities:
                    covered[period, entity] += int(report.covered_t.quantize(Decimal(1), ROUND_HALF_UP))
    exact = sum(covered[row.period, row.entity_id] == row.obligation_t for row in published.obligations)
    assert exact == 515


def test_the_manifest_holds_a_dozen_companies_that_agree_with_themselves() -> None:
    records = read_manifest()

    assert len(records.entities) == 12
    assert {row.status for row in records.obligations} == set(Status)
    assert {period for entity in records.entities.values() for period in entity.legal_names} == {CP1, CP2}
    for row in records.obligations:
        mine = [line for line in records.surrenders if (line.period, line.entity_id) == (row.period, row.entity_id)]
        by_kind = Counter[Instrument]()
        for line in mine:
            by_kind[line.instrument] += line.quantity_t
        assert (by_kind[Instrument.ALLOWANCE], by_kind[Instrument.OFFSET]) == (
            row.allowances_t,
            row.offsets_t,
        )
        assert sum(by_kind.values()) == row.total_t
    for facility in records.facilities.values():
        for period, entities in facility.entities.items():
            assert all(period in records.entities[entity].legal_names for entity in entities)


def test_the_manifest_quotes_the_record(published: Records) -> None:
    manifest = read_manifest()
    companies = manifest.entities

    assert dict(companies) == {key: published.entities[key] for key in companies}
    assert dict(manifest.facilities) == {key: published.facilities[key] for key in manifest.facilities}
    assert dict(manifest.issuances) == {key: published.issuances[key] for key in manifest.issuances}
    assert set(manifest.emissions) == {row for row in published.emissions if row.arb_id in manifest.facilities}
    assert set(manifest.facilities) == {
        key
        for key, facility in published.facilities.items()
        if any(entity in companies for entities in facility.entities.values() for entity in entities)
    }

    def figures(records: Records) -> Counter[Obligation | SurrenderLine]:
        """Count the rows of the dozen by everything but where they stand."""
        rows: tuple[Obligation | SurrenderLine, ...] = (*records.obligations, *records.surrenders)
        return Counter(replace(row, line=0) for row in rows if row.entity_id in companies)

    assert figures(manifest) == figures(published)


def test_an_exception_is_recorded_where_the_record_goes_beyond_the_limit(write: Callable[..., Path]) -> None:
    """E1 used 20 t of offsets for 100 t due and then 1 for 7, E2 exactly 8 of 100."""
    further = {
        "obligations_expected": "CP1 2013-2014,E2,Two,100,92,8,100,Fulfilled\n",
        "surrender_lines": "CP1 2013-2014,E2,OFFSET,2013,LOT-A,8\nCP2 2015-2017,E1,OFFSET,2013,LOT-A,1\n",
    }
    found = as_group(read_records(write(**further)), "x").exceptions
    assert [(x["organisation"], x["year"]) for x in found] == [("E1", 2014), ("E1", 2017)]
    assert "20 t of offsets for 100 t due" in found[0]["reason"]
