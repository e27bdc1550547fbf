"""What a retraining trains: functions by their texts, the best of a search or of a table, and baselines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gaaf_gp import outputs
from gaaf_gp.candidates import MARK, Baseline, Candidate, parse_candidate
from gaaf_gp.errors import GaafError
from gaaf_gp.files import MOST_BYTES, plain_json, read_limited
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.table_file import load_table

TABLE = "encoding1"
"""What ``--from`` calls the table that comes with the package."""


def chosen(pset: PrimitiveSet, texts: Iterable[str], baselines: Iterable[str]) -> dict[str, Candidate | None]:
    """Return candidates by name: baselines under their own, functions as f1, f2, ..., each once.

    Args:
        pset: the set that the functions come from.
        texts: functions, as :func:`gaaf_gp.candidates.parse_candidate` reads them.
        baselines: names, such as "sign" and "rsign".

    Raises:
        GaafError: a text or a name cannot be read, or a text names a baseline.
    """
    distinct: dict[str, Candidate] = {}
    for text in texts:
        candidate = parse_candidate(text, pset)
        if candidate is None or isinstance(candidate, Baseline):
            raise GaafError(f"functions are trees, got the baseline {text!r}: name it among the baselines")
        distinct.setdefault(candidate.canonical, candidate)
    return {
        **{name: parse_candidate(MARK + name, pset) for name in baselines},
        **{f"f{number}": candidate for number, candidate in enumerate(distinct.values(), 1)},
    }


def best_of(source: Path, top: int) -> tuple[list[str], dict[str, Any]]:
    """Return the texts of the ``top`` best candidates of a search or of a table, and what they depend on.

    Args:
        source: a folder of ``gaaf-gp evolve``, the file of a function table, or ``encoding1`` for the bundled one. A
            table's best are those of most seeds, by their mean validation accuracy.
        top: how many.

    Returns:
        Canonical texts, best first; "primitives" and, where it is known by name, "data".

    Raises:
        GaafError: there is neither a hall of fame nor a table, or it holds fewer.
    """
    if source.is_file() or (str(source) == TABLE and not source.exists()):
        table = load_table(source if source.is_file() else None)
        texts = [entry.text for entry in table.best(1.0)]
        before = {"primitives": table.provenance.get("primitives")}
    else:
        before = _config(source)
        path = source / "hall_of_fame.csv"
        if not path.is_file():
            raise GaafError(
                f"--from must be a folder of gaaf-gp evolve, and {source} has no hall_of_fame.csv: name another"
            )
        texts = [row["text"] for row in outputs.hall_rows(source)]
    if not 1 <= top <= len(texts):
        raise GaafError(f"--top must be from 1 to the {len(texts)} candidates of {source}, got {top}")
    return texts[:top], before


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        content = plain_json(read_limited(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise GaafError(
            f"--from must be a folder of gaaf-gp evolve, but {path} cannot be read: name another, the file of a "
            f"function table, or {TABLE}"
        ) from error
    return content if isinstance(content, dict) else {}
