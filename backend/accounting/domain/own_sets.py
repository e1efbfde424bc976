"""Factor sets of the tenant's own: drafted in versions, proposed, approved by somebody else, superseded.

The library of the service is the same for everyone and read-only; a tenant replaces any value of it, or adds materials,
in a set of its own, dated and sourced. A set belongs to an organisation and serves all below it. What is approved
never changes: another value is another version with a reason, and old values stay for the coefficients that name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final
from uuid import UUID

from backend.accounting.domain.factors import Factor, Library, Parameter, Provenance, Purpose
from backend.kit.errors import CodedError, conflict, invalid, rule
from backend.kit.ids import uuid7
from backend.kit.quantity import CANONICAL_UNITS, GAS, GREENHOUSE_GAS, HEAT, MASS, read_unit, round_half_up, trimmed
from backend.kit.text import clean, tidy

PREFIX: Final = "OWN-"
DECIMALS: Final = 18
PURPOSES: Final = (Purpose.INVENTORY, Purpose.PROJECT_BASELINE, Purpose.PLAUSIBILITY)
PARAMETERS: Final = (
    Parameter.NCV,
    Parameter.CARBON_PER_HEAT,
    Parameter.OXIDATION,
    Parameter.EMISSION_FACTOR,
    Parameter.EMBEDDED_CARBON,
    Parameter.DEDUCTION,
)
_CODE: Final = re.compile(r"OWN-[^@\s]{1,46}")
_MATERIAL: Final = re.compile(r"[A-Z][A-Z0-9_]{0,59}")
_CARBON: Final = {"tC": Decimal(1), "kgC": Decimal("0.001"), "gC": Decimal("0.000001")}

BAD_SET_CODE = invalid(
    "BAD_FACTOR_SET_CODE",
    en="The code of a set of your own begins with OWN-, has at most 50 characters and neither blanks nor '@'; "
    "'{code}' does not. Write OWN-…",
    zh="自有因子集代码须以 OWN- 开头，至多 50 个字符，不含空格和 '@'；'{code}' 不符合。请写成 OWN-…",
)
SET_CODE_TAKEN = conflict(
    "FACTOR_SET_CODE_TAKEN",
    en="There is a factor set '{code}'; draft a new version of it, or choose another code.",
    zh="已有因子集 '{code}'；请起草其新版本，或另选代码。",
)
BAD_SET_PURPOSE = invalid(
    "BAD_FACTOR_SET_PURPOSE",
    en="A set of your own is for one of {fitting}, not for {purpose}.",
    zh="自有因子集的用途须为 {fitting} 之一，不能是 {purpose}。",
)
SET_STATE = conflict(
    "FACTOR_SET_STATE",
    en="Version {version} of the factor set is {state}; this step needs one that is {needed}.",
    zh="因子集第 {version} 版状态为 {state}；此步骤需要状态 {needed}。",
)
VERSION_IN_THE_MAKING = conflict(
    "FACTOR_SET_IN_THE_MAKING",
    en="Version {version} of the factor set is in the making; finish or withdraw it first.",
    zh="因子集第 {version} 版正在编制；请先完成或撤回。",
)
SET_EMPTY = rule(
    "FACTOR_SET_EMPTY",
    en="The version holds no value; record one before proposing it.",
    zh="该版本没有任何因子；请先录入再提交。",
)
APPROVED_BY_ITS_MAKER = rule(
    "FACTOR_SET_APPROVED_BY_ITS_MAKER",
    en="You drafted or proposed this version; somebody else approves it.",
    zh="您起草或提交了该版本；须由他人批准。",
)
BAD_MATERIAL_CODE = invalid(
    "BAD_MATERIAL_CODE",
    en="'{code}' is no material of the library; a new one has a code of A-Z, 0-9 and _ and a name in Chinese and in "
    "English. Near: {near}.",
    zh="因子库中没有物料 '{code}'；新物料须有由 A-Z、0-9、_ 组成的代码以及中英文名称。相近：{near}。",
)
PARAMETER_NOT_OWN = invalid(
    "FACTOR_PARAMETER_NOT_OWN",
    en="A set of your own holds {fitting}, not {parameter}.",
    zh="自有因子集可包含 {fitting}，不能包含 {parameter}。",
)
FACTOR_UNIT = invalid(
    "FACTOR_UNIT_DOES_NOT_FIT",
    en="{parameter} of {material} is in {fitting}, not in '{unit}'.",
    zh="{material} 的 {parameter} 单位须为 {fitting}，不能是 '{unit}'。",
)
FACTOR_RANGE = invalid(
    "FACTOR_OUT_OF_RANGE",
    en="{parameter} lies from 0 to {most} with at most 18 decimals; {value} {unit} does not.",
    zh="{parameter} 须在 0 至 {most} 之间，小数至多 18 位；{value} {unit} 不符合。",
)
FACTOR_SOURCE = invalid(
    "FACTOR_SOURCE_MISSING",
    en="Say where the value comes from: the contract, certificate, report or study.",
    zh="须注明数值来源：合同、证书、报告或研究。",
)
FACTOR_PROVENANCE = invalid(
    "FACTOR_PROVENANCE_UNFIT",
    en="A value that is only recalled cannot be recorded; say how it is attested.",
    zh="仅凭记忆的数值不能录入；请说明其依据等级。",
)
FACTOR_YEARS = invalid(
    "FACTOR_YEARS",
    en="Years lie between 1990 and 2200, the first not after the last: year {year}, valid {first} to {last}.",
    zh="年份须在 1990 至 2200 之间，且首年不晚于末年：年份 {year}，有效期 {first} 至 {last}。",
)
FACTOR_KEY_TAKEN = conflict(
    "FACTOR_KEY_TAKEN",
    en="The version holds {parameter} of {material} for {region} {year} already ({value}); say that yours replaces it.",
    zh="该版本已有 {material} 的 {parameter}（{region} {year}，{value}）；如需替换请注明。",
)
FACTOR_NOT_HELD = invalid(
    "FACTOR_NOT_HELD",
    en="The draft does not hold this value; it may have been replaced.",
    zh="草稿中没有该因子；可能已被替换。",
)


class SetState(StrEnum):
    """How final a version of a set is."""

    DRAFT = "DRAFT"
    """Values may be recorded and removed (编制中)."""
    PROPOSED = "PROPOSED"
    """Waiting for approval by somebody else (待批准)."""
    APPROVED = "APPROVED"
    """May be adopted (已批准)."""
    SUPERSEDED = "SUPERSEDED"
    """A later version was approved; who adopted this one keeps it until adopting another (已被取代)."""
    WITHDRAWN = "WITHDRAWN"
    """Given up, or found wrong (已撤回)."""


IN_THE_MAKING: Final = (SetState.DRAFT, SetState.PROPOSED)


@dataclass(frozen=True, slots=True)
class OwnSet:
    """A set of the tenant's own: it belongs to an organisation and serves all below it."""

    id: UUID
    organisation_id: UUID
    code: str
    name_zh: str
    name_en: str
    purpose: Purpose
    created_by: UUID


