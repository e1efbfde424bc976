"""What members of enumerations are called in Chinese where an explanation names them; codes stay codes elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from backend.accounting.domain.allocation import AllocationBasis
from backend.accounting.domain.base_years import RecalculationState
from backend.accounting.domain.deviations import DeviationState
from backend.accounting.domain.factors import Parameter, Provenance, Purpose
from backend.accounting.domain.inventories import InventoryState
from backend.accounting.domain.metering import MeterDirection, ReadingKind
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import METHODS
from backend.accounting.domain.monitoring import Frequency, PlanItem, PlanState
from backend.accounting.domain.own_sets import SetState
from backend.accounting.domain.quality_batches import QualityBasis, QualityParameter
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Cadence, Category, DirectKind, Flow, Subtype
from backend.accounting.domain.stacks import RowStatus
from backend.accounting.domain.units import UnitKind
from backend.kit.words import members_in_chinese, things_in_chinese

NAMES: Final[Mapping[type[StrEnum], Mapping[str, str]]] = {
    UnitKind: {"GROUP": "碳排放单元", "PRODUCTION": "生产系统", "AUXILIARY": "辅助生产系统"},
    Subtype: {
        "ELECTRICITY": "外购电力", "HEAT": "外购热力", "STEAM": "外购蒸汽", "COOLING": "外购冷量",
        "COMPRESSED_AIR": "外购压缩空气", "UPSTREAM_FREIGHT": "上游运输和配送", "DOWNSTREAM_FREIGHT": "下游运输和配送",
        "COMMUTING": "雇员通勤", "BUSINESS_TRAVEL": "商务旅行", "VISITORS": "客户和访客交通",
        "PURCHASED_GOODS": "外购商品", "PURCHASED_SERVICES": "外购服务", "CAPITAL_GOODS": "资本商品",
        "FUEL_SUPPLY": "燃料和能源的上游供应", "WASTE": "生产废弃物处置", "UPSTREAM_LEASES": "上游租赁资产",
        "PROCESSING": "售出产品的加工", "USE_OF_PRODUCTS": "售出产品的使用", "END_OF_LIFE": "售出产品的废弃处理",
        "DOWNSTREAM_LEASES": "下游租赁资产", "FRANCHISES": "特许经营", "INVESTMENTS": "投资",
    },
    Flow: {"CONSUMED": "消耗", "LEAVING": "随产品带出"},
    Cadence: {"MONTHLY": "按月", "DAILY": "按日", "EVENT": "按次"},
    MethodKind: {kind: spec.name_zh for kind, spec in METHODS.items()},
    Purpose: {
        "INVENTORY": "排放核算", "GWP": "全球变暖潜势", "PROJECT_BASELINE": "减排项目基准线", "ALLOCATION": "配额分配",
        "PLAUSIBILITY": "合理性检查", "CONVENIENCE": "查阅", "CONSTANT": "换算",
    },
    SetState: {
        "DRAFT": "编制中", "PROPOSED": "待批准", "APPROVED": "已批准", "SUPERSEDED": "已被取代", "WITHDRAWN": "已撤回",
    },
    PlanState: {"DRAFT": "编制中", "SUBMITTED": "已提交", "APPROVED": "已批准", "SUPERSEDED": "已被取代"},
    PlanItem: {
        "ORGANISATION": "组织信息", "BOUNDARY": "边界", "DATA_SOURCES": "数据来源", "MEASUREMENT": "测量方法",
        "INSTRUMENTS": "计量器具", "OTHER": "其他",
    },
    AllocationBasis: {"MASS": "质量", "ENERGY": "能量", "ECONOMIC": "经济价值"},
    RecalculationState: {"PROPOSED": "待决定", "ACCEPTED": "已采纳", "DECLINED": "未采纳", "REPLACED": "已被取代"},
    DeviationState: {"OPEN": "待说明", "CLOSED": "已关闭", "REPLACED": "已被取代"},
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


for _kind, _names in NAMES.items():
    members_in_chinese(_kind, _names)
things_in_chinese({
    "EmissionSource": "排放源", "EmissionStream": "流", "StreamBasis": "流的方法依据", "ActivityRecord": "活动数据记录",
    "DeclaredResult": "申报结果", "EmissionFactor": "排放因子", "OwnFactorSet": "自有因子集",
    "FactorAdoption": "因子集采用", "ActivityImport": "活动数据导入", "ActivityExport": "活动数据导出",
    "Inventory": "排放清单", "EmissionUnit": "碳排放单元", "EmissionDevice": "碳排放设备",
    "MonitoringPlan": "监测计划", "PlanParameter": "监测参数", "Instrument": "计量器具", "Calibration": "校准记录",
    "ParameterReading": "监测读数", "StockRow": "台账记录", "QualityScore": "数据质量评分",
    "StreamUncertainty": "不确定度", "Allocation": "分配", "MaterialBatch": "物料批次", "StackMonitor": "烟气监测点",
    "StackMonth": "烟气监测月度记录", "Meter": "计量表", "MeterReading": "表底读数", "MeterMonth": "计量表月度结算",
    "ProductOutput": "产品产量", "BaseYear": "基准年", "BaseYearRecalculation": "基准年重算建议",
    "DeviationFinding": "偏差", "EmissionTarget": "排放目标",
})  # fmt: skip


def in_chinese(kind: type[StrEnum], word: str) -> str:
    """What a member is called; a word that is none stays."""
    return NAMES[kind].get(str(word), str(word))
