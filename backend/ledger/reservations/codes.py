"""The error codes of reservations."""

from __future__ import annotations

from backend.kit.errors import conflict, invalid, rule

RESERVATION_KIND = invalid(
    "RESERVATION_KIND",
    en="PENDING names the kind of transfer it is for (TRANSFER, SURRENDER, RETIRE or CANCEL), FREEZE and PLEDGE none; "
    "this one is {aim}.",
    zh="PENDING 须指明划转类型（TRANSFER、SURRENDER、RETIRE 或 CANCEL），FREEZE 与 PLEDGE 不得指明；当前为 {aim}。",
)
RESERVATION_DEADLINE = invalid(
    "RESERVATION_DEADLINE",
    en="A reservation ends in the future; {expires_at} has passed.",
    zh="预留到期时间须在将来，{expires_at} 已过。",
)
RESERVATION_OF_ONE = rule(
    "RESERVATION_OF_ONE",
    en="A reservation sets units of one organisation aside; make one for each organisation.",
    zh="一笔预留只能涉及一个组织的资产，请按组织分别预留。",
)
UNKNOWN_RESERVATION = invalid(
    "UNKNOWN_RESERVATION",
    en="There is no reservation {reservation}, or you may not see it.",
    zh="预留 {reservation} 不存在，或您无权查看。",
)
RESERVATION_ENDED = conflict(
    "RESERVATION_ENDED",
    en="The reservation has ended already ({state}); it ends once.",
    zh="该预留已结束（{state}），不能再次结束。",
)
RESERVATION_EXPIRED = rule(
    "RESERVATION_EXPIRED",
    en="The reservation expired at {expires_at}; reserve the units again.",
    zh="该预留已于 {expires_at} 到期，请重新预留。",
)
RESERVATION_STAYS = rule(
    "RESERVATION_STAYS",
    en="A reservation of the aim {aim} is there to keep units; only a PENDING one can be posted.",
    zh="{aim} 类预留用于保持资产不动，只有 PENDING 类可以登记。",
)
RESERVATION_PART = rule(
    "RESERVATION_PART",
    en="Leg {leg} has {reserved} t set aside and cannot be posted with {part} t; post 1 t or more of some leg.",
    zh="第 {leg} 条分录尚预留 {reserved} 吨，不能登记 {part} 吨；至少须登记 1 吨。",
)
UNKNOWN_LEG = rule(
    "UNKNOWN_LEG",
    en="There is no leg {leg}; the reservation's legs are numbered from 0 to {last}.",
    zh="不存在第 {leg} 条分录；该预留的分录编号为 0 至 {last}。",
)
RESERVATION_OF_OFFSET = rule(
    "RESERVATION_OF_OFFSET",
    en="The reservation belongs to an offset surrender and ends with it; decide or withdraw that instead.",
    zh="该预留属于一笔抵销清缴并随其结束；请对抵销清缴作出决定或撤回。",
)
