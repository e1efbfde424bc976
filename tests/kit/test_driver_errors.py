"""Statements on the driver itself are retried and coded like all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from backend.kit.database import ATTEMPTS, Database, UnitOfWork
from backend.kit.errors import CodedError


def failing(state: str, times: int, tries: list[int]) -> Callable[[UnitOfWork], Awaitable[str]]:
    """A unit of work whose first `times` attempts end with an SQLSTATE, raised on the driver."""

    async def work(unit: UnitOfWork) -> str:
        tries.append(1)
        driver = await unit.driver()
        if len(tries) <= times:
            await driver.execute(f"DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = '{state}'; END $$")
        return "done"

    return work


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_writers_who_met_try_again(database: Database, state: str) -> None:
    tries: list[int] = []
    assert await database.write(None, failing(state, 2, tries)) == "done"
    assert len(tries) == 3


@pytest.mark.parametrize(("state", "code"), [("40P01", "BUSY"), ("55P03", "TIMEOUT"), ("TH001", "TENANT_SUSPENDED")])
async def test_giving_up_is_coded(database: Database, state: str, code: str) -> None:
    with pytest.raises(CodedError) as refused:
        await database.write(None, failing(state, ATTEMPTS, []))
    assert refused.value.code.name == code
