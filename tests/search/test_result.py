"""What a search found: rows, records and hall of fame against a slow second opinion, and the luck of its best."""

import random

import pytest

from gaaf_gp import evolve
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.result import SearchResult, new_hall
from gaaf_gp.statistics import additive_fit, expected_luck
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual


@pytest.mark.parametrize("extra_seeds", [0, 2])
def test_the_luck_of_the_best_is_that_of_its_rows(make_stub, free, extra_seeds):
    with Evaluator(make_stub(noise=0.05), free, extra_seeds=extra_seeds) as evaluator:
        found = evolve(free, evaluator, evaluations=40, population_size=8, seed=2)
    rows = {one.text: one.by_seed for one in found.records if one.same_as is None and one.failure is None}
    luck = found.luck()
    if not extra_seeds:
        assert luck is None, "one seed says nothing about noise"
    else:
        assert luck == expected_luck(rows, winner=found.best.text)
        assert luck.noise == pytest.approx(additive_fit(rows.values()).deviation / len(found.best.outcomes) ** 0.5)
        assert 0 < luck.expected <= luck.most
    given = found.luck(0.05)
    assert given.candidates == len(rows)
    assert given.noise == pytest.approx(0.05 / len(found.best.outcomes) ** 0.5)


def test_there_is_no_luck_without_training(minimal):
    assert SearchResult().luck() is None
    assert evolve(minimal, len, evaluations=8, population_size=4).luck(0.1) is None


def test_what_was_entered_is_in_order_and_the_best_are_in_the_hall(make_stub, free):
    rng = random.Random(5)
    trees = {}
    while len(trees) < 40:
        tree = Individual(generate(free, 1, 3, rng=rng), free)
        trees.setdefault(tree.canonical, tree)
    batches = [list(trees.values())[start : start + 8] for start in range(0, 40, 8)]
    with Evaluator(make_stub(noise=0.05), free, extra_seeds=1) as evaluator:
        found = SearchResult(hall_of_fame=new_hall(5))
        records = evaluator.records
        for number, batch in enumerate(batches):
            evaluator.evaluate(batch)
            found.population = batch
            found.enter(batch, records)
            found.enter(batch[:2], records)  # known ones count once
            found.log(8)
            known = list(evaluator.records.values())
            assert found.records == known
            best = sorted((record.fitness for record in known if record.complete), reverse=True)[:5]
            assert [one.fitness.values[0] for one in found.hall_of_fame] == best
            row = found.logbook[number]
            assert (row["gen"], row["nevals"], row["evaluations"], row["best"]) == (number, 8, len(known), best[0])
            values = [evaluator.records[one.canonical].fitness for one in batch]
            assert found.logbook.chapters["fitness"][number]["max"] == max(values)
        assert any(len(record.outcomes) == 2 for record in found.records)
