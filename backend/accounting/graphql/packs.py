"""GraphQL of packs."""

from __future__ import annotations

import strawberry

from backend.accounting.domain import packs as domain
from backend.accounting.domain.packs import ItemKind, ItemState, Pack
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.service.packs import PackService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(ItemKind, name="SourcePackItemKind")
enum_type(ItemState, name="SourcePackItemState")


@object_type
class SourcePackGroup:
    """A group of units of a pack, and the devices of its systems."""

    code: str
    """Code, unique in the pack."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    aliases: list[str]
    """Other names, such as that of a row the standard prints twice."""
    production: list[str]
    """Devices of the production system (生产系统)."""
    auxiliary: list[str]
    """Devices of the auxiliary production system (辅助生产系统)."""


@object_type
class SourcePackMaterial:
    """A material of a source of a pack."""

    code: str
    """Code of the stream."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    material: str | None
    """Its code in the library; null when the library has no factor for it."""


@object_type
class SourcePackSource:
    """A source of a pack."""

    code: str
    """Code, unique in the pack."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    group: str | None
    """The group of units it belongs to; null: the site as a whole."""
    category: Category
    """One of the six categories of 8.2.2."""
    direct_kind: DirectKind | None
    """Which term of formula (3) it is; null unless direct."""
    materials: list[SourcePackMaterial]
    """Its streams."""


@object_type
class SourcePack:
    """The units, devices and sources of a kind of company, ready to be made at a site (Table 2)."""

    code: str
    """Code."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    source: str
    """What it follows."""
    groups: list[SourcePackGroup]
    """Groups of units."""
    sources: list[SourcePackSource]
    """Sources."""

    @classmethod
    def of(cls, pack: Pack) -> SourcePack:
        groups = [
            build(SourcePackGroup, g, aliases=[*g.aliases], production=[*g.production], auxiliary=[*g.auxiliary])
            for g in pack.groups
        ]
        sources = [
            build(SourcePackSource, s, materials=[build(SourcePackMaterial, m) for m in s.materials])
            for s in pack.sources
        ]
        return build(cls, pack, groups=groups, sources=sources)


@input_type
class SourcePackGroupInput:
    """A group of units, and the devices of its systems by Chinese name."""

    code: str
    """Code, unique in the pack."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    aliases: list[str] = strawberry.field(default_factory=list)
    """Other names."""
    production: list[str] = strawberry.field(default_factory=list)
    """Devices of the production system."""
    auxiliary: list[str] = strawberry.field(default_factory=list)
    """Devices of the auxiliary production system."""


@input_type
class SourcePackMaterialInput:
    """A material of a source."""

    code: str
    """Code of the stream."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    material: str | None = None
    """Fuel or material of the library; null: the stream waits for a factor of the tenant's own."""


@input_type
class SourcePackSourceInput:
    """A source of a pack."""

    code: str
    """Code, unique in the pack."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    group: str | None = None
    """The group of units it belongs to."""
    category: Category
    """One of the six categories of 8.2.2."""
    direct_kind: DirectKind | None = None
    """For DIRECT, and only there."""
    materials: list[SourcePackMaterialInput] = strawberry.field(default_factory=list)
    """Its streams."""


@input_type
class CreateSourcePackInput(MutationInput):
    """A pack of the tenant's own."""

    code: str
    """Code, unlike that of any other pack."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    source: str = ""
    """What it follows."""
    groups: list[SourcePackGroupInput] = strawberry.field(default_factory=list)
    """Groups of units."""
    sources: list[SourcePackSourceInput] = strawberry.field(default_factory=list)
    """Sources."""

    def command(self) -> Pack:
        groups = tuple(
            build(
                domain.PackGroup,
                g,
                aliases=tuple(g.aliases),
                production=tuple(g.production),
                auxiliary=tuple(g.auxiliary),
            )
            for g in self.groups
        )
        sources = tuple(
            build(domain.PackSource, s, materials=tuple(build(domain.PackMaterial, m) for m in s.materials))
            for s in self.sources
        )
        return build(Pack, self, groups=groups, sources=sources)


@object_type
class CreateSourcePackPayload(Payload):
    """The pack as it was added."""

    pack: SourcePack | None = None
    """The new pack."""


@input_type
class CreateSourcesFromPackInput(MutationInput):
    """A pack to make at a site."""

    pack_code: str
    """The pack: STEEL, CEMENT, or one of the tenant's own."""
    organisation_id: strawberry.ID
    """The site."""
    groups: list[str] | None = None
    """Only these groups of units, by code or name; all, and what belongs to none, when not given."""


@object_type
class SourcePackItem:
    """An item of a pack, and what became of it."""

    kind: ItemKind
    """What it becomes."""
    code: str
    """Its code at the site; of a stream: source/stream."""
    name_zh: str
    """Name in Chinese."""
    state: ItemState
    """What became of it."""


@object_type
class CreateSourcesFromPackPayload(Payload):
    """What became of each item of the pack."""

    items: list[SourcePackItem]
    """The items, units first, in the order of the pack."""


@object_type
class PackQueries:
    """Packs."""

    @query(requires(Permission.EMISSION_READ))
    async def source_packs(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[SourcePack]:
        """Packs of the house and of the tenant, by code."""
        page = await info.context.use(PackService).page(info.context.principal, PageRequest.read(first, after))
        return Connection.of(page.map(SourcePack.of))


@object_type
class PackMutations:
    """Changes by packs."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_source_pack(self, info: Info, input: CreateSourcePackInput) -> CreateSourcePackPayload:
        """Add a pack of the tenant's own."""
        done = await info.context.use(PackService).create(info.context.actor(input), input.command())
        return CreateSourcePackPayload(errors=[], pack=SourcePack.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_sources_from_pack(
        self, info: Info, input: CreateSourcesFromPackInput
    ) -> CreateSourcesFromPackPayload:
        """Make the units, devices, sources and streams of a pack at a site; what exists is reported, not doubled."""
        site = key_of(input.organisation_id, "Organisation", "organisationId")
        done = await info.context.use(PackService).instantiate(
            info.context.actor(input), input.pack_code, site, input.groups
        )
        items = [build(SourcePackItem, item) for item in done.value.items]
        return CreateSourcesFromPackPayload(errors=[], items=items, replayed=done.replayed)
