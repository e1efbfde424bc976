"""Boundary settings: typed, inherited with their source, explained, kept."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.kit.errors import CodedError
from tenants.access import Role
from tenants.commands import Actor
from tenants.domain.boundaries import (
    DEFAULTS,
    AllowancePolicy,
    BoundaryKey,
    BoundaryOrigin,
    BoundaryValue,
    ConsolidationApproach,
)
from tenants.service import BoundaryReader, BoundaryService
from tenants.service.boundaries import SetBoundary
from tests.fixtures.organisations import administrator, plant, row, uuid_of
from tests.fixtures.world import Caller, World

BOUNDARY = """
  asOf consolidationApproach categories gases gwpSet baseYear factorSet materiality allowancePolicy evidenceDocuments
  entries { key origin organisation { code } setting { id reason }
            value { consolidationApproach categories baseYear allowancePolicy materiality } }
"""
SET = "setting { id value { consolidationApproach baseYear } validFrom validUntil } superseded { id }"


async def boundary(caller: Caller, key: str, day: str | None = None, known: str | None = None) -> dict[str, Any]:
    document = (
        "query Q($id: ID!, $d: Date, $k: DateTime) { node(id: $id) { ... on Organisation {"
        f" boundary(asOf: $d, knownAt: $k) {{ {BOUNDARY} }} }} }} }}"
    )
    return dict((await caller.ask(document, id=key, d=day, k=known))["node"]["boundary"])


def entry(shown: dict[str, Any], key: str) -> dict[str, Any]:
    return next(dict(e) for e in shown["entries"] if e["key"] == key)


def setting(key: str, since: str, reason: str = "", **value: Any) -> dict[str, Any]:
    return {"organisationId": key, "value": value, "validFrom": since, "reason": reason}


async def test_defaults(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    shown = await boundary(admin, ids["BF"])
    assert shown["consolidationApproach"] == "OPERATIONAL_CONTROL"
    assert shown["allowancePolicy"] == "BOUGHT_ONLY"
    assert (len(shown["categories"]), len(shown["gases"]), shown["gwpSet"]) == (6, 7, "AR5")
    assert (shown["baseYear"], shown["factorSet"], shown["materiality"]) == (None, None, "0.05")
    assert {e["origin"] for e in shown["entries"]} == {"DEFAULT"}
    assert shown["evidenceDocuments"] == []
    assert len(shown["entries"]) == 9


async def test_inheritance_names_its_source(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    await admin.do("setBoundary", setting(ids["HD"], "2020-01-01", consolidationApproach="EQUITY_SHARE"), SET)
    given = setting(ids["STEEL"], "2022-01-01", "合资企业按财务控制", consolidationApproach="FINANCIAL_CONTROL")
    await admin.do("setBoundary", given, SET)
    for code, day, value, origin, source in (
        ("BF", "2021-12-31", "EQUITY_SHARE", "INHERITED", "HD"),
        ("BF", "2022-01-01", "FINANCIAL_CONTROL", "INHERITED", "STEEL"),
        ("STEEL", "2022-01-01", "FINANCIAL_CONTROL", "OWN", "STEEL"),
        ("KILN", "2022-01-01", "EQUITY_SHARE", "INHERITED", "HD"),
        ("HD", "2022-01-01", "EQUITY_SHARE", "OWN", "HD"),
    ):
        shown = await boundary(admin, ids[code], day)
        found = entry(shown, "CONSOLIDATION_APPROACH")
        assert shown["consolidationApproach"] == found["value"]["consolidationApproach"] == value
        assert (found["origin"], found["organisation"]["code"]) == (origin, source)


@pytest.mark.parametrize(
    ("code", "value", "source"),
    [
        ("HD", {"baseYear": 2020}, "8.2.2.7"),
        ("BF", {"consolidationApproach": "FINANCIAL_CONTROL"}, "8.2.2.8"),
        ("HD", {"consolidationApproach": "FINANCIAL_CONTROL"}, "8.2.2.8"),
    ],
)
async def test_what_needs_a_reason(world: World, code: str, value: dict[str, Any], source: str) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    await admin.do("setBoundary", setting(ids["HD"], "2020-01-01", consolidationApproach="EQUITY_SHARE"), SET)
    for reason in ("", "　"):
        refused = await admin.attempt("setBoundary", setting(ids[code], "2023-01-01", reason, **value))
        assert refused["errors"][0]["code"] == "REASON_NEEDED"
        assert source in refused["errors"][0]["message"]
    await admin.do("setBoundary", setting(ids[code], "2023-01-01", "有理由", **value), SET)


@pytest.mark.parametrize(
    "value",
    [{"baseYear": 1800}, {"materiality": "1.5"}, {"categories": []}, {"factorSet": " "}],
)
async def test_values_out_of_range(world: World, value: dict[str, Any]) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    refused = await admin.attempt("setBoundary", setting(ids["HD"], "2020-01-01", "x", **value))
    assert [e["code"] for e in refused["errors"]] == ["INVALID_INPUT"]


async def test_exactly_one_value(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    document = "mutation M($input: SetBoundaryInput!) { setBoundary(input: $input) { errors { code } } }"
    for value in ({}, {"baseYear": 2020, "gwpSet": "AR4"}, {"baseYear": None}):
        answer = await admin.run(document, input={**setting(ids["HD"], "2020-01-01"), "value": value})
        assert answer.errors


async def test_history_stays_and_the_past_can_be_asked(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    keyed = {**setting(ids["HD"], "2020-01-01", "首次", baseYear=2020), "idempotencyKey": "b"}
    first = await admin.do("setBoundary", keyed, SET)
    assert await admin.do("setBoundary", keyed, SET) == {**first, "replayed": True}
    then = (await admin.ask("{ auditEvents(first: 1) { nodes { recordedAt } } }"))["auditEvents"]["nodes"][0]
    second = await admin.do("setBoundary", setting(ids["HD"], "2022-01-01", "并购后重算", baseYear=2021), SET)
    assert [x["id"] for x in second["superseded"]] == [first["setting"]["id"]]
    assert (await boundary(admin, ids["BF"], "2021-06-01"))["baseYear"] == 2020
    assert (await boundary(admin, ids["BF"], "2023-06-01"))["baseYear"] == 2021
    assert (await boundary(admin, ids["BF"], "2023-06-01", then["recordedAt"]))["baseYear"] == 2020
    listed = await admin.ask(
        "query Q($id: ID!) { boundarySettings(organisationId: $id) { nodes {"
        " validFrom validUntil supersededAt value { baseYear } organisation { code } } } }",
        id=ids["HD"],
    )
    shown = [
        (n["value"]["baseYear"], n["validFrom"], n["validUntil"], n["supersededAt"] is None)
        for n in listed["boundarySettings"]["nodes"]
    ]
    assert shown == [
        (2021, "2022-01-01", None, True),
        (2020, "2020-01-01", "2022-01-01", True),
        (2020, "2020-01-01", None, False),
    ]


async def test_taking_a_value_away(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    await admin.do("setBoundary", setting(ids["STEEL"], "2020-01-01", allowancePolicy="ALL"), SET)
    gone = {"organisationId": ids["STEEL"], "key": "ALLOWANCE_POLICY", "validFrom": "2024-01-01", "reason": "回归集团"}
    await admin.do("removeBoundary", gone, "superseded { id }")
    assert (await boundary(admin, ids["BF"], "2023-12-31"))["allowancePolicy"] == "ALL"
    assert (await boundary(admin, ids["BF"], "2024-01-01"))["allowancePolicy"] == "BOUGHT_ONLY"
    again = await admin.attempt("removeBoundary", gone)
    assert again["errors"][0]["code"] == "INVALID_INPUT"


async def test_who_sees_less_sees_no_source(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    await admin.do("setBoundary", setting(ids["HD"], "2020-01-01", consolidationApproach="EQUITY_SHARE"), SET)
    engineer = await world.member((Role.ACCOUNTING_ENGINEER, uuid_of(ids["BF"])))
    found = entry(await boundary(engineer, ids["BF"]), "CONSOLIDATION_APPROACH")
    assert (found["origin"], found["organisation"], found["setting"]) == ("INHERITED", None, None)
    refused = await engineer.attempt("setBoundary", setting(ids["BF"], "2020-01-01", "x", gwpSet="AR4"))
    assert refused["errors"][0]["code"] == "FORBIDDEN"


# A chain GROUP > SUBSIDIARY > SUBSIDIARY > SITE on which random settings are laid, against days kept in lists.
DAYS = 8
EPOCH = date(2020, 1, 1)
VALUES: dict[BoundaryKey, list[BoundaryValue]] = {
    BoundaryKey.CONSOLIDATION_APPROACH: list(ConsolidationApproach),
    BoundaryKey.ALLOWANCE_POLICY: list(AllowancePolicy),
}
CHANGE = st.tuples(
    st.integers(0, 3),
    st.sampled_from(list(VALUES)),
    st.one_of(st.none(), st.integers(0, 5)),
    st.integers(0, DAYS - 1),
    st.one_of(st.none(), st.integers(1, DAYS)),
)


@given(changes=st.lists(CHANGE, min_size=1, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
async def test_effective_values_equal_a_naive_model(
    world: World, changes: list[tuple[int, BoundaryKey, int | None, int, int | None]]
) -> None:
    fresh = await World.create(world.owner, world.services)
    admin = await administrator(fresh)
    chain = [row("GROUP", "A"), row("SUBSIDIARY", "B", "A"), row("SUBSIDIARY", "C", "B"), row("SITE", "D", "C")]
    made = await plant(admin, chain)
    ids = [uuid_of(made[code]) for code in "ABCD"]
    model: dict[tuple[int, BoundaryKey], list[BoundaryValue | None]] = {
        (node, key): [None] * DAYS for node in range(4) for key in VALUES
    }
    assert admin.principal is not None
    for node, key, number, since, until in changes:
        value = None if number is None else VALUES[key][number % len(VALUES[key])]
        span = range(since, DAYS if until is None else until)
        end = None if until is None else EPOCH + timedelta(days=until)
        given = SetBoundary(ids[node], key, value, EPOCH + timedelta(days=since), end, "变更")
        held = [model[node, key][d] for d in span]
        try:
            await fresh.services.get(BoundaryService).set(Actor(admin.principal), given, "setBoundary")
        except CodedError:
            assert not span or (value is None and not any(held))
            continue
        for d in span:
            model[node, key][d] = value
    await _compare(fresh, ids, model)


async def _compare(
    world: World, ids: list[UUID], model: dict[tuple[int, BoundaryKey], list[BoundaryValue | None]]
) -> None:
    async with world.owner.read(world.tenant_id) as session:
        for d in range(DAYS):
            found = await BoundaryReader.effective(session, ids, EPOCH + timedelta(days=d))
            for node, key in model:
                up = [n for n in range(node, -1, -1) if model[n, key][d] is not None]
                shown = found[ids[node]].entries[key]
                assert shown.value == (model[up[0], key][d] if up else DEFAULTS[key])
                assert (shown.setting and shown.setting.organisation_id) == (ids[up[0]] if up else None)
                own = BoundaryOrigin.OWN if up and up[0] == node else BoundaryOrigin.INHERITED
                assert shown.origin == (own if up else BoundaryOrigin.DEFAULT)
