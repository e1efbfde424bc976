"""What is produced, and what is emitted per unit of it (9.1.1 a 2, 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category
from backend.kit.errors import CodedError, conflict, invalid
from backend.kit.quantity import COEFFICIENT_DECIMALS, GREENHOUSE_GAS, read_unit, round_half_up, storable
from backend.kit.text import clean, tidy

SHOWN_DECIMALS: Final = 4
"""Programmes report an intensity with four decimals, half up (rules.md 4)."""

OUTPUT_TAKEN = conflict(
    "OUTPUT_TAKEN",
    en="The output of '{product}' in {month} is recorded there already; supersede that record.",
    zh="该处 {month} 的“{product}”产量已有记录；请替换该记录。",
)
OUTPUT_UNIT = invalid(
    "OUTPUT_UNIT",
    en="'{product}' is recorded in {unit} here; '{written}' is another unit.",
    zh="此处“{product}”以 {unit} 记录；“{written}”为不同单位。",
)
BAD_OUTPUT = invalid("BAD_OUTPUT", en="{reason}", zh="{reason_zh}")


@dataclass(frozen=True, slots=True)
class NewOutput:
    """A quantity of a product made by an organisation in a month; by one of its units or devices, if said."""

    organisation_id: UUID
    product: str
    month: date
    quantity: Decimal
    unit: str
    unit_id: UUID | None = None
    device_id: UUID | None = None
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProductOutput:
    """An output as it was recorded; superseded, never edited."""

    id: UUID
    line_id: UUID
    organisation_id: UUID
    unit_id: UUID | None
    device_id: UUID | None
    product: str
    month: date
    quantity: Decimal
    unit: str
    evidence: str
    note: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class OutputChange:
    """What a new version changes; what is None stays."""

    quantity: Decimal | None = None
    evidence: str | None = None
    note: str | None = None


def canonical_output(new: NewOutput) -> NewOutput:
    """In the canonical unit where the unit has one (t, MWh, GJ …); other units (件, m2) stay as they are written.

    Errors: BAD_OUTPUT, NUMBER_OUT_OF_RANGE.
    """
    product, unit, quantity = tidy(new.product), clean(new.unit), new.quantity
    if not 1 <= len(product) <= 60 or not 1 <= len(unit) <= 20:
        raise BAD_OUTPUT(
            path=("product",),
            reason="A product has a name of 1 to 60 characters and a unit of 1 to 20.",
            reason_zh="产品名称须为 1 至 60 个字符，单位须为 1 至 20 个字符。",
        )
    try:
        known = read_unit(unit)
        unit, quantity = known.canonical, quantity * known.factor
    except CodedError:
        pass
    if quantity < 0:
        raise BAD_OUTPUT(path=("quantity",), reason="An output is not negative.", reason_zh="产量不能为负。")
    kept = storable(quantity, unit)
    return NewOutput(
        new.organisation_id, product, new.month, kept, unit, new.unit_id, new.device_id,
        tidy(new.evidence), tidy(new.note),
    )  # fmt: skip


class NoIntensity(StrEnum):
    """Why there is no intensity."""

    NO_OUTPUT = "NO_OUTPUT"
    """Nothing was produced, or no output was recorded: there is nothing to divide by."""
    LONGER_RESULT = "LONGER_RESULT"
    """A declared result covers more than this month; only the year can be told."""


@dataclass(frozen=True, slots=True)
class IntensityQuestion:
    """What is divided: emissions of an organisation and all below it, at 100 %, in these categories, by the output of a
    product there; of one unit (with what lies below it) or one device, if said.
    """

    organisation_id: UUID
    product: str
    year: int
    categories: tuple[Category, ...]
    unit_id: UUID | None = None
    device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Intensity:
    """Emissions per output of a month (`months` 1) or of the year; the exact quotient kept to 18 decimals."""

    first_month: date
    months: int
    co2e_t: Decimal
    output: Decimal
    unit: str
    value: Decimal | None
    missing: NoIntensity | None

    @property
    def shown(self) -> str | None:
        """As programmes report it."""
        return None if self.value is None else str(round_half_up(self.value, SHOWN_DECIMALS))


def intensity(first: date, months: int, co2e_t: Decimal, output: Decimal, unit: str, *, longer: bool) -> Intensity:
    """tCO2e per unit of product; no division by zero. Source: 9.1.1 a; rules.md 4 for display."""
    per = f"{GREENHOUSE_GAS}/{unit}"
    if longer or not output:
        missing = NoIntensity.LONGER_RESULT if longer else NoIntensity.NO_OUTPUT
        return Intensity(first, months, co2e_t, output, per, None, missing)
    value = round_half_up(Fraction(co2e_t) / Fraction(output), COEFFICIENT_DECIMALS)
    return Intensity(first, months, co2e_t, output, per, value, None)


def intensities(
    year: int,
    unit: str,
    emitted: Sequence[tuple[date, int, Decimal]],
    outputs: Mapping[date, Decimal],
) -> list[Intensity]:
    """The year, then its months. `emitted`: first month, length and tCO2e of each result that lies in the year."""
    months = [date(year, n, 1) for n in range(1, 13)]
    within = sum((t for _, _, t in emitted), Decimal(0))
    made = [intensity(months[0], 12, within, sum(outputs.values(), Decimal(0)), unit, longer=False)]
    for month in months:
        exact = sum((t for first, length, t in emitted if (first, length) == (month, 1)), Decimal(0))
        longer = any(n > 1 and first <= month and month.month < first.month + n for first, n, _ in emitted)
        made.append(intensity(month, 1, exact, outputs.get(month, Decimal(0)), unit, longer=longer))
    return made
