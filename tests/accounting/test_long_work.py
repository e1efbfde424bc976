"""Restatements of many stream-months: a job does them, all or nothing, as a request would have done them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from backend.accounting.service import long_work
from backend.accounting.service.adoption import AdoptionService
from backend.accounting.service.results import ResultService
from backend.kit.database import UnitOfWork
from backend.kit.graphql.nodes import key_of
from tenants.access import Role
from tests.accounting.test_choices import COAL, boiler
from tests.accounting.test_rederivation import breaker, by_month, weigh_by
from tests.fixtures.accounting import Works
from tests.fixtures.factors import WHOLE_COAL, OwnSets, adopt, report, tonnes
from tests.fixtures.jobs import until, working

JOB = "job { id name state }"
STATE = """query J($id: ID!) { node(id: $id) { ... on Job { state errorCode attempts
  progress { done total note } } } }"""
ADOPTIONS = "{ factorAdoptions { nodes { reason factorSet changedMonths beforeT afterT } } }"

pytestmark = pytest.mark.usefixtures("empty_queue")


@pytest.fixture
def own(works: Works) -> OwnSets:
    return OwnSets(works.world, works.group_id)


@pytest.fixture
def few_at_once(works: Works) -> None:
    """Requests restate one stream-month themselves."""
    services = works.world.services
    services.toolbox = replace(services.toolbox, at_once=1)
    services._made.clear()


async def three_months(works: Works) -> str:
    coal = await works.fuel("烟煤")
    for month in ("2024-01", "2024-02", "2024-03"):
        await works.burn(coal, month, "1000", "t")
    return coal


async def asked(works: Works, **fields: Any) -> dict[str, Any]:
    top = await works.world.caller(Role.TOP_MANAGEMENT)
    given = {"organisationId": works.group_id, "factorSet": "OWN-HD", "fromMonth": "2024-01", "reason": "采用化验值"}
    return await top.attempt("adoptFactorSet", {**given, **fields}, f"adoption {{ id }} {JOB}")


def job_of(payload: dict[str, Any]) -> UUID:
    return key_of(payload["job"]["id"], "Job", "id")


@pytest.mark.usefixtures("few_at_once")
async def test_many_months_are_adopted_by_a_job(works: Works, own: OwnSets, database_url: str) -> None:
    """What the job does is what the report foretold, and nothing has happened before it ends."""
    coal = await three_months(works)
    before = await tonnes(works, coal)
    await own.approved(*WHOLE_COAL)
    foretold = await report(works, "OWN-HD", "2024-01")
    made = await asked(works, idempotencyKey="once")
    assert (made["errors"], made["adoption"]) == ([], None)
    assert (made["job"]["name"], made["job"]["state"]) == ("accounting.adopt_factor_set", "QUEUED")
    again = await asked(works, idempotencyKey="once")
    twice = await asked(works)
    assert again["job"]["id"] == twice["job"]["id"] == made["job"]["id"]
    assert await tonnes(works, coal) == before
    async with working(database_url):
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    assert (row.state, row.error_en, row.result["changed_months"]) == ("SUCCEEDED", "", 3)
    assert (row.progress_note, row.progress_done + 1) == ("recalculating", row.progress_total)
    assert set((await tonnes(works, coal)).values()) == {Decimal("1796.666666667")}
    (adoption,) = (await works.engineer.ask(ADOPTIONS))["factorAdoptions"]["nodes"]
    assert (adoption["factorSet"], adoption["changedMonths"]) == ("OWN-HD@1", 3)
    assert [adoption[t] for t in ("beforeT", "afterT")] == [foretold[t] for t in ("beforeT", "afterT")]
    after = await tonnes(works, coal)
    await works.world.services.get(ResultService).rebuild(works.world.tenant_id)
    assert await tonnes(works, coal) == after


@pytest.mark.usefixtures("few_at_once")
async def test_what_is_known_to_be_wrong_is_refused_at_once(works: Works, own: OwnSets, database_url: str) -> None:
    await three_months(works)
    await own.approved(*WHOLE_COAL)
    for wrong, code in (({"factorSet": "OWN-NO"}, "UNKNOWN_FACTOR_SET"), ({"reason": " "}, "REASON_MISSING")):
        assert [e["code"] for e in (await asked(works, **wrong))["errors"]] == [code]
    # Small enough: one month is still adopted in the request.
    assert (await asked(works, fromMonth="2024-03"))["adoption"] is not None
    made = await asked(works, factorSet=None, fromMonth="2024-01", toMonth="2024-02")
    async with working(database_url):
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    # Nothing of January and February had been adopted that could be given up: the job says so, once.
    assert (row.state, row.error_code, row.attempts) == ("FAILED", "INVALID_INPUT", 1)


@pytest.mark.usefixtures("few_at_once")
async def test_an_attempt_that_is_broken_off_leaves_nothing(
    works: Works, own: OwnSets, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt has written everything when it ends in trouble; the second one does it once."""
    coal = await three_months(works)
    before = await tonnes(works, coal)
    await own.approved(*WHOLE_COAL)
    carry_out = AdoptionService.carry_out
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def breaking(self: AdoptionService, unit: UnitOfWork, *given: Any) -> dict[str, Any]:
        done = await carry_out(self, unit, *given)
        if not reached.is_set():
            reached.set()
            await go_on.wait()
            raise ConnectionResetError
        return done

    monkeypatch.setattr(AdoptionService, "carry_out", breaking)
    made = await asked(works)
    async with working(database_url):
        async with asyncio.timeout(20):
            await reached.wait()
        shown = (await works.world.caller(Role.TENANT_ADMINISTRATOR)).ask
        state = (await shown(STATE, id=made["job"]["id"]))["node"]
        assert (state["state"], state["progress"]["note"]) == ("RUNNING", "recalculating")
        assert await tonnes(works, coal) == before
        go_on.set()
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    assert (row.state, row.attempts) == ("SUCCEEDED", 2)
    assert set((await tonnes(works, coal)).values()) == {Decimal("1796.666666667")}
    assert len((await works.engineer.ask(ADOPTIONS))["factorAdoptions"]["nodes"]) == 1


