"""Make the pictures of docs/plots.md anew, from data of the project and from short searches; minutes on one core.

    python scripts/make_plots.py [NAME ...]

Searches are real and small: trees of any shape, each trained for one epoch on 1,000 of the bundled images. Their
accuracies are low and noisy, which does not matter for a picture of each kind.
"""

import functools
import gzip
import json
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from deap import algorithms, tools
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from gaaf_gp import (
    Evaluator,
    GaafError,
    Proxy,
    TableEvaluator,
    evolve,
    load_data,
    load_table,
    make_toolbox,
    parse,
    plot_activation,
    plot_activations,
    plot_tree,
)
from gaaf_gp.binary import binary_layers
from gaaf_gp.cli import script
from gaaf_gp.errors import listed
from gaaf_gp.plots import (
    curves_of,
    plot_evolved,
    plot_fidelities,
    plot_front,
    plot_genealogy,
    plot_history,
    plot_learning_curves,
    plot_primitive_use,
    plot_progress,
    plot_run,
    plot_searches,
    plot_sheet,
    save_figure,
    snapshots,
)
from gaaf_gp.search import SearchResult, random_search
from gaaf_gp.search.best_so_far import Watched, best_so_far
from gaaf_gp.statistics import Band, band
from gaaf_gp.training import layer_inputs
from gaaf_gp.trees import describe, parse_candidate
from primitives import gaaf

ROOT = Path(__file__).resolve().parents[1]
OUT, DATA = ROOT / "docs" / "images", ROOT / "docs" / "data"
IMAGES, EVALUATIONS, RUNS = 1000, 120, 5
"""Images of a training, evaluations of a search, and searches."""
PILOT_SEED = 900_000  # of runs/fidelity.py
pset = gaaf.free()


@dataclass
class Run:
    """A search and its populations, generation by generation."""

    found: SearchResult
    populations: list[list[Any]] = field(default_factory=list)


@functools.cache
def task() -> Proxy:
    """Return the training task of the searches."""
    return Proxy(load_data("fashion10k", limit=IMAGES), epochs=1)


@functools.cache
def judge() -> Evaluator:
    """Return what judges their candidates, all on one seed."""
    return Evaluator(task(), pset)


@functools.cache
def runs() -> tuple[Run, ...]:
    """Return the searches."""
    made = []
    for seed in range(RUNS):
        populations: list[list[Any]] = []
        found = evolve(
            pset,
            judge(),
            evaluations=EVALUATIONS,
            population_size=12,
            seed=seed,
            on_generation=lambda now, kept=populations: kept.append(list(now.population)),
        )
        made.append(Run(found, populations))
    return tuple(made)


@functools.cache
def sign_accuracy() -> float:
    """Return the accuracy of the plain sign in that task."""
    return judge().train([None], [0])[0][0].accuracy


def entries(name: str) -> list[dict[str, Any]]:
    """Return the entries of a file of evaluations in docs/data, without its first line."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file][1:]


@functools.cache
def mutated() -> list[tuple[Any, Any]]:
    """Return each parent and child of a run of DEAP's own algorithm in which a mutation changed something."""
    toolbox, history = make_toolbox(pset, judge(), rng=1, heights=(2, 4)), tools.History()
    bred(toolbox, history, 14, 4, seed=1)
    pairs = [
        (history.genealogy_history[parents[0]], history.genealogy_history[child])
        for child, parents in history.genealogy_tree.items()
        if len(parents) == 1
    ]
    return [(parent, child) for parent, child in pairs if parent.canonical != child.canonical]


def bred(toolbox: Any, history: tools.History, size: int, generations: int, seed: int) -> Any:
    """Run DEAP's eaSimple, note every variation in the history, and return the best individual."""
    for name in ("mate", "mutate"):
        toolbox.decorate(name, history.decorator)
    population = toolbox.population(n=size)
    history.update(population)
    random.seed(seed)  # DEAP's loops draw from the global generator
    best = tools.HallOfFame(1)
    algorithms.eaSimple(population, toolbox, cxpb=0.6, mutpb=0.4, ngen=generations, halloffame=best, verbose=False)
    return best[0]


def trained(text: str) -> tuple[Proxy, Any, Any, nn.Module]:
    """Return a task, a candidate, the state of its training, and the trained activation of the last binary layer."""
    candidate = parse(text, pset)
    proxy = Proxy(load_data("fashion10k"), epochs=8)
    state = proxy.train(candidate, 0, keep=True).state
    assert state is not None
    training = proxy.training(candidate, 0)
    training.restore(state)
    *_, last = binary_layers(training.model)
    activation = last.activation
    assert activation is not None
    return proxy, candidate, state, activation


def tree() -> Axes:
    """The best of a search."""
    winner = runs()[0].found.hall_of_fame[0]
    return plot_tree(winner)


def tree_highlighted() -> Axes:
    """A subtree."""
    individual = parse("max(sin(mul(x, const(1.5))), add(scale(x), erf(x)))", pset)
    return plot_tree(individual, highlight=6)


def tree_difference() -> Axes:
    """A parent and its mutated child."""
    parent, child = max(mutated(), key=lambda pair: min(map(len, pair)))
    left, right = Figure(figsize=(12, 4)).subplots(1, 2, gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1})
    plot_tree(parent, left, compare_to=child)
    return plot_tree(child, right, compare_to=parent)


