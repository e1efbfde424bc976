"""GraphQL of restatements, and of what was known of inventories at a moment."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain import inventories as domain
from backend.accounting.domain.inventories import InventoryState
from backend.accounting.graphql.enums import Category, DirectKind
from backend.accounting.graphql.inventories import Inventory, InventoryTotal
from backend.accounting.service.inventories import InventoryService
from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires


@object_type
class RestatementDifference:
    """What a restatement changed in one category."""

    category: Category
    """Which of the six categories of 8.2.2."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    before_t: Decimal
    """tCO2e before."""
    after_t: Decimal
    """tCO2e after."""
    difference_t: Decimal
    """After less before."""


@object_type
class Restatement:
    """A version of an inventory that replaces an earlier one (重述). Its reason and cause are the inventory's."""

    inventory: Inventory
    """The version that replaces."""
    previous: Inventory
    """The version that was replaced."""
    differences: list[RestatementDifference]
    """Category by category; empty until it is submitted."""
    difference_t: Decimal
    """What it changed in all, tCO2e; 0 until it is submitted."""

    @classmethod
    def of(cls, record: domain.Restatement) -> Restatement:
        return cls(
            inventory=Inventory.of(record.inventory),
            previous=Inventory.of(record.previous),
            differences=[build(RestatementDifference, d) for d in record.differences],
            difference_t=sum((d.difference_t for d in record.differences), Decimal(0)),
        )


@object_type
class InventoryKnown:
    """An inventory as it stood at a moment."""

    inventory: Inventory
    """The inventory, as it is now."""
    state: InventoryState
    """How final it was."""
    sha256: str | None
    """Digest of what was submitted then; null while it was open."""
    totals: list[InventoryTotal]
    """What it added up to: as submitted, or while it was open, by the records that were known."""


@object_type
class RestatementQueries:
    """What was known, and what became of it."""

    @query(requires(Permission.EMISSION_READ))
    async def restatements(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Restatement]:
        """Restated inventories the caller may see, with what changed, the latest first."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(InventoryService).restatements(info.context.principal, owner, request)
        return Connection.of(page.map(Restatement.of))

    @query(requires(Permission.EMISSION_READ))
    async def inventories_known_at(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        known_at: Annotated[datetime, strawberry.argument(description="The moment.")],
    ) -> list[InventoryKnown]:
        """The inventories of an organisation as they stood at a moment: state, digest and totals of then."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(InventoryService).known_at(info.context.principal, owner, known_at)
        return [
            InventoryKnown(
                inventory=Inventory.of(known.inventory),
                state=known.state,
                sha256=known.sha256,
                totals=[build(InventoryTotal, t) for t in totals],
            )
            for known, totals in found
        ]
