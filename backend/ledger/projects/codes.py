"""The error codes of projects, claims and sinks."""

from __future__ import annotations

from typing import Final

from backend.kit.errors import conflict, invalid, rule
from backend.kit.words import in_chinese

# Steps and documents are written by the caller, so their codes stand beside the words.
in_chinese({
    code: f"{word}（{code}）"
    for code, word in {
        "PUBLISH": "公示", "VALIDATE": "审定", "REJECT": "退回", "APPLY": "申请登记", "REGISTER": "登记",
        "CANCEL": "注销", "VERIFY": "核查", "WITHDRAW": "撤回", "DEVELOP": "开发", "FIRST_REVIEW": "初审",
        "FILE": "备案", "MONITOR": "监测", "ISSUE": "签发",
        "DESIGN_DOCUMENT": "项目设计文件", "VALIDATION_REPORT": "审定报告", "APPLICATION": "申请书",
        "COMMITMENT_LETTER": "承诺书", "REGISTRATION_NOTICE": "登记通知", "REDUCTION_REPORT": "减排量核算报告",
        "VERIFICATION_REPORT": "核查报告", "REDUCTION_CALCULATION": "减排量计算表",
        "ADDITIONALITY_ARGUMENT": "额外性论证", "PROVINCIAL_REVIEW": "省级初审意见", "FORESTRY_PROOF": "林业真实性证明",
        "FILING_NOTICE": "备案通知", "MONITORING_REPORT": "监测报告", "ISSUANCE_NOTICE": "签发通知",
    }.items()
})  # fmt: skip
in_chinese({
    "areaMu": "面积（亩）", "effectiveAreaMu": "有效面积（亩）", "expectedTPerMuYear": "预期每亩年增量（吨）",
    "stockT": "碳储量（吨）", "uncertainty": "不确定度",
})  # fmt: skip
_STATES: Final = {
    "DRAFT": "编制中", "PUBLISHED": "已公示", "VALIDATED": "已审定", "APPLIED": "已申请登记", "REGISTERED": "已登记",
    "CANCELLED": "已注销", "DEVELOPED": "已开发", "REVIEWED": "已初审", "ACCOUNTED": "已核算", "VERIFIED": "已核查",
    "WITHDRAWN": "已撤回", "MONITORED": "已监测",
}  # fmt: skip


def in_state(state: str) -> dict[str, str]:
    """The state of a project or claim, for the texts that name it."""
    return {"state": state, "state_zh": _STATES.get(state, state)}


