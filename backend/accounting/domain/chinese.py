"""What members of enumerations are called in Chinese where an explanation names them; codes stay codes elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from backend.accounting.domain.factors import Parameter, Provenance
from backend.accounting.domain.inventories import InventoryState
from backend.accounting.domain.metering import MeterDirection, ReadingKind
from backend.accounting.domain.monitoring import Frequency
from backend.accounting.domain.quality_batches import QualityBasis, QualityParameter
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.domain.stacks import RowStatus

NAMES: Final[Mapping[type[StrEnum], Mapping[str, str]]] = {
    Category: {
        "DIRECT": "直接排放", "IMPORTED_ENERGY": "输入能源的间接排放", "TRANSPORT": "运输产生的间接排放",
        "PRODUCTS_USED": "使用产品的间接排放", "USE_OF_OWN_PRODUCTS": "与使用组织产品有关的间接排放",
        "OTHER": "其他间接排放",
    },
    DirectKind: {"STATIONARY": "固定燃烧", "MOBILE": "移动燃烧", "PROCESS": "工业过程", "FUGITIVE": "逸散"},
    Method: {"MEASURED": "监测法", "MASS_BALANCE": "物料平衡法", "FACTOR": "排放因子法"},
    InventoryState: {
        "OPEN": "编制中", "SUBMITTED": "已提交", "REVIEWED": "已复核", "APPROVED": "已批准", "VERIFIED": "已核查",
        "LOCKED": "已锁定", "REOPENED": "已重新打开",
    },
    Frequency: {
        "CONTINUOUS": "实时", "HOURLY": "每小时", "DAILY": "每日", "WEEKLY": "每周", "PER_BATCH": "每批次",
        "PER_CYCLE": "每生产周期", "MONTHLY": "每月", "YEARLY": "每年",
    },
    MeterDirection: {"IMPORT": "输入", "EXPORT": "输出"},
    ReadingKind: {"INSTALLED": "装表", "READ": "抄表", "REMOVED": "拆表"},
    RowStatus: {"NORMAL": "正常", "STOPPED": "停运", "FAULT": "故障", "CALIBRATING": "校准维护"},
    QualityParameter: {
        "NCV": "低位发热量", "CARBON": "元素碳", "MOISTURE_AR": "全水分", "MOISTURE_AD": "空气干燥基水分",
        "ASH": "灰分", "VOLATILE": "挥发分", "SULPHUR": "全硫", "HYDROGEN": "氢", "CAO": "氧化钙", "MGO": "氧化镁",
        "CAO_NOT_CARBONATE": "非碳酸盐氧化钙", "MGO_NOT_CARBONATE": "非碳酸盐氧化镁", "LOSS_ON_IGNITION": "烧失量",
    },
    QualityBasis: {"AR": "收到基", "AD": "空气干燥基", "D": "干燥基"},
    Parameter: {
        "NCV": "低位发热量", "CARBON_PER_HEAT": "单位热值含碳量", "OXIDATION": "碳氧化率",
        "EMISSION_FACTOR": "排放因子", "EMBEDDED_CARBON": "产品隐含碳", "DEDUCTION": "扣减系数",
        "GAS_FACTOR": "气体排放因子", "GWP": "全球变暖潜势", "OPERATING_MARGIN": "电量边际因子",
        "BENCHMARK": "碳排放基准值", "BALANCE": "盈亏平衡值", "CONSTANT": "换算常数", "NCV_LOWEST": "低位发热量下限",
        "NCV_HIGHEST": "低位发热量上限", "CARBON_CONTENT_LOWEST": "含碳量下限", "CARBON_CONTENT_HIGHEST": "含碳量上限",
    },
    Provenance: {
        "OFFICIAL_COPY": "官方文本副本", "DRAFT_COPY": "征求意见稿副本", "PAGE": "公开网页引用",
        "SECONDARY": "二手转录",
        "DERIVED": "推算或定义", "MEMORY": "记忆，未核实", "SUPPLIER": "供应商提供", "MEASURED": "实测",
        "OWN_STUDY": "自行研究",
    },
}  # fmt: skip


def in_chinese(kind: type[StrEnum], word: str) -> str:
    """What a member is called; a word that is none stays."""
    return NAMES[kind].get(str(word), str(word))
