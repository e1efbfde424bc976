"""Numbers and units as people write them, read once at the edge; inside there are exact decimals in canonical units.

| dimension | canonical | also read |
|---|---|---|
| mass | t | kg, g, kt, Mt, 吨, 千克, 公斤, 万吨 … |
| gas volume at 0 °C, 101.325 kPa | 1e4Nm3 | Nm3, m3, 标准立方米, 万立方米, 万Nm3, 亿立方米 … |
| electricity | MWh | kWh, GWh, 度, 千瓦时, 万kWh, 亿千瓦时 … |
| heat | GJ | kJ, MJ, TJ, 吉焦, 百万千焦, tce, 吨标准煤 … |
| transport work | t*km | tkm, 吨公里, 万吨公里 … |
| greenhouse gas | tCO2e | kgCO2e, 吨二氧化碳当量 … |

Electricity and heat are dimensions of their own: a kilowatt hour is not heat until somebody says how it became so.
A tonne of standard coal is 29.3076 GJ (7,000 kcal/kg at 4.1868 kJ/kcal; MEE guide for steel CETS-AG-03.01-V01-2024,
table A.1); GB/T 2589 rounds it to 29.307.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any, Final

import pint

from backend.kit.errors import CodedError, invalid

MASS, GAS, ELECTRICITY, HEAT, TRANSPORT, GREENHOUSE_GAS = "t", "1e4Nm3", "MWh", "GJ", "t*km", "tCO2e"
CANONICAL_UNITS: Final = (MASS, GAS, ELECTRICITY, HEAT, TRANSPORT, GREENHOUSE_GAS)

QUANTITY_DECIMALS: Final = 12
QUANTITY_DIGITS: Final = 27
COEFFICIENT_DECIMALS: Final = 18
EMISSION_DECIMALS: Final = 9
_WIDE: Final = Context(prec=120, rounding=ROUND_HALF_UP)

UNKNOWN_UNIT = invalid(
    "UNKNOWN_UNIT",
    en="The unit '{unit}' is not known; write one of: {known}.",
    zh="未知单位 '{unit}'；可用单位：{known}。",
)
UNIT_DOES_NOT_FIT = invalid(
    "UNIT_DOES_NOT_FIT",
    en="The unit '{unit}' does not measure what is wanted here; units that do: {fitting}.",
    zh="单位 '{unit}' 与所需量纲不符；适用单位：{fitting}。",
)
BAD_NUMBER = invalid(
    "BAD_NUMBER",
    en="'{written}' is not a plain decimal number; write digits such as 1234.5.",
    zh="'{written}' 不是十进制数；请写成 1234.5 这样的数字。",
)
NUMBER_HAS_SEPARATORS = invalid(
    "NUMBER_HAS_SEPARATORS",
    en="'{written}' has thousands separators; write {plain}.",
    zh="'{written}' 含有千分位分隔符；请写成 {plain}。",
)
NUMBER_OUT_OF_RANGE = invalid(
    "NUMBER_OUT_OF_RANGE",
    en="{written} {unit} has too many digits: at most 15 before the point and 12 behind it, in {canonical}.",
    zh="{written} {unit} 位数过多：以 {canonical} 计，小数点前至多 15 位，后至多 12 位。",
)

_DEFINITIONS: Final = (
    "tonne = [mass]",
    "kilogram = 0.001 tonne",
    "gram = 0.000001 tonne",
    "normal_cubic_metre = [gas]",
    "megawatt_hour = [electricity]",
    "kilowatt_hour = 0.001 megawatt_hour",
    "gigajoule = [heat]",
    "megajoule = 0.001 gigajoule",
    "kilojoule = 0.000001 gigajoule",
    "tonne_standard_coal = 29.3076 gigajoule",
    "kilogram_standard_coal = 0.001 tonne_standard_coal",
    "tonne_kilometre = [transport]",
    "tonne_co2e = [greenhouse_gas]",
    "kilogram_co2e = 0.001 tonne_co2e",
    "wan = 10000",
    "kilo = 1000",
    "mega = 1000000",
    "yi = 100000000",
)
_CANONICAL: Final[Mapping[str, str]] = {
    MASS: "tonne",
    GAS: "wan * normal_cubic_metre",
    ELECTRICITY: "megawatt_hour",
    HEAT: "gigajoule",
    TRANSPORT: "tonne_kilometre",
    GREENHOUSE_GAS: "tonne_co2e",
}
# Spelling decides where SI does: Mt is a million tonnes; mt, which may be meant for a metric ton, is not read.
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "tonne": ("t", "吨", "公吨", "tonne", "tonnes"),
    "kilogram": ("kg", "千克", "公斤"),
    "gram": ("g", "克"),
    "kilo * tonne": ("kt",),
    "mega * tonne": ("Mt",),
    "normal_cubic_metre": ("Nm3", "m3", "立方米", "标准立方米", "标立方米", "标立方", "标方"),
    "wan * normal_cubic_metre": ("1e4Nm3", "10^4Nm3", "10**4Nm3", "1e4m3", "10^4m3", "wNm3"),
    "megawatt_hour": ("MWh", "MW·h", "MW*h", "兆瓦时"),
    "kilowatt_hour": ("kWh", "kW·h", "kW*h", "千瓦时", "度"),
    "kilo * megawatt_hour": ("GWh", "吉瓦时"),
    "gigajoule": ("GJ", "吉焦", "百万千焦"),
    "megajoule": ("MJ", "兆焦"),
    "kilojoule": ("kJ", "千焦"),
    "kilo * gigajoule": ("TJ", "太焦"),
    "tonne_standard_coal": ("tce", "吨标准煤", "吨标煤"),
    "kilogram_standard_coal": ("kgce", "千克标准煤", "公斤标准煤"),
    "tonne_kilometre": ("t*km", "t·km", "tkm", "吨公里", "吨千米"),
    "tonne_co2e": ("tCO2e", "tCO2", "吨二氧化碳当量", "吨二氧化碳", "吨CO2e", "吨CO2"),
    "kilogram_co2e": ("kgCO2e", "kgCO2", "千克二氧化碳当量"),
}
_MULTIPLES: Final[Mapping[str, str]] = {"百万": "mega", "万": "wan", "亿": "yi", "千": "kilo"}
_IN_TEN_THOUSANDS: Final[Mapping[str, tuple[str, ...]]] = {
    MASS: ("万吨",),
    GAS: ("万Nm3", "万立方米"),
    ELECTRICITY: ("万kWh", "万千瓦时"),
    TRANSPORT: ("万吨公里",),
}
_NAMES: Final = {spelling: pint_name for pint_name, all_ in _SPELLINGS.items() for spelling in all_}
_FOLDED: Final = {spelling.casefold(): name for spelling, name in _NAMES.items() if spelling not in {"Mt", "wNm3"}}
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}([, ']\d{2,4})+(\.\d*)?")


@functools.cache
def _registry() -> Any:
    registry: Any = pint.UnitRegistry(None, non_int_type=Decimal, cache_folder=None)
    for definition in _DEFINITIONS:
        registry.define(definition)
    return registry


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit somebody wrote: the canonical unit of its dimension, and how many of those it is, exactly."""

    written: str
    canonical: str
    factor: Decimal


