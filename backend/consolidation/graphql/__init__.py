"""GraphQL of consolidation: asking for a run, finding runs, checking one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from backend.consolidation.domain.inputs import Basis
from backend.consolidation.domain.runs import ConsolidationOrder
from backend.consolidation.graphql.runs import ConsolidationRun, as_hex
from backend.consolidation.service import ConsolidationService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import ConsolidationApproach


@object_type
class ConsolidationReplay:
    """A run recomputed from its frozen input alone."""

    input_digest: str | None
    """sha256 (hex) of the frozen input as it lies in the database; null while the run has found nothing."""
    result_digest: str | None
    """sha256 (hex) of what the input leads to now."""
    agrees: bool
    """Whether both are those of the run."""


@input_type
class ConsolidateOrganisationInput(MutationInput):
    """An organisation to consolidate with all below it, and for which years."""

    organisation_id: strawberry.ID
    """The consolidating organisation: a group, a subsidiary or a single site."""
    from_year: int
    """First calendar year of the period."""
    to_year: int | None = None
    """Last calendar year of the period; the first one when not given, as 8.4.1 judges by the year."""
    approach: ConsolidationApproach | None = None
    """How to put the parts together; as the boundary of the organisation says when not given."""
    basis: Basis = Basis.ALL
    """Which emissions: all that is recorded, or those of approved inventories alone."""

    def command(self) -> ConsolidationOrder:
        return ConsolidationOrder(
            organisation_id=key_of(self.organisation_id, "Organisation", "organisationId"),
            from_year=self.from_year,
            to_year=self.from_year if self.to_year is None else self.to_year,
            approach=self.approach,
            basis=self.basis,
        )


@object_type
class ConsolidateOrganisationPayload(Payload):
    """The run that was asked for."""

    run: ConsolidationRun | None = None
    """The run, queued; ask for it again by its id to see it progress, and see what it found."""


_YEAR = Annotated[int, strawberry.argument(description="The calendar year.")]
_APPROACH = Annotated[
    ConsolidationApproach | None,
    strawberry.argument(description="By which approach; as the organisation's boundary says when not given."),
]


@object_type
class Queries:
    """Root queries of the slice."""

    @query(requires(Permission.TOTALS_READ))
    async def consolidation_runs(
        self, info: Info, organisation_id: strawberry.ID, first: int | None = None, after: str | None = None
    ) -> Connection[ConsolidationRun]:
        """The runs of one organisation, newest first."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        service = info.context.use(ConsolidationService)
        page = await service.page(info.context.principal, key, PageRequest.read(first, after))
        return Connection.of(page.map(ConsolidationRun.of))

    @query(requires(Permission.TOTALS_READ))
    async def latest_consolidation(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        year: _YEAR,
        approach: _APPROACH = None,
        basis: Annotated[Basis, strawberry.argument(description="On which emissions.")] = Basis.ALL,
    ) -> ConsolidationRun | None:
        """The newest run of one organisation and year that succeeded; null when there is none."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        service = info.context.use(ConsolidationService)
        found = await service.latest(info.context.principal, key, year, approach, basis)
        return None if found is None else ConsolidationRun.of(found)

    @query(requires(Permission.TOTALS_READ))
    async def consolidation_replay(self, info: Info, id: strawberry.ID) -> ConsolidationReplay:
        """Recompute a run from its frozen input and compare the digests; takes about as long as the run did."""
        key = key_of(id, "ConsolidationRun", "id")
        run, again = await info.context.use(ConsolidationService).replay(info.context.principal, key)
        if again is None:
            return ConsolidationReplay(input_digest=None, result_digest=None, agrees=False)
        return ConsolidationReplay(
            input_digest=as_hex(again.input_sha256),
            result_digest=as_hex(again.result_sha256),
            agrees=(again.input_sha256, again.result_sha256) == (run.input_sha256, run.result_sha256),
        )


@object_type
class Mutations:
    """Root mutations of the slice."""

    @mutation(requires(Permission.CONSOLIDATE))
    async def consolidate_organisation(
        self, info: Info, input: ConsolidateOrganisationInput
    ) -> ConsolidateOrganisationPayload:
        """Roll up an organisation with all below it and judge neutrality and compliance (8.4), in the background."""
        done = await info.context.use(ConsolidationService).consolidate(info.context.actor(input), input.command())
        return ConsolidateOrganisationPayload(errors=[], run=ConsolidationRun.of(done.value), replayed=done.replayed)


async def fetch_runs(keys: Sequence[UUID], info: Info) -> dict[UUID, ConsolidationRun]:
    found = await info.context.use(ConsolidationService).by_ids(info.context.principal, keys)
    return {key: ConsolidationRun.of(record) for key, record in found.items()}


NODES = {"ConsolidationRun": (ConsolidationRun, fetch_runs)}
