"""Forestry sinks: stands and what they are expected to take up, measurements, removals (6.2.3 a 7, 9.1.1 a 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final
from uuid import UUID

from backend.ledger.projects import codes
from backend.ledger.projects.domain import Methodology

MU_PER_HA: Final = 15
"""1 mu is 1/15 ha exactly."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Trees of one species on one area (mu), and what they are expected to take up (tCO2 per mu and year)."""

    project_id: UUID
    code: str
    species: str
    area_mu: Decimal
    effective_area_mu: Decimal
    planted_on: date
    expected_t_per_mu_year: Decimal
    planting_plan: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """A measurement of the carbon stock (tCO2) and its uncertainty (fraction, 90 % confidence)."""

    project_id: UUID
    measured_on: date
    stock_t: Decimal
    uncertainty: Decimal
    evidence: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What was taken up between two rounds (tCO2): as measured, the share taken off for uncertainty, and what counts,
    None when the sample was too small and must be measured again.
    """

    first: date
    last: date
    measured_t: Decimal
    deduction: Decimal | None
    counted_t: Decimal | None


def hectares(mu: Decimal) -> Fraction:
    """An area in mu as hectares, exactly."""
    return Fraction(mu) / MU_PER_HA


def rounded(value: Fraction, places: int) -> Decimal:
    """For display, half up."""
    unit = Decimal(1).scaleb(-places)
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(unit, ROUND_HALF_UP)


def estimate_t(stands: Sequence[Stand]) -> Decimal:
    """Effective area × expected reduction per mu, tCO2 a year (6.2.3 a 7)."""
    return sum((s.effective_area_mu * s.expected_t_per_mu_year for s in stands), Decimal(0))


def removals(rounds: Sequence[Round], by: Methodology) -> list[Removal]:
    """The stock change between each two rounds; conservatively with the larger uncertainty of the two, and less the
    share for reversals. A loss counts in full.
    """
    ordered = sorted(rounds, key=lambda r: r.measured_on)
    return [_removal(a, b, by) for a, b in pairwise(ordered)]


def countable_t(found: Sequence[Removal], first: date, last: date) -> int:
    """Whole tonnes that the rounds count from a day to before another, evenly over the days between two rounds; what
    must be measured again counts nothing.
    """
    whole = sum((_share_of(r, first, last) for r in found), Fraction(0))
    return max(int(whole // 1), 0)


def _share_of(removal: Removal, first: date, last: date) -> Fraction:
    days = (min(removal.last, last) - max(removal.first, first)).days
    if removal.counted_t is None or days <= 0:
        return Fraction(0)
    return Fraction(removal.counted_t) * days / (removal.last - removal.first).days


def _removal(first: Round, last: Round, by: Methodology) -> Removal:
    change = last.stock_t - first.stock_t
    off = deduction(max(first.uncertainty, last.uncertainty), by)
    if change <= 0:
        counted: Decimal | None = change
    else:
        counted = None if off is None else change * (1 - off) * (1 - by.risk)
    return Removal(first.measured_on, last.measured_on, change, off, counted)


def deduction(uncertainty: Decimal, by: Methodology) -> Decimal | None:
    """The share taken off for an uncertainty; None above the last step of the methodology."""
    return next((off for most, off in by.deductions if uncertainty <= most), None)


def checked_stand(stand: Stand) -> Stand:
    """Errors: BAD_STAND."""
    _within("areaMu", stand.area_mu, Decimal("0.000001"), Decimal(10) ** 11, 6)
    _within("effectiveAreaMu", stand.effective_area_mu, Decimal(0), stand.area_mu, 6)
    _within("expectedTPerMuYear", stand.expected_t_per_mu_year, Decimal(0), Decimal(10**6), 9)
    return stand


def checked_round(made: Round) -> Round:
    """Errors: BAD_STAND."""
    _within("stockT", made.stock_t, Decimal(0), Decimal(10) ** 15, 9)
    _within("uncertainty", made.uncertainty, Decimal(0), Decimal("0.999999"), 6)
    return made


def _within(what: str, value: Decimal, least: Decimal, most: Decimal, places: int) -> None:
    if not value.is_finite() or not least <= value <= most or value != round(value, places):
        raise codes.BAD_STAND(path=(what,), what=what, least=str(least), most=f"{most:f}", places=places,
                              value=str(value)[:60])  # fmt: skip
