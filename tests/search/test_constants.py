"""Constants that a simplex or training finds, against optima that are known."""

import math

import pytest
import torch

from gaaf_gp import evolve, load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.search.constants import _Tunable, constants_of, train_constants, tune_constants, with_constants
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse


def test_constants_are_read_and_replaced(free):
    tree = parse("add(const(cmul(0.5, -1.25)), sin(x))", free)
    tree.fitness.values = (0.5,)
    assert constants_of(tree) == [0.5, -1.25]
    other = with_constants(tree, [2.0, 1 / 3])
    assert str(other) == "add(const(cmul(2.0, 0.3333)), sin(x))"
    assert not other.fitness.valid
    assert str(tree) == "add(const(cmul(0.5, -1.25)), sin(x))"
    with pytest.raises(GaafError, match=r"has 2 evolved constants, got 1 values"):
        with_constants(tree, [1.0])


def test_the_simplex_finds_an_optimum_within_its_budget(free):
    tree, asked = parse("add(const(1.0), mul(const(1.0), x))", free), []

    def measure(candidate):
        asked.append(str(candidate))
        first, second = constants_of(candidate)
        return -((first - 0.4) ** 2) - (second + 0.7) ** 2

    best = tune_constants(tree, measure, evaluations=80)
    assert len(asked) <= 80
    assert asked[0] == str(tree)
    assert constants_of(best) == pytest.approx([0.4, -0.7], abs=0.02)
    asked.clear()
    short = tune_constants(tree, measure, evaluations=3)
    assert len(asked) == 3
    assert measure(short) >= measure(tree)


def test_a_measure_that_is_not_finite_is_the_worst(free):
    tree = parse("add(const(1.0), x)", free)
    best = tune_constants(
        tree, lambda one: math.nan if constants_of(one)[0] > 1 else constants_of(one)[0], evaluations=9
    )
    assert constants_of(best)[0] <= 1


def test_nothing_to_tune_costs_nothing(free, tiny_data):
    tree = parse("sin(x)", free)
    assert tune_constants(tree, lambda _: pytest.fail("asked")) == tree
    assert train_constants(Proxy(tiny_data, batch_size=10), tree, 0) == tree
    with pytest.raises(GaafError, match=r"evaluations must be a whole number of at least 1, got 0"):
        tune_constants(tree, len, evaluations=0)


def test_a_tunable_tree_is_the_activation_and_its_constants_have_gradients(free):
    tree = parse("add(const(cadd(0.5, 0.25)), mul(scale(x), sin(mul(const(1.5), shift(x)))))", free)
    shared = [torch.nn.Parameter(torch.tensor(value)) for value in constants_of(tree)]
    module, activation = _Tunable(tree, shared, 3), Activation(tree, 3)
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x), activation(x))
    module(x).sum().backward()
    expected = (x * x * torch.cos(1.5 * x)).sum()  # d/dc of x sin(c x)
    torch.testing.assert_close(shared[2].grad, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shared[0].grad, torch.tensor(float(x.numel())))
    assert [one.shape for one in module.own] == [(3,), (3,)]


def test_training_moves_constants_and_writes_them_back(free):
    proxy = Proxy(load_data(limit=300), network_settings={"widths": (4, 8)}, epochs=3, batch_size=32)
    tree = parse("add(sin(mul(const(1.5), x)), const(0.3))", free)
    found = train_constants(proxy, tree, 1)
    for now, before in zip(constants_of(found), [1.5, 0.3], strict=True):
        assert 0 < abs(now - before) < 0.2
    assert found == train_constants(proxy, tree, 1)
    assert found != train_constants(proxy, tree, 1, epochs=1)
    assert proxy.train(found, 2).failure is None
    with pytest.raises(GaafError, match=r"epochs must be a whole number from 1 to 3, got 4"):
        train_constants(proxy, tree, 1, epochs=4)


def test_two_trees_have_the_constants_of_both(free):
    two = TwoTrees(parse("add(const(0.5), x)", free), parse("mul(const(2.0), x)", free))
    assert constants_of(two) == [0.5, 2.0]
    assert str(with_constants(two, [1.0, 3.0])) == "add(const(1.0), x) | mul(const(3.0), x)"


