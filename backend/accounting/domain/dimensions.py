"""Units of parameters, such as GJ/t, tC/GJ or %: what they measure, and how many canonical units they are, exactly.

Mass, gas, electricity and heat are the dimensions of `kit.quantity`. Carbon and every greenhouse gas are dimensions of
their own, so that a tonne of carbon is not taken for a tonne of CO2, nor for a tonne of coal; other substances (tAl,
t clinker) are mass. t*km is one unit, also below a stroke: tCO2e/t*km is per tonne-kilometre. Numbers in canonical
units multiply without factors: 240 g/m3 is 2.4 t per 10⁴ Nm3.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from backend.kit.errors import CodedError, invalid
from backend.kit.quantity import read_unit

Bases = tuple[tuple[str, int], ...]
"""Base units with their exponents, by name; nothing: a plain number."""

UNREADABLE_UNIT = invalid(
    "UNREADABLE_UNIT",
    en="The unit '{unit}' cannot be read at '{part}'; write products and quotients such as GJ/t, tC/GJ, kg/t, %, 1.",
    zh="无法识别单位 '{unit}' 中的 '{part}'；请写成 GJ/t、tC/GJ、kg/t、%、1 之类的乘除形式。",
)

GREENHOUSE_GAS: Final = "tCO2e"
_LONGEST: Final = 60
_PLAIN: Final[Mapping[str, tuple[str, Fraction]]] = {
    "km": ("km", Fraction(1)),
    "公里": ("km", Fraction(1)),
    "h": ("h", Fraction(1)),
    "小时": ("h", Fraction(1)),
    "min": ("h", Fraction(1, 60)),
    "分钟": ("h", Fraction(1, 60)),
    "d": ("h", Fraction(24)),
    "day": ("h", Fraction(24)),
    "日": ("h", Fraction(24)),
    "cell": ("cell", Fraction(1)),
    "槽": ("cell", Fraction(1)),
    "C": ("degC", Fraction(1)),
    "°C": ("degC", Fraction(1)),
    "℃": ("degC", Fraction(1)),
    "K": ("K", Fraction(1)),
    "kPa": ("kPa", Fraction(1)),
    "Pa": ("kPa", Fraction(1, 1000)),
    "mg": ("t", Fraction(1, 10**9)),
    "kmol": ("kmol", Fraction(1)),
    "人": ("person", Fraction(1)),
    "person": ("person", Fraction(1)),
    "元": ("CNY", Fraction(1)),
    "CNY": ("CNY", Fraction(1)),
    "万元": ("CNY", Fraction(10000)),
    "件": ("piece", Fraction(1)),
    "台": ("piece", Fraction(1)),
    "piece": ("piece", Fraction(1)),
}
_NUMBERS: Final = {
    "1": Fraction(1),
    "%": Fraction(1, 100),
    "‰": Fraction(1, 1000),
}
_GASES: Final = r"CO2e?|CH4|N2O|SF6|NF3|CF4|C2F6|C3F8|c-C4F8|SO2F2|HC?FC-?\d{2,3}[a-z]{0,3}|R-?\d{2,3}[A-Za-z]{0,2}"
_MASS_OF: Final = re.compile(rf"(?P<prefix>k?g|mg|t)(?P<substance>C|{_GASES})")
_OF_SOMETHING: Final = re.compile(r"(?P<unit>t|kg|g)\s*(CaO|MgO|Al|clinker|coal|steel|熟料|铝|煤|钢)")
_TOKEN: Final = re.compile(r"\s*([*·/()]|[^*·/()\s]+(?:\s+(?:CaO|MgO|Al|clinker|coal|steel|熟料|铝|煤|钢))?)")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as written, its bases, and how many canonical units it is."""

    written: str
    bases: Bases
    scale: Fraction

    def fits(self, other: Unit) -> bool:
        return self.bases == other.bases


