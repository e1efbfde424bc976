"""Who owns which unit: shares per generator of 2020, found again for the units of 2021 by general rules.

A unit has the owners of the generator of its plant and name. The record names only generators that others own too, so
nothing is guessed from the rest of a plant: a unit of a plant on record that is not named itself is reported
(OWNERS_UNKNOWN), and stands under no owner. Beside it, per row or generator:

- SHARE_MISSING: a sole owner without a share has all of it; of several the generator is left;
- OWNER_TWICE: its shares are added;
- SHARES_NOT_100: the shares stay as published, nothing is scaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from tenants.examples.power_units.records import UnitYear
from tenants.examples.rows import Row, Trap, read_rows

FILE: Final = "owners_2020.csv"
_COLUMNS: Final = "plant_code generator_id owner owner_id share"
Split = tuple[tuple[str, Decimal], ...]
"""Owners by their id, each with its share (0 to 1), the largest first."""


@dataclass(frozen=True, slots=True)
class _Line:
    plant: str
    generator: str
    owner_id: str
    owner: str
    share: Decimal | None
    line: int


@dataclass(frozen=True, slots=True)
class Owners:
    """`names`: of owners by id; `splits`: of units by plant and code, those alone whose owners are known."""

    names: Mapping[str, str]
    splits: Mapping[tuple[str, str], Split]
    traps: tuple[Trap, ...]

    def of(self, unit: UnitYear) -> Split:
        """Empty where the record says nothing of it."""
        return self.splits.get((unit.plant, unit.code), ())


def read_owners(folder: Path, units: Iterable[UnitYear]) -> Owners:
    """Read `owners_2020.csv` of the folder and find the owners of these units."""
    traps: list[Trap] = []
    generators: dict[tuple[str, str], list[_Line]] = {}
    for line in read_rows(folder / FILE, _COLUMNS, _line, traps):
        generators.setdefault((line.plant, line.generator), []).append(line)
    known = {key: split for key, lines in generators.items() if (split := _split(lines, traps))}
    plants = {plant for plant, _ in known}
    splits: dict[tuple[str, str], Split] = {}
    for unit in units:
        if (unit.plant, unit.unit) in known:
            splits[unit.plant, unit.code] = known[unit.plant, unit.unit]
        elif unit.plant in plants:
            message = f"unit {unit.unit} of plant {unit.plant} is none of the generators whose owners are on record"
            traps.append(Trap("units_2021.csv", unit.line, "OWNERS_UNKNOWN", message))
    names = {line.owner_id: line.owner for lines in generators.values() for line in lines}
    return Owners(names, splits, tuple(traps))


def _line(row: Row) -> _Line:
    share = row.decimal("share") if row.optional("share") else None
    names = row.text("plant_code"), row.text("generator_id"), row.text("owner_id"), row.text("owner")
    return _Line(*names, share, row.line)


def _split(lines: list[_Line], traps: list[Trap]) -> Split:
    shares: dict[str, Decimal] = {}
    for line in lines:
        share = line.share
        if share is None:
            taken = "1 is taken" if len(lines) == 1 else "the generator is left"
            traps.append(Trap(FILE, line.line, "SHARE_MISSING", f"{line.owner} has no share; {taken}"))
            if len(lines) > 1:
                return ()
            share = Decimal(1)
        if line.owner_id in shares:
            traps.append(Trap(FILE, line.line, "OWNER_TWICE", f"{line.owner} stands twice; its shares are added"))
        shares[line.owner_id] = shares.get(line.owner_id, Decimal(0)) + share
    if (total := sum(shares.values(), Decimal(0))) != 1:
        where = f"{lines[0].generator} of plant {lines[0].plant}"
        traps.append(Trap(FILE, lines[0].line, "SHARES_NOT_100", f"the shares of {where} sum to {total}"))
    return tuple(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))
