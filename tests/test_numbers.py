"""Every public function that takes a number takes numpy's too, and refuses anything else in one line."""

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gaaf_gp import (
    Activation,
    Evaluator,
    PrimitiveSet,
    Proxy,
    Racing,
    evolve,
    load_data,
    make_toolbox,
    parse,
    statistics,
)
from gaaf_gp.activations.catalogue import load_activation
from gaaf_gp.binary import (
    BatchNorm,
    BinaryConv2d,
    BinaryLinear,
    PooledRepeat,
    RPReLU,
    RSign,
    Surrogate,
    clip_latent_weights,
    nin,
    resnet18,
    resnet20,
    small_network,
    vgg_small,
)
from gaaf_gp.data import Data
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation import TableEvaluator, load_table
from gaaf_gp.experiments import Settings
from gaaf_gp.parallel import Workers
from gaaf_gp.plots import plot_activations
from gaaf_gp.search import Islands, Steady, genetic, random_search, tune_constants
from gaaf_gp.search.bloat import Cap, DoubleTournament, DynamicLimit, Harm, Lexicographic, LinearParsimony, Tarpeian
from gaaf_gp.training.layer_inputs import layer_inputs
from gaaf_gp.training.retraining import Distillation, RetrainSettings, fresh_seeds
from gaaf_gp.training.stacked import train_stacked
from gaaf_gp.trees import Limits
from gaaf_gp.trees.enrichment import enrichment
from gaaf_gp.trees.generation import gen_half_and_half
from gaaf_gp.types import Feature
from primitives import gaaf


@functools.cache
def data() -> Data:
    return load_data("fashion10k", limit=60)


@functools.cache
def task() -> Proxy:
    return Proxy(data(), batch_size=16, network_settings={"widths": (2,)}, kernels="torch")


@functools.cache
def evaluator() -> TableEvaluator:
    return TableEvaluator(load_table("encoding1"), gaaf.encoding1())


def sine(text: str = "max(sin(x), x)") -> Any:
    return parse(text, gaaf.free())


def added(**options: Any) -> None:
    pset = PrimitiveSet("mine")
    pset.addPrimitive(torch.sin, options.pop("in_types", [Feature]), Feature, name="sin", **options)


def search(**options: Any) -> Any:
    return evolve(evaluator().pset, evaluator(), **{"evaluations": 6, "population_size": 3, "seed": 1, **options})


