"""How a search went, from the register of its archive: what curves, heat maps and genealogies are drawn of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from deap import tools

from gaaf_gp.candidates import PLAIN_SIGN, Evolved
from gaaf_gp.plots.progress import Snapshot
from gaaf_gp.records import Record
from gaaf_gp.report.reading import RunData

LEAST_EPOCHS = 2
"""Of a training, for a shorter one to be compared with it."""


def populations(data: RunData) -> list[list[str]]:
    """Return the texts of the population after each generation."""
    texts = {one.number: one.text for one in data.births}
    return [[texts[number] for number in one.population if number in texts] for one in data.generations]


def evolved_populations(data: RunData) -> list[list[Evolved]]:
    """Return the trees of the population after each generation; those that nobody can read are left out."""
    trees = ([data.evolved(text) for text in population] for population in populations(data))
    found = [[one for one in population if one is not None] for population in trees]
    return [population for population in found if population]


def run_snapshots(data: RunData) -> list[Snapshot]:
    """Return the search after each generation that has one in its population whose fitness is known.

    Fitness is what the individuals are worth by now: what later seeds changed changes earlier generations too.
    """
    found = []
    order = list(data.records.values())
    for generation, texts in zip(data.generations, populations(data), strict=True):
        judged = [data.records[text] for text in texts if text in data.records]
        values = [one.fitness for one in judged if one.failure is None and math.isfinite(one.fitness)]
        sizes = [size for text in texts if (size := data.about(text).size) is not None]
        best = _best(order[: generation.evaluations])
        if values and sizes and best is not None:
            found.append(
                Snapshot(
                    generation.evaluations, best, statistics.fmean(values), statistics.pstdev(values),
                    statistics.fmean(sizes), statistics.pstdev(sizes), len(set(texts)) / len(texts),
                )
            )  # fmt: skip
    return found


def _best(records: Sequence[Record]) -> float | None:
    return max((one.fitness for one in records if one.complete and one.failure is None), default=None)


def genealogy(data: RunData) -> tools.History:
    """Return DEAP's history of the search: every candidate whose tree can be read, under the number of its birth."""
    history = tools.History()
    for birth in data.births:
        tree = data.evolved(birth.text)
        if tree is not None:
            history.genealogy_history[birth.number] = tree
            history.genealogy_tree[birth.number] = birth.parents
            history.genealogy_index = birth.number
    return history


def number_of(data: RunData, text: str) -> int | None:
    """Return the number under which a candidate was born, None if it is in no register."""
    return next((one.number for one in data.births if one.text == text), None)


def fidelities(data: RunData) -> tuple[int, int, list[float], list[float]] | None:
    """Return the accuracy after few epochs beside that after all, of what was trained in full.

    Returns:
        The two numbers of epochs, and for each candidate its accuracy after either, the mean over its seeds; None where
        trainings have one epoch, or fewer than three candidates were trained in full.
    """
    whole = data.epochs or 0
    full = [one for one in data.records.values() if one.failure is None and one.complete and one.same_as is None]
    curves = [one.curve for one in full if len(one.curve) == whole]
    if whole < LEAST_EPOCHS or len(curves) < 3:
        return None
    short = first_rung(data.config, whole)
    return short, whole, [one[short - 1] for one in curves], [one[-1] for one in curves]


def first_rung(config: Mapping[str, object], whole: int) -> int:
    """Return the epochs after which candidates dropped out first, or a third of all where none race."""
    racing = config.get("racing")
    rungs = racing.get("rungs") if isinstance(racing, dict) else None
    first = rungs[0] if isinstance(rungs, list) and rungs else None
    return first if isinstance(first, int) and 0 < first < whole else max(1, whole // 3)


def learning_curves(data: RunData, most: int = 3) -> tuple[dict[str, list[list[float]]], list[str], str]:
    """Return learning curves of the best beside the baselines.

    Where the winner was confirmed they are those on the test split, on fresh seeds; before, those of the search.

    Returns:
        Canonical text -> for each seed the accuracy after each epoch; the baselines among them; the name of the split.
    """
    tested: dict[str, list[list[float]]] = {}
    for one in data.tested:
        if one.failure is None:
            tested.setdefault(one.text, []).append(list(one.curve))
    if data.best is not None and data.best.text in tested:
        return tested, [text for text in tested if text.startswith("@") and "|" not in text], "test"
    curves = {
        one.text: [[epoch.accuracy for epoch in outcome.history] for outcome in one.outcomes]
        for one in data.ranked[:most]
        if one.failure is None and one.complete
    }
    if data.sign_curves:
        curves[PLAIN_SIGN] = [list(curve) for curve in data.sign_curves.values()]
    return {text: rows for text, rows in curves.items() if rows}, [PLAIN_SIGN] * bool(data.sign_curves), "validation"
