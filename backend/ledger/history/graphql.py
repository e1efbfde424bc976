"""GraphQL of the past: balances as of a day and as known at a moment, the life of a unit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

import strawberry

from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import object_type
from backend.ledger.graphql_types import AssetLot, AssetTransfer, LotBalance
from backend.ledger.history.service import HistoryService
from tenants.access import Permission
from tenants.context import Info, requires

_READ: Final = requires(Permission.ASSET_READ)


@object_type
class AssetUnitHistory:
    """The life of the unit with a serial number, as its lot went through it."""

    lot: AssetLot
    """The lot that holds the number."""
    steps: list[AssetTransfer]
    """Every transfer of units of the lot, from its issue on, each with its evidence."""


@object_type
class Queries:
    """Root queries about the past."""

    @query(_READ)
    async def asset_balances_as_of(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        effective_on: Annotated[
            date | None, strawberry.argument(description="At the end of this day; today when not given.")
        ] = None,
        known_at: Annotated[
            datetime | None, strawberry.argument(description="From what had been recorded by then; now when not given.")
        ] = None,
        below: Annotated[bool, strawberry.argument(description="With all organisations below it today.")] = False,
    ) -> list[LotBalance]:
        """What rested in the accounts of an organisation, by account and lot."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        service = info.context.use(HistoryService)
        found = await service.balances(info.context.principal, key, effective_on, known_at, below=below)
        return [LotBalance.of(balance) for balance in found]

    @query(_READ)
    async def asset_unit_history(
        self,
        info: Info,
        scheme: Annotated[str, strawberry.argument(description="Scheme of the serial number, for example CEA.")],
        number: Annotated[Tonnes, strawberry.argument(description="The serial number.")],
        prefix: Annotated[str, strawberry.argument(description="What stands before the number.")] = "",
    ) -> AssetUnitHistory | None:
        """The life of one unit from its issue to its last use; null when no lot known to the caller holds it."""
        found = await info.context.use(HistoryService).unit_life(info.context.principal, scheme, prefix, number)
        if found is None:
            return None
        return AssetUnitHistory(lot=AssetLot.of(found.lot), steps=[AssetTransfer.of(step) for step in found.steps])
