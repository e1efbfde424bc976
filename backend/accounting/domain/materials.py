"""The fuels and materials that factors are known for: what a form offers when a stream is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backend.accounting.domain.factors import Factor, Library, Parameter, Purpose
from backend.kit.quantity import HEAT
from backend.kit.text import clean


@dataclass(frozen=True, slots=True)
class Material:
    """A fuel or material of the sets for inventories; `units` are those its quantities can be kept in."""

    code: str
    name_zh: str
    name_en: str
    units: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    sets: tuple[str, ...]
    regions: tuple[str, ...]
    technologies: tuple[str, ...]


def materials(library: Library, text: str = "") -> list[Material]:
    """All whose code or name holds the text, by code."""
    inventory = {s.code for s in library.sets if s.purpose is Purpose.INVENTORY}
    found: dict[str, list[Factor]] = {}
    for factor in library.factors:
        if factor.set_code in inventory:
            found.setdefault(factor.code, []).append(factor)
    wanted = clean(text).casefold()
    return [_material(values) for _, values in sorted(found.items()) if _names(values, wanted)]


def _names(values: Iterable[Factor], wanted: str) -> bool:
    return any(wanted in name.casefold() for f in values for name in (f.code, f.name_zh, f.name_en))


def _material(values: list[Factor]) -> Material:
    first = values[0]
    return Material(
        first.code,
        first.name_zh,
        first.name_en,
        _units(values),
        tuple(p for p in Parameter if any(f.parameter is p for f in values)),
        tuple(sorted({f.set_code for f in values})),
        tuple(sorted({f.region for f in values})),
        tuple(sorted({f.technology for f in values} - {""})),
    )


def _units(values: Iterable[Factor]) -> tuple[str, ...]:
    """What the values are per; a fuel with a calorific value can be metered by its heat too."""
    counted = {Parameter.NCV, Parameter.EMISSION_FACTOR, Parameter.EMBEDDED_CARBON, Parameter.DEDUCTION}
    per = {f.unit.rpartition("/")[2] for f in values if f.parameter in counted}
    heated = {HEAT} if any(f.parameter is Parameter.NCV for f in values) else set()
    return tuple(sorted(per | heated))