@functools.lru_cache(maxsize=1024)
def read_unit(written: str) -> Unit:
    """What a written unit means. Errors: UNKNOWN_UNIT."""
    name = _pint_name(_plain(written).replace(" ", ""))
    if name is None:
        raise UNKNOWN_UNIT(path=("unit",), unit=written[:40], known=", ".join(CANONICAL_UNITS))
    unit = _registry().parse_expression(name)
    for canonical, canonical_name in _CANONICAL.items():
        base = _registry().parse_expression(canonical_name)
        if unit.is_compatible_with(base):
            ratio = (unit / base).to_base_units().magnitude
            return Unit(written, canonical, Decimal(ratio).normalize())
    raise AssertionError(name)


@functools.cache
def fitting_units(canonical: str) -> tuple[str, ...]:
    """Some ways to write a unit of the dimension, the canonical one first, Chinese ones behind."""
    dimension = _registry().parse_expression(_CANONICAL[canonical])
    names = [n for n in _SPELLINGS if _registry().parse_expression(n).is_compatible_with(dimension)]
    latin = [_SPELLINGS[n][0] for n in names]
    chinese = [s for n in names for s in _SPELLINGS[n] if s[0] >= "\u4e00"]
    return tuple(dict.fromkeys((canonical, *latin, *_IN_TEN_THOUSANDS.get(canonical, ()), *chinese)))


