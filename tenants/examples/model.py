"""A group as it is loaded: plain rows that name each other by code, whatever files they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A consolidation to run once all is loaded."""

    organisation: str
    from_year: int
    to_year: int
    approach: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """An organisation that came under another parent."""

    organisation: str
    parent: str
    on: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one group. Organisations, sources, lots and accounts are named by code in every row."""

    slug: str
    name: str
    notice: str
    organisations: Sequence[Row] = ()
    moves: Sequence[Move] = ()
    boundaries: Sequence[Row] = ()
    sources: Sequence[Row] = ()
    activity: Sequence[Row] = ()
    declared: Sequence[Row] = ()
    gwp_set: str = "AR5"
    lots: Sequence[Row] = ()
    transfers: Sequence[Row] = ()
    obligations: Sequence[Row] = ()
    exceptions: Sequence[Row] = ()
    consolidations: Sequence[Wanted] = ()
