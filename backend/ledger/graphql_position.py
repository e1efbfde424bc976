"""GraphQL types of where an organisation stands: what it holds, what was used for it, what it owes."""

from __future__ import annotations

from decimal import Decimal

import strawberry

from backend.kit.graphql.nodes import to_id
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import object_type
from backend.ledger.graphql_enums import AssetClass, Use
from backend.ledger.graphql_types import Obligation
from backend.ledger.service import Position


@object_type
class HeldUnits:
    """Units of one class that rest in an organisation's accounts."""

    asset_class: AssetClass
    """Class of the units."""
    quantity: Tonnes
    """Units."""


@object_type
class UsedUnits:
    """Units of one class that were used in one way, net of reversals."""

    use: Use
    """What they were used for."""
    asset_class: AssetClass
    """Class of the units."""
    bought: bool
    """Whether they were bought, by the user or inside the tenant, or are the user's own allocation or issue."""
    quantity: Tonnes
    """Units."""


@object_type
class AssetPosition:
    """Where an organisation stands, by itself: holdings of today, uses for a year, and what it owes by that year."""

    organisation_id: strawberry.ID
    """The organisation."""
    year: int
    """The year; an obligation of several years counts in its last."""
    held: list[HeldUnits]
    """What rests in its accounts today, by class."""
    used: list[UsedUnits]
    """What was used for it and the year, by use and class."""
    obligation: Obligation | None
    """What it owes for the period that ends with the year."""
    shortfall: Decimal | None
    """Tonnes of the obligation not surrendered yet, to the fraction that is owed (`compliancePosition` says how many
    whole units that takes, and leaves out offsets beyond their limit); null without an obligation.
    """

    @classmethod
    def of(cls, position: Position) -> AssetPosition:
        held: dict[AssetClass, int] = {}
        for units in position.held:
            held[units.asset_class] = held.get(units.asset_class, 0) + units.quantity_t
        used: dict[tuple[Use, AssetClass, bool], int] = {}
        for use in position.used:
            key = (use.use, use.asset_class, use.bought)
            used[key] = used.get(key, 0) + use.quantity_t
        return cls(
            organisation_id=to_id("Organisation", position.organisation_id),
            year=position.year,
            held=[HeldUnits(asset_class=c, quantity=Tonnes(q)) for c, q in sorted(held.items())],
            used=[
                UsedUnits(use=u, asset_class=c, bought=b, quantity=Tonnes(q)) for (u, c, b), q in sorted(used.items())
            ],
            obligation=None if position.obligation is None else Obligation.of(position.obligation),
            shortfall=position.shortfall_t,
        )
