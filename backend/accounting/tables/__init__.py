"""Tables of the accounting slice, as its repository names them. The migrations hold the constraints and policies."""

from backend.accounting.tables import (
    base_years,
    imports,
    inventories,
    library,
    measurements,
    methods,
    monitoring,
    outputs,
    own_sets,
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
    "measurements",
    "methods",
    "monitoring",
    "outputs",
    "own_sets",
    "records",
    "results",
    "sources",
    "units",
]
