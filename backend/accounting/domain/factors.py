"""The factor library as pure data: what is known, how well it is attested, and which value a stream gets."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID

from backend.kit.errors import invalid, rule
from backend.kit.text import clean
from tenants.domain import GwpSet

NATION: Final = "CN"
CO2: Final = "CO2"
CO2E: Final = "CO2E"
BIOGENIC_CO2: Final = "CO2_BIOGENIC"


class Parameter(StrEnum):
    """What a value of the library is."""

    NCV = "NCV"
    """Net calorific value, as received (低位发热量)."""
    CARBON_PER_HEAT = "CARBON_PER_HEAT"
    """Carbon per unit of heat (单位热值含碳量)."""
    OXIDATION = "OXIDATION"
    """Carbon oxidation rate, a fraction of 1 (碳氧化率)."""
    EMISSION_FACTOR = "EMISSION_FACTOR"
    """CO2 per unit of activity (排放因子)."""
    EMBEDDED_CARBON = "EMBEDDED_CARBON"
    """CO2 equivalent of the carbon that leaves in a product; subtracted (产品隐含碳)."""
    DEDUCTION = "DEDUCTION"
    """CO2 that an alternative raw material saves; subtracted (扣减系数)."""
    GAS_FACTOR = "GAS_FACTOR"
    """Mass of a gas other than CO2 per unit of activity."""
    GWP = "GWP"
    """Global warming potential over 100 years, tCO2e per tonne (全球变暖潜势)."""
    OPERATING_MARGIN = "OPERATING_MARGIN"
    """Operating margin of a grid: for reduction projects, never for an inventory."""
    BENCHMARK = "BENCHMARK"
    """Benchmark of an allocation plan (碳排放基准值)."""
    BALANCE = "BALANCE"
    """Balance value of an allocation plan (盈亏平衡值)."""
    CONSTANT = "CONSTANT"
    """A constant of conversion."""
    NCV_LOWEST = "NCV_LOWEST"
    """Lowest plausible net calorific value."""
    NCV_HIGHEST = "NCV_HIGHEST"
    """Highest plausible net calorific value."""
    CARBON_CONTENT_LOWEST = "CARBON_CONTENT_LOWEST"
    """Lowest plausible carbon content."""
    CARBON_CONTENT_HIGHEST = "CARBON_CONTENT_HIGHEST"
    """Highest plausible carbon content."""


class Provenance(StrEnum):
    """How near a value is to the text that sets it."""

    OFFICIAL_COPY = "OFFICIAL_COPY"
    """Read in a copy of the official text, not on the ministry's own site."""
    DRAFT_COPY = "DRAFT_COPY"
    """Read in a copy of an official draft that is not in force."""
    PAGE = "PAGE"
    """Quoted by a public page."""
    SECONDARY = "SECONDARY"
    """Seen in public code or a data set that transcribes the official value."""
    DERIVED = "DERIVED"
    """Computed from other values, or true by definition."""
    MEMORY = "MEMORY"
    """Recalled, not verified."""
    SUPPLIER = "SUPPLIER"
    """Stated by a supplier, in a contract, certificate or footprint report (供应商提供)."""
    MEASURED = "MEASURED"
    """Measured by the organisation or a laboratory for it (实测)."""
    OWN_STUDY = "OWN_STUDY"
    """Derived by the organisation in a study of its own (自行研究)."""


class Purpose(StrEnum):
    """What a set of factors may be used for."""

    INVENTORY = "INVENTORY"
    """Accounting the emissions of an organisation."""
    GWP = "GWP"
    """Turning gases into CO2 equivalent."""
    PROJECT_BASELINE = "PROJECT_BASELINE"
    """Baselines of reduction projects; never for an inventory."""
    ALLOCATION = "ALLOCATION"
    """Allocation of allowances."""
    PLAUSIBILITY = "PLAUSIBILITY"
    """Checking measured values."""
    CONVENIENCE = "CONVENIENCE"
    """Reading; the product computes such values itself, unrounded."""
    CONSTANT = "CONSTANT"
    """Conversion."""


CONSUMED_BY: Final = (
    frozenset({Parameter.NCV, Parameter.CARBON_PER_HEAT}),
    frozenset({Parameter.EMISSION_FACTOR}),
    frozenset({Parameter.DEDUCTION}),
)
"""By which parameters something consumed can be accounted; a set that holds one of these holds the material."""

DEFAULT_GWP_SET: Final = GwpSet.AR5

