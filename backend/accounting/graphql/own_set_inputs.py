"""Inputs of the mutations on the tenant's own factor sets."""

from __future__ import annotations

from decimal import Decimal

import strawberry

from backend.accounting.domain.factors import Parameter, Provenance, Purpose
from backend.accounting.domain.own_sets import NewSet, NewValue
from backend.accounting.service.own_sets import SetStep
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.types import build, input_type


@input_type
class CreateOwnFactorSetInput(MutationInput):
    """A factor set to begin."""

    organisation_id: strawberry.ID
    """The organisation it belongs to; it serves that and all below. A set for the whole tenant belongs to the group."""
    code: str
    """Code, beginning with OWN-."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    purpose: Purpose = Purpose.INVENTORY
    """INVENTORY, PROJECT_BASELINE or PLAUSIBILITY."""

    def command(self) -> NewSet:
        return build(NewSet, self, organisation_id=key_of(self.organisation_id, "Organisation", "organisationId"))


@input_type
class OwnFactorSetStepInput(MutationInput):
    """A set to take a step with."""

    set_id: strawberry.ID
    """The set."""
    expected_version: int | None = None
    """The latest version as you saw it; another one is refused."""

    def step(self) -> SetStep:
        reason = getattr(self, "reason", "")
        return SetStep(key_of(self.set_id, "OwnFactorSet", "setId"), self.expected_version, reason)


@input_type
class DraftOwnFactorSetInput(OwnFactorSetStepInput):
    """A set to begin the next version of."""

    reason: str
    """Why there is to be another version; it is the reason of every value it supersedes."""


@input_type
class ProposeOwnFactorSetInput(OwnFactorSetStepInput):
    """A draft to put forward."""


@input_type
class ApproveOwnFactorSetInput(OwnFactorSetStepInput):
    """A proposed version to approve."""


@input_type
class RejectOwnFactorSetInput(OwnFactorSetStepInput):
    """A proposed version to send back."""

    reason: str
    """Why."""


@input_type
class WithdrawOwnFactorSetInput(OwnFactorSetStepInput):
    """A version to give up."""

    reason: str
    """Why."""


@input_type
class RemoveOwnFactorsInput(OwnFactorSetStepInput):
    """Values to take out of a draft."""

    factor_ids: list[strawberry.ID]
    """The values, at most 1000."""


@row_type
class NewOwnFactorInput:
    """A value of the tenant's own. What it is the one value of in a version: material, parameter, region, year and
    technology.
    """

    material: str
    """Fuel or material, by code or name; for a new one a code such as GREEN_HYDROGEN and both names."""
    name_zh: str = ""
    """Name of a new material in Chinese."""
    name_en: str = ""
    """Name of a new material in English."""
    parameter: Parameter
    """NCV, CARBON_PER_HEAT, OXIDATION, EMISSION_FACTOR, EMBEDDED_CARBON or DEDUCTION."""
    value: Decimal
    """The value, in `unit`."""
    unit: str
    """Its unit: GJ/t, tC/GJ, tCO2/t, kgCO2/kWh, kgCO2e/tkm …; for an oxidation rate 1 or %."""
    region: str = "CN"
    """Where it holds."""
    year: int | None = None
    """The year it was established for."""
    technology: str = ""
    """The technology it is for; empty: any."""
    first_year: int | None = None
    """First year of activity it is offered for; null: any before the last."""
    last_year: int | None = None
    """Last such year; null: until a later value follows."""
    provenance: Provenance
    """How it is attested."""
    source: str
    """Where it comes from: the contract, certificate, report or study."""
    basis: str = ""
    """Conditions it holds under."""
    replaces: bool = False
    """Replace the value of the same key, which stays in the versions before."""

    def command(self) -> NewValue:
        return build(NewValue, self)


@input_type
class RecordOwnFactorsInput(OwnFactorSetStepInput):
    """Values to record in a draft, at most 1000."""

    rows: list[NewOwnFactorInput]
    """The values."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""
