"""What the bulk calls share: rows judged one by one, the reach of the caller, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

from backend.accounting.domain.inventories import PERIOD_LOCKED
from backend.accounting.domain.records import Period
from backend.accounting.domain.sources import EmissionSource
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import sources as source_rows
from backend.kit.database import ReadSession, RollBack
from backend.kit.errors import NOT_FOUND, CodedError, invalid, not_found
from tenants.access import Permission
from tenants.commands import Change, Done, Refused

MOST_ROWS: Final = 1000

BATCH_SIZE = invalid(
    "BATCH_SIZE",
    en="A call takes 1 to {most} rows; this one has {given}. Split it.",
    zh="每次调用可含 1 至 {most} 行，收到 {given} 行，请拆分。",
)

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
Errors = dict[int, CodedError]


def read_apart(new: Sequence[A | Refused]) -> tuple[dict[int, A], Errors]:
    """The rows that could be read, and the errors of those that could not, each under its position."""
    read = {i: row for i, row in enumerate(new) if not isinstance(row, Refused)}
    return read, {i: row.error() for i, row in enumerate(new) if isinstance(row, Refused)}


def sift(rows: Mapping[int, A], check: Callable[[A], B], errors: Errors) -> dict[int, B]:
    """What `check` makes of each row; where it raises, the error goes to `errors` under the row's position."""
    passed: dict[int, B] = {}
    for position, row in rows.items():
        try:
            passed[position] = check(row)
        except CodedError as error:
            errors[position] = error
    return passed


def check_size(rows: int) -> None:
    """Errors: BATCH_SIZE."""
    if not 1 <= rows <= MOST_ROWS:
        raise BATCH_SIZE(path=("rows",), given=rows, most=MOST_ROWS)


def refused_rows(errors: Errors) -> dict[int, Refused]:
    """As they are kept and shown: the path counted from the whole input."""
    return {i: Refused.of(error.at("rows", str(i))) for i, error in errors.items()}


def stop_if_refused(errors: Errors, all_or_nothing: bool, answer: Callable[[], T]) -> None:
    """When all or nothing was asked and a row is refused: undo, forget the key, and answer with the refusals."""
    if errors and all_or_nothing:
        raise RollBack(Done(answer()))


async def reach_sources(
    change: Change, permission: Permission, wanted: Iterable[UUID]
) -> Callable[[UUID], EmissionSource]:
    """Look up sources and the caller's right to each at once.

    The function returned gives a source or raises NOT_FOUND (absent or out of reach: no telling which), FORBIDDEN.
    """
    found = await source_rows.sources(change.unit, sorted(set(wanted)))
    verdicts = await change.refusals(permission, sorted({s.organisation_id for s in found.values()}))

    def look_up(key: UUID) -> EmissionSource:
        source = found.get(key)
        verdict = verdicts.get(source.organisation_id) if source else None
        if source is None or (verdict is not None and verdict.code is NOT_FOUND):
            raise not_found("EmissionSource", key, "sourceId")
        if verdict is not None:
            raise verdict
        return source

    return look_up


class Sourced(Protocol):
    """A record of a source."""

    @property
    def source_id(self) -> UUID: ...


R = TypeVar("R", bound=Sourced)


async def reach_record(
    change: Change, permission: Permission, what: str, key: UUID, found: R | None
) -> tuple[R, EmissionSource]:
    """A record and its source, if the caller has the right there. Errors: NOT_FOUND (naming the record), FORBIDDEN."""
    look_up = await reach_sources(change, permission, [found.source_id] if found else [])
    absent = not_found(what, key, "id")
    if found is None:
        raise absent
    try:
        return found, look_up(found.source_id)
    except CodedError as error:
        raise (absent if error.code is NOT_FOUND else error) from None


async def refuse_locked(session: ReadSession, spans: Mapping[int, tuple[UUID, Period]]) -> Errors:
    """Which rows (organisation, period) lie in a period whose inventory is frozen. Errors per row: PERIOD_LOCKED."""
    frozen = await inventory_rows.frozen(session, list({organisation for organisation, _ in spans.values()}))
    return {
        i: PERIOD_LOCKED(path=("month",), period=found.period, state=found.state)
        for i, (organisation, period) in spans.items()
        for found in frozen
        if found.organisation_id == organisation
        and found.first_month <= period.last_month
        and period.first_month < found.after
    }


def common_organisation(sources: Sequence[EmissionSource]) -> UUID | None:
    """The organisation a batch is about, for the audit trail; None when it is about several."""
    owners = {s.organisation_id for s in sources}
    return owners.pop() if len(owners) == 1 else None
