"""The group that the ledger's tests work with."""

from __future__ import annotations

import pytest

from tests.fixtures.ledger import Group
from tests.fixtures.world import World


@pytest.fixture
async def group(world: World) -> Group:
    return await Group.create(world)
