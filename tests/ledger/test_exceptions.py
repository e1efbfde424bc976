"""Exceptions from market rules: a limit refuses, until one is recorded, and again when it is withdrawn."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from backend.kit.provision import OWNER
from tenants.access import Role
from tests.fixtures.ledger import Group, a_credit, key, used
from tests.fixtures.world import Caller

RULE = "CARB-OFFSET-8"
EXCEPTIONS = "exceptions { id year rule reason evidence recordedById withdrawnAt }"
REMARKED = "transfer { id remarks { code rule source } }"
LIST = "query Q($o: ID) { ruleExceptions(organisationId: $o) { nodes { id rule withdrawnAt withdrawnBecause } } }"


def excepted(organisation_id: str, **more: Any) -> dict[str, Any]:
    row = {"organisationId": organisation_id, "year": 2017, "rule": RULE, "reason": "公开记录", "evidence": "CP2"}
    return row | more


@pytest.fixture
async def admin(group: Group) -> Caller:
    """Offsets of 1000 t and 1000 t due in the Californian scheme; who answers for the tenant."""
    await group.issue(a_credit(group.steel, scheme="CARB-OFFSET", vintage=2016, issuedOn="2017-01-01"))
    for at in (group.steel, group.cement):
        await group.owe(at, "1000", year=2017)
    return await group.world.caller(Role.TENANT_ADMINISTRATOR)


async def surrender(group: Group, quantity: int, year: int = 2017) -> dict[str, Any]:
    legs = [used(group.steel, quantity, "ZL-1", "CARB-OFFSET")]
    given = {"legs": legs, "beneficiaryId": group.steel, "forYear": year, "evidence": "清缴凭证"}
    return await group.manager.attempt("surrenderAssets", given, REMARKED)


async def test_it_binds_until_an_exception_and_after_it(group: Group, admin: Caller) -> None:
    refused = await surrender(group, 81)
    assert [e["code"] for e in refused["errors"]] == ["OFFSET_LIMIT_EXCEEDED"]
    other = {"exceptions": [excepted(group.cement), excepted(group.steel, year=2016)]}
    await admin.do("recordRuleExceptions", other, EXCEPTIONS)
    assert (await surrender(group, 81))["errors"], "of another entity, of another year"
    (made,) = (await admin.do("recordRuleExceptions", {"exceptions": [excepted(group.steel)]}, EXCEPTIONS))[
        "exceptions"
    ]
    done = await surrender(group, 81)
    assert done["errors"] == []
    assert [(r["code"], r["rule"]) for r in done["transfer"]["remarks"]] == [("OFFSET_LIMIT_EXCEEDED", RULE)]
    ended = {"exceptionId": made["id"], "reason": "补录完毕"}
    await admin.do("withdrawRuleException", ended, "exception { withdrawnBecause }")
    assert (await surrender(group, 1))["errors"], "the limit binds again"
    again = await admin.attempt("withdrawRuleException", ended, "exception { id }")
    assert [e["code"] for e in again["errors"]] == ["RULE_EXCEPTION_WITHDRAWN"]
    shown = (await group.manager.ask(LIST, o=group.steel))["ruleExceptions"]["nodes"]
    assert [(x["withdrawnAt"] is not None, x["withdrawnBecause"]) for x in shown] == [(True, "补录完毕"), (False, None)]
    await admin.do("recordRuleExceptions", {"exceptions": [excepted(group.steel)]}, EXCEPTIONS)
    assert (await surrender(group, 1))["errors"] == []


async def test_what_is_no_exception(group: Group, admin: Caller) -> None:
    """All or none; not from what knows none; not by whom the limit holds."""
    for row, code, path in (
        ({"rule": "CN-OFFSET-5", "year": 2024}, "RULE_WITHOUT_EXCEPTIONS", "rule"),
        ({"rule": "CARB-VINTAGE"}, "RULE_WITHOUT_EXCEPTIONS", "rule"),
        ({"rule": "NONE"}, "UNKNOWN_RULE", "rule"),
        ({"year": 2021}, "UNKNOWN_RULE", "rule"),
        ({"reason": " "}, "MISSING_TEXT", "reason"),
        ({"evidence": ""}, "MISSING_TEXT", "evidence"),
    ):
        rows = [excepted(group.cement), excepted(group.steel, **row)]
        refused = await admin.attempt("recordRuleExceptions", {"exceptions": rows}, EXCEPTIONS)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [(code, ["exceptions", "1", path])], row
    twice = await admin.attempt("recordRuleExceptions", {"exceptions": [excepted(group.steel)] * 2}, EXCEPTIONS)
    assert [e["code"] for e in twice["errors"]] == ["RULE_EXCEPTED_ALREADY"]
    none = await admin.attempt("recordRuleExceptions", {"exceptions": []}, EXCEPTIONS)
    assert [e["code"] for e in none["errors"]] == ["TOO_MANY_EXCEPTIONS"]
    own = await group.manager.attempt("recordRuleExceptions", {"exceptions": [excepted(group.steel)]}, EXCEPTIONS)
    assert [e["code"] for e in own["errors"]] == ["FORBIDDEN"]
    assert (await group.manager.ask(LIST))["ruleExceptions"]["nodes"] == []
    assert (await surrender(group, 81))["errors"]


async def test_seen_where_the_assets_are(group: Group, admin: Caller) -> None:
    rows = [excepted(group.steel), excepted(group.cement)]
    made = (await admin.do("recordRuleExceptions", {"exceptions": rows}, EXCEPTIONS))["exceptions"]
    local = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    assert [x["id"] for x in (await local.ask(LIST))["ruleExceptions"]["nodes"]] == [made[1]["id"]]
    assert (await local.ask(LIST, o=group.steel))["ruleExceptions"]["nodes"] == []


async def test_exceptions_stand(group: Group, admin: Caller, database_url: str) -> None:
    await admin.do("recordRuleExceptions", {"exceptions": [excepted(group.steel)]}, EXCEPTIONS)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    for statement in (
        "UPDATE rule_exception SET year = 2016",
        "UPDATE rule_exception SET withdrawn_at = now()",
        "DELETE FROM rule_exception",
        "TRUNCATE rule_exception",
    ):
        with pytest.raises(asyncpg.exceptions.PostgresError):
            await connection.execute(statement)
    await connection.close()
