"""GraphQL of emission units and devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import units as domain
from backend.accounting.domain.units import NewDevice, NewUnit, UnitKind
from backend.accounting.graphql.sources import EmissionSource
from backend.accounting.service.units import UnitService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.graphql import Organisation, fetch_organisations

enum_type(UnitKind, name="EmissionUnitKind")

First = Annotated[int | None, strawberry.argument(description="How many rows, 1 to 1000; 50 when not given.")]
After = Annotated[str | None, strawberry.argument(description="Cursor of the last row seen; rows behind it follow.")]
AUnit = Annotated["EmissionUnit", strawberry.lazy("backend.accounting.graphql.units")]
ADevice = Annotated["EmissionDevice", strawberry.lazy("backend.accounting.graphql.units")]


@object_type
class EmissionDevice(Node):
    """A device that emits, or takes part in it (碳排放设备, 8.2.3)."""

    key: strawberry.Private[UUID]
    above: strawberry.Private[UUID]
    code: str
    """Code, unique among the units and devices of the site."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    device_type: str
    """What it is: rotary kiln, boiler, converter …"""
    model: str
    """Model."""
    capacity: Decimal | None
    """Capacity, in `capacityUnit`."""
    capacity_unit: str
    """Unit of the capacity: t/d, m², MW …"""
    place: str
    """Where it stands."""
    commissioned_on: date | None
    """Day it came into service."""
    decommissioned_on: date | None
    """Day it went out of service."""

    @batched
    async def unit(parents: list[ADevice], info: Info) -> list[AUnit | None]:
        """The unit it belongs to."""
        found = await fetch_units(list({p.above for p in parents}), info)
        return [found.get(p.above) for p in parents]

    @strawberry.field
    async def sources(self, info: Info, first: First = None, after: After = None) -> Connection[EmissionSource]:
        """Sources bound to it, by code."""
        request = PageRequest.read(first, after)
        page = await info.context.use(UnitService).sources_at(info.context.principal, request, device_id=self.key)
        return Connection.of(page.map(EmissionSource.of))

    @classmethod
    def of(cls, record: domain.EmissionDevice) -> EmissionDevice:
        return build(cls, record, id=to_id("EmissionDevice", record.id), key=record.id, above=record.unit_id)


@object_type
class EmissionUnit(Node):
    """A group of units of a site, or one of its systems (碳排放单元, 8.2.3)."""

    key: strawberry.Private[UUID]
    owner: strawberry.Private[UUID]
    above: strawberry.Private[UUID | None]
    kind: UnitKind
    """Whether it is a group, or the production or auxiliary system of one."""
    code: str
    """Code, unique among the units and devices of the site."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    process: str
    """The process it serves; may be empty."""

    @batched
    async def organisation(parents: list[AUnit], info: Info) -> list[Organisation | None]:
        """The site it belongs to."""
        found = await fetch_organisations(list({p.owner for p in parents}), info)
        return [found.get(p.owner) for p in parents]

    @batched
    async def parent(parents: list[AUnit], info: Info) -> list[AUnit | None]:
        """The group a system belongs to; null for a group."""
        found = await fetch_units(list({p.above for p in parents if p.above}), info)
        return [found.get(p.above) if p.above else None for p in parents]

    @strawberry.field
    async def devices(self, info: Info, first: First = None, after: After = None) -> Connection[EmissionDevice]:
        """Its devices and those of the systems in it, by code."""
        request = PageRequest.read(first, after)
        page = await info.context.use(UnitService).devices_in(info.context.principal, self.key, request)
        return Connection.of(page.map(EmissionDevice.of))

    @strawberry.field
    async def sources(self, info: Info, first: First = None, after: After = None) -> Connection[EmissionSource]:
        """Sources bound to it or to the systems in it, by code."""
        request = PageRequest.read(first, after)
        page = await info.context.use(UnitService).sources_at(info.context.principal, request, unit_id=self.key)
        return Connection.of(page.map(EmissionSource.of))

    @classmethod
    def of(cls, record: domain.EmissionUnit) -> EmissionUnit:
        return build(
            cls,
            record,
            id=to_id("EmissionUnit", record.id),
            key=record.id,
            owner=record.organisation_id,
            above=record.parent_id,
        )


@input_type
class CreateEmissionUnitInput(MutationInput):
    """A unit to add to a site."""

    organisation_id: strawberry.ID
    """The site."""
    kind: UnitKind
    """A group, or a system of one."""
    code: str
    """Code, unique among the units and devices of the site."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    process: str = ""
    """The process it serves."""
    parent_unit_id: strawberry.ID | None = None
    """For a system, and only there: its group."""

    def command(self) -> NewUnit:
        above = key_of(self.parent_unit_id, "EmissionUnit", "parentUnitId") if self.parent_unit_id else None
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        return build(NewUnit, self, organisation_id=owner, parent_id=above)


