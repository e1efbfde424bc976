"""What emits: sources under an organisation, and the streams (a fuel, a meter, a material) that make up a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.parameters import NewBasis
from backend.accounting.domain.records import Method
from backend.kit.errors import CodedError, conflict, invalid
from backend.kit.quantity import read_unit, trimmed
from backend.kit.text import clean, tidy
from backend.kit.words import in_chinese


class Category(StrEnum):
    """The six categories of clause 8.2.2."""

    DIRECT = "DIRECT"
    """Direct emissions (直接排放), 8.2.2.1: from sources the organisation owns or controls."""
    IMPORTED_ENERGY = "IMPORTED_ENERGY"
    """Indirect emissions from imported energy (输入能源的间接排放), 8.2.2.2: electricity, heat, cooling, air."""
    TRANSPORT = "TRANSPORT"
    """Indirect emissions from transport (运输产生的间接排放), 8.2.2.3: freight, business travel, commuting."""
    PRODUCTS_USED = "PRODUCTS_USED"
    """Indirect emissions from products the organisation uses (使用产品的间接排放), 8.2.2.4: goods, capital goods,
    waste, leased assets."""
    USE_OF_OWN_PRODUCTS = "USE_OF_OWN_PRODUCTS"
    """Indirect emissions from the use of the organisation's products (与使用组织产品有关的间接排放), 8.2.2.5:
    use, end of life, downstream leases, investments."""
    OTHER = "OTHER"
    """Other indirect emissions (其他间接排放), 8.2.2.6."""


class DirectKind(StrEnum):
    """The four terms of formula (3), clause 8.2.5.4; only direct sources have one."""

    STATIONARY = "STATIONARY"
    """Stationary combustion (固定燃烧)."""
    MOBILE = "MOBILE"
    """Mobile combustion (移动燃烧)."""
    PROCESS = "PROCESS"
    """Industrial process (工业过程)."""
    FUGITIVE = "FUGITIVE"
    """Fugitive emissions (逸散)."""


class Subtype(StrEnum):
    """What the indirect categories consist of (8.2.2, notes 5 to 7; ISO 14064-1 Annex B; GHG Protocol, scope 3)."""

    ELECTRICITY = "ELECTRICITY"
    """Purchased electricity (外购电力)."""
    HEAT = "HEAT"
    """Purchased heat (外购热力)."""
    STEAM = "STEAM"
    """Purchased steam (外购蒸汽)."""
    COOLING = "COOLING"
    """Purchased cooling (外购冷量)."""
    COMPRESSED_AIR = "COMPRESSED_AIR"
    """Purchased compressed air (外购压缩空气)."""
    UPSTREAM_FREIGHT = "UPSTREAM_FREIGHT"
    """Transport and distribution of what is bought (上游运输和配送)."""
    DOWNSTREAM_FREIGHT = "DOWNSTREAM_FREIGHT"
    """Transport and distribution of what is sold (下游运输和配送)."""
    COMMUTING = "COMMUTING"
    """Commuting of employees (雇员通勤)."""
    BUSINESS_TRAVEL = "BUSINESS_TRAVEL"
    """Business travel (商务旅行)."""
    VISITORS = "VISITORS"
    """Travel of customers and visitors (客户和访客交通)."""
    PURCHASED_GOODS = "PURCHASED_GOODS"
    """Purchased goods (外购商品)."""
    PURCHASED_SERVICES = "PURCHASED_SERVICES"
    """Purchased services (外购服务)."""
    CAPITAL_GOODS = "CAPITAL_GOODS"
    """Capital goods (资本商品)."""
    FUEL_SUPPLY = "FUEL_SUPPLY"
    """Supply of fuels and energy, upstream of their use (燃料和能源的上游供应)."""
    WASTE = "WASTE"
    """Disposal of waste of the operations (生产废弃物处置)."""
    UPSTREAM_LEASES = "UPSTREAM_LEASES"
    """Assets leased by the organisation (上游租赁资产)."""
    PROCESSING = "PROCESSING"
    """Processing of sold products (售出产品的加工)."""
    USE_OF_PRODUCTS = "USE_OF_PRODUCTS"
    """Use of sold products (售出产品的使用)."""
    END_OF_LIFE = "END_OF_LIFE"
    """Disposal of sold products (售出产品的废弃处理)."""
    DOWNSTREAM_LEASES = "DOWNSTREAM_LEASES"
    """Assets leased to others (下游租赁资产)."""
    FRANCHISES = "FRANCHISES"
    """Franchises (特许经营)."""
    INVESTMENTS = "INVESTMENTS"
    """Investments (投资)."""


SUBTYPES: Final[Mapping[Category, tuple[Subtype, ...]]] = {
    Category.DIRECT: (),
    Category.IMPORTED_ENERGY: tuple(Subtype)[:5],
    Category.TRANSPORT: tuple(Subtype)[5:10],
    Category.PRODUCTS_USED: tuple(Subtype)[10:16],
    Category.USE_OF_OWN_PRODUCTS: tuple(Subtype)[16:],
    Category.OTHER: (),
}


class Programme(StrEnum):
    """The reporting programme whose rules a stream follows where programmes differ."""

    GENERAL = "GENERAL"
    """NDRC guides, GB/T 32151, MEE power guide: unburnt carbon is taken off by the oxidation rate."""
    MEE_STEEL = "MEE_STEEL"
    """MEE steel guide CETS-AG-03.01-V01-2024, formula (1): no oxidation rate."""

    @property
    def oxidises(self) -> bool:
        """Whether the oxidation rate is a term of its formula."""
        return self is not Programme.MEE_STEEL


class Flow(StrEnum):
    """Which way the carbon of a stream goes."""

    CONSUMED = "CONSUMED"
    """It is burnt, used or bought. An amount sold on or exported is recorded as a negative quantity."""
    LEAVING = "LEAVING"
    """It leaves in a product, so its carbon is subtracted (crude steel, sold tar). 产品隐含碳"""


class Cadence(StrEnum):
    """How often a stream is recorded; more than that is refused, not added up."""

    MONTHLY = "MONTHLY"
    """One quantity a month (按月)."""
    DAILY = "DAILY"
    """One quantity a day (按日)."""
    EVENT = "EVENT"
    """Any number: deliveries, trips, batches (按次)."""


in_chinese({"MONTHLY": "按月", "DAILY": "按日", "EVENT": "按次"})
KIND_MISMATCH = invalid(
    "DIRECT_KIND_MISMATCH",
    en="A source of category {category} {need}.",
    zh="类别为 {category} 的排放源{need_zh}。",
)
SUBTYPE_MISMATCH = invalid(
    "SUBTYPE_MISMATCH",
    en="{subtype} is no sub-type of {category}; it has: {fitting}.",
    zh="{subtype} 不是类别 {category} 的子类；可选：{fitting}。",
)
BAD_CODE = invalid(
    "BAD_EMISSION_CODE",
    en="A code has 1 to 60 characters; '{code}' does not.",
    zh="代码须为 1 至 60 个字符，'{code}' 不符合。",
)
NAME_MISSING = invalid("NAME_MISSING", en="A Chinese name is needed.", zh="须填写中文名称。")
SOURCE_CODE_TAKEN = conflict(
    "SOURCE_CODE_TAKEN",
    en="The code '{code}' is already used by another emission source of this organisation.",
    zh="代码 '{code}' 已被该组织的其他排放源使用。",
)
STREAM_CODE_TAKEN = conflict(
    "STREAM_CODE_TAKEN",
    en="The code '{code}' is already used by another stream of this source.",
    zh="代码 '{code}' 已被该排放源的其他流使用。",
)
STREAM_NOT_CHOSEN = invalid(
    "STREAM_NOT_CHOSEN",
    en="The source {source} has the streams: {streams}. Name one of them.",
    zh="排放源 {source} 的流有：{streams}。请指明其一。",
)
UNKNOWN_STREAM = invalid(
    "UNKNOWN_STREAM",
    en="'{stream}' is not a stream of the source {source}; it has: {streams}. Name one of them.",
    zh="“{stream}”不是排放源 {source} 的流；其流有：{streams}。请指明其一。",
)
NEGATIVE_QUANTITY = invalid(
    "NEGATIVE_QUANTITY",
    en="{quantity} is negative; only imported energy that is exported and a burnt fuel that is sold on may be, "
    "'{stream}' cannot. Write the quantity without a sign, or supersede the record that was too large.",
    zh="{quantity} 为负数；仅外供的输入能源和外售的燃料可为负，流“{stream}”不可。"
    "请填写不带负号的数量；若此前填报偏大，请替换该记录。",
)


@dataclass(frozen=True, slots=True)
class OwnFactor:
    """An emission factor of the tenant's own: tCO2e per unit as written, and where it comes from."""

    value: Decimal
    unit: str
    source: str

    def per_canonical_unit(self) -> Decimal:
        """0.85 per 10⁴ t·km is 0.000085 per t·km; exact, units of a dimension differ by powers of ten."""
        return trimmed(self.value / read_unit(self.unit).factor)


