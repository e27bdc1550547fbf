"""What a search begins with."""

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.search.evolve import evolve
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.generation import Limits
from gaaf_gp.trees.parser import parse
from primitives import minimal


@pytest.fixture(scope="module")
def small_set():
    return minimal.make_pset()


def _search(pset, **settings):
    return evolve(pset, lambda tree: 1 / len(tree), evaluations=24, population_size=8, **settings)


def test_known_functions_come_first_and_then_random_ones(small_set):
    given = ["add(sin(x), x)", parse("tanh(x)", small_set), "mul(x, x)", "tanh(x)"]
    found = _search(small_set, initial=given)
    texts = [record.text for record in found.records]
    assert texts[:2] == ["add(sin(x), x)", "tanh(x)"]
    assert "mul(x, x)" not in texts, "its sign is constant, as everywhere"
    assert texts.count("tanh(x)") == 1
    assert len(texts) == 24


def test_more_known_functions_than_a_generation_has_places_are_all_tried(small_set):
    given = ["x", "sin(x)", "tanh(x)", "add(x, sin(x))", "add(x, tanh(x))", "sub(x, cos(x))", "sub(cos(x), x)",
             "mul(x, cos(x))", "sin(add(x, x))", "add(x, cos(x))"]  # fmt: skip
    found = _search(small_set, initial=given, limits=Limits(4, 15))
    texts = {record.text for record in found.records}
    missing = {parse(text, small_set).canonical for text in given} - texts
    assert len(missing) <= 2, "sub(cos(x), x) trains as sub(x, cos(x)) does"


def test_a_tree_begins_both_trees_of_a_pair(small_set):
    found = _search(small_set, initial=["sin(x)", "tanh(x) | sin(x)"], two_trees=True)
    assert [record.text for record in found.records][:2] == ["sin(x) | sin(x)", "tanh(x) | sin(x)"]
    assert isinstance(found.population[0], TwoTrees)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": ["@rsign"]}, r"a search of single trees must begin with such, got '@rsign'"),
        ({"initial": ["sin(x) | x"]}, r"a search of single trees must begin with such, got 'sin\(x\) \| x'"),
        ({"initial": ["sin(sin(sin(x)))"], "limits": Limits(2, 9)}, r"'sin\(sin\(sin\(x\)\)\)' is beyond them"),
        ({"initial": ["sin(cos(x))"], "constraints": "no periodic inside periodic"}, r"within its own limits and"),
    ],
)
def test_what_a_search_could_not_have_made_is_refused(small_set, settings, message):
    with pytest.raises(GaafError, match=message):
        _search(small_set, **settings)