@object_type
class CreateEmissionUnitPayload(Payload):
    """The unit as it was added."""

    unit: EmissionUnit | None = None
    """The new unit."""


@input_type
class CreateEmissionDeviceInput(MutationInput):
    """A device to add to a unit."""

    unit_id: strawberry.ID
    """The unit."""
    code: str
    """Code, unique among the units and devices of the site."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    device_type: str = ""
    """What it is: rotary kiln, boiler, converter …"""
    model: str = ""
    """Model."""
    capacity: Decimal | None = None
    """Capacity, in `capacityUnit`."""
    capacity_unit: str = ""
    """Unit of the capacity."""
    place: str = ""
    """Where it stands."""
    commissioned_on: date | None = None
    """Day it came into service."""
    decommissioned_on: date | None = None
    """Day it went out of service."""

    def command(self) -> NewDevice:
        return build(NewDevice, self, unit_id=key_of(self.unit_id, "EmissionUnit", "unitId"))


@object_type
class CreateEmissionDevicePayload(Payload):
    """The device as it was added."""

    device: EmissionDevice | None = None
    """The new device."""


@input_type
class LinkEmissionSourceInput(MutationInput):
    """Which unit or device a source belongs to; neither: to the site as a whole."""

    source_id: strawberry.ID
    """The source."""
    unit_id: strawberry.ID | None = None
    """A unit of the source's site."""
    device_id: strawberry.ID | None = None
    """A device of the source's site; its unit follows."""


@object_type
class LinkEmissionSourcePayload(Payload):
    """The source as it is bound now."""

    source: EmissionSource | None = None
    """The source."""
    unit: EmissionUnit | None = None
    """Its unit."""
    device: EmissionDevice | None = None
    """Its device."""


@object_type
class UnitQueries:
    """Units."""

    @query(requires(Permission.EMISSION_READ))
    async def emission_units(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation and all below it.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[EmissionUnit]:
        """Emission units the caller may read, by code."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        page = await info.context.use(UnitService).page(info.context.principal, owner, PageRequest.read(first, after))
        return Connection.of(page.map(EmissionUnit.of))


@object_type
class UnitMutations:
    """Changes to units and devices."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_emission_unit(self, info: Info, input: CreateEmissionUnitInput) -> CreateEmissionUnitPayload:
        """Add a group of emission units, or a system of one, to a site."""
        done = await info.context.use(UnitService).create_unit(info.context.actor(input), input.command())
        return CreateEmissionUnitPayload(errors=[], unit=EmissionUnit.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_emission_device(self, info: Info, input: CreateEmissionDeviceInput) -> CreateEmissionDevicePayload:
        """Add a device to an emission unit."""
        done = await info.context.use(UnitService).create_device(info.context.actor(input), input.command())
        return CreateEmissionDevicePayload(errors=[], device=EmissionDevice.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def link_emission_source(self, info: Info, input: LinkEmissionSourceInput) -> LinkEmissionSourcePayload:
        """Bind a source to a unit or device of its own site."""
        source_id = key_of(input.source_id, "EmissionSource", "sourceId")
        unit_id = key_of(input.unit_id, "EmissionUnit", "unitId") if input.unit_id else None
        device_id = key_of(input.device_id, "EmissionDevice", "deviceId") if input.device_id else None
        done = await info.context.use(UnitService).link_source(info.context.actor(input), source_id, unit_id, device_id)
        units = await fetch_units([k for k in [done.value.unit_id] if k], info)
        devices = await fetch_devices([k for k in [done.value.device_id] if k], info)
        return LinkEmissionSourcePayload(
            errors=[],
            source=EmissionSource.of(done.value),
            unit=next(iter(units.values()), None),
            device=next(iter(devices.values()), None),
            replayed=done.replayed,
        )


async def fetch_units(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionUnit]:
    found = await info.context.use(UnitService).units(info.context.principal, keys)
    return {key: EmissionUnit.of(record) for key, record in found.items()}


async def fetch_devices(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionDevice]:
    found = await info.context.use(UnitService).devices(info.context.principal, keys)
    return {key: EmissionDevice.of(record) for key, record in found.items()}


NODES = {"EmissionUnit": (EmissionUnit, fetch_units), "EmissionDevice": (EmissionDevice, fetch_devices)}
