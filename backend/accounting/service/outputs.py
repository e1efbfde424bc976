"""Use cases on product outputs, and intensities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.explain import checked_year
from backend.accounting.domain.outputs import (
    OUTPUT_TAKEN,
    OUTPUT_UNIT,
    Intensity,
    IntensityQuestion,
    NewOutput,
    OutputChange,
    ProductOutput,
    canonical_output,
    intensities,
)
from backend.accounting.domain.records import ALREADY_SUPERSEDED, checked_month, checked_reason, when_superseded
from backend.accounting.repository import outputs as rows
from backend.accounting.repository.outputs import OUTPUTS
from backend.accounting.service.batches import check_size
from backend.accounting.service.reach import reach
from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import global_id, uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Changed, Done, perform


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was recorded by one call."""

    made: tuple[ProductOutput, ...]


class OutputService:
    """What organisations, units and devices produce, and emit per unit of it."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(self, actor: Actor, new: Sequence[NewOutput]) -> Done[Outputs]:
        """Record up to 1000 outputs, all or none.

        Errors: BATCH_SIZE, NOT_FOUND, FORBIDDEN, MONTH_OUT_OF_RANGE, BAD_OUTPUT, NUMBER_OUT_OF_RANGE, OUTPUT_UNIT,
        OUTPUT_TAKEN.
        """
        check_size(len(new))

        async def work(change: Change) -> Outputs:
            verdicts = await change.refusals(Permission.EMISSION_RECORD, {n.organisation_id for n in new})
            made = []
            for i, row in enumerate(new):
                if row.organisation_id in verdicts:
                    raise verdicts[row.organisation_id].at("rows", str(i), "organisationId")
                try:
                    made.append(await self._checked(change, row))
                except CodedError as error:
                    raise error.at("rows", str(i)) from None
            _refuse_mixed_units(made)
            await self._keep(change, made)
            return Outputs(tuple(made))

        return await perform(self.toolbox, actor, "recordProductOutputs", list(new), Outputs, work)

    async def _checked(self, change: Change, new: NewOutput) -> ProductOutput:
        checked_month(new.month, self.toolbox.clock.today(), "month")
        row, key = canonical_output(new), uuid7()
        known = await rows.units_of_product(change.unit, [row.organisation_id], row.product)
        if known and row.unit not in known:
            raise OUTPUT_UNIT(path=("unit",), product=row.product, unit=", ".join(known), written=new.unit[:40])
        return ProductOutput(
            key, key, row.organisation_id, row.unit_id, row.device_id, row.product, row.month, row.quantity,
            row.unit, row.evidence, row.note, self.toolbox.clock.now(),
        )  # fmt: skip

    @staticmethod
    async def _keep(change: Change, made: Sequence[ProductOutput]) -> None:
        first = made[0]

        def taken() -> CodedError:
            return OUTPUT_TAKEN(path=("rows",), product=first.product, month=f"{first.month:%Y-%m}")

        def absent(what: str, keys: Iterable[UUID | None]) -> CodedError:
            # The database tells what is absent, not of which row.
            given = dict.fromkeys(key for key in keys if key)
            return not_found(what, " / ".join(global_id(what, key) for key in given), "rows")

        codes = {
            "product_output_once": taken,
            "product_output_unit": lambda: absent("EmissionUnit", (m.unit_id for m in made)),
            "product_output_device": lambda: absent("EmissionDevice", (m.device_id for m in made)),
            "product_output_tenant_id_organisation_id_fkey": lambda: absent(
                "Organisation", (m.organisation_id for m in made)
            ),
        }
        await OUTPUTS.insert(change.unit, made, codes, recorded_by=change.actor.principal.member_id)
        await change.audit_all("ProductOutput", [Changed(m.id, m.organisation_id, after=m) for m in made])

    async def supersede(
        self, actor: Actor, key: UUID, reason: str, changed: OutputChange | None
    ) -> Done[ProductOutput]:
        """Replace an output by a new version, or (without a change) withdraw it; the old one stays readable.

        Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED, REASON_MISSING, BAD_OUTPUT.
        """

        async def work(change: Change) -> ProductOutput:
            because = checked_reason(reason)
            found = (await OUTPUTS.by_ids(change.unit, [key], lock=True)).get(key)
            old = await reach(change, Permission.EMISSION_RECORD, "ProductOutput", key, found)
            if old.superseded_at or not await OUTPUTS.supersede(change.unit, key, because):
                raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(old.superseded_at))
            if changed is None:
                gone = (await OUTPUTS.by_ids(change.unit, [key]))[key]
                await change.audit("ProductOutput", key, old.organisation_id, before=old, after=gone)
                return gone
            made = replace(_changed(old, changed), id=uuid7(), recorded_at=self.toolbox.clock.now())
            await self._keep(change, [made])
            return made

        body = {"id": key, "reason": reason, "change": changed}
        return await perform(self.toolbox, actor, "supersedeProductOutput", body, ProductOutput, work)

    async def page(
        self, principal: Principal, organisation_id: UUID, product: str | None, request: PageRequest
    ) -> Page[ProductOutput]:
        """Errors: NOT_FOUND, FORBIDDEN."""
        of = OUTPUTS.of.c
        which = [of.organisation_id == organisation_id, of.superseded_at.is_(None)]
        if product is not None:
            which.append(of.product == product)
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await OUTPUTS.page(session, principal, request, *which)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, ProductOutput]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await OUTPUTS.by_ids(session, keys, principal)

    async def intensity(self, principal: Principal, question: IntensityQuestion) -> list[Intensity]:
        """The year's, then month by month. Errors: NOT_FOUND, FORBIDDEN, BAD_EXPLAINED_YEAR, OUTPUT_UNIT."""
        checked_year(question.year)
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, question.organisation_id)
            return await intensities_of(session, question)


async def intensities_of(session: ReadSession, question: IntensityQuestion) -> list[Intensity]:
    """Errors: OUTPUT_UNIT when the organisations below record the product in different units."""
    produced = await rows.produced(session, question)
    units = sorted({unit for _, unit, _ in produced})
    if len(units) > 1:
        raise OUTPUT_UNIT(path=("product",), product=question.product, unit=units[0], written=units[1])
    outputs: dict[date, Decimal] = {}
    for month, _, quantity in produced:
        outputs[month] = outputs.get(month, Decimal(0)) + quantity
    emitted = await rows.emitted(session, question)
    return intensities(question.year, units[0] if units else "-", emitted, outputs)


def _changed(old: ProductOutput, changed: OutputChange) -> ProductOutput:
    row = NewOutput(
        organisation_id=old.organisation_id,
        product=old.product,
        month=old.month,
        quantity=old.quantity if changed.quantity is None else changed.quantity,
        unit=old.unit,
        evidence=old.evidence if changed.evidence is None else changed.evidence,
        note=old.note if changed.note is None else changed.note,
    )
    checked = canonical_output(row)
    return replace(old, quantity=checked.quantity, evidence=checked.evidence, note=checked.note)


def _refuse_mixed_units(made: Sequence[ProductOutput]) -> None:
    seen: dict[tuple[UUID, str], str] = {}
    for i, row in enumerate(made):
        unit = seen.setdefault((row.organisation_id, row.product), row.unit)
        if unit != row.unit:
            raise OUTPUT_UNIT(path=("rows", str(i), "unit"), product=row.product, unit=unit, written=row.unit)