def joined(left: Bases, right: Bases, sign: int = 1) -> Bases:
    """The bases of a product (`sign` 1) or a quotient (−1)."""
    exponents = dict(left)
    for base, exponent in right:
        exponents[base] = exponents.get(base, 0) + sign * exponent
    return tuple(sorted((b, e) for b, e in exponents.items() if e))


def raised(bases: Bases, exponent: int) -> Bases:
    return tuple((b, e * exponent) for b, e in bases) if exponent else ()


def shown(bases: Bases) -> str:
    """`GJ/t`; a plain number is `1`."""
    above = "*".join(b if e == 1 else f"{b}^{e}" for b, e in bases if e > 0)
    below = "".join(f"/{b}" if e == -1 else f"/{b}^{-e}" for b, e in bases if e < 0)
    return (above or "1") + below


@lru_cache(maxsize=4096)
def unit_of(written: str) -> Unit:
    """What a written unit means. Errors: UNREADABLE_UNIT."""
    text = unicodedata.normalize("NFKC", written.replace("10⁴", "1e4").replace("℃", "°C")).strip()
    text = text.replace("t*km", "tkm").replace("t·km", "tkm")
    if not text or len(text) > _LONGEST:
        raise UNREADABLE_UNIT(path=("unit",), unit=written[:_LONGEST], part=text[:20])
    if (found := _atom(text)) is not None:
        return Unit(written, *found)
    reader = _Reader(_tokens(text), written)
    bases, scale = reader.product(0)
    if reader.at < len(reader.tokens):
        raise reader.error()
    return Unit(written, bases, scale)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


class _Reader:
    """Products and quotients, from left to right: a/b/c is a/(b·c)."""

    def __init__(self, tokens: list[str], written: str) -> None:
        self.tokens, self.written, self.at = tokens, written, 0

    def error(self) -> CodedError:
        part = self.tokens[self.at] if self.at < len(self.tokens) else "…"
        return UNREADABLE_UNIT(path=("unit",), unit=self.written[:_LONGEST], part=part[:20])

    def product(self, depth: int) -> tuple[Bases, Fraction]:
        bases, scale = self.factor(depth)
        while self.at < len(self.tokens) and self.tokens[self.at] in "*·/":
            sign = -1 if self.tokens[self.at] == "/" else 1
            self.at += 1
            more, by = self.factor(depth)
            bases, scale = joined(bases, more, sign), scale * by**sign
        return bases, scale

    def factor(self, depth: int) -> tuple[Bases, Fraction]:
        word = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if word == "(" and depth < 8:
            self.at += 1
            inner = self.product(depth + 1)
            if self.at >= len(self.tokens) or self.tokens[self.at] != ")":
                raise self.error()
            self.at += 1
            return inner
        found = _atom(word)
        if found is None:
            raise self.error()
        self.at += 1
        return found


@lru_cache(maxsize=4096)
def _atom(text: str) -> tuple[Bases, Fraction] | None:
    if text in _NUMBERS:
        return (), _NUMBERS[text]
    if text in _PLAIN:
        base, scale = _PLAIN[text]
        return ((base, 1),), scale
    if match := _MASS_OF.fullmatch(text):
        return _mass_of(match["prefix"], match["substance"])
    if match := _OF_SOMETHING.fullmatch(text):
        text = match["unit"]
    try:
        read = read_unit(text)
    except CodedError:
        return None
    canonical: Bases = (("km", 1), ("t", 1)) if read.canonical == "t*km" else ((read.canonical, 1),)
    return canonical, Fraction(read.factor)


def _mass_of(prefix: str, substance: str) -> tuple[Bases, Fraction]:
    scale = {"t": Fraction(1), "kg": Fraction(1, 10**3), "g": Fraction(1, 10**6), "mg": Fraction(1, 10**9)}[prefix]
    if substance in {"CO2", "CO2e"}:
        return ((GREENHOUSE_GAS, 1),), scale
    return ((f"t{substance}", 1),), scale
