"""Exceptions from market rules."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, DateTime, Integer, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table

rule_exception: Final = tenant_table(
    "rule_exception",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("year", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    moment("recorded_at"),
    Column("withdrawn_at", DateTime(timezone=True)),
    Column("withdrawn_by", Uuid),
    Column("withdrawn_because", Text),
    belongs_to("organisation", "organisation_id"),
    belongs_to("member", "recorded_by"),
    belongs_to("member", "withdrawn_by"),
)