@dataclass(frozen=True, slots=True)
class NewStream:
    """A stream to add. `material` names a fuel or material of the library, by code or by name in either language;
    the factor is its own, or chosen by set, region and year (none given: the library's defaults). With a `method` it
    needs neither, but then its unit.
    """

    code: str
    name_zh: str = ""
    name_en: str = ""
    material: str | None = None
    flow: Flow = Flow.CONSUMED
    programme: Programme = Programme.GENERAL
    unit: str | None = None
    factor_set: str | None = None
    region: str | None = None
    factor_year: int | None = None
    technology: str = ""
    own_factor: OwnFactor | None = None
    cadence: Cadence = Cadence.MONTHLY
    evidence_required: bool = False
    method: NewBasis | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as it was defined. `unit` is canonical; `gas` is what its coefficient yields, CO2 or CO2E."""

    id: UUID
    source_id: UUID
    code: str
    name_zh: str
    name_en: str
    material: str | None
    flow: Flow
    programme: Programme
    unit: str
    gas: str
    factor_set: str | None
    region: str | None
    factor_year: int | None
    own_factor: Decimal | None
    own_factor_source: str
    cadence: Cadence
    evidence_required: bool
    technology: str = ""

    @property
    def has_default(self) -> bool:
        """Whether it can be accounted without a method of its own: by a material of the library, or its own factor."""
        return self.material is not None or self.own_factor is not None


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source to add to an organisation, with its streams if it is accounted by factors.

    `method`: the class that counts from the beginning; None: by precedence of what its streams have.
    """

    organisation_id: UUID
    code: str
    name_zh: str
    category: Category
    name_en: str = ""
    direct_kind: DirectKind | None = None
    streams: tuple[NewStream, ...] = ()
    subtype: Subtype | None = None
    evidence_required: bool = False
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class EmissionSource:
    """A source of emissions under an organisation, normally a site (8.2.3); in a unit and at a device, if said."""

    id: UUID
    organisation_id: UUID
    code: str
    name_zh: str
    name_en: str
    category: Category
    direct_kind: DirectKind | None
    unit_id: UUID | None = None
    device_id: UUID | None = None
    subtype: Subtype | None = None
    evidence_required: bool = False


