"""The error codes of the ledger. Each says what was asked, what would be possible, and where it stands."""

from __future__ import annotations

from enum import StrEnum

from backend.kit.errors import conflict, invalid, rule
from backend.kit.words import in_chinese, members_in_chinese, things_in_chinese
from backend.ledger.domain.accounts import AccountKind
from backend.ledger.domain.lots import AssetClass, Origin
from backend.ledger.domain.transfers import TransferKind

in_chinese({
    "reason": "原因", "evidence": "证据", "reference": "编号", "scheme": "机制", "issueReference": "签发编号",
    "accountCode": "账户代码", "code": "代码", "name": "名称", "species": "树种", "source": "来源",
    "institution": "机构", "ownerName": "户名", "purpose": "用途",
})  # fmt: skip
things_in_chinese({
    "AssetAccount": "资产账户", "AssetLot": "资产批次", "AssetTransfer": "资产划转", "Obligation": "履约义务",
    "AssetReservation": "资产预留", "OffsetSurrender": "抵销清缴", "ComplianceReminder": "履约提醒",
    "RuleException": "规则例外", "AssetTrade": "资产交易", "CarbonProject": "减排项目", "ProjectClaim": "减排量申报",
})  # fmt: skip
members_in_chinese(AssetClass, {
    "ALLOWANCE": "碳排放配额", "CCER": "核证自愿减排量", "VERIFIED_SAVING": "经政府核定的节能减排量",
    "SINK": "经核证的自有碳汇",
})  # fmt: skip
members_in_chinese(Origin, {
    "ALLOCATED": "免费分配", "AUCTIONED": "有偿竞买", "PURCHASED": "市场购入", "ISSUED_CREDIT": "减排量登记",
    "CERTIFIED_SINK": "碳汇核证",
})  # fmt: skip
members_in_chinese(AccountKind, {
    "HOLDING": "持有账户", "REGISTRY": "注册登记账户", "TRADING": "交易账户", "ISSUER": "签发方", "MARKET": "外部市场",
    "SURRENDERED": "已清缴", "RETIRED": "已注销用于中和", "CANCELLED": "已自愿注销",
})  # fmt: skip
members_in_chinese(TransferKind, {
    "ISSUE": "签发", "TRANSFER": "划转", "SURRENDER": "清缴", "RETIRE": "注销用于中和", "CANCEL": "自愿注销",
    "REVERSE": "冲正", "SPLIT": "拆分", "MERGE": "合并",
})  # fmt: skip

