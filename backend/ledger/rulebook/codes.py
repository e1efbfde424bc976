"""The error codes of the rulebook. Each names the rule, where it is written, and what is left."""

from __future__ import annotations

from backend.kit.errors import invalid, rule

VINTAGE_NOT_USABLE = rule(
    "VINTAGE_NOT_USABLE",
    en="Lot {lot} of vintage {vintage} cannot serve for {year}; usable are {usable}. Rule {rule}: {source}.",
    zh="批次 {lot}（年份 {vintage}）不可用于 {year} 年度；可用年份：{usable}。规则 {rule}：{source}。",
)
OFFSET_LIMIT_EXCEEDED = rule(
    "OFFSET_LIMIT_EXCEEDED",
    en="Offsets for {year} may be at most {limit} t ({share} of {base} t); {used} t are used or pending, {headroom} t "
    "are left, {asked} t were asked for. Rule {rule}: {source}.",
    zh="{year} 年度抵销量上限为 {limit} 吨（{base} 吨的 {share}），已用及待抵销 {used} 吨，剩余 {headroom} 吨，"
    "请求 {asked} 吨。规则 {rule}：{source}。",
)
OFFSET_LIMIT_UNKNOWN = rule(
    "OFFSET_LIMIT_UNKNOWN",
    en="Offsets for {year} are limited to {share} of what is due, and nothing is recorded as due: set the obligation "
    "first. Rule {rule}: {source}.",
    zh="{year} 年度抵销量以应清缴量的 {share} 为限，但尚无应清缴量记录；请先登记履约义务。规则 {rule}：{source}。",
)
OFFSET_NOT_ELIGIBLE = rule(
    "OFFSET_NOT_ELIGIBLE",
    en="Lot {lot} cannot serve as an offset for {year}: it needs {need}, and has {found}. Rule {rule}: {source}.",
    zh="批次 {lot} 不可用于 {year} 年度抵销：须{need_zh}，实为 {found}。规则 {rule}：{source}。",
)
OFFSET_INSIDE_SCHEME = rule(
    "OFFSET_INSIDE_SCHEME",
    en="Lot {lot} comes from a project inside an allowance scheme and cannot serve as an offset for {year}. "
    "Rule {rule}: {source}.",
    zh="批次 {lot} 来自纳入配额管理的项目，不可用于 {year} 年度抵销。规则 {rule}：{source}。",
)
WRONG_MARKET = rule(
    "WRONG_MARKET",
    en="Lot {lot} is of the market {market}; the obligation for {year} is of {needed}, where it does not serve.",
    zh="批次 {lot} 属于市场 {market}；{year} 年度履约义务属于市场 {needed}，不可使用。",
)
LOCAL_SHARE_NOT_SHOWN = rule(
    "LOCAL_SHARE_NOT_SHOWN",
    en="At least {share} of the offsets must come from the region, which the lots do not show. Rule {rule}: {source}.",
    zh="抵销量的 {share} 以上须来自本地项目，批次未能证明。规则 {rule}：{source}。",
)
PREFERRED_FIRST = rule(
    "PREFERRED_FIRST",
    en="{held} t of {preferred} are held and should be used before {used}. Rule {rule}: {source}.",
    zh="尚持有 {preferred} {held} 吨，宜先于 {used} 使用。规则 {rule}：{source}。",
)
SURRENDER_OWES_NOTHING = rule(
    "SURRENDER_OWES_NOTHING",
    en="Nothing is recorded as due for {year}: record the obligation, or correct beneficiary and year by a reversal. "
    "Rule {rule}: {source}.",
    zh="{year} 年度尚无履约义务记录；请登记应清缴量，如受益组织或年度有误请冲正。规则 {rule}：{source}。",
)
SURRENDER_NAMES_PERIOD = rule(
    "SURRENDER_NAMES_PERIOD",
    en="The obligation that holds {year} is named by its last year, {named}; a surrender for {year} does not count "
    "towards it. Rule {rule}: {source}.",
    zh="包含 {year} 年度的履约义务以其末年 {named} 命名；为 {year} 年度清缴的数量不计入该义务。规则 {rule}：{source}。",
)
SURRENDER_BEYOND_DUE = rule(
    "SURRENDER_BEYOND_DUE",
    en="For {year} {due} t are due and {used} t were surrendered; {asked} t more go {beyond} t beyond it. "
    "Rule {rule}: {source}.",
    zh="{year} 年度应清缴 {due} 吨，已清缴 {used} 吨；再清缴 {asked} 吨将超出 {beyond} 吨。规则 {rule}：{source}。",
)
SURRENDER_LATE = rule(
    "SURRENDER_LATE",
    en="The surrender for {year} was due by {day}; {on} is {days} days late. Rule {rule}: {source}.",
    zh="{year} 年度应于 {day} 前清缴；{on} 已逾期 {days} 天。规则 {rule}：{source}。",
)
YEAR_TO_COME = rule(
    "YEAR_TO_COME",
    en="{year} has not begun on {on}, and nothing of it is known yet; was an earlier year meant? "
    "Rule {rule}: {source}.",
    zh="{on} 时 {year} 年度尚未开始，排放量与义务均未知；是否应为此前年度？规则 {rule}：{source}。",
)
NO_VINTAGE = rule(
    "NO_VINTAGE",
    en="The lot names no vintage; for {first} and later the market {market} takes no allowances without one. "
    "Rule {rule}: {source}.",
    zh="批次未注明配额年度；自 {first} 年度起，市场 {market} 不接受未注明年度的配额。规则 {rule}：{source}。",
)
NO_EVIDENCE = rule(
    "NO_EVIDENCE",
    en="{kind} names no document that proves it; give its reference as `evidence`. Rule {rule}: {source}.",
    zh="{kind_zh}未注明证明文件；请填写其编号（证据）。规则 {rule}：{source}。",
)
NO_REASON = rule(
    "NO_REASON",
    en="The reversal says neither why nor by which document; give `purpose` or `evidence`. Rule {rule}: {source}.",
    zh="冲正未说明原因或依据文件；请填写用途（purpose）或证据（evidence）。规则 {rule}：{source}。",
)
UNKNOWN_SCHEME = rule(
    "UNKNOWN_SCHEME",
    en="No market of the rulebook issues units such as {lot}, so whether they serve an obligation is not known here. "
    "Rule {rule}: {source}.",
    zh="规则库中没有市场签发 {lot} 这类资产，无法判断其能否用于履约。规则 {rule}：{source}。",
)
UNKNOWN_MARKET = invalid(
    "UNKNOWN_MARKET",
    en="There is no market '{market}' in the rulebook; there are {known}.",
    zh="规则库中没有市场 '{market}'；现有：{known}。",
)
