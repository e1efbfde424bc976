"""Emission units, devices and packs, through the public door."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from backend.accounting.domain.packs import house_packs
from tenants.access import Role
from tests.fixtures.accounting import Works

UNIT = "unit { id code kind nameZh parent { code } organisation { id } }"
DEVICE = "device { id code nameZh capacity unit { code } }"


async def unit(works: Works, code: str, site: str | None = None, **fields: Any) -> str:
    given = {"organisationId": site or works.site_id, "code": code, "nameZh": "熟料烧成", "kind": "GROUP", **fields}
    return str((await works.engineer.do("createEmissionUnit", given, UNIT))["unit"]["id"])


async def device(works: Works, unit_id: str, code: str) -> str:
    given = {"unitId": unit_id, "code": code, "nameZh": "１＃回转窑", "capacity": "5000", "capacityUnit": "t/d"}
    return str((await works.engineer.do("createEmissionDevice", given, DEVICE))["device"]["id"])


async def test_a_source_is_bound_to_a_device(works: Works) -> None:
    group = await unit(works, "CLINKER")
    system = await unit(works, "CLINKER.P", kind="PRODUCTION", parentUnitId=group)
    kiln = await device(works, system, "KILN-1")
    source = await works.fuel("烟煤")
    linked = await works.engineer.do(
        "linkEmissionSource", {"sourceId": source, "deviceId": kiln}, "source { id } unit { code } device { nameZh }"
    )
    assert (linked["unit"]["code"], linked["device"]["nameZh"]) == ("CLINKER.P", "1＃回转窑".replace("1", "１"))
    asked = """query Q($id: ID!) { node(id: $id) { ... on EmissionUnit { devices { nodes { code } }
      sources { nodes { id } } } ... on EmissionDevice { sources { nodes { id } } } } }"""
    of_group = (await works.engineer.ask(asked, id=group))["node"]
    assert of_group == {"devices": {"nodes": [{"code": "KILN-1"}]}, "sources": {"nodes": [{"id": source}]}}
    assert (await works.engineer.ask(asked, id=kiln))["node"]["sources"]["nodes"] == [{"id": source}]


async def test_a_device_of_another_site_is_refused(works: Works) -> None:
    elsewhere = await works.site("S2")
    far = await unit(works, "FAR", elsewhere)
    kiln = await device(works, far, "KILN-2")
    source = await works.fuel("烟煤")
    for where, code in (({"deviceId": kiln}, "DEVICE_OF_ANOTHER_SITE"), ({"unitId": far}, "UNIT_OF_ANOTHER_SITE")):
        refused = await works.engineer.attempt("linkEmissionSource", {"sourceId": source, **where}, "source { id }")
        assert [e["code"] for e in refused["errors"]] == [code]
    near = await unit(works, "NEAR")
    mixed = {"sourceId": source, "unitId": near, "deviceId": kiln}
    refused = await works.engineer.attempt("linkEmissionSource", mixed, "source { id }")
    assert refused["errors"][0]["code"] == "DEVICE_OF_ANOTHER_SITE"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "PRODUCTION"}, "UNIT_PARENT"),
        ({"code": " "}, "BAD_EMISSION_CODE"),
        ({"nameZh": " "}, "NAME_MISSING"),
        ({"code": "CLINKER"}, "UNIT_CODE_TAKEN"),
    ],
)
async def test_what_is_no_unit(works: Works, fields: dict[str, Any], code: str) -> None:
    await unit(works, "CLINKER")
    given = {"organisationId": works.site_id, "code": "X", "nameZh": "粉磨", "kind": "GROUP", **fields}
    refused = await works.engineer.attempt("createEmissionUnit", given, UNIT)
    assert [e["code"] for e in refused["errors"]] == [code]


async def test_a_unit_needs_a_site_and_a_system_a_group(works: Works) -> None:
    given = {"organisationId": works.group_id, "code": "X", "nameZh": "粉磨", "kind": "GROUP"}
    refused = await works.engineer.attempt("createEmissionUnit", given, UNIT)
    assert refused["errors"][0]["code"] == "UNIT_NEEDS_A_SITE"
    group = await unit(works, "G")
    system = await unit(works, "G.P", kind="PRODUCTION", parentUnitId=group)
    nested = {"organisationId": works.site_id, "code": "Y", "nameZh": "粉磨", "kind": "AUXILIARY"}
    refused = await works.engineer.attempt("createEmissionUnit", {**nested, "parentUnitId": system}, UNIT)
    assert refused["errors"][0]["code"] == "UNIT_PARENT"


async def test_only_engineers_define_units(works: Works) -> None:
    given = {"organisationId": works.site_id, "code": "X", "nameZh": "粉磨", "kind": "GROUP"}
    refused = await works.monitor.attempt("createEmissionUnit", given, UNIT)
    assert refused["errors"][0]["code"] == "FORBIDDEN"


# Table 2: the devices of the production systems, row by row, the rolling row once; eight of every auxiliary system.
TABLE_2 = {"LIME": 7, "COKING": 8, "PELLET": 6, "SINTER": 8, "IRON": 7, "BOF": 7, "ROLLING": 6, "EAF": 6}


async def test_the_steel_pack_makes_every_row_of_table_2(works: Works) -> None:
    pack = house_packs()["STEEL"]
    assert {g.code: len(g.production) for g in pack.groups if g.code != "TRANSPORT"} == TABLE_2
    given = {"packCode": "STEEL", "organisationId": works.site_id}
    selection = "items { kind code nameZh state }"
    rehearsed = await works.engineer.do("createSourcesFromPack", {**given, "dryRun": True}, selection)
    made = await works.engineer.do("createSourcesFromPack", given, selection)
    assert made["items"] == rehearsed["items"]
    counted = Counter((i["kind"], i["state"]) for i in made["items"])
    assert counted == {
        # eight groups with two systems each, and transport with one
        ("UNIT", "CREATED"): 8 * 3 + 2,
        ("DEVICE", "CREATED"): sum(TABLE_2.values()) + 8 * 8 + 2,
        # stationary of eight groups, mobile, process of six, five indirect categories
        ("SOURCE", "CREATED"): 8 + 1 + 6 + 5,
        # seven fuels of eight groups, three of four mobile fuels, two carbonates of six, three of four energies, three
        ("STREAM", "CREATED"): 8 * 7 + 3 + 6 * 2 + 3 + 3,
        # alcohol fuel twice, compressed air, nine materials used, four products
        ("STREAM", "NEEDS_FACTOR"): 2 + 1 + 9 + 4,
    }
    again = await works.engineer.do("createSourcesFromPack", given, selection)
    assert {i["state"] for i in again["items"]} == {"EXISTING", "NEEDS_FACTOR"}
    listed = await works.engineer.ask("{ emissionSources(first: 100) { nodes { code streams { code } } } }")
    assert len(listed["emissionSources"]["nodes"]) == 20


async def test_some_groups_of_a_pack_by_their_printed_name(works: Works) -> None:
    given = {"packCode": "STEEL", "organisationId": works.site_id, "groups": ["钢压延与加工设备"]}
    made = await works.engineer.do("createSourcesFromPack", given, "items { kind code }")
    assert {i["code"].split(".")[0] for i in made["items"]} == {"ROLLING"}
    unknown = await works.engineer.attempt("createSourcesFromPack", {**given, "groups": ["炼金"]}, "items { code }")
    assert (unknown["errors"][0]["code"], unknown["errors"][0]["path"]) == ("UNKNOWN_PACK_GROUP", ["groups", "0"])


async def test_a_pack_of_the_tenants_own(works: Works) -> None:
    coal = {"code": "煤", "nameZh": "煤", "material": "烟煤"}
    source = {"code": "BOILER.S", "nameZh": "锅炉", "category": "DIRECT", "directKind": "STATIONARY", "group": "BOILER"}
    pack = {
        "code": "HEATING",
        "nameZh": "供热企业",
        "groups": [{"code": "BOILER", "nameZh": "锅炉房", "production": ["一号锅炉"]}],
        "sources": [{**source, "materials": [coal]}],
    }
    await works.engineer.do("createSourcePack", pack, "pack { code }")
    listed = await works.engineer.ask("{ sourcePacks { nodes { code groups { production } } } }")
    assert [n["code"] for n in listed["sourcePacks"]["nodes"]] == ["CEMENT", "HEATING", "STEEL"]
    given = {"packCode": "HEATING", "organisationId": works.site_id}
    made = await works.engineer.do("createSourcesFromPack", given, "items { kind code state }")
    assert [i["kind"] for i in made["items"]] == ["UNIT", "UNIT", "DEVICE", "SOURCE", "STREAM"]
    taken = await works.engineer.attempt("createSourcePack", {**pack, "code": "STEEL"}, "pack { code }")
    assert taken["errors"][0]["code"] == "PACK_CODE_TAKEN"
    lost = {**pack, "code": "Z", "sources": [{**source, "group": "NOWHERE"}]}
    refused = await works.engineer.attempt("createSourcePack", lost, "pack { code }")
    assert refused["errors"][0]["code"] == "PACK_INCONSISTENT"


async def test_the_cement_pack(works: Works) -> None:
    given = {"packCode": "CEMENT", "organisationId": works.site_id}
    made = await works.engineer.do("createSourcesFromPack", given, "items { kind code state }")
    assert Counter(i["kind"] for i in made["items"])["SOURCE"] == len(house_packs()["CEMENT"].sources)
    other = await works.world.member((Role.MONITORING_STAFF, None))
    refused = await other.attempt("createSourcesFromPack", given, "items { kind }")
    assert refused["errors"][0]["code"] == "FORBIDDEN"
