"""All SQL of the consolidation slice. Takes a session that is bound to its tenant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, case, func, select

from backend.consolidation.domain.determination import Determination, NodeResult, RejectedAsset
from backend.consolidation.domain.inputs import Basis, Member
from backend.consolidation.domain.rollup import ONE
from backend.consolidation.domain.runs import ConsolidationRun
from backend.consolidation.domain.verdicts import RejectionReason
from backend.consolidation.tables import consolidation_run
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.jobs.domain import JobState
from backend.kit.jobs.tables import job
from backend.kit.keyset import keyset, whole
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tenants.access import Permission, Principal, within
from tenants.domain import AllowancePolicy, ConsolidationApproach, OrganisationKind

NODES_PER_STATEMENT: Final = 2000
_NODE_RESULT: Final = TypeAdapter(NodeResult)

_MEMBERS: Final = """
SELECT d.descendant_id, u.ancestor_id AS parent_id, d.depth, o.kind,
       u.equity_share, u.operational_control, u.financial_control
FROM organisation_closure d
JOIN organisation o ON o.tenant_id = d.tenant_id AND o.id = d.descendant_id
LEFT JOIN organisation_closure u
  ON u.tenant_id = d.tenant_id AND u.descendant_id = d.descendant_id AND u.depth = 1
 AND u.valid @> CAST(:day AS date)
WHERE d.ancestor_id = :root AND d.valid @> CAST(:day AS date)
"""
_PRESENT: Final = """
SELECT EXISTS (SELECT FROM organisation WHERE id = :organisation_id AND present @> CAST(:day AS date))
"""


async def members(session: ReadSession, root: UUID, day: date) -> list[Member]:
    """The subtree on a day, each member with how its parent holds it; the root as if it had no parent."""
    rows = await session.rows(_MEMBERS, {"root": root, "day": day})
    return [_member(row) for row in rows]


def _member(row: Row[Any]) -> Member:
    kind = OrganisationKind(row.kind)
    if row.depth == 0:
        return Member(row.descendant_id, None, kind, ONE)
    return Member(
        row.descendant_id, row.parent_id, kind, row.equity_share, row.operational_control, row.financial_control
    )


async def is_present(session: ReadSession, organisation_id: UUID, day: date) -> bool:
    return bool(await session.scalar(_PRESENT, {"organisation_id": organisation_id, "day": day}))


# A run whose results are stored has succeeded, whatever became of its job's row.
_STATE: Final = case(
    (consolidation_run.c.finished_at.isnot(None), JobState.SUCCEEDED.value),
    else_=func.coalesce(job.c.state, JobState.CANCELLED.value),
)
_RUN: Final[Select[Any]] = select(consolidation_run, _STATE.label("state"), job.c.started_at).outerjoin(
    job, (job.c.tenant_id == consolidation_run.c.tenant_id) & (job.c.id == consolidation_run.c.job_id)
)


def _run(row: Row[Any]) -> ConsolidationRun:
    return ConsolidationRun(
        id=row.id,
        organisation_id=row.organisation_id,
        from_year=row.from_year,
        to_year=row.to_year,
        approach=ConsolidationApproach(row.approach),
        job_id=row.job_id,
        state=JobState(row.state),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        allowance_policy=row.allowance_policy and AllowancePolicy(row.allowance_policy),
        input_sha256=row.input_sha256,
        result_sha256=row.result_sha256,
        nodes=row.nodes,
        basis=Basis(row.basis),
    )


async def insert_run(unit: UnitOfWork, run: ConsolidationRun) -> None:
    await unit.execute(
        consolidation_run.insert(),
        {
            "tenant_id": unit.tenant_id,
            "id": run.id,
            "organisation_id": run.organisation_id,
            "from_year": run.from_year,
            "to_year": run.to_year,
            "approach": run.approach.value,
            "basis": run.basis.value,
            "job_id": run.job_id,
            "requested_by": run.requested_by,
            "requested_at": run.requested_at,
        },
    )


async def run_of_job(session: ReadSession, run_id: UUID) -> ConsolidationRun | None:
    """For the job alone: whoever asked was checked when asking."""
    row = await session.first(_RUN.where(consolidation_run.c.id == run_id))
    return None if row is None else _run(row)


async def runs(session: ReadSession, keys: Sequence[UUID], principal: Principal) -> dict[UUID, ConsolidationRun]:
    """By id, those whose totals the caller may read."""
    visible = within(principal, Permission.TOTALS_READ, consolidation_run.c.organisation_id)
    rows = await session.rows(_RUN.where(consolidation_run.c.id.in_(keys), visible))
    return {row.id: _run(row) for row in rows}


async def page_of_runs(session: ReadSession, organisation_id: UUID, request: PageRequest) -> Page[ConsolidationRun]:
    """The runs of one organisation, newest first."""
    statement = _RUN.where(consolidation_run.c.organisation_id == organisation_id)
    rows = await session.rows(keyset(statement, request, consolidation_run.c.id, latest_first=True))
    return Page.cut([_run(row) for row in rows], request, lambda run: (run.id,))


async def latest(
    session: ReadSession, organisation_id: UUID, year: int, approach: ConsolidationApproach, basis: Basis
) -> ConsolidationRun | None:
    """The run last asked for, of those that succeeded, for one organisation, year, approach and basis."""
    asked = consolidation_run.c
    statement = _RUN.where(
        asked.organisation_id == organisation_id,
        asked.from_year == year,
        asked.to_year == year,
        asked.approach == approach.value,
        asked.basis == basis.value,
        asked.finished_at.isnot(None),
    )
    row = await session.first(statement.order_by(asked.id.desc()).limit(1))
    return None if row is None else _run(row)


_KEEP_INPUT: Final = """
INSERT INTO consolidation_input (tenant_id, sha256, content) VALUES (:tenant_id, :sha256, :content)
ON CONFLICT (tenant_id, sha256) DO NOTHING
"""
_FOUND: Final = """
UPDATE consolidation_run
SET allowance_policy = :policy, input_sha256 = :input_sha256, result_sha256 = :result_sha256,
    nodes = :nodes, finished_at = :finished_at
