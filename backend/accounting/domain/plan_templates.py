"""Plans to start from: the rows of Table 3 (8.2.4), bound to the streams of a site that a pack made."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from backend.accounting.domain.monitoring import Direction, Frequency, NewParameter, ParameterKind

PLANS: Final = Path(__file__).parents[1] / "plans"


@dataclass(frozen=True, slots=True)
class StreamThere:
    """A stream of a site, and the unit its activity is kept in."""

    id: UUID
    unit: str


@dataclass(frozen=True, slots=True)
class Unbound:
    """A parameter of a template whose stream the site does not have, or has in another unit; it is read by hand."""

    code: str
    stream: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class TemplateParameter:
    """A parameter of a template."""

    code: str
    name_zh: str
    name_en: str
    unit: str
    kind: ParameterKind = ParameterKind.QUANTITY
    direction: Direction = Direction.INPUT
    lowest: Decimal | None = None
    highest: Decimal | None = None
    partner_code: str | None = None
    tolerance: Decimal | None = None
    stream: str | None = None
    """Source and stream of a pack it is read from: CLINKER.STATIONARY/COAL."""
    only_with_stream: bool = False
    """Whether it is left out where there is no such stream."""


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A row of Table 3, with a parameter for each quantity it names."""

    number: int
    item: str
    data_source: str
    frequency: Frequency
    requirement: str
    proof: str
    parameters: tuple[TemplateParameter, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A plan to start from."""

    code: str
    name_zh: str
    name_en: str
    rows: tuple[TemplateRow, ...]

    def bound(self, streams: Mapping[str, StreamThere]) -> tuple[list[NewParameter], list[Unbound]]:
        """Its parameters, each with the stream it names where that is there in its unit; and those without theirs."""
        made: list[NewParameter] = []
        unbound: list[Unbound] = []
        for row in self.rows:
            for parameter in row.parameters:
                there = streams.get(parameter.stream or "")
                fits = there is not None and there.unit == parameter.unit
                if parameter.only_with_stream and not fits:
                    continue
                if parameter.stream is not None and not fits:
                    unbound.append(Unbound(parameter.code, parameter.stream, there.unit if there else None))
                made.append(_parameter(row, parameter, there.id if there is not None and fits else None))
        return made, unbound


def _parameter(row: TemplateRow, p: TemplateParameter, stream_id: UUID | None) -> NewParameter:
    return NewParameter(
        p.code,
        p.name_zh,
        p.unit,
        row.frequency,
        p.name_en,
        row.number,
        p.kind,
        p.direction,
        stream_id,
        data_source=row.data_source,
        method=row.data_source if p.kind is ParameterKind.QUALITY else "",
        requirement=row.requirement,
        proof=row.proof,
        lowest=p.lowest,
        highest=p.highest,
        partner_code=p.partner_code,
        tolerance=p.tolerance,
    )


@functools.cache
def templates() -> dict[str, Template]:
    """The templates that ship with the product, by code."""
    adapter = TypeAdapter(Template)
    made = [adapter.validate_python(tomllib.loads(f.read_text("utf-8"))) for f in sorted(PLANS.glob("*.toml"))]
    return {template.code: template for template in made}
