"""GraphQL of the accounting slice: what the schema takes from it."""

from __future__ import annotations

from backend.accounting.graphql import (
    exports,
    factors,
    imports,
    inventories,
    monitoring,
    readings,
    records,
    sources,
    units,
)
from backend.accounting.graphql.exports import ExportMutations
from backend.accounting.graphql.factors import FactorQueries
from backend.accounting.graphql.imports import ImportMutations, ImportQueries
from backend.accounting.graphql.inventories import InventoryMutations, InventoryQueries
from backend.accounting.graphql.monitoring import MonitoringPlanMutations, MonitoringPlanQueries
from backend.accounting.graphql.packs import PackMutations, PackQueries
from backend.accounting.graphql.readings import ReadingMutations, ReadingQueries
from backend.accounting.graphql.recording import RecordMutations, RecordQueries
from backend.accounting.graphql.sources import SourceMutations, SourceQueries
from backend.accounting.graphql.units import UnitMutations, UnitQueries
from backend.accounting.service import subjects
from backend.kit.graphql.types import object_type


@object_type
class Queries(
    SourceQueries,
    UnitQueries,
    PackQueries,
    MonitoringPlanQueries,
    ReadingQueries,
    RecordQueries,
    ImportQueries,
    InventoryQueries,
    FactorQueries,
):
    """Root queries of the slice."""


@object_type
class Mutations(
    SourceMutations,
    UnitMutations,
    PackMutations,
    MonitoringPlanMutations,
    ReadingMutations,
    RecordMutations,
    ImportMutations,
    ExportMutations,
    InventoryMutations,
):
    """Root mutations of the slice."""


subjects.register()
NODES = {
    **sources.NODES,
    **records.NODES,
    **factors.NODES,
    **imports.NODES,
    **exports.NODES,
    **inventories.NODES,
    **units.NODES,
    **monitoring.NODES,
    **readings.NODES,
}
