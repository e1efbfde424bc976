"""From the names in some orders to what they stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from backend.ledger.codes import ACCOUNT_CODE_TAKEN
from backend.ledger.domain.accounts import OUTSIDE, Account, AccountKind, AccountRef, NewAccount
from backend.ledger.domain.lots import AssetClass, Lot, LotRef, NamedLot, Origin, SerialBlock
from backend.ledger.tables import asset_account

_LOOK_UP: Final = """
SELECT what, id, organisation_id, code, name, kind, issued_on, owner
FROM ledger_look_up($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::uuid[])
"""
_OPEN_OUTSIDE: Final = """
INSERT INTO asset_account (tenant_id, id, code, kind)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $3::text[]) ORDER BY 3 ON CONFLICT DO NOTHING
"""
_OPEN_HOLDING: Final = """
INSERT INTO asset_account (tenant_id, id, organisation_id, code, kind)
SELECT $1, asked.id, o.id, asked.code, 'HOLDING'
FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS asked (id, organisation_id, code)
JOIN organisation o ON o.id = asked.organisation_id
ORDER BY o.id ON CONFLICT DO NOTHING
"""
_PROJECTS: Final = """
SELECT x.text FROM unnest(CAST(:texts AS text[])) AS x (text)
WHERE EXISTS (SELECT FROM carbon_project p WHERE x.text IN (p.code, p.name, p.code || ' ' || p.name))
"""
_ORGANISATIONS: Final = "SELECT id FROM organisation WHERE id = ANY ($1::uuid[])"


def account_of(row: Any) -> Account:
    kind, owner = AccountKind(row["kind"]), row.get("owner") or ""
    return Account(row["id"], row["organisation_id"], row["code"], row["name"], kind, owner)


def lot_of(row: Any) -> Lot:
    serial = None
    if row["serial_first"] is not None:
        serial = SerialBlock(row["serial_prefix"], row["serial_first"], row["serial_last"])
    return Lot(
        id=row["id"],
        asset_class=AssetClass(row["asset_class"]),
        scheme=row["scheme"],
        issue_reference=row["issue_reference"],
        vintage=row["vintage"],
        project=row["project"],
        quantity_t=row["quantity_t"],
        origin=Origin(row["origin"]),
        issued_to=row["issued_to"],
        issued_on=row["issued_on"],
        serial=serial,
        issued_by=row["issued_by"],
        withdrawn_by=row["withdrawn_by"],
    )


@dataclass(frozen=True, slots=True)
class Names:
    """What exists of what was named, by how it was named; and the accounts of the outside."""

    accounts: Mapping[AccountRef, Account]
    outside: Mapping[AccountKind, Account]
    lots: Mapping[LotRef, NamedLot]
    organisations: frozenset[UUID]


async def look_up(
    unit: UnitOfWork,
    account_refs: Collection[AccountRef],
    lot_refs: Collection[LotRef] = (),
    organisation_ids: Collection[UUID] = (),
) -> Names:
    """Find what is named. A withdrawn lot is found only by its id; the outside is made on a tenant's first use."""
    driver = await unit.driver()
    found = await _look_up(driver, account_refs, lot_refs, organisation_ids)
    if len(found.outside) < len(OUTSIDE):
        kinds = sorted(OUTSIDE)
        await driver.execute(_OPEN_OUTSIDE, unit.tenant_id, [uuid7() for _ in kinds], kinds)
        found = await _look_up(driver, account_refs, lot_refs, organisation_ids)
    return found


async def known(
    session: ReadSession,
    account_refs: Collection[AccountRef],
    lot_refs: Collection[LotRef],
    organisation_ids: Collection[UUID],
) -> Names:
    """As `look_up`, but what is not there is not made."""
    driver = (await session.connection.get_raw_connection()).driver_connection
    return await _look_up(driver, account_refs, lot_refs, organisation_ids)


async def _look_up(
    driver: Any,
    account_refs: Collection[AccountRef],
    lot_refs: Collection[LotRef],
    organisation_ids: Collection[UUID],
) -> Names:
    by_code = [r for r in account_refs if r.id is None and r.organisation_id is not None]
    by_reference = [r for r in lot_refs if r.id is None]
    arguments = (
        [r.id for r in account_refs if r.id is not None],
        [r.organisation_id for r in by_code],
        [r.code for r in by_code],
        [r.id for r in lot_refs if r.id is not None],
        [r.scheme for r in by_reference],
        [r.issue_reference for r in by_reference],
        list(organisation_ids),
    )
    rows = await driver.fetch(_LOOK_UP, *arguments)
    accounts = [account_of(row) for row in rows if row["what"] == "A"]
    return Names(
        accounts=_accounts(accounts, account_refs),
        outside={a.kind: a for a in accounts if a.organisation_id is None},
        lots=_lots([row for row in rows if row["what"] == "L"], lot_refs),
        organisations=frozenset(row["id"] for row in rows if row["what"] == "O"),
    )


def _accounts(found: Sequence[Account], refs: Collection[AccountRef]) -> dict[AccountRef, Account]:
    by_id = {a.id: a for a in found}
    by_code = {(a.organisation_id, a.code): a for a in found}
    named = {ref: by_id.get(ref.id) if ref.id else by_code.get((ref.organisation_id, ref.code)) for ref in refs}
    return {ref: account for ref, account in named.items() if account is not None}


def _lots(rows: Sequence[Any], refs: Collection[LotRef]) -> dict[LotRef, NamedLot]:
    found = {r["id"]: NamedLot(r["id"], r["code"], r["name"], r["issued_on"], r["kind"] is not None) for r in rows}
    by_reference = {(lot.scheme, lot.issue_reference): lot for lot in found.values() if lot.standing}
    named = {ref: found.get(ref.id) if ref.id else by_reference.get((ref.scheme, ref.issue_reference)) for ref in refs}
    return {ref: lot for ref, lot in named.items() if lot is not None}


async def open_holding_accounts(unit: UnitOfWork, refs: Sequence[AccountRef]) -> None:
    """Open these accounts where their organisation exists and they do not."""
    organisations = [r.organisation_id for r in refs]
    driver = await unit.driver()
    await driver.execute(_OPEN_HOLDING, unit.tenant_id, [uuid7() for _ in refs], organisations, [r.code for r in refs])


async def organisations(session: ReadSession, keys: Collection[UUID]) -> frozenset[UUID]:
    """Those of the given organisations that exist in the tenant."""
    if not keys:
        return frozenset()
    driver = (await session.connection.get_raw_connection()).driver_connection
    assert driver is not None
    return frozenset(row["id"] for row in await driver.fetch(_ORGANISATIONS, list(keys)))


async def projects_named(session: ReadSession, texts: Collection[str]) -> frozenset[str]:
    """Those of some texts that name a project of the tenant: by code, by name, or by both."""
    rows = await session.rows(_PROJECTS, {"texts": list(texts)}) if texts else []
    return frozenset(r.text for r in rows)


async def insert_account(unit: UnitOfWork, new: NewAccount) -> Account:
    """Errors: ACCOUNT_CODE_TAKEN."""
    account = Account(uuid7(), new.organisation_id, new.code, new.name, new.kind)
    row = {"tenant_id": unit.tenant_id, "id": account.id, "organisation_id": new.organisation_id}
    try:
        await unit.execute(asset_account.insert(), row | {"code": new.code, "name": new.name, "kind": new.kind.value})
    except DBAPIError as error:
        taken = {"asset_account_code_key": lambda: ACCOUNT_CODE_TAKEN(path=("code",), code=new.code)}
        raise translate(error, taken) from error
    return account
