"""THE list: one entry per slice. The schema, the worker and alembic read it; nothing else lists slices.

A slice offers, by convention, the modules `tables`, `graphql` and `jobs`; an entry names those it has.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from sqlalchemy import MetaData

from backend.kit.tables import METADATA


@dataclass(frozen=True, slots=True)
class Capability:
    """A slice and the modules by which the rest of the house reaches it."""

    package: str
    tables: bool = True
    graphql: bool = True
    jobs: bool = False


CAPABILITIES: Final = (
    Capability("backend.kit.jobs", graphql=False, jobs=True),
    Capability("tenants"),
    Capability("tenants.work", tables=False),
    Capability("backend.identity"),
    Capability("backend.evidence"),
    Capability("backend.accounting", jobs=True),
    Capability("backend.ledger"),
    Capability("backend.ledger.reservations", jobs=True),
    Capability("backend.ledger.offsets", jobs=True),
    Capability("backend.ledger.cuts"),
    Capability("backend.ledger.history", jobs=True),
    Capability("backend.ledger.integrity", tables=False),
    Capability("backend.ledger.reminders", jobs=True),
    Capability("backend.ledger.exceptions"),
    Capability("backend.ledger.entitlements", tables=False),
    *(Capability(f"backend.ledger.{part}") for part in ("rulebook", "accounts", "compliance", "trades", "projects")),
    Capability("backend.consolidation", jobs=True),
)


def modules(name: str) -> Iterator[ModuleType]:
    """The modules called `name` (tables, graphql, jobs) of all slices that have one."""
    for capability in CAPABILITIES:
        if getattr(capability, name):
            yield importlib.import_module(f"{capability.package}.{name}")


def metadata() -> MetaData:
    """Every table of every slice, for alembic and for the tests that walk the tables."""
    for _ in modules("tables"):
        pass
    return METADATA
