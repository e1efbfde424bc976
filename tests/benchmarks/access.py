"""access.check: the permission check on a tree of 20,000 sites, against one indexed statement in the same kind of
transaction; a refusal must be as fast as a yes. Also what a page costs somebody who sees little of the tree.

    python -m tests.benchmarks.access DATABASE_URL
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final
from uuid import UUID

from backend.kit.clock import Clock
from backend.kit.database import Database, PoolLimits, connect
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.pages import PageRequest
from backend.kit.provision import APP, OWNER
from backend.kit.toolbox import Services, Toolbox
from tenants.access import Permission, Principal, Role, require
from tenants.commands import Actor
from tenants.domain.organisations import (
    NewOrganisation,
    OrganisationFilter,
    OrganisationKind,
    OrganisationOrder,
    Profile,
)
from tenants.service import OrganisationService
from tenants.service.organisations import NewOrganisations
from tests.benchmarks.table import Figure
from tests.fixtures.world import World

SITES: Final = 20_000
FAN: Final = 20
CHECKS: Final = 2_000
PAGES: Final = 200
SINCE: Final = date(2020, 1, 1)


@dataclass(slots=True)
class Tree:
    """20,000 sites below 400 subsidiaries below 20 below one group, and somebody who works in one of the 20."""

    database: Database
    service: OrganisationService
    worker: Principal
    inside: list[UUID]
    outside: list[UUID]
    grown_s: float


def run(database_url: str) -> dict[str, Any]:
    """The row of the table; `database_url` is a migrated database, which is left with one more tenant."""
    return asyncio.run(access_check(database_url)).row()


async def access_check(url: str) -> Figure:
    owner = connect(url, role=OWNER, limits=PoolLimits(size=2))
    database = connect(url, role=APP, limits=PoolLimits(size=2))
    try:
        tree = await grow(owner, database)
        times = await measure(tree)
    finally:
        await database.close()
        await owner.close()
    refused = max(times["FORBIDDEN"], times["NOT_FOUND"])
    shown = ", ".join(f"{name} {ms:.2f}" for name, ms in times.items())
    note = f"p99 ms: {shown}; {SITES:,} sites created through the service in {tree.grown_s:.0f} s"
    limit = times["statement"]
    return Figure("access.check", refused, limit, limit / refused, "ms p99", note)


async def grow(owner: Database, database: Database) -> Tree:
    services = Services(Toolbox(database, Clock()))
    world = await World.create(owner, services)
    admin = (await world.caller(Role.TENANT_ADMINISTRATOR)).principal
    assert admin is not None
    service, started = services.get(OrganisationService), time.perf_counter()
    rows = [_row(OrganisationKind.GROUP, "G", None)]
    rows += [_row(OrganisationKind.SUBSIDIARY, f"A{i:02}", "G") for i in range(FAN)]
    rows += [_row(OrganisationKind.SUBSIDIARY, f"B{i:03}", f"A{i // FAN:02}") for i in range(FAN**2)]
    sites = [_row(OrganisationKind.SITE, f"S{i:05}", f"B{i * FAN**2 // SITES:03}") for i in range(SITES)]
    ids: dict[str, UUID] = {}
    for batch in (rows, *(sites[i : i + 500] for i in range(0, SITES, 500))):
        done = await service.create_many(Actor(admin), NewOrganisations(tuple(batch), all_or_nothing=True))
        ids |= {row.code: row.organisation.id for row in done.value.rows if row.organisation}
    grown_s = time.perf_counter() - started
    async with owner.engine.connect() as connection:
        await connection.exec_driver_sql("ANALYZE organisation, organisation_link, organisation_closure")
    worker = (await world.member((Role.MONITORING_STAFF, ids["A07"]))).principal
    assert worker is not None
    inside = [ids[s.profile.code] for s in sites if s.parent_code and s.parent_code[1:3] == "14"]
    outside = [ids[s.profile.code] for s in sites if s.parent_code and s.parent_code[1:3] == "30"]
    return Tree(database, service, worker, inside, outside, grown_s)


def _row(kind: OrganisationKind, code: str, parent: str | None) -> NewOrganisation:
    profile = Profile(code=code, name_zh=f"{code} 号厂区", address="安徽省芜湖市")
    return NewOrganisation(kind, profile, None, SINCE, parent_code=parent)


async def measure(tree: Tree) -> dict[str, float]:
    """p99 in ms of each way a check can end, of one indexed statement, and of pages; taken in turns."""
    chance = random.Random(7)

    def check(permission: Permission, nodes: list[UUID], expected: str) -> Callable[[], Awaitable[None]]:
        async def one() -> None:
            async with tree.database.read(tree.worker.tenant_id) as session:
                try:
                    await require(session, tree.worker, permission, chance.choice(nodes))
                    ended = "yes"
                except CodedError as error:
                    ended = error.code.name
            assert ended == expected, ended

        return one

    async def statement() -> None:
        async with tree.database.read(tree.worker.tenant_id) as session:
            await session.scalar(
                "SELECT depth FROM organisation_closure WHERE descendant_id = :node ORDER BY depth DESC LIMIT 1",
                {"node": chance.choice(tree.inside)},
            )

    ways = {
        "yes": check(Permission.EMISSION_RECORD, tree.inside, "yes"),
        "FORBIDDEN": check(Permission.ASSET_MANAGE, tree.inside, "FORBIDDEN"),
        "NOT_FOUND": check(Permission.EMISSION_RECORD, tree.outside, "NOT_FOUND"),
        "absent": check(Permission.EMISSION_RECORD, [uuid7() for _ in range(100)], "NOT_FOUND"),
        "statement": statement,
    }
    times = await _in_turns(ways, CHECKS)
    return times | await _in_turns(_pages(tree), PAGES)


def _pages(tree: Tree) -> dict[str, Callable[[], Awaitable[None]]]:
    somewhere = replace(
        tree.worker, grants=tuple(replace(g, organisation_id=tree.inside[0]) for g in tree.worker.grants)
    )

    def page(
        principal: Principal, wanted: OrganisationFilter, order: OrganisationOrder
    ) -> Callable[[], Awaitable[None]]:
        async def one() -> None:
            found = await tree.service.page(principal, PageRequest(50), wanted, order)
            assert found.rows

        return one

    everything, code, name = OrganisationFilter(), OrganisationOrder.CODE, OrganisationOrder.NAME
    return {
        "page of 1,000 seen": page(tree.worker, everything, code),
        "by name": page(tree.worker, everything, name),
        "search": page(tree.worker, OrganisationFilter(search="S07"), code),
        "page of 1 seen": page(somewhere, everything, code),
    }


async def _in_turns(ways: dict[str, Callable[[], Awaitable[None]]], rounds: int) -> dict[str, float]:
    for work in ways.values():
        for _ in range(20):
            await work()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            await work()
            taken[name].append((time.perf_counter() - started) * 1000)
    return {name: sorted(times)[int(len(times) * 0.99)] for name, times in taken.items()}


if __name__ == "__main__":
    print(run(sys.argv[1]))