WHERE id = :id
"""
_KEEP_NODES: Final = """
INSERT INTO consolidation_node (tenant_id, run_id, position, organisation_id, neutrality, compliance, result)
SELECT $1, $2, n.position, n.organisation_id, n.neutrality, n.compliance, n.result::jsonb
FROM unnest($3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[])
  AS n (position, organisation_id, neutrality, compliance, result)
"""
_KEEP_REJECTED: Final = """
INSERT INTO consolidation_rejected_asset (tenant_id, run_id, sequence, position, outermost, use, for_year, lot_id,
                                          transfer_id, asset_class, quantity_t, reason)
SELECT $1, $2, r.*
FROM unnest($3::int[], $4::int[], $5::int[], $6::text[], $7::int[], $8::uuid[], $9::uuid[], $10::text[],
            $11::bigint[], $12::text[]) AS r
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run found, ready to be stored."""

    allowance_policy: AllowancePolicy
    content: bytes
    input_sha256: bytes
    result_sha256: bytes
    determination: Determination
    finished_at: datetime


async def store(unit: UnitOfWork, run_id: UUID, found: Findings) -> None:
    """Write down the frozen input and all results of a run; a second time for one run is refused by the database."""
    await unit.execute(
        _KEEP_INPUT, {"tenant_id": unit.tenant_id, "sha256": found.input_sha256, "content": found.content}
    )
    await unit.execute(
        _FOUND,
        {
            "id": run_id,
            "policy": found.allowance_policy.value,
            "input_sha256": found.input_sha256,
            "result_sha256": found.result_sha256,
            "nodes": len(found.determination.nodes),
            "finished_at": found.finished_at,
        },
    )
    driver = await unit.driver()
    for some in _pieces(found.determination.nodes):
        results = [node.result for node in some]
        await driver.execute(
            _KEEP_NODES,
            unit.tenant_id,
            run_id,
            [r.position for r in results],
            [r.organisation_id for r in results],
            [r.neutrality.verdict.value for r in results],
            [r.compliance.verdict.value for r in results],
            [node.line.decode() for node in some],
        )
    for some in _pieces(tuple(enumerate(found.determination.rejected))):
        await driver.execute(_KEEP_REJECTED, unit.tenant_id, run_id, *_columns(some))


def _pieces(rows: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    return (rows[i : i + NODES_PER_STATEMENT] for i in range(0, len(rows), NODES_PER_STATEMENT))


def _columns(rows: Sequence[tuple[int, RejectedAsset]]) -> list[list[Any]]:
    return [
        [sequence for sequence, _ in rows],
        [r.position for _, r in rows],
        [r.outermost for _, r in rows],
        [r.use.value for _, r in rows],
        [r.for_year for _, r in rows],
        [r.lot_id for _, r in rows],
        [r.transfer_id for _, r in rows],
        [r.asset_class.value for _, r in rows],
        [r.quantity_t for _, r in rows],
        [r.reason.value for _, r in rows],
    ]


_NODES: Final = """
SELECT r.run_id, n.position, n.result::text AS result
FROM unnest(CAST(:runs AS uuid[])) AS r (run_id)
CROSS JOIN LATERAL (
  SELECT position, result FROM consolidation_node
  WHERE run_id = r.run_id AND position > :after ORDER BY position LIMIT :most
) n
ORDER BY r.run_id, n.position
"""
_REJECTED: Final = """
SELECT s.place, a.*, n.organisation_id
FROM unnest(CAST(:places AS int[]), CAST(:runs AS uuid[]), CAST(:firsts AS int[]), CAST(:lasts AS int[]),
            CAST(:depths AS int[])) AS s (place, run_id, first, last, depth)
