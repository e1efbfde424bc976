"""The library's own remarks in Chinese: the condition a value holds under, and where it was read.

The files of the library keep what their sources say, mostly in English; an explanation in Chinese says it in Chinese.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SAID: Final[Mapping[str, str]] = {
    "0.1 x CF4": "CF4 的 0.1 倍",
    "101.325 kPa both; NG meters often at 20C": "均为 101.325 kPa；天然气表常按 20 ℃ 计",
    "2022 edition value; replaced from the 2025/26 data-quality plan onward":
    "2022 年版取值；自 2025/26 年数据质量方案起被取代",
    "44/40 (M rounded); exact 44.0095/40.3044=1.091928 - pick one and state it":
    "44/40（分子量取整）；精确值 44.0095/40.3044=1.091928，须择一并注明",
    "44/56 (M rounded); exact 44.0095/56.0774=0.784799": "44/56（分子量取整）；精确值 44.0095/56.0774=0.784799",
    "7000 kcal * 4.1868": "7000 kcal × 4.1868",
    "AR6 27.9 = generic CH4 w/o CO2 from oxidation": "AR6 的 27.9 为一般 CH4，不含氧化生成的 CO2",
    "EF_CF4=0.143*AE minutes per cell-day": "EF_CF4 = 0.143 × 每槽日阳极效应分钟数",
    "NCV basis": "按低位发热量计",
    "NCV*CC*OF*44/12, unrounded convenience value": "NCV×CC×OF×44/12，未修约的便利值",
    "NOT applied at steel enterprise/process level (formula 1,2); only for co-firing power units (formula 3)":
    "钢铁企业及工序层面（式 1、式 2）不采用；仅用于掺烧发电机组（式 3）",
    "SUBTRACTED from clinker process emission": "自熟料过程排放中扣减",
    "SUBTRACTED; externally SOLD only": "扣减；仅限外销部分",
    "SUBTRACTED; externally sold (or further processed)": "扣减；外销（或深加工）部分",
    "SUBTRACTED; externally sold (or further processed); = 33.453*0.02200*44/12":
    "扣减；外销（或深加工）部分；= 33.453×0.02200×44/12",
    "SUBTRACTED; total crude steel OUTPUT (all production)": "扣减；粗钢总产量（全部产出）",
    "as-received (ar), low heating value; 2005清单研究": "收到基低位发热量；2005 清单研究",
    "as-received (ar), low heating value; 2005清单研究(钢铁)": "收到基低位发热量；2005 清单研究（钢铁）",
    "as-received (ar), low heating value; 2005清单研究/IPCC": "收到基低位发热量；2005 清单研究/IPCC",
    "as-received (ar), low heating value; GB/T 2589-2020": "收到基低位发热量；GB/T 2589-2020",
    "as-received (ar), low heating value; IPCC 2006/2019": "收到基低位发热量；IPCC 2006/2019",
    "as-received (ar), low heating value; 能源统计年鉴2022": "收到基低位发热量；能源统计年鉴 2022",
    "as-received (ar), low heating value; 能源统计年鉴2022/IPCC": "收到基低位发热量；能源统计年鉴 2022/IPCC",
    "as-received (ar), low heating value; 能源统计年鉴2022; default compulsory for coke; 兰炭 may use it":
    "收到基低位发热量；能源统计年鉴 2022；焦炭必须采用缺省值，兰炭可采用",
    "default only": "仅采用缺省值",
    "definition": "定义",
    "draft for comment": "征求意见稿",
    "fallback when supplier boiler/CHP factor unavailable; waste-heat recovery = 0":
    "无供热方锅炉或热电联产因子时采用；余热回收为 0",
    "gross generation": "按发电量计",
    "hot water heat = m*(T-20)*4.1868e-3 GJ": "热水热量 = m×(T−20)×4.1868e-3 GJ",
    "legacy value; front-end code still uses it": "旧值；部分前端代码仍在使用",
    "mass-weighted from components HFC-125: 0.44, HFC-143a: 0.52, HFC-134a: 0.04":
    "按组分质量加权：HFC-125 0.44、HFC-143a 0.52、HFC-134a 0.04",
    "mass-weighted from components HFC-125: 0.5, HFC-143a: 0.5": "按组分质量加权：HFC-125 0.5、HFC-143a 0.5",
    "mass-weighted from components HFC-32: 0.23, HFC-125: 0.25, HFC-134a: 0.52":
    "按组分质量加权：HFC-32 0.23、HFC-125 0.25、HFC-134a 0.52",
    "mass-weighted from components HFC-32: 0.5, HFC-125: 0.5": "按组分质量加权：HFC-32 0.5、HFC-125 0.5",
    "national average; statistical series (announcement)": "全国平均；统计口径（公告）",
    "national average; table 1": "全国平均；表 1",
    "national excl. market-traded non-fossil; table 4": "全国（不含市场化交易的非化石能源电量）；表 4",
    "national fossil power; table 5": "全国化石能源电力；表 5",
    "national, enterprise reporting series; 2015 value, used for reporting years 2015-2020":
    "全国，企业报告口径；2015 年值，用于 2015 至 2020 报告年度",
    "national, enterprise reporting series; ETS/enterprise reporting of year 2022 (环办气候函〔2023〕43/332号); a DIFFERENT series from 0.5366":  # noqa: E501
    "全国，企业报告口径；2022 年度碳市场及企业报告（环办气候函〔2023〕43/332号）；与 0.5366 不属同一系列",
    "no climate-carbon feedback": "不含气候—碳反馈",
    "plausibility": "用于合理性核查",
    "plausibility only, not compliance": "仅用于合理性核查，不用于履约",
    "project baseline (CDM/CCER OM). NEVER for inventory": "项目基准线（CDM/CCER 电量边际），不得用于清单",
    "provincial average": "省级平均",
    "provincial average; table 3; no value for 西藏/港澳台": "省级平均；表 3；西藏及港澳台无取值",
    "purchased consumption; items not listed are NOT accounted (6.2.4)": "外购消耗量；未列项目不计（6.2.4）",
    "regional average; 6-region split (NDRC 2011/2012中国区域电网平均CO2排放因子)":
    "区域平均；六区划分（NDRC 2011/2012 中国区域电网平均 CO2 排放因子）",
    "regional average; 7-region split": "区域平均；七区划分",
    "regional average; 7-region split (西南 separate)": "区域平均；七区划分（西南单列）",
    "regional average; 7-region split; cross-checked with published 2023/2022 % changes":
    "区域平均；七区划分；已与公布的 2023/2022 年变化率核对",
    "steam heat = m*(h-83.74)*1e-3 GJ (m in t, h in kJ/kg)":
    "蒸汽热量 = m×(h−83.74)×1e-3 GJ（m 以 t 计，h 以 kJ/kg 计）",
    "when AE duration not measured": "未测阳极效应持续时间时采用",
    "2025、2026年度配额方案(征求意见稿 DRAFT) 表1": "2025、2026年度配额方案（征求意见稿） 表1",
    "NDRC 中国水泥生产企业指南 2013 / GB/T 32151.8-2015 (principle confirmed at tanjiaoyi.com/article-13965-9.html)":
    "NDRC 中国水泥生产企业指南 2013 / GB/T 32151.8-2015（原理经公开网页核对）",
    "computed; reference condition noted in steel guide 6.2.2.4": "计算值；参比条件见钢铁指南 6.2.2.4",
    "computed from 附表A.1": "由附表A.1 计算",
    "2019年度减排项目中国区域电网基准线排放因子 (seen in public code)": "2019年度减排项目中国区域电网基准线排放因子（见于公开代码）",  # noqa: E501
    "MEE note quoted at https://www.163.com/dy/article/KIQVBKCG05567I2C.html": "MEE 说明（公开网页引用）",
    "MEE 补充数据表, http://tanjiaoyi.com/article-25827-1.html": "MEE 补充数据表（公开网页引用）",
    "public code": "公开代码",
    "public front-end code transcribing MEE/NBS announcements 2024年第12号 (2021) and 2024-12-20 (2022)":
    "公开前端代码转录的 MEE/NBS 公告：2024年第12号（2021 年）及 2024-12-20（2022 年）",
    "widely used in code": "公开代码普遍采用",
    "computed from GWP rows": "由全球变暖潜势各行计算",
    "openclimatedata/globalwarmingpotentials globalwarmingpotentials.csv @0057adb (AR4/AR5 from GHG Protocol table, AR6 WGI Table 7.SM.7)":  # noqa: E501
    "公开数据集 @0057adb（AR4/AR5 取自温室气体核算体系表，AR6 取自第一工作组表 7.SM.7）",
    "MEE 补充数据表 footnote, http://tanjiaoyi.com/article-25827-1.html": "MEE 补充数据表脚注（公开网页引用）",
    "MEE 水泥行业指南 CETS-AG-02.01-V01-2024 (环办气候函〔2024〕321号) as transcribed in public code; guide id confirmed by 2025-2026 draft plan 表2-3 注5":  # noqa: E501
    "MEE 水泥行业指南 CETS-AG-02.01-V01-2024（环办气候函〔2024〕321号），据公开代码转录；指南编号经 2025—2026 方案稿表2-3 注5 核对",  # noqa: E501
    "MEE 铝冶炼行业指南 2024 as transcribed in front-end code": "MEE 铝冶炼行业指南 2024，据前端代码转录",
    "GB/T 32151.4-2015 (recalled, unverified)": "GB/T 32151.4-2015（记忆，未核实）",
    "GB/T 32151.8-2015; NDRC 2013: 0.1 %; 0.3 % with gangue or high-carbon ash":
    "GB/T 32151.8-2015；NDRC 2013：0.1 %，掺煤矸石或高碳粉煤灰时 0.3 %",
    "all taken as carbonate: emissions are not understated": "全部按碳酸盐计，排放不会低估",
    "no waste heat unless stated; it counts 0": "未说明即无余热；余热计 0",
    "GB/T 32151.5-2015 (secondary, unverified)": "GB/T 32151.5-2015（二手转录，未核实）",
    "批次加权平均 mean of batches": "批次加权平均",
}  # fmt: skip


def remark(written: str) -> str:
    """A remark of the library in Chinese; what a tenant wrote stays as it is."""
    if written in _SAID:
        return _SAID[written]
    for said, chinese in _SAID.items():
        if written.startswith(f"{said} ") and len(said) > 20:
            return chinese + written[len(said) :]
    return written
