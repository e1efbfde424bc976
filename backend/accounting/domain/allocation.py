"""Emissions shared among co-products by mass, energy or value, with the statement of 8.2.5.3 note 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Final

from backend.kit.errors import invalid, rule
from backend.kit.quantity import EMISSION_DECIMALS
from backend.kit.text import tidy
from backend.kit.words import in_chinese

SHARE_DECIMALS: Final = 6

ALLOCATION_WEIGHT = invalid(
    "ALLOCATION_WEIGHT",
    en="{product}: {what} cannot be {value}; give a number from 0.",
    zh="{product}：{what_zh}不能为 {value}；须为不小于 0 的数。",
)
ALLOCATION_MISSING = invalid(
    "ALLOCATION_MISSING",
    en="Allocation by {basis} needs {what} of every product; {product} has none.",
    zh="按{basis_zh}分配需要每种产品的{what_zh}；{product} 缺少。",
)
ALLOCATION_EMPTY = rule(
    "ALLOCATION_EMPTY",
    en="There is nothing to allocate by: two products or more, and one of them above 0, are needed.",
    zh="缺少可供分配的依据：须有两种以上产品，且至少一种大于 0。",
)
ALLOCATION_REASON = invalid(
    "ALLOCATION_REASON",
    en="Say why the emissions are shared by {basis}; the standard asks for a statement.",
    zh="须说明按{basis_zh}分配的理由；标准要求作出说明。",
)


in_chinese({"MASS": "质量", "ENERGY": "能量", "ECONOMIC": "经济价值"})
_WHAT: Final = {"quantity": "数量", "heat value": "热值", "price": "价格"}


class AllocationBasis(StrEnum):
    """By what the emissions of a process are shared."""

    MASS = "MASS"
    """By mass (质量)."""
    ENERGY = "ENERGY"
    """By energy: quantity × heat value (能量)."""
    ECONOMIC = "ECONOMIC"
    """By value: quantity × price (经济价值)."""


@dataclass(frozen=True, slots=True)
class CoProduct:
    """A product of the process: t, GJ/t and yuan/t."""

    name: str
    quantity_t: Decimal
    heat_gj_per_t: Decimal | None = None
    price_per_t: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AllocationStatement:
    """What was shared, by what, why, and what each product got. Amounts follow from the exact parts of the whole."""

    basis: AllocationBasis
    reason: str
    products: tuple[CoProduct, ...]
    parts: tuple[Fraction, ...]

    @property
    def shares(self) -> tuple[Decimal, ...]:
        """The parts to 6 decimals, for display only; they add up to 1 exactly."""
        return _whole_parts(self.parts, Fraction(1), SHARE_DECIMALS)

    def amounts_t(self, emissions_t: Decimal) -> tuple[Decimal, ...]:
        """The emissions each product bears, 9 decimals; they add up to the whole exactly."""
        exact = [Fraction(emissions_t) * part for part in self.parts]
        return _whole_parts(exact, Fraction(emissions_t), EMISSION_DECIMALS)


def allocate(basis: AllocationBasis, products: Sequence[CoProduct], reason: str) -> AllocationStatement:
    """Share by weight, exactly; what rounding leaves in the last kept decimal goes to the largest remainders, the first
    product first.

    Errors: ALLOCATION_REASON, ALLOCATION_MISSING, ALLOCATION_WEIGHT, ALLOCATION_EMPTY.
    """
    why = tidy(reason)
    if not why:
        raise ALLOCATION_REASON(path=("reason",), basis=basis)
    weights = [_weight(basis, p) for p in products]
    total = sum(weights, Fraction(0))
    if len(products) < 2 or total == 0:
        raise ALLOCATION_EMPTY(path=("products",))
    return AllocationStatement(basis, why, tuple(products), tuple(w / total for w in weights))


def _weight(basis: AllocationBasis, product: CoProduct) -> Fraction:
    weight = _number(basis, product, "quantity", product.quantity_t)
    if basis is AllocationBasis.ENERGY:
        return weight * _number(basis, product, "heat value", product.heat_gj_per_t)
    if basis is AllocationBasis.ECONOMIC:
        return weight * _number(basis, product, "price", product.price_per_t)
    return weight


def _number(basis: AllocationBasis, product: CoProduct, what: str, value: Decimal | None) -> Fraction:
    if value is None:
        raise ALLOCATION_MISSING(path=("products",), basis=basis, what=what, what_zh=_WHAT[what], product=product.name)
    if not value.is_finite() or value < 0:
        raise ALLOCATION_WEIGHT(path=("products",), product=product.name, what=what, what_zh=_WHAT[what], value=value)
    return Fraction(value)


def _whole_parts(exact: Sequence[Fraction], whole: Fraction, decimals: int) -> tuple[Decimal, ...]:
    """The parts kept to some decimals so that they add up to the whole, which has no more decimals itself."""
    scaled = [x * 10**decimals for x in exact]
    floors = [floor(x) for x in scaled]
    left = int(whole * 10**decimals) - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda i: (floors[i] - scaled[i], i))
    for i in by_remainder[:left]:
        floors[i] += 1
    return tuple(Decimal(f).scaleb(-decimals) for f in floors)
