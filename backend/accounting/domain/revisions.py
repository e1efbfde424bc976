"""What becomes of the coefficients of a stream when they are derived anew: which stay, which go, which come.

Pure arithmetic of months. A coefficient that says the same for all of its months stays as it is; of one that goes,
the months that do not change are kept as a piece with the same content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from backend.accounting.domain.derivation import Coefficient
from backend.accounting.domain.months import months_between
from backend.accounting.domain.records import Method


@dataclass(frozen=True, slots=True)
class Piece:
    """A coefficient of a stream for months of one year and one class; of a basis, or of the library alone (None)."""

    stream_id: UUID
    method: Method
    first_month: date
    last_month: date
    coefficient: Coefficient
    basis_id: UUID | None = None

    @property
    def months(self) -> list[date]:
        return months_between(self.first_month, self.last_month)

    def says(self, other: Piece | None) -> bool:
        """Whether another piece comes to the same by the same derivation."""
        return other is not None and self.coefficient == other.coefficient


@dataclass(frozen=True, slots=True)
class Kept:
    """A piece that is kept, under its id."""

    id: UUID
    piece: Piece


@dataclass(frozen=True, slots=True)
class Revision:
    """Which kept coefficients are superseded, and which pieces are kept instead."""

    superseded: tuple[UUID, ...] = ()
    made: tuple[Piece, ...] = ()


def revise(kept: Sequence[Kept], wanted: Sequence[Piece], may_change: Callable[[date], bool]) -> Revision:
    """Bring what is kept of one stream, class and year to what is wanted, in the months that may change.

    A month that may not change keeps what it has; one that may has what is wanted, or nothing.
    """
    target = {m: p for p in wanted for m in p.months if may_change(m)}
    target |= {m: k.piece for k in kept for m in k.piece.months if not may_change(m)}
    stay = [k for k in kept if all(k.piece.says(target.get(m)) for m in k.piece.months)]
    covered = {m for k in stay for m in k.piece.months}
    gone = tuple(k.id for k in kept if k not in stay)
    return Revision(gone, tuple(_runs({m: p for m, p in target.items() if m not in covered})))


def _runs(by_month: Mapping[date, Piece]) -> Iterator[Piece]:
    """Months that follow one another and say the same, as one piece."""
    ordered = sorted(by_month)
    groups: list[list[date]] = []
    for month in ordered:
        last = groups[-1][-1] if groups else None
        if last and months_between(last, month) == [last, month] and by_month[last].says(by_month[month]):
            groups[-1].append(month)
        else:
            groups.append([month])
    for group in groups:
        p = by_month[group[0]]
        yield Piece(p.stream_id, p.method, group[0], group[-1], p.coefficient, p.basis_id)
