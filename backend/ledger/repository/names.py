"""From the names in some orders to what they stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from backend.ledger.codes import ACCOUNT_CODE_TAKEN
from backend.ledger.domain import (
    OUTSIDE,
    Account,
    AccountKind,
    AccountRef,
    AssetClass,
    Lot,
    LotRef,
    NewAccount,
    Origin,
    SerialBlock,
)
from backend.ledger.tables import asset_account

_ACCOUNTS: Final = """
SELECT id, organisation_id, code, name, kind FROM asset_account WHERE id = ANY ($1::uuid[])
UNION
SELECT a.id, a.organisation_id, a.code, a.name, a.kind
FROM unnest($2::uuid[], $3::text[]) AS asked (organisation_id, code)
JOIN asset_account a USING (organisation_id, code)
UNION
SELECT id, organisation_id, code, name, kind FROM asset_account WHERE organisation_id IS NULL
"""
_LOTS: Final = """
SELECT l.* FROM asset_lot l WHERE l.id = ANY ($1::uuid[])
UNION ALL
SELECT l.* FROM unnest($2::text[], $3::text[]) AS asked (scheme, issue_reference)
JOIN asset_lot l USING (scheme, issue_reference) WHERE l.withdrawn_by IS NULL
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
_ORGANISATIONS: Final = "SELECT id FROM organisation WHERE id = ANY ($1::uuid[])"


def account_of(row: Any) -> Account:
    return Account(row["id"], row["organisation_id"], row["code"], row["name"], AccountKind(row["kind"]))


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


async def accounts(
    unit: UnitOfWork, refs: Collection[AccountRef]
) -> tuple[dict[AccountRef, Account], dict[AccountKind, Account]]:
    """The accounts that exist, by how they were named; and those of the outside, made on a tenant's first use."""
    by_id = [r.id for r in refs if r.id is not None]
    by_code = [r for r in refs if r.id is None and r.organisation_id is not None]
    arguments = (by_id, [r.organisation_id for r in by_code], [r.code for r in by_code])
    driver = await unit.driver()
    rows = await driver.fetch(_ACCOUNTS, *arguments)
    if sum(row["organisation_id"] is None for row in rows) < len(OUTSIDE):
        kinds = sorted(OUTSIDE)
        await driver.execute(_OPEN_OUTSIDE, unit.tenant_id, [uuid7() for _ in kinds], kinds)
        rows = await driver.fetch(_ACCOUNTS, *arguments)
    found = [account_of(row) for row in rows]
    names = {a.id: a for a in found}
    codes = {(a.organisation_id, a.code): a for a in found}
    named = {ref: names.get(ref.id) if ref.id else codes.get((ref.organisation_id, ref.code)) for ref in refs}
    outside = {a.kind: a for a in found if a.organisation_id is None}
    return {ref: a for ref, a in named.items() if a is not None}, outside


async def open_holding_accounts(unit: UnitOfWork, refs: Sequence[AccountRef]) -> None:
    """Open these accounts where their organisation exists and they do not."""
    organisations = [r.organisation_id for r in refs]
    driver = await unit.driver()
    await driver.execute(_OPEN_HOLDING, unit.tenant_id, [uuid7() for _ in refs], organisations, [r.code for r in refs])


async def lots(unit: UnitOfWork, refs: Collection[LotRef]) -> dict[LotRef, Lot]:
    """The lots that exist, by how they were named; a withdrawn one only by its id."""
    by_id = [r.id for r in refs if r.id is not None]
    by_name = [r for r in refs if r.id is None]
    driver = await unit.driver()
    rows = await driver.fetch(_LOTS, by_id, [r.scheme for r in by_name], [r.issue_reference for r in by_name])
    found = [lot_of(row) for row in rows]
    names = {lot.id: lot for lot in found}
    references = {(lot.scheme, lot.issue_reference): lot for lot in found if lot.withdrawn_by is None}
    named = {ref: names.get(ref.id) if ref.id else references.get((ref.scheme, ref.issue_reference)) for ref in refs}
    return {ref: lot for ref, lot in named.items() if lot is not None}


async def organisations(session: ReadSession, keys: Collection[UUID]) -> frozenset[UUID]:
    """Those of the given organisations that exist in the tenant."""
    if not keys:
        return frozenset()
    driver = (await session.connection.get_raw_connection()).driver_connection
    assert driver is not None
    return frozenset(row["id"] for row in await driver.fetch(_ORGANISATIONS, list(keys)))


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