def near(wanted):
    """Returns a measure: how near the constants of an individual are to one number; none is the worst."""

    def measure(individual):
        values = constants_of(individual)
        return -1 / (1e-9 + sum(1 / (abs(value - wanted) + 0.1) for value in values)) if values else -10.0

    return measure


def tuned(free, evaluations, **settings):
    options = {"evaluations": 30, "population_size": 6, "seed": 2, "bloat": "none", **settings}
    return evolve(free, near(0.7321), tune_constants=evaluations, **options)


@pytest.mark.parametrize("loop", ["generations", "steady:2"])
def test_a_search_tunes_the_constants_of_its_best(free, loop):
    plain, better = (tuned(free, number, loop=loop) for number in (0, 24))
    assert better.records[:30] == plain.records
    assert 30 < len(better.records) <= 54
    assert better.best.fitness > plain.best.fitness
    assert better.best == max(better.records, key=lambda record: record.fitness)
    assert better.best.text == better.hall_of_fame[0].canonical
    assert len({record.text for record in better.records}) == len(better.records)
    row = better.logbook[-1]
    assert (row["nevals"], row["evaluations"]) == (len(better.records) - 30, len(better.records))
    assert row["gen"] == len(plain.logbook)
    assert list(map(str, better.population)) == list(map(str, plain.population))
    assert tuned(free, 24, loop=loop).records == better.records


def test_the_evaluations_of_tuning_are_a_limit(free):
    for number in (1, 2, 5):
        assert 30 <= len(tuned(free, number).records) <= 30 + number
    with pytest.raises(GaafError, match=r"tune_constants\) must be a whole number of at least 0, got -1"):
        tuned(free, -1)


def test_tuning_goes_on_as_it_went(free, tmp_path):
    path = tmp_path / "checkpoint.json"
    whole = tuned(free, 12, checkpoint=path)
    written = path.read_bytes()
    assert tuned(free, 12, checkpoint=path).records == whole.records
    assert path.read_bytes() == written, "what was compared is not written anew"
    with pytest.raises(GaafError, match="a run must go on the way it went"):
        evolve(free, near(0.5), tune_constants=12, evaluations=30, population_size=6, seed=2, bloat="none",
               checkpoint=path)  # fmt: skip


def test_ctrl_c_ends_tuning_and_keeps_what_was_evaluated(free):
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 34:
            raise KeyboardInterrupt

    found = tuned(free, 24, on_evaluation=stop)
    assert found.interrupted
    assert [record.text for record in found.records] == [record.text for record in tuned(free, 24).records[:34]]


def test_a_search_without_constants_has_nothing_to_tune(minimal):
    found = evolve(minimal, len, evaluations=8, population_size=4, tune_constants=9)
    assert len(found.records) == 8


class Births:
    """Stands for the register of an archive."""

    def __init__(self):
        self.rows = []
        self.populations = []

    def born(self, text, generation, operation, parents):
        self.rows.append((text, generation, operation, parents))

    def generation(self, number, evaluations, population):
        self.populations.append((number, evaluations, population))


def test_tuned_candidates_are_registered_as_mutations_of_the_best(free):
    judge = PlainFitness(near(0.7321), free)
    judge.register = Births()
    found = evolve(free, judge, evaluations=30, population_size=6, seed=2, bloat="none", tune_constants=12)
    before = {record.text for record in found.records[:30]}
    rows = [row for row in judge.register.rows if row[0] not in before]
    assert [row[0] for row in rows] == [record.text for record in found.records[30:]]
    last = found.logbook[-1]["gen"]
    for _, generation, operation, (parent,) in rows:
        assert (generation, operation) == (last, "mutation")
        assert parent in before
    assert judge.register.populations[-1][:2] == (last, len(found.records))


def test_an_evaluator_trains_what_is_tuned(make_stub, free):
    with Evaluator(make_stub(noise=0.02), free, extra_seeds=2) as evaluator:
        first = ["add(const(0.5), sin(x))", "mul(const(cadd(1.5, 0.2)), sin(x))"]
        found = evolve(free, evaluator, evaluations=4, population_size=4, seed=2, initial=first, tune_constants=9)
    assert 4 < len(found.records) <= 13
    assert all(record.outcomes for record in found.records[4:])
    assert found.best.fitness == max(record.fitness for record in found.records)
