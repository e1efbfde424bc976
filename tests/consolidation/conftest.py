"""Fixtures of the consolidation tests."""

from __future__ import annotations

import pytest

from tests.fixtures.consolidation import Holding
from tests.fixtures.world import World


@pytest.fixture
async def holding(world: World, database_url: str, empty_queue: None) -> Holding:
    return await Holding.create(world, database_url)
