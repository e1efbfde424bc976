"""Tables of the accounting slice, as its repository names them. The migrations hold the constraints and policies."""

from backend.accounting.tables import library, monitoring, records, results, sources, units

__all__ = ["library", "monitoring", "records", "results", "sources", "units"]
