"""What DEAP's documentation shows: each line of the page's table runs, and what cannot work is refused in one line."""

from __future__ import annotations

import copy
import multiprocessing
import operator
import pickle
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from deap import algorithms, base, creator, gp, tools

from gaaf_gp import GaafError, Individual, PrimitiveSet, make_toolbox, parse
from gaaf_gp.evaluation import as_fitness_function
from gaaf_gp.trees.operators import mut_constant
from gaaf_gp.types import Feature, Scalar
from primitives import gaaf

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "deap.md"
LINES = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def size(individual: Individual) -> float:
    """Fitness for processes, found by name."""
    return float(len(individual))


def toolbox_of(pset: PrimitiveSet) -> base.Toolbox:
    return make_toolbox(pset, as_fitness_function(size, pset), rng=1)


@pytest.fixture(scope="module")
def pset() -> PrimitiveSet:
    return gaaf.free()


@pytest.fixture
def names(pset: PrimitiveSet) -> Iterator[dict[str, Any]]:
    random.seed(1)
    toolbox = toolbox_of(pset)
    population = toolbox.population(8)
    for individual in population:
        individual.fitness.values = toolbox.evaluate(individual)
    creator.create("Least", base.Fitness, weights=(-1.0,))
    creator.create("Ind", Individual, fitness=creator.Least)
    yield {
        **globals(),
        "pset": pset,
        "toolbox": toolbox,
        "population": population,
        "tree": parse("add(x, sin(x))", pset),
        "random_tree": lambda: Individual(gp.genHalfAndHalf(pset, 2, 4), pset),
        "pool": SimpleNamespace(map=map),
    }
    for name in ("Ind", "Tree", "Least"):
        vars(creator).pop(name, None)


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_table_runs(line: str, names: dict[str, Any]) -> None:
    result = eval(line, names)
    parts = result if isinstance(result, tuple) else (result,)
    for part in parts:
        if isinstance(part, Individual):
            assert Individual(part, names["pset"]) == part, "a tree of the set"
    assert result is not False


def test_the_table_is_read() -> None:
    assert len(LINES) > 25
    assert {copy, operator, pickle, torch, algorithms, tools, mut_constant, Scalar}  # the lines use them


def test_classes_of_the_creator_keep_their_fitness(names: dict[str, Any]) -> None:
    individual = creator.Ind(gp.genFull(names["pset"], 1, 2), names["pset"])
    assert individual.fitness.weights == (-1.0,)
    assert type(copy.deepcopy(individual)) is creator.Ind
    assert copy.deepcopy(individual).pset is names["pset"]


def test_numbers_of_arguments_stand_for_features() -> None:
    pset = PrimitiveSet("m", 2)
    pset.addPrimitive(torch.add, 2)
    assert pset.arguments == ["ARG0", "ARG1"]
    assert pset.ins == [Feature, Feature]
    assert pset.mapping["add"].args == [Feature, Feature]
    assert pset.mapping["add"].ret is Feature
    assert PrimitiveSet("m", 1).arguments == ["x"]


@pytest.mark.parametrize(
    ("idiom", "said"),
    [
        (lambda pset: pset.addADF(PrimitiveSet("ADF0")), "takes no automatically defined function, got that of set"),
        (lambda pset: pset.addEphemeralConstant("e", random.random), "'e' must have a type, got none: pass Scalar"),
        (lambda pset: pset.addTerminal(1.5), "terminal 1.5 must have a type, got none: pass Scalar"),
        (lambda pset: pset.addTerminal(torch.sin, Feature), "a terminal must be a number"),
        (
            lambda pset: pset.addPrimitive(torch.exp2, -1),
            "the number of arguments must be a whole number of at least 0",
        ),
        (lambda pset: pset.addPrimitive(torch.exp2, 0), "must take an argument, got none"),
        (lambda pset: Individual.from_string("add(x", pset), "cannot read"),
    ],
)
def test_what_has_no_place_here_is_refused_in_one_line(idiom: Callable[[PrimitiveSet], Any], said: str) -> None:
    pset = gaaf.free()
    before = dict(pset.mapping)
    with pytest.raises(GaafError, match=re.escape(said)):
        idiom(pset)
    assert pset.mapping == before


@pytest.mark.parametrize("how", ["fork", "spawn", "futures"])
def test_a_pool_serves_as_map(how: str) -> None:
    toolbox = toolbox_of(gaaf.free())
    population = toolbox.population(4)
    context = multiprocessing.get_context("fork" if how == "fork" else "spawn")
    with ProcessPoolExecutor(1, context) if how == "futures" else context.Pool(1) as pool:
        toolbox.register("map", pool.map)
        values = list(toolbox.map(toolbox.evaluate, population))
    assert values == [(float(len(individual)),) for individual in population]
