"""Whatever value a client sends, no root field fails inside: it does what was asked, or refuses by a code."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
import pytest

from schema.build import build_schema, core
from tenants.access import Role
from tests.fixtures import documents
from tests.fixtures.documents import Operation, fitting_id, operations
from tests.fixtures.group import fill, ids_of
from tests.fixtures.world import World

SCHEMA: Final = core(build_schema())
INTERNAL: Final = re.compile(rb'"code":"INTERNAL"')
ODD: Final[dict[str, tuple[Any, ...]]] = {
    "String": ("", " \t\u3000", "x" * 5000, "\u202e９９９😀%_\\'\";--", "NaN", "Infinity", "nul\0"),
    "Int": (0, -1, 2**31 - 1, -(2**31)),
    "Decimal": ("0", "-1", "1e30", "0." + "9" * 57, "NaN", "1e-30"),
    "Tonnes": ("0", "-1", "9000000000000000000", "9" * 40),
    "Date": ("0001-01-01", "1000-01-01", "9998-12-31", "9999-12-31"),
    "Month": ("0000-01", "1000-01", "9998-12"),
    "DateTime": ("0001-01-01T00:00:00+14:00", "1000-01-01T00:00:00Z", "9998-12-31T23:59:59Z"),
}


def odd_operations(kind: str, value: Any, ids: dict[str, list[str]], patch: pytest.MonkeyPatch) -> list[Operation]:
    """Those that take a value of this kind, with this one in all its places."""

    def made() -> list[Operation]:
        return list(operations(SCHEMA, lambda owner, name: fitting_id(ids, owner, name)))

    usual = made()
    patch.setitem(documents.SAMPLES, kind, value)
    if kind == "String":
        patch.setattr(documents, "FITTING", {"directKind": "STATIONARY", "TransferInput.kind": "TRANSFER"})
    return [odd for odd, other in zip(made(), usual, strict=True) if odd.variables != other.variables]


async def test_no_value_breaks_a_field(world: World, empty_queue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(world)
    ids = await ids_of(world)
    caller = await world.member(*[(role, None) for role in Role if role is not Role.OVERALL_LEAD])
    tried, broken = 0, []
    for kind, value in ((kind, value) for kind, values in ODD.items() for value in values):
        with monkeypatch.context() as patch:
            for operation in odd_operations(kind, value, ids, patch):
                response = await caller.run(operation.document, **operation.variables)
                tried += 1
                if INTERNAL.search(orjson.dumps(response.body())):
                    broken.append((operation.field, kind, value))
    assert broken == []
    assert tried > 200
