"""The closure table: equal to an independent model after any sequence of changes, and under many writers at once."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from asyncpg import Range
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from backend.kit.database import Database, UnitOfWork, constraint_name, sqlstate
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from tenants.access import Role
from tenants.commands import Actor
from tenants.domain.organisations import (
    LeavingReason,
    NewOrganisation,
    Organisation,
    OrganisationKind,
    Ownership,
    Profile,
)
from tenants.domain.tree import Departure
from tenants.service import OrganisationService, TreeService
from tenants.service.tree import Holding, Move
from tenants.tables import organisation, organisation_link
from tests.fixtures.world import World

EPOCH = date(2020, 1, 1)
DAYS = 10
GROUP, SUBSIDIARY, SITE = OrganisationKind


def day(number: int) -> date:
    return EPOCH + timedelta(days=number)


@dataclass(slots=True)
class Model:
    """The tree day by day, as plain lists: what the database says in ranges, said without any."""

    kind: list[OrganisationKind] = field(default_factory=list)
    parent: list[list[int | None]] = field(default_factory=list)
    held: list[list[Ownership | None]] = field(default_factory=list)
    present: list[list[bool]] = field(default_factory=list)

    def create(self, kind: OrganisationKind, parent: int | None, since: int, held: Ownership) -> None:
        there = [d >= since for d in range(DAYS)]
        self.kind.append(kind)
        self.present.append(there)
        self.parent.append([parent if x else None for x in there])
        self.held.append([held if x and parent is not None else None for x in there])

    def replace(self, row: list[Any], since: int, value: Any) -> None:
        old = row[since]
        for d in range(since, DAYS):
            if row[d] != old:
                break
            row[d] = value

    def leave(self, node: int, since: int, *, everything: bool) -> None:
        going = {node} | {x for x in range(len(self.kind)) if everything and node in self.above(x, since)}
        for x in going:
            for d in range(since, DAYS):
                self.present[x][d], self.parent[x][d], self.held[x][d] = False, None, None

    def above(self, node: int, d: int) -> list[int]:
        """Nodes above on a day, the nearest first; ends with -1 when it runs in a circle."""
        seen: list[int] = []
        step = self.parent[node][d]
        while step is not None:
            if step == node or step in seen:
                return [*seen, -1]
            seen.append(step)
            step = self.parent[step][d]
        return seen

    def sound(self) -> bool:
        for node, kind in enumerate(self.kind):
            if not any(self.present[node]):
                return False
            for d in range(DAYS):
                above = self.parent[node][d]
                if self.present[node][d] and (above is None) != (kind is GROUP):
                    return False
                if above is not None and (not self.present[above][d] or self.kind[above] is SITE):
                    return False
                if -1 in self.above(node, d):
                    return False
        return True

    def closure(self) -> Iterator[tuple[int, int, int, int, Decimal, bool]]:
        """(day, ancestor, descendant, depth, share, operational control)"""
        for node in range(len(self.kind)):
            for d in range(DAYS):
                if not self.present[node][d]:
                    continue
                share, control = Decimal(1), True
                yield d, node, node, 0, share, control
                below = node
                for depth, above in enumerate(self.above(node, d), 1):
                    how = self.held[below][d]
                    assert how is not None
                    share, control = share * how.equity_share, control and how.operational_control
                    yield d, above, node, depth, share.normalize(), control
                    below = above


@dataclass(slots=True)
class Bench:
    """The real tree and its model, changed together."""

    world: World
    actor: Actor
    model: Model = field(default_factory=Model)
    ids: list[UUID] = field(default_factory=list)

    @classmethod
    async def create(cls, world: World) -> Bench:
        admin = await world.caller(Role.TENANT_ADMINISTRATOR)
        assert admin.principal is not None
        return cls(world, Actor(admin.principal))

    async def apply(self, change: tuple[str, int, int, int, Ownership]) -> None:
        """Try a change on both; they agree on whether it is possible."""
        wanted = copy.deepcopy(self.model)
        possible = self._model(wanted, change) and wanted.sound()
        made, refused = None, ""
        try:
            made = await self._really(change)
        except CodedError as error:
            refused = str(error)
        assert possible == (not refused), (change, refused)
        if possible:
            self.model = wanted
        if made is not None:
            self.ids.append(made.id)

    def _model(self, model: Model, change: tuple[str, int, int, int, Ownership]) -> bool:
        verb, a, b, since, held = change
        if verb in {"GROUP", "SUBSIDIARY", "SITE"}:
            model.create(OrganisationKind(verb), None if verb == "GROUP" else self._pick(b), since, held)
            return True
        node = self._pick(a)
        if verb in {"close", "dispose"}:
            if not model.present[node][since] or since == 0 or not model.present[node][since - 1]:
                return False
            model.leave(node, since, everything=verb == "dispose")
        elif model.kind[node] is GROUP or not model.present[node][since]:
            return False
        elif verb == "move":
            model.replace(model.parent[node], since, self._pick(b))
        else:
            model.replace(model.held[node], since, held)
        return True

    async def _really(self, change: tuple[str, int, int, int, Ownership]) -> Organisation | None:
        verb, a, b, since, held = change
        tree = self.world.services.get(TreeService)
        if verb in {"GROUP", "SUBSIDIARY", "SITE"}:
            parent = None if verb == "GROUP" else self.ids[self._pick(b)]
            new = NewOrganisation(OrganisationKind(verb), _profile(), parent, day(since), held)
            return (await self.world.services.get(OrganisationService).create(self.actor, new)).value
        node = self.ids[self._pick(a)]
        if verb == "move":
            await tree.move(self.actor, Move(node, self.ids[self._pick(b)], day(since)))
        elif verb == "own":
            await tree.set_ownership(self.actor, Holding(node, day(since), held))
        elif verb == "close":
            await tree.close(self.actor, Departure(node, day(since), LeavingReason.CLOSED, False, ""))
        else:
            await tree.dispose(self.actor, Departure(node, day(since), LeavingReason.DISPOSED, True, "sold"))
        return None

    def _pick(self, number: int) -> int:
        return number % len(self.ids)

    async def check(self) -> None:
        number = {key: i for i, key in enumerate(self.ids)}
        rows = await closure_rows(self.world)
        found = {
            (d, number[r.ancestor_id], number[r.descendant_id], r.depth, r.share.normalize(), r.operational)
            for r in rows
            for d in range(DAYS)
            if r.since <= day(d) and (r.until is None or day(d) < r.until)
        }
        assert found == set(self.model.closure())


async def closure_rows(world: World) -> Any:
    async with world.owner.read(world.tenant_id) as session:
        return await session.rows(
            "SELECT ancestor_id, descendant_id, depth, lower(valid) AS since, upper(valid) AS until,"
            " equity_share AS share, operational_control AS operational FROM organisation_closure"
        )


def _profile() -> Profile:
    code = uuid7().hex
    return Profile(code=code, name_zh=code)


SHARES = st.sampled_from([Decimal("0.5"), Decimal("0.6"), Decimal(1)])
OWNERSHIPS = st.builds(Ownership, SHARES, st.booleans(), st.booleans())
VERBS = st.sampled_from(["GROUP", "SUBSIDIARY", "SITE", *["move"] * 8, *["own"] * 5, "close", "dispose"])
NODES = st.integers(0, 7)
CHANGES = st.lists(st.tuples(VERBS, NODES, NODES, st.integers(0, DAYS - 1), OWNERSHIPS), min_size=12, max_size=30)
BASE = [("GROUP", 0), ("GROUP", 0), ("SUBSIDIARY", 0), ("SUBSIDIARY", 0), ("SUBSIDIARY", 1), ("SITE", 2)]


@given(changes=CHANGES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
async def test_closure_equals_the_model(world: World, changes: list[tuple[str, int, int, int, Ownership]]) -> None:
    bench = await Bench.create(await World.create(world.owner, world.services))
    for verb, parent in BASE:
        await bench.apply((verb, 0, parent, 0, Ownership()))
    for change in changes:
        await bench.apply(change)
    await bench.check()


async def test_many_writers(world: World) -> None:
    bench = await Bench.create(world)
    for verb, parent in (("GROUP", 0), *[("SUBSIDIARY", i // 3) for i in range(12)]):
        await bench.apply((verb, 0, parent, 0, Ownership()))
    ids = list(bench.ids)

    async def writer(seed: int) -> int:
        chance, done = random.Random(seed), 0
        for _ in range(6):
            try:
                if chance.random() < 0.7:
                    move = Move(chance.choice(ids), chance.choice(ids), day(chance.randrange(DAYS)))
                    await world.services.get(TreeService).move(bench.actor, move)
                else:
                    new = NewOrganisation(SITE, _profile(), chance.choice(ids), day(chance.randrange(DAYS)))
                    ids.append((await world.services.get(OrganisationService).create(bench.actor, new)).value.id)
                done += 1
            except CodedError as error:
                refusals.add(error.code.name)
        return done

    refusals: set[str] = set()
    done = await asyncio.gather(*(writer(seed) for seed in range(32)))
    assert sum(done) > 40
    assert refusals <= {"ORGANISATION_CYCLE", "WRONG_PARENT", "PARENT_ABSENT", "ORGANISATION_NOT_PRESENT"}
    assert await _recomputed(world) == {
        (r.ancestor_id, r.descendant_id, r.depth, r.since, r.until) for r in await closure_rows(world)
    }


async def _recomputed(world: World) -> set[tuple[UUID, UUID, int, date, date | None]]:
    """The closure walked up from the links in Python; fails on a circle, an orphan or two parents on one day."""
    async with world.owner.read(world.tenant_id) as session:
        nodes = await session.rows(
            "SELECT id, kind, lower(present) AS since, upper(present) AS until FROM organisation"
        )
        links = await session.rows(
            "SELECT child_id, parent_id, lower(valid) AS since, upper(valid) AS until FROM organisation_link"
        )
    found: set[tuple[UUID, UUID, int, date, date | None]] = set()
    for node in nodes:
        if node.kind != "GROUP":
            hung = sorted((x for x in links if x.child_id == node.id), key=lambda x: x.since)
            assert [hung[0].since, hung[-1].until] == [node.since, node.until]
            assert all(a.until == b.since for a, b in pairwise(hung))
        walks = [(node.id, 0, node.since, node.until or date.max)]
        while walks:
            at, depth, since, until = walks.pop()
            assert depth == 0 or at != node.id
            found.add((at, node.id, depth, since, None if until == date.max else until))
            for x in links:
                low, high = max(since, x.since), min(until, x.until or date.max)
                if x.child_id == at and low < high:
                    walks.append((x.parent_id, depth + 1, low, high))
    return found


async def _raw(database: Database, world: World, *rows: tuple[str, dict[str, Any]]) -> tuple[str, str]:
    """Write as the application role does, past every service; how the database refuses."""

    async def work(unit: UnitOfWork) -> None:
        for table, row in rows:
            target = organisation if table == "organisation" else organisation_link
            await unit.execute(target.insert(), {"tenant_id": world.tenant_id, "id": uuid7(), **row})
        await unit.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DBAPIError) as refused:
        await database.write(world.tenant_id, work)
    return sqlstate(refused.value), constraint_name(refused.value)


async def test_the_database_refuses_whoever_asks(database: Database, world: World) -> None:
    bench = await Bench.create(world)
    for verb, parent in (("GROUP", 0), ("SUBSIDIARY", 0), ("SUBSIDIARY", 1), ("SITE", 2)):
        await bench.apply((verb, 0, parent, 0, Ownership()))
    group, upper, lower, site = bench.ids
    since = Range(EPOCH, None)

    def link(child: UUID, parent: UUID, valid: Any = since) -> tuple[str, dict[str, Any]]:
        held = {"equity_share": 1, "operational_control": True, "financial_control": True}
        return "organisation_link", {"child_id": child, "parent_id": parent, "valid": valid, **held}

    def node(key: UUID, kind: str) -> tuple[str, dict[str, Any]]:
        return "organisation", {"id": key, "kind": kind, "code": key.hex, "name_zh": "x", "present": since}

    new = uuid7()
    assert await _raw(database, world, link(group, lower)) == ("TH004", "organisation_no_cycle")
    assert (await _raw(database, world, link(upper, group)))[1] == "organisation_link_no_overlap"
    assert (await _raw(database, world, link(group, group)))[1] == "organisation_link_not_self"
    assert (await _raw(database, world, node(new, "SITE")))[1] == "organisation_linked"
    assert (await _raw(database, world, node(new, "SITE"), link(new, site)))[1] == "organisation_parent_present"
    early = Range(EPOCH - timedelta(days=1), None)
    older = ("organisation", {**node(new, "SITE")[1], "present": early})
    assert (await _raw(database, world, older, link(new, upper, early)))[1] == "organisation_parent_present"
    assert (await _raw(database, world, node(new, "GROUP"), link(new, upper)))[1] == "organisation_linked"


async def test_nobody_writes_the_closure_or_updates_a_link(database: Database, world: World) -> None:
    for statement in ("DELETE FROM organisation_closure", "UPDATE organisation_link SET reason = 'x'"):

        async def work(unit: UnitOfWork, statement: str = statement) -> None:
            await unit.execute(statement)

        with pytest.raises(DBAPIError) as refused:
            await database.write(world.tenant_id, work)
        assert sqlstate(refused.value) == "42501"