def two_trees() -> Axes:
    """A forward and a backward tree."""
    pair = parse_candidate("max(x, sin(x)) | add(x, sin(x))", pset)
    return plot_evolved(pair)


def activation() -> Axes:
    """One function."""
    function = parse("max(x, sin(x))", pset)
    return plot_activation(function)


def activations() -> Axes:
    """Several functions side by side."""
    texts = ["max(x, sin(x))", "tan(x)", "add(gauss(x), negative(x))", "cube(x)", "@rprelu", "sin(x) | x"]
    functions = [parse_candidate(text, pset) for text in texts]
    return plot_activations(functions, columns=3)[0]


def activation_trained() -> Axes:
    """A function that has learned, over the inputs of its layer."""
    proxy, candidate, state, module = trained("max(scale(x), sin(x))")
    *_, last = layer_inputs(proxy, candidate, state).values()
    return plot_activation(module, inputs=last)


def history() -> Axes:
    """All candidates of a search."""
    found = runs()[0].found
    return plot_history(found.records, sign_accuracy())


def progress() -> Axes:
    """One search: fitness."""
    first = runs()[0]
    generations = snapshots(first.found.logbook)
    return plot_progress([generations], baseline=sign_accuracy())


def run() -> Axes:
    """Several searches together: fitness, size and diversity."""
    searches = [snapshots(one.found.logbook, one.populations, behaviour) for one in runs()]
    return plot_run(searches, baseline=sign_accuracy())[0]


def behaviour(individual: Any) -> str:
    """Return what tells apart those that train differently."""
    return task().behaviour(individual).signature


def front() -> Axes:
    """Functions of encoding 1 that were trained on five seeds."""
    functions = [one for one in load_table().entries if len(one.accuracy) == 5]
    costs, values = [gaaf.from_genes(one.genes).cost for one in functions], [one.value for one in functions]
    return plot_front([one.formula for one in functions], costs, values)


def primitive_use() -> Axes:
    """Which primitives a search uses."""
    populations = runs()[0].populations
    return plot_primitive_use(populations)


def learning_curves() -> Axes:
    """The best function of CIFAR-10 (JPEG) beside the baselines."""
    names = {"cos(x) + erf(x)": "add(cos(x), erf(x))", "plain sign": None, "RSign": "@rsign", "RPReLU": "@rprelu"}
    curves = curves_of(names, entries("top15_cifar10_jpeg.jsonl.gz"))
    return plot_learning_curves(curves, baselines=["plain sign", "RSign", "RPReLU"], first=3)


def genealogy() -> Axes:
    """The ancestors of a winner of DEAP's algorithm on the table of encoding 1."""
    evaluator, history = TableEvaluator(load_table(), gaaf.encoding1()), tools.History()
    winner = bred(make_toolbox(evaluator.pset, evaluator, rng=3), history, 40, 15, seed=3)
    values = {text: record.accuracy for text, record in evaluator.records.items()}
    return plot_genealogy(history.genealogy_tree, history.genealogy_history, winner.history_index, values=values)


def fidelities() -> Axes:
    """One epoch against ten."""
    short, long = accuracies(1, 800_000), accuracies(10, 700_000, 700_001)
    return plot_fidelities(short, long, names=("1 epoch", "10 epochs"))


def accuracies(epochs: int, *seeds: int) -> list[float]:
    """Return the mean accuracy over some seeds of each function of runs/fidelity.py, in the order of its pilot."""
    every = {(one["text"], one["epochs"], one["seed"]): one["accuracy"] for one in entries("fidelity.jsonl.gz")}
    pilot = {text: value for (text, _, seed), value in every.items() if seed == PILOT_SEED}
    chosen = [text for text in sorted(pilot, key=lambda text: (pilot[text], text)) if (text, epochs, seeds[0]) in every]
    return [statistics.fmean(every[text, epochs, seed] for seed in seeds) for text in chosen]


def searches() -> Axes:
    """Two searches on the table of encoding 1."""
    bands = {"evolve()": spread_of(evolve), "random search": spread_of(random_search)}
    return plot_searches(bands, first=10)


def spread_of(search: Callable[..., Any]) -> Band:
    """Return how the best so far of twenty searches is spread."""
    table, encoding1, curves = load_table(), gaaf.encoding1(), []
    for seed in range(20):
        watched = Watched(TableEvaluator(table, encoding1))
        search(encoding1, watched, evaluations=300, seed=seed)
        curves.append([one.fitness for one in best_so_far(watched.asked, 300)])
    return band(curves)


def sheet() -> Axes:
    """A part of what is in a set."""
    return plot_sheet(describe.entries(pset)[16:34])[0]


DRAWN = (
    tree, tree_highlighted, tree_difference, two_trees, activation, activations, activation_trained, history, progress,
    run, front, primitive_use, learning_curves, genealogy, fidelities, searches,
    sheet,
)  # fmt: skip
PICTURES: dict[str, Callable[[], Axes]] = {f"plot_{one.__name__}": one for one in DRAWN}
"""File without its ending -> what draws it."""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Pictures to make; all of them by default.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = OUT,
) -> None:
    """Make the pictures of docs/plots.md anew."""
    unknown = [name for name in names or () if name not in PICTURES]
    if unknown:
        raise GaafError(f"pictures are {listed(PICTURES, 40)}, got {listed(unknown)}: correct their names")
    for name in names or PICTURES:
        save_figure(PICTURES[name](), out / f"{name}.png")
        typer.echo(f"made {out / name}.png")


if __name__ == "__main__":
    script(main)
