"""Runs and what they found, organisation by organisation."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated
from uuid import UUID

import strawberry

from backend.consolidation.domain import determination, runs
from backend.consolidation.domain.inputs import Basis
from backend.consolidation.domain.verdicts import RejectionReason
from backend.consolidation.graphql.findings import (
    CategoryEmission,
    ComplianceDetermination,
    DeterminationRemark,
    HeldAssets,
    NeutralityDetermination,
)
from backend.consolidation.service import ConsolidationService
from backend.kit.graphql.fields import batched, by_key
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, object_type
from backend.kit.jobs.domain import JobState
from backend.kit.pages import PageRequest
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tenants.context import Info
from tenants.domain import AllowancePolicy, ConsolidationApproach
from tenants.graphql import Organisation, fetch_organisations
from tenants.graphql.members import Member, fetch_members
from tenants.graphql.types import After, First
from tenants.work.graphql import Job, fetch_jobs

enum_type(Basis, name="ConsolidationBasis")
# A batch takes its parents before their class has a name.
ARejectedAsset = Annotated["RejectedAsset", strawberry.lazy("backend.consolidation.graphql.runs")]
ANodeResult = Annotated["NodeResult", strawberry.lazy("backend.consolidation.graphql.runs")]
ARun = Annotated["ConsolidationRun", strawberry.lazy("backend.consolidation.graphql.runs")]


@object_type
class RejectedAsset:
    """Units that were used and do not count for neutrality, with the reason."""

    lot_id: strawberry.ID
    """The lot they are of."""
    transfer_id: strawberry.ID
    """The transfer that used them."""
    asset_class: AssetClass
    """Class of the lot."""
    use: Use
    """What they were used for."""
    for_year: int
    """The year they were used for."""
    quantity_t: Tonnes
    """Whole tonnes."""
    reason: RejectionReason
    """Why they do not count."""
    used_by: strawberry.Private[UUID]

    @classmethod
    def of(cls, record: determination.RejectedAsset) -> RejectedAsset:
        return build(
            cls,
            record,
            lot_id=to_id("AssetLot", record.lot_id),
            transfer_id=to_id("AssetTransfer", record.transfer_id),
            quantity_t=Tonnes(record.quantity_t),
            used_by=record.organisation_id,
        )

    @batched
    async def organisation(parents: list[ARejectedAsset], info: Info) -> list[Organisation | None]:
        """The organisation that used them; null when the caller may not see it."""
        keys = [parent.used_by for parent in parents]
        return by_key(keys, await fetch_organisations(list(set(keys)), info))


@object_type
class NodeResult:
    """What a run found for one organisation: alone, and with all it consolidates."""

    record: strawberry.Private[determination.NodeResult]
    run: strawberry.Private[runs.ConsolidationRun]
    depth: int
    """Levels below the consolidating organisation; that is 0 itself."""
    share: Decimal
    """The part of it that the consolidating organisation takes in, a fraction of 1: its effective equity share, or
    under a control approach 1 where control is unbroken and 0 elsewhere."""
    members: int
    """Organisations within its boundary, itself included."""
    reporting: int
    """Those of them that reported emissions for the period."""
    records: int
    """Records that the emissions within its boundary come from."""
    categories: list[CategoryEmission]
    """Emissions by category."""
    own_total_t: Decimal
    """Emissions of its own sources, tCO2e."""
    consolidated_total_t: Decimal
    """Emissions of all it consolidates, tCO2e."""
    held: list[HeldAssets]
    """Assets held on the last day of the period."""
    neutrality: NeutralityDetermination
    """The determination of 8.4.1 for all it consolidates."""
    own_compliance: ComplianceDetermination
    """Its own obligation against what was surrendered for it."""
    compliance: ComplianceDetermination
    """The obligations of all it consolidates, in sum, against what was surrendered for them."""
    remarks: list[DeterminationRemark]
    """What a reader should know besides."""

    @classmethod
    def of(cls, record: determination.NodeResult, run: runs.ConsolidationRun) -> NodeResult:
        return build(
            cls,
            record,
            record=record,
            run=run,
            categories=[CategoryEmission.of(x) for x in record.categories],
            held=[HeldAssets.of(x) for x in record.held],
            neutrality=NeutralityDetermination.of(record.neutrality),
            own_compliance=ComplianceDetermination.of(record.own_compliance),
            compliance=ComplianceDetermination.of(record.compliance),
            remarks=[DeterminationRemark.of(x) for x in record.remarks],
        )

    @batched
    async def organisation(parents: list[ANodeResult], info: Info) -> list[Organisation | None]:
        """The organisation; null when the caller may not see it."""
        keys = [parent.record.organisation_id for parent in parents]
        return by_key(keys, await fetch_organisations(list(set(keys)), info))

    @batched
    async def rejected_assets(
        parents: list[ANodeResult],
        info: Info,
        first: First = None,
        after: After = None,
    ) -> list[Connection[RejectedAsset] | None]:
        """Units used within its boundary that do not count for neutrality; needs the permission asset.read."""
        service = info.context.use(ConsolidationService)
        nodes = [(parent.run, parent.record) for parent in parents]
        pages = await service.rejected(info.context.principal, nodes, PageRequest.read(first, after))
        return [Connection.of(page.map(RejectedAsset.of)) for page in pages]


@object_type
class ConsolidationRun(Node):
    """One roll-up of an organisation with all below it, and the determinations made from it (合并核算与判定)."""

    record: strawberry.Private[runs.ConsolidationRun]
    from_year: int
    """First year of the period."""
    to_year: int
    """Last year of the period; tree, ownership, boundary and holdings are those of its last day."""
    approach: ConsolidationApproach
    """How the parts are put together."""
    basis: Basis
    """Which emissions are put together."""
    allowance_policy: AllowancePolicy | None
    """Which allowances were let count; null until the run has succeeded."""
    state: JobState
    """Where it stands."""
    requested_at: datetime
    """When it was asked for."""
    started_at: datetime | None
    """When its job last began."""
    finished_at: datetime | None
    """When its results were stored."""
    input_digest: str | None
    """sha256 (hex) of everything it was made from; runs from the same facts have the same."""
    result_digest: str | None
    """sha256 (hex) of everything it found; the same input always gives the same."""
    node_count: int | None
    """How many organisations it judged."""

    @classmethod
    def of(cls, record: runs.ConsolidationRun) -> ConsolidationRun:
        return build(
            cls,
            record,
            id=to_id("ConsolidationRun", record.id),
            record=record,
            input_digest=as_hex(record.input_sha256),
            result_digest=as_hex(record.result_sha256),
            node_count=record.nodes,
        )

    @strawberry.field
    def as_of(self) -> date:
        """The last day of the period."""
        return runs.as_of(self.to_year)

    @batched
    async def organisation(parents: list[ARun], info: Info) -> list[Organisation | None]:
        """The consolidating organisation; null when the caller may not see it."""
        keys = [parent.record.organisation_id for parent in parents]
        return by_key(keys, await fetch_organisations(list(set(keys)), info))

    @batched
    async def requested_by(parents: list[ARun], info: Info) -> list[Member | None]:
        """Who asked for it; null when the caller may not see members."""
        keys = [parent.record.requested_by for parent in parents]
        return by_key(keys, await fetch_members(list(set(keys)), info))

    @batched
    async def job(parents: list[ARun], info: Info) -> list[Job | None]:
        """The job that carries it out, with its progress; null when the caller may not see it."""
        keys = [parent.record.job_id for parent in parents]
        return by_key(keys, await fetch_jobs(keys, info))

    @batched
    async def nodes(
        parents: list[ARun],
        info: Info,
        first: First = None,
        after: After = None,
    ) -> list[Connection[NodeResult]]:
        """What it found, organisation by organisation in tree order, the consolidating one first."""
        service = info.context.use(ConsolidationService)
        keys = [parent.record.id for parent in parents]
        pages = await service.nodes(info.context.principal, keys, PageRequest.read(first, after))
        return [Connection.of(pages[p.record.id].map(partial(NodeResult.of, run=p.record))) for p in parents]


def as_hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()