@dataclass(frozen=True, slots=True)
class SetVersion:
    """A version of a set; `reason` says why it was drafted, `ended_because` why it was withdrawn."""

    set_id: UUID
    version: int
    state: SetState
    reason: str
    drafted_by: UUID
    drafted_at: datetime | None = None
    proposed_by: UUID | None = None
    proposed_at: datetime | None = None
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    ended_by: UUID | None = None
    ended_at: datetime | None = None
    ended_because: str = ""

    def must_be(self, *states: SetState) -> None:
        """Errors: FACTOR_SET_STATE."""
        if self.state not in states:
            raise SET_STATE(path=("id",), version=self.version, state=self.state, needed=states)

    def must_be_by_others(self, member_id: UUID) -> None:
        """Errors: FACTOR_SET_APPROVED_BY_ITS_MAKER."""
        if member_id in {self.drafted_by, self.proposed_by}:
            raise APPROVED_BY_ITS_MAKER(path=("id",))


@dataclass(frozen=True, slots=True)
class NewSet:
    """A set to begin, with a first draft."""

    organisation_id: UUID
    code: str
    name_zh: str
    name_en: str = ""
    purpose: Purpose = Purpose.INVENTORY


@dataclass(frozen=True, slots=True)
class NewValue:
    """A value to record in a draft; `replaces` what the version holds under the same key."""

    material: str
    parameter: Parameter
    value: Decimal
    unit: str
    provenance: Provenance
    source: str
    region: str = "CN"
    year: int | None = None
    technology: str = ""
    first_year: int | None = None
    last_year: int | None = None
    basis: str = ""
    name_zh: str = ""
    name_en: str = ""
    replaces: bool = False


