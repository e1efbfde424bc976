"""What the columns of a file are called, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backend.accounting.domain.imports import HEADER_TWICE, HEADERS_MISSING
from backend.kit.text import clean

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "organisation": ("组织", "组织代码", "组织编码", "厂区", "单位代码", "organisation", "organization", "site", "org"),
    "source": ("排放源", "排放源代码", "排放源编码", "source", "emission source", "source code"),
    "stream": ("流", "物料", "品种", "燃料", "排放流", "stream", "material", "fuel", "stream code"),
    "month": ("月份", "日期", "期间", "年月", "month", "date", "period", "day"),
    "quantity": ("数量", "消耗量", "用量", "活动数据", "quantity", "amount", "consumption", "activity"),
    "unit": ("单位", "计量单位", "unit", "uom"),
    "evidence": ("证据", "凭证", "佐证", "凭证号", "evidence", "document", "voucher"),
    "note": ("备注", "说明", "note", "remark", "remarks", "comment"),
}
ROW: Final = "row"
BEYOND: Final = "beyond"
"""A column for what stands behind the last header."""
FORMULA: Final = "\0="
"""How a cell begins that is computed, not written; no text of a file can begin so."""
NEEDED: Final = ("source", "month", "quantity", "unit")
_MEANING: Final = {alias.casefold(): field for field, names in ALIASES.items() for alias in names}
ERROR_COLUMNS: Final = frozenset({"错误", "错误代码", "error", "error code"})


def meanings(header: Sequence[str]) -> dict[str, int]:
    """Which column holds which field. Columns that mean nothing are left alone.

    Errors: HEADERS_MISSING, HEADER_TWICE.
    """
    found: dict[str, int] = {}
    for position, written in enumerate(header):
        name = clean(written).casefold().split("(")[0].split("[")[0].strip()
        field = _MEANING.get(name)
        if field is None:
            continue
        if field in found:
            raise HEADER_TWICE(first=header[found[field]][:40], second=written[:40])
        found[field] = position
    missing = [field for field in NEEDED if field not in found]
    if missing:
        shown = "、".join(f"{ALIASES[f][0]}/{f}" for f in missing)
        known = "; ".join(f"{ALIASES[f][0]} = {f}" for f in ALIASES)
        raise HEADERS_MISSING(missing=shown, found=", ".join(h[:20] for h in header[:20]) or "-", known=known)
    return found
