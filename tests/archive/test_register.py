"""Births and generations of a run: numbered once, kept over going on and merging, and never believed when damaged."""

from types import SimpleNamespace

import pytest
import torch

from gaaf_gp import Evaluator, cli, evolve
from gaaf_gp.archive import Archive, Birth, Generation, Register, check
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.cache import ArchivedTrainings
from primitives import gaaf


@pytest.fixture
def run(archive):
    return archive.begin("evolve", {}, {})


def test_births_are_numbered_once(archive, run):
    register = Register(archive, run)
    assert register.born("x", 0, "random") == 1
    assert register.born("sin(x)", 0, "given") == 2
    assert register.born("add(sin(x), x)", 1, "crossover", ["sin(x)", "x"]) == 3
    assert register.born("sin(x)", 4, "mutation", ["add(sin(x), x)"]) == 2, "the first birth counts"
    assert register.born("cos(x)", 1, "mutation", ["x", "x"]) == 4
    register.generation(0, 2, ["x", "sin(x)", "x"])
    found = [
        Birth(1, "x", 0, "random", ()), Birth(2, "sin(x)", 0, "given", ()),
        Birth(3, "add(sin(x), x)", 1, "crossover", (2, 1)), Birth(4, "cos(x)", 1, "mutation", (1,)),
    ]  # fmt: skip
    assert register.births() == found
    again = Register(archive, run[:10])  # as a run that goes on
    assert again.born("cos(x)", 9, "random") == 4
    again.generation(0, 3, ["cos(x)"])
    again.generation(1, 5, [])
    assert again.births() == found
    assert register.generations() == [Generation(0, 3, (4,)), Generation(1, 5, ())]


def test_a_stranger_in_a_population_is_registered(archive, run):
    register = Register(archive, run)
    register.generation(2, 7, ["tanh(x)"])
    assert register.births() == [Birth(1, "tanh(x)", 2, "unknown", ())]
    assert register.generations() == [Generation(2, 7, (1,))]


def test_runs_have_registers_of_their_own(archive, run):
    other = archive.begin("evolve", {}, {})
    assert Register(archive, run).born("x", 0, "random") == Register(archive, other).born("x", 0, "random") == 1
    with pytest.raises(GaafError, match="there is no run 'nobody'"):
        Register(archive, "nobody").born("x", 0, "random")


def test_merging_takes_them_over_once(tmp_path, archive, run):
    with Archive(tmp_path / "all.sqlite") as every:
        Register(archive, run).born("x", 0, "random")
        Register(archive, run).generation(0, 1, ["x"])
        every.merge(archive)
        Register(archive, run).born("sin(x)", 1, "mutation", ["x"])
        Register(archive, run).generation(1, 2, ["sin(x)", "x"])
        for _ in range(2):
            every.merge(archive)
        assert Register(every, run).births() == Register(archive, run).births()
        assert Register(every, run).generations() == Register(archive, run).generations()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE births SET parents = '[1, 2'", "birth 1 cannot be read"),
        ("UPDATE births SET parents = '[\"x\"]'", "birth 1 must have a list of whole numbers"),
        ("UPDATE births SET parents = '[true]'", "birth 1 must have a list of whole numbers"),
        ("UPDATE births SET parents = '[7]'", "birth 1 has a parent that was born after it"),
        ("UPDATE generations SET population = '{}'", "generation 0 must have a list of whole numbers"),
        ("UPDATE births SET text = '<script>'", "the text of birth 1: cannot go on with '<script>'"),
    ],
)
def test_what_was_not_written_is_refused(archive, run, damage, said):
    Register(archive, run).born("x", 0, "random")
    Register(archive, run).generation(0, 1, ["x"])
    with archive.transaction():
        archive.db.execute(damage)
    (problem,) = check(archive.path).problems
    assert said in problem
    if "text" not in damage:
        with pytest.raises(GaafError, match="is damaged"):
            (Register(archive, run).births(), Register(archive, run).generations())


@pytest.mark.parametrize("loop", ["generations", "islands:2", "steady"])
def test_a_search_registers_its_candidates(tmp_path, stub_proxy, loop):
    """The genealogy: every candidate once, its parents ahead of it, populations of candidates that were bred."""
    pset = gaaf.free()
    val = object()  # scored by nobody: this proxy knows how trainings go
    stub_proxy.data, stub_proxy.settings = SimpleNamespace(val=val, device=torch.device("cpu")), dict
    with Archive(tmp_path / "a.sqlite") as archive, Evaluator(stub_proxy, pset) as evaluator:
        run = archive.begin("evolve", {}, {})
        evaluator.record_in(ArchivedTrainings(archive, stub_proxy, pset, run))
        found = evolve(
            pset, evaluator, loop=loop, evaluations=40, population_size=6, seed=3, initial=["sin(x)"],
        )  # fmt: skip
        births, generations = Register(archive, run).births(), Register(archive, run).generations()
        assert {one.text for one in found.records} <= {one.text for one in births}
        assert [(one.text, one.operation) for one in births if one.operation == "given"] == [("sin(x)", "given")]
        assert births[0].operation == "given"
        arities = {"given": {0}, "random": {0}, "mutation": {1}, "crossover": {1, 2}, "crossover and mutation": {1, 2}}
        assert all(len(one.parents) in arities[one.operation] for one in births)
        assert len({one.operation for one in births}) >= 4
        assert [one.number for one in generations] == list(range(len(found.logbook)))
        assert [one.evaluations for one in generations] == found.logbook.select("evaluations")
        by_number = {one.number: one.text for one in births}
        last = [by_number[number] for number in generations[-1].population]
        assert sorted(last) == sorted(one.canonical for one in found.population)
        assert all(0 <= one.generation <= len(generations) for one in births)
        assert [one.generation for one in births] == sorted(one.generation for one in births)
        assert births[0].generation == 0
        assert all(parent < one.number for one in births for parent in one.parents)
    assert check(archive.path).problems == ()


def test_the_command_line_checks_them(archive, run, capsys):
    Register(archive, run).born("x", 0, "random")
    with pytest.raises(SystemExit) as ended:
        cli.main(["archive", "check", str(archive.path)])
    assert ended.value.code == 0
    assert "well" in capsys.readouterr().out
