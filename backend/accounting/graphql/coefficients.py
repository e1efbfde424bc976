"""GraphQL of coefficients: the terms they are made of, gas by gas, down to what each was read from."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import derivation as domain
from backend.accounting.domain.derivation import StepKind
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.records import Method
from backend.accounting.graphql.factors import EmissionFactor, fetch_factors
from backend.kit.graphql.fields import batched
from backend.kit.graphql.types import build, enum_type, object_type
from tenants.context import Info
from tenants.domain import GwpSet

enum_type(StepKind, name="CoefficientStepKind")
enum_type(Method, name="AccountingMethod")
enum_type(MethodKind, name="MethodKind")

AStep = Annotated["CoefficientStep", strawberry.lazy("backend.accounting.graphql.coefficients")]


@object_type
class CoefficientStep:
    """One term of a coefficient; the coefficient is the product of its steps, for each gas of those that concern it."""

    key: strawberry.Private[UUID | None]
    number: int
    """Its place in the derivation, from 0."""
    parent: int | None
    """The number of the term whose formula it is a part of; null at the top."""
    kind: StepKind
    """What the term stands for."""
    symbol: str
    """By which the formula of its parent names it; may be empty."""
    label: str
    """Its name in the language of the request."""
    written: str
    """The value exactly as used: a decimal, or the ratio 44/12."""
    value: Decimal
    """The value as a decimal, 18 decimals where it does not end sooner."""
    unit: str
    """Its unit."""
    gas: str
    """The gas it concerns; empty: all of them."""
    formula: str
    """How it was worked out from its parts; empty when it was read."""
    parameter: str
    """The parameter of the method that somebody gave it for; empty for defaults and constants."""
    source: str
    """Where a given value comes from, as it was written down."""

    @batched
    async def factor(parents: list[AStep], info: Info) -> list[EmissionFactor | None]:
        """The value it was read from, of the library or an own set; null for constants, signs and given values."""
        found = await fetch_factors([p.key for p in parents if p.key], info)
        return [found.get(p.key) if p.key else None for p in parents]


@object_type
class CoefficientGas:
    """Tonnes of one gas per unit of activity."""

    gas: str
    """The gas."""
    value: Decimal
    """Tonnes of it per unit, kept to 18 decimals."""
    gwp: Decimal
    """Its global warming potential in the set used; 0 for biogenic CO2, which stands beside the total."""


@object_type
class Coefficient:
    """Tonnes of CO2 equivalent per unit of activity of a stream, explained (排放系数)."""

    value: Decimal
    """The coefficient, kept to 18 decimals; negative where carbon is subtracted."""
    unit: str
    """Its unit, such as tCO2/t."""
    gas: str
    """The gas it yields; CO2E for an own factor and for several gases."""
    gases: list[CoefficientGas]
    """What it consists of, gas by gas."""
    gwp_set: GwpSet
    """The set of warming potentials used."""
    method: Method
    """The class of method it is of."""
    kind: MethodKind
    """The method by which it was derived."""
    steps: list[CoefficientStep]
    """The terms whose product it is, in the order of the formula."""
    derivation: list[CoefficientStep]
    """The whole tree of terms, parents before their parts."""

    @classmethod
    def of(cls, made: domain.Coefficient, info: Info) -> Coefficient:
        tree = list(_unrolled(made.steps, info.context.locale))
        gases = [build(CoefficientGas, g) for g in made.gases]
        return build(cls, made, gases=gases, steps=[step for step in tree if step.parent is None], derivation=tree)


def _unrolled(steps: tuple[domain.Step, ...], locale: str) -> Iterator[CoefficientStep]:
    waiting: list[tuple[domain.Step, int | None]] = [(step, None) for step in reversed(steps)]
    number = 0
    while waiting:
        step, parent = waiting.pop()
        yield build(
            CoefficientStep,
            step,
            key=step.factor_id,
            number=number,
            parent=parent,
            label=step.label(locale),
            value=step.shown,
        )
        waiting += [(part, number) for part in reversed(step.parts)]
        number += 1
