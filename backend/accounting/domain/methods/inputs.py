"""What a method reads its terms from: parameters given for the stream, else the defaults of library and guide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import CARBON_TO_CO2, Step, StepKind
from backend.accounting.domain.dimensions import Unit, unit_of
from backend.accounting.domain.factors import Factor, Parameter
from backend.accounting.domain.methods.spec import (
    Constant,
    Context,
    FromLibrary,
    Given,
    GivenParameter,
    MethodSpec,
    ParameterSpec,
    Range,
)
from backend.kit.errors import CodedError, invalid, rule
from backend.kit.quantity import trimmed
from backend.kit.text import tidy

MOST_DIGITS: Final = 30
MOST_DECIMALS: Final = 18
MINUS: Final = Step(StepKind.SUBTRACTED, "-1", "1")
CARBON: Final = Step(StepKind.CARBON_TO_CO2, CARBON_TO_CO2, "tCO2/tC", symbol="k")

UNKNOWN_PARAMETER = invalid(
    "UNKNOWN_PARAMETER",
    en="The method {method} has no parameter '{name}'; it takes: {known}.",
    zh="方法 {method} 没有参数 '{name}'；可用参数：{known}。",
)
PARAMETER_UNUSED = rule(
    "PARAMETER_UNUSED",
    en="{name} would not be used: the unit or programme of the stream, or another parameter, rules it out. Leave it "
    "out; {method} uses here: {used}.",
    zh="参数 {name} 不会被采用：流的单位、核算规则或其他参数已将其排除。请省略；{method} 此处采用：{used}。",
)
PARAMETER_MISSING = invalid(
    "PARAMETER_MISSING",
    en="The method {method} needs {name} ({label}); give it in {fitting}, with its source.",
    zh="方法 {method} 需要参数 {name}（{label_zh}）；请以 {fitting} 给出，并注明来源。",
)
PARAMETER_UNIT = invalid(
    "PARAMETER_UNIT_DOES_NOT_FIT",
    en="{name} cannot be in '{unit}'; it is given in {fitting}.",
    zh="参数 {name} 的单位不能为 '{unit}'；应为 {fitting}。",
)
PARAMETER_RANGE = invalid(
    "PARAMETER_OUT_OF_RANGE",
    en="{name} = {value} {unit} is not plausible: from {lowest} to {highest} {fitting} is. Check unit and decimals.",
    zh="参数 {name} = {value} {unit} 不合理；合理范围为 {lowest} 至 {highest} {fitting}。请核对单位和小数点。",
)
PARAMETER_NUMBER = invalid(
    "PARAMETER_NUMBER",
    en="{name} = {value} is not a number that can be used: at most 30 digits, 18 of them decimals.",
    zh="参数 {name} = {value} 不可用：至多 30 位数字，其中小数至多 18 位。",
)
PARAMETER_SOURCE = invalid(
    "PARAMETER_SOURCE_MISSING",
    en="Say where {name} comes from: a test report, an invoice, a publication.",
    zh="须注明参数 {name} 的来源：检测报告、结算凭证或文献。",
)


def from_factor(factor: Factor, kind: StepKind | None = None, symbol: str = "") -> Step:
    """A term read from the library."""
    return Step(kind or StepKind(factor.parameter), str(factor.value), factor.unit, factor.id, symbol=symbol)


class Inputs:
    """The parameters of one derivation, read one by one."""

    def __init__(self, spec: MethodSpec, given: Given, context: Context) -> None:
        self.spec, self.given, self.context = spec, given, context
        self.used: set[str] = set()

    @property
    def unit(self) -> str:
        """The canonical unit of the stream's activity."""
        return self.context.stream.unit

    def has(self, name: str) -> bool:
        """Whether somebody gave it."""
        return name in self.given

    def step(self, name: str) -> Step:
        """The term of a parameter: as given, else its default.

        Errors: PARAMETER_MISSING, PARAMETER_UNIT_DOES_NOT_FIT, PARAMETER_OUT_OF_RANGE, PARAMETER_NUMBER,
        PARAMETER_SOURCE_MISSING, FACTOR_NOT_FOUND.
        """
        spec = self.spec.parameter(name)
        assert spec is not None, name
        self.used.add(name)
        if name in self.given:
            return self._given(spec, self.given[name])
        if isinstance(spec.default, Constant):
            return Step(
                spec.kind,
                spec.default.value,
                spec.default.unit,
                symbol=spec.symbol,
                label_zh=spec.name_zh,
                label_en=spec.name_en,
                source=spec.default.source,
            )
        if isinstance(spec.default, FromLibrary) and (material := self._material_with(spec.default)):
            return from_factor(self.choose(material, spec.default.parameter), spec.kind, spec.symbol)
        raise PARAMETER_MISSING(
            path=("parameters", name),
            method=self.spec.kind,
            name=name,
            label=spec.name_en,
            label_zh=spec.name_zh,
            fitting=_listed(self.ranges(spec)),
        )

    def _material_with(self, default: FromLibrary) -> str | None:
        """The material whose value stands in, if the library has any of it."""
        stream = self.context.stream
        material = default.code or stream.material
        if material is None:
            return None
        offered = self.context.library.offered(material, stream.factor_set)
        return material if any(f.parameter is default.parameter for f in offered) else None

    def check_all_used(self) -> None:
        """Nothing that somebody gave is passed over in silence. Errors: PARAMETER_UNUSED."""
        for name in self.given:
            if name not in self.used:
                used = ", ".join(p.name for p in self.spec.parameters if p.name in self.used) or "-"
                raise PARAMETER_UNUSED(path=("parameters", name), name=name, method=self.spec.kind, used=used)

    def choose(self, material: str, parameter: Parameter) -> Factor:
        """The value of the library for this stream and year. Errors: FACTOR_NOT_FOUND."""
        stream = self.context.stream
        return self.context.library.choose(
            material,
            parameter,
            self.context.year,
            set_code=stream.factor_set,
            region=stream.region,
            factor_year=stream.factor_year,
        )

    def ranges(self, spec: ParameterSpec) -> tuple[Range, ...]:
        """The units that fit; of a parameter per unit of activity, those per unit of this stream. A mass of the gas
        that is accounted may name the gas (kgCH4/TJ) or not (kg/TJ).
        """
        fitting = spec.units
        if spec.per_unit:
            fitting = tuple(r for r in spec.units if r.unit.partition("/")[2] == self.unit)
        if not (self.context.gas and self.spec.takes_gas):
            return fitting
        named = (replace(r, unit=f"t{self.context.gas}/{r.unit[2:]}") for r in fitting if r.unit.startswith("t/"))
        return (*fitting, *(r for r in named if _readable(r.unit)))

    def _given(self, spec: ParameterSpec, given: GivenParameter) -> Step:
        path = ("parameters", spec.name)
        value = usable(spec.name, given.value)
        if not tidy(given.source) and given.factor_id is None:
            raise PARAMETER_SOURCE(path=path, name=spec.name)
        ranges, unit = self.ranges(spec), read_unit_of(spec.name, given.unit)
        fitting = next((r for r in ranges if unit_of(r.unit).fits(unit)), None)
        if fitting is None:
            raise PARAMETER_UNIT(path=path, name=spec.name, unit=given.unit[:40], fitting=_listed(ranges))
        _check_range(spec.name, value, given.unit, fitting)
        return Step(
            spec.kind,
            str(value),
            given.unit,
            given.factor_id,
            spec.symbol,
            spec.name_zh,
            spec.name_en,
            spec.name,
            tidy(given.source),
        )


