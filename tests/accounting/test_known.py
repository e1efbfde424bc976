"""Results as they were known between changes, and what each change made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.fixtures.accounting import Works
from tests.fixtures.factors import WHOLE_COAL, OwnSets, adopt, tonnes

QUERY = """query K($at: ID!, $year: Int!, $k: DateTime!) {
  resultsAsKnown(organisationId: $at, year: $year, knownAt: $k) { knownT todayT differenceT
    categories { category directKind knownT todayT } differences { kind reason results differenceT } } }"""


async def known(works: Works, moment: str) -> dict[str, Any]:
    return dict((await works.engineer.ask(QUERY, at=works.group_id, year=2024, k=moment))["resultsAsKnown"])


async def moment(works: Works) -> str:
    """Now, by the clock of the database."""
    async with works.world.owner.read(works.world.tenant_id) as session:
        now: datetime = await session.scalar("SELECT clock_timestamp()")
    return now.isoformat()


def reasons(answer: dict[str, Any]) -> dict[tuple[str, str], Decimal]:
    assert sum((Decimal(d["differenceT"]) for d in answer["differences"]), Decimal(0)) == Decimal(answer["differenceT"])
    assert Decimal(answer["todayT"]) - Decimal(answer["knownT"]) == Decimal(answer["differenceT"])
    assert sum((Decimal(c["knownT"]) for c in answer["categories"]), Decimal(0)) == Decimal(answer["knownT"])
    return {(d["kind"], d["reason"]): Decimal(d["differenceT"]) for d in answer["differences"]}


async def test_every_date_between_has_its_answer(works: Works) -> None:
    begin = await moment(works)
    coal = await works.fuel("烟煤")
    first = await works.burn(coal, "2024-01", "1000", "t")
    await works.burn(coal, "2024-02", "500", "t")
    recorded = await moment(works)
    was = sum((await tonnes(works, coal)).values())
    given = {"id": first["id"], "reason": "磅单更正", "change": {"quantity": "900", "unit": "t"}}
    await works.monitor.do("supersedeActivity", given, "record { id }")
    corrected = await moment(works)
    then = sum((await tonnes(works, coal)).values())
    await OwnSets(works.world, works.group_id).approved(*WHOLE_COAL)
    await adopt(works, "OWN-HD", "2024-02", reason="采用化验值")
    adopted = await moment(works)
    power = await works.source("POWER", category="IMPORTED_ENERGY", directKind=None)
    await works.declare(sourceId=power, firstMonth="2024-01", massT="7", method="FACTOR")
    end = await moment(works)
    now = sum((await tonnes(works, coal)).values()) + 7

    answers = {k: await known(works, k) for k in (begin, recorded, corrected, adopted, end)}
    coal_now = now - 7
    assert [Decimal(a["knownT"]) for a in answers.values()] == [0, was, then, coal_now, now]
    assert {Decimal(a["todayT"]) for a in answers.values()} == {now}
    assert reasons(answers[end]) == {}
    assert reasons(answers[adopted]) == {("DECLARED", ""): Decimal(7)}
    assert reasons(answers[corrected]) == {("COEFFICIENT", "采用化验值"): coal_now - then, ("DECLARED", ""): Decimal(7)}
    since = reasons(answers[recorded])
    assert since[("ACTIVITY", "磅单更正")] == then - was
    assert since[("COEFFICIENT", "采用化验值")] == coal_now - then
    assert set(reasons(answers[begin])) == {("ACTIVITY", "磅单更正"), ("ACTIVITY", ""), ("DECLARED", "")}


async def test_a_withdrawn_declaration_names_its_reason(works: Works) -> None:
    power = await works.source("POWER", category="IMPORTED_ENERGY", directKind=None)
    made = await works.declare(sourceId=power, firstMonth="2024-01", massT="7", method="FACTOR")
    before = await moment(works)
    await works.monitor.do("supersedeDeclaredResult", {"id": made["id"], "reason": "重复填报"}, "result { id }")
    answer = await known(works, before)
    assert (answer["knownT"], Decimal(answer["todayT"])) == ("7.000000000", Decimal(0))
    assert reasons(answer) == {("DECLARED", "重复填报"): Decimal(-7)}


async def test_the_future_is_today(works: Works) -> None:
    coal = await works.fuel("烟煤")
    await works.burn(coal, "2024-01", "1", "t")
    answer = await known(works, datetime(2200, 1, 1, tzinfo=UTC).isoformat())
    assert answer["knownT"] == answer["todayT"] == str((await tonnes(works, coal))["2024-01"])