UNKNOWN_MATERIAL = invalid(
    "UNKNOWN_MATERIAL",
    en="The factor library knows no fuel or material '{material}'. Near: {near}.",
    zh="因子库中没有燃料或物料 '{material}'。相近：{near_zh}。",
)
UNKNOWN_REGION = invalid(
    "UNKNOWN_REGION",
    en="The factor library has no region '{region}'; write a province, a grid, or CN. Near: {near}.",
    zh="因子库中没有区域 '{region}'；请填省份、区域电网或 CN。相近：{near_zh}。",
)
UNKNOWN_FACTOR_SET = invalid(
    "UNKNOWN_FACTOR_SET",
    en="There is no factor set '{name}' for {purpose}; there are: {known}.",
    zh="没有用于 {purpose} 的因子集 '{name}'；现有：{known}。",
)
FACTOR_NOT_FOUND = rule(
    "FACTOR_NOT_FOUND",
    en="The library has no {parameter} of {material} for {region} {year}; it has: {known}. "
    "Choose a region, a factor set or a factor year on the stream.",
    zh="因子库没有 {material} 在 {region} {year} 年的 {parameter}；现有：{known}。请在流上指定区域、因子集或因子年份。",
)
UNKNOWN_GAS = invalid(
    "UNKNOWN_GAS",
    en="The set {gwp_set} has no global warming potential for the gas '{gas}'; it has: {known}.",
    zh="{gwp_set} 中没有气体 '{gas}' 的全球变暖潜势；现有：{known}。",
)


@dataclass(frozen=True, slots=True)
class Factor:
    """One value of the library or of a set of the tenant's own.

    `first_year` to `last_year`: the years of activity it is offered for by default. A value of an own set holds in the
    versions of the set from `from_version` until `until_version` (without it), and was `entered` in its own words.
    """

    id: UUID
    set_code: str
    code: str
    name_zh: str
    name_en: str
    parameter: Parameter
    value: Decimal
    unit: str
    region: str
    year: int | None
    first_year: int | None
    last_year: int | None
    provenance: Provenance
    basis: str
    source: str
    technology: str = ""
    set_id: UUID | None = None
    from_version: int | None = None
    until_version: int | None = None
    entered: str | None = None

    def holds_in(self, year: int) -> bool:
        return (self.first_year or year) <= year <= (self.last_year or year)