def _readable(unit: str) -> bool:
    try:
        unit_of(unit)
    except CodedError:
        return False
    return True


def read_unit_of(name: str, unit: str) -> Unit:
    """The unit of a parameter. Errors: UNREADABLE_UNIT, at the parameter."""
    try:
        return unit_of(unit)
    except CodedError as error:
        raise error.at("parameters", name) from error


def usable(name: str, value: Decimal) -> Decimal:
    """A value with a bounded number of digits, written plainly. Errors: PARAMETER_NUMBER."""
    if value.is_finite():
        _, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        plain = exponent >= -MOST_DECIMALS and len(digits) + max(exponent, 0) <= MOST_DIGITS
        if plain and value.adjusted() < MOST_DIGITS:
            return trimmed(value)
    raise PARAMETER_NUMBER(path=("parameters", name), name=name, value=str(value)[:60])


def _check_range(name: str, value: Decimal, unit: str, fitting: Range) -> None:
    by = unit_of(unit).scale / unit_of(fitting.unit).scale
    here = Fraction(value) * by
    low, high = fitting.lowest, fitting.highest
    if (low is not None and here < Fraction(low)) or (high is not None and here > Fraction(high)):
        raise PARAMETER_RANGE(
            path=("parameters", name),
            name=name,
            value=value,
            unit=unit[:40],
            lowest="-" if low is None else low,
            highest="-" if high is None else high,
            fitting=fitting.unit,
        )


def _listed(ranges: Sequence[Range]) -> str:
    return " / ".join(r.unit for r in ranges) or "-"


def oxidation(inputs: Inputs) -> Iterator[Step]:
    """The oxidation rate, where the programme of the stream has it."""
    if inputs.context.stream.programme.oxidises:
        yield inputs.step("oxidation")


def constant(value: str, unit: str, symbol: str, name_zh: str, name_en: str) -> Step:
    """A constant of chemistry or conversion, as a term of a formula."""
    return Step(StepKind.CONSTANT, value, unit, symbol=symbol, label_zh=name_zh, label_en=name_en)
