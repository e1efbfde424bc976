"""Once measured, always measured: a fuel has one choice per parameter and year (MEE guides; rules 4).

What was measured in a month of a year may not be a default of the library in that month or a later one of the same
year. A value that is given is no default, the punitive one for months that were missed included. The heat value of
coke under the steel guide is never measured, so nothing is taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from backend.accounting.domain.bases import StreamBasis
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.months import Span
from backend.kit.errors import rule

MEASURED_ONCE = rule(
    "MEASURED_STAYS_MEASURED",
    en="{parameter} of the fuel was measured in {measured}; in {year} it may not go back to a default, as it would "
    "from {month} on. Give its measured value, for months that were missed the punitive default by applyQualityMeans; "
    "else somebody who may approve emissions does this, with a reason.",
    zh="该燃料的{parameter_zh}在 {measured} 已采用实测值；{year} 年内不得改回缺省值（自 {month} 起）。请给出实测值，"
    "缺测月份可用 applyQualityMeans 采用惩罚性缺省值；否则须由有批准权限的人员说明原因后办理。",
)


class Measurable(StrEnum):
    """What is either measured or taken by default."""

    HEAT = "HEAT"
    CARBON = "CARBON"

    @property
    def named(self) -> tuple[str, str]:
        return (
            ("低位发热量", "The net calorific value") if self is Measurable.HEAT else ("含碳量", "The carbon content")
        )


_GIVEN: Final = {"ncv": Measurable.HEAT, "carbonPerHeat": Measurable.CARBON}
_ANALYSED: Final = {MethodKind.MEASURED_CARBON, MethodKind.GAS_COMPOSITION}


@dataclass(frozen=True, slots=True)
class GoneBack:
    """What would go back to a default from a month on, and when it was measured."""

    parameter: Measurable
    measured: date
    month: date


def measured(basis: StreamBasis) -> frozenset[Measurable]:
    """What a basis has measured values of; one taken from the library by its id is none."""
    if basis.kind in _ANALYSED:
        return frozenset({Measurable.CARBON})
    given = (
        [p.name for p in basis.parameters if p.factor_id is None] if basis.kind is MethodKind.FUEL_COMBUSTION else []
    )
    return frozenset(_GIVEN[name] for name in given if name in _GIVEN)


def by_default(basis: StreamBasis | None) -> frozenset[Measurable]:
    """What a basis takes from the library; None: the library's defaults are all there is."""
    if basis is None or basis.kind is MethodKind.LIBRARY:
        return frozenset(Measurable)
    return frozenset(Measurable) - measured(basis) if basis.kind is MethodKind.FUEL_COMBUSTION else frozenset()


def gone_back(held: Sequence[StreamBasis], span: Span, new: StreamBasis | None) -> GoneBack | None:
    """The first month of a span in which something would be a default that was measured by then in the same year."""
    lost = by_default(new)
    for basis in sorted(held, key=lambda b: b.span.first):
        for parameter in sorted(measured(basis) & lost):
            years = range(max(basis.span.first.year, span.first.year), min(basis.span.end.year, span.end.year) + 1)
            for year in years:
                since = basis.span.within_year(year)[0]
                rest = Span(max(since, span.first), span.last)
                if months := rest.within_year(year):
                    return GoneBack(parameter, since, months[0])
    return None


def check_measured_once(held: Sequence[StreamBasis], span: Span, new: StreamBasis | None) -> None:
    """Errors: MEASURED_STAYS_MEASURED."""
    found = gone_back(held, span, new)
    if found is None:
        return
    zh, en = found.parameter.named
    raise MEASURED_ONCE(
        path=("reason",), parameter=en, parameter_zh=zh, measured=f"{found.measured:%Y-%m}", year=found.month.year,
        month=f"{found.month:%Y-%m}", source="MEE guides, measured parameters",
    )  # fmt: skip
