"""A DEAP toolbox, ready for DEAP's own algorithms and for ours."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from deap import base, tools

from gaaf_gp.activations.behaviour import PAPER_SURROGATE
from gaaf_gp.activations.factory import two_signs
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.fitness_function import FitnessFunction, Measure, PlainFitness, as_fitness_function
from gaaf_gp.evaluation.records import OnRecord, Record
from gaaf_gp.search.bloat import Bloat, BloatLike, Control, Pareto
from gaaf_gp.search.bloat.objectives import ObjectiveLike, as_objectives
from gaaf_gp.search.constraints import ConstraintLike, as_constraints
from gaaf_gp.trees.candidate import TwoTrees
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, gen_half_and_half, starting_heights
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import MUTATIONS, cx_one_of_two, cx_one_point, init_two_trees, mut_any, mut_one_of_two
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.util.checks import any_seed, whole_number


def several(objectives: Sequence[ObjectiveLike], bloat: BloatLike) -> BloatLike:
    """Return the controls of a search with these objectives: with more than one, Pareto selection comes first."""
    further = as_objectives(objectives)
    if not further:
        return bloat
    others = () if bloat is None else bloat
    return (Pareto(objectives=further), *((others,) if isinstance(others, str | Control | Limits) else others))


@dataclass
class _Evaluation:
    """``toolbox.evaluate``: an object, so that the ``map`` of a process pool can send it."""

    evaluator: FitnessFunction
    controls: Bloat
    generator: random.Random
    ready: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def __call__(self, candidate: Individual | TwoTrees) -> tuple[float, ...]:
        """Return the fitness values of one candidate."""
        return self.ready.pop(id(candidate), None) or self.all([candidate])[0]

    @contextmanager
    def ahead(self, candidates: Sequence[Individual | TwoTrees]) -> Iterator[None]:
        """Evaluate candidates side by side, for functions that ask for them one by one."""
        self.ready = dict(zip(map(id, candidates), self.all(candidates), strict=True))
        try:
            yield
        finally:
            self.ready = {}

    def all(self, candidates: Sequence[Individual | TwoTrees]) -> list[tuple[float, ...]]:
        """Return the fitness values of each, evaluated side by side."""
        worth = [self.controls.judges(candidate, self.generator) for candidate in candidates]
        self.evaluator.evaluate([one for one, judged in zip(candidates, worth, strict=True) if judged])
        return [self._values(one, judged) for one, judged in zip(candidates, worth, strict=True)]

    def _values(self, candidate: Individual | TwoTrees, judged: bool) -> tuple[float, ...]:
        accuracy = self.evaluator(candidate)[0] if judged else -math.inf  # from memory
        accepted = self.controls.accepts(candidate, accuracy)
        return self.controls.selector.values(candidate, accuracy if accepted else -math.inf)


class Toolbox(base.Toolbox):  # type: ignore[misc]
    """DEAP's toolbox, whose ``map`` evaluates side by side, also where ``evaluate`` was decorated.

    Another ``evaluate`` that is registered is called as it is, for one individual after another; register another
    ``map``, such as that of a pool, to have that side by side too.
    """

    def __init__(self, evaluation: _Evaluation) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.register("evaluate", evaluation)
        self.plain = self.evaluate
        self.decorated: Callable[..., Any] | None = None
        self.register("map", self._map)

    def decorate(self, alias: str, *decorators: Callable[..., Any]) -> None:
        """Decorate ``alias``, as DEAP does."""
        ours = alias == "evaluate" and self.evaluate in (self.plain, self.decorated)
        super().decorate(alias, *decorators)
        if ours:
            self.decorated = self.evaluate

    def _map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        columns = [list(argument) for argument in arguments]
        if function is self.plain:
            return self.evaluation.all(columns[0])
        if function is self.decorated and len(columns) == 1:
            with self.evaluation.ahead(columns[0]):
                return list(map(function, columns[0]))
        return list(map(function, *columns))


def make_toolbox(
    pset: PrimitiveSet,
    evaluator: FitnessFunction | Measure,
    *,
    rng: random.Random | int = 0,
    limits: Limits = DEFAULT_LIMITS,
    heights: tuple[int, int] | None = None,
    objectives: Sequence[ObjectiveLike] = ("accuracy",),
    two_trees: bool = False,
    bloat: BloatLike = None,
    constraints: ConstraintLike | Sequence[ConstraintLike] = (),
    mutations: Sequence[Callable[..., tuple[Individual]]] = MUTATIONS,
) -> Toolbox:
    """Return a ``deap.base.Toolbox`` with all the aliases that DEAP's algorithms know, and ``compile``.

    They are expr, individual, population, compile, evaluate, select, mate, mutate, map and clone. It runs unchanged
    under ``deap.algorithms.eaSimple`` and ``eaMuPlusLambda``, and with ``objectives=("accuracy", "size")`` under
    NSGA-II. Those loops draw from Python's global generator: seed it too for a repeatable run. Whatever you register
    or decorate is what runs, also in :func:`gaaf_gp.evolve`.

    Args:
        pset: the primitive set.
        evaluator: an :class:`~gaaf_gp.Evaluator`, whose processes serve ``map``, another fitness function, or a plain
            function that returns the fitness of an individual.
        rng: generator of all choices of the registered operators, or a seed for a new one.
        limits: static limits of height and size, kept by generation, crossover and mutation.
        heights: least and greatest height of new trees; 1 and 3 by default, or as types and limits ask for
            (:func:`gaaf_gp.trees.generation.starting_heights`).
        objectives: "accuracy", which stands for what ``evaluator`` returns, and further ones: "size" or another size of
            :mod:`gaaf_gp.search.bloat.sizes`, or a function of an individual, all of which are minimised; or an
            :class:`~gaaf_gp.search.bloat.Objective` with its weight. With two or more, selection is that of NSGA-II.
        two_trees: whether an individual has a forward and a backward tree (:class:`gaaf_gp.trees.candidate.TwoTrees`).
            The limits then hold for each of them, its size is that of both, and ``compile`` makes a module that returns
            signs.
        bloat: what keeps trees small: one or several of the controls of :mod:`gaaf_gp.search.bloat`, or their names; a
            double tournament by default. They are copied, and the copy, as ``toolbox.bloat``, learns from every
            ``select``.
        constraints: what every tree must keep to, see :mod:`gaaf_gp.search.constraints`.
        mutations: those that ``mutate`` chooses from, see :func:`gaaf_gp.trees.operators.mut_any`.

    Raises:
        GaafError: for other objectives, heights beyond the limits, or controls that are none or do not go together.
    """
    controls = Bloat(several(objectives, bloat), limits, as_constraints(constraints, pset))
    limits, fitness = controls.limits, controls.selector.fitness
    heights = starting_heights(pset, limits) if heights is None else heights
    lowest, highest = (whole_number("heights", height, 0) for height in heights)
    if not lowest <= highest <= limits.height:
        raise GaafError(f"heights of new trees must rise and stay within the limit {limits.height}, got {heights}")
    generator = rng if isinstance(rng, random.Random) else random.Random(any_seed(rng))

    def fresh() -> Individual | TwoTrees:
        if two_trees:
            return init_two_trees(toolbox.expr, pset, fitness)
        return Individual(toolbox.expr(), pset, fitness())

    fitness_function = as_fitness_function(evaluator, pset)
    toolbox = Toolbox(_Evaluation(fitness_function, controls, generator))
    toolbox.bloat = controls
    toolbox.register("expr", gen_half_and_half, pset, lowest, highest, rng=generator, max_size=limits.size)
    toolbox.register("individual", controls.made, fresh, generator)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    if two_trees:
        surrogate = getattr(getattr(fitness_function, "proxy", None), "surrogate", PAPER_SURROGATE)
        toolbox.register("compile", two_signs, surrogate=surrogate)
    else:
        toolbox.register("compile", functools.partial(Activation, pset=pset))
    toolbox.register("clone", copy.deepcopy)
    mate, mutate = (cx_one_of_two, mut_one_of_two) if two_trees else (cx_one_point, mut_any)
    for name, operator in (("mate", mate), ("mutate", mutate)):
        operate = functools.partial(operator, rng=generator, limits=limits)
        if name == "mutate":
            operate = functools.partial(operate, mutations=mutations)
        toolbox.register(name, controls.varied(operate, fresh, generator))
    if isinstance(controls.selector, Pareto):
        toolbox.register("select", controls.survivors)
    else:
        toolbox.register("select", controls.select, rng=generator)
    return toolbox


class OwnEvaluate(PlainFitness):
    """The ``evaluate`` of a toolbox as the fitness function of a search: asked once for each candidate, by its ``map``.

    Args:
        toolbox: its ``evaluate`` returns DEAP's values, the first of which is ranked by, higher is better.
        before: what ``evaluate`` may ask in turn; it tells how candidates behave, and what was trained.

    Attributes:
        values: canonical text -> all values.
    """

    def __init__(self, toolbox: base.Toolbox, before: FitnessFunction, pset: PrimitiveSet) -> None:
        super().__init__(toolbox.evaluate, pset)
        self.toolbox = toolbox
        self.before = before
        self.values: dict[str, tuple[float, ...]] = {}
        self.behaviour = before.behaviour  # type: ignore[method-assign]

    def evaluate(self, individuals: Sequence[Any], on_record: OnRecord | None = None) -> list[Record]:
        """Return a record for each individual, asking ``toolbox.evaluate`` about those that are new."""
        new = {one.canonical: one for one in individuals if one.canonical not in self.records}
        for text, values in zip(new, self.toolbox.map(self.toolbox.evaluate, list(new.values())), strict=True):
            self.values[text] = tuple(map(float, values))
            self.records[text] = self._valued(text, self.values[text][0])
            if on_record is not None:
                on_record(self.records[text])
        return [self.records[one.canonical] for one in individuals]

    def _valued(self, text: str, first: float) -> Record:
        trained = self.before.records.get(text)
        if trained is None or not math.isfinite(first):
            return self.record(text, first)
        return trained if trained.fitness == first else replace(trained, value=first)


def own_evaluate(toolbox: base.Toolbox, evaluator: FitnessFunction, pset: PrimitiveSet) -> FitnessFunction:
    """Return what gives a search with this toolbox its fitness: ``evaluator``, unless ``evaluate`` is another one."""
    evaluate = getattr(toolbox, "evaluate", None)
    if evaluate is None or getattr(toolbox, "plain", None) is evaluate:
        return evaluator
    function = getattr(evaluate, "func", evaluate)
    same = function is evaluator or function is getattr(evaluator, "function", function is None)
    return evaluator if same else OwnEvaluate(toolbox, evaluator, pset)
