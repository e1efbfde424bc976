"""Fixtures of the accounting tests."""

from __future__ import annotations

import pytest

from tests.fixtures.accounting import Works
from tests.fixtures.world import World


@pytest.fixture
async def works(world: World) -> Works:
    return await Works.create(world)