def checked_source(new: NewSource) -> NewSource:
    """The source in canonical form. Errors: BAD_EMISSION_CODE, NAME_MISSING, DIRECT_KIND_MISMATCH, SUBTYPE_MISMATCH,
    STREAM_CODE_TAKEN.

    Source: 8.2.2.1 to .6 and formula (3): exactly the direct sources have one of the four kinds.
    """
    if new.category is Category.DIRECT and new.direct_kind is None:
        raise KIND_MISMATCH(
            path=("directKind",),
            category=new.category,
            need="must say its kind: " + ", ".join(DirectKind),
            need_zh="须指明种类：" + "、".join(DirectKind),
        )
    if new.category is not Category.DIRECT and new.direct_kind is not None:
        raise KIND_MISMATCH(
            path=("directKind",),
            category=new.category,
            need=f"has no direct kind; {new.direct_kind} belongs to DIRECT",
            need_zh=f"没有直接排放种类；{new.direct_kind} 属于 DIRECT",
        )
    check_subtype(new.category, new.subtype)
    if not tidy(new.name_zh):
        raise NAME_MISSING(path=("nameZh",))
    seen: set[str] = set()
    for i, stream in enumerate(new.streams):
        code = checked_code(stream.code, "streams", str(i), "code")
        if code in seen:
            raise STREAM_CODE_TAKEN(path=("streams", str(i), "code"), code=code)
        seen.add(code)
    return replace(new, code=checked_code(new.code, "code"), name_zh=tidy(new.name_zh), name_en=tidy(new.name_en))


def check_subtype(category: Category, subtype: Subtype | None) -> None:
    """Errors: SUBTYPE_MISMATCH."""
    fitting = SUBTYPES[category]
    if subtype is not None and subtype not in fitting:
        raise SUBTYPE_MISMATCH(path=("subtype",), subtype=subtype, category=category, fitting=fitting)


def may_be_negative(category: Category, kind: DirectKind | None, flow: Flow) -> bool:
    """Whether less than nothing can be used: imported energy that is exported again, a fuel to burn that is sold on."""
    burnt = kind in {DirectKind.STATIONARY, DirectKind.MOBILE}
    return flow is Flow.CONSUMED and (category is Category.IMPORTED_ENERGY or burnt)


def check_sign(quantity: Decimal, source: EmissionSource, stream: Stream) -> None:
    """Errors: NEGATIVE_QUANTITY."""
    if quantity < 0 and not may_be_negative(source.category, source.direct_kind, stream.flow):
        raise NEGATIVE_QUANTITY(path=("quantity",), quantity=quantity, stream=stream.code)


def checked_code(written: str, *path: str) -> str:
    """A code without stray widths and spaces. Errors: BAD_EMISSION_CODE."""
    code = clean(written)
    if not 1 <= len(code) <= 60:
        raise BAD_CODE(path=path, code=code[:80])
    return code


def pick_stream(streams: list[Stream], wanted: str | None, source_code: str) -> Stream:
    """The stream a row means: by its code, or the only one there is. Errors: STREAM_NOT_CHOSEN, UNKNOWN_STREAM."""
    named = clean(wanted) if wanted else ""
    fitting = [s for s in streams if not named or s.code == named]
    if len(fitting) != 1:
        raise no_stream(named if not fitting else "", source_code, [s.code for s in streams])
    return fitting[0]


def no_stream(named: str, source: str, known: Sequence[str]) -> CodedError:
    """Why no one stream of a source is meant: none is called so, or several may be meant."""
    place: dict[str, Any] = {"path": ("stream",), "source": source[:60], "streams": ", ".join(known) or "-"}
    return UNKNOWN_STREAM(stream=named[:60], **place) if named else STREAM_NOT_CHOSEN(**place)
