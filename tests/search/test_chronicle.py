"""The chronicle: rows, records and the hall of fame are those of a slow second opinion."""

import random

from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search.result import Chronicle, SearchResult, new_hall
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual


def test_what_was_entered_is_in_order_and_the_best_are_in_the_hall(make_stub, free):
    rng = random.Random(5)
    trees = {}
    while len(trees) < 40:
        tree = Individual(generate(free, 1, 3, rng=rng), free)
        trees.setdefault(tree.canonical, tree)
    batches = [list(trees.values())[start : start + 8] for start in range(0, 40, 8)]
    with Evaluator(make_stub(noise=0.05), free, extra_seeds=1) as evaluator:
        found = SearchResult(hall_of_fame=new_hall(5))
        chronicle = Chronicle(found, evaluator, lambda individual, fitness: (fitness,))
        for number, batch in enumerate(batches):
            evaluator.evaluate(batch)
            found.population = batch
            chronicle.enter(batch)
            chronicle.enter(batch[:2])  # known ones count once
            chronicle.log(8)
            known = list(evaluator.records.values())
            assert found.records == known
            best = sorted((record.fitness for record in known if record.complete), reverse=True)[:5]
            assert [one.fitness.values[0] for one in found.hall_of_fame] == best
            row = found.logbook[number]
            assert (row["gen"], row["nevals"], row["evaluations"], row["best"]) == (number, 8, len(known), best[0])
            values = [evaluator.records[one.canonical].fitness for one in batch]
            assert found.logbook.chapters["fitness"][number]["max"] == max(values)
        assert any(len(record.outcomes) == 2 for record in found.records)
