"""Accounts, lots, obligations, and what the rest of the house reads of the ledger. `posting.py` moves units."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from backend.ledger import codes
from backend.ledger.accounts.codes import ACCOUNT_NOT_OPEN
from backend.ledger.accounts.domain import AccountState
from backend.ledger.compliance.domain import year_remarks
from backend.ledger.domain.accounts import HOLDING, Account, AccountRef, NewAccount
from backend.ledger.domain.balances import Balance, HeldAsset, UsedAsset
from backend.ledger.domain.lots import AssetClass, Lot, NewLot, Origin
from backend.ledger.domain.obligations import NewObligation, Obligation, ObligationOf
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import Transfer, TransferFilter, TransferKind, Use
from backend.ledger.effects import Pair
from backend.ledger.entries import checked_account, checked_lot
from backend.ledger.orders import check_filter
from backend.ledger.outcomes import Issued, LotOutcome, Recorded, settled
from backend.ledger.owing import record_obligations
from backend.ledger.posting import require_manager
from backend.ledger.projects.codes import LOTS_COME_FROM_CLAIMS
from backend.ledger.repository import closings, holdings, names, obligations, posting, transfers
from backend.ledger.repository.posting import LotRefused
from backend.ledger.rulebook.domain import RuleKind, rulebook
from backend.ledger.rulebook.repository import not_open, remember
from backend.ledger.rulebook.service import without_paper, without_vintage
from backend.ledger.values import check_size, scheme_code
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform


@dataclass(frozen=True, slots=True)
class LotBatch:
    """Lots that are issued together."""

    lots: tuple[NewLot, ...]
    all_or_nothing: bool = False


@dataclass(frozen=True, slots=True)
class ObligationBatch:
    """Obligations that are recorded together."""

    obligations: tuple[NewObligation, ...]
    all_or_nothing: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where an organisation stands: what it holds today, what was used for a year, what it owes by that year."""

    organisation_id: UUID
    year: int
    held: Sequence[HeldAsset]
    used: Sequence[UsedAsset]
    obligation: Obligation | None

    @property
    def shortfall_t(self) -> Decimal | None:
        """Tonnes still to surrender; None without an obligation."""
        if self.obligation is None:
            return None
        surrendered = sum(u.quantity_t for u in self.used if u.use is Use.SURRENDERED)
        return max(self.obligation.tonnes - surrendered, Decimal(0))


class LedgerReader:
    """What consolidation reads. No permission is asked for: the caller is a job, or has asked itself."""

    @staticmethod
    async def used(
        session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
    ) -> Sequence[UsedAsset]:
        """Units used for these organisations and years, net of reversals, by transfer and lot (8.4.1)."""
        return await holdings.used(session, organisation_ids, from_year, to_year)

    @staticmethod
    async def held(session: ReadSession, organisation_ids: Sequence[UUID], as_of: date) -> Sequence[HeldAsset]:
        """Units in their accounts at the end of a day, by lot."""
        return await holdings.held(session, organisation_ids, as_of)

    @staticmethod
    async def obligations(
        session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
    ) -> Sequence[ObligationOf]:
        """Obligations in force that fall due by these years: a period is named by its last year."""
        return await obligations.of_years(session, organisation_ids, from_year, to_year)