def read_number(written: str) -> Decimal:
    """A decimal number as people write it, full-width digits included.

    Errors: BAD_NUMBER (also for NaN and infinity), NUMBER_HAS_SEPARATORS.
    """
    text = _plain(written).strip().replace("\u2212", "-")
    if _GROUPED.fullmatch(text):
        plain = re.sub(r"[, ']", "", text)
        raise NUMBER_HAS_SEPARATORS(path=("quantity",), written=written[:60], plain=plain[:60])
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        raise BAD_NUMBER(path=("quantity",), written=written[:60])
    return Decimal(text)


def fitted_unit(unit: str, canonical: str) -> Unit:
    """A written unit of the dimension wanted. Errors: UNKNOWN_UNIT, UNIT_DOES_NOT_FIT."""
    fitting = ", ".join(fitting_units(canonical))
    try:
        read = read_unit(unit)
    except CodedError as error:
        raise UNKNOWN_UNIT(path=("unit",), unit=unit[:40], known=fitting) from error
    if read.canonical != canonical:
        raise UNIT_DOES_NOT_FIT(path=("unit",), unit=unit[:40], fitting=fitting)
    return read


def to_canonical(value: Decimal, unit: str, canonical: str) -> Decimal:
    """`value` in the canonical unit, exactly.

    Errors: UNKNOWN_UNIT, UNIT_DOES_NOT_FIT, NUMBER_OUT_OF_RANGE (nothing is rounded on the way in).
    """
    read = fitted_unit(unit, canonical)
    return storable(_WIDE.multiply(value, read.factor), canonical, written=str(value), unit=unit)


def storable(value: Decimal, canonical: str, *, written: str = "", unit: str = "") -> Decimal:
    """The value itself if it is finite, below 10^15 and needs no more than 12 decimals.

    Errors: NUMBER_OUT_OF_RANGE, BAD_NUMBER.
    """
    if not value.is_finite():
        raise BAD_NUMBER(path=("quantity",), written=str(value))
    kept = round_half_up(value, QUANTITY_DECIMALS)
    if kept != value or abs(value) >= Decimal(10) ** (QUANTITY_DIGITS - QUANTITY_DECIMALS):
        raise NUMBER_OUT_OF_RANGE(
            path=("quantity",), written=(written or str(value))[:60], unit=unit or canonical, canonical=canonical
        )
    return trimmed(kept)


def trimmed(value: Decimal) -> Decimal:
    """The same number without the zeros a fixed number of decimals puts behind it."""
    plain = value.normalize(_WIDE)
    return plain if plain.as_tuple().exponent <= 0 else plain.quantize(Decimal(1), context=_WIDE)  # type: ignore[operator]


def round_half_up(value: Decimal | Fraction, decimals: int) -> Decimal:
    """Kept to `decimals` decimals, a tie away from zero: as PostgreSQL's round(numeric, n) does. Exact before that."""
    if isinstance(value, Decimal):
        return value.quantize(Decimal(1).scaleb(-decimals), context=_WIDE)
    scaled = abs(value) * 10**decimals
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    whole += rest * 2 >= scaled.denominator
    return Decimal(whole if value >= 0 else -whole).scaleb(-decimals, context=_WIDE)


def times(quantity: Decimal, coefficient: Decimal) -> Decimal:
    """Quantity × coefficient, kept to 9 decimals: an emission in tonnes."""
    return round_half_up(_WIDE.multiply(quantity, coefficient), EMISSION_DECIMALS)


def _plain(written: str) -> str:
    # NFKC would read 10⁴ as 104.
    return unicodedata.normalize("NFKC", written.replace("10⁴", "1e4")).strip()


def _pint_name(text: str) -> str | None:
    name = _NAMES.get(text) or _FOLDED.get(text.casefold())
    if name is not None:
        return name
    for prefix, multiple in _MULTIPLES.items():
        if text.startswith(prefix) and (rest := _pint_name(text.removeprefix(prefix))):
            return f"{multiple} * {rest}"
    return None
