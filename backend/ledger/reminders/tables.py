"""Reminders of deadlines, and who took notice of them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Date, Integer, Numeric, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table, text_or_empty

compliance_reminder: Final = tenant_table(
    "compliance_reminder",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("obligation_id", Uuid, nullable=False),
    Column("market", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("day", Date, nullable=False),
    Column("rule", Text, nullable=False),
    Column("days_before", Integer, nullable=False),
    Column("open_t", Numeric(27, 9), nullable=False),
    moment("made_at"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("obligation", "obligation_id"),
)

reminder_acknowledgement: Final = tenant_table(
    "reminder_acknowledgement",
    Column("reminder_id", Uuid),
    Column("acknowledged_by", Uuid, nullable=False),
    text_or_empty("note"),
    moment("acknowledged_at"),
    belongs_to("compliance_reminder", "reminder_id"),
    belongs_to("member", "acknowledged_by"),
    keys=("reminder_id",),
)
