"""SQL: to which organisation a record belongs, for every kind of record that documents can prove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Table, select

from backend.accounting.tables.base_years import base_year, base_year_recalculation
from backend.accounting.tables.imports import activity_import
from backend.accounting.tables.inventories import inventory
from backend.accounting.tables.monitoring import (
    calibration,
    instrument,
    monitoring_plan,
    parameter_reading,
    plan_parameter,
)
from backend.accounting.tables.outputs import deviation_finding, emission_target, product_output
from backend.accounting.tables.sources import emission_source
from backend.accounting.tables.units import emission_device, emission_unit
from backend.kit.database import ReadSession

OWNED: Final[dict[str, Table]] = {
    "ActivityImport": activity_import,
    "BaseYear": base_year,
    "BaseYearRecalculation": base_year_recalculation,
    "Calibration": calibration,
    "DeviationFinding": deviation_finding,
    "EmissionDevice": emission_device,
    "EmissionSource": emission_source,
    "EmissionTarget": emission_target,
    "EmissionUnit": emission_unit,
    "Instrument": instrument,
    "Inventory": inventory,
    "MonitoringPlan": monitoring_plan,
    "ParameterReading": parameter_reading,
    "PlanParameter": plan_parameter,
    "ProductOutput": product_output,
}


async def owners(session: ReadSession, kind: str, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    """The organisation of each record of a kind that says it itself."""
    of = OWNED[kind].c
    return {
        r.id: r.organisation_id for r in await session.rows(select(of.id, of.organisation_id).where(of.id.in_(keys)))
    }