class LedgerService:
    """Accounts, lots and obligations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def open_account(self, actor: Actor, new: NewAccount) -> Done[Account]:
        """Open an account of an organisation. Errors: FORBIDDEN, NOT_FOUND, ACCOUNT_CODE_TAKEN, MISSING_TEXT."""
        new = checked_account(new)

        async def work(change: Change) -> Account:
            await change.require(Permission.ASSET_MANAGE, new.organisation_id)
            await must_exist(change, new.organisation_id)
            account = await names.insert_account(change.unit, new)
            await change.audit("AssetAccount", account.id, new.organisation_id, after=account)
            return account

        return await perform(self.toolbox, actor, "createAssetAccount", new, Account, work)

    async def issue(self, actor: Actor, batch: LotBatch) -> Done[Issued]:
        """Issue up to 500 lots, each judged on its own; all or nothing when asked. Errors: TOO_MANY_ROWS; per row
        LOT_ALREADY_ISSUED, LOTS_COME_FROM_CLAIMS, SERIAL_OVERLAP, SERIAL_LENGTH, ORIGIN_DOES_NOT_FIT,
        CLASS_DOES_NOT_FIT, YEAR_NOT_ALLOCATED, UNKNOWN_ACCOUNT, TEXT_TOO_LONG, FORBIDDEN, …
        """
        check_size(len(batch.lots), "lots")

        async def work(change: Change) -> Issued:
            claimed = await names.projects_named(change.unit, {tidy(lot.project) for lot in batch.lots if lot.project})
            rows = await self.issue_within(change, batch.lots, claimed)
            return settled(rows, Issued, all_or_nothing=batch.all_or_nothing)

        return await perform(self.toolbox, actor, "issueLots", batch, Issued, work)

    async def issue_one(self, change: Change, new: NewLot, day_asked_as: str) -> Lot:
        """Issue a lot in a unit of work that is open, whose day the caller knows by another name.

        Errors: those of issuing.
        """
        (row,) = await self.issue_within(change, [new])
        if row.refusal is not None:
            error = row.refusal.error()
            of_day = error.path in {("issuedOn",), ("effectiveOn",)}
            raise CodedError(error.code, (day_asked_as,) if of_day else error.path, error.params)
        assert row.lot is not None, "what was not refused was issued"
        return row.lot

    async def issue_within(
        self, change: Change, lots: Sequence[NewLot], claimed: AbstractSet[str] = frozenset()
    ) -> list[LotOutcome]:
        """Issue lots in a unit of work that is open, each judged on its own; those of projects that are `claimed` of
        are refused.
        """
        rows: list[LotOutcome] = [LotOutcome()] * len(lots)
        sound: list[tuple[int, NewLot]] = []
        bare: dict[int, tuple[Refusal, ...]] = {}
        closed = await closings.closed_through(change.unit)
        for index, new in enumerate(lots):
            try:
                checked = checked_lot(new)
                self._check_days(checked, closed)
                if checked.project in claimed:
                    raise LOTS_COME_FROM_CLAIMS(path=("project",), project=checked.project)
                await require_manager(change, checked.issued_to)
                _check_market(checked)
                bare[index] = _remarks(checked)
                sound.append((index, checked))
            except CodedError as error:
                rows[index] = LotOutcome(refusal=Refusal.of(error))
        accounts = await _receiving_accounts(change, [new for _, new in sound])
        shut = await not_open(change.unit, [a.id for a in accounts.values()]) if accounts else {}
        for index, new in sound:
            barred = _not_received(new, accounts.get(_receiver(new)), shut)
            if barred is not None:
                rows[index] = LotOutcome(refusal=Refusal.of(barred))
        sound = [(index, new) for index, new in sound if rows[index].refusal is None]
        made = [_lot(new) for _, new in sound]
        into = [accounts[_receiver(new)] for _, new in sound]
        papers, days = [new.evidence for _, new in sound], [new.entered_on for _, new in sound]
        refused = await posting.issue(change, made, into, papers, days) if made else []
        for (index, _), lot in zip(sound, made, strict=True):
            rows[index] = LotOutcome(lot=lot, remarks=bare.get(index, ()))
        for refusal in refused:
            index, new = sound[refusal.index]
            rows[index] = LotOutcome(refusal=Refusal.of(_lot_refused(new, refusal)))
        await remember(change.unit, {r.lot.issued_by: r.remarks for r in rows if r.lot is not None})
        return rows

    def _check_days(self, new: NewLot, closed: date | None) -> None:
        """Errors: EFFECTIVE_BEFORE_ISSUE, EFFECTIVE_IN_FUTURE, PERIOD_CLOSED."""
        today, day = self.toolbox.clock.today(), new.entered_on
        for path, to_come in (("issuedOn", new.issued_on), ("effectiveOn", day)):
            if to_come > today:
                raise codes.EFFECTIVE_IN_FUTURE(path=(path,), effective_on=to_come, today=today)
        if day < new.issued_on:
            named = f"{new.scheme} {new.issue_reference}"
            raise codes.EFFECTIVE_BEFORE_ISSUE(
                path=("effectiveOn",), lot=named, issued_on=new.issued_on, effective_on=day
            )
        if closed is not None and day <= closed:
            raise codes.PERIOD_CLOSED(path=("effectiveOn",), through=closed, day=day)

    async def set_obligations(self, actor: Actor, batch: ObligationBatch) -> Done[Recorded]:
        """Record up to 500 obligations; one of the same period is superseded. Errors: TOO_MANY_ROWS; per row
        OBLIGATION_OVERLAP, BAD_YEAR, BAD_OBLIGATION_PERIOD, BAD_TONNES, FORBIDDEN, NOT_FOUND.
        """
        check_size(len(batch.obligations), "obligations")

        async def work(change: Change) -> Recorded:
            await obligations.lock(change.unit)
            rows = await record_obligations(change, batch.obligations)
            return settled(rows, Recorded, all_or_nothing=batch.all_or_nothing)

        return await perform(self.toolbox, actor, "setObligations", batch, Recorded, work)

    async def set_obligation(self, actor: Actor, new: NewObligation) -> Done[Obligation]:
        """Record one obligation. Errors: as `set_obligations`."""

        async def work(change: Change) -> Obligation:
            await obligations.lock(change.unit)
            (row,) = await record_obligations(change, [new])
            if row.refusal is not None:
                raise row.refusal.error()
            assert row.obligation is not None, "what was not refused was recorded"
            return row.obligation

        return await perform(self.toolbox, actor, "setObligation", new, Obligation, work)

    async def accounts(self, principal: Principal, request: PageRequest, organisation_id: UUID | None) -> Page[Account]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.page_of_accounts(session, principal, request, organisation_id)

    async def balances(
        self, principal: Principal, account_ids: Sequence[UUID], request: PageRequest
    ) -> dict[UUID, Page[Balance]]:
        """What rests in accounts, by lot. The accounts are ones the caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.pages_of_balances(session, account_ids, request)

    async def lots(
        self,
        principal: Principal,
        request: PageRequest,
        organisation_id: UUID | None,
        asset_class: AssetClass | None,
        scheme: str | None,
    ) -> Page[Lot]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.page_of_lots(
                session, principal, request, organisation_id, asset_class, scheme and scheme_code(scheme)
            )

    async def transfers(self, principal: Principal, request: PageRequest, wanted: TransferFilter) -> Page[Transfer]:
        """Errors: INVALID_INPUT."""
        check_filter(wanted)
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await transfers.page_of_transfers(session, principal, request, wanted)

    async def obligations(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None
    ) -> Page[Obligation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await obligations.page(session, principal, request, organisation_id)

    async def position(self, principal: Principal, organisation_id: UUID, year: int) -> Position:
        """Errors: FORBIDDEN, NOT_FOUND."""
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            if not await names.organisations(session, [organisation_id]):
                raise not_found("Organisation", organisation_id)
            owed = await obligations.of_years(session, [organisation_id], year, year)
            full = await obligations.by_ids(session, [o.id for o in owed], principal)
            return Position(
                organisation_id=organisation_id,
                year=year,
                held=await LedgerReader.held(session, [organisation_id], self.toolbox.clock.today()),
                used=await LedgerReader.used(session, [organisation_id], year, year),
                obligation=full[owed[0].id] if owed else None,
            )

    async def accounts_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Account]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.accounts(session, keys, principal)

    async def lots_by_ids(self, principal: Principal, keys: Sequence[UUID], *, shown: bool = False) -> dict[UUID, Lot]:
        """Lots the caller may read; `shown`: lots of transfers or balances that the caller was shown already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.lots(session, keys, None if shown else principal)

    async def parties(self, principal: Principal, keys: Collection[UUID]) -> dict[UUID, Account]:
        """Accounts of balances that the caller was shown."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.accounts(session, keys)

    async def reserved(self, principal: Principal, pairs: Collection[Pair]) -> dict[Pair, int]:
        """What is set aside of balances that the caller was shown, in tonnes."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await holdings.reserved(session, pairs)

    async def transfers_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Transfer]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await transfers.transfers(session, keys, principal)

    async def obligations_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Obligation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await obligations.by_ids(session, keys, principal)


def _receiver(new: NewLot) -> AccountRef:
    return AccountRef(organisation_id=new.issued_to, code=new.account_code)


def _remarks(new: NewLot) -> tuple[Refusal, ...]:
    """What there is to say of a lot that is issued all the same. Errors: NO_EVIDENCE, where a rule binds."""
    remarks = () if new.evidence else without_paper(TransferKind.ISSUE, new.entered_on)
    if new.asset_class is AssetClass.ALLOWANCE and new.vintage is None:
        remarks += without_vintage(new.scheme)
    return remarks


def _check_market(new: NewLot) -> None:
    """A scheme that is known issues what it issues, and a market that names the years it allocates for names them all.

    Errors: CLASS_DOES_NOT_FIT, YEAR_NOT_ALLOCATED.
    """
    classes = rulebook().classes(new.scheme)
    if classes and new.asset_class not in classes:
        raise codes.CLASS_DOES_NOT_FIT(
            path=("assetClass",), scheme=new.scheme, asset_class=new.asset_class, fitting=classes
        )
    market = rulebook().market_of(new.scheme)
    if market is not None and new.origin is Origin.ALLOCATED and new.vintage is not None:
        years = tuple(rulebook().rules(market, kind=RuleKind.ALLOCATION_YEARS))
        if years:
            year_remarks(market, new.vintage, years, "vintage")


async def _receiving_accounts(change: Change, lots: Sequence[NewLot]) -> Mapping[AccountRef, Account]:
    refs = {_receiver(new) for new in lots}
    found = (await names.look_up(change.unit, refs)).accounts
    to_open = [ref for ref in refs if ref not in found and ref.code == HOLDING]
    if to_open:
        await names.open_holding_accounts(change.unit, to_open)
        found = (await names.look_up(change.unit, refs)).accounts
    return found


def _lot(new: NewLot) -> Lot:
    return Lot(
        id=uuid7(),
        asset_class=new.asset_class,
        scheme=new.scheme,
        issue_reference=new.issue_reference,
        vintage=new.vintage,
        project=new.project,
        quantity_t=new.quantity_t,
        origin=new.origin,
        issued_to=new.issued_to,
        issued_on=new.issued_on,
        serial=new.serial,
        issued_by=uuid7(),
    )


def _not_received(new: NewLot, account: Account | None, shut: Mapping[UUID, AccountState]) -> CodedError | None:
    if account is None:
        return codes.UNKNOWN_ACCOUNT(path=("accountCode",), account=str(_receiver(new)))
    if account.id in shut:
        return ACCOUNT_NOT_OPEN(path=("accountCode",), account=account.named, state=shut[account.id])
    return None


def _lot_refused(new: NewLot, refused: LotRefused) -> CodedError:
    if refused.code == codes.SERIAL_OVERLAP.name and new.serial is not None:
        return codes.SERIAL_OVERLAP(
            path=("serial",),
            prefix=new.serial.prefix,
            first=new.serial.first,
            last=new.serial.last,
            reference=refused.other,
        )
    return codes.LOT_ALREADY_ISSUED(path=("issueReference",), scheme=new.scheme, reference=new.issue_reference)


async def must_exist(change: Change, organisation_id: UUID) -> None:
    """Refuse (NOT_FOUND) an organisation that the tenant does not have."""
    if not await names.organisations(change.unit, [organisation_id]):
        raise not_found("Organisation", organisation_id, "organisationId")
