"""GraphQL inputs that say which units go from where to where."""

from __future__ import annotations

from uuid import UUID

import strawberry

from backend.kit.errors import INVALID_INPUT
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import input_type
from backend.ledger.domain.accounts import HOLDING, AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import LegOrder


@input_type
class LotRefInput:
    """A lot by its id, or by scheme and issue reference."""

    id: strawberry.ID | None = None
    """Id of the lot."""
    scheme: str | None = None
    """Scheme, for example CEA."""
    issue_reference: str | None = None
    """Issue reference in that scheme."""

    def ref(self, *path: str) -> LotRef:
        named = bool(self.scheme or self.issue_reference)
        if self.id is not None and not named:
            return LotRef(id=key_of(self.id, "AssetLot", *path, "id"))
        if self.id is not None or not self.scheme or not self.issue_reference:
            raise INVALID_INPUT(
                path=path,
                reason="Name the lot in one way: by its id, or by scheme and issueReference.",
                reason_zh="请以一种方式指定批次：以 id，或以 scheme 与 issueReference。",
            )
        return LotRef(scheme=self.scheme, issue_reference=self.issue_reference)


@input_type
class AccountRefInput:
    """An account by its id, or by organisation and code; or the market outside."""

    id: strawberry.ID | None = None
    """Id of the account."""
    organisation_id: strawberry.ID | None = None
    """Organisation it belongs to."""
    code: str = HOLDING
    """Its code; the default account HOLDING is opened on first use."""
    market: bool = False
    """The market outside instead: what is sold goes there, what is bought back comes from there."""

    def ref(self, *path: str) -> AccountRef:
        if [self.market, self.id is not None, self.organisation_id is not None].count(True) != 1:
            raise INVALID_INPUT(
                path=path,
                reason="Name the account in one way: by its id, by organisationId and code, or as the market.",
                reason_zh="请以一种方式指定账户：以 id，以 organisationId 与 code，或以 market。",
            )
        if self.id is not None:
            return AccountRef(id=key_of(self.id, "AssetAccount", *path, "id"))
        if self.organisation_id is not None:
            owner = organisation(self.organisation_id, *path, "organisationId")
            return AccountRef(organisation_id=owner, code=self.code)
        return AccountRef(market=True)


@input_type
class SerialRangeInput:
    """Consecutive serial numbers of a lot, both ends included."""

    first: Tonnes
    """First number."""
    last: Tonnes
    """Last number."""


@input_type
class UsedLegInput:
    """Units of one lot to use up."""

    lot: LotRefInput
    """The lot."""
    quantity: Tonnes
    """Units, whole tonnes."""
    source: AccountRefInput
    """Account they rest in."""
    serials: SerialRangeInput | None = None
    """Just these units, as many as the quantity: they are cut out of the lot, which rests wholly and free in the
    account, in the same step (拆分)."""
    expected_version: str | None = None
    """Version of the balance of the lot in that account on which this was decided; nothing moves if it has moved on."""

    def order(self, *path: str) -> LegOrder:
        return self._order(path, None, None)

    def _order(
        self, path: tuple[str, ...], destination: AccountRefInput | None, expected_there: str | None
    ) -> LegOrder:
        return LegOrder(
            self.lot.ref(*path, "lot"),
            self.quantity,
            self.source.ref(*path, "source"),
            destination.ref(*path, "destination") if destination else None,
            _version(self.expected_version, *path, "expectedVersion"),
            _version(expected_there, *path, "expectedDestinationVersion"),
            (int(self.serials.first), int(self.serials.last)) if self.serials else None,
        )


@input_type
class MovedLegInput(UsedLegInput):
    """Units of one lot to move."""

    destination: AccountRefInput
    """Account they go to."""
    expected_destination_version: str | None = None
    """The same for the balance of the lot in the account they go to."""

    def order(self, *path: str) -> LegOrder:
        return self._order(path, self.destination, self.expected_destination_version)


@input_type
class PostedLegInput(UsedLegInput):
    """Units of one lot to move or to use up."""

    destination: AccountRefInput | None = None
    """Account they go to: for TRANSFER only."""
    expected_destination_version: str | None = None
    """The same for the balance of the lot in the account they go to."""

    def order(self, *path: str) -> LegOrder:
        return self._order(path, self.destination, self.expected_destination_version)


def organisation(value: str, *path: str) -> UUID:
    """The key of an organisation's id. Errors: INVALID_ID."""
    return key_of(value, "Organisation", *path)


def _version(value: str | None, *path: str) -> UUID | None:
    try:
        return None if value is None else UUID(value)
    except ValueError:
        raise INVALID_INPUT(
            path=path,
            reason="A version is given as it was read with the balance.",
            reason_zh="版本须为读取余额时所得的值。",
        ) from None
