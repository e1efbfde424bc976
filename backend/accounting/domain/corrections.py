"""Conservative values for coal that was not analysed, or not validly (rules 5): emissions are never understated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind


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
