"""What the rules ask of the books, in one statement each, and what they remarked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from backend.kit.database import ReadSession, UnitOfWork
from backend.ledger.accounts.domain import AccountState
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.refusals import Refusal
from backend.ledger.rulebook.judging import LotFacts, Standing

_NOT_OPEN: Final = """
SELECT DISTINCT ON (account_id) account_id, state FROM account_state
WHERE account_id = ANY (CAST(:accounts AS uuid[])) ORDER BY account_id, number DESC
"""
# A lot that was cut out of another has no claim of its own: those of its project and vintage speak for it.
_LOTS: Final = """
SELECT o.id, o.asset_class, o.scheme, o.issue_reference, o.vintage, o.issued_on,
       coalesce(p.in_allowance_scheme, false) AS in_scheme,
       (SELECT coalesce(min(k.period_from) FILTER (WHERE k.lot_id = o.id), min(k.period_from)) FROM project_claim k
        WHERE k.tenant_id = p.tenant_id AND k.project_id = p.id AND k.lot_id IS NOT NULL
          AND extract(year FROM k.period_to - 1) = o.vintage) AS reduced_from
FROM asset_lot o
LEFT JOIN carbon_project p ON o.project <> '' AND p.tenant_id = o.tenant_id
  AND o.project IN (p.code, p.name, p.code || ' ' || p.name)
WHERE o.id = ANY (CAST(:lots AS uuid[]))
"""
# One after the other in one order, so that no two spend the same headroom and none wait in a circle.
_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('rules ' || k.name, 0)) FROM (
  SELECT DISTINCT :tenant || organisation || ' ' || year AS name
  FROM unnest(CAST(:organisations AS text[]), CAST(:years AS int[])) AS x (organisation, year) ORDER BY 1) AS k
"""
_STANDINGS: Final = """
SELECT k.organisation_id, k.year, d.tonnes, coalesce(d.market, '') AS market, coalesce(u.all_t, 0) AS surrendered_t,
       coalesce(u.offsets_t, 0) AS offsets_t,
       -- What is set aside to be surrendered holds its part of the limit, for an offset surrender too, until it is
       -- surrendered or given back; what its deadline has ended does not.
       coalesce((SELECT sum(g.left_t) FROM asset_reservation v
                 JOIN asset_reservation_left g ON g.tenant_id = v.tenant_id AND g.reservation_id = v.id
                 JOIN asset_lot o ON o.tenant_id = g.tenant_id AND o.id = g.lot_id
                 WHERE v.beneficiary_id = k.organisation_id AND v.for_year = k.year AND v.kind = 'SURRENDER'
                   AND o.asset_class <> 'ALLOWANCE' AND coalesce(v.expires_at > now(), true)
                   AND v.id IS DISTINCT FROM CAST(:besides AS uuid)
                   AND NOT EXISTS (SELECT FROM asset_reservation_end e
                                   WHERE e.tenant_id = v.tenant_id AND e.reservation_id = v.id)), 0) AS pending_t,
       coalesce((SELECT sum(o.quantity_t) FROM asset_lot o
                 WHERE o.issued_to = k.organisation_id AND o.vintage = k.year AND o.origin = 'ALLOCATED'
                   AND o.withdrawn_by IS NULL), 0) AS allocated_t,
       ARRAY(SELECT x.rule FROM rule_exception x
             WHERE x.organisation_id = k.organisation_id AND x.year = k.year AND x.withdrawn_at IS NULL) AS excepted,
       (SELECT p.to_year FROM obligation p WHERE p.organisation_id = k.organisation_id AND p.superseded_at IS NULL
          AND k.year BETWEEN p.from_year AND p.to_year - 1) AS period_of
FROM (SELECT DISTINCT organisation_id, year
      FROM unnest(CAST(:organisations AS uuid[]), CAST(:years AS int[])) AS x (organisation_id, year)) AS k
LEFT JOIN obligation d ON d.organisation_id = k.organisation_id AND d.to_year = k.year AND d.superseded_at IS NULL
LEFT JOIN LATERAL (
  SELECT sum(l.quantity_t) AS all_t, sum(l.quantity_t) FILTER (WHERE o.asset_class <> 'ALLOWANCE') AS offsets_t
  FROM asset_transfer t
  JOIN asset_leg l ON l.tenant_id = t.tenant_id AND l.transfer_id = t.id
  JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
  WHERE t.beneficiary_id = k.organisation_id AND t.for_year = k.year AND t.kind = 'SURRENDER'
    AND NOT EXISTS (SELECT FROM asset_transfer r WHERE r.tenant_id = t.tenant_id AND r.reverses_id = t.id)) u ON true
"""
_HELD: Final = """
SELECT a.organisation_id, o.asset_class, sum(b.quantity_t) AS quantity_t
FROM asset_account a
JOIN asset_balance b ON b.tenant_id = a.tenant_id AND b.account_id = a.id AND b.quantity_t > 0
JOIN asset_lot o ON o.tenant_id = b.tenant_id AND o.id = b.lot_id
WHERE a.organisation_id = ANY (CAST(:organisations AS uuid[]))
  AND (o.asset_class <> 'ALLOWANCE' OR o.origin <> 'ALLOCATED' OR o.issued_to <> a.organisation_id)
GROUP BY 1, 2
"""
_REMEMBER: Final = """
INSERT INTO transfer_remark (tenant_id, transfer_id, number, code, path, params)
SELECT :tenant, r.transfer_id, r.number, r.code, r.path, r.params
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS r (transfer_id uuid, number integer, code text, path text[], params jsonb)
"""
_REMARKS: Final = """
SELECT transfer_id, code, path, params FROM transfer_remark
WHERE transfer_id = ANY (CAST(:transfers AS uuid[])) ORDER BY transfer_id, number
"""

