"""Use cases of consolidation: ask for a run, carry it out, read what it found, recompute it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category
from backend.accounting.service.results import EmissionReader
from backend.consolidation import repository
from backend.consolidation.domain import inputs
from backend.consolidation.domain.determination import (
    Determination,
    Judged,
    Judgement,
    NodeResult,
    RejectedAsset,
    Replay,
    replay,
)
from backend.consolidation.domain.inputs import Basis, FrozenInput
from backend.consolidation.domain.runs import (
    FIRST_YEAR,
    NOT_IN_TREE,
    ConsolidationOrder,
    ConsolidationRun,
    as_of,
    check_period,
)
from backend.consolidation.repository import Findings
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.jobs.domain import JobState
from backend.kit.jobs.outbox import enqueue
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from backend.ledger.domain.balances import HeldAsset, UsedAsset
from backend.ledger.domain.obligations import ObligationOf
from backend.ledger.service import LedgerReader
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.domain import ConsolidationApproach
from tenants.service import BoundaryReader

JOB: Final = "consolidation.run"
NODES_PER_STEP: Final = 1000
MEMBERS_PER_READ: Final = 1000

Report = Callable[[int, int], Awaitable[None]]


class ConsolidationService:
    """Roll-up of a group and the determinations of 8.4."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def consolidate(self, actor: Actor, order: ConsolidationOrder) -> Done[ConsolidationRun]:
        """Ask for a run; a job carries it out.

        Errors: FORBIDDEN, NOT_FOUND, BAD_CONSOLIDATION_PERIOD, ORGANISATION_NOT_IN_TREE.
        """

        async def work(change: Change) -> ConsolidationRun:
            await change.require(Permission.CONSOLIDATE, order.organisation_id)
            check_period(order, self.toolbox.clock.today())
            run = await self._ask(change, order)
            await repository.insert_run(change.unit, run)
            await change.audit("ConsolidationRun", run.id, run.organisation_id, after=run)
            change.unit.after_commit.append(self.toolbox.wake_relay)
            return run

        return await perform(self.toolbox, actor, "consolidateOrganisation", order, ConsolidationRun, work)

    async def _ask(self, change: Change, order: ConsolidationOrder) -> ConsolidationRun:
        """The run as it will be stored, and its job in the queue."""
        day, organisation = as_of(order.to_year), order.organisation_id
        if not await repository.is_present(change.unit, organisation, day):
            raise NOT_IN_TREE(path=("organisationId",), as_of=day)
        approach = order.approach
        if approach is None:
            approach = (await BoundaryReader.effective(change.unit, [organisation], day))[organisation].approach
        run_id, asked_by = uuid7(), change.actor.principal.member_id
        job_id = await enqueue(change.unit, JOB, {"run_id": run_id}, organisation_id=organisation, created_by=asked_by)
        return ConsolidationRun(
            id=run_id,
            organisation_id=organisation,
            from_year=order.from_year,
            to_year=order.to_year,
            approach=approach,
            job_id=job_id,
            state=JobState.QUEUED,
            requested_by=asked_by,
            requested_at=self.toolbox.clock.now(),
            basis=order.basis,
        )

    async def find(self, tenant_id: UUID, run_id: UUID, report: Report) -> Findings:
        """Freeze the input of a run and determine it, reporting (nodes done, of how many). Nothing is stored.

        For the job alone; who asked was checked when asking. Errors: NOT_FOUND, ORGANISATION_NOT_IN_TREE.
        """
        async with self.toolbox.database.snapshot(tenant_id) as session:
            run = await repository.run_of_job(session, run_id)
            if run is None:
                raise not_found("ConsolidationRun", run_id)
            frozen = await _freeze(session, run)
        content = await asyncio.to_thread(inputs.encode, frozen)
        determination = await _determine(frozen, report)
        return Findings(
            allowance_policy=frozen.allowance_policy,
            content=content,
            input_sha256=inputs.digest(content),
            result_sha256=determination.digest,
            determination=determination,
            finished_at=self.toolbox.clock.now(),
        )

    @staticmethod
    async def store(unit: UnitOfWork, run_id: UUID, found: Findings) -> None:
        """Write down what a run found, in the transaction that also ends its job."""
        await repository.store(unit, run_id, found)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, ConsolidationRun]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.runs(session, keys, principal)

    async def page(self, principal: Principal, organisation_id: UUID, request: PageRequest) -> Page[ConsolidationRun]:
        """The runs of one organisation, newest first. Errors: NOT_FOUND, FORBIDDEN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.TOTALS_READ, organisation_id)
            return await repository.page_of_runs(session, organisation_id, request)

    async def latest(
        self,
        principal: Principal,
        organisation_id: UUID,
        year: int,
        approach: ConsolidationApproach | None,
        basis: Basis = Basis.ALL,
    ) -> ConsolidationRun | None:
        """The newest run that succeeded, by the approach of the boundary unless one is named; None for a year in
        which there can be none.

        Errors: NOT_FOUND, FORBIDDEN.
        """
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.TOTALS_READ, organisation_id)
            if not FIRST_YEAR <= year <= self.toolbox.clock.today().year:
                return None
            if approach is None:
                boundaries = await BoundaryReader.effective(session, [organisation_id], as_of(year))
                approach = boundaries[organisation_id].approach
            return await repository.latest(session, organisation_id, year, approach, basis)

    async def nodes(
        self, principal: Principal, run_ids: Sequence[UUID], request: PageRequest
    ) -> dict[UUID, Page[NodeResult]]:
        """Pages of what runs found, in tree order; the runs are ones this caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.pages_of_nodes(session, run_ids, request)

    async def rejected(
        self,
        principal: Principal,
        nodes: Sequence[tuple[ConsolidationRun, NodeResult]],
        request: PageRequest,
    ) -> list[Page[RejectedAsset]]:
        """For each node what was rejected within its boundary. Errors: FORBIDDEN without ASSET_READ at the run."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            for organisation_id in {run.organisation_id for run, _ in nodes}:
                await require(session, principal, Permission.ASSET_READ, organisation_id)
            return await repository.pages_of_rejected(session, [(run.id, node) for run, node in nodes], request)

    async def replay(self, principal: Principal, run_id: UUID) -> tuple[ConsolidationRun, Replay | None]:
        """Recompute a run from its frozen input alone; None when it has found nothing yet. Errors: NOT_FOUND."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            run = (await repository.runs(session, [run_id], principal)).get(run_id)
            if run is None:
                raise not_found("ConsolidationRun", run_id, "id")
            if run.input_sha256 is None:
                return run, None
            content = await repository.frozen_content(session, run.input_sha256)
        return run, await asyncio.to_thread(replay, content)


