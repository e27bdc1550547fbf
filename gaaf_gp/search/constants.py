"""Better constants for a tree whose shape stays: by a budgeted search without gradients, or trained with the network.

Mutation moves constants one at a time and by chance (:func:`gaaf_gp.trees.operators.mut_constant`). Here all constants
of one tree are moved together: :func:`tune_constants` asks a measure what they are worth, :func:`tune_best` does so
with the best of a search, and :func:`train_constants` makes them parameters of a proxy network, trains it, and writes
the values back into the tree.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import scipy  # its parts are read when they are first used: optimize takes long
import torch
from torch import Tensor, nn

from gaaf_gp.archive.births import MUTATION
from gaaf_gp.binary import ActivationFactory
from gaaf_gp.errors import GaafError
from gaaf_gp.search.loops import Search
from gaaf_gp.search.result import SAME, value
from gaaf_gp.training.budget import Budget
from gaaf_gp.training.epochs import run_epoch
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import Candidate, Evolved, TwoTrees
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.operators import CONSTANT_DIGITS, constant_places
from gaaf_gp.trees.tree import Constant, fold
from gaaf_gp.util.checks import whole_number
from gaaf_gp.util.devices import threads

STEP, LEAST_STEP = 0.3, 0.1
"""The search begins with steps of STEP times (the magnitude of a constant + LEAST_STEP)."""
TUNED = 3
"""The best of a search whose constants are tuned."""

AnyEvolved = TypeVar("AnyEvolved", bound=Evolved)


def constants_of(individual: Evolved) -> list[float]:
    """Return the evolved constants in depth-first order, of two trees the forward ones first.

    They are those of types that the set draws.
    """
    if isinstance(individual, TwoTrees):
        return constants_of(individual.forward) + constants_of(individual.backward)
    return [float(individual[place].value) for place in constant_places(individual)]


def with_constants(individual: AnyEvolved, values: Sequence[float]) -> AnyEvolved:
    """Return a copy, without fitness, with other constants, rounded as mutation rounds them.

    Raises:
        GaafError: there are not as many values as constants, or one is not finite.
    """
    if isinstance(individual, TwoTrees):
        first = len(constants_of(individual.forward))
        forward = with_constants(individual.forward, values[:first])
        backward = with_constants(individual.backward, values[first:])
        return cast(AnyEvolved, TwoTrees(forward, backward, type(individual.fitness)()))
    places = constant_places(individual)
    if len(values) != len(places):
        raise GaafError(
            f"{individual} has {len(places)} evolved constants, got {len(values)} values: give one for each"
        )
    nodes: list[Any] = list(individual)
    for place, number in zip(places, values, strict=True):
        nodes[place] = Constant(float(f"{number:.{CONSTANT_DIGITS}g}"), nodes[place].ret)
    return cast(AnyEvolved, Individual(nodes, individual.pset, type(individual.fitness)()))


def tune_constants(
    individual: AnyEvolved, measure: Callable[[AnyEvolved], float], *, evaluations: int = 20
) -> AnyEvolved:
    """Return the individual with the best constants that Nelder and Mead's simplex finds within a budget.

    The tree itself is the first that is measured, so the result is never worse by ``measure``; a noisy measure flatters
    it all the same, so compare it on fresh seeds.

    Args:
        individual: one tree or two; without evolved constants it comes back as it is, unmeasured.
        measure: what constants are worth, higher is better; not finite counts as the worst. For example
            ``lambda tree: proxy.train(tree, seed, epochs=1).accuracy``.
        evaluations: calls of ``measure`` at most.

    Raises:
        GaafError: ``evaluations`` is below 1.
    """
    evaluations = whole_number("evaluations", evaluations)
    start: list[float] = constants_of(individual)
    if not start:
        return with_constants(individual, start)
    best: tuple[float, AnyEvolved] | None = None
    asked = 0

    class Spent(Exception):  # noqa: N818 (no error: the budget is used up)
        pass

    def worth(values: Sequence[float]) -> float:
        nonlocal best, asked
        if asked >= evaluations:
            raise Spent
        asked += 1
        tree = copy.deepcopy(individual) if asked == 1 else with_constants(individual, values)
        fitness = float(measure(tree))
        fitness = fitness if math.isfinite(fitness) else -math.inf
        if best is None or fitness > best[0]:
            best = fitness, tree
        return -fitness if math.isfinite(fitness) else 1e300

    simplex = [start, *(_moved(start, place) for place in range(len(start)))]
    with contextlib.suppress(Spent):
        scipy.optimize.minimize(
            worth, start, method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": evaluations}
        )
    assert best is not None
    return best[1]


def tune_best(search: Search, evaluations: int) -> None:
    """Tune the ``TUNED`` best of a search that have constants, each with the same share of the evaluations.

    Every tuned individual is evaluated and written down as any candidate, so it may enter the hall of fame; one that
    training could not repair, or that would train as one in there, is rejected. All of them are one generation more;
    the population stays. Nothing is done after Ctrl-C, or when the search is out of time.

    Args:
        search: whose fitness function tells what constants are worth.
        evaluations: candidates at most; those that are rejected count too, or a simplex might try them for ever.
    """
    found, fitness_function = search.found, search.fitness_function
    texts_seen = {record.text for record in found.records}
    before = len(texts_seen)
    trained = [
        individual for individual in found.complete if fitness_function.records[individual.canonical].failure is None
    ]
    chosen = heapq.nlargest(min(TUNED, evaluations), filter(constants_of, trained), key=value)
    texts = {
        fitness_function.behaviour(individual).signature: individual.canonical
        for individual in (*found.hall_of_fame, *chosen)
    }

    def worth(tuned: Evolved) -> float:
        behaviour = fitness_function.behaviour(tuned)
        if behaviour.failure is not None:
            found.rejected[behaviour.failure] += 1
            return -math.inf
        text = texts.setdefault(behaviour.signature, tuned.canonical)
        if text not in texts_seen:
            texts_seen.add(text)
            search.born(tuned, MUTATION, [parent])
            try:
                fitness_function.evaluate([tuned], search.arrived)
            finally:  # what ended before Ctrl-C is kept
                search.enter([tuned] if tuned.canonical in fitness_function.records else [])
        elif tuned.canonical != parent.canonical:
            found.rejected[SAME] += 1
        return fitness_function.records[text].fitness

    try:
        for place, parent in enumerate(chosen):
            share = evaluations // len(chosen) + (place < evaluations % len(chosen))
            if not found.interrupted and not search.stop.out_of_time:
                tune_constants(parent, worth, evaluations=share + 1)  # the parent itself is known
    except KeyboardInterrupt:
        found.interrupted = True
    if len(found.records) > before:
        search.generation(found.population, len(found.records) - before)


def train_constants(proxy: Proxy, individual: Individual, seed: int, *, epochs: int | None = None) -> Individual:
    """Return the tree with the constants that training gives it: one of each for all layers, moved by their gradients.

    The network is trained in torch, without tables; what it learns beside the constants is thrown away.

    Args:
        proxy: the training task.
        individual: the tree; without evolved constants it comes back as it is, untrained.
        seed: of weights, batches and augmentation, as everywhere.
        epochs: of the proxy's schedule; all by default.

    Raises:
        GaafError: ``epochs`` is out of the schedule, or a constant is not finite in the end.
        FailedError: the loss is not finite.
    """
    start = constants_of(individual)
    if not start:
        return with_constants(individual, start)
    settings = {field.name: getattr(proxy, field.name) for field in dataclasses.fields(proxy)}
    tuning = _Tuning(**{**settings, "tables": False, "kernels": "torch"})
    tuning.shared = nn.ParameterList([nn.Parameter(torch.tensor(value)) for value in start]).to(proxy.data.device)
    last = tuning.last_epoch(individual, seed, epochs, None)
    with threads(tuning.threads):
        training = tuning.training(individual, seed)
        for number in range(1, last + 1):
            run_epoch(training, tuning.batches, number, Budget(0.0, None))
    return with_constants(individual, [float(constant.detach()) for constant in tuning.shared])


class _Tuning(Proxy):
    """A proxy whose layers share the constants of the tree as parameters."""

    shared: nn.ParameterList

    def _activation_factory(self, individual: Candidate | None) -> ActivationFactory | None:
        if not isinstance(individual, Individual) or "shared" not in self.__dict__:
            return super()._activation_factory(individual)
        return functools.partial(_Tunable, individual, list(self.shared))


class _Tunable(nn.Module):
    """f of a tree whose constants are given parameters, shared by all layers; learnable vectors are its own."""

    def __init__(self, tree: Individual, shared: Sequence[nn.Parameter], channels: int) -> None:
        super().__init__()
        self.tree = tree
        self.shared = nn.ParameterList(shared)
        self.own = nn.ParameterList()
        self._number = {place: number for number, place in enumerate(constant_places(tree))}
        self._own: dict[int, list[int]] = {}
        for index, node in enumerate(tree):
            starts = tree.pset.traits[node.name].learnable if node.name in tree.pset.traits else ()
            self._own[index] = [len(self.own) + place for place in range(len(starts))]
            self.own.extend(nn.Parameter(torch.full((channels,), start)) for start in starts)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), of the shape of the (N, C, ...) ``x``."""
        shape = (1, -1) + (1,) * (x.dim() - 2)

        def combine(index: int, node: Any, children: list[Tensor]) -> Tensor:
            if index in self._number:
                shared: Tensor = self.shared[self._number[index]]
                return shared
            vectors = [self.own[place].view(shape) for place in self._own[index]]
            if node.arity:
                function = self.tree.pset.traits[node.name].function
                assert function is not None
                return function(*children, *vectors)
            if vectors:
                constants: Tensor = vectors[0]
                return constants
            if node.value in self.tree.pset.arguments:
                return x
            return torch.tensor(float(self.tree.pset.context.get(node.value, node.value)), device=x.device)

        return fold(self.tree, combine).expand_as(x)


def _moved(values: Sequence[float], place: int) -> list[float]:
    moved = list(values)
    moved[place] += STEP * (abs(moved[place]) + LEAST_STEP)
    return moved