UNKNOWN_REGIME = invalid(
    "UNKNOWN_REGIME",
    en="There is no regime '{regime}'; there are {known}.",
    zh="没有项目机制 '{regime}'；现有：{known}。",
)
UNKNOWN_METHODOLOGY = invalid(
    "UNKNOWN_METHODOLOGY",
    en="There is no methodology '{methodology}' in the regime {regime}; there are {known}.",
    zh="机制 {regime} 没有方法学 '{methodology}'；现有：{known}。",
)
PROJECT_CODE_TAKEN = conflict(
    "PROJECT_CODE_TAKEN", en="There is a project '{code}' already.", zh="项目代码 '{code}' 已存在。"
)
BAD_CREDITING_PERIOD = invalid(
    "BAD_CREDITING_PERIOD",
    en="The crediting period runs from {first} to the day before {last}; by {methodology} it starts no "
    "earlier than the project, and lasts {least} to {most} years.",
    zh="计入期自 {first} 起至 {last} 前一日止；按 {methodology}，其起始不得早于项目开工，且须为 {least} 至 {most} 年。",
)
BEGUN_TOO_EARLY = rule(
    "BEGUN_TOO_EARLY",
    en="The project began on {begun}; the regime takes projects begun after {after}. Source: {source}.",
    zh="项目开工于 {begun}；该机制仅受理 {after} 之后开工的项目。依据：{source}。",
)
WRONG_STEP = conflict(
    "WRONG_STEP",
    en="The step {step} does not follow from {state}; possible are: {possible}.",
    zh="状态{state}不可办理步骤 {step_zh}；可办理：{possible_zh}。",
)
DOCUMENT_MISSING = rule(
    "DOCUMENT_MISSING",
    en="The step {step} needs these documents, each with its reference: {missing}. Source: {source}.",
    zh="步骤 {step_zh} 须附以下文件并注明文号：{missing_zh}。依据：{source}。",
)
NOTICE_RUNS = rule(
    "NOTICE_RUNS",
    en="The step {step} is possible from {earliest} on: {days} working days after {after}. Source: {source}.",
    zh="步骤 {step_zh} 最早可于 {earliest} 办理：{after_zh} 之后 {days} 个工作日。依据：{source}。",
)
STEP_BEFORE_LAST = invalid(
    "STEP_BEFORE_LAST",
    en="The step happened on {day}; it must lie from {earliest} (the step before) to {today}.",
    zh="步骤日期 {day} 须在 {earliest}（上一步骤）至 {today} 之间。",
)
BODY_MISSING = invalid(
    "BODY_MISSING",
    en="The step {step} names the body that did it.",
    zh="步骤 {step_zh} 须注明办理机构。",
)
SAME_BODY = rule(
    "SAME_BODY",
    en="{body} validated the project; another body must verify its reductions. Source: {source}.",
    zh="{body} 已审定本项目；减排量须由其他机构核查。依据：{source}。",
)
PROJECT_NOT_ELIGIBLE = rule(
    "PROJECT_NOT_ELIGIBLE",
    en="The project {why}; its reductions cannot be registered. Source: {source}.",
    zh="项目{why_zh}，其减排量不得登记。依据：{source}。",
)
PROJECT_UNITS_HELD = rule(
    "PROJECT_UNITS_HELD",
    en="Units issued for this project rest in accounts here ({held} t where you may see them), and a cancelled project "
    "is not registered again. First use them up (surrenderAssets, retireAssets, cancelAssets), sell them, or reverse "
    "their issue (reverseTransfer).",
    zh="本项目已签发的减排量尚存于账户（您可查看的有 {held} 吨），项目注销后不得再次登记。请先将其清缴、注销或自愿注销"
    "（surrenderAssets、retireAssets、cancelAssets）、售出，或冲正其签发（reverseTransfer）。",
)
NOT_REGISTERED = rule(
    "PROJECT_NOT_REGISTERED",
    en="The project is {state}; reductions are claimed of a registered one.",
    zh="项目状态为 {state}；仅登记项目可申报减排量。",
)
CLAIM_OUTSIDE = rule(
    "CLAIM_OUTSIDE",
    en="The claim covers {first} to {last}; it must lie from {earliest} to {latest}. Source: {source}.",
    zh="申报期间 {first} 至 {last} 须在 {earliest} 至 {latest} 之内。依据：{source}。",
)
CLAIM_OVERLAPS = conflict(
    "CLAIM_OVERLAPS",
    en="Another claim of the project covers part of {first} to {last}; a day is claimed once.",
    zh="该项目已有申报覆盖 {first} 至 {last} 的一部分；同一日只能申报一次。",
)
VERIFIED_MORE = invalid(
    "VERIFIED_MORE",
    en="Verified were {verified} t; it must be 1 to the {claimed} t claimed.",
    zh="核查量 {verified} 吨须为 1 至申报的 {claimed} 吨。",
)
MEASURED_LESS = rule(
    "MEASURED_LESS",
    en="The monitoring rounds count {counted} t from {first} to {last}; {verified} t cannot be verified. Record the "
    "rounds that are missing, or verify less.",
    zh="{first} 至 {last} 的监测轮次仅计 {counted} 吨，不能核查 {verified} 吨；请补录监测轮次或减少核查量。",
)
LOTS_COME_FROM_CLAIMS = rule(
    "LOTS_COME_FROM_CLAIMS",
    en="'{project}' is a project entered here; its lots come from its registered claims. Use claimReductions and "
    "takeClaimStep.",
    zh="“{project}”是已登记的项目，其批次只由登记的减排量申报产生；请使用 claimReductions 与 takeClaimStep。",
)
BAD_STAND = invalid(
    "BAD_STAND",
    en="{what} must lie from {least} to {most} with at most {places} decimals; got {value}.",
    zh="{what_zh}须在 {least} 至 {most} 之间且至多 {places} 位小数，收到 {value}。",
)
SINK_RECORDED = conflict(
    "SINK_RECORDED",
    en="'{what}' of this project is recorded already; give a reason to put another in its place.",
    zh="该项目已登记 '{what}'；如需替换请填写理由。",
)
