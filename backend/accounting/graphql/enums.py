"""Enums that several modules of the schema name; whoever comes first must find them registered."""

from __future__ import annotations

from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Cadence, Category, DirectKind, Flow, Programme, Subtype
from backend.kit.graphql.types import enum_type

__all__ = ["Cadence", "Category", "DirectKind", "Flow", "Method", "MethodKind", "Programme", "Subtype"]

enum_type(Method, name="AccountingMethod")
enum_type(MethodKind, name="MethodKind")
enum_type(Category, name="EmissionCategory")
enum_type(DirectKind, name="DirectEmissionKind")
enum_type(Subtype, name="EmissionSubtype")
enum_type(Programme, name="ReportingProgramme")
enum_type(Flow, name="CarbonFlow")
enum_type(Cadence, name="RecordingCadence")