@pytest.mark.usefixtures("few_at_once")
async def test_coefficients_are_derived_anew_by_a_job(works: Works, database_url: str) -> None:
    source = await breaker(works)
    await weigh_by(works, "AR6")
    given = {"organisationId": works.group_id, "firstMonth": "2024-01", "reason": "GWP 更换为 AR6"}
    rehearsed = await works.engineer.do("deriveCoefficientsAnew", {**given, "dryRun": True}, "result { changedMonths }")
    assert rehearsed["result"]["changedMonths"] == 4
    made = await works.engineer.do("deriveCoefficientsAnew", given, f"result {{ made }} {JOB}")
    assert made["result"] is None
    assert set((await by_month(works, source)).values()) == {Decimal(23500)}
    async with working(database_url):
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    assert (row.state, row.result) == ("SUCCEEDED", {"superseded": 1, "made": 1, "changed_months": 4})
    assert set((await by_month(works, source)).values()) == {Decimal(25200)}


@pytest.mark.usefixtures("few_at_once")
async def test_a_method_is_chosen_by_a_job(works: Works, database_url: str) -> None:
    """The choice counts with its months; what is wrong with it whatever the results say is refused at once."""
    source = await boiler(works)
    given = {"sourceId": source, "method": "FACTOR"}
    refused = await works.engineer.attempt("chooseSourceMethod", given, JOB)
    assert [e["code"] for e in refused["errors"]] == ["DEVIATION_NEEDS_REASON"]
    made = await works.engineer.do("chooseSourceMethod", {**given, "reason": "试运行"}, f"changes {{ newT }} {JOB}")
    assert (made["changes"], sum((await by_month(works, source)).values())) == (None, Decimal(516))
    async with working(database_url):
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    assert (row.state, row.result["changed_months"]) == ("SUCCEEDED", 5)
    assert set((await by_month(works, source)).values()) == {COAL}


@pytest.mark.usefixtures("few_at_once")
async def test_who_may_no_longer_do_it_does_not(works: Works, own: OwnSets, database_url: str) -> None:
    """The rights are those at the time of the deed."""
    coal = await three_months(works)
    before = await tonnes(works, coal)
    await own.approved(*WHOLE_COAL)
    made = await asked(works)

    async def revoked(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE role_assignment SET revoked_at = now() WHERE role = 'TOP_MANAGEMENT'")

    await works.world.owner.write(works.world.tenant_id, revoked)
    async with working(database_url):
        row = await until(works.world, job_of(made), "SUCCEEDED", "FAILED")
    # Without a role, the organisation is not even there.
    assert (row.state, row.error_code) == ("FAILED", "NOT_FOUND")
    assert await tonnes(works, coal) == before


async def test_a_rehearsal_that_would_take_too_long_is_refused(
    works: Works, own: OwnSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_months(works)
    await own.approved(*WHOLE_COAL)
    monkeypatch.setattr(long_work, "MOST_REHEARSED", 2)
    assert [e["code"] for e in (await asked(works, dryRun=True))["errors"]] == ["REHEARSAL_TOO_LARGE"]
    assert (await adopt(works, "OWN-HD", "2024-01"))["errors"] == []
