"""Packs: the units, devices, sources and streams of a kind of company, ready to be made at a site (Table 2).

Packs of the house lie as data in `backend/accounting/packs`; a tenant adds its own in the same form.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from backend.accounting.domain.sources import Category, DirectKind, NewSource, checked_code, checked_source
from backend.accounting.domain.units import checked_name
from backend.kit.errors import CodedError, conflict, invalid
from backend.kit.ids import uuid7
from backend.kit.text import clean, tidy

FOLDER: Final = Path(__file__).parents[1] / "packs"
MOST_ITEMS: Final = 2000

UNKNOWN_PACK = invalid(
    "UNKNOWN_PACK",
    en="There is no pack '{code}'; there are: {known}.",
    zh="没有模板包 '{code}'；现有：{known}。",
)
UNKNOWN_GROUP = invalid(
    "UNKNOWN_PACK_GROUP",
    en="The pack {pack} has no group '{group}'; it has: {known}.",
    zh="模板包 {pack} 没有单元组 '{group}'；现有：{known}。",
)
PACK_CODE_TAKEN = conflict("PACK_CODE_TAKEN", en="There is a pack '{code}' already.", zh="模板包 '{code}' 已存在。")
PACK_INCONSISTENT = invalid("PACK_INCONSISTENT", en="{reason}", zh="{reason_zh}")


@dataclass(frozen=True, slots=True)
class PackMaterial:
    """A material of a source: a stream. `material` is its code in the library; None: there is no factor for it."""

    code: str
    name_zh: str
    name_en: str = ""
    material: str | None = None


@dataclass(frozen=True, slots=True)
class PackGroup:
    """A group of units with the devices of its production and auxiliary systems, by Chinese name."""

    code: str
    name_zh: str
    name_en: str = ""
    aliases: tuple[str, ...] = ()
    production: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackSource:
    """A source, in a group of units or (None) of the site as a whole."""

    code: str
    name_zh: str
    category: Category
    name_en: str = ""
    group: str | None = None
    direct_kind: DirectKind | None = None
    materials: tuple[PackMaterial, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """What can be made at a site at one stroke. `source` says what it follows."""

    code: str
    name_zh: str
    name_en: str = ""
    source: str = ""
    groups: tuple[PackGroup, ...] = ()
    sources: tuple[PackSource, ...] = ()

    def of_groups(self, wanted: Sequence[str] | None) -> Pack:
        """The part in these groups; all, and what belongs to none, when none is named. Errors: UNKNOWN_PACK_GROUP."""
        if wanted is None:
            return self
        known = {name: g.code for g in self.groups for name in (g.code, g.name_zh, *g.aliases)}
        for i, name in enumerate(wanted):
            if clean(name) not in known and tidy(name) not in known:
                raise UNKNOWN_GROUP(
                    path=("groups", str(i)),
                    pack=self.code,
                    group=name[:60],
                    known=", ".join(g.code for g in self.groups),
                )
        codes = {known.get(clean(n)) or known[tidy(n)] for n in wanted}
        return Pack(
            self.code,
            self.name_zh,
            self.name_en,
            self.source,
            tuple(g for g in self.groups if g.code in codes),
            tuple(s for s in self.sources if s.group in codes),
        )


class ItemKind(StrEnum):
    """What an item of a pack becomes."""

    UNIT = "UNIT"
    """A unit or system."""
    DEVICE = "DEVICE"
    """A device."""
    SOURCE = "SOURCE"
    """A source."""
    STREAM = "STREAM"
    """A stream."""


class ItemState(StrEnum):
    """What became of an item of a pack."""

    CREATED = "CREATED"
    """It was made."""
    EXISTING = "EXISTING"
    """Its code existed at the site; it was left as it is."""
    NEEDS_FACTOR = "NEEDS_FACTOR"
    """The library has no factor for it: add the stream with an own factor."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a pack, and what became of it."""

    kind: ItemKind
    code: str
    name_zh: str
    state: ItemState


@functools.cache
def house_packs() -> dict[str, Pack]:
    """The packs that ship with the product, by code."""
    adapter = TypeAdapter(Pack)
    packs = [adapter.validate_python(tomllib.loads(f.read_text("utf-8"))) for f in sorted(FOLDER.glob("*.toml"))]
    return {pack.code: pack for pack in packs}


def _inconsistent(en: str, zh: str, *path: str) -> CodedError:
    return PACK_INCONSISTENT(path=path, reason=en, reason_zh=zh)


def checked_pack(pack: Pack) -> Pack:
    """A pack of a tenant's own. Errors: PACK_INCONSISTENT, BAD_EMISSION_CODE, NAME_MISSING, DIRECT_KIND_MISMATCH."""
    items = len(pack.groups) + sum(len(g.production) + len(g.auxiliary) for g in pack.groups)
    items += len(pack.sources) + sum(len(s.materials) for s in pack.sources)
    if not 1 <= items <= MOST_ITEMS:
        raise _inconsistent(f"A pack has 1 to {MOST_ITEMS} items.", f"模板包须有 1 至 {MOST_ITEMS} 项。", "groups")
    for place, codes in (("groups", [g.code for g in pack.groups]), ("sources", [s.code for s in pack.sources])):
        for i, code in enumerate(codes):
            if len(checked_code(code, place, str(i), "code")) > 40 or codes.index(code) != i:
                raise _inconsistent(
                    f"The code '{code[:40]}' is there twice, or longer than 40 characters.",
                    f"代码 '{code[:40]}' 重复或超过 40 个字符。",
                    place, str(i), "code",
                )  # fmt: skip
    for i, group in enumerate(pack.groups):
        if not tidy(group.name_zh) or not all(map(tidy, (*group.production, *group.auxiliary))):
            raise _inconsistent("A group or device has no name.", "单元组或设备缺少名称。", "groups", str(i))
    groups = {g.code for g in pack.groups}
    for i, source in enumerate(pack.sources):
        _check_source(source, groups, i)
    return Pack(
        checked_code(pack.code, "code"), checked_name(pack.name_zh), tidy(pack.name_en), tidy(pack.source),
        pack.groups, pack.sources,
    )  # fmt: skip


def _check_source(source: PackSource, groups: set[str], position: int) -> None:
    path = ("sources", str(position))
    if source.group is not None and source.group not in groups:
        raise _inconsistent(f"There is no group '{source.group[:40]}'.", f"没有单元组 '{source.group[:40]}'。", *path)
    codes = [checked_code(m.code, *path, "materials", str(i), "code") for i, m in enumerate(source.materials)]
    if len(set(codes)) < len(codes):
        raise _inconsistent("A stream code is there twice.", "流代码重复。", *path)
    anywhere = uuid7()
    try:
        checked_source(
            NewSource(anywhere, source.code, source.name_zh, source.category, direct_kind=source.direct_kind)
        )
    except CodedError as error:
        raise error.at(*path) from error
