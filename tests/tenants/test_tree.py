"""The tree in time through the public door: moves, ownership, acquisition, disposal, closing, reading as of a day."""

from __future__ import annotations

from typing import Any

import pytest

from tenants.access import Role
from tests.fixtures.organisations import administrator, plant, row, uuid_of
from tests.fixtures.world import Caller, World

FIELDS = """
  code
  parent(asOf: $d) { code }
  ownership(asOf: $d) { equityShare operationalControl financialControl validFrom validUntil reason }
  children(asOf: $d) { nodes { code } }
  ancestors(asOf: $d) { depth equityShare operationalControl organisation { code } }
  descendants(asOf: $d) { nodes { depth equityShare operationalControl organisation { code } } }
  history { parent { code } ownership { equityShare validFrom validUntil reason } }
  leftOn leftBecause enteredBecause version
"""


async def look(caller: Caller, key: str, day: str | None = None) -> dict[str, Any]:
    document = f"query Q($id: ID!, $d: Date) {{ node(id: $id) {{ ... on Organisation {{ {FIELDS} }} }} }}"
    node = (await caller.ask(document, id=key, d=day))["node"]
    assert node is not None
    return dict(node)


def ownership(share: str, *, control: bool = True) -> dict[str, Any]:
    return {"equityShare": share, "operationalControl": control, "financialControl": control}


