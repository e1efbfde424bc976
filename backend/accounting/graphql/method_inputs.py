"""GraphQL inputs of methods."""

from __future__ import annotations

from decimal import Decimal

import strawberry

from backend.accounting.domain.choices import NewChoice, NewDerivation
from backend.accounting.domain.months import ALWAYS, Span
from backend.accounting.domain.parameters import BasisParameter, NewBasis
from backend.accounting.graphql.enums import Method, MethodKind
from backend.accounting.service.methods import NewThreshold
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, input_type


@input_type
class MethodParameterInput:
    """A parameter of a method."""

    name: str
    """Its name in the method; `methodKinds` lists them."""
    value: Decimal
    """The value."""
    unit: str
    """Its unit: GJ/t, tC/t, % …"""
    source: str
    """Where it comes from: a test report, an invoice, a publication."""


@input_type
class StreamMethodInput:
    """A method with its parameters, for a span of months."""

    kind: MethodKind
    """The method."""
    parameters: list[MethodParameterInput] = strawberry.field(default_factory=list)
    """What is known; for the rest the defaults of the method hold."""
    gas: str | None = None
    """The gas it accounts, where the method asks for one: CH4, SF6, HFC-134a …"""
    formula: str | None = None
    """The formula, where it is your own: tonnes of CO2e (of the gas, where one is named) per unit of activity from the
    names of the parameters, such as `碳含量 × k × (1 − 损失率)`. Names begin with a letter or a Chinese character, then
    letters, digits, _. Beside them `k` is 44/12 tCO2/tC, and NCV, CC, OF and EF are the library's values of the
    stream's material. Signs: + − × ÷ (or * /), ^ for whole powers from −6 to 6, %, brackets; in either width.
    Functions: min, max, round(x, decimals), sqrt (of what has an exact root). Units are checked: what is added has
    one unit, and the result is tCO2e per unit of the stream, so carbon (tC) is multiplied by k. Exact; at most 500
    characters."""
    first_month: Month | None = None
    """First month it holds in; from the beginning when not given."""
    last_month: Month | None = None
    """Last month; until another is set when not given."""
    reason: str = ""
    """Why; needed where results change or another basis is replaced."""
    evidence: str = ""
    """Reference of the evidence."""

    def basis(self) -> NewBasis:
        return build(
            NewBasis,
            self,
            parameters=tuple(build(BasisParameter, p) for p in self.parameters),
            span=Span(self.first_month or ALWAYS.first, self.last_month),
            gas=self.gas or "",
            formula=self.formula or "",
        )


@input_type
class SetStreamMethodInput(MutationInput):
    """A method for a stream in a span of months; what the stream had of that class in these months is replaced."""

    stream_id: strawberry.ID
    """The stream."""
    method: StreamMethodInput
    """The method."""


@input_type
class WithdrawStreamMethodInput(MutationInput):
    """A basis to take away."""

    id: strawberry.ID
    """The basis."""
    reason: str
    """Why."""


@input_type
class ChooseSourceMethodInput(MutationInput):
    """A class of method to count for a source in a span of months."""

    source_id: strawberry.ID
    """The source."""
    method: Method
    """The class that is to count."""
    first_month: Month | None = None
    """First month; from the beginning when not given."""
    last_month: Month | None = None
    """Last month; for good when not given."""
    reason: str = ""
    """Why; needed where it departs from the precedence (8.2.5), and where results change."""
    expected_version: int | None = None
    """How many choices you read (`methods(history: true)`); when there are more by now, yours is refused."""

    def command(self) -> NewChoice:
        key = key_of(self.source_id, "EmissionSource", "sourceId")
        span = Span(self.first_month or ALWAYS.first, self.last_month)
        return build(NewChoice, self, source_id=key, span=span)


@input_type
class DeriveCoefficientsAnewInput(MutationInput):
    """Which coefficients to derive anew, and why."""

    organisation_id: strawberry.ID
    """The organisation; all below it with it."""
    first_month: Month
    """First month."""
    last_month: Month | None = None
    """Last month; for good when not given."""
    reason: str
    """Why: it restates results."""

    def command(self) -> NewDerivation:
        key = key_of(self.organisation_id, "Organisation", "organisationId")
        return NewDerivation(key, Span(self.first_month, self.last_month), self.reason)


@input_type
class SetDivergenceThresholdInput(MutationInput):
    """From which divergence of two methods a source is looked at."""

    source_id: strawberry.ID
    """The source."""
    share: Decimal | None = None
    """A share of what counts, such as 0.05; null: as the materiality of its boundary says."""
    reason: str
    """Why."""

    def command(self) -> NewThreshold:
        return build(NewThreshold, self, source_id=key_of(self.source_id, "EmissionSource", "sourceId"))
