"""The small demonstration: a dozen companies of the record, from `manifest.toml` into the same values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tenants.examples.california.records import (
    Facility,
    FacilityYear,
    Instrument,
    Obligation,
    OffsetIssuance,
    Period,
    Records,
    Status,
    SurrenderLine,
    entities_of,
)

MANIFEST: Final = Path(__file__).with_name("manifest.toml")

Table = Mapping[str, Any]


def read_manifest(path: Path = MANIFEST) -> Records:
    """Read the manifest: masses in t CO2e, instruments in whole t CO2e.

    It is a file of ours, so nothing is a trap: what is wrong in it raises (`KeyError` for a name that is
    missing or that nothing declares, `ValueError` for a value that does not fit).
    """
    manifest = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    periods = {period.code: period for period in map(Period.parse, manifest["periods"])}
    lots = {lot.issuance_id: lot for lot in map(_lot, manifest["lot"])}
    obligations: list[Obligation] = []
    surrenders: list[SurrenderLine] = []
    for entity in manifest["entity"]:
        settled = {periods[code]: table for code, table in entity.items() if code != "id"}
        for period, table in settled.items():
            obligations.append(_obligation(entity["id"], period, table, len(obligations) + 1))
            surrenders.extend(_surrenders(entity["id"], period, table, lots, len(surrenders) + 1))
    return Records(
        entities=entities_of(obligations),
        facilities={facility.arb_id: facility for facility in _facilities(manifest["facility"], periods)},
        emissions=tuple(_emissions(manifest["facility"])),
        issuances=lots,
        surrenders=tuple(surrenders),
        obligations=tuple(obligations),
        traps=(),
    )


def _lot(table: Table) -> OffsetIssuance:
    return OffsetIssuance(
        issuance_id=table["id"],
        project_id=table["project_id"],
        project_name=table["project"],
        project_type=table["type"],
        vintage=table["vintage"],
        issued_t=table["issued_t"],
        buffer_t=table.get("buffer_t", 0),
        issued_on=table["issued_on"],
        period_start=table["from"],
        period_end=table["to"],
    )


def _facilities(tables: Iterable[Table], periods: Mapping[str, Period]) -> Iterator[Facility]:
    for table in tables:
        yield Facility(
            arb_id=table["id"],
            name=table["name"],
            city=table["city"],
            naics=table["naics"],
            sector=table["sector"],
            entities={periods[code]: tuple(ids) for code, ids in table["entities"].items()},
        )


def _emissions(tables: Iterable[Table]) -> Iterator[FacilityYear]:
    for table in tables:
        for year, total_t in table["total_t"].items():
            yield FacilityYear(
                arb_id=table["id"],
                year=int(year),
                name=table.get("known_as", {}).get(year, table["name"]),
                total_t=Decimal(total_t),
                covered_t=Decimal(table.get("covered_t", table["total_t"])[year]),
            )


def _obligation(entity_id: str, period: Period, table: Table, line: int) -> Obligation:
    return Obligation(
        period=period,
        entity_id=entity_id,
        legal_name=table["legal_name"],
        obligation_t=table["obligation_t"],
        allowances_t=table["published"]["allowances_t"],
        offsets_t=table["published"]["offsets_t"],
        total_t=table["published"]["total_t"],
        status=Status(table["published"]["status"]),
        line=line,
    )


def _surrenders(
    entity_id: str, period: Period, table: Table, lots: Mapping[str, OffsetIssuance], first_line: int
) -> Iterator[SurrenderLine]:
    allowances = [(Instrument.ALLOWANCE, vintage, None, quantity) for vintage, quantity in table["allowances"]]
    offsets = [(Instrument.OFFSET, lots[lot].vintage, lot, quantity) for lot, quantity in table["offsets"]]
    for line, (instrument, vintage, lot, quantity) in enumerate([*allowances, *offsets], first_line):
        yield SurrenderLine(period, entity_id, instrument, vintage, lot, quantity, line)
