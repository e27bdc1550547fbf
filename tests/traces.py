"""What two searches must have in common to be the same search."""

from __future__ import annotations

from typing import Any

from gaaf_gp.search.result import SearchResult


def trace(found: SearchResult) -> tuple[Any, ...]:
    """Return all that a search left behind but times."""
    return (
        [(record.text, record.fitness) for record in found.records],
        [str(individual) for individual in found.population],
        [str(individual) for individual in found.hall_of_fame],
        [dict(row) for row in found.logbook],
        found.rejected,
    )
