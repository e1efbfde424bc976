"""Use cases on packs: add one's own, and make what a pack holds at a site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from backend.accounting.domain.packs import (
    PACK_CODE_TAKEN,
    UNKNOWN_PACK,
    Item,
    ItemKind,
    ItemState,
    Pack,
    PackGroup,
    PackSource,
    checked_pack,
    house_packs,
)
from backend.accounting.domain.sources import EmissionSource, NewSource, NewStream
from backend.accounting.domain.units import EmissionDevice, EmissionUnit, UnitKind
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository import units as rows
from backend.accounting.service.bases import first_choices
from backend.accounting.service.sources import prepared_stream
from backend.accounting.service.units import require_site
from backend.kit.database import ReadSession
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform

SYSTEMS = {
    UnitKind.PRODUCTION: ("生产系统", "production system"),
    UnitKind.AUXILIARY: ("辅助生产系统", "auxiliary system"),
}


@dataclass(frozen=True, slots=True)
class PackOutcome:
    """What became of each item of a pack."""

    items: tuple[Item, ...]


@dataclass(slots=True)
class _Plan:
    """What a pack asks for at a site, against what is there."""

    site: UUID
    taken: dict[str, tuple[str, UUID]]
    items: list[Item] = field(default_factory=list)
    units: list[EmissionUnit] = field(default_factory=list)
    devices: list[EmissionDevice] = field(default_factory=list)

    def group(self, group: PackGroup) -> None:
        above = self._unit(group.code, group.name_zh, group.name_en, UnitKind.GROUP, None)
        for kind, names in ((UnitKind.PRODUCTION, group.production), (UnitKind.AUXILIARY, group.auxiliary)):
            if not names:
                continue
            zh, en = SYSTEMS[kind]
            letter = kind.value[0]
            code = f"{group.code}.{letter}"
            name_en = f"{group.name_en}: {en}" if group.name_en else ""
            system = self._unit(code, f"{group.name_zh}{zh}", name_en, kind, above)
            for number, name in enumerate(names, 1):
                self._device(f"{code}{number:02}", name, system)

    def _unit(self, code: str, name_zh: str, name_en: str, kind: UnitKind, above: UUID | None) -> UUID:
        key = self._seen(ItemKind.UNIT, code, name_zh)
        if key is None:
            key = uuid7()
            self.units.append(EmissionUnit(key, self.site, above, code, name_zh, name_en, "", kind))
        return key

    def _device(self, code: str, name_zh: str, unit_id: UUID) -> None:
        if self._seen(ItemKind.DEVICE, code, name_zh) is None:
            made = EmissionDevice(uuid7(), self.site, unit_id, code, name_zh, "", "", "", None, "", "", None, None)
            self.devices.append(made)

    def _seen(self, kind: ItemKind, code: str, name_zh: str) -> UUID | None:
        found = self.taken.get(code)
        found = found if found and found[0] == kind.value else None
        state = ItemState.EXISTING if found else ItemState.CREATED
        self.items.append(Item(kind, code, name_zh, state))
        return found and found[1]

    def unit_of(self, group: str | None) -> UUID | None:
        known = {unit.code: unit.id for unit in self.units}
        found = self.taken.get(group or "")
        return known.get(group or "") or (found[1] if found and found[0] == ItemKind.UNIT else None)


class PackService:
    """Packs of the house and of the tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def page(self, principal: Principal, request: PageRequest) -> Page[Pack]:
        """All packs, by code. Errors: BAD_CURSOR."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            packs = await _all(session)
        (after,) = request.key(str) if request.after is not None else ("",)
        found = [packs[code] for code in sorted(packs) if code > after]
        return Page.cut(found, request, lambda p: (p.code,))

    async def create(self, actor: Actor, new: Pack) -> Done[Pack]:
        """Add a pack of the tenant's own. Errors: FORBIDDEN, PACK_CODE_TAKEN, PACK_INCONSISTENT …"""

        async def work(change: Change) -> Pack:
            # A pack is a form without numbers: who may define sources anywhere may add one to the tenant.
            await change.require_unless_own(actor.principal.member_id, Permission.EMISSION_MANAGE, None)
            pack = checked_pack(new)
            if pack.code in await _all(change.unit):
                raise PACK_CODE_TAKEN(path=("code",), code=pack.code)
            await rows.insert_pack(change.unit, pack)
            await change.audit("SourcePack", uuid7(), None, after=pack)
            return pack

        return await perform(self.toolbox, actor, "createSourcePack", new, Pack, work)

    async def instantiate(self, actor: Actor, code: str, site: UUID, groups: Sequence[str] | None) -> Done[PackOutcome]:
        """Make a pack at a site, all of it or some groups; what exists by code is left as it is.

        Errors: NOT_FOUND, FORBIDDEN, UNIT_NEEDS_A_SITE, UNKNOWN_PACK, UNKNOWN_PACK_GROUP.
        """

        async def work(change: Change) -> PackOutcome:
            await change.require(Permission.EMISSION_MANAGE, site)
            await require_site(change, site)
            packs = await _all(change.unit)
            pack = packs.get(clean(code))
            if pack is None:
                raise UNKNOWN_PACK(path=("packCode",), code=code[:60], known=", ".join(sorted(packs)))
            part = pack.of_groups(groups)
            plan = _Plan(site, await rows.codes_at(change.unit, site))
            for group in part.groups:
                plan.group(group)
            await rows.insert(change.unit, plan.units, plan.devices)
            await _sources(change, plan, part.sources)
            outcome = PackOutcome(tuple(plan.items))
            await change.audit("SourcePack", uuid7(), site, after={"pack": pack.code, "items": len(outcome.items)})
            return outcome

        body = {"code": code, "site": site, "groups": groups}
        return await perform(self.toolbox, actor, "createSourcesFromPack", body, PackOutcome, work)


async def _all(session: ReadSession) -> dict[str, Pack]:
    return {**await rows.own_packs(session), **house_packs()}


async def _sources(change: Change, plan: _Plan, wanted: Sequence[PackSource]) -> None:
    library = await factor_rows.library(change.unit)
    taken = await source_rows.codes_taken(change.unit, [(plan.site, s.code) for s in wanted])
    sources: list[EmissionSource] = []
    streams = []
    for given in wanted:
        there = (plan.site, given.code) in taken
        state = ItemState.EXISTING if there else ItemState.CREATED
        plan.items.append(Item(ItemKind.SOURCE, given.code, given.name_zh, state))
        new = NewSource(plan.site, given.code, given.name_zh, given.category, given.name_en, given.direct_kind)
        source = EmissionSource(
            uuid7(), plan.site, new.code, new.name_zh, new.name_en, new.category, new.direct_kind,
            plan.unit_of(given.group),
        )  # fmt: skip
        if not there:
            sources.append(source)
        for material in given.materials:
            known = material.material is not None
            became = state if known else ItemState.NEEDS_FACTOR
            plan.items.append(Item(ItemKind.STREAM, f"{given.code}/{material.code}", material.name_zh, became))
            if known and not there:
                stream = NewStream(material.code, material.name_zh, material.name_en, material.material)
                streams.append(prepared_stream(source.id, stream, library))
    if sources:
        await source_rows.insert_sources(change.unit, sources)
        await first_choices(change, sources, {s.id: s for s in streams}, [])
    if streams:
        await source_rows.insert_streams(change.unit, streams)
