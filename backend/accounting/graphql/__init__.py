"""GraphQL of the accounting slice: what the schema takes from it."""

from __future__ import annotations

from backend.accounting.graphql import (
    adoption,
    base_years,
    deviations,
    exports,
    factors,
    imports,
    inventories,
    judgements,
    material_batches,
    meters,
    methods,
    monitoring,
    outputs,
    own_sets,
    readings,
    records,
    sources,
    stacks,
    stocks,
    units,
)
from backend.accounting.graphql.adoption import AdoptionMutations, AdoptionQueries
from backend.accounting.graphql.base_years import BaseYearMutations, BaseYearQueries
from backend.accounting.graphql.categories import CategoryMutations, CategoryQueries
from backend.accounting.graphql.choosing import ChoiceMutations, ChoiceQueries
from backend.accounting.graphql.deviations import DeviationMutations, DeviationQueries
from backend.accounting.graphql.explain import ExplainQueries
from backend.accounting.graphql.exports import ExportMutations
from backend.accounting.graphql.factors import FactorQueries
from backend.accounting.graphql.gwp_totals import GwpTotalQueries
from backend.accounting.graphql.imports import ImportMutations, ImportQueries
from backend.accounting.graphql.inventories import InventoryMutations, InventoryQueries
from backend.accounting.graphql.judgements import JudgementMutations, JudgementQueries
from backend.accounting.graphql.known import KnownQueries
from backend.accounting.graphql.material_batches import BatchMutations, BatchQueries
from backend.accounting.graphql.meters import MeterMutations, MeterQueries
from backend.accounting.graphql.monitoring import MonitoringPlanMutations, MonitoringPlanQueries
from backend.accounting.graphql.outputs import OutputMutations, OutputQueries
from backend.accounting.graphql.own_sets import OwnSetMutations, OwnSetQueries
from backend.accounting.graphql.packs import PackMutations, PackQueries
from backend.accounting.graphql.readings import ReadingMutations, ReadingQueries
from backend.accounting.graphql.recording import RecordMutations, RecordQueries
from backend.accounting.graphql.restatements import RestatementQueries
from backend.accounting.graphql.sources import SourceMutations, SourceQueries
from backend.accounting.graphql.stacks import StackMutations, StackQueries
from backend.accounting.graphql.stocks import StockMutations, StockQueries
from backend.accounting.graphql.units import UnitMutations, UnitQueries
from backend.accounting.service import subjects
from backend.kit.graphql.types import object_type


@object_type
class Queries(
    SourceQueries,
    ChoiceQueries,
    UnitQueries,
    PackQueries,
    MonitoringPlanQueries,
    ReadingQueries,
    RecordQueries,
    ImportQueries,
    InventoryQueries,
    RestatementQueries,
    OutputQueries,
    BaseYearQueries,
    DeviationQueries,
    ExplainQueries,
    FactorQueries,
    OwnSetQueries,
    CategoryQueries,
    KnownQueries,
    GwpTotalQueries,
    AdoptionQueries,
    StockQueries,
    StackQueries,
    MeterQueries,
    BatchQueries,
    JudgementQueries,
):
    """Root queries of the slice."""


@object_type
class Mutations(
    SourceMutations,
    ChoiceMutations,
    UnitMutations,
    PackMutations,
    MonitoringPlanMutations,
    ReadingMutations,
    RecordMutations,
    ImportMutations,
    ExportMutations,
    InventoryMutations,
    OwnSetMutations,
    CategoryMutations,
    AdoptionMutations,
    StockMutations,
    StackMutations,
    MeterMutations,
    BatchMutations,
    JudgementMutations,
    OutputMutations,
    BaseYearMutations,
    DeviationMutations,
):
    """Root mutations of the slice."""


subjects.register()
NODES = {
    **sources.NODES,
    **methods.NODES,
    **records.NODES,
    **factors.NODES,
    **own_sets.NODES,
    **adoption.NODES,
    **imports.NODES,
    **exports.NODES,
    **inventories.NODES,
    **units.NODES,
    **monitoring.NODES,
    **readings.NODES,
    **stocks.NODES,
    **judgements.NODES,
    **material_batches.NODES,
    **stacks.NODES,
    **meters.NODES,
    **outputs.NODES,
    **base_years.NODES,
    **deviations.NODES,
}
