"""Nothing of tenant A reaches tenant B: through the application, and again with the application's filters removed.

The calls are generated from the built schema: every query, every mutation, every node id of A, as a member of B who
holds every role there. A's records carry a marker that must not appear in any answer, nor may an id of A that was not
in the question, and A must not change.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import pytest
from sqlalchemy import true

from backend.capabilities import metadata, modules
from backend.kit.database import UnitOfWork, connect
from backend.kit.graphql.execute import GraphQLResponse
from backend.kit.graphql.nodes import from_id, to_id
from backend.kit.ids import uuid7
from backend.kit.provision import APP, AUDITOR, WORKER
from schema.build import build_schema, core
from tenants import access
from tenants.access import Role
from tests.fixtures.documents import POINTERS, Operation, fitting_id, operations, pointers
from tests.fixtures.group import MARKER, NODE_TABLES, fill, ids_of
from tests.fixtures.world import Caller, World

SCHEMA: Final = core(build_schema())
TABLES: Final = [t.name for t in metadata().sorted_tables if "tenant_id" in t.columns]
# Tables that are joined whenever a node of the type is read.
OF_STREAMS: Final = (
    "MaterialBatch", "Meter", "MeterMonth", "MeterReading", "QualityScore", "StackMonitor", "StackMonth", "StockRow",
    "StreamUncertainty",
)  # fmt: skip
# A view, which says itself whose rows it shows, besides what holds of the tables behind it.
SAYING_TENANT: Final = {"audit_trail"}
READ_WITH: Final = {
    **dict.fromkeys(OF_STREAMS, ("emission_source", "emission_stream")),
    "Allocation": ("emission_source",),
    "ActivityRecord": ("activity_pack", "emission_source", "emission_stream"),
    "DeclaredResult": ("emission_source",),
    "EmissionFactor": ("tenant_factor_set",),
    "EmissionStream": ("emission_source",),
    "StreamBasis": ("emission_source", "emission_stream"),
    "ProjectClaim": ("carbon_project",),
}
# A TRANSFER has no beneficiary and reverses nothing.
LEFT_OUT: Final = {
    ("TransferInput", "beneficiaryId"),
    ("TransferInput", "transferId"),
    ("ReserveAssetsInput", "beneficiaryId"),
}
# How mutations say that something named in their input does not exist.
ABSENT: Final = {
    "NOT_FOUND",
    "ORGANISATION_NOT_IN_TREE",
    "UNKNOWN_ACCOUNT",
    "UNKNOWN_BENEFICIARY",
    "UNKNOWN_LOT",
    "UNKNOWN_OFFSET_SURRENDER",
    "UNKNOWN_RESERVATION",
    "UNKNOWN_TRANSFER",
}
CODES: Final = re.compile(r'"code":"([A-Z_]+)"')
UUIDS: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GLOBAL_ID: Final = re.compile(rb"[A-Za-z0-9_-]{40,}")


@pytest.fixture
async def foreign(world: World, empty_queue: None) -> World:
    """Tenant A, with something in every slice."""
    await fill(world)
    return world


@pytest.fixture
async def stranger(foreign: World) -> Caller:
    """A member of tenant B who may do everything there."""
    other = await World.create(foreign.owner, foreign.services)
    await other.root()
    roles = [(role, None) for role in Role if role is not Role.OVERALL_LEAD]
    return await other.member(*roles, name="李四")


async def contents(world: World) -> dict[str, Any]:
    """Every row of the tenant, as the owner sees it from inside the tenant."""
    found = {}
    async with world.owner.read(world.tenant_id) as session:
        for table in TABLES:
            rows = await session.rows(f"SELECT to_jsonb(t) AS row FROM {table} t ORDER BY 1")
            found[table] = [r.row for r in rows]
    return found


@dataclass(slots=True)
class Intruder:
    """Calls every root field with the ids of A, each where it belongs and where it does not."""

    caller: Caller
    ids: dict[str, list[str]]
    turns: Iterator[int]
    by_id: bool = False

    @classmethod
    async def create(cls, caller: Caller, world: World) -> Intruder:
        return cls(caller, await ids_of(world), itertools.count())

    def fitting(self, owner: str, name: str) -> str | None:
        """An id of the type that belongs there, another one every time."""
        turn = next(self.turns)
        if (owner, name) == ("AccountRefInput", "id"):
            self.by_id = turn % 3 == 0
        # An account is named in one way: by its id, or by its organisation.
        other_way = owner == "AccountRefInput" and self.by_id != (name == "id")
        if (owner, name) in LEFT_OUT or other_way:
            return None
        return fitting_id(self.ids, owner, name, turn)

    def misplaced(self, _owner: str, _name: str) -> str:
        """An id of any type, another one every time."""
        turn = next(self.turns)
        return list(self.ids.values())[turn % len(self.ids)][0]

    async def try_everything(self) -> list[Attempt]:
        """Three ids for every place that fit it and three that may not. Fails on the first trace of A that was not in
        the question.
        """
        traces = {x.encode() for some in self.ids.values() for x in some}
        attempts = []
        for round_, id_for in enumerate((self.fitting, self.fitting, self.fitting, *[self.misplaced] * 3)):
            for operation in operations(SCHEMA, id_for):
                asked = set(GLOBAL_ID.findall(orjson.dumps(operation.variables)))
                if round_ and not asked:
                    continue  # takes no id: once is enough
                response = await self.caller.run(operation.document, **operation.variables)
                body = orjson.dumps(response.body())
                assert not response.request_error, (operation.field, response.errors)
                assert MARKER.encode() not in body, (operation.field, response.body())
                found = set(GLOBAL_ID.findall(body))
                assert not (found & traces) - asked, (operation.field, response.body())
                attempts.append(Attempt(operation, response))
        assert await self.seen() == set()
        return attempts

    async def seen(self) -> set[str]:
        """The objects of A that can be fetched by their ids."""
        ids = [x for some in self.ids.values() for x in some]
        answer = await self.caller.ask("query N($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
        return {node["id"] for node in answer["nodes"] if node is not None}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the intruder, and what it was answered."""

    operation: Operation
    response: GraphQLResponse

    def as_if_absent(self) -> Operation:
        """The same question about things that exist nowhere, of the same types."""
        return replace(self.operation, variables=_elsewhere(self.operation.variables))

    def said(self, response: GraphQLResponse | None = None) -> str:
        """The answer with every id taken out, so that two can be compared."""
        body = orjson.dumps((response or self.response).body()).decode()
        return UUIDS.sub("?", GLOBAL_ID.sub(b"?", body.encode()).decode())