VALUES = [0.5, 0.6, 0.8, 0.7]
WHOLE: dict[str, tuple[Callable[[Any], object], int]] = {
    "PrimitiveSet in_types": (lambda v: PrimitiveSet("p", v), 1),
    "addPrimitive in_types": (lambda v: added(in_types=v), 1),
    "addPrimitive precedence": (lambda v: added(infix="sin({0})", precedence=v), 3),
    "Individual.infix digits": (lambda v: sine().infix(v), 4),
    "Individual.latex digits": (lambda v: sine().latex(v), 4),
    "gen_half_and_half": (lambda v: gen_half_and_half(gaaf.free(), v, 3, rng=random.Random(0)), 1),
    "Limits height": (lambda v: Limits(height=v), 4),
    "Limits size": (lambda v: Limits(size=v), 9),
    "Activation": (lambda v: Activation(sine(), v), 3),
    "load_activation": (lambda v: load_activation("cos-erf", v), 3),
    "load_data seed": (lambda v: load_data("fashion10k", limit=60, seed=v), 3),
    "load_data limit": (lambda v: load_data("fashion10k", limit=v), 60),
    "load_data image_size": (lambda v: load_data("fashion10k", limit=60, image_size=v), 9),
    "BinaryConv2d in_channels": (lambda v: BinaryConv2d(v, 2, 3), 2),
    "BinaryConv2d kernel_size": (lambda v: BinaryConv2d(2, 2, v), 2),
    "BinaryConv2d stride": (lambda v: BinaryConv2d(2, 2, 3, stride=(v, 1)), 2),
    "BinaryLinear": (lambda v: BinaryLinear(v, 2), 2),
    "BatchNorm": (BatchNorm, 2),
    "PooledRepeat": (PooledRepeat, 2),
    "RSign": (RSign, 2),
    "RPReLU": (RPReLU, 2),
    "small_network classes": (lambda v: small_network(v, 1, widths=(2,)), 2),
    "small_network widths": (lambda v: small_network(2, 1, widths=(v,)), 2),
    "resnet18": (lambda v: resnet18(2, v, widths=(2, 2, 2, 2)), 2),
    "resnet20": (lambda v: resnet20(2, 1, widths=(2,), blocks=v), 1),
    "nin": (lambda v: nin(2, v, widths=(2,) * 8), 1),
    "vgg_small": (lambda v: vgg_small(2, 1, widths=(2, 2), grid=v), 2),
    "Proxy epochs": (lambda v: Proxy(data(), batch_size=16, epochs=v), 1),
    "Proxy batch_size": (lambda v: Proxy(data(), batch_size=v), 16),
    "Proxy pad": (lambda v: Proxy(data(), batch_size=16, pad=v), 1),
    "Proxy threads": (lambda v: Proxy(data(), batch_size=16, threads=v), 1),
    "Proxy.train seed": (lambda v: task().train(None, v), 1),
    "Proxy.train epochs": (lambda v: task().train(None, 0, epochs=v), 1),
    "Proxy.training seed": (lambda v: task().training(None, v), 1),
    "train_stacked seed": (lambda v: train_stacked(task(), [None], v), 1),
    "train_stacked at_once": (lambda v: train_stacked(task(), [None], 0, at_once=v), 2),
    "layer_inputs seed": (lambda v: layer_inputs(task(), None, seed=v), 1),
    "layer_inputs images": (lambda v: layer_inputs(task(), None, images=v), 4),
    "Evaluator seeds": (lambda v: Evaluator(task(), gaaf.free(), seeds=(v,)), 1),
    "Evaluator workers": (lambda v: Evaluator(task(), gaaf.free(), workers=v), 1),
    "Evaluator extra_seeds": (lambda v: Evaluator(task(), gaaf.free(), extra_seeds=v), 1),
    "Evaluator places": (lambda v: Evaluator(task(), gaaf.free(), places=v), 1),
    "Evaluator at_once": (lambda v: Evaluator(task(), gaaf.free(), at_once=v), 1),
    "Evaluator.train": (lambda v: Evaluator(task(), gaaf.free()).train([None], (v,)), 1),
    "Workers": (lambda v: Workers(None, v), 1),
    "Racing least": (lambda v: Racing(least=v), 3),
    "Racing rungs": (lambda v: Racing(rungs=(v,)), 1),
    "TableEvaluator seed": (lambda v: TableEvaluator(load_table("encoding1"), gaaf.encoding1(), v), 0),
    "FunctionTable.best seed": (lambda v: load_table("encoding1").best(seed=v), 0),
    "make_toolbox rng": (lambda v: make_toolbox(gaaf.encoding1(), evaluator(), rng=v), 3),
    "make_toolbox heights": (lambda v: make_toolbox(gaaf.encoding1(), evaluator(), heights=(1, v)), 3),
    "evolve evaluations": (lambda v: search(evaluations=v), 5),
    "evolve population_size": (lambda v: search(population_size=v), 3),
    "evolve elite": (lambda v: search(elite=v), 1),
    "evolve seed": (lambda v: search(seed=v), 3),
    "evolve stagnation": (lambda v: search(stagnation=v), 3),
    "evolve hall_of_fame": (lambda v: search(hall_of_fame=v), 3),
    "evolve tune_constants": (lambda v: search(tune_constants=v), 0),
    "genetic seed": (lambda v: genetic(evaluator().pset, evaluator(), evaluations=8, population_size=4, seed=v), 1),
    "random_search seed": (lambda v: random_search(evaluator().pset, evaluator(), evaluations=4, seed=v), 1),
    "random_search batch": (lambda v: random_search(evaluator().pset, evaluator(), evaluations=4, batch=v), 2),
    "Islands number": (lambda v: Islands(number=v), 2),
    "Islands every": (lambda v: Islands(every=v), 2),
    "Steady": (lambda v: Steady(ahead=v), 2),
    "DoubleTournament": (lambda v: DoubleTournament(tournsize=v), 2),
    "Lexicographic": (lambda v: Lexicographic(tournsize=v), 2),
    "LinearParsimony": (lambda v: LinearParsimony(tournsize=v), 2),
    "tune_constants": (
        lambda v: tune_constants(sine("add(sin(x), const(0.5))"), lambda _: 0.5, evaluations=v),
        2,
    ),
    "Settings seed": (lambda v: Settings(Path("out"), seed=v), 2),
    "Settings evaluations": (lambda v: Settings(Path("out"), evaluations=v), 50),
    "RetrainSettings epochs": (lambda v: RetrainSettings(epochs=v), 2),
    "fresh_seeds number": (fresh_seeds, 2),
    "fresh_seeds seed": (lambda v: fresh_seeds(2, v), 2),
    "Distillation epochs": (lambda v: Distillation("resnet18", epochs=v), 2),
    "enrichment k": (lambda v: enrichment([sine(), sine("x"), sine("sin(x)")], [0.1, 0.2, 0.3], v), 1),
    "bootstrap resamples": (lambda v: statistics.bootstrap_interval(VALUES, resamples=v), 100),
    "bootstrap seed": (lambda v: statistics.bootstrap_interval(VALUES, resamples=100, seed=v), 3),
    "rank_correlation seed": (lambda v: statistics.rank_correlation(VALUES, VALUES[::-1], resamples=100, seed=v), 3),
    "expected_best_bias": (lambda v: statistics.expected_best_bias(v, 0.1), 3),
    "evenly_spread": (lambda v: statistics.evenly_spread({"a": 1.0, "b": 2.0, "c": 3.0}, v), 2),
    "plot_activations": (lambda v: plot_activations([sine(), sine()], columns=v), 2),
}
REAL: dict[str, tuple[Callable[[Any], object], float]] = {
    "addPrimitive cost": (lambda v: added(cost=v), 2.0),
    "addTerminal": (lambda v: PrimitiveSet("p").addTerminal(v, Feature), 0.5),
    "load_data val_fraction": (lambda v: load_data("fashion10k", limit=60, val_fraction=v), 0.5),
    "pad_value": (lambda v: BinaryConv2d(2, 2, 3, pad_value=v), 1.0),
    "window": (lambda v: BinaryLinear(2, 2, window=v), 0.5),
    "weight_window": (lambda v: BinaryLinear(2, 2, weight_window=v), 0.5),
    "Surrogate": (lambda v: Surrogate("swish", 1.0, v), 0.5),
    "clip_latent_weights": (lambda v: clip_latent_weights(BinaryLinear(2, 2), v), 0.5),
    "learning_rate": (lambda v: Proxy(data(), batch_size=16, learning_rate=v), 0.5),
    "seconds": (lambda v: Proxy(data(), batch_size=16, seconds=v), 0.5),
    "memory": (lambda v: Proxy(data(), batch_size=16, memory=v), 0.5),
    "Racing keep": (lambda v: Racing(keep=v), 0.5),
    "crossover": (lambda v: search(crossover=v), 0.5),
    "mutation": (lambda v: search(mutation=v), 0.5),
    "target": (lambda v: search(target=v), 0.5),
    "search seconds": (lambda v: search(seconds=v), 50.0),
    "Cap": (lambda v: Cap(most=v), 9.0),
    "Tarpeian": (lambda v: Tarpeian(probability=v), 0.5),
    "DynamicLimit": (lambda v: DynamicLimit(limit=v), 9.0),
    "DoubleTournament parsimony": (lambda v: DoubleTournament(parsimony=v), 1.5),
    "Lexicographic tolerance": (lambda v: Lexicographic(tolerance=v), 0.5),
    "LinearParsimony coefficient": (lambda v: LinearParsimony(coefficient=v), 0.5),
    "Harm": (lambda v: Harm(alpha=v), 0.5),
    "Settings target": (lambda v: Settings(Path("out"), target=v), 0.5),
    "RetrainSettings two_stage": (lambda v: RetrainSettings(epochs=2, two_stage=v), 0.5),
    "Distillation weight": (lambda v: Distillation("resnet18", weight=v), 0.5),
    "Distillation temperature": (lambda v: Distillation("resnet18", temperature=v), 0.5),
    "confidence": (lambda v: statistics.bootstrap_interval(VALUES, confidence=v, resamples=100), 0.5),
    "enrichment confidence": (
        lambda v: enrichment([sine(), sine("x"), sine("sin(x)")], [0.1, 0.2, 0.3], 1, confidence=v),
        0.5,
    ),
}
NO_NUMBER = [True, "text", [1], np.array([1, 2]), torch.tensor(True), np.bool_(True), complex(1, 1)]


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_may_be_those_of_numpy(name: str) -> None:
    call, good = WHOLE[name]
    for kind in (int, np.int64, np.uint16, np.array, torch.tensor):
        call(kind(good))


@pytest.mark.parametrize("name", REAL)
def test_numbers_may_be_those_of_numpy(name: str) -> None:
    call, good = REAL[name]
    for kind in (float, np.float64, np.float32):
        call(kind(good))


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_whole_number_is_refused_in_one_line(name: str) -> None:
    for wrong in (*NO_NUMBER, 1.5, np.float32(2), float("nan"), 2**70, -(2**70)):
        with pytest.raises(GaafError) as caught:
            WHOLE[name][0](wrong)
        message = str(caught.value)
        assert "seed" in message or not name.endswith("seed"), (wrong, message)


@pytest.mark.parametrize("name", REAL)
def test_what_is_no_number_is_refused_in_one_line(name: str) -> None:
    for wrong in (*NO_NUMBER, float("nan")):
        with pytest.raises(GaafError):
            REAL[name][0](wrong)