CROSS JOIN LATERAL (
  SELECT * FROM consolidation_rejected_asset
  WHERE run_id = s.run_id AND position BETWEEN s.first AND s.last AND outermost <= s.depth AND sequence > :after
  ORDER BY sequence LIMIT :most
) a
JOIN consolidation_node n ON n.tenant_id = a.tenant_id AND n.run_id = a.run_id AND n.position = a.position
ORDER BY s.place, a.sequence
"""


async def pages_of_nodes(
    session: ReadSession, run_ids: Sequence[UUID], request: PageRequest
) -> dict[UUID, Page[NodeResult]]:
    """For each run a page of its nodes in tree order, all in one statement."""
    after = -1 if request.after is None else request.key(whole)[0]
    rows = await session.rows(_NODES, {"runs": list(run_ids), "after": after, "most": request.first + 1})
    found: dict[UUID, list[NodeResult]] = {run_id: [] for run_id in run_ids}
    for row in rows:
        found[row.run_id].append(_NODE_RESULT.validate_json(row.result))
    return {run_id: Page.cut(nodes, request, lambda n: (n.position,)) for run_id, nodes in found.items()}


async def pages_of_rejected(
    session: ReadSession, nodes: Sequence[tuple[UUID, NodeResult]], request: PageRequest
) -> list[Page[RejectedAsset]]:
    """For each node of a run a page of what was rejected within its boundary, all in one statement."""
    rows = await session.rows(
        _REJECTED,
        {
            "places": list(range(len(nodes))),
            "runs": [run_id for run_id, _ in nodes],
            "firsts": [node.position for _, node in nodes],
            "lasts": [node.last for _, node in nodes],
            "depths": [node.depth for _, node in nodes],
            "after": -1 if request.after is None else request.key(whole)[0],
            "most": request.first + 1,
        },
    )
    found: list[list[Row[Any]]] = [[] for _ in nodes]
    for row in rows:
        found[row.place].append(row)
    return [Page.cut(mine, request, lambda row: (row.sequence,)).map(_rejected) for mine in found]


def _rejected(row: Row[Any]) -> RejectedAsset:
    return RejectedAsset(
        position=row.position,
        outermost=row.outermost,
        organisation_id=row.organisation_id,
        use=Use(row.use),
        for_year=row.for_year,
        lot_id=row.lot_id,
        transfer_id=row.transfer_id,
        asset_class=AssetClass(row.asset_class),
        quantity_t=row.quantity_t,
        reason=RejectionReason(row.reason),
    )


async def frozen_content(session: ReadSession, input_sha256: bytes) -> bytes:
    """The canonical bytes that are known by this digest."""
    content: bytes = await session.scalar(
        "SELECT content FROM consolidation_input WHERE sha256 = :sha256", {"sha256": input_sha256}
    )
    return content
