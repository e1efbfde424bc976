"""The coefficient of a stream by default, and what a new stream can be accounted by.

Formula (2), clause 8.2.5.3: E = AD × EF; for fuels EF = NCV × CC × OF × 44/12 (9.1.1 a, GB/T 32151), OF where the
programme has it. Other ways to a coefficient are in `methods`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from backend.accounting.domain.derivation import Coefficient
from backend.accounting.domain.factors import CO2, CO2E, DEFAULT_GWP_SET, Factor, Library, Parameter
from backend.accounting.domain.methods.defaults import check_sign, subtracted_by
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import derive as derive_by
from backend.accounting.domain.methods.spec import Context
from backend.accounting.domain.sources import Flow, NewStream, Stream
from backend.kit.errors import invalid
from backend.kit.quantity import GAS, HEAT, read_unit
from tenants.domain import GwpSet

NO_COEFFICIENT = invalid(
    "NO_COEFFICIENT",
    en="'{material}' has no factor that fits a stream whose carbon is {flow}; it has: {known}.",
    zh="'{material}' 没有适用于碳流向 {flow} 的因子；现有：{known}。",
)
STREAM_UNIT = invalid(
    "STREAM_UNIT_DOES_NOT_FIT",
    en="'{material}' is accounted in {fitting}, not in '{unit}'.",
    zh="'{material}' 以 {fitting} 计量，不能用 '{unit}'。",
)
FACTOR_OR_MATERIAL = invalid(
    "FACTOR_OR_MATERIAL",
    en="A stream names either a material of the library or an own factor with value, unit and source.",
    zh="流须指明因子库物料，或给出自有因子（数值、单位、来源），二者择一。",
)
UNIT_MISSING = invalid(
    "STREAM_UNIT_MISSING",
    en="A stream without a material of the library says in which unit it is measured: t, 1e4Nm3, MWh, GJ, t*km.",
    zh="未指定因子库物料的流须给出计量单位：t、1e4Nm3、MWh、GJ、t*km。",
)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a new stream is accounted by, once its names have been understood."""

    material: str | None
    unit: str
    gas: str
    factor_set: str | None
    region: str | None


def basis_of(new: NewStream, library: Library) -> Basis:
    """Understand the names of a new stream. Errors: FACTOR_OR_MATERIAL, UNKNOWN_MATERIAL, UNKNOWN_REGION,
    UNKNOWN_FACTOR_SET, UNKNOWN_UNIT, NO_COEFFICIENT, STREAM_UNIT_DOES_NOT_FIT, NEGATIVE_FACTOR_LEAVING.

    A gas of neither material nor factor is one that is measured: it yields nothing until it is.
    """
    own = new.own_factor
    if new.method is not None and own is None:
        return _by_method(new, library)
    if own is None and new.material is None and new.unit is not None and read_unit(new.unit).canonical == GAS:
        return Basis(None, GAS, CO2, None, None)  # flue gas, which a monitor will measure
    if (own is None) == (new.material is None) or (own is not None and not own.source.strip()):
        raise FACTOR_OR_MATERIAL(path=("material",))
    if own is not None:
        check_sign(own.value, new.flow, "ownFactor", "value")
        return Basis(None, read_unit(own.unit).canonical, CO2E, None, None)
    material = library.material(new.material or "")
    factor_set = library.inventory_set(new.factor_set) if new.factor_set else None
    region = library.region(new.region) if new.region else None
    units = _units(library.offered(material, factor_set), new.flow)
    if not units:
        known = tuple(sorted({f.parameter for f in library.offered(material, factor_set)}))
        raise NO_COEFFICIENT(path=("material",), material=material, flow=new.flow, known=known)
    unit = units[0] if new.unit is None else read_unit(new.unit).canonical
    if unit not in units:
        raise STREAM_UNIT(path=("unit",), material=material, fitting=" / ".join(units), unit=(new.unit or "")[:40])
    return Basis(material, unit, CO2, factor_set, region)


def _by_method(new: NewStream, library: Library) -> Basis:
    """The unit is what is measured; the method says whether it fits."""
    material = library.material(new.material) if new.material else None
    units = _units(library.offered(material, new.factor_set), new.flow) if material else []
    if new.unit is None and not units:
        raise UNIT_MISSING(path=("unit",))
    unit = units[0] if new.unit is None else read_unit(new.unit).canonical
    factor_set = library.inventory_set(new.factor_set) if new.factor_set else None
    region = library.region(new.region) if new.region else None
    return Basis(material, unit, CO2 if material else CO2E, factor_set, region)


def _units(offered: list[Factor], flow: Flow) -> list[str]:
    """The canonical units a material can be accounted in; a fuel also by its heat."""
    found = {f.parameter: f for f in offered}
    if flow is Flow.LEAVING:
        leaving = subtracted_by(offered)
        return [_per(leaving)] if leaving else []
    if Parameter.NCV in found and Parameter.CARBON_PER_HEAT in found:
        return [_per(found[Parameter.NCV]), HEAT]
    direct = found.get(Parameter.EMISSION_FACTOR) or found.get(Parameter.DEDUCTION)
    return [_per(direct)] if direct else []


def _per(factor: Factor) -> str:
    """The unit a factor is per: `t` of `GJ/t`."""
    return read_unit(factor.unit.rpartition("/")[2]).canonical


def derive(stream: Stream, year: int, library: Library, gwp_set: GwpSet = DEFAULT_GWP_SET) -> Coefficient:
    """The coefficient of a stream for activity of a year, where no method was chosen for it.

    Errors: FACTOR_NOT_FOUND, STREAM_UNIT_DOES_NOT_FIT. Source: formula (2); rules of the programme for oxidation;
    clause 8.2.5.3 note 5.
    """
    if stream.own_factor is None:
        # A stream with a method of its own may be measured in another unit than the factors of its material.
        units = _units(library.offered(stream.material or "", stream.factor_set), stream.flow)
        if units and stream.unit not in units:
            fitting = " / ".join(units)
            raise STREAM_UNIT(path=("unit",), material=stream.material, fitting=fitting, unit=stream.unit)
    kind = MethodKind.LIBRARY if stream.own_factor is None else MethodKind.OWN_FACTOR
    return derive_by(kind, {}, Context(stream, date(year, 1, 1), library, gwp_set))
