"""What a method is: the parameters it takes, where it fits, and how it turns them into the terms of a coefficient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.derivation import Step, StepKind
from backend.accounting.domain.factors import CO2, DEFAULT_GWP_SET, Library, Parameter
from backend.accounting.domain.methods.kinds import METHOD_OF, MethodKind
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind, Flow, Stream
from backend.kit.quantity import CANONICAL_UNITS
from tenants.domain import GwpSet

INDIRECT: Final = frozenset(Category) - {Category.DIRECT}
BURNT: Final = frozenset({DirectKind.STATIONARY, DirectKind.MOBILE})
CONSUMED_ONLY: Final = frozenset({Flow.CONSUMED})
LEAVING_ONLY: Final = frozenset({Flow.LEAVING})
ANY_FLOW: Final = frozenset(Flow)


@dataclass(frozen=True, slots=True)
class GivenParameter:
    """A value somebody gave for a parameter, and what proves it; `factor_id` when it is a factor of a set."""

    value: Decimal
    unit: str
    source: str
    factor_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a coefficient is derived for: a stream, the first month it holds in, and the library it may read.

    Programme, region, factor set and factor year are the stream's. `gas` is for methods that account one gas,
    `formula` for the tenant's own.
    """

    stream: Stream
    first_month: date
    library: Library
    gwp_set: GwpSet = DEFAULT_GWP_SET
    gas: str | None = None
    formula: str | None = None

    @property
    def year(self) -> int:
        return self.first_month.year


@dataclass(frozen=True, slots=True)
class Range:
    """A unit a parameter may be given in (any of the same dimension can be read), and what is plausible in it."""

    unit: str
    lowest: Decimal | None = None
    highest: Decimal | None = None


def within(unit: str, lowest: str | None = None, highest: str | None = None) -> Range:
    """A range as it is written in the modules of methods."""
    return Range(unit, Decimal(lowest) if lowest else None, Decimal(highest) if highest else None)


def per_activity(mass: str) -> tuple[Range, ...]:
    """A mass per unit of each activity there is, from 0."""
    return tuple(within(f"{mass}/{unit}", "0") for unit in CANONICAL_UNITS)


SHARE: Final = (within("%", "0", "100"),)


@dataclass(frozen=True, slots=True)
class FromLibrary:
    """A default that is a value of the factor library: of the stream's material, or of `code`."""

    parameter: Parameter
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A default that a guide fixes."""

    value: str
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A parameter: its key, its symbol in formulas, the units it fits, and its default if it has one.

    `per_unit`: only those units fit that are per unit of the stream's activity. `optional`: without it the term
    is left out.
    """

    name: str
    symbol: str
    name_zh: str
    name_en: str
    units: tuple[Range, ...]
    kind: StepKind = StepKind.MEASUREMENT
    default: FromLibrary | Constant | None = None
    per_unit: bool = False
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be given: nothing stands in for it."""
        return self.default is None and not self.optional


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A method of the registry. `units`: of the activity it fits; `gas`: what its coefficient yields, unless another is
    named where it takes one.
    """

    kind: MethodKind
    name_zh: str
    name_en: str
    source: str
    parameters: tuple[ParameterSpec, ...]
    derive: Callable[[Any], Sequence[Step]]
    units: tuple[str, ...] = CANONICAL_UNITS
    flows: frozenset[Flow] = CONSUMED_ONLY
    categories: frozenset[Category] = frozenset({Category.DIRECT})
    direct_kinds: frozenset[DirectKind] = field(default_factory=lambda: frozenset(DirectKind))
    gas: str = CO2
    takes_gas: bool = False
    needs_gas: bool = False
    takes_formula: bool = False
    needs_material: bool = False

    @property
    def method(self) -> Method:
        """The class of the standard it belongs to."""
        return METHOD_OF[self.kind]

    def parameter(self, name: str) -> ParameterSpec | None:
        return next((p for p in self.parameters if p.name == name), None)

    def fits_source(self, category: Category, direct_kind: DirectKind | None) -> bool:
        """Whether sources of this sort may use it."""
        return category in self.categories and (direct_kind is None or direct_kind in self.direct_kinds)


Given = Mapping[str, GivenParameter]
