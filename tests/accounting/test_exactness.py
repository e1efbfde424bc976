"""Python, SQL and fractions agree: drawn sources, methods and quantities, each stream-month to the last kept digit.

EXACTNESS_EXAMPLES=2000 python -m pytest tests/accounting/test_exactness.py -q        (the long run, about an hour)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import count, pairwise
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backend.accounting.repository import coefficients as coefficient_rows
from backend.accounting.repository.sources import streams as read_streams
from backend.accounting.service.coefficients import kept_or_derived
from backend.accounting.service.results import ResultService
from backend.kit.database import Database
from backend.kit.quantity import times
from tests.fixtures.accounting import OUTCOME, RECORD, SOURCE, Works, uuid_of
from tests.fixtures.methods import choose, method

EXAMPLES: Final = int(os.environ.get("EXACTNESS_EXAMPLES", "10"))
# Explaining a failure runs it many times over, and each run is a dozen calls.
PHASES: Final = (Phase.reuse, Phase.generate, Phase.shrink)
TO_CO2: Final = Fraction(44, 12)
UNITS: Final = {"t": Fraction(1), "kg": Fraction(1, 1000), "万吨": Fraction(10000)}
MONTHS: Final = [f"2024-{n:02}" for n in range(1, 13)]
COAL: Final = Fraction("23.736") * Fraction("0.02618") * Fraction("0.99") * TO_CO2
NEAR: Final = Fraction(1, 10**9)
_NUMBERS: Final = count()


@dataclass(frozen=True)
class Way:
    """A method as the API takes it, its class, its months, and its coefficient by a formula written here again."""

    given: dict[str, Any]
    which: str
    months: Sequence[str]
    exact: Fraction


@dataclass(frozen=True)
class Line:
    """A quantity as it is written."""

    month: str
    written: str
    unit: str

    @property
    def tonnes(self) -> Fraction:
        return Fraction(self.written) * UNITS[self.unit]


@dataclass(frozen=True)
class Flow:
    """A stream: its first way, what is recorded, and the ways set before and after that."""

    leaving: bool
    first: Way
    before: list[Way]
    lines: list[Line]
    after: list[Way]

    @property
    def quantities(self) -> dict[str, Fraction]:
        months = {line.month for line in self.lines}
        return {m: sum((x.tonnes for x in self.lines if x.month == m), Fraction(0)) for m in months}

    @property
    def exact(self) -> dict[tuple[str, str], Fraction]:
        """The coefficient by class and month, negative for what leaves; coal has the library's factor by itself."""
        found = {} if self.leaving else {("FACTOR", m): COAL for m in MONTHS}
        for way in (self.first, *self.before, *self.after):
            found |= {(way.which, m): -way.exact if self.leaving else way.exact for m in way.months}
        return found


@dataclass(frozen=True)
class Drawn:
    """A source: its streams by code, and the months in which factors are to count before the mass balance."""

    flows: dict[str, Flow]
    by_factor: Sequence[str]

    @property
    def nothing_would_count(self) -> bool:
        """Whether a month so chosen has quantities and no factor for any of them."""
        for month in self.by_factor:
            held = [f for f in self.flows.values() if month in f.quantities]
            if held and not any(("FACTOR", month) in f.exact for f in held):
                return True
        return False


