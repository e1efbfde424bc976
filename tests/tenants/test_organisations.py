"""Organisations through the public door: adding, editing, listing, searching, sorting."""

from __future__ import annotations

from typing import Any

import pytest

from tenants.access import Role
from tests.fixtures.organisations import HUADONG, administrator, plant, row, uuid_of
from tests.fixtures.world import Caller, World

CREATED = "organisation { id code nameZh enteredOn version }"
ROWS = "results { code organisation { id version } errors { code path } }"


def a_group(code: str = "HD") -> dict[str, str]:
    return {"kind": "GROUP", "code": code, "nameZh": "华东集团", "enteredOn": "2020-01-01"}


async def codes(caller: Caller, arguments: str = "", **variables: Any) -> list[str]:
    head = f"({', '.join(f'${k}: {t}' for k, (t, _) in variables.items())})" if variables else ""
    document = f"query Q{head} {{ organisations{arguments} {{ nodes {{ code }} }} }}"
    answer = await caller.ask(document, **{k: v for k, (_, v) in variables.items()})
    return [o["code"] for o in answer["organisations"]["nodes"]]


async def test_create_and_list(world: World) -> None:
    admin = await administrator(world)
    made = await admin.do("createOrganisation", a_group(), CREATED)
    site = {"kind": "SITE", "code": "S1", "nameZh": "一号厂区", "enteredOn": "2021-01-01"}
    await admin.do("createOrganisation", {**site, "parentId": made["organisation"]["id"]}, CREATED)
    listed = await admin.ask("{ organisations { nodes { code nameZh } pageInfo { hasNextPage } } }")
    assert [o["code"] for o in listed["organisations"]["nodes"]] == ["HD", "S1"]


async def test_same_key_same_answer(world: World) -> None:
    admin = await administrator(world)
    keyed = {**a_group(), "idempotencyKey": "k-1"}
    first = await admin.do("createOrganisation", keyed, CREATED)
    again = await admin.do("createOrganisation", keyed, CREATED)
    assert again == {**first, "replayed": True}
    other = await admin.attempt("createOrganisation", {**keyed, "code": "ANDERS"}, CREATED)
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_rehearsal_writes_nothing(world: World) -> None:
    admin = await administrator(world)
    shown = await admin.do("createOrganisation", {**a_group(), "dryRun": True}, CREATED)
    assert shown["organisation"]["code"] == "HD"
    assert await codes(admin) == []


async def test_a_tree_in_one_call_in_any_order(world: World) -> None:
    admin = await administrator(world)
    await plant(admin, list(reversed(HUADONG)))
    assert await codes(admin) == ["BF", "CEMENT", "HD", "KILN", "STEEL"]
    await plant(admin, [row("SITE", "BF2", "STEEL")])
    assert "BF2" in await codes(admin)


async def test_each_row_is_judged_alone(world: World) -> None:
    admin = await administrator(world)
    rows = [
        row("GROUP", "HD"),
        row("SUBSIDIARY", "A", "NOWHERE"),
        row("SITE", "B", "A"),
        row("SUBSIDIARY", "C", "D"),
        row("SUBSIDIARY", "D", "C"),
        row("SITE", "HD", "HD"),
        row("SITE", "E"),
        row("SITE", "F", "HD", creditCode="91110000100000000A"),
        row("SITE", "G", "HD"),
        row("SITE", "H", "G"),
        row("SITE", "I", "HD", enteredOn="2019-12-31"),
        row("SITE", "J", "HD", equityShare="1.2"),
    ]
    keyed = {"organisations": rows, "idempotencyKey": "rows"}
    payload = await admin.do("createOrganisations", keyed, ROWS)
    assert [[e["code"] for e in r["errors"]] for r in payload["results"]] == [
        [],
        ["NOT_FOUND"],
        ["PARENT_REFUSED"],
        ["PARENT_REFUSED"],
        ["ORGANISATION_CYCLE"],
        ["ORGANISATION_CODE_TAKEN"],
        ["WRONG_PARENT"],
        ["BAD_CREDIT_CODE"],
        [],
        ["WRONG_PARENT"],
        ["PARENT_ABSENT"],
        ["INVALID_INPUT"],
    ]
    assert payload["results"][7]["errors"][0]["path"] == ["organisations", "7", "creditCode"]
    assert await codes(admin) == ["G", "HD"]
    assert await admin.do("createOrganisations", keyed, ROWS) == {**payload, "replayed": True}


async def test_all_or_nothing(world: World) -> None:
    admin = await administrator(world)
    rows = [row("GROUP", "HD"), row("SITE", "A", "NOWHERE")]
    payload = await admin.attempt("createOrganisations", {"organisations": rows, "allOrNothing": True}, ROWS)
    assert (payload["errors"][0]["code"], payload["errors"][0]["path"]) == (
        "NOT_FOUND",
        ["organisations", "1", "parentCode"],
    )
    assert await codes(admin) == []


async def test_at_most_500_rows(world: World) -> None:
    admin = await administrator(world)
    rows = [row("GROUP", "HD"), *(row("SITE", f"S{i:03}", "HD") for i in range(500))]
    refused = await admin.attempt("createOrganisations", {"organisations": rows}, ROWS)
    assert refused["errors"][0]["code"] == "INVALID_INPUT"
    await plant(admin, rows[:500])