async def test_reading_the_tree(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    group = await look(admin, ids["HD"])
    assert (group["parent"], group["ownership"], group["history"]) == (None, None, [])
    assert [c["code"] for c in group["children"]["nodes"]] == ["CEMENT", "STEEL"]
    below = [(d["depth"], d["organisation"]["code"], d["equityShare"]) for d in group["descendants"]["nodes"]]
    assert below == [(1, "CEMENT", "0.6"), (1, "STEEL", "1"), (2, "BF", "1"), (2, "KILN", "0.3")]
    kiln = await look(admin, ids["KILN"])
    above = [(a["depth"], a["organisation"]["code"], a["equityShare"]) for a in kiln["ancestors"]]
    assert above == [(1, "CEMENT", "0.5"), (2, "HD", "0.3")]
    assert not kiln["ancestors"][0]["operationalControl"]


async def test_paging_below(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin, [row("GROUP", "HD"), *(row("SITE", f"S{i}", "HD") for i in range(7))])
    seen: list[str] = []
    after = None
    for field in ("children", "descendants"):
        what = "nodes { code }" if field == "children" else "nodes { organisation { code } }"
        document = (
            f"query Q($id: ID!, $a: String) {{ node(id: $id) {{ ... on Organisation {{ {field}(first: 3, after: $a)"
            f" {{ {what} pageInfo {{ endCursor hasNextPage }} }} }} }} }}"
        )
        seen, after, more = [], None, True
        while more:
            page = (await admin.ask(document, id=ids["HD"], a=after))["node"][field]
            seen += [n.get("code") or n["organisation"]["code"] for n in page["nodes"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert seen == [f"S{i}" for i in range(7)]


async def test_a_move_takes_the_subtree_along_and_keeps_history(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    move = {"organisationId": ids["STEEL"], "parentId": ids["CEMENT"], "movedOn": "2023-01-01", "reason": "重组"}
    await admin.do("moveOrganisation", move, "organisation { version }")
    before, after = await look(admin, ids["BF"], "2022-12-31"), await look(admin, ids["BF"], "2023-01-01")
    assert [a["organisation"]["code"] for a in before["ancestors"]] == ["STEEL", "HD"]
    assert [a["organisation"]["code"] for a in after["ancestors"]] == ["STEEL", "CEMENT", "HD"]
    moved = await look(admin, ids["STEEL"])
    assert [(h["parent"]["code"], h["ownership"]["validFrom"]) for h in moved["history"]] == [
        ("HD", "2020-01-01"),
        ("CEMENT", "2023-01-01"),
    ]
    assert moved["history"][1]["ownership"]["reason"] == "重组"


async def test_what_is_recorded_late_does_not_undo_what_came_after(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)

    async def share(day: str, value: str) -> None:
        given = {"organisationId": ids["STEEL"], "validFrom": day, "ownership": ownership(value), "reason": value}
        await admin.do("setOwnership", given, "organisation { code }")

    await share("2024-01-01", "0.9")
    move = {"organisationId": ids["STEEL"], "parentId": ids["CEMENT"], "movedOn": "2022-01-01"}
    await admin.do("moveOrganisation", move, "organisation { code }")
    await share("2023-01-01", "0.7")
    await share("2023-01-01", "0.75")
    history = (await look(admin, ids["STEEL"]))["history"]
    assert [(h["parent"]["code"], h["ownership"]["validFrom"], h["ownership"]["equityShare"]) for h in history] == [
        ("HD", "2020-01-01", "1"),
        ("CEMENT", "2022-01-01", "1"),
        ("CEMENT", "2023-01-01", "0.75"),
        ("CEMENT", "2024-01-01", "0.9"),
    ]


async def test_acquisition(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    given = {
        "code": "NEU",
        "nameZh": "新并购公司",
        "parentId": ids["HD"],
        "acquiredOn": "2024-07-01",
        "reason": "收购",
        **ownership("0.51"),
    }
    made = await admin.do("recordAcquisition", given, "organisation { id kind enteredBecause enteredOn }")
    new = made["organisation"]
    assert (new["kind"], new["enteredBecause"], new["enteredOn"]) == ("SUBSIDIARY", "ACQUIRED", "2024-07-01")
    assert (await look(admin, new["id"], "2024-07-01"))["ownership"]["equityShare"] == "0.51"
    refused = await admin.attempt("recordAcquisition", {**given, "code": "NEU2", "reason": " "})
    assert refused["errors"][0]["path"] == ["reason"]


async def test_disposal_takes_along_what_lies_below(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    sale = {"organisationId": ids["STEEL"], "disposedOn": "2024-04-01", "reason": "出售"}
    made = await admin.do("recordDisposal", sale, "organisations { code leftOn leftBecause }")
    assert [(o["code"], o["leftOn"], o["leftBecause"]) for o in made["organisations"]] == [
        ("STEEL", "2024-04-01", "DISPOSED"),
        ("BF", "2024-04-01", "DISPOSED"),
    ]
    assert (await look(admin, ids["BF"], "2024-03-31"))["parent"]["code"] == "STEEL"
    assert (await look(admin, ids["BF"], "2024-04-01"))["parent"] is None
    again = await admin.attempt("recordDisposal", {**sale, "disposedOn": "2024-05-01"})
    assert again["errors"][0]["code"] == "ORGANISATION_NOT_PRESENT"


async def test_closing_waits_for_what_lies_below(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    close = {"organisationId": ids["STEEL"], "closedOn": "2024-04-01", "reason": "停产"}
    refused = await admin.attempt("closeOrganisation", close)
    assert refused["errors"][0]["code"] == "ORGANISATION_HAS_DESCENDANTS"
    assert "BF" in refused["errors"][0]["message"]
    later = row("SITE", "LATER", "STEEL", enteredOn="2030-01-01")
    await plant(admin, [later])
    still = await admin.attempt("closeOrganisation", {**close, "withDescendants": True})
    assert (still["errors"][0]["code"], "LATER" in still["errors"][0]["message"]) == (
        "ORGANISATION_HAS_DESCENDANTS",
        True,
    )
    only = await admin.do("closeOrganisation", {**close, "organisationId": ids["BF"]}, "organisations { code }")
    assert [o["code"] for o in only["organisations"]] == ["BF"]


@pytest.mark.parametrize(
    ("child", "parent", "day", "code"),
    [
        ("HD", "STEEL", "2023-01-01", "WRONG_PARENT"),
        ("STEEL", "BF", "2023-01-01", "WRONG_PARENT"),
        ("STEEL", "SUB", "2023-01-01", "ORGANISATION_CYCLE"),
        ("STEEL", "STEEL", "2023-01-01", "ORGANISATION_CYCLE"),
        ("BF", "LATE", "2022-01-01", "PARENT_ABSENT"),
        ("BF", "HD", "2019-01-01", "ORGANISATION_NOT_PRESENT"),
    ],
)
async def test_moves_that_are_refused(world: World, child: str, parent: str, day: str, code: str) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    more = [row("SUBSIDIARY", "SUB", "STEEL"), row("SUBSIDIARY", "LATE", "HD", enteredOn="2022-06-01")]
    ids |= await plant(admin, more)
    move = {"organisationId": ids[child], "parentId": ids[parent], "movedOn": day}
    before = await look(admin, ids[child])
    refused = await admin.attempt("moveOrganisation", move)
    assert [e["code"] for e in refused["errors"]] == [code]
    assert await look(admin, ids[child]) == before


async def test_a_place_is_decided_above(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    lead = await world.member((Role.OVERALL_LEAD, uuid_of(ids["STEEL"])))
    edit = {"organisationId": ids["STEEL"], "expectedVersion": 1, "business": "炼钢"}
    await lead.do("updateOrganisation", edit, "organisation { version }")
    for mutation, given in (
        ("setOwnership", {"validFrom": "2024-01-01", "ownership": ownership("0.1")}),
        ("recordDisposal", {"disposedOn": "2024-01-01", "reason": "x"}),
        ("closeOrganisation", {"closedOn": "2024-01-01", "withDescendants": True}),
        ("moveOrganisation", {"movedOn": "2024-01-01", "parentId": ids["STEEL"]}),
    ):
        refused = await lead.attempt(mutation, {"organisationId": ids["STEEL"], **given})
        assert [e["code"] for e in refused["errors"]] == ["FORBIDDEN"], mutation
    closed = {"organisationId": ids["BF"], "closedOn": "2024-01-01"}
    await lead.do("closeOrganisation", closed, "organisations { code }")
    unseen = await lead.attempt("closeOrganisation", {**closed, "organisationId": ids["KILN"]})
    assert unseen["errors"][0]["code"] == "NOT_FOUND"
    shown = await look(lead, ids["STEEL"])
    assert (shown["parent"], shown["ancestors"]) == (None, [])