Served = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about some uses: their lots, and the standing of whom they serve for which year."""

    lots: Mapping[UUID, LotFacts]
    standings: Mapping[Served, Standing]


async def not_open(session: ReadSession, account_ids: Collection[UUID]) -> dict[UUID, AccountState]:
    """Those of some accounts that are frozen or closed, with their state."""
    rows = await session.rows(_NOT_OPEN, {"accounts": list(account_ids)})
    return {r.account_id: AccountState(r.state) for r in rows if r.state != "OPEN"}


async def lock(unit: UnitOfWork, served: Collection[Served]) -> None:
    """Until the unit of work ends, nobody else judges uses for these organisations and years."""
    keys = {"organisations": [str(o) for o, _ in served], "years": [year for _, year in served]}
    await unit.execute(_LOCK, keys | {"tenant": f"{unit.tenant_id} "})


async def facts(
    session: ReadSession, lots: Collection[UUID], served: Collection[Served], besides: UUID | None = None
) -> Facts:
    """What the books say; `besides`: a reservation that does not count as pending, for it is what is judged."""
    asked: dict[str, object] = {"organisations": [o for o, _ in served], "years": [year for _, year in served]}
    asked |= {"besides": besides}
    held: dict[UUID, dict[AssetClass, int]] = defaultdict(dict)
    for row in await session.rows(_HELD, {"organisations": asked["organisations"]}):
        held[row.organisation_id][AssetClass(row.asset_class)] = int(row.quantity_t)
    standings = {
        (r.organisation_id, r.year): Standing(
            r.market,
            r.tonnes,
            int(r.allocated_t),
            int(r.offsets_t),
            int(r.pending_t),
            held[r.organisation_id],
            frozenset(r.excepted),
            int(r.surrendered_t),
            r.period_of,
        )
        for r in await session.rows(_STANDINGS, asked)
    }
    return Facts(await lot_facts(session, lots), standings)


async def lot_facts(session: ReadSession, lots: Collection[UUID]) -> dict[UUID, LotFacts]:
    rows = await session.rows(_LOTS, {"lots": list(lots)})
    return {
        r.id: LotFacts(
            f"{r.scheme} {r.issue_reference}",
            r.scheme,
            AssetClass(r.asset_class),
            r.vintage,
            r.issued_on,
            r.reduced_from,
            r.in_scheme,
        )
        for r in rows
    }


async def remember(unit: UnitOfWork, said: Mapping[UUID, Sequence[Refusal]]) -> None:
    """Keep what was remarked about transfers that were posted."""
    rows = [
        {"transfer_id": str(key), "number": n, "code": r.code, "path": r.path, "params": r.params}
        for key, remarks in said.items()
        for n, r in enumerate(remarks, 1)
    ]
    if rows:
        await unit.execute(_REMEMBER, {"tenant": unit.tenant_id, "rows": orjson.dumps(rows).decode()})


async def remarks(session: ReadSession, transfer_ids: Collection[UUID]) -> dict[UUID, list[Refusal]]:
    found: dict[UUID, list[Refusal]] = defaultdict(list)
    for row in await session.rows(_REMARKS, {"transfers": list(transfer_ids)}):
        found[row.transfer_id].append(Refusal(row.code, tuple(row.path), row.params))
    return found
