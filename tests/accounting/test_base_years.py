"""Base years: a frozen value, what changed since told apart by its cause, accepted or declined by another."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.accounting.domain.base_years import BaseLine, Comparison, Part, RecalculationTrigger, total
from tenants.access import Role
from tests.fixtures.consolidation import YEAR, Holding
from tests.fixtures.explain import fill
from tests.fixtures.world import Caller, World

BASE = """baseYear { id year threshold triggers approach values { version co2eT recalculationId } }"""
PROPOSED = "recalculations { id trigger effectT baseT aboveThreshold state version about { code } }"
DECIDED = "recalculation { id state reason decidedAt }"


@pytest.fixture
async def holding(world: World, database_url: str) -> Holding:
    made = await Holding.create(world, database_url)
    await fill(made)
    return made


class Office:
    """Those who set a base year, and those who decide."""

    def __init__(self, holding: Holding, maker: Caller, lead: Caller) -> None:
        self.holding, self.maker, self.lead = holding, maker, lead
        self.key = ""

    @classmethod
    async def create(cls, holding: Holding, **policy: Any) -> Office:
        world = holding.world
        admin = await world.caller(Role.TENANT_ADMINISTRATOR)
        given = {"organisationId": holding.ids["HD"], "value": {"baseYear": YEAR}, "validFrom": f"{YEAR}-01-01"}
        await admin.do("setBoundary", {**given, "reason": "首个完整年份"}, "setting { id }")
        made = cls(
            holding, await world.caller(Role.ACCOUNTING_ENGINEER), await world.member((Role.TOP_MANAGEMENT, None))
        )
        asked = {"organisationId": holding.ids["HD"], "reason": "重算政策", **policy}
        made.key = (await made.maker.do("setBaseYear", asked, BASE))["baseYear"]["id"]
        return made

    async def value(self) -> Decimal:
        query = f"query Q($id: ID!) {{ baseYear(organisationId: $id) {{ {BASE[10:-1]} }} }}"
        found = (await self.maker.ask(query, id=self.holding.ids["HD"]))["baseYear"]
        return Decimal(found["values"][-1]["co2eT"])

    async def propose(self) -> dict[tuple[str, str], dict[str, Any]]:
        done = await self.maker.do("proposeBaseYearRecalculations", {"id": self.key}, PROPOSED)
        return {(r["trigger"], r["about"]["code"]): r for r in done["recalculations"]}


async def test_errors_are_proposed_with_their_effect_and_decided_by_another(holding: Holding) -> None:
    office = await Office.create(holding)
    before = await office.value()
    assert await office.propose() == {}
    monitor = await holding.world.caller(Role.MONITORING_STAFF)
    row = {"sourceId": holding.sources["C1", "A"], "month": f"{YEAR}-03", "quantity": "10", "unit": "t"}
    await monitor.do("recordActivity", {"rows": [row]}, "outcomes { error { code } }")
    proposed = await office.propose()
    (found,) = proposed.values()
    assert set(proposed) == {("ERROR", "C1")}
    assert abs(Decimal(found["effectT"]) - Decimal("22.55712782")) < Decimal("1e-6")
    assert (found["baseT"], found["aboveThreshold"]) == (f"{before:f}", False)
    assert await office.propose() == proposed
    accept = {"id": found["id"], "reason": "补录"}
    done = await office.lead.do("acceptBaseYearRecalculation", accept, DECIDED)
    assert done["recalculation"]["state"] == "ACCEPTED"
    assert await office.value() == before + Decimal(found["effectT"])
    assert await office.propose() == {}
    again = await office.lead.attempt("declineBaseYearRecalculation", accept)
    assert [e["code"] for e in again["errors"]] == ["RECALCULATION_ENDED"]


async def test_who_proposes_does_not_decide(holding: Holding) -> None:
    office = await Office.create(holding)
    both = await holding.world.member((Role.ACCOUNTING_ENGINEER, None), (Role.TOP_MANAGEMENT, None))
    await holding.emit("CEMENT", "7")
    done = await both.do("proposeBaseYearRecalculations", {"id": office.key}, PROPOSED)
    (found,) = done["recalculations"]
    mine = await both.attempt("acceptBaseYearRecalculation", {"id": found["id"], "reason": "x"})
    assert [e["code"] for e in mine["errors"]] == ["PROPOSER_DECIDES"]
    mute = await office.lead.attempt("acceptBaseYearRecalculation", {"id": found["id"], "reason": " "})
    assert [e["code"] for e in mute["errors"]] == ["REASON_MISSING"]
    no = await office.maker.attempt("acceptBaseYearRecalculation", {"id": found["id"], "reason": "x"})
    assert [e["code"] for e in no["errors"]] == ["FORBIDDEN"]


async def test_what_was_declined_stays_declined_until_it_changes(holding: Holding) -> None:
    office = await Office.create(holding)
    before = await office.value()
    await holding.emit("CEMENT", "7")
    found = (await office.propose())["ERROR", "CEMENT"]
    await office.lead.do("declineBaseYearRecalculation", {"id": found["id"], "reason": "低于阈值"}, DECIDED)
    assert (await office.propose(), await office.value()) == ({}, before)
    await holding.emit("CEMENT", "3", category="TRANSPORT")
    assert Decimal((await office.propose())["ERROR", "CEMENT"]["effectT"]) == 10
    await holding.emit("POWER", "4", category="TRANSPORT")
    await office.propose()
    query = "query Q($id: ID!) { baseYear(organisationId: $id) { pendingT } }"
    shown = (await office.maker.ask(query, id=holding.ids["HD"]))["baseYear"]
    assert Decimal(shown["pendingT"]) == 10  # power is not controlled: what it adds counts for nothing


async def test_a_stale_proposal_is_not_accepted(holding: Holding) -> None:
    office = await Office.create(holding)
    await holding.emit("CEMENT", "7")
    found = (await office.propose())["ERROR", "CEMENT"]
    await holding.emit("CEMENT", "3", category="TRANSPORT")
    stale = await office.lead.attempt("acceptBaseYearRecalculation", {"id": found["id"], "reason": "x"})
    assert [e["code"] for e in stale["errors"]] == ["RECALCULATION_STALE"]
    replaced = (await office.propose())["ERROR", "CEMENT"]
    assert replaced["id"] != found["id"]


async def test_disposals_and_acquisitions(holding: Holding) -> None:
    office = await Office.create(holding)
    before = await office.value()
    admin = await holding.world.caller(Role.TENANT_ADMINISTRATOR)
    sold = {"organisationId": holding.ids["CEMENT"], "disposedOn": f"{YEAR + 1}-07-01", "reason": "出售"}
    await admin.do("recordDisposal", sold, "organisations { id }")
    found = (await office.propose())["DISPOSAL", "CEMENT"]
    assert (found["aboveThreshold"], Decimal(found["effectT"]) < 0) == (True, True)
    await office.lead.do("acceptBaseYearRecalculation", {"id": found["id"], "reason": "出售水泥"}, DECIDED)
    assert await office.value() == before + Decimal(found["effectT"])
    bought = {"kind": "SUBSIDIARY", "code": "NEW", "nameZh": "新购", "parentCode": "HD"}
    await holding.add({**bought, "enteredOn": f"{YEAR + 1}-01-01", "enteredBecause": "ACQUIRED"})
    await holding.emit("NEW", "500")
    found = (await office.propose())["ACQUISITION", "NEW"]
    assert Decimal(found["effectT"]) == 500
    await office.lead.do("acceptBaseYearRecalculation", {"id": found["id"], "reason": "收购"}, DECIDED)
    assert await office.propose() == {}


async def test_a_year_must_be_named_and_have_results(holding: Holding) -> None:
    maker = await holding.world.caller(Role.ACCOUNTING_ENGINEER)
    asked = {"organisationId": holding.ids["HD"], "reason": "x"}
    none = await maker.attempt("setBaseYear", asked)
    assert [e["code"] for e in none["errors"]] == ["BASE_YEAR_UNKNOWN"]
    admin = await holding.world.caller(Role.TENANT_ADMINISTRATOR)
    empty = {"organisationId": holding.ids["HD"], "value": {"baseYear": YEAR - 2}, "validFrom": f"{YEAR}-01-01"}
    await admin.do("setBoundary", {**empty, "reason": "x"}, "setting { id }")
    assert (await maker.attempt("setBaseYear", asked))["errors"][0]["code"] == "BASE_YEAR_EMPTY"
    bad = await maker.attempt("setBaseYear", {**asked, "threshold": "5"})
    assert bad["errors"][0]["code"] == "BAD_THRESHOLD"


# The pure part: whatever changed, accepting every proposal leads to what the records say today.

ORGS = [UUID(int=i) for i in range(1, 4)]
COEFFICIENTS = {UUID(int=100 + i): Decimal(c) for i, c in enumerate(("1.5", "2.278497760000000001", "-0.3"))}
amounts = st.decimals(-(10**4), 10**4, places=6, allow_nan=False, allow_infinity=False)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    def line(organisation: UUID, stream: int, month: int, part: Decimal) -> BaseLine:
        coefficient = draw(st.sampled_from(list(COEFFICIENTS)))
        quantity = draw(amounts)
        co2e_t = round(quantity * COEFFICIENTS[coefficient], 9)
        key = UUID(int=1000 * organisation.int + stream)
        when = date(YEAR, month, 1)
        return BaseLine(organisation, key, key, None, when, quantity, coefficient, co2e_t, part)

    parts = {}
    lines, live = [], []
    for organisation in ORGS:
        then, now = draw(st.sampled_from(["0", "0.6", "1"])), draw(st.sampled_from(["0", "0.6", "1"]))
        parts[organisation] = Part(Decimal(then), Decimal(now))
        slots = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2)), unique=True, max_size=3))
        lines += [line(organisation, *slot, Decimal(then)) for slot in slots if then != "0"]
        slots = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2)), unique=True, max_size=3))
        live += [line(organisation, *slot, Decimal(0)) for slot in slots]
    return Comparison(lines, live, COEFFICIENTS, parts)


@settings(max_examples=150, deadline=None)
@given(start=comparisons())
def test_accepting_everything_ends_where_the_records_are(start: Comparison) -> None:
    comparison = start
    for _ in range(30):
        effects = comparison.effects()
        if not effects:
            break
        slot, effect = next(iter(effects.items()))
        after = comparison.after(*slot)
        assert total(after) == total(comparison.lines) + effect
        comparison = replace(comparison, lines=after)
    assert comparison.effects() == {}
    now = [replace(x, part=start.parts[x.organisation_id].now) for x in start.live]
    counted = {x.organisation_id for x in comparison.lines}
    # An organisation that came with the records of today, or was there, ends at today's records.
    assert total(comparison.lines) == total(x for x in now if x.organisation_id in counted)


def test_method_and_error_are_told_apart() -> None:
    organisation, (old, new, _) = ORGS[0], list(COEFFICIENTS)
    line = BaseLine(organisation, organisation, organisation, None, date(YEAR, 1, 1), Decimal(10), old, Decimal(15),
                    Decimal(1))  # fmt: skip
    live = replace(line, quantity=Decimal(20), coefficient_id=new, co2e_t=Decimal("45.569955200"), part=Decimal(0))
    found = Comparison([line], [live], COEFFICIENTS, {organisation: Part(Decimal(1), Decimal(1))}).effects()
    assert found == {
        (RecalculationTrigger.METHOD, organisation): Decimal("7.784977600"),
        (RecalculationTrigger.ERROR, organisation): Decimal("15.000000000"),
    }
