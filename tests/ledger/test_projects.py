"""Projects step by step: guards, notices, documents, two bodies, claims that become lots, once; sinks."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.database import UnitOfWork
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.ledger.projects.domain import is_working_day, methodologies, regimes, working_days_later, years_later
from backend.ledger.projects.sinks import Round, hectares, removals, rounded
from tests.fixtures.ledger import ISSUED, Group, a_credit, on_day, used

PROJECT = (
    "project { id state version validator nextSteps { code earliest documents } events { step documents { kind } } }"
)
CLAIM = "claim { id number state version verified verifier lotId }"
SINK = """project { sink { estimateTPerYear stands { code areaMu areaHa } rounds { stockT }
  removals { measuredT deduction countedT } } }"""
TODAY = "2026-03-02"
PATHS = {
    "CCER_2023": (
        ("PUBLISH", "2025-01-06"), ("VALIDATE", "2025-02-12"), ("APPLY", "2025-02-20"), ("REGISTER", "2025-03-10"),
    ),
    "SINK_FILING": (
        ("DEVELOP", "2025-01-06"), ("VALIDATE", "2025-01-07"), ("FIRST_REVIEW", "2025-02-20"), ("FILE", "2025-03-10"),
    ),
}  # fmt: skip


def project(group: Group, **more: Any) -> dict[str, Any]:
    given = {"organisationId": group.steel, "code": "ZL01", "name": "皖南造林", "regime": "CCER_2023"}
    given |= {"methodology": "CCER-14-001-V01", "begunOn": "2015-03-01"}
    return given | {"creditingFrom": "2020-10-01", "creditingTo": "2045-10-01", **more}


def papers(regime: str, step: str, *, claim: bool = False) -> list[dict[str, str]]:
    """Everything the step needs."""
    found = regimes()[regime]
    steps = found.claim_step if claim else found.step
    kinds = next(s.documents for s in steps if s.code == step)
    return [{"kind": k, "reference": f"{k}-2025-1"} for k in kinds]


class Office:
    """The asset manager on a day on which the whole story has happened."""

    def __init__(self, group: Group) -> None:
        self.group, self.manager = group, on_day(group.manager, TODAY)

    async def create(self, **more: Any) -> str:
        made = await self.manager.do("createCarbonProject", project(self.group, **more), PROJECT)
        return str(made["project"]["id"])

    async def step(self, key: str, step: str, day: str, regime: str = "CCER_2023", **more: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"projectId": key, "step": step, "happenedOn": day, "body": "中环联合"}
        given |= {"documents": papers(regime, step)}
        return await self.manager.attempt("takeProjectStep", given | more, PROJECT)

    async def registered(self, regime: str = "CCER_2023", **more: Any) -> str:
        key = await self.create(regime=regime, **more)
        for step, day in PATHS[regime]:
            done = await self.step(key, step, day, regime)
            assert done["errors"] == [], (step, done)
        if methodologies()[str(more.get("methodology", "CCER-14-001-V01"))].sink:
            await self.measured(key, "2020-10-01", "0")
            await self.measured(key, "2025-03-01", "100000")
        return key

    async def measured(self, key: str, day: str, stock: str, **more: Any) -> None:
        given = {"projectId": key, "measuredOn": day, "stockT": stock, "uncertainty": "0.01", "evidence": "监测报告"}
        await self.manager.do("recordMonitoringRound", given | more, SINK)

    async def claim(self, key: str, **more: Any) -> dict[str, Any]:
        given = {"projectId": key, "periodFrom": "2022-01-01", "periodTo": "2024-01-01", "quantity": "900"}
        return await self.manager.attempt("claimReductions", given | more, CLAIM)

    async def go(self, key: str, step: str, day: str, regime: str = "CCER_2023", **more: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"claimId": key, "step": step, "happenedOn": day, "body": "赛宝认证"}
        given |= {"documents": papers(regime, step, claim=True)}
        return await self.manager.attempt("takeClaimStep", given | more, CLAIM)

    async def verified(self, key: str) -> str:
        claim = str((await self.claim(key))["claim"]["id"])
        await self.go(claim, "PUBLISH", "2025-04-01")
        assert (await self.go(claim, "VERIFY", "2025-05-06", verified="880"))["errors"] == []
        return claim


@pytest.fixture
def office(group: Group) -> Office:
    return Office(group)


def codes(done: dict[str, Any]) -> list[str]:
    return [e["code"] for e in done["errors"]]


async def test_from_draft_to_a_lot(office: Office) -> None:
    key = await office.registered()
    claim = await office.verified(key)
    applied = await office.go(claim, "APPLY", "2025-05-20")
    assert (applied["claim"]["verified"], applied["claim"]["verifier"]) == ("880", "赛宝认证")
    done = await office.go(claim, "REGISTER", "2025-06-10")
    document = (
        "query N($i: ID!) { node(id: $i) { ... on AssetLot { scheme quantity vintage origin issuedOn project } } }"
    )
    lot = (await office.group.manager.ask(document, i=done["claim"]["lotId"]))["node"]
    assert lot == {
        "scheme": "CCER", "quantity": "880", "vintage": 2023, "origin": "ISSUED_CREDIT", "issuedOn": "2025-06-10",
        "project": "ZL01 皖南造林",
    }  # fmt: skip
    assert await office.group.held(office.group.steel) == {"ZL01-1": "880"}
    assert codes(await office.go(claim, "REGISTER", "2025-06-11")) == ["WRONG_STEP"]
    listed = "{ carbonProjects { nodes { state events { claimNumber step } claims { number state } } } }"
    (shown,) = (await office.group.manager.ask(listed))["carbonProjects"]["nodes"]
    assert shown["state"] == "REGISTERED"
    assert [(e["claimNumber"], e["step"]) for e in shown["events"]] == [
        (0, "PUBLISH"), (0, "VALIDATE"), (0, "APPLY"), (0, "REGISTER"),
        (1, "PUBLISH"), (1, "VERIFY"), (1, "APPLY"), (1, "REGISTER"),
    ]  # fmt: skip


async def test_a_sink_by_filing(office: Office) -> None:
    key = await office.registered("SINK_FILING", methodology="AR-CM-001-V01", code="LY01")
    claim = str((await office.claim(key))["claim"]["id"])
    for step, day in (("MONITOR", "2025-04-01"), ("VERIFY", "2025-04-02"), ("APPLY", "2025-05-20")):
        assert codes(await office.go(claim, step, day, "SINK_FILING")) == []
    assert (await office.go(claim, "ISSUE", "2025-06-01", "SINK_FILING"))["claim"]["lotId"]
    assert await office.group.held(office.group.steel) == {"LY01-1": "900"}


async def test_steps_have_guards(office: Office) -> None:
    key = await office.create()
    assert codes(await office.step(key, "VALIDATE", "2025-02-12")) == ["WRONG_STEP"]
    assert codes(await office.step(key, "PUBLISH", "2025-01-06", documents=[])) == ["DOCUMENT_MISSING"]
    assert codes(await office.step(key, "PUBLISH", "2999-01-01")) == ["STEP_BEFORE_LAST"]
    done = await office.step(key, "PUBLISH", "2025-01-06")
    following = {s["code"]: s["earliest"] for s in done["project"]["nextSteps"]}
    assert following == {"VALIDATE": "2025-02-08", "REJECT": None, "CANCEL": None}
    assert codes(await office.step(key, "VALIDATE", "2025-02-07")) == ["NOTICE_RUNS"], (
        "20 working days, the feast apart"
    )
    assert codes(await office.step(key, "VALIDATE", "2025-01-05")) == ["STEP_BEFORE_LAST"]
    assert codes(await office.step(key, "VALIDATE", "2025-02-11", body=" ")) == ["BODY_MISSING"]
    assert codes(await office.step(key, "VALIDATE", "2025-02-11", expectedVersion=1)) == ["STALE_VERSION"]
    answers = await asyncio.gather(*(office.step(key, "VALIDATE", "2025-02-11") for _ in range(3)))
    assert sorted(len(a["errors"]) for a in answers) == [0, 1, 1]
    gone = await office.step(to_id("CarbonProject", uuid7()), "PUBLISH", "2025-01-06")
    assert codes(gone) == ["NOT_FOUND"]
    assert codes(await office.step(key, "CANCEL", "2025-03-01")) == []
    assert codes(await office.step(key, "PUBLISH", "2025-03-02")) == ["WRONG_STEP"], "for ever"


async def test_what_cannot_be_entered(office: Office) -> None:
    await office.create()
    for changes, code in (
        ({}, "PROJECT_CODE_TAKEN"),
        ({"regime": "VCS"}, "UNKNOWN_REGIME"),
        ({"methodology": "AR-CM-001-V01"}, "UNKNOWN_METHODOLOGY"),
        ({"begunOn": "2012-11-08"}, "BEGUN_TOO_EARLY"),
        ({"creditingTo": "2035-10-01"}, "BAD_CREDITING_PERIOD"),
        ({"creditingTo": "2061-10-01"}, "BAD_CREDITING_PERIOD"),
        ({"creditingFrom": "2014-01-01"}, "BAD_CREDITING_PERIOD"),
        ({"name": " "}, "MISSING_TEXT"),
        ({"organisationId": to_id("Organisation", uuid7())}, "NOT_FOUND"),
    ):
        refused = await office.manager.attempt("createCarbonProject", project(office.group, **changes), PROJECT)
        assert codes(refused) == [code], changes


@pytest.mark.parametrize("flag", ["inAllowanceScheme", "inOtherMechanism"])
async def test_counted_twice_is_never_registered(office: Office, flag: str) -> None:
    key = await office.create(**{flag: True})
    for step, day in PATHS["CCER_2023"][:3]:
        await office.step(key, step, day)
    assert codes(await office.step(key, "REGISTER", "2025-03-10")) == ["PROJECT_NOT_ELIGIBLE"]


async def test_claims_have_bounds(office: Office) -> None:
    draft = await office.create(code="DRAFT")
    assert codes(await office.claim(draft)) == ["PROJECT_NOT_REGISTERED"]
    key = await office.registered()
    assert codes(await office.claim(key, periodFrom="2020-09-30")) == ["CLAIM_OUTSIDE"]
    assert codes(await office.claim(key, periodTo="2045-10-02")) == ["CLAIM_OUTSIDE"]
    assert codes(await office.claim(key, periodTo="2022-01-01")) == ["CLAIM_OUTSIDE"]
    assert codes(await office.claim(key, quantity="0")) == ["BAD_QUANTITY"]
    early = await office.claim(key, periodFrom="2020-10-01", periodTo="2021-01-01")
    part = str(early["claim"]["id"])
    assert codes(await office.claim(key, periodFrom="2020-12-31")) == ["CLAIM_OVERLAPS"]
    assert codes(await office.claim(key)) == [], "the rest is claimed apart"
    await office.go(part, "PUBLISH", "2025-04-01")
    assert codes(await office.go(part, "VERIFY", "2025-04-20")) == ["NOTICE_RUNS"]
    for body in ("中环联合", " 中环联合 "):
        assert codes(await office.go(part, "VERIFY", "2025-05-06", body=body)) == ["SAME_BODY"]
    assert codes(await office.go(part, "VERIFY", "2025-05-06", verified="901")) == ["VERIFIED_MORE"]
    assert codes(await office.go(part, "VERIFY", "2025-05-06")) == []
    assert codes(await office.go(part, "APPLY", "2025-10-02")) == ["CLAIM_OUTSIDE"], "more than five years old"
    assert codes(await office.go(part, "WITHDRAW", "2025-10-03")) == []
    again = await office.claim(key, periodFrom="2020-10-01", periodTo="2021-01-01")
    assert codes(again) == [], "what was withdrawn can be claimed again"


async def test_a_sink_is_verified_for_what_was_measured(office: Office) -> None:
    """Evenly over the days between two rounds, less the share of the methodology for reversals."""
    key = await office.registered(code="CJ01")
    claim = str(
        (await office.claim(key, periodFrom="2021-01-01", periodTo="2022-01-01", quantity="99999"))["claim"]["id"]
    )
    await office.go(claim, "PUBLISH", "2025-04-01")
    refused = await office.go(claim, "VERIFY", "2025-05-06", verified="99999")
    assert codes(refused) == ["MEASURED_LESS"]
    counted = 100000 * (1 - methodologies()["CCER-14-001-V01"].risk) * 365 / (date(2025, 3, 1) - date(2020, 10, 1)).days
    assert f"count {int(counted)} t" in refused["errors"][0]["message"]
    assert codes(await office.go(claim, "VERIFY", "2025-05-06", verified=str(int(counted)))) == []


async def test_lots_of_a_known_project_come_from_its_claims(office: Office) -> None:
    """Neither by its code, nor by its name; and what it was entered with is known wherever its units are used."""
    await office.create(code="P1", name="海上风电", methodology="CCER-01-002-V01", inAllowanceScheme=True,
                        creditingTo="2030-10-01")  # fmt: skip
    for project in ("P1", "海上风电", "P1 海上风电"):
        lot = a_credit(office.group.steel, project=project)
        (row,) = (await office.group.manager.do("issueLots", {"lots": [lot]}, ISSUED))["results"]
        assert row["error"]["code"] == "LOTS_COME_FROM_CLAIMS"
    assert await office.group.held(office.group.steel) == {}


async def test_units_of_a_project_inside_a_scheme_do_not_offset(office: Office) -> None:
    group = office.group
    await group.issue(a_credit(group.steel, project="PX"))
    await group.owe(group.steel, "1000")
    await office.create(code="PX", inAllowanceScheme=True)
    done = await group.manager.attempt(
        "surrenderAssets",
        {"legs": [used(group.steel, 5, "ZL-1", "CCER")], "beneficiaryId": group.steel, "forYear": 2024},
        "errors { code }",
    )
    assert codes(done) == ["OFFSET_INSIDE_SCHEME"]


async def test_the_database_holds_the_same(office: Office) -> None:
    key = await office.registered()
    await office.verified(key)

    async def run(statement: str, **values: Any) -> None:
        async def work(unit: UnitOfWork) -> None:
            await unit.execute(statement, values)

        await office.group.world.owner.write(office.group.world.tenant_id, work)

    for statement, said in (
        ("UPDATE project_claim SET verifier = validator, version = version + 1", "the_verifier_did_not_validate"),
        ("UPDATE project_claim SET state = 'REGISTERED', version = version + 1", "registered_as_a_lot"),
        ("UPDATE project_claim SET quantity_t = 5, version = version + 1", "goes its way"),
        ("UPDATE project_claim SET verified_t = 901, version = version + 1", "verified_t"),
        ("UPDATE carbon_project SET name = 'x', version = version + 1", "state and validator change"),
        ("UPDATE carbon_project SET validator = 'x', version = version + 1", "state and validator change"),
        ("UPDATE project_event SET note = 'x'", "append-only|refuse|TH003"),
        ("DELETE FROM project_claim", "goes its way"),
    ):
        with pytest.raises(Exception, match=said):
            await run(statement)


async def test_stands_and_measurements(office: Office) -> None:
    key = await office.create()
    stand = {"projectId": key, "code": "1", "species": "杉木", "areaMu": "100", "effectiveAreaMu": "90.5"}
    stand |= {"plantedOn": "2016-03-12", "expectedTPerMuYear": "0.8"}
    shown = (await office.manager.do("recordSinkStand", stand, SINK))["project"]["sink"]
    assert shown["stands"] == [{"code": "1", "areaMu": "100.000000", "areaHa": "6.6667"}]
    assert Decimal(shown["estimateTPerYear"]) == Decimal("72.4")
    for changes, code in (
        ({}, "SINK_RECORDED"),
        ({"code": "2", "effectiveAreaMu": "100.1"}, "BAD_STAND"),
        ({"code": "2", "areaMu": "0"}, "BAD_STAND"),
        ({"code": "2", "areaMu": "0.1234567"}, "BAD_STAND"),
        ({"code": "2", "species": ""}, "MISSING_TEXT"),
        ({"code": "2", "projectId": to_id("CarbonProject", uuid7())}, "NOT_FOUND"),
    ):
        refused = await office.manager.attempt("recordSinkStand", stand | changes, SINK)
        assert codes(refused) == [code], changes
    replaced = stand | {"areaMu": "95", "replacesBecause": "复测"}
    assert (await office.manager.do("recordSinkStand", replaced, SINK))["project"]["sink"]["stands"][0][
        "areaMu"
    ] == "95.000000"
    measured: dict[str, Any] = {"projectId": key, "uncertainty": "0.08", "evidence": "监测报告"}
    for day, stock, uncertainty in (("2021-01-01", "1000", "0.08"), ("2023-01-01", "1200", "0.15"),
                                    ("2024-01-01", "1300", "0.31"), ("2025-01-01", "1250", "0.05")):  # fmt: skip
        row = measured | {"measuredOn": day, "stockT": stock, "uncertainty": uncertainty}
        shown = (await office.manager.do("recordMonitoringRound", row, SINK))["project"]["sink"]
    found = [(r["measuredT"], r["deduction"], r["countedT"]) for r in shown["removals"]]
    assert [(Decimal(m), d and Decimal(d), c and Decimal(c)) for m, d, c in found] == [
        (Decimal(200), Decimal("0.06"), Decimal("169.2")),
        (Decimal(100), None, None),
        (Decimal(-50), None, Decimal(-50)),
    ]
    for changes, code in (
        ({"measuredOn": "2021-01-01"}, "SINK_RECORDED"),
        ({"measuredOn": "2014-01-01"}, "STEP_BEFORE_LAST"),
        ({"uncertainty": "1"}, "BAD_STAND"),
        ({"stockT": "-1"}, "BAD_STAND"),
        ({"evidence": " "}, "MISSING_TEXT"),
    ):
        row = measured | {"measuredOn": "2022-05-05", "stockT": "1", **changes}
        assert codes(await office.manager.attempt("recordMonitoringRound", row, SINK)) == [code], changes


async def test_regimes_and_methodologies_can_be_read(group: Group) -> None:
    found = await group.manager.ask("""{ projectRegimes { code steps { code workingDays } claimSteps { code } }
      methodologies { code regime sink mostYears } }""")
    assert [r["code"] for r in found["projectRegimes"]] == ["CCER_2023", "SINK_FILING"]
    waits = {s["code"]: s["workingDays"] for s in found["projectRegimes"][0]["steps"]}
    assert waits["VALIDATE"] == 20
    listed = {m["code"] for m in found["methodologies"] if m["sink"]}
    assert {"CCER-14-001-V01", "AR-CM-003-V01"} <= listed


def test_life_cycles_are_whole() -> None:
    """Every state but the last is left by some step, and every state is reached."""
    for regime in regimes().values():
        for steps, start in ((regime.step, "DRAFT"), (regime.claim_step, "ACCOUNTED")):
            left = {s for step in steps for s in step.starts}
            reached = {step.to for step in steps} | {start}
            assert left <= reached
            assert reached - left <= {"CANCELLED", "REGISTERED", "WITHDRAWN"}
            for step in steps:
                assert step.wait is None or step.wait.after in {s.code for s in steps}


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 60))
def test_working_days(day: date, count: int) -> None:
    found = working_days_later(day, count)
    between = [day + timedelta(days=n) for n in range(1, (found - day).days + 1)]
    assert is_working_day(found)
    assert sum(map(is_working_day, between)) == count


def test_the_working_calendar() -> None:
    assert not is_working_day(date(2025, 10, 8))
    assert is_working_day(date(2025, 9, 28)), "a Sunday that is worked"
    assert not is_working_day(date(2030, 1, 5))
    assert years_later(date(2024, 2, 29), -5) == date(2019, 2, 28)


@given(st.decimals(0, 10**9, places=6))
def test_a_mu_is_a_fifteenth_of_a_hectare(mu: Decimal) -> None:
    assert hectares(mu) * 15 == Fraction(mu)
    assert abs(Fraction(rounded(hectares(mu), 4)) - hectares(mu)) <= Fraction(1, 20_000)


@given(st.decimals(0, 10**6, places=3), st.decimals(0, 10**6, places=3), st.decimals(0, "0.3", places=3))
def test_nothing_counts_beyond_what_was_measured(first: Decimal, last: Decimal, uncertainty: Decimal) -> None:
    by = methodologies()["CCER-14-001-V01"]
    rounds = [Round(UUID(int=1), date(2020, 1, 1), first, uncertainty, "x"),
              Round(UUID(int=1), date(2021, 1, 1), last, Decimal(0), "x")]  # fmt: skip
    (removal,) = removals(rounds, by)
    assert removal.counted_t is not None
    assert removal.counted_t <= removal.measured_t