Key = tuple[str, Parameter, str, int | None, str]


def key_of(factor: Factor) -> Key:
    """What there is one value of in a version."""
    return factor.code, factor.parameter, factor.region, factor.year, factor.technology


def checked_set_code(written: str) -> str:
    """Errors: BAD_FACTOR_SET_CODE."""
    code = clean(written)
    if not _CODE.fullmatch(code):
        raise BAD_SET_CODE(path=("code",), code=code[:60])
    return code


def check_purpose(purpose: Purpose) -> None:
    """Errors: BAD_FACTOR_SET_PURPOSE."""
    if purpose not in PURPOSES:
        raise BAD_SET_PURPOSE(path=("purpose",), purpose=purpose, fitting=PURPOSES)


@dataclass(slots=True)
class Draft:
    """A draft and what surrounds it: its set, the library, the values it holds by key."""

    of: OwnSet
    version: int
    library: Library
    held: dict[Key, Factor]
    taken: set[Key] = field(default_factory=set)

    def take(self, new: NewValue) -> tuple[Factor, Factor | None]:
        """Take a value in; it, and what it replaces. Errors: those of `read`."""
        made = self.read(new)
        key = key_of(made)
        replaced = self.held.get(key)
        if replaced is not None and (key in self.taken or not new.replaces):
            raise FACTOR_KEY_TAKEN(
                path=("material",),
                parameter=made.parameter,
                material=made.code,
                region=made.region,
                year=made.year or "-",
                value=f"{replaced.value} {replaced.unit}",
            )
        self.held[key] = made
        self.taken.add(key)
        return made, replaced

    def read(self, new: NewValue) -> Factor:
        """A value as it is kept, in canonical units.

        Errors: BAD_MATERIAL_CODE, FACTOR_PARAMETER_NOT_OWN, UNKNOWN_UNIT, FACTOR_UNIT_DOES_NOT_FIT,
        FACTOR_OUT_OF_RANGE, UNKNOWN_REGION, FACTOR_YEARS, FACTOR_SOURCE_MISSING, FACTOR_PROVENANCE_UNFIT.
        """
        code, name_zh, name_en = self._material(new)
        value, unit = self._value(new, code)
        _check_words(new)
        return Factor(
            id=uuid7(),
            set_code=self.of.code,
            code=code,
            name_zh=name_zh,
            name_en=name_en,
            parameter=new.parameter,
            value=value,
            unit=unit,
            region=self.library.region(new.region),
            year=new.year,
            first_year=new.first_year,
            last_year=new.last_year,
            provenance=new.provenance,
            basis=tidy(new.basis),
            source=tidy(new.source),
            technology=clean(new.technology)[:60],
            set_id=self.of.id,
            from_version=self.version,
            entered=f"{new.value} {tidy(new.unit)}",
        )

    def _material(self, new: NewValue) -> tuple[str, str, str]:
        known = self._known(new.material)
        if known is not None:
            return known.code, known.name_zh, known.name_en
        code, names = clean(new.material), (tidy(new.name_zh), tidy(new.name_en))
        if not _MATERIAL.fullmatch(code) or not all(names):
            raise BAD_MATERIAL_CODE(path=("material",), code=new.material[:60], near=self._near(new.material))
        return code, *names

    def _known(self, written: str) -> Factor | None:
        folded = clean(written).casefold()
        for factor in self.held.values():
            if folded in {factor.code.casefold(), factor.name_zh.casefold(), factor.name_en.casefold()}:
                return factor
        try:
            code = self.library.material(written)
        except CodedError:
            return None
        return next(f for f in self.library.factors if f.code == code)

    def _near(self, written: str) -> str:
        try:
            return self.library.material(written)
        except CodedError as error:
            return str(error.params["near"])

    def _value(self, new: NewValue, code: str) -> tuple[Decimal, str]:
        if new.parameter not in PARAMETERS:
            raise PARAMETER_NOT_OWN(path=("parameter",), parameter=new.parameter, fitting=PARAMETERS)
        unit, scale = read_factor_unit(new.parameter, new.unit, code)
        same = {f.unit for f in self._alike(code) if f.parameter is new.parameter}
        if same and _per(unit) not in map(_per, same):
            raise _unfit(new.parameter, code, new.unit, same)
        most = 1 if new.parameter is Parameter.OXIDATION else 10**15
        if not new.value.is_finite() or abs(new.value.adjusted()) > 40:
            raise FACTOR_RANGE(path=("value",), parameter=new.parameter, most=most, value=new.value, unit=unit)
        exact = Fraction(new.value) * scale
        kept = round_half_up(exact, DECIMALS)
        if Fraction(kept) != exact or not 0 <= kept <= most:
            raise FACTOR_RANGE(path=("value",), parameter=new.parameter, most=most, value=new.value, unit=new.unit)
        return trimmed(kept), unit

    def _alike(self, code: str) -> Iterable[Factor]:
        """What the default sets and the draft hold of a material: its values keep their units."""
        yield from self.library.preferring(None).offered(code, None)
        yield from (f for f in self.held.values() if f.code == code)


