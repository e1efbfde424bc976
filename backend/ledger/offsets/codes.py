"""The error codes of offset surrenders."""

from __future__ import annotations

from backend.kit.errors import conflict, invalid, rule

UNKNOWN_OFFSET_SURRENDER = invalid(
    "UNKNOWN_OFFSET_SURRENDER",
    en="There is no offset surrender {surrender}, or you may not see it.",
    zh="抵销清缴 {surrender} 不存在，或您无权查看。",
)
OFFSETS_ONLY = rule(
    "OFFSETS_ONLY",
    en="Lot {lot} holds allowances; offsets are CCER, verified savings or sinks. Surrender allowances directly.",
    zh="批次 {lot} 为配额；抵销须使用核证减排量、核定节能量或碳汇，配额请直接清缴。",
)
OFFSET_STEP = conflict(
    "OFFSET_STEP",
    en="The offset surrender stands at {state}; {asked} is possible at {possible} only.",
    zh="抵销清缴当前状态为 {state}；{asked_zh}仅可在 {possible} 时进行。",
)
OFFSET_LATE = rule(
    "OFFSET_LATE",
    en="The offset surrender had to be decided by {deadline}; its units come free again. Begin a new one.",
    zh="抵销清缴应于 {deadline} 前决定，所冻结的减排量将解冻；请重新发起。",
)
