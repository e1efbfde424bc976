"""The error codes of splits and merges."""

from __future__ import annotations

from backend.kit.errors import invalid, rule

LOT_NOT_WHOLE = rule(
    "LOT_NOT_WHOLE",
    en="Lot {lot} does not rest wholly and free in one account; only such a lot is split or merged.",
    zh="批次 {lot} 未完整且无预留地存于同一账户；只有这样的批次可以拆分或合并。",
)
NO_SERIALS = rule(
    "NO_SERIALS",
    en="Lot {lot} has no serial numbers, so there is nothing to cut it by; any part of it can be moved as it is.",
    zh="批次 {lot} 没有序列号，无从拆分；其任意部分可直接划转。",
)
BAD_CUT = invalid(
    "BAD_CUT",
    en="{first} to {last} is no part of lot {lot}, which has {lot_first} to {lot_last}; name 1 to {most} parts that "
    "do not overlap and are less than the whole.",
    zh="{first} 至 {last} 不是批次 {lot}（{lot_first} 至 {lot_last}）的一部分；"
    "请给出 1 至 {most} 个互不重叠且小于整体的号段。",
)
CUT_SIZE = invalid(
    "CUT_SIZE",
    en="{what} names {least} to {most} different {parts}; got {count}.",
    zh="{what_zh}须给出 {least} 至 {most} 个不同的{parts_zh}，收到 {count} 个。",
)
NOT_ADJACENT = rule(
    "NOT_ADJACENT",
    en="Lots {lot} and {other} are not of one issue with adjacent serial numbers in one account.",
    zh="批次 {lot} 与 {other} 并非同一账户中同源且序列号相邻的批次。",
)
