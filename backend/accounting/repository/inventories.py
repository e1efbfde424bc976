"""SQL of inventories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.exc import DBAPIError

from backend.accounting.domain.inventories import (
    FINAL,
    FROZEN,
    INVENTORY_OVERLAPS,
    Inventory,
    InventoryEvent,
    InventoryLine,
    InventoryState,
    InventoryTotal,
    RestatementCause,
    digest,
)
from backend.accounting.domain.inventory_checks import EVIDENCE_MISSING
from backend.accounting.domain.results import CategoryTotal
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.tables.inventories import inventory, inventory_event, inventory_line
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within

_FIELDS: Final = tuple(Inventory.__dataclass_fields__)


def as_inventory(row: Row[Any]) -> Inventory:
    cause = RestatementCause(row.cause) if row.cause else None
    read = {"state": InventoryState(row.state), "cause": cause}
    return Inventory(**{name: getattr(row, name) for name in _FIELDS} | read)


async def insert(unit: UnitOfWork, made: Inventory) -> None:
    """Errors: INVENTORY_OVERLAPS."""
    row = {name: getattr(made, name) for name in _FIELDS} | {"tenant_id": unit.tenant_id, "state": made.state.value}
    row["cause"] = made.cause and made.cause.value
    try:
        await unit.execute(inventory.insert(), row)
    except DBAPIError as error:
        overlap = {"inventory_one_in_force": lambda: INVENTORY_OVERLAPS(path=("firstMonth",))}
        raise translate(error, overlap) from error


async def change(unit: UnitOfWork, key: UUID, **values: Any) -> None:
    """Errors: EVIDENCE_MISSING when evidence was taken away at the same time."""
    try:
        await unit.execute(inventory.update().where(inventory.c.id == key).values(**values))
    except DBAPIError as error:
        gone = EVIDENCE_MISSING(path=("id",), count=1, first="…")
        raise translate(error, {"evidence_before_submission": lambda: gone}) from error


async def note(unit: UnitOfWork, key: UUID, state: InventoryState, text: str, sha256: str | None, member: UUID) -> None:
    """Write down that a step was taken."""
    await unit.execute(
        """
        INSERT INTO inventory_event (tenant_id, inventory_id, n, state, note, sha256, member_id, at)
        SELECT :tenant_id, :key, count(*) + 1, :state, :note, :sha256, :member, clock_timestamp()
        FROM inventory_event WHERE inventory_id = :key
        """,
        {
            "tenant_id": unit.tenant_id,
            "key": key,
            "state": state.value,
            "note": text,
            "sha256": sha256,
            "member": member,
        },
    )


async def inventories(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None, *, lock: bool = False
) -> dict[UUID, Inventory]:
    """By id; with a principal, only those of organisations whose emissions it may read."""
    statement = select(inventory).where(inventory.c.id.in_(keys)).order_by(inventory.c.id)
    if principal is not None:
        statement = statement.where(within(principal, Permission.EMISSION_READ, inventory.c.organisation_id))
    if lock:
        statement = statement.with_for_update()
    return {row.id: as_inventory(row) for row in await session.rows(statement)}


async def page(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[Inventory]:
    """Inventories the caller may see, the latest first; restated ones too."""
    statement = select(inventory).where(within(principal, Permission.EMISSION_READ, inventory.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(inventory.c.organisation_id == organisation_id)
    rows = [as_inventory(r) for r in await session.rows(keyset(statement, request, inventory.c.id, latest_first=True))]
    return Page.cut(rows, request, lambda i: (i.id,))


async def events(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, list[InventoryEvent]]:
    """The steps taken on each, in order."""
    statement = select(inventory_event).where(inventory_event.c.inventory_id.in_(keys)).order_by(inventory_event.c.n)
    found: dict[UUID, list[InventoryEvent]] = {}
    for r in await session.rows(statement):
        event = InventoryEvent(r.n, InventoryState(r.state), r.note, r.sha256, r.member_id, r.at)
        found.setdefault(r.inventory_id, []).append(event)
    return found


_FREEZE: Final = """
INSERT INTO inventory_line (tenant_id, inventory_id, round, n, source_id, stream_id, declared_result_id, coefficient_id,
                            category, direct_kind, first_month, months, quantity, co2e_t, records)
SELECT tenant_id, :key, :round, row_number() OVER (ORDER BY source_id, first_month, stream_id, declared_id), source_id,
       stream_id, declared_id, coefficient_id, category, direct_kind, first_month, months, quantity, co2e_t, records
