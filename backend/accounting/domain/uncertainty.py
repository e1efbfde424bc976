"""Uncertainty of an inventory by propagation of error (IPCC 2006 V1 ch. 3, equations 3.1 and 3.2; rules 2.13).

Half-widths of 95 % intervals, as shares. What shares a cause (one meter, one factor, one laboratory) is correlated and
adds linearly; what does not adds by squares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final

from backend.kit.errors import invalid
from backend.kit.quantity import EMISSION_DECIMALS, round_half_up

_DIGITS: Final = 34
_SHARE_DECIMALS: Final = 12
_CONTEXT: Final = Context(prec=_DIGITS, rounding=ROUND_HALF_UP)

BAD_UNCERTAINTY = invalid(
    "BAD_UNCERTAINTY",
    en="An uncertainty is a share from 0 to 10 (0.05 for 5 %, half the 95 % interval); {value} is not.",
    zh="不确定度须为 0 至 10 的比例（5 % 写作 0.05，为 95 % 置信区间半宽）；{value} 不符合。",
)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The half-width of one input, as a share, and the cause it shares with others (empty: none)."""

    share: Decimal
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one stream adds to a sum, in tonnes (negative where subtracted), and the uncertainties of its factors."""

    tonnes: Decimal
    inputs: tuple[Uncertainty, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """A sum in tonnes and half its 95 % interval."""

    tonnes: Decimal
    half_width_t: Decimal

    @property
    def share(self) -> Decimal | None:
        """Relative to the sum, 12 decimals; None of a sum of 0."""
        if not self.tonnes:
            return None
        return round_half_up(Fraction(self.half_width_t) / abs(Fraction(self.tonnes)), _SHARE_DECIMALS)


def of_product(inputs: Sequence[Uncertainty]) -> Decimal:
    """U of a product: √ΣU², those of one cause added first. 12 decimals. Errors: BAD_UNCERTAINTY."""
    return _root(_squares((Fraction(1), inputs) for inputs in [tuple(inputs)]), _SHARE_DECIMALS)


def of_sum(contributions: Sequence[Contribution]) -> Spread:
    """U of a sum of products: √Σ(U·x)², linear within a cause, over all contributions: a source and its streams, or an
    organisation and its sources. Half-width to 9 decimals. Errors: BAD_UNCERTAINTY.
    """
    total = sum((c.tonnes for c in contributions), Decimal(0))
    squares = _squares((Fraction(c.tonnes), c.inputs) for c in contributions)
    return Spread(total, _root(squares, EMISSION_DECIMALS))


def _squares(terms: Iterable[tuple[Fraction, tuple[Uncertainty, ...]]]) -> Fraction:
    of_cause: dict[object, Fraction] = defaultdict(Fraction)
    for tonnes, inputs in terms:
        for given in inputs:
            if not given.share.is_finite() or not 0 <= given.share <= 10:
                raise BAD_UNCERTAINTY(path=("uncertainty",), value=given.share)
            # An input without a cause is one of its own.
            of_cause[given.cause or object()] += tonnes * Fraction(given.share)
    return sum((x * x for x in of_cause.values()), Fraction(0))


def _root(square: Fraction, decimals: int) -> Decimal:
    quotient = _CONTEXT.divide(Decimal(square.numerator), Decimal(square.denominator))
    return round_half_up(_CONTEXT.sqrt(quotient), decimals)
