"""Enumerations that many modules name, registered before whoever comes first."""

from __future__ import annotations

from backend.accounting.domain.sources import Cadence, Category, DirectKind, Flow, Programme
from backend.kit.graphql.types import enum_type

__all__ = ["Cadence", "Category", "DirectKind", "Flow", "Programme"]

enum_type(Category, name="EmissionCategory")
enum_type(DirectKind, name="DirectEmissionKind")
enum_type(Programme, name="ReportingProgramme")
enum_type(Flow, name="CarbonFlow")
enum_type(Cadence, name="RecordingCadence")
