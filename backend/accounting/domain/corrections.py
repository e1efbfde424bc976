"""Conservative values where calibration or measurement fell short: emissions are never understated, production never
overstated (verification guide of MEE, 2026; rules 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind
from backend.accounting.domain.monitored import Covered, surcharge
from backend.accounting.domain.monitoring import Direction


def corrected(
    reading: Decimal, day: date, required: Decimal, calibrations: Sequence[Covered], direction: Direction
) -> Fraction:
    """A reading of a day: as it is when its instrument was calibrated in time and in class, else × (1 ± surcharge),
    upwards for fuel and downwards for production. Late calibration corrects only the days it leaves uncovered.
    """
    share = surcharge(day, required, calibrations)
    sign = 1 if direction is Direction.INPUT else -1
    return Fraction(reading) + sign * share * abs(Fraction(reading))


class Coal(StrEnum):
    """What is burnt, where punitive defaults differ."""

    CONVENTIONAL = "CONVENTIONAL"
    """Units that burn conventional coal (常规燃煤)."""
    UNCONVENTIONAL = "UNCONVENTIONAL"
    """Units that burn gangue, slime and the like (非常规燃煤)."""


@dataclass(frozen=True, slots=True)
class Punitive:
    """Values for the day, batch or month in which coal was not analysed, or its analysis was not valid."""

    carbon_per_heat: Step
    ncv: Step


_SOURCE: Final = "MEE power guide, defaults for coal without valid analysis (recalled, unverified)"
_NCV: Final = Step(StepKind.NCV, "26.7", "GJ/t", symbol="NCV", source=_SOURCE)
PUNITIVE: Final[Mapping[Coal, Punitive]] = {
    kind: Punitive(Step(StepKind.CARBON_PER_HEAT, value, "tC/GJ", symbol="CC", source=_SOURCE), _NCV)
    for kind, value in ((Coal.CONVENTIONAL, "0.03085"), (Coal.UNCONVENTIONAL, "0.02858"))
}
