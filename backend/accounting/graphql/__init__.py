"""GraphQL of the accounting slice: what the schema takes from it."""

from __future__ import annotations

from backend.accounting.graphql import factors, imports, records, sources
from backend.accounting.graphql.factors import FactorQueries
from backend.accounting.graphql.imports import ImportMutations, ImportQueries
from backend.accounting.graphql.recording import RecordMutations, RecordQueries
from backend.accounting.graphql.sources import SourceMutations, SourceQueries
from backend.accounting.service import subjects
from backend.kit.graphql.types import object_type


@object_type
class Queries(SourceQueries, RecordQueries, ImportQueries, FactorQueries):
    """Root queries of the slice."""


@object_type
class Mutations(SourceMutations, RecordMutations, ImportMutations):
    """Root mutations of the slice."""


subjects.register()
NODES = {**sources.NODES, **records.NODES, **factors.NODES, **imports.NODES}
