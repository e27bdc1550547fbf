"""What the paper's algorithm asks for: what is new, what was paid, and what is kept when it is interrupted."""

from dataclasses import replace

import pytest

from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED, _Asking, genetic
from gaaf_gp.search.loops import Search
from gaaf_gp.search.result import SearchResult, new_hall
from gaaf_gp.search.stopping import Stop
from gaaf_gp.trees.parser import parse


@pytest.fixture
def asking(minimal):
    """Makes a search under way whose fitness function counts nodes."""

    def make(repairs=REPAIRED, budget=10**12, on_evaluation=None):
        found, stop = SearchResult(hall_of_fame=new_hall(2)), Stop(budget)
        return _Asking(Search(found, PlainFitness(len, minimal), stop, minimal, on_evaluation=on_evaluation), repairs)

    return make


@pytest.fixture
def trees(minimal):
    return lambda *texts: [parse(text, minimal) for text in texts]


def test_what_was_given_before_is_not_new(asking, trees):
    book = asking()
    first, same, other = trees("add(sin(x), x)", "add(x, sin(x))", "sin(x)")
    assert [book.is_new(tree, []) for tree in (first, first, same, other)] == [True, False, False, True]
    assert book.found.rejected == {}


def test_as_published_only_the_present_counts(asking, trees):
    book = asking(PUBLISHED)
    first, same = trees("add(sin(x), x)", "add(x, sin(x))")
    assert book.is_new(first, [])
    assert book.is_new(first, [same])
    assert not book.is_new(first, [same, first])


def test_rejections_are_counted_once_each(asking, trees):
    book = asking()
    dead, live, alike = trees("mul(x, x)", "sin(x)", "sub(sin(x), sub(x, x))")
    assert [book.is_new(tree, []) for tree in (dead, dead, live, alike)] == [False, False, True, False]
    assert book.found.rejected == {"constant sign": 1, "same behaviour": 1}
    assert asking(replace(REPAIRED, screen=False)).is_new(dead, [])


def test_the_budget_is_what_is_left(asking, trees):
    book = asking(budget=3)
    assert (book.room(2), book.room(9), not book.reason()) == (2, 3, True)
    book.ask(trees("x", "sin(x)"))
    assert (book.asked, book.room(9), not book.reason()) == (2, 1, True)
    book.ask(trees("x"))  # an answer from memory is paid for
    assert (book.asked, book.room(9), not book.reason()) == (3, 0, False)
    assert asking().room(10**9) == 10**9


def test_rows_and_hall_of_fame_follow_what_was_asked(asking, trees):
    book = asking()
    children = trees("x", "add(sin(x), x)", "sin(x)")
    book.ask(children)
    book.found.population = children[1:]
    book.log("random", 3, 2)
    assert [individual.fitness.values for individual in children] == [(1.0,), (4.0,), (2.0,)]
    assert [str(individual) for individual in book.found.hall_of_fame] == ["add(sin(x), x)", "sin(x)"]
    row = {"gen": 0, "mode": "random", "nevals": 3, "taken": 2, "evaluations": 3, "best": 4.0}
    assert {name: book.found.logbook[0][name] for name in row} == row
    assert book.found.logbook.chapters["fitness"][0]["avg"] == 3.0
    assert [record.text for record in book.found.records] == ["x", "add(sin(x), x)", "sin(x)"]


def test_ctrl_c_passes_and_what_was_evaluated_is_kept(asking, trees):
    def stop(record):
        if record.text == "sin(x)":
            raise KeyboardInterrupt

    book = asking(on_evaluation=stop)
    with pytest.raises(KeyboardInterrupt):
        book.ask(trees("x", "sin(x)", "cos(x)"))
    assert [record.text for record in book.found.records] == ["x", "sin(x)"]
    assert book.asked == 2
    assert len(book.found.hall_of_fame) == 2


def test_other_errors_pass(minimal):
    def broken(_):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        genetic(minimal, broken)