INSUFFICIENT_BALANCE = rule(
    "INSUFFICIENT_BALANCE",
    en="Account {account} has {available} t of lot {lot} free{aside}; {asked} t were asked for.",
    zh="账户 {account} 中批次 {lot} 可用 {available} 吨{aside_zh}，请求 {asked} 吨。",
    added=("aside", "aside_zh"),
)
SHORT_ON_DAY = rule(
    "SHORT_ON_DAY",
    en="Taking effect on {effective_on}, this would leave account {account} {short} t of lot {lot} short on {day}: no "
    "balance may have been below zero on any day. Name a day from which on the units were there.",
    zh="若自 {effective_on} 起生效，账户 {account} 的批次 {lot} 在 {day} 将短缺 {short} 吨："
    "任何一天的余额都不得为负。请指定资产已在账户中的日期。",
)
UNKNOWN_LOT = invalid(
    "UNKNOWN_LOT",
    en="There is no lot {lot}; name an issued one by its id, or by scheme and issue reference.",
    zh="批次 {lot} 不存在；请以标识，或以机制与签发编号指定已签发的批次。",
)
LOT_CUT = invalid(
    "LOT_CUT",
    en="Lot {lot} was split or merged; in its place there are now {parts}. Name one of these.",
    zh="批次 {lot} 已拆分或合并，现由 {parts} 取代；请指定其中之一。",
)
UNKNOWN_ACCOUNT = invalid(
    "UNKNOWN_ACCOUNT",
    en="There is no account {account}, or you may not see it; name one by its id, or by organisation and code.",
    zh="账户 {account} 不存在或您无权查看；请以标识，或以组织与代码指定账户。",
)
UNKNOWN_TRANSFER = invalid(
    "UNKNOWN_TRANSFER",
    en="There is no transfer {transfer}, or you may not see it.",
    zh="划转 {transfer} 不存在，或您无权查看。",
)
UNKNOWN_BENEFICIARY = invalid(
    "UNKNOWN_BENEFICIARY",
    en="The organisation {organisation} that the units are to serve does not exist.",
    zh="受益组织 {organisation} 不存在。",
)
LOT_ALREADY_ISSUED = conflict(
    "LOT_ALREADY_ISSUED",
    en="The scheme {scheme} has a lot with the issue reference '{reference}' already; a lot is issued once.",
    zh="机制 {scheme} 已有签发编号为 '{reference}' 的批次；同一批次只能签发一次。",
)
SERIAL_OVERLAP = rule(
    "SERIAL_OVERLAP",
    en="The serial numbers {prefix}{first}-{last} overlap those of lot '{reference}' of the same scheme.",
    zh="序列号 {prefix}{first}-{last} 与同一机制下批次 '{reference}' 的序列号重叠。",
)
SERIAL_RANGE = invalid(
    "SERIAL_RANGE",
    en="Serial numbers run from a first number, 0 or above, to a last that is no lower, {most} at most; "
    "{first} to {last} do not.",
    zh="序列号应自不小于 0 的首号至不小于首号的末号，且不超过 {most}；{first} 至 {last} 不符合。",
)
SERIAL_LENGTH = invalid(
    "SERIAL_LENGTH",
    en="The serial block {first}-{last} has {length} numbers; a lot of {quantity} t needs exactly {quantity}.",
    zh="序列号段 {first}-{last} 共 {length} 个编号；{quantity} 吨的批次应恰有 {quantity} 个。",
)
SERIAL_OF_NEW_LOT = invalid(
    "SERIAL_OF_NEW_LOT",
    en="A lot gets its serial numbers when it is issued; {what} issues none, so leave `serial` out.",
    zh="序列号在签发批次时给定；{what_zh}不签发批次，请勿填写序列号。",
)
SERIALS_LENGTH = invalid(
    "SERIALS_LENGTH",
    en="The serial numbers {first} to {last} are {length} units; the leg says {quantity} t.",
    zh="序列号 {first} 至 {last} 共 {length} 个单位；分录写明 {quantity} 吨。",
)
SERIALS_ALL_OR_NOTHING = invalid(
    "SERIALS_ALL_OR_NOTHING",
    en="A list with serial numbers is posted all or nothing, for lots are cut for it; set allOrNothing.",
    zh="含序列号的列表须全部成功或全部不执行，因其需拆分批次；请设置 allOrNothing。",
)
ORIGIN_DOES_NOT_FIT = invalid(
    "ORIGIN_DOES_NOT_FIT",
    en="A lot of class {asset_class} cannot have the origin {origin}; it can have {fitting}.",
    zh="资产类别 {asset_class} 的来源不能为 {origin}，可为 {fitting}。",
)
CLASS_DOES_NOT_FIT = invalid(
    "CLASS_DOES_NOT_FIT",
    en="The scheme {scheme} issues {fitting}, not {asset_class}.",
    zh="机制 {scheme} 签发的是{fitting}，而非{asset_class}。",
)
ALREADY_REVERSED = conflict(
    "ALREADY_REVERSED",
    en="The transfer {transfer} has been reversed already; a transfer is reversed once.",
    zh="划转 {transfer} 已被冲正；每笔划转只能冲正一次。",
)
NOT_REVERSIBLE = rule(
    "NOT_REVERSIBLE",
    en="The transfer {transfer} is a reversal, split or merge; post what is right as a new transfer, split or merge.",
    zh="划转 {transfer} 为冲正、拆分或合并，不能冲正；请以新的划转、拆分或合并登记正确内容。",
)


