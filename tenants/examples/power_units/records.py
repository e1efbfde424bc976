"""Power plant units of 2021 as plain values: heat taken in, CO2 as published, and how that was come by.

Nothing is corrected: a row is taken as it stands or reported as a `Trap`. Rows that say nothing of CO2 (wind, water,
units that stood still) are counted and left.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final

from tenants.examples.rows import Row, Trap, UnreadableRow, read_rows

SHORT_TON_T: Final = Decimal("0.90718474")
"""Tonnes in a short ton, exactly."""
MMBTU_GJ: Final = Decimal("1.05505585262")
"""GJ in a million Btu of the International Table, exactly."""
_KEPT: Final = Decimal("1e-12")


class Basis(StrEnum):
    """How the published CO2 was come by."""

    MEASURED = "EPA/CAMD"
    ESTIMATED = "Estimated using emissions factor"


@dataclass(frozen=True, slots=True)
class Factor:
    """A published emission factor, short tons of CO2 per million Btu."""

    fuel: str
    name: str
    source: str
    short_tons_per_mmbtu: Decimal

    @property
    def t_per_gj(self) -> Decimal:
        return (self.short_tons_per_mmbtu * SHORT_TON_T / MMBTU_GJ).quantize(_KEPT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class UnitYear:
    """A unit's year. `number` tells rows apart that share plant, unit and fuel: it counts them."""

    plant: str
    plant_name: str
    state: str
    unit: str
    fuel: str
    heat_mmbtu: Decimal
    co2_short_tons: Decimal
    basis: Basis
    line: int
    number: int = 1

    @property
    def code(self) -> str:
        repeated = f"~{self.number}" if self.number > 1 else ""
        return f"{self.unit} {self.fuel}"[:50] + repeated

    @property
    def heat_gj(self) -> Decimal:
        return (self.heat_mmbtu * MMBTU_GJ).quantize(_KEPT, ROUND_HALF_UP)

    @property
    def co2_t(self) -> Decimal:
        """As published, in tonnes."""
        return (self.co2_short_tons * SHORT_TON_T).quantize(_KEPT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Records:
    """`silent`: how many rows say nothing of CO2."""

    factors: dict[str, Factor]
    units: tuple[UnitYear, ...]
    silent: int
    traps: tuple[Trap, ...]


def read_records(folder: Path) -> Records:
    """Read `units_2021.csv` and `emission_factors.csv` of the folder."""
    traps: list[Trap] = []
    factors = read_rows(
        folder / "emission_factors.csv", "fuel_type eia_fuel_code co2_ef co2_units source", _factor, traps
    )
    columns = "plant_code plant_name state unit_id fuel heat_input_mmbtu co2_short_tons co2_source"
    units = read_rows(folder / "units_2021.csv", columns, _unit, traps)
    counted: dict[tuple[str, str], int] = {}
    told_apart: list[UnitYear] = []
    for unit in units:
        if unit is not None:
            number = counted[unit.plant, unit.code] = counted.get((unit.plant, unit.code), 0) + 1
            told_apart.append(_numbered(unit, number))
    known = {f.fuel: f for f in factors if f is not None}
    return Records(known, tuple(told_apart), sum(u is None for u in units), tuple(traps))


def _numbered(unit: UnitYear, number: int) -> UnitYear:
    fields = {name: getattr(unit, name) for name in UnitYear.__dataclass_fields__}
    return UnitYear(**fields | {"number": number})


def _factor(row: Row) -> Factor | None:
    """None for those that no fuel code leads to."""
    if not row.optional("eia_fuel_code"):
        return None
    if row.text("co2_units") != "ton CO2/mmBtu":
        raise UnreadableRow("UNKNOWN_UNIT", f"co2_units is {row.text('co2_units')!r}; ton CO2/mmBtu is known")
    return Factor(row.text("eia_fuel_code"), row.text("fuel_type"), row.text("source"), row.decimal("co2_ef"))


def _unit(row: Row) -> UnitYear | None:
    source = row.optional("co2_source")
    if not source:
        return None
    if source not in set(Basis):
        raise UnreadableRow("UNKNOWN_BASIS", f"co2_source is {source!r}; {', '.join(Basis)} are known")
    return UnitYear(
        plant=row.text("plant_code"),
        plant_name=row.text("plant_name"),
        state=row.text("state"),
        unit=row.text("unit_id"),
        fuel=row.text("fuel"),
        heat_mmbtu=row.decimal("heat_input_mmbtu"),
        co2_short_tons=row.decimal("co2_short_tons"),
        basis=Basis(source),
        line=row.line,
    )
