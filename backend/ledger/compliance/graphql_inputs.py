"""GraphQL input types of compliance, each with the command it stands for."""

from __future__ import annotations

from datetime import date

import strawberry

from backend.accounting.domain.sources import Category
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type
from backend.ledger.compliance.domain import NewAllocation, NewCarryOver, Stage
from backend.ledger.domain.transfers import LegOrder
from backend.ledger.graphql_inputs import SerialBlockInput
from backend.ledger.graphql_legs import UsedLegInput, organisation

enum_type(Stage, name="AllocationStage")


@input_type
class SetObligationFromInventoryInput(MutationInput):
    """An obligation to take from approved inventories."""

    organisation_id: strawberry.ID
    """The entity; the inventories of all below it count too."""
    year: int
    """Compliance year."""
    market: str = ""
    """Market whose rules hold; empty: that of the units surrendered."""
    categories: list[Category] = strawberry.field(default_factory=lambda: [Category.DIRECT])
    """Categories that count: the national market counts direct emissions only."""


@input_type
class AllocateAllowancesInput(MutationInput):
    """A stage of an allocation."""

    organisation_id: strawberry.ID
    """Organisation that is allocated to."""
    market: str
    """Market."""
    year: int
    """Compliance year; the vintage of the units. One the market does not allocate for is refused; where the rulebook
    holds no years of the market, or only a draft, that is remarked."""
    stage: Stage
    """PRE and FINAL bring a lot into its holding account; CLAW_BACK takes units back."""
    quantity: Tonnes
    """Units that come, or go back."""
    evidence: str
    """Reference of the notice."""
    issue_reference: str = ""
    """The registry's reference of the issue; made up when not given."""
    serial: SerialBlockInput | None = None
    """Serial numbers of the lot that comes, as many as units, where the registry gives them."""
    legs: list[UsedLegInput] = strawberry.field(default_factory=list)
    """For CLAW_BACK: the units that are taken, summing to the quantity."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later, in no closed period and not before an earlier stage."""

    def command(self) -> tuple[NewAllocation, list[LegOrder]]:
        owner = organisation(self.organisation_id, "organisationId")
        legs = [leg.order("legs", str(i)) for i, leg in enumerate(self.legs)]
        serial = self.serial and self.serial.block()
        return build(NewAllocation, self, organisation_id=owner, quantity_t=self.quantity, serial=serial), legs


@input_type
class CarryOverAllowancesInput(MutationInput):
    """Allowances to carry over."""

    organisation_id: strawberry.ID
    """Organisation that holds them."""
    market: str
    """Market."""
    year: int
    """Vintage of the new units."""
    legs: list[UsedLegInput]
    """The old units, of one origin."""
    evidence: str
    """Reference of the application, at most 2000 characters."""
    effective_on: date | None = None
    """Day it takes effect, by whose rule it is judged: that of the application. Today when not given, never later, in
    no closed period."""

    def command(self) -> NewCarryOver:
        owner = organisation(self.organisation_id, "organisationId")
        legs = tuple(leg.order("legs", str(i)) for i, leg in enumerate(self.legs))
        return build(NewCarryOver, self, organisation_id=owner, legs=legs)