async def test_update_asks_for_the_version(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    edit = {"organisationId": ids["STEEL"], "expectedVersion": 1, "nameZh": "　华东特钢　", "creditCode": None}
    selection = "organisation { nameZh nameEn creditCode version }"
    made = await admin.do("updateOrganisation", {**edit, "nameEn": "East Steel"}, selection)
    assert made["organisation"] == {"nameZh": "华东特钢", "nameEn": "East Steel", "creditCode": None, "version": 2}
    stale = await admin.attempt("updateOrganisation", edit)
    assert (stale["errors"][0]["code"], stale["errors"][0]["path"]) == ("STALE_VERSION", ["expectedVersion"])
    taken = await admin.attempt("updateOrganisation", {**edit, "expectedVersion": 2, "code": "HD"})
    assert taken["errors"][0]["code"] == "ORGANISATION_CODE_TAKEN"
    empty = await admin.attempt("updateOrganisation", {**edit, "expectedVersion": 2, "nameZh": None})
    assert empty["errors"][0]["path"] == ["nameZh"]


async def test_production_lines(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lines = [
        {
            "name": "1#高炉",
            "product": "生铁",
            "capacity": "250",
            "capacityUnit": "万吨/年",
            "commissionedOn": "2012-05-01",
        },
        {"name": "2#高炉"},
    ]
    given = {"organisationId": ids["BF"], "lines": lines}
    await admin.do("setProductionLines", given, "productionLines { name }")
    await admin.do(
        "setProductionLines", {**given, "lines": lines[:1], "expectedVersion": 2}, "productionLines { name }"
    )
    found = await admin.ask(
        "query Q($id: ID!) { node(id: $id) { ... on Organisation {"
        " version productionLines { name capacity capacityUnit } } } }",
        id=ids["BF"],
    )
    shown = {"name": "1#高炉", "capacity": "250", "capacityUnit": "万吨/年"}
    assert found["node"] == {"version": 3, "productionLines": [shown]}
    twice = await admin.attempt("setProductionLines", {**given, "lines": [lines[0], lines[0]]})
    assert twice["errors"][0]["path"] == ["lines", "1", "name"]
    bare = await admin.attempt("setProductionLines", {**given, "lines": [{"name": "a", "capacity": "1"}]})
    assert bare["errors"][0]["path"] == ["lines", "0", "capacity"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("华东", ["HD", "STEEL"]),
        ("钢铁", ["STEEL"]),
        ("ＳＴＥＥＬ", ["STEEL"]),
        ("steel", ["STEEL"]),
        ("　kiln ", ["KILN"]),
        ("100%", []),
        ("_", []),
        ("", ["BF", "CEMENT", "HD", "KILN", "STEEL"]),
    ],
)
async def test_search(world: World, search: str, found: list[str]) -> None:
    admin = await administrator(world)
    await plant(admin)
    wanted = ("OrganisationFilterInput", {"search": search})
    assert await codes(admin, "(filter: $f)", f=wanted) == found


async def test_filter_by_kind_and_place(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    sites = ("OrganisationFilterInput", {"kind": "SITE"})
    assert await codes(admin, "(filter: $f)", f=sites) == ["BF", "KILN"]
    below = ("OrganisationFilterInput", {"within": ids["STEEL"]})
    assert await codes(admin, "(filter: $f)", f=below) == ["BF", "STEEL"]
    before = ("OrganisationFilterInput", {"asOf": "2019-06-01"})
    assert await codes(admin, "(filter: $f)", f=before) == []


async def test_names_by_pinyin_page_by_page(world: World) -> None:
    admin = await administrator(world)
    names = {"1": "重庆水泥", "2": "安徽水泥", "3": "华东集团", "4": "北京热电", "5": "上海钢铁", "6": "鑫源"}
    await plant(admin, [row("GROUP", code, nameZh=name) for code, name in names.items()])
    document = (
        "query Q($a: String) { organisations(orderBy: NAME, first: 2, after: $a)"
        " { nodes { nameZh } pageInfo { endCursor hasNextPage } } }"
    )
    seen: list[str] = []
    after = None
    while True:
        page = (await admin.ask(document, a=after))["organisations"]
        seen += [o["nameZh"] for o in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    ordered = [n for n in seen if n not in {"鑫源", "重庆水泥"}]
    assert ordered == ["安徽水泥", "北京热电", "华东集团", "上海钢铁"]
    assert sorted(seen) == sorted(names.values())


async def test_a_foreign_cursor_is_refused(world: World) -> None:
    admin = await administrator(world)
    answer = await admin.run('{ organisations(after: "WyJhIl0") { nodes { code } } }')
    assert answer.errors[0]["extensions"]["code"] == "BAD_CURSOR"


async def test_only_who_manages_the_place_may_add(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lead = await world.member((Role.OVERALL_LEAD, uuid_of(ids["STEEL"])))
    allowed = row("SITE", "NEW", "STEEL")
    rows = [allowed, row("SITE", "X", "HD"), row("SITE", "Y", "CEMENT"), row("GROUP", "Z"), row("SITE", "W", "NONE")]
    payload = await lead.do("createOrganisations", {"organisations": rows}, ROWS)
    refused = [[e["code"] for e in r["errors"]] for r in payload["results"]]
    assert refused == [[], ["NOT_FOUND"], ["NOT_FOUND"], ["FORBIDDEN"], ["NOT_FOUND"]]
