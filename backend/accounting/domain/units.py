"""Emission units and devices, the identification list of 8.2.3: group of units → system → device, at a site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from backend.accounting.domain.sources import NAME_MISSING, checked_code
from backend.kit.errors import conflict, invalid, rule
from backend.kit.text import tidy


class UnitKind(StrEnum):
    """What an emission unit is (Table 2)."""

    GROUP = "GROUP"
    """A group of units: sintering, ironmaking, clinker burning (碳排放单元)."""
    PRODUCTION = "PRODUCTION"
    """The production system of a group (生产系统)."""
    AUXILIARY = "AUXILIARY"
    """The auxiliary production system of a group (辅助生产系统)."""


UNIT_PARENT = invalid(
    "UNIT_PARENT",
    en="{kind}: a group stands alone, a system belongs to a group of units of the same site; {given}.",
    zh="{kind}：单元组不设上级，系统须隶属同一场所的单元组；{given}。",
)
UNIT_NEEDS_A_SITE = rule(
    "UNIT_NEEDS_A_SITE",
    en="Emission units belong to a site; '{code}' is a {kind}.",
    zh="碳排放单元须设在场所下；'{code}' 为 {kind}。",
)
UNIT_CODE_TAKEN = conflict(
    "UNIT_CODE_TAKEN",
    en="The code '{code}' is already used by another unit or device of this site.",
    zh="代码 '{code}' 已被该场所的其他单元或设备使用。",
)
UNIT_OF_ANOTHER_SITE = rule(
    "UNIT_OF_ANOTHER_SITE",
    en="The unit {unit} belongs to another site than the emission source.",
    zh="单元 {unit} 与排放源不属于同一场所。",
)
DEVICE_OF_ANOTHER_SITE = rule(
    "DEVICE_OF_ANOTHER_SITE",
    en="The device {device} belongs to another site, or to another unit than the one named.",
    zh="设备 {device} 不属于该场所，或不属于所指单元。",
)
DEVICE_DATES = invalid(
    "DEVICE_DATES",
    en="A device goes out of service after it came into service: {commissioned} is not before {decommissioned}.",
    zh="停用日期须晚于投用日期：{commissioned} 不早于 {decommissioned}。",
)
DEVICE_CAPACITY = invalid(
    "DEVICE_CAPACITY",
    en="A capacity is a positive number below 1e15 with its unit.",
    zh="产能须为小于 1e15 的正数并附单位。",
)


@dataclass(frozen=True, slots=True)
class NewUnit:
    """A unit to add to a site."""

    organisation_id: UUID
    kind: UnitKind
    code: str
    name_zh: str
    name_en: str = ""
    process: str = ""
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class EmissionUnit:
    """A group of units, or one of its systems."""

    id: UUID
    organisation_id: UUID
    parent_id: UUID | None
    code: str
    name_zh: str
    name_en: str
    process: str
    kind: UnitKind


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to add to a unit. `capacity` in `capacity_unit`, free text: t/d, m², MW …"""

    unit_id: UUID
    code: str
    name_zh: str
    name_en: str = ""
    device_type: str = ""
    model: str = ""
    capacity: Decimal | None = None
    capacity_unit: str = ""
    place: str = ""
    commissioned_on: date | None = None
    decommissioned_on: date | None = None


@dataclass(frozen=True, slots=True)
class EmissionDevice:
    """A device of a unit."""

    id: UUID
    organisation_id: UUID
    unit_id: UUID
    code: str
    name_zh: str
    name_en: str
    device_type: str
    model: str
    capacity: Decimal | None
    capacity_unit: str
    place: str
    commissioned_on: date | None
    decommissioned_on: date | None


def checked_unit(new: NewUnit, parent: EmissionUnit | None) -> NewUnit:
    """In canonical form. Errors: BAD_EMISSION_CODE, NAME_MISSING, UNIT_PARENT."""
    if (new.kind is UnitKind.GROUP) != (new.parent_id is None):
        given, zh = ("a parent was given", "已给出上级") if new.parent_id else ("no parent was given", "未给出上级")
        raise UNIT_PARENT(path=("parentUnitId",), kind=new.kind, given=given, given_zh=zh)
    fits = parent and parent.kind is UnitKind.GROUP and parent.organisation_id == new.organisation_id
    if new.parent_id is not None and not fits:
        raise UNIT_PARENT(path=("parentUnitId",), kind=new.kind, given=f"{parent.code if parent else '-'}")
    return replace(
        new,
        code=checked_code(new.code, "code"),
        name_zh=checked_name(new.name_zh),
        name_en=tidy(new.name_en),
        process=tidy(new.process),
    )


def checked_device(new: NewDevice) -> NewDevice:
    """In canonical form. Errors: BAD_EMISSION_CODE, NAME_MISSING, DEVICE_DATES, DEVICE_CAPACITY."""
    if new.commissioned_on and new.decommissioned_on and new.commissioned_on >= new.decommissioned_on:
        raise DEVICE_DATES(
            path=("decommissionedOn",), commissioned=new.commissioned_on, decommissioned=new.decommissioned_on
        )
    if new.capacity is not None and not (0 < new.capacity < Decimal(10) ** 15 and tidy(new.capacity_unit)):
        raise DEVICE_CAPACITY(path=("capacity",))
    return replace(
        new,
        code=checked_code(new.code, "code"),
        name_zh=checked_name(new.name_zh),
        name_en=tidy(new.name_en),
        device_type=tidy(new.device_type),
        model=tidy(new.model),
        capacity_unit=tidy(new.capacity_unit),
        place=tidy(new.place),
    )


def checked_name(name_zh: str) -> str:
    """Errors: NAME_MISSING."""
    name = tidy(name_zh)
    if not name:
        raise NAME_MISSING(path=("nameZh",))
    return name