class Bound(StrEnum):
    """Why a transfer is not reversed by itself."""

    CARRIED_OVER = "CARRIED_OVER"
    """It is one half of a carry-over (结转)."""
    CLAWED_BACK = "CLAWED_BACK"
    """The authority took the units back (核减收回)."""
    PROJECT_GONE = "PROJECT_GONE"
    """The project of its units has been cancelled (项目已注销)."""


members_in_chinese(Bound, {
    "CARRIED_OVER": "属于配额结转", "CLAWED_BACK": "属于核减收回", "PROJECT_GONE": "所属减排项目已注销",
})  # fmt: skip
REVERSAL_BOUND = rule(
    "REVERSAL_BOUND",
    en="The transfer {transfer} is not reversed ({bound}): one half of a carry-over, what the authority took back, and "
    "units of a project that is cancelled do not come back to an account.",
    zh="划转 {transfer} 不能冲正（{bound_zh}）：结转的一半、主管部门收回的配额、已注销项目的减排量均不得退回账户。",
)
REVERSAL_NOT_COVERED = rule(
    "REVERSAL_NOT_COVERED",
    en="Account {account} has {available} t of lot {lot} left, and {asked} t would have to go back: the others moved "
    "on. Reverse first what moved them; a lot that was split or merged since stays so.",
    zh="账户 {account} 的批次 {lot} 仅余 {available} 吨，冲正需退回 {asked} 吨：其余已转出。"
    "请先冲正其后的划转；其后已拆分或合并的批次不能恢复。",
)
REVERSAL_FROZEN = rule(
    "REVERSAL_FROZEN",
    en="{asked} t of lot {lot} would have to go back out of account {account}: {available} t are free there, {frozen} "
    "t are frozen, pledged or reserved, {gone} t moved on. End the reservation first, and reverse what moved on.",
    zh="冲正需从账户 {account} 退回批次 {lot} {asked} 吨：可用 {available} 吨，已冻结、质押或预留 {frozen} 吨，"
    "已转出 {gone} 吨。请先解除冻结或预留，并冲正其后的划转。",
)
BAD_QUANTITY = invalid(
    "BAD_QUANTITY",
    en="The quantity must be a whole number of tonnes from 1 to {most}; got {quantity}.",
    zh="数量须为 1 至 {most} 的整数吨，收到 {quantity}。",
)
BAD_YEAR = invalid(
    "BAD_YEAR",
    en="{year} is not a year this ledger can hold; it must lie from 1990 to 2100.",
    zh="{year} 不是有效年份，应在 1990 至 2100 之间。",
)
BAD_PERIOD = invalid(
    "BAD_OBLIGATION_PERIOD",
    en="A period runs from its first year to its last; {first} to {last} does not.",
    zh="履约期须自首年至末年，{first} 至 {last} 无效。",
)
WRONG_LEGS = invalid(
    "WRONG_LEGS",
    en="A transfer has 1 to {most} legs; this one has {count}.",
    zh="一笔划转须有 1 至 {most} 条分录，收到 {count} 条。",
)
TOO_MANY_ROWS = invalid(
    "TOO_MANY_ROWS",
    en="At most {most} rows can be sent at once, and at least one; got {count}.",
    zh="一次须提交 1 至 {most} 行，收到 {count} 行。",
)
USE_NEEDS_BENEFICIARY = invalid(
    "USE_NEEDS_BENEFICIARY",
    en="{kind} names both the organisation it serves and the year it is for.",
    zh="{kind} 须同时指明受益组织与所属年度。",
)
PURPOSE_NEEDED = invalid(
    "PURPOSE_NEEDED",
    en="Units retired for neutrality need a `purpose`: say what they neutralise, the emissions of which boundary, "
    "event or product, besides the organisation they serve and its year (8.4.1).",
    zh="注销用于中和须填写用途：说明所抵销的排放（边界、活动或产品），并指明受益组织与所属年度（8.4.1）。",
)
TEXT_TOO_LONG = invalid(
    "TEXT_TOO_LONG",
    en="{what} has {length} characters and may have {most}; refer to a document for the rest.",
    zh="{what} 有 {length} 个字符，最多 {most} 个；其余内容请引用文件。",
)
NO_BENEFICIARY_HERE = invalid(
    "NO_BENEFICIARY_HERE",
    en="{kind} uses nothing up, so it names no beneficiary and no year.",
    zh="{kind} 不消耗资产，不应指明受益组织或年度。",
)
WRONG_ACCOUNT_KIND = invalid(
    "WRONG_ACCOUNT_KIND",
    en="An organisation opens accounts of the kinds HOLDING, REGISTRY and TRADING; {kind} is one of the outside, which "
    "every tenant has from the beginning.",
    zh="组织只能开立持有账户（HOLDING）、注册登记账户（REGISTRY）或交易账户（TRADING）；"
    "{kind} 账户由系统自带，不能开立。",
)
WRONG_DESTINATION = invalid(
    "WRONG_DESTINATION",
    en="{kind}: {need}.",
    zh="{kind}：{need_zh}。",
)
EFFECTIVE_IN_FUTURE = rule(
    "EFFECTIVE_IN_FUTURE",
    en="This would take effect on {effective_on}, and today is {today}: enter it on its day.",
    zh="生效日 {effective_on} 晚于今日 {today}，请在当日登记。",
)
PERIOD_CLOSED = rule(
    "PERIOD_CLOSED",
    en="The days up to {through} are closed; {day} is one of them. Let it take effect on a later day, with its papers.",
    zh="截至 {through} 的期间已关账，{day} 在其中；请使其自之后的日期起生效，并附证据。",
)
CLOSING_DAY = rule(
    "CLOSING_DAY",
    en="A period is closed through a past day after the last closed one ({last}); got {through}.",
    zh="关账日须早于今日且晚于上次关账日（{last_zh}），收到 {through}。",
)
EFFECTIVE_BEFORE_ISSUE = rule(
    "EFFECTIVE_BEFORE_ISSUE",
    en="Lot {lot} was issued on {issued_on}; nothing of it takes effect on {effective_on}, before it existed.",
    zh="批次 {lot} 于 {issued_on} 签发，不能自此前的 {effective_on} 起生效。",
)
NOT_POSTED = rule(
    "NOT_POSTED",
    en="Nothing is wrong with this row; other rows were refused, and all or nothing was asked for.",
    zh="本行无误；因其他行被拒绝且要求全部成功或全部不执行，本行未登记。",
)
ACCOUNT_CODE_TAKEN = conflict(
    "ACCOUNT_CODE_TAKEN",
    en="The organisation has an account '{code}' already.",
    zh="该组织已有代码为 '{code}' 的账户。",
)
MISSING_TEXT = invalid(
    "MISSING_TEXT",
    en="{what} must not be empty.",
    zh="{what_zh}不能为空。",
)
BAD_TONNES = invalid(
    "BAD_TONNES",
    en="An obligation is a number of tonnes from 0 on with at most 9 decimals; got {tonnes}.",
    zh="履约义务须为不小于 0、至多 9 位小数的吨数，收到 {tonnes}。",
)
OBLIGATION_OVERLAP = conflict(
    "OBLIGATION_OVERLAP",
    en="The organisation has an obligation for {first} to {last}, which overlaps; set that period anew, or another.",
    zh="该组织已有 {first} 至 {last} 的履约义务，时段重叠；请重设同一时段或选择其他时段。",
)
ISSUE_BY_LOTS = invalid(
    "ISSUE_BY_LOTS",
    en="What {kind} does is asked for by `{command}`; a posting cannot be of that kind.",
    zh="{kind} 须通过 {command} 进行；登记划转不能为该类型。",
)