async def _determine(frozen: FrozenInput, report: Report) -> Determination:
    """In a thread and in steps: the loop stays free for others, and the caller learns how far it is."""
    judgement = await asyncio.to_thread(Judgement, frozen)
    total = len(judgement)
    judged: list[Judged] = []
    for start in range(0, total, NODES_PER_STEP):
        await report(start, total)
        judged += await asyncio.to_thread(judgement.nodes, start, start + NODES_PER_STEP)
    await report(total, total)
    return await asyncio.to_thread(judgement.determination, judged)


async def _freeze(session: ReadSession, run: ConsolidationRun) -> FrozenInput:
    """Everything the determination depends on, seen at one instant."""
    day = as_of(run.to_year)
    members = await repository.members(session, run.organisation_id, day)
    if not members:
        raise NOT_IN_TREE(path=("organisationId",), as_of=day)
    boundary = (await BoundaryReader.effective(session, [run.organisation_id], day))[run.organisation_id]
    facts = _Facts()
    # A large group comes in pieces, so that the process does other things in between.
    for start in range(0, len(members), MEMBERS_PER_READ):
        await facts.read(session, run, [m.organisation_id for m in members[start : start + MEMBERS_PER_READ]])
    return FrozenInput(
        organisation_id=run.organisation_id,
        from_year=run.from_year,
        to_year=run.to_year,
        as_of=day,
        approach=run.approach,
        allowance_policy=boundary.allowance_policy,
        categories=tuple(Category(c.value) for c in boundary.categories),
        members=tuple(members),
        emissions=tuple(facts.emissions),
        used=tuple(facts.used),
        held=inputs.held_by_class((h.organisation_id, h.asset_class, h.quantity_t) for h in facts.held),
        obligations=tuple(facts.obligations),
        basis=run.basis,
    )


@dataclass(slots=True)
class _Facts:
    """What accounting and the ledger say about the members."""

    emissions: list[inputs.Emission] = field(default_factory=list)
    used: list[UsedAsset] = field(default_factory=list)
    held: list[HeldAsset] = field(default_factory=list)
    obligations: list[ObligationOf] = field(default_factory=list)

    async def read(self, session: ReadSession, run: ConsolidationRun, members: Sequence[UUID]) -> None:
        years = (run.from_year, run.to_year)
        approved = run.basis is Basis.APPROVED
        totals = EmissionReader.approved_totals if approved else EmissionReader.category_totals
        self.emissions += [
            inputs.Emission(t.organisation_id, t.category, t.direct_kind, t.co2e_t, t.records)
            for t in await totals(session, members, *years)
        ]
        self.used += await LedgerReader.used(session, members, *years)
        self.held += await LedgerReader.held(session, members, as_of(run.to_year))
        self.obligations += await LedgerReader.obligations(session, members, *years)