@dataclass(frozen=True, slots=True)
class FactorSet:
    """Values published together. Those `by_default` are used when a stream names no set."""

    code: str
    purpose: Purpose
    by_default: bool
    name_zh: str
    name_en: str
    own_set_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A place factors hold for: the nation, a grid, a province (ISO 3166-2); and the region it lies `within`."""

    code: str
    name_zh: str
    name_en: str
    within: str | None = None


@dataclass(frozen=True, slots=True)
class FactorFilter:
    """Which factors to list; what is None does not narrow. `text` is looked for in code and names.

    `holds_in` is a year of activity; `with_regions_around` adds the grid, the nation and the world around `region`.
    """

    text: str | None = None
    code: str | None = None
    parameter: Parameter | None = None
    set_code: str | None = None
    region: str | None = None
    year: int | None = None
    provenance: Provenance | None = None
    purpose: Purpose | None = None
    technology: str | None = None
    holds_in: int | None = None
    with_regions_around: bool = False


def _in_order(found: Sequence[Factor]) -> list[Factor]:
    return sorted(found, key=lambda f: (f.region or "", f.year or 0))


@dataclass(frozen=True)
class Library:
    """The values that may be used now, and the questions a stream asks of them."""

    sets: Sequence[FactorSet]
    regions: Sequence[Region]
    factors: Sequence[Factor]
    adopted: str | None = None

    @cached_property
    def _set(self) -> dict[str, FactorSet]:
        return {s.code: s for s in self.sets}

    @cached_property
    def _by_material(self) -> dict[str, list[Factor]]:
        found: dict[str, list[Factor]] = {}
        for f in self.factors:
            found.setdefault(f.code, []).append(f)
        return found

    def preferring(self, adopted: str | None) -> Library:
        """The same values as an organisation sees them that has adopted a set."""
        return replace(self, adopted=adopted) if adopted != self.adopted else self

    def material(self, written: str) -> str:
        """The code of a fuel or material, named by code or in either language. Errors: UNKNOWN_MATERIAL."""
        names: dict[str, str] = {}
        for f in self.factors:
            if self._set[f.set_code].purpose is Purpose.INVENTORY:
                names |= {_fold(f.name_en): f.code, _fold(f.name_zh): f.code, _fold(f.code): f.code}
        found = names.get(_fold(written))
        if found is None:
            near = difflib.get_close_matches(_fold(written), names, 5, 0.3)
            shown = ", ".join(dict.fromkeys(names[n] for n in near)) or "-"
            raise UNKNOWN_MATERIAL(path=("material",), material=written[:60], near=shown)
        return found

    def region(self, written: str) -> str:
        """The code of a region. Errors: UNKNOWN_REGION."""
        names = {_fold(n): r.code for r in self.regions for n in (r.name_en, r.name_zh, r.code)}
        found = names.get(_fold(written))
        if found is None:
            near = difflib.get_close_matches(_fold(written), names, 4, 0.3)
            of = {r.code: r for r in self.regions}
            codes = dict.fromkeys(names[n] for n in near)
            raise UNKNOWN_REGION(
                path=("region",),
                region=written[:60],
                near=", ".join(f"{code} {of[code].name_en}" for code in codes) or "-",
                near_zh="、".join(f"{code} {of[code].name_zh}" for code in codes) or "-",
            )
        return found

    def inventory_set(self, written: str) -> str:
        """The code of a set for inventories. Errors: UNKNOWN_FACTOR_SET."""
        known = {s.code: s for s in self.sets if s.purpose is Purpose.INVENTORY}
        name = clean(written)
        versions = [code for code in known if code.partition("@")[0] == name]
        if name not in known and versions:
            return max(versions, key=version_of)
        if name not in known:
            raise UNKNOWN_FACTOR_SET(
                path=("factorSet",), name=written[:60], purpose=Purpose.INVENTORY, known=", ".join(known)
            )
        return name

    def offered(self, code: str, set_code: str | None) -> list[Factor]:
        """The inventory values of a material: of the named set; else of the adopted one before the default sets.

        A material the adopted set does not hold comes from the default sets. Of a material it holds in part, what it
        lacks is taken from them parameter by parameter: every step of a derivation names its set.
        """
        values = self._by_material.get(code, [])
        if set_code is not None:
            return [f for f in values if f.set_code == set_code]
        usual = [f for f in values if self._is_default(self._set[f.set_code])]
        own = [f for f in values if f.set_code == self.adopted]
        held = {f.parameter for f in own}
        if any(formula <= held for formula in CONSUMED_BY):
            held |= frozenset[Parameter]().union(*CONSUMED_BY)
        return own + [f for f in usual if f.parameter not in held and f.set_code != self.adopted]

    @staticmethod
    def _is_default(a_set: FactorSet) -> bool:
        return a_set.by_default and a_set.purpose is Purpose.INVENTORY

    def choose(
        self,
        code: str,
        parameter: Parameter,
        year: int,
        *,
        set_code: str | None = None,
        region: str | None = None,
        factor_year: int | None = None,
        technology: str = "",
    ) -> Factor:
        """The value for activity of `year`: of the pinned factor year, else the latest that holds in that year.

        Where a material differs by region (electricity), the region is the stream's, the nation when it names none;
        there is no silent fall-back from a region to another, nor from a technology. Errors: FACTOR_NOT_FOUND.
        """
        offered = [f for f in self.offered(code, set_code) if f.parameter is parameter]
        candidates = [f for f in offered if f.technology == technology]
        wanted_region = region or NATION
        here = [f for f in candidates if f.region == wanted_region]
        if region is None and not here:
            here = candidates if len({f.region for f in candidates}) == 1 else []
        fitting = [f for f in here if (f.year == factor_year if factor_year else f.holds_in(year))]
        if not fitting:
            known = ", ".join(f"{f.region} {f.year}" for f in _in_order(here or candidates)[:12]) or "-"
            raise FACTOR_NOT_FOUND(
                parameter=parameter, material=code, region=wanted_region, year=factor_year or year, known=known
            )
        return max(fitting, key=lambda f: f.year or 0)

    @cached_property
    def _gwp(self) -> dict[str, dict[str, Factor]]:
        return {s.value: {f.code: f for f in self.factors if f.set_code == s.value} for s in GwpSet}

    def potentials(self, gwp_set: GwpSet) -> dict[str, Decimal]:
        """The global warming potential of every gas of a set; biogenic CO2 weighs nothing."""
        return {code: f.value for code, f in self._gwp[gwp_set.value].items()} | {BIOGENIC_CO2: Decimal(0)}

    def gwp(self, gas: str, gwp_set: GwpSet) -> Factor:
        """The global warming potential of a gas. Errors: UNKNOWN_GAS."""
        known = self._gwp[gwp_set.value]
        folded = {code.casefold(): f for code, f in known.items()}
        found = folded.get(clean(gas).casefold())
        if found is None:
            named = ", ".join([*known, CO2E, BIOGENIC_CO2])
            raise UNKNOWN_GAS(path=("gas",), gas=gas[:40], gwp_set=gwp_set, known=named)
        return found


def version_of(reference: str) -> int:
    """The version in a reference to a set of the tenant's own: 2 of OWN-HD@2; 0 for a set of the library."""
    number = reference.partition("@")[2]
    return int(number) if number.isdecimal() else 0


def _fold(written: str) -> str:
    return clean(written).casefold().replace("_", " ")
