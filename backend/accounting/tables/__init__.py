"""Tables of the accounting slice, as its repository names them. The migrations hold the constraints and policies."""

from backend.accounting.tables import (
    base_years,
    imports,
    inventories,
    library,
    methods,
    monitoring,
    outputs,
    records,
    results,
    sources,
    units,
)

__all__ = [
    "base_years",
    "imports",
    "inventories",
    "library",
    "methods",
    "monitoring",
    "outputs",
    "records",
    "results",
    "sources",
    "units",
]