def _check_words(new: NewValue) -> None:
    years = (new.year, new.first_year, new.last_year)
    ordered = new.first_year is None or new.last_year is None or new.first_year <= new.last_year
    if not ordered or any(y is not None and not 1990 <= y <= 2200 for y in years):
        year, first, last = (y if y is not None else "-" for y in years)
        raise FACTOR_YEARS(path=("firstYear",), year=year, first=first, last=last)
    if not tidy(new.source):
        raise FACTOR_SOURCE(path=("source",))
    if new.provenance is Provenance.MEMORY:
        raise FACTOR_PROVENANCE(path=("provenance",))


_FITTING: Final[Mapping[Parameter, tuple[str, tuple[str, ...]]]] = {
    Parameter.NCV: ("GJ", (MASS, GAS)),
    Parameter.CARBON_PER_HEAT: ("tC", (HEAT,)),
    Parameter.EMISSION_FACTOR: ("tCO2", tuple(u for u in CANONICAL_UNITS if u != GREENHOUSE_GAS)),
    Parameter.EMBEDDED_CARBON: ("tCO2", tuple(u for u in CANONICAL_UNITS if u != GREENHOUSE_GAS)),
    Parameter.DEDUCTION: ("tCO2", tuple(u for u in CANONICAL_UNITS if u != GREENHOUSE_GAS)),
}


def read_factor_unit(parameter: Parameter, written: str, material: str) -> tuple[str, Fraction]:
    """The canonical unit of a parameter, and how many of it the written one is.

    `kgCO2/kWh` of an emission factor is 1 tCO2/MWh. Errors: UNKNOWN_UNIT, FACTOR_UNIT_DOES_NOT_FIT.
    """
    plain = clean(written)
    if parameter is Parameter.OXIDATION:
        if plain not in {"1", "%"}:
            raise _unfit(parameter, material, written, {"1", "%"})
        return "1", Fraction(1, 100 if plain == "%" else 1)
    upper, lower = _FITTING[parameter]
    fitting = {f"{upper}/{per}" for per in lower}
    above, slash, below = plain.rpartition("/")
    if not slash:
        raise _unfit(parameter, material, written, fitting)
    per = read_unit(below)
    scale = _upper_scale(upper, above)
    if scale is None or per.canonical not in lower:
        raise _unfit(parameter, material, written, fitting)
    name = "tCO2e" if upper == "tCO2" and above.endswith("CO2e") else upper
    return f"{name}/{per.canonical}", Fraction(scale) / Fraction(per.factor)


def _upper_scale(upper: str, written: str) -> Decimal | None:
    if upper == "tC":
        return _CARBON.get(written)
    read = read_unit(written)
    return read.factor if read.canonical == (HEAT if upper == "GJ" else GREENHOUSE_GAS) else None


def _per(unit: str) -> str:
    return unit.rpartition("/")[2]


def _unfit(parameter: Parameter, material: str, unit: str, fitting: Iterable[str]) -> CodedError:
    return FACTOR_UNIT(
        path=("unit",), parameter=parameter, material=material, unit=unit[:40], fitting=" / ".join(sorted(fitting))
    )