def _elsewhere(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _elsewhere(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_elsewhere(v) for v in value]
    is_id = isinstance(value, str) and GLOBAL_ID.fullmatch(value.encode())
    return to_id(from_id(value)[0], uuid7()) if is_id else value


def without_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every decision about access out of the application, wherever it was imported to."""

    async def allow(*_: object) -> None:
        return None

    async def none_refused(*_: object) -> dict[object, object]:
        return {}

    instead: dict[Any, Any] = {
        access.within: lambda *_: true(),
        access.along: lambda *_: true(),
        access.reachable: lambda *_: true(),
        access.below: lambda *_: true(),
        access.require: allow,
        access.refusals: none_refused,
    }
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", "") == access.__name__ and value in instead:
                monkeypatch.setattr(module, name, instead[value])


@asynccontextmanager
async def lowered(world: World, *tables: str) -> AsyncIterator[None]:
    """The tables without their row-level security, for a moment."""

    async def alter(verb: str) -> None:
        async def work(unit: UnitOfWork) -> None:
            for table in tables:
                await unit.execute(f"ALTER TABLE {table} {verb} ROW LEVEL SECURITY")

        await world.owner.write(None, work)

    await alter("DISABLE")
    try:
        yield
    finally:
        await alter("ENABLE")


def test_every_node_type_is_tried() -> None:
    declared = {name for module in modules("graphql") for name in getattr(module, "NODES", {})}
    assert declared == set(NODE_TABLES)


def test_every_pointer_is_tried_with_what_fits() -> None:
    assert [(o, n) for o, n in pointers(SCHEMA) if f"{o}.{n}" not in POINTERS and n not in POINTERS] == []


async def test_every_table_of_a_is_empty_for_b(foreign: World, database_url: str) -> None:
    other = await World.create(foreign.owner, foreign.services)
    for role in (APP, WORKER, AUDITOR):
        database = connect(database_url, role=role)
        async with database.read(other.tenant_id) as session:
            for table in TABLES:
                if not await session.scalar(f"SELECT has_table_privilege('{table}', 'SELECT')"):
                    continue
                assert await session.scalar(f"SELECT count(*) FROM {table}") == 0, (role, table)
        await database.close()


async def test_the_filled_tenant_has_rows_in_every_table(foreign: World) -> None:
    assert [table for table, rows in (await contents(foreign)).items() if not rows] == []


async def test_nothing_crosses_through_the_application(foreign: World, stranger: Caller) -> None:
    before, intruder = await contents(foreign), await Intruder.create(stranger, foreign)
    attempts = await intruder.try_everything()
    assert len(attempts) > 300
    assert [a.operation.field for a in attempts if "INTERNAL" in CODES.findall(a.said())] == []
    assert await contents(foreign) == before


async def test_what_is_foreign_looks_like_what_does_not_exist(foreign: World, stranger: Caller) -> None:
    intruder = await Intruder.create(stranger, foreign)
    idle, told_apart = [], []
    for operation in operations(SCHEMA, intruder.fitting):
        if not GLOBAL_ID.search(orjson.dumps(operation.variables)):
            continue
        attempt = Attempt(operation, await stranger.run(operation.document, **operation.variables))
        absent = attempt.as_if_absent()
        if attempt.said() != attempt.said(await stranger.run(absent.document, **absent.variables)):
            told_apart.append(operation.field)
        if operation.kind == "mutation" and not ABSENT & set(CODES.findall(attempt.said())):
            idle.append((operation.field, attempt.said()))
    assert told_apart == []
    assert idle == [], "these were refused for something else: see FITTING in tests/fixtures/documents.py"


async def test_nothing_crosses_by_row_level_security_alone(
    foreign: World, stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, intruder = await contents(foreign), await Intruder.create(stranger, foreign)
    without_filters(monkeypatch)
    await intruder.try_everything()
    assert await contents(foreign) == before


async def test_without_filters_a_member_sees_and_does_everything_in_the_own_tenant(
    foreign: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what takes the filters away really takes them away."""
    async with foreign.owner.read(foreign.tenant_id) as session:
        at = await session.scalar("SELECT id FROM organisation WHERE code = 'S2'")
        steel = await session.scalar("SELECT id FROM organisation WHERE code = 'STEEL'")
    insider = await foreign.member(*[(role, at) for role in Role if role is not Role.OVERALL_LEAD])
    intruder = await Intruder.create(insider, foreign)
    line = {"organisationId": to_id("Organisation", steel), "lines": [], "dryRun": True}
    lines, hidden = ("setProductionLines", line, "productionLines { name }"), to_id("Organisation", steel)
    assert (await insider.attempt(*lines))["errors"][0]["code"] == "NOT_FOUND"
    assert hidden not in await intruder.seen()
    assert MARKER not in str(await insider.ask("{ assetLots { nodes { project } } }"))
    without_filters(monkeypatch)
    assert (await insider.attempt(*lines))["errors"] == []
    assert {hidden, *intruder.ids["AssetLot"], *intruder.ids["ActivityRecord"]} <= await intruder.seen()
    assert MARKER in str(await insider.ask("{ assetLots { nodes { project } } }"))


async def test_every_field_answers_within_its_own_tenant(foreign: World) -> None:
    """The other control: the same calls by who may make them meet something, and nothing breaks."""
    insider = await foreign.member(*[(role, None) for role in Role if role is not Role.OVERALL_LEAD])
    intruder = await Intruder.create(insider, foreign)
    broken, marked = [], set()
    for id_for in (intruder.fitting, intruder.fitting, intruder.misplaced):
        for operation in operations(SCHEMA, id_for):
            attempt = Attempt(operation, await insider.run(operation.document, **operation.variables))
            if "INTERNAL" in CODES.findall(attempt.said()):
                broken.append((operation.field, operation.variables))
            if MARKER in attempt.said():
                marked.add(operation.field)
    assert broken == []
    assert len(marked) > 20, marked


async def test_the_proof_notices_a_policy_that_is_missing(
    foreign: World, stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without row-level security on its table, objects are seen as soon as the filters are gone."""
    without_filters(monkeypatch)
    intruder = await Intruder.create(stranger, foreign)
    for type_name, table in NODE_TABLES.items():
        if table in SAYING_TENANT:
            continue
        async with lowered(foreign, table, *READ_WITH.get(type_name, ())):
            assert await intruder.seen() & set(intruder.ids[type_name]), type_name
    assert await intruder.seen() == set()
