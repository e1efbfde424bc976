"""Use cases on emission units and devices, and which sources belong to them (8.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.domain.sources import EmissionSource
from backend.accounting.domain.units import (
    DEVICE_OF_ANOTHER_SITE,
    UNIT_CODE_TAKEN,
    UNIT_NEEDS_A_SITE,
    UNIT_OF_ANOTHER_SITE,
    EmissionDevice,
    EmissionUnit,
    NewDevice,
    NewUnit,
    checked_device,
    checked_unit,
)
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository import units as rows
from backend.accounting.service.batches import reach_sources
from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.domain import OrganisationKind


class UnitService:
    """The identification list of a site."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create_unit(self, actor: Actor, new: NewUnit) -> Done[EmissionUnit]:
        """Errors: NOT_FOUND, FORBIDDEN, UNIT_NEEDS_A_SITE, UNIT_PARENT, UNIT_CODE_TAKEN, BAD_EMISSION_CODE …"""

        async def work(change: Change) -> EmissionUnit:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            await require_site(change, new.organisation_id)
            found = await rows.units(change.unit, [new.parent_id] if new.parent_id else [])
            parent = found.get(new.parent_id) if new.parent_id else None
            if new.parent_id is not None and (parent is None or parent.organisation_id != new.organisation_id):
                raise not_found("EmissionUnit", new.parent_id, "parentUnitId")
            checked = checked_unit(new, parent)
            await _free(change, new.organisation_id, checked.code)
            made = EmissionUnit(
                uuid7(), new.organisation_id, new.parent_id, checked.code, checked.name_zh, checked.name_en,
                checked.process, new.kind,
            )  # fmt: skip
            await rows.insert(change.unit, [made], [])
            await change.audit("EmissionUnit", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "createEmissionUnit", new, EmissionUnit, work)

    async def create_device(self, actor: Actor, new: NewDevice) -> Done[EmissionDevice]:
        """Errors: NOT_FOUND, FORBIDDEN, UNIT_CODE_TAKEN, DEVICE_DATES, DEVICE_CAPACITY …"""

        async def work(change: Change) -> EmissionDevice:
            unit = await self._reach_unit(change, new.unit_id)
            checked = checked_device(new)
            await _free(change, unit.organisation_id, checked.code)
            made = EmissionDevice(
                id=uuid7(),
                organisation_id=unit.organisation_id,
                **{name: getattr(checked, name) for name in NewDevice.__dataclass_fields__},
            )
            await rows.insert(change.unit, [], [made])
            await change.audit("EmissionDevice", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "createEmissionDevice", new, EmissionDevice, work)

    async def link_source(
        self, actor: Actor, source_id: UUID, unit_id: UUID | None, device_id: UUID | None
    ) -> Done[EmissionSource]:
        """Bind a source to a unit or a device of its own site, or (both None) to neither.

        Errors: NOT_FOUND, FORBIDDEN, UNIT_OF_ANOTHER_SITE, DEVICE_OF_ANOTHER_SITE.
        """

        async def work(change: Change) -> EmissionSource:
            before = (await reach_sources(change, Permission.EMISSION_MANAGE, [source_id]))(source_id)
            unit = await self._fitting_unit(change.unit, change.actor.principal, before, unit_id, device_id)
            await rows.bind(change.unit, source_id, unit, device_id)
            after = (await source_rows.sources(change.unit, [source_id]))[source_id]
            await change.audit("EmissionSource", source_id, after.organisation_id, before=before, after=after)
            return after

        body = {"source_id": source_id, "unit_id": unit_id, "device_id": device_id}
        return await perform(self.toolbox, actor, "linkEmissionSource", body, EmissionSource, work)

    @staticmethod
    async def _fitting_unit(
        session: ReadSession, principal: Principal, source: EmissionSource, unit_id: UUID | None, device_id: UUID | None
    ) -> UUID | None:
        """The unit the source is to be in: the one named, or the device's."""
        if device_id is not None:
            device = (await rows.devices(session, [device_id], principal)).get(device_id)
            if device is None:
                raise not_found("EmissionDevice", device_id, "deviceId")
            if device.organisation_id != source.organisation_id or unit_id not in {None, device.unit_id}:
                raise DEVICE_OF_ANOTHER_SITE(path=("deviceId",), device=device.code)
            return device.unit_id
        if unit_id is not None:
            unit = (await rows.units(session, [unit_id], principal)).get(unit_id)
            if unit is None:
                raise not_found("EmissionUnit", unit_id, "unitId")
            if unit.organisation_id != source.organisation_id:
                raise UNIT_OF_ANOTHER_SITE(path=("unitId",), unit=unit.code)
        return unit_id

    @staticmethod
    async def _reach_unit(change: Change, unit_id: UUID) -> EmissionUnit:
        principal = change.actor.principal
        unit = (await rows.units(change.unit, [unit_id], principal)).get(unit_id)
        if unit is None:
            raise not_found("EmissionUnit", unit_id, "unitId")
        await change.require(Permission.EMISSION_MANAGE, unit.organisation_id)
        return unit

    async def page(
        self, principal: Principal, organisation_id: UUID | None, request: PageRequest
    ) -> Page[EmissionUnit]:
        """Units the caller may read, by code. Errors: NOT_FOUND, FORBIDDEN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page_of_units(session, principal, organisation_id, request)

    async def devices_in(self, principal: Principal, unit_id: UUID, request: PageRequest) -> Page[EmissionDevice]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_devices(session, principal, unit_id, request)

    async def sources_at(
        self, principal: Principal, request: PageRequest, *, unit_id: UUID | None = None, device_id: UUID | None = None
    ) -> Page[EmissionSource]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_sources_at(session, principal, unit_id, device_id, request)

    async def units(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, EmissionUnit]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.units(session, keys, principal)

    async def devices(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, EmissionDevice]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.devices(session, keys, principal)


async def require_site(change: Change, organisation_id: UUID) -> None:
    """Errors: NOT_FOUND, UNIT_NEEDS_A_SITE."""
    found = await rows.site_kind(change.unit, organisation_id)
    if found is None:
        raise not_found("Organisation", organisation_id, "organisationId")
    if found[0] != "SITE":
        raise UNIT_NEEDS_A_SITE(path=("organisationId",), code=found[1], kind=OrganisationKind(found[0]))


async def _free(change: Change, organisation_id: UUID, code: str) -> None:
    if code in await rows.codes_at(change.unit, organisation_id):
        raise UNIT_CODE_TAKEN(path=("code",), code=code)
