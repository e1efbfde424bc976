"""Recording obligations inside a unit of work: many at once, in a handful of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.ledger import codes
from backend.ledger.domain.obligations import NewObligation, Obligation
from backend.ledger.domain.refusals import Refusal
from backend.ledger.entries import checked_obligation
from backend.ledger.outcomes import ObligationOutcome
from backend.ledger.repository import names, obligations
from tenants.access import Permission
from tenants.commands import Change, Changed

_UNRECORDED: Final = datetime.min.replace(tzinfo=UTC)


async def record_obligations(change: Change, given: Sequence[NewObligation]) -> list[ObligationOutcome]:
    """Each judged after those before it; one of the same period is superseded. The lock on obligations is held.

    Errors per row: OBLIGATION_OVERLAP, BAD_YEAR, BAD_OBLIGATION_PERIOD, BAD_TONNES, UNKNOWN_MARKET, FORBIDDEN,
    NOT_FOUND.
    """
    checked = [_checked(new) for new in given]
    at = {new.organisation_id for new in checked if isinstance(new, NewObligation)}
    refused = await change.refusals(Permission.ASSET_MANAGE, at)
    known = await names.organisations(change.unit, at)
    ledger = _InForce(await obligations.in_force(change.unit, at))
    outcomes: list[UUID | CodedError] = []
    for new in checked:
        if isinstance(new, CodedError):
            outcomes.append(new)
        elif new.organisation_id in refused:
            outcomes.append(refused[new.organisation_id])
        elif new.organisation_id not in known:
            outcomes.append(not_found("Organisation", new.organisation_id, "organisationId"))
        else:
            outcomes.append(ledger.put(new))
    made = await obligations.record(change.unit, ledger.new, ledger.superseded) if ledger.new else {}
    changes = [Changed(o.id, o.organisation_id, ledger.before.get(o.id), o) for o in made.values()]
    if changes:
        await change.audit_all("Obligation", changes)
    return [
        ObligationOutcome(refusal=Refusal.of(o)) if isinstance(o, CodedError) else ObligationOutcome(made[o])
        for o in outcomes
    ]


def _checked(new: NewObligation) -> NewObligation | CodedError:
    try:
        return checked_obligation(new)
    except CodedError as error:
        return error


@dataclass(slots=True)
class _InForce:
    """What is in force of each organisation, as rows are put on top."""

    standing: dict[UUID, list[Obligation]]
    new: dict[UUID, NewObligation] = field(default_factory=dict)
    superseded: dict[UUID, UUID] = field(default_factory=dict)
    before: dict[UUID, Obligation] = field(default_factory=dict)

    def put(self, new: NewObligation) -> UUID | CodedError:
        """The id of the obligation now in force, or why another period is in the way."""
        own = self.standing.setdefault(new.organisation_id, [])
        for there in own:
            if (there.from_year, there.to_year) == (new.from_year, new.to_year):
                continue
            if there.from_year <= new.to_year and new.from_year <= there.to_year:
                return codes.OBLIGATION_OVERLAP(path=("fromYear",), first=there.from_year, last=there.to_year)
        key = uuid7()
        for there in [o for o in own if (o.from_year, o.to_year) == (new.from_year, new.to_year)]:
            own.remove(there)
            self.superseded[there.id] = key
            self.before[key] = there
        own.append(
            Obligation(
                key, new.organisation_id, new.from_year, new.to_year, new.tonnes, new.source, _UNRECORDED,
                market=new.market,
            )
        )  # fmt: skip
        self.new[key] = new
        return key
