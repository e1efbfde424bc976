"""GraphQL of totals by other sets of warming potentials."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain import gwp_totals as domain
from backend.accounting.graphql.enums import Category, DirectKind
from backend.accounting.graphql.sources import Year
from backend.accounting.service.totals import TotalService
from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.types import build, object_type
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import GwpSet

Sets = Annotated[
    list[GwpSet] | None,
    strawberry.argument(description="The sets, side by side in this order; all four when left out."),
]


@object_type
class GwpCategoryTotal:
    """What a category adds up to under a set of warming potentials."""

    category: Category
    """Which of the six categories of 8.2.2."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    co2e_t: Decimal
    """tCO2e under the set."""
    unsplit_t: Decimal
    """The part of it that was given as CO2 equivalent: its gases are not known, so it is the same under every set."""


@object_type
class GasMass:
    """Tonnes of a gas."""

    gas: str
    """The gas."""
    mass_t: Decimal
    """Its mass, tonnes."""


@object_type
class GwpTotal:
    """A total under one set of warming potentials, from the masses by gas."""

    gwp_set: GwpSet
    """The set."""
    co2e_t: Decimal
    """tCO2e; biogenic CO2 is left out, gases in `lacking` too."""
    unsplit_t: Decimal
    """The part of it that was given as CO2 equivalent: its gases are not known, so it is the same under every set."""
    biogenic_t: Decimal
    """Biogenic CO2 beside the total, tonnes."""
    by_category: list[GwpCategoryTotal]
    """By category; they add up to `co2eT`."""
    lacking: list[GasMass]
    """Gases the set has no potential for, such as NF3 in the second report; not in the total."""

    @classmethod
    def of(cls, total: domain.GwpTotal) -> GwpTotal:
        by_category = [build(GwpCategoryTotal, c) for c in total.by_category]
        return build(cls, total, by_category=by_category, lacking=[build(GasMass, g) for g in total.lacking])


@object_type
class GwpTotalQueries:
    """Totals by other sets."""

    @query(requires(Permission.EMISSION_READ))
    async def totals_by_gwp_set(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID, strawberry.argument(description="The organisation, with all below it at 100 %.")
        ],
        year: Year,
        gwp_sets: Sets = None,
    ) -> list[GwpTotal]:
        """A year's emissions under other sets of warming potentials, side by side; what is kept does not change."""
        at = key_of(organisation_id, "Organisation", "organisationId")
        wanted = list(GwpSet) if gwp_sets is None else gwp_sets
        found = await info.context.use(TotalService).by_gwp_set(info.context.principal, at, year, wanted)
        return [GwpTotal.of(total) for total in found]
