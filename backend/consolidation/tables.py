"""Tables of consolidation runs. The migration holds the constraints, the policies and what may never change."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import METADATA, belongs_to, tenant_table


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


consolidation_input: Final = Table(
    "consolidation_input",
    METADATA,
    Column("tenant_id", Uuid, ForeignKey("tenant.id"), primary_key=True),
    Column("sha256", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    _now("frozen_at"),
)

consolidation_run: Final = tenant_table(
    "consolidation_run",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("from_year", Integer, nullable=False),
    Column("to_year", Integer, nullable=False),
    Column("approach", Text, nullable=False),
    Column("basis", Text, nullable=False, server_default="ALL"),
    Column("job_id", Uuid, nullable=False),
    Column("requested_by", Uuid, nullable=False),
    _now("requested_at"),
    Column("allowance_policy", Text),
    Column("input_sha256", LargeBinary),
    Column("result_sha256", LargeBinary),
    Column("nodes", Integer),
    Column("finished_at", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "job_id", name="consolidation_run_job_key"),
    Index("consolidation_run_of_organisation", "tenant_id", "organisation_id", "id"),
    belongs_to("organisation", "organisation_id"),
    belongs_to("member", "requested_by"),
    belongs_to("job", "job_id"),
    ForeignKeyConstraint(
        ["tenant_id", "input_sha256"], ["consolidation_input.tenant_id", "consolidation_input.sha256"]
    ),
)

consolidation_node: Final = tenant_table(
    "consolidation_node",
    Column("run_id", Uuid),
    Column("position", Integer),
    Column("organisation_id", Uuid, nullable=False),
    Column("neutrality", Text, nullable=False),
    Column("compliance", Text, nullable=False),
    Column("result", JSONB, nullable=False),
    UniqueConstraint("tenant_id", "run_id", "organisation_id", name="consolidation_node_organisation_key"),
    belongs_to("consolidation_run", "run_id"),
    belongs_to("organisation", "organisation_id"),
    keys=("run_id", "position"),
)

consolidation_rejected_asset: Final = tenant_table(
    "consolidation_rejected_asset",
    Column("run_id", Uuid),
    Column("sequence", Integer),
    Column("position", Integer, nullable=False),
    Column("outermost", Integer, nullable=False),
    Column("use", Text, nullable=False),
    Column("for_year", Integer, nullable=False),
    Column("lot_id", Uuid, nullable=False),
    Column("transfer_id", Uuid, nullable=False),
    Column("asset_class", Text, nullable=False),
    Column("quantity_t", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Index("consolidation_rejected_asset_of_node", "tenant_id", "run_id", "position"),
    belongs_to("asset_lot", "lot_id"),
    belongs_to("asset_transfer", "transfer_id"),
    ForeignKeyConstraint(
        ["tenant_id", "run_id", "position"],
        ["consolidation_node.tenant_id", "consolidation_node.run_id", "consolidation_node.position"],
    ),
    keys=("run_id", "sequence"),
)
