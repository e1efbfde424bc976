"""The database keeps the books whoever asks: each role tries what is not allowed, in plain SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.kit.clock import Clock
from backend.kit.ids import uuid7
from backend.kit.provision import APP, AUDITOR, OWNER, WORKER
from tests.fixtures.ledger import POSTED, Group, a_lot, key, moved, used

TABLES = ("asset_account", "asset_lot", "asset_transfer", "asset_leg", "asset_balance")
DENIED = "42501"
APPEND_ONLY = "TH003"
UNLAWFUL = "TH005"
NO_BALANCE, LOOK_CLOSELY = "TH006", "TH007"
CHECK = "23514"
UNIQUE = "23505"
COLUMN = {"asset_account": "name", "asset_transfer": "purpose", "asset_lot": "project"}


@pytest.fixture
async def books(group: Group, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection inside the group's tenant; the group has a lot, a transfer and a surrender."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 300)]}, POSTED)
    await group.surrender(group.steel, used(group.steel, 100))
    connection = await asyncpg.connect(database_url)
    await become(connection, OWNER, group.world.tenant_id)
    yield connection
    await connection.close()


async def become(connection: Any, role: str, tenant_id: UUID | None) -> None:
    await connection.execute(f"RESET ROLE; SET ROLE {role}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(tenant_id or ""))


async def refusal(connection: Any, sql: str, *arguments: object) -> str:
    """The SQLSTATE that a statement ends in; it must end in one, or touch nothing."""
    try:
        status = await connection.execute(sql, *arguments)
    except asyncpg.exceptions.PostgresError as error:
        return str(getattr(error, "sqlstate", ""))
    return str(status)


@pytest.mark.parametrize("role", [APP, WORKER, AUDITOR, OWNER])
@pytest.mark.parametrize("table", TABLES)
async def test_nothing_is_changed_or_removed(books: Any, group: Group, role: str, table: str) -> None:
    await become(books, role, group.world.tenant_id)
    column = COLUMN.get(table, "quantity_t")
    value = "'x'" if table in COLUMN else "1"
    expected = APPEND_ONLY if role == OWNER else DENIED
    for statement in (f"UPDATE {table} SET {column} = {value}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        refused = await refusal(books, statement)
        assert refused in ({expected, "25006"} if role == AUDITOR else {expected}), statement


@pytest.mark.parametrize("role", [APP, WORKER, AUDITOR])
async def test_only_the_functions_write(books: Any, group: Group, role: str) -> None:
    await become(books, role, group.world.tenant_id)
    for table in ("asset_lot", "asset_transfer", "asset_leg", "asset_balance"):
        assert await refusal(books, f"INSERT INTO {table} SELECT * FROM {table}") in {DENIED, "25006"}
    if role == AUDITOR:
        assert await refusal(books, "SELECT ledger_post" + "(" + ", ".join(["NULL"] * 19) + ")") == DENIED


@pytest.mark.parametrize(("account", "lot", "expected"), [("STEEL", None, "23503"), (None, "LOT", UNLAWFUL)])
async def test_the_function_takes_no_unknown_names(
    books: Any, group: Group, account: str | None, lot: str | None, expected: str
) -> None:
    known = await names(books)
    await become(books, APP, group.world.tenant_id)
    arguments: list[Any] = [
        [uuid7()],
        ["x"],
        ["-"],
        [uuid7()],
        ["TRANSFER"],
        [1],
        [date(2025, 1, 1)],
        [None],
        [None],
    ]
    arguments += [[""], [""], [None], [None], [1], [1]]
    arguments += [[known.get(lot or "", uuid7())], [known.get(account or "", uuid7())], [known["CEMENT"]], [1]]
    call = f"SELECT ledger_post({', '.join(f'${i}' for i in range(1, 20))})"
    assert await refusal(books, call, *arguments) == expected


async def names(books: Any) -> dict[str, Any]:
    rows = await books.fetch(
        "SELECT a.id, a.code, o.code AS owner FROM asset_account a LEFT JOIN organisation o "
        "ON o.tenant_id = a.tenant_id AND o.id = a.organisation_id"
    )
    found = {row["owner"] or row["code"]: row["id"] for row in rows}
    return found | {"LOT": await books.fetchval("SELECT id FROM asset_lot")}


async def write(
    books: Any, kind: str, source: str, destination: str, quantity: int, *, legs: int = 1, **more: Any
) -> str:
    """Write a transfer of one leg past the functions, as the owner could."""
    known = await names(books)
    transfer, tenant = uuid7(), await books.fetchval("SELECT current_setting('app.tenant_id')::uuid")
    told = dict.fromkeys(("operation", "correlation_id"), None if kind == "ISSUE" else "x")
    row = {"tenant_id": tenant, "id": transfer, "kind": kind, "legs": legs, "effective_on": "2024-08-01"} | told | more
    columns, values = ", ".join(row), ", ".join(f"'{v}'" if v is not None else "NULL" for v in row.values())
    await books.execute(f"INSERT INTO asset_transfer ({columns}) VALUES ({values})")
    units = (known["LOT"], known[source], known[destination], quantity)
    return str(
        await books.execute("INSERT INTO asset_leg VALUES ($1, $2, 1, $3, $4, $5, $6)", tenant, transfer, *units)
    )


async def leg(books: Any, *units: Any, **more: Any) -> str:
    """How writing such a transfer ends."""
    try:
        return await write(books, *units, **more)
    except asyncpg.exceptions.PostgresError as error:
        return str(getattr(error, "sqlstate", ""))


async def test_owner_cannot_break_the_books(books: Any, group: Group) -> None:
    served: dict[str, Any] = {"beneficiary_id": key(group.steel), "for_year": 2024}
    surrender = await books.fetchval("SELECT id FROM asset_transfer WHERE kind = 'SURRENDER'")
    sent = await books.fetchval("SELECT id FROM asset_transfer WHERE kind = 'TRANSFER'")
    attempts = {
        "overdraft": (await leg(books, "TRANSFER", "STEEL", "CEMENT", 601), CHECK),
        "out of use": (await leg(books, "TRANSFER", "SURRENDERED", "STEEL", 1), UNLAWFUL),
        "out of nothing": (await leg(books, "TRANSFER", "ISSUER", "STEEL", 1), UNLAWFUL),
        "issued again": (await leg(books, "ISSUE", "ISSUER", "STEEL", 1000), UNLAWFUL),
        "into the wrong use": (await leg(books, "RETIRE", "STEEL", "SURRENDERED", 1, purpose="x", **served), UNLAWFUL),
        "a use for nobody": (await leg(books, "RETIRE", "STEEL", "RETIRED", 1, purpose="x"), CHECK),
        "a use for nothing": (await leg(books, "RETIRE", "STEEL", "RETIRED", 1, **served), CHECK),
        "words without end": (await leg(books, "TRANSFER", "STEEL", "CEMENT", 1, evidence="x" * 2001), CHECK),
        "a leg missing": (await leg(books, "TRANSFER", "STEEL", "CEMENT", 1, legs=2), UNLAWFUL),
        "negative": (await leg(books, "TRANSFER", "STEEL", "CEMENT", -1), CHECK),
        "to itself": (await leg(books, "TRANSFER", "STEEL", "STEEL", 1), CHECK),
        "half a reversal": (await leg(books, "REVERSE", "CEMENT", "STEEL", 299, reverses_id=sent), UNLAWFUL),
        "another's reversal": (await leg(books, "REVERSE", "CEMENT", "STEEL", 100, reverses_id=surrender), UNLAWFUL),
        "before it existed": (await leg(books, "TRANSFER", "STEEL", "CEMENT", 1, effective_on="2024-06-30"), UNLAWFUL),
    }
    for name, (found, expected) in attempts.items():
        assert found == expected, name


UNUSED: dict[str, Any] = {"purpose": "x", "for_year": 2024}


@pytest.mark.parametrize(
    ("rule", "kind", "more"),
    [
        ("kind_check", "GIFT", {}),
        ("reversal", "REVERSE", {}),
        ("served", "SURRENDER", {}),
        ("served", "SURRENDER", UNUSED),
        ("served", "RETIRE", {"purpose": "x"}),
        ("served", "CANCEL", UNUSED),
        ("served", "TRANSFER", UNUSED),
        ("texts", "TRANSFER", {"purpose": "字" * 2001}),
        ("texts", "TRANSFER", {"evidence": "字" * 2001}),
        ("audited", "TRANSFER", {"operation": None}),
        ("audited", "TRANSFER", {"correlation_id": None}),
        ("audited", "ISSUE", {"operation": "x"}),
    ],
)
async def test_each_rule_of_transfers_is_named(books: Any, rule: str, kind: str, more: dict[str, Any]) -> None:
    assert await broken_rule(books, kind, **more) == f"asset_transfer_{rule}"


async def test_rules_of_uses_are_named(books: Any, group: Group) -> None:
    served: dict[str, Any] = {"beneficiary_id": key(group.steel), "for_year": 2024}
    assert await broken_rule(books, "RETIRE", **served) == "asset_transfer_retired_for_something"
    assert await broken_rule(books, "SURRENDER", **served | {"for_year": 1989}) == "asset_transfer_for_year_check"
    sent = await books.fetchval("SELECT id FROM asset_transfer WHERE kind = 'TRANSFER'")
    assert await broken_rule(books, "TRANSFER", reverses_id=sent) == "asset_transfer_reversal"
    nobody = served | {"beneficiary_id": uuid7()}
    assert await broken_rule(books, "SURRENDER", to="SURRENDERED", **nobody) == "asset_transfer_serves"


async def test_no_posting_without_legs(books: Any, group: Group) -> None:
    """What has no legs would meet no trigger on them, and be judged by nobody."""
    known = await names(books)
    for kinds, said in (
        (["TRANSFER", "TRANSFER"], [1, 1]),
        (["TRANSFER", "GIFT"], [1, -5]),
        (["TRANSFER"] * 2, [1, 0]),
    ):
        keys = [uuid7(), uuid7()]
        twice = [[x, x] for x in (uuid7(), "x", "-")]
        rest = [kinds, said, [Clock().today()] * 2, [None] * 2, [None] * 2, ["", ""], ["", ""], [None] * 2, [None] * 2]
        legs = [[1], [1], [known["LOT"]], [known["STEEL"]], [known["CEMENT"]], [1]]
        await become(books, APP, group.world.tenant_id)
        call = f"SELECT ledger_post({', '.join(f'${i}' for i in range(1, 20))})"
        assert await refusal(books, call, *twice, keys, *rest, *legs) in {UNLAWFUL, CHECK}, said
    posting = "ROW($2, 'x', '-', NULL, '', $2, 'TRANSFER', 1, current_date, NULL, NULL, '', '', NULL, '{}', '{}')"
    call = f"SELECT ledger_commit($1, false, '{{}}', ARRAY[{posting}]::ledger_posting[], '{{}}', '{{}}')"
    assert await refusal(books, call, group.world.tenant_id, uuid7()) == LOOK_CLOSELY
    assert await books.fetchval("SELECT count(*) FROM asset_transfer WHERE operation = 'x'") == 0


async def test_who_is_served_stays(books: Any, group: Group) -> None:
    with pytest.raises(asyncpg.exceptions.ForeignKeyViolationError) as refused:
        await books.execute("DELETE FROM organisation WHERE id = $1", key(group.steel))
    assert getattr(refused.value, "constraint_name", "") == "asset_transfer_serves"


async def test_seals_written_by_hand_are_whole(books: Any) -> None:
    """The trigger on legs makes those that count; whoever writes another meets a trigger of its own."""
    with pytest.raises(asyncpg.exceptions.CheckViolationError) as refused:
        await books.execute(
            "INSERT INTO asset_seal SELECT tenant_id, number + 1, now(), transfer_ids, leaves, hash, 'x' "
            "FROM asset_seal ORDER BY number DESC LIMIT 1"
        )
    assert getattr(refused.value, "constraint_name", "") == "asset_seal_whole"


async def broken_rule(books: Any, kind: str, to: str = "CEMENT", **more: Any) -> str:
    with pytest.raises(asyncpg.exceptions.IntegrityConstraintViolationError) as refused:
        await write(books, kind, "STEEL", to, 1, **more)
    return str(getattr(refused.value, "constraint_name", ""))


async def test_a_leg_meets_its_balances(books: Any, group: Group) -> None:
    """One to where no balance is yet is refused, lest the units only leave."""
    assert await leg(books, "CANCEL", "STEEL", "CANCELLED", 1) == NO_BALANCE
    assert await leg(books, "TRANSFER", "STEEL", "CEMENT", 1) == "INSERT 0 1"


async def test_only_the_balances_of_its_legs_are_met(books: Any, group: Group) -> None:
    await group.issue(*(a_lot(group.steel, f"many-{i}", 1) for i in range(300)))
    await books.execute("ANALYZE asset_balance")
    met = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'asset_balance'"
    async with books.transaction():
        for setting in await books.fetchval("SELECT proconfig FROM pg_proc WHERE proname = 'ledger_commit'"):
            await books.execute(f"SET LOCAL {setting}")
        before = await books.fetchval(met)
        assert await leg(books, "TRANSFER", "STEEL", "CEMENT", 1) == "INSERT 0 1"
        assert await books.fetchval(met) - before <= 4


async def test_a_posted_transfer_takes_no_more_legs(books: Any) -> None:
    refused = await refusal(
        books,
        "INSERT INTO asset_leg SELECT tenant_id, transfer_id, 2, lot_id, from_account_id, to_account_id, 1 "
        "FROM asset_leg JOIN asset_transfer t USING (tenant_id) WHERE t.id = transfer_id AND t.kind = 'TRANSFER'",
    )
    assert refused == UNLAWFUL


async def test_reversed_once(books: Any) -> None:
    sent = await books.fetchval("SELECT id FROM asset_transfer WHERE kind = 'TRANSFER'")
    today = Clock().today().isoformat()
    sent_back = ("REVERSE", "CEMENT", "STEEL", 300)
    assert await leg(books, *sent_back, reverses_id=sent, effective_on=today) == "INSERT 0 1"
    assert await leg(books, *sent_back, reverses_id=sent, effective_on=today) == UNIQUE


async def test_balances_are_the_sum_of_entries(books: Any) -> None:
    different = await books.fetch(
        "SELECT * FROM asset_balance b FULL JOIN (SELECT tenant_id, account_id, lot_id, sum(amount_t) AS amount_t "
        "FROM asset_entry GROUP BY 1, 2, 3) e USING (tenant_id, account_id, lot_id) "
        "WHERE b.quantity_t IS DISTINCT FROM e.amount_t"
    )
    assert different == []
    assert await books.fetchval("SELECT sum(quantity_t) FROM asset_balance") == 0


async def test_serials_cannot_overlap_for_the_owner_either(books: Any, group: Group) -> None:
    await group.issue(a_lot(group.steel, "s", 10, serial={"prefix": "C", "first": "1", "last": "10"}))
    copy = (
        "INSERT INTO asset_lot SELECT tenant_id, $1, asset_class, scheme, 't', vintage, project, quantity_t, origin, "
        "issued_to, issued_on, lower(serial_prefix), serial_first + $2, serial_last + $2, $1 FROM asset_lot "
        "WHERE issue_reference = 's'"
    )
    assert await refusal(books, copy, uuid7(), 9) == "23P01"
    assert await refusal(books, copy, uuid7(), 10) == "INSERT 0 1"


async def test_no_tenant_no_rows(books: Any) -> None:
    await become(books, APP, None)
    for table in (*TABLES, "asset_entry", "obligation"):
        assert await books.fetchval(f"SELECT count(*) FROM {table}") == 0
    await become(books, APP, uuid7())
    for table in (*TABLES, "asset_entry", "obligation"):
        assert await books.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_obligations_are_superseded_once(books: Any, group: Group) -> None:
    owed = {"organisationId": group.steel, "fromYear": 2024, "toYear": 2024, "tonnes": "1"}
    for _ in range(2):
        await group.manager.do("setObligation", owed, "obligation { id }")
    supersede = "UPDATE obligation SET superseded_at = now(), superseded_by_id = id"
    for role, statements in {
        OWNER: ("UPDATE obligation SET tonnes = 5", supersede, "DELETE FROM obligation", "TRUNCATE obligation CASCADE"),
        APP: (supersede,),
        WORKER: (supersede,),
    }.items():
        await become(books, role, group.world.tenant_id)
        for statement in statements:
            assert await refusal(books, statement) == APPEND_ONLY
    for role in (APP, WORKER):
        await become(books, role, group.world.tenant_id)
        assert await refusal(books, "UPDATE obligation SET tonnes = 5") == DENIED
        assert await refusal(books, "DELETE FROM obligation") == DENIED