FROM (
  SELECT m.tenant_id, m.source_id, m.stream_id, NULL::uuid AS declared_id, m.coefficient_id, m.category, m.direct_kind,
         m.month AS first_month, 1 AS months, m.quantity, m.co2e_t, m.records
  FROM stream_month m
  WHERE m.organisation_id = :organisation AND m.month >= :first_month AND m.month < :after
  UNION ALL
  SELECT d.tenant_id, d.source_id, NULL, d.id, NULL, o.category, o.direct_kind, d.first_month, d.months, NULL,
         d.co2e_t, 1
  FROM declared_result d JOIN emission_source o ON o.tenant_id = d.tenant_id AND o.id = d.source_id
  WHERE o.organisation_id = :organisation AND d.superseded_at IS NULL AND d.first_month >= :first_month
    AND d.first_month + make_interval(months => d.months) <= :after
) r
"""


async def freeze(unit: UnitOfWork, of: Inventory, round_: int) -> str | None:
    """Copy what the organisation emitted in the period; the sha256 of the lines in their order, None without any."""
    given = {"key": of.id, "round": round_, "organisation": of.organisation_id}
    if not await unit.execute(_FREEZE, given | {"first_month": of.first_month, "after": of.after}):
        return None
    return digest(of, round_, await lines(unit, of.id, round_))


def _line(r: Row[Any]) -> InventoryLine:
    return InventoryLine(
        n=r.n,
        source_id=r.source_id,
        stream_id=r.stream_id,
        declared_result_id=r.declared_result_id,
        coefficient_id=r.coefficient_id,
        category=Category(r.category),
        direct_kind=DirectKind(r.direct_kind) if r.direct_kind else None,
        first_month=r.first_month,
        months=r.months,
        quantity=r.quantity,
        co2e_t=r.co2e_t,
        records=r.records,
    )


async def lines(session: ReadSession, key: UUID, round_: int) -> list[InventoryLine]:
    of = inventory_line.c
    statement = select(inventory_line).where(of.inventory_id == key, of.round == round_).order_by(of.n)
    return [_line(r) for r in await session.rows(statement)]


async def page_of_lines(session: ReadSession, key: UUID, round_: int, request: PageRequest) -> Page[InventoryLine]:
    of = inventory_line.c
    statement = keyset(select(inventory_line).where(of.inventory_id == key, of.round == round_), request, of.n)
    return Page.cut([_line(r) for r in await session.rows(statement)], request, lambda x: (x.n,))


async def totals(session: ReadSession, wanted: Sequence[tuple[UUID, int]]) -> dict[UUID, list[InventoryTotal]]:
    """What each inventory adds up to by category, as it was submitted in that round."""
    rows = await session.rows(
        """
        SELECT l.inventory_id, l.category, l.direct_kind, sum(l.co2e_t) AS co2e_t, sum(l.records) AS records
        FROM unnest(CAST(:keys AS uuid[]), CAST(:rounds AS integer[])) AS w (key, round)
        JOIN inventory_line l ON l.inventory_id = w.key AND l.round = w.round
        GROUP BY l.inventory_id, l.category, l.direct_kind ORDER BY l.category, l.direct_kind
        """,
        {"keys": [w[0] for w in wanted], "rounds": [w[1] for w in wanted]},
    )
    found: dict[UUID, list[InventoryTotal]] = {}
    for r in rows:
        kind = DirectKind(r.direct_kind) if r.direct_kind else None
        found.setdefault(r.inventory_id, []).append(
            InventoryTotal(Category(r.category), kind, r.co2e_t, int(r.records))
        )
    return found


async def frozen(session: ReadSession, organisation_ids: Sequence[UUID]) -> list[Inventory]:
    """The inventories of these organisations that lock their periods."""
    statement = select(inventory).where(
        inventory.c.organisation_id.in_(organisation_ids), inventory.c.state.in_([s.value for s in FROZEN])
    )
    return [as_inventory(row) for row in await session.rows(statement)]


async def approved_totals(
    session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
) -> list[CategoryTotal]:
    """As `results.category_totals`, of approved inventories alone: their lines of these years."""
    rows = await session.rows(
        """
        SELECT i.organisation_id, l.category, l.direct_kind, sum(l.co2e_t) AS co2e_t, sum(l.records) AS records,
               max(e.at) AS at
        FROM inventory i
        JOIN inventory_line l ON l.tenant_id = i.tenant_id AND l.inventory_id = i.id AND l.round = i.round
        JOIN inventory_event e ON e.tenant_id = i.tenant_id AND e.inventory_id = i.id AND e.state = 'APPROVED'
        WHERE i.organisation_id = ANY (:organisations) AND i.state = ANY (:final)
          AND l.first_month >= :from_day AND l.first_month < :to_day
        GROUP BY i.organisation_id, l.category, l.direct_kind
        """,
        {
            "organisations": list(organisation_ids),
            "final": [s.value for s in FINAL],
            "from_day": date(from_year, 1, 1),
            "to_day": date(to_year + 1, 1, 1),
        },
    )
    return [
        CategoryTotal(
            r.organisation_id,
            Category(r.category),
            DirectKind(r.direct_kind) if r.direct_kind else None,
            r.co2e_t,
            int(r.records),
            r.at,
        )
        for r in rows
    ]
