"""The content of a ``result.json`` that tests make up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gaaf_gp.experiments import RunResult


def content(**changes: Any) -> dict[str, Any]:
    """Return what the ``result.json`` of a search of nine evaluations holds, but for what is given."""
    plain = {
        "best": "sin(x)", "best_infix": "sin(x)",
        "validation": {"best": 0.79, "best_standard_error": None, "sign": 0.75, "seeds": [0]},
        "test": None, "random_search": None, "evaluations": 9, "rejected": {}, "failures": {}, "duplicates": 0,
        "dropped": {}, "epochs_trained": 9, "seconds_search": 10.0, "seconds_random_search": 0.0, "interrupted": False,
        "stopped": "9 evaluations", "versions": {"torch": "2"}, "luck": None, "seed": 0, "workers": 1,
        "verdict": "It is better.", "standing": None, "seconds": 12.3,
    }  # fmt: skip
    return {**plain, **changes}


def made(**changes: Any) -> RunResult:
    """Return the same as a result."""
    return RunResult.from_json(content(**changes))


def drawn(**changes: Any) -> Mapping[str, Any]:
    """Return what it holds of random search."""
    plain = {"best": "cos(x)", "best_infix": "cos(x)", "validation": 0.77, "standard_error": None}
    return {**plain, "evaluations": 9, "of_the_search": 0, **changes}
