"""The books of a search: what is new, what was paid, and what is kept when it is interrupted."""

from dataclasses import replace

import pytest

from gaaf_gp.evaluation.fitness_function import PlainFitness
from gaaf_gp.search.genetic import PUBLISHED, REPAIRED, Ledger
from gaaf_gp.search.progress import Progress
from gaaf_gp.trees.parser import parse


@pytest.fixture
def ledger(minimal):
    """Makes a ledger whose judge counts nodes."""

    def make(repairs=REPAIRED, budget=None, on_evaluation=None):
        shown = Progress(1, show=False)
        return Ledger(PlainFitness(len, minimal), budget, repairs, 2, shown, on_evaluation)

    return make


@pytest.fixture
def trees(minimal):
    return lambda *texts: [parse(text, minimal) for text in texts]


def test_what_was_given_before_is_not_new(ledger, trees):
    book = ledger()
    first, same, other = trees("add(sin(x), x)", "add(x, sin(x))", "sin(x)")
    assert [book.is_new(tree, []) for tree in (first, first, same, other)] == [True, False, False, True]
    assert book.found.rejected == {}


def test_as_published_only_the_present_counts(ledger, trees):
    book = ledger(PUBLISHED)
    first, same = trees("add(sin(x), x)", "add(x, sin(x))")
    assert book.is_new(first, [])
    assert book.is_new(first, [same])
    assert not book.is_new(first, [same, first])


def test_rejections_are_counted_once_each(ledger, trees):
    book = ledger()
    dead, live, alike = trees("mul(x, x)", "sin(x)", "sub(sin(x), sub(x, x))")
    assert [book.is_new(tree, []) for tree in (dead, dead, live, alike)] == [False, False, True, False]
    assert book.found.rejected == {"constant sign": 1, "same behaviour": 1}
    assert ledger(replace(REPAIRED, screen=False)).is_new(dead, [])


def test_the_budget_is_what_is_left(ledger, trees):
    book = ledger(budget=3)
    assert (book.room(2), book.room(9), book.goes_on) == (2, 3, True)
    book.ask(trees("x", "sin(x)"))
    assert (book.asked, book.room(9), book.goes_on) == (2, 1, True)
    book.ask(trees("x"))  # an answer from memory is paid for
    assert (book.asked, book.room(9), book.goes_on) == (3, 0, False)
    assert ledger().room(10**9) == 10**9


def test_rows_and_hall_of_fame_follow_what_was_asked(ledger, trees):
    book = ledger()
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


def test_ctrl_c_ends_the_block_and_is_noted(ledger, trees):
    def stop(record):
        if record.text == "sin(x)":
            raise KeyboardInterrupt

    book = ledger(on_evaluation=stop)
    with book:
        book.ask(trees("x", "sin(x)", "cos(x)"))
        pytest.fail("the block goes on after Ctrl-C")
    assert book.found.interrupted
    assert [record.text for record in book.found.records] == ["x", "sin(x)"]
    assert book.asked == 2
    assert len(book.found.hall_of_fame) == 2


def test_other_errors_pass(ledger):
    with pytest.raises(RuntimeError, match="broken"), ledger() as book:
        raise RuntimeError("broken")
    assert not book.found.interrupted
