"""Tables of the accounting slice, as its repository names them. The migrations hold the constraints and policies."""

from backend.accounting.tables import (
    imports,
    inventories,
    library,
    measurements,
    methods,
    monitoring,
    own_sets,
    records,
    results,
    sources,
    units,
)

__all__ = [
    "imports",
    "inventories",
    "library",
    "measurements",
    "methods",
    "monitoring",
    "own_sets",
    "records",
    "results",
    "sources",
    "units",
]