def numbers(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Decimals between two others, of so many places, as they are written."""
    scale = 10**places
    return st.integers(low * scale // 100, high * scale // 100).map(lambda n: f"{Decimal(n).scaleb(-places):f}")


@st.composite
def spans(draw: st.DrawFn) -> Sequence[str]:
    first, last = sorted(draw(st.tuples(st.integers(0, 11), st.integers(0, 11))))
    return MONTHS[first : last + 1]


@st.composite
def ways(draw: st.DrawFn, *, leaving: bool, always: bool = False) -> Way:
    """Bounds of `numbers` are in hundredths."""
    kind = "balance" if always else draw(st.sampled_from(["balance", "formula"] + ["combustion"] * (not leaving)))
    months = MONTHS if always else draw(spans())
    more = {} if always else {"reason": "试验"}
    span = None if always else (months[0], months[-1])
    if kind == "balance":
        carbon = draw(numbers(1, 95, draw(st.integers(2, 12))))
        made = method("MASS_BALANCE", span, carbonContent=f"{carbon} tC/t", **more)
        return Way(made, "MASS_BALANCE", months, Fraction(carbon) * TO_CO2)
    if kind == "combustion":
        ncv, carbon = draw(numbers(1500, 4500, draw(st.integers(0, 6)))), draw(numbers(2, 3, draw(st.integers(3, 8))))
        oxidation = draw(numbers(9000, 10000, 2))
        heat = {"ncv": f"{ncv} GJ/t", "carbonPerHeat": f"{carbon} tC/GJ", "oxidation": f"{oxidation} %"}
        exact = Fraction(ncv) * Fraction(carbon) * Fraction(oxidation) / 100 * TO_CO2
        return Way(method("FUEL_COMBUSTION", span, **heat, **more), "FACTOR", months, exact)
    share, carbon, below = draw(numbers(0, 9900, 3)), draw(numbers(10, 90, 5)), draw(st.integers(3, 97))
    text = f"碳*k*(1-损失)/{below}"
    made = method("EXPRESSION", span, formula=text, 碳=f"{carbon} tC/t", 损失=f"{share} %", **more)
    return Way(made, "FACTOR", months, Fraction(carbon) * TO_CO2 * (1 - Fraction(share) / 100) / below)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Up to 10⁷ t a line; a coefficient of 18 decimals stays within 1e-9 t up to 10⁹ t a month."""
    leaving = draw(st.booleans())
    written = st.integers(0, 9).flatmap(lambda places: numbers(0 if leaving else -50_000, 100_000, places))
    lines = st.builds(Line, st.sampled_from(MONTHS), written, st.sampled_from(list(UNITS)))
    later = st.lists(ways(leaving=leaving), max_size=2)
    return Flow(
        leaving,
        draw(ways(leaving=leaving, always=True)),
        draw(later),
        draw(st.lists(lines, min_size=1, max_size=20)),
        draw(later),
    )


@st.composite
def sources(draw: st.DrawFn) -> Drawn:
    several = draw(st.lists(flows(), min_size=1, max_size=3))
    return Drawn({f"s{i}": flow for i, flow in enumerate(several)}, draw(st.just(()) | spans()))


@dataclass
class Run:
    """Drawn sources on their way through the public door: one call for each kind of change, however many they are."""

    works: Works
    drawn: Sequence[Drawn]
    sources: list[str] = field(default_factory=list)
    streams: list[dict[str, str]] = field(default_factory=list)

    async def create(self) -> None:
        number = next(_NUMBERS)
        rows = [
            self.works.source_input(f"S{number}-{i}", *(_stream(code, flow) for code, flow in drawn.flows.items()))
            for i, drawn in enumerate(self.drawn)
        ]
        done = await self.works.engineer.do("createEmissionSources", {"rows": rows}, f"outcomes {OUTCOME % SOURCE}")
        made = [_taken(outcome)["source"] for outcome in done["outcomes"]]
        self.sources = [source["id"] for source in made]
        self.streams = [{s["code"]: s["id"] for s in source["streams"]} for source in made]

    async def set_ways(self, when: str) -> None:
        """Several changes in one document, carried out in their order."""
        for drawn, keys in zip(self.drawn, self.streams, strict=True):
            wanted = [(keys[code], w) for code, flow in drawn.flows.items() for w in getattr(flow, when)]
            given_ways = {f"w{i}": {"streamId": key, "method": way.given} for i, (key, way) in enumerate(wanted)}
            if given_ways:
                types = ", ".join(f"${name}: SetStreamMethodInput!" for name in given_ways)
                one = "%s: setStreamMethod(input: $%s) { errors { code message } }"
                document = f"mutation M({types}) {{ {' '.join(one % (name, name) for name in given_ways)} }}"
                answer = await self.works.engineer.ask(document, **given_ways)
                assert [payload["errors"] for payload in answer.values()] == [[]] * len(given_ways)

    async def record(self) -> None:
        rows = [
            {"sourceId": key, "stream": code, "month": line.month, "quantity": line.written, "unit": line.unit}
            for key, drawn in zip(self.sources, self.drawn, strict=True)
            for code, flow in drawn.flows.items()
            for line in flow.lines
        ]
        done = await self.works.monitor.do("recordActivity", {"rows": rows}, f"outcomes {OUTCOME % RECORD}")
        assert all(_taken(outcome) for outcome in done["outcomes"])

    async def choose(self) -> dict[str, Sequence[str]]:
        """Let factors count where that was drawn; the months by source."""
        chosen: dict[str, Sequence[str]] = {}
        for key, drawn in zip(self.sources, self.drawn, strict=True):
            if drawn.by_factor:
                span = {"firstMonth": drawn.by_factor[0], "lastMonth": drawn.by_factor[-1]}
                payload = await choose(self.works, key, "FACTOR", **span, reason="试验")
                codes = {e["code"] for e in payload["errors"]}
                if drawn.nothing_would_count:
                    assert codes & {"NOTHING_WOULD_COUNT", "METHOD_ABSENT"}, payload
                elif not codes:
                    chosen[key] = drawn.by_factor
                else:
                    # A source of what leaves alone need not have a factor in any of these months.
                    assert codes == {"METHOD_ABSENT"}, payload
                    assert not any(("FACTOR", m) in f.exact for f in drawn.flows.values() for m in drawn.by_factor)
        return chosen

    def counted(self, chosen: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
        """How many records count by source and month: those of streams that have a coefficient then."""
        return Counter(
            (key, line.month)
            for key, drawn in zip(self.sources, self.drawn, strict=True)
            for flow in drawn.flows.values()
            for line in flow.lines
            if ("FACTOR" if line.month in chosen.get(key, ()) else "MASS_BALANCE", line.month) in flow.exact
        )

    async def monthly(self) -> dict[tuple[str, str], tuple[Decimal, int]]:
        """Tonnes and number of records by source and month, as the API tells them."""
        query = """query Q($ids: [ID!]!) { nodes(ids: $ids) { ... on EmissionSource { id
          monthlyResults(year: 2024) { firstMonth months gas co2eT massT records } } } }"""
        found: dict[tuple[str, str], tuple[Decimal, int]] = {}
        for source in (await self.works.engineer.ask(query, ids=self.sources))["nodes"]:
            for result in source["monthlyResults"]:
                # A formula of one's own yields CO2E, the others CO2; a source may have streams of both.
                tonnes, key = Decimal(result["co2eT"]), (source["id"], result["firstMonth"])
                assert (result["months"], Decimal(result["massT"])) == (1, tonnes)
                before = found.get(key, (Decimal(0), 0))
                found[key] = (before[0] + tonnes, before[1] + result["records"])
        return found


def _stream(code: str, flow: Flow) -> dict[str, Any]:
    kind = {"flow": "LEAVING"} if flow.leaving else {"material": "烟煤"}
    return {"code": code, "cadence": "EVENT", "unit": "t", "method": flow.first.given, **kind}


def _taken(outcome: dict[str, Any]) -> dict[str, Any]:
    assert outcome["error"] is None, outcome["error"]
    return outcome


MONTH_ROWS: Final = """
SELECT m.stream_id, to_char(m.month, 'YYYY-MM') AS month, m.quantity, m.co2e_t, c.co2e_per_unit, h.method AS counts
FROM stream_month m
LEFT JOIN stream_coefficient c ON c.id = m.coefficient_id
JOIN source_method h ON h.source_id = m.source_id AND h.superseded_at IS NULL AND m.month >= h.first_month
  AND (h.last_month IS NULL OR m.month <= h.last_month)
WHERE m.stream_id = ANY (:streams)
ORDER BY m.stream_id, m.month
"""


async def _stream_months(run: Run, database: Database, chosen: Mapping[str, Sequence[str]]) -> dict[Any, Decimal]:
    """Hold each stream-month against Python and against fractions; what they add up to by source and month."""
    keys = [uuid_of(key) for keys in run.streams for key in keys.values()]
    async with database.read(run.works.world.tenant_id) as session:
        rows = await session.rows(MONTH_ROWS, {"streams": keys})
        known = await read_streams(session, keys)
        derived = await kept_or_derived(session, [(s, 2024) for s in known.values()])
    pieces = [(p.stream_id, f"{m:%Y-%m}", p) for found in derived.values() for p in found for m in p.months]
    kept = {(key, month, p.method.value): p.coefficient.co2e_per_unit for key, month, p in pieces}
    by_key = {
        uuid_of(key): (source, drawn.flows[code])
        for source, drawn, keys_of in zip(run.sources, run.drawn, run.streams, strict=True)
        for code, key in keys_of.items()
    }
    assert len(rows) == sum(len(flow.quantities) for _, flow in by_key.values())
    sums: dict[Any, Decimal] = {}
    for r in rows:
        source, flow = by_key[r.stream_id]
        assert r.counts == ("FACTOR" if r.month in chosen.get(source, ()) else "MASS_BALANCE")
        assert Fraction(r.quantity) == flow.quantities[r.month]
        exact = flow.exact.get((r.counts, r.month))
        if exact is None:
            assert (r.co2e_t, r.co2e_per_unit) == (0, None)
            continue
        # As Python multiplies, to the last kept digit; and as fractions do, within 1e-9 t.
        assert r.co2e_per_unit == kept[r.stream_id, r.month, r.counts]
        assert r.co2e_t == times(r.quantity, r.co2e_per_unit)
        assert abs(Fraction(r.co2e_t) - flow.quantities[r.month] * exact) < NEAR
        sums[source, r.month] = sums.get((source, r.month), Decimal(0)) + r.co2e_t
    return sums


@settings(phases=PHASES, max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(sources(), min_size=1, max_size=6))
async def test_sql_python_and_fractions_agree(works: Works, database: Database, drawn: list[Drawn]) -> None:
    run = Run(works, drawn)
    await run.create()
    await run.set_ways("before")
    await run.record()
    await run.set_ways("after")
    chosen = await run.choose()
    sums = await _stream_months(run, database, chosen)
    told = await run.monthly()
    assert {key: tonnes for key, (tonnes, _) in told.items()} == sums
    assert {key: records for key, (_, records) in told.items()} == run.counted(chosen)
    # Derived anew from what was recorded, it is the same to the last bit.
    await ResultService(works.world.services.toolbox).rebuild(works.world.tenant_id)
    assert await _stream_months(run, database, chosen) == sums
    async with database.read(works.world.tenant_id) as session:
        keys = [uuid_of(key) for keys in run.streams for key in keys.values()]
        covered = await coefficient_rows.covered(session, [(key, 2024) for key in keys])
    for months in covered.values():
        for which in ("FACTOR", "MASS_BALANCE"):
            held = sorted((a, b) for m, a, b, _ in months if m == which)
            assert all(b < c for (_, b), (c, _) in pairwise(held))
