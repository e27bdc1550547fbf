"""The factorial between the plain sign and a function: known causes, every figure by hand, and what is refused."""

import functools
import itertools
import json
import random

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from gaaf_gp import Proxy
from gaaf_gp.activations.behaviour import OUT_OF_MEMORY
from gaaf_gp.binary import Surrogate, tabulate
from gaaf_gp.data import load_data, open_test_split
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.trainer import WORKER_LOST
from gaaf_gp.experiments import explanation as module
from gaaf_gp.experiments.explanation import (
    EXPLANATION,
    JOURNAL,
    explain,
    explanation_from,
    mean_slope,
    read_explanation,
)
from gaaf_gp.experiments.factorial import FACTORS
from gaaf_gp.statistics import holm
from gaaf_gp.training.outcome import WORST_ACCURACY, Epoch, Outcome
from gaaf_gp.trees.candidate import Baseline, TwoTrees, identity, parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature

SEEDS = (11, 12, 13, 14)
OPEN = {"surrogate": "clipped", "window": float("inf")}
CELLS = list(itertools.product((0, 1), repeat=3))


def double(x):
    return 2 * x


def lower(x):
    return x - 0.7


def cubic(x):
    return 0.1 * x * x * x + 0.3 * x


def bowl(x):
    return x * x - 0.5


def zero(x):
    return x * 0


def one(x):
    return x * x + 1


def learned(x, vector):
    return x * x * vector + x


@functools.cache
def some():
    pset = PrimitiveSet("some")
    for function in (double, lower, cubic, bowl, torch.neg, zero, one):
        pset.addPrimitive(function, [Feature], Feature, nonfinite=("gradient", "value"))
    pset.addPrimitive(learned, [Feature], Feature, learnable=(0.5,))
    pset.addPrimitive(torch.add, [Feature, Feature], Feature, commutative=True, nonfinite=("value",))
    return pset.check()


def tree(text):
    return parse_candidate(text, some())


class Known(Proxy):
    """A training whose accuracy is a known function of threshold, slope shape and slope scale."""

    effects = dict.fromkeys(FACTORS, 0.0)
    noise = 0.0
    fails = ()
    stops_at = None

    def train(self, individual, seed, score=None, **settings):
        if self.__dict__.setdefault("calls", 0) == self.stops_at:
            raise KeyboardInterrupt
        self.calls += 1
        assert score is None
        forward, backward = identity(), identity()
        if individual is not None:
            pair = isinstance(individual, TwoTrees)
            forward, backward = (individual.forward, individual.backward) if pair else (individual, individual)
        points = torch.linspace(-3, 3, 1000)
        signs = torch.sign(Activation(forward, 1)(points.view(-1, 1)).flatten().detach())
        x = points.clone().view(-1, 1).requires_grad_()
        binary = Activation(backward, 1)(x)
        inside = (binary.detach().abs() <= self.surrogate.window).float()
        slope = (torch.autograd.grad(binary.sum(), x)[0] * inside).flatten()
        flat = (points.abs() <= self.surrogate.window).float()
        ratio = slope[flat > 0].abs() / slope.abs().max()
        scale = mean_slope(backward, self.surrogate) / mean_slope(identity(), self.surrogate)
        about = {
            "threshold": not torch.equal(signs, torch.sign(points)),
            "slope shape": not (torch.equal((slope != 0).float(), flat) and bool((ratio > 0.99).all())),
            "slope scale": abs(scale - 1) > 1e-3,
        }
        noise = self.noise * random.Random(f"{individual} {seed}").gauss(0, 1) + 0.01 * (seed % 3)
        accuracy = 0.4 + noise + sum(self.effects[name] for name in FACTORS if about[name])
        key = (str(individual), seed)
        if any(part in key[0] and seed == number for part, number in self.fails):
            return Outcome(seed, WORST_ACCURACY, (), 0.0, "non-finite loss in epoch 1")
        return Outcome(seed, accuracy, (Epoch(1.0, accuracy),), 0.0)


@pytest.fixture
def known(tiny_data, tiny_settings):
    def make(window=1.3, **attributes):
        network = {**tiny_settings["network_settings"], "surrogate": "clipped", "window": window}
        proxy = Known(tiny_data, **{**tiny_settings, "network_settings": network})
        for name, value in attributes.items():
            setattr(proxy, name, value)
        return proxy

    return make


def means(found):
    return {one.name: one.gain.difference.mean for one in found.effects}


def test_effects_are_those_that_the_training_has(known):
    true = {"threshold": 0.03, "slope shape": -0.05, "slope scale": 0.11}
    found = explain(tree("add(bowl(x), double(x))"), known(effects=true), some(), seeds=SEEDS)
    assert [one.name for one in found.effects[:3]] == list(FACTORS)
    assert means(found) == pytest.approx({**dict.fromkeys(means(found), 0.0), **true}, abs=1e-12)
    assert found.gain.difference.mean == pytest.approx(sum(true.values()))
    assert found.gain.difference.low == pytest.approx(found.gain.difference.high)
    assert all(one.tested for one in found.effects)
    assert [one.gain.significant for one in found.effects[:3]] == [True] * 3
    assert len({one.text for one in found.cells}) == 8
    text = found.verdict()
    assert text.startswith("f minus the plain sign is +9.00 points of validation accuracy (95 % interval")
    assert "Significant: threshold (+3.00 points), slope shape (-5.00 points), slope scale (+11.00 points)" in text


@pytest.mark.parametrize(
    ("text", "tested", "trainings"),
    [
        ("double(x)", {"slope scale"}, 2),
        ("lower(x)", {"threshold"}, 2),
        ("cubic(x)", {"slope shape", "slope scale", "slope shape x slope scale"}, 4),
        ("neg(double(x))", {"slope scale"}, 2),
        ("neg(lower(x))", {"threshold"}, 2),
    ],
)
def test_without_a_window_a_function_of_one_cause_has_that_one(known, text, tested, trainings):
    proxy = known(float("inf"), noise=0.01)
    found = explain(tree(text), proxy, some(), seeds=SEEDS)
    assert {one.name for one in found.effects if one.tested} == tested
    assert proxy.calls == trainings * len(SEEDS)  # cells that behave alike are trained once
    for effect in found.effects:
        if not effect.tested:
            assert (effect.gain.difference.low, effect.gain.difference.high, effect.gain.p_holm) == (0, 0, 1)
            assert effect.gain.significant is False
    absent = [name for name in FACTORS if name not in tested]
    assert f"No effect by construction, because the cells train alike: {', '.join(absent)}." in found.verdict()


@pytest.mark.parametrize("text", ["double(x)", "lower(x)"])
def test_the_window_belongs_to_the_shape(known, text):
    found = explain(tree(text), known(), some(), seeds=SEEDS)
    assert {"slope shape", "slope scale"} <= {one.name for one in found.effects if one.tested}


def test_every_figure_by_hand(known):
    found = explain(tree("add(bowl(x), double(x))"), known(noise=0.02), some(), seeds=SEEDS)
    grid = np.array([one.accuracies for one in found.cells]).reshape(2, 2, 2, len(SEEDS))
    expected = {
        "threshold": (grid[1] - grid[0]).mean((0, 1)),
        "slope shape": (grid[:, 1] - grid[:, 0]).mean((0, 1)),
        "slope scale": (grid[:, :, 1] - grid[:, :, 0]).mean((0, 1)),
        "threshold x slope shape": ((grid[1, 1] - grid[0, 1]) - (grid[1, 0] - grid[0, 0])).mean(0) / 2,
        "threshold x slope scale": ((grid[1, :, 1] - grid[0, :, 1]) - (grid[1, :, 0] - grid[0, :, 0])).mean(0) / 2,
        "slope shape x slope scale": ((grid[:, 1, 1] - grid[:, 0, 1]) - (grid[:, 1, 0] - grid[:, 0, 0])).mean(0) / 2,
    }
    gain = grid[1, 1, 1] - grid[0, 0, 0]
    expected["threshold x slope shape x slope scale"] = gain - sum(expected[name] for name in FACTORS)
    assert means(found) == pytest.approx({name: value.mean() for name, value in expected.items()})
    p_values = []
    for effect in found.effects:
        test = stats.ttest_1samp(expected[effect.name], 0)
        p_values.append(test.pvalue)
        low, high = test.confidence_interval()
        assert (effect.gain.difference.low, effect.gain.difference.high) == pytest.approx((low, high))
        assert effect.gain.p_value == pytest.approx(test.pvalue)
    assert [one.gain.p_holm for one in found.effects] == pytest.approx(holm(p_values))
    assert found.gain.p_value == found.gain.p_holm == pytest.approx(stats.ttest_1samp(gain, 0).pvalue)
    assert [(one.threshold, one.shape, one.scale) for one in found.cells] == list(
        itertools.product(("sign(x)", "sign(f)"), ("flat", "of f"), ("1", "m"))
    )
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["verdict"] == found.verdict()


def test_seeds_on_which_a_training_failed_are_left_out(known):
    proxy = known(noise=0.01, fails=[("flat_slope", 12)])
    found = explain(tree("add(bowl(x), double(x))"), proxy, some(), seeds=SEEDS)
    assert found.complete == (11, 13, 14)
    assert found.seeds == SEEDS
    assert found.gain.difference.n == 3
    failed = [one for one in found.cells if one.failures]
    assert [one.accuracies.index(None) for one in failed] == [1, 1]
    assert {one.failures for one in failed} == {("non-finite loss in epoch 1",)}
    without = explain(tree("add(bowl(x), double(x))"), known(noise=0.01), some(), seeds=(11, 13, 14))
    assert found.effects == without.effects
    every = explain(tree("bowl(x)"), known(fails=[("flat_slope", seed) for seed in SEEDS]), some(), seeds=SEEDS)
    assert (every.gain.difference, every.cells[1].mean) == (None, None)
    assert every.verdict() == "Too few trainings succeeded: there are no intervals."
    assert explanation_from(json.loads(json.dumps(every.as_json()))) == every


def test_a_mean_slope_is_an_integral():
    surrogate = Surrogate("clipped", 1.3)
    assert mean_slope(identity(), surrogate) == pytest.approx(stats.norm.cdf(1.3) - stats.norm.cdf(-1.3), rel=1e-3)
    assert mean_slope(tree("double(x)"), surrogate) == pytest.approx(2 * (2 * stats.norm.cdf(0.65) - 1), rel=1e-3)
    edge = 1.8**0.5
    expected, _ = integrate.quad(lambda x: 2 * abs(x) * stats.norm.pdf(x), -edge, edge, points=[0])
    assert mean_slope(tree("bowl(x)"), surrogate) == pytest.approx(expected, rel=2e-3)
    assert mean_slope(tree("neg(double(x))"), surrogate) == mean_slope(tree("double(x)"), surrogate)


@pytest.mark.parametrize("text", ["add(bowl(x), double(x))", "lower(x) | cubic(x)", "neg(lower(x))", "lower(x) | @x"])
def test_cells_have_the_sign_and_the_slope_of_their_levels(tiny_proxy, text):
    candidate, surrogate = tree(text), tiny_proxy.surrogate
    design = module._designed(candidate, tiny_proxy, some())
    f, g = (candidate.forward, candidate.backward) if isinstance(candidate, TwoTrees) else (candidate, candidate)
    side = tiny_proxy.behaviour(candidate).orientation
    plain = tabulate(lambda x: side * x, surrogate)
    signs = (plain.sign, tabulate(Activation(f, 1), surrogate).sign)
    slopes = (plain.slope.double(), tabulate(Activation(g, 1), surrogate).slope.double())
    scale = design.slopes[1] / design.slopes[0]
    places = torch.arange(65536).to(torch.uint16).view(torch.bfloat16).abs().float()
    seen = (places > 1e-6) & (places < 64)
    for levels in CELLS:
        made = design.cells[tuple(map(bool, levels))]
        assert made is None or isinstance(made, TwoTrees) or levels == (1, 1, 1) or text == "neg(lower(x))"
        forward, backward = (
            (made.forward, made.backward) if isinstance(made, TwoTrees) else (made or identity(), made or identity())
        )
        turn = 1 if made is not None and tiny_proxy.behaviour(made).orientation == side else side
        first, second = (tabulate(Activation(side_tree, 1), surrogate) for side_tree in (forward, backward))
        expected = slopes[levels[1]] * (1 if levels[2] == levels[1] else scale if levels[2] else 1 / scale)
        sign, slope = first.sign, second.slope
        assert torch.equal(sign[seen], signs[levels[0]][seen] if turn > 0 else ~signs[levels[0]][seen])
        torch.testing.assert_close(turn * slope[seen].double(), expected[seen], rtol=0.01, atol=1e-6)


def test_the_corners_are_the_plain_sign_and_the_function_themselves(tiny_proxy):
    candidate = tree("add(bowl(x), double(x))")
    found = explain(candidate, tiny_proxy, some(), seeds=(1, 2))
    plain, whole = (
        [tiny_proxy.train(either, seed).accuracy for seed in (1, 2)] for either in (None, candidate)
    )  # fmt: skip
    assert list(found.cells[0].accuracies) == plain
    assert list(found.cells[-1].accuracies) == whole
    assert found.cells[0].text == "@sign"
    assert found.cells[-1].text == candidate.canonical
    assert (found.split, found.learns) == ("validation", False)


def test_a_function_and_its_negative_have_one_explanation(tiny_proxy):
    first, second = (
        explain(tree(text), tiny_proxy, some(), seeds=(1, 2)) for text in ("add(x, lower(x))", "neg(add(x, lower(x)))")
    )
    assert [one.accuracies for one in first.cells] == [one.accuracies for one in second.cells]
    assert first.effects == second.effects


def test_a_falling_function_has_a_falling_x_beside_it_also_with_other_padding(tiny_data, tiny_settings):
    network = {**tiny_settings["network_settings"], "pad_value": 1.0}
    proxy = Proxy(tiny_data, **{**tiny_settings, "network_settings": network})
    design = module._designed(tree("neg(lower(x))"), proxy, some())
    assert str(design.cells[False, True, True]).startswith("@neg(x) | ")
    assert str(design.cells[True, False, False]).endswith(" | @neg(x)")
    assert design.cells[False, False, False] is None


def test_two_trees_and_the_test_split(image_folder, tiny_settings):
    data = load_data(image_folder)
    proxy = Proxy(data, **{**tiny_settings, "batch_size": 6})
    found = explain(tree("lower(x) | cubic(x)"), proxy, some(), seeds=(1, 2), test=True)
    assert found.split == "test"
    images = open_test_split(data)
    pair = [proxy.train(tree("lower(x) | cubic(x)"), seed, images).accuracy for seed in (1, 2)]
    assert list(found.cells[-1].accuracies) == pair
    assert found.slope == mean_slope(tree("cubic(x)"), proxy.surrogate)


def test_copies_of_what_is_learned_stay_alike(tiny_proxy):
    """In f | f both copies of a vector get one gradient: the pair trains as f does."""
    alone, pair = (
        tiny_proxy.train(tree(text), 3, keep=True).state.model for text in ("learned(x)", "learned(x) | learned(x)")
    )
    copies = [name for name in pair if name.endswith("f.s0")]
    assert copies
    for name in copies:
        np.testing.assert_allclose(pair[name], pair[name.replace("f.s0", "g.s0")], rtol=1e-6)
        assert pair[name].std() > 0
    assert len(pair) == len(alone) + len(copies)
    found = explain(tree("learned(x)"), tiny_proxy, some(), seeds=(1, 2))
    assert found.learns
    assert list(found.cells[-1].accuracies) == [tiny_proxy.train(tree("learned(x)"), seed).accuracy for seed in (1, 2)]


def test_trainings_are_kept_and_go_on(known, tmp_path):
    candidate = tree("add(bowl(x), double(x))")
    with pytest.raises(KeyboardInterrupt):
        explain(candidate, known(noise=0.01, stops_at=5), some(), seeds=SEEDS, folder=tmp_path)
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 6
    rest = known(noise=0.01)
    found = explain(candidate, rest, some(), seeds=SEEDS, folder=tmp_path)
    assert rest.calls == 8 * len(SEEDS) - 5
    assert found == explain(candidate, known(noise=0.01), some(), seeds=SEEDS)
    more = known(noise=0.01)
    assert explain(candidate, more, some(), seeds=(*SEEDS, 15), folder=tmp_path).seeds == (*SEEDS, 15)
    assert more.calls == 8
    with pytest.raises(GaafError, match=r"was begun with function 'add\(bowl\(x\), double\(x\)\)', now 'bowl\(x\)'"):
        explain(tree("bowl(x)"), known(), some(), seeds=SEEDS, folder=tmp_path)


@pytest.mark.slow(25)
def test_workers_change_nothing(tiny_proxy, free):
    candidate = parse("add(sin(x), max(x, cos(x)))", free)
    first, second = (explain(candidate, tiny_proxy, free, seeds=(1, 2), workers=count) for count in (1, 2))
    assert first == second


@pytest.mark.parametrize("failure", [WORKER_LOST, OUT_OF_MEMORY])
def test_what_the_machine_lacks_is_no_result(known, tmp_path, failure):
    proxy = known()
    proxy.train = lambda _candidate, seed, *_, **__: Outcome(seed, WORST_ACCURACY, (), 0.0, failure)
    with pytest.raises(GaafError, match=r"must have memory and its worker, .* the same command goes on"):
        explain(tree("bowl(x)"), proxy, some(), seeds=SEEDS, folder=tmp_path)
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 1


def test_a_plain_sign_that_fails_is_the_fault_of_the_task_and_is_not_kept(known, tmp_path):
    proxy = known()
    proxy.train = lambda _candidate, seed, *_, **__: Outcome(seed, WORST_ACCURACY, (), 0.0, "non-finite output")
    with pytest.raises(GaafError, match=r"must work for the plain sign, but that failed \(non-finite output\)"):
        explain(tree("bowl(x)"), proxy, some(), seeds=SEEDS, folder=tmp_path)
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("candidate", "seeds", "message"),
    [
        (None, SEEDS, "only a tree or two trees can be explained, got the plain sign"),
        (Baseline("rsign"), SEEDS, "only a tree or two trees can be explained, got @rsign"),
        ("one(x)", SEEDS, "fails (constant sign)"),
        ("one(x) | x", SEEDS, "fails (constant sign)"),
        ("x | zero(x)", SEEDS, "fails (zero gradient)"),
        ("x | lower(lower(lower(lower(lower(lower(lower(lower(lower(lower(x))))))))))", SEEDS, "must have a slope"),
        ("x", SEEDS, "must differ from the plain sign"),
        ("neg(x)", SEEDS, "must differ from the plain sign"),
        ("x | x", SEEDS, "must differ from the plain sign"),
        ("bowl(x)", (), "seeds"),
        ("bowl(x)", (3,), "seeds"),
        ("bowl(x)", (3, 3), "seeds"),
    ],
)
def test_nonsense_is_refused_in_one_line(known, candidate, seeds, message):
    given, proxy = tree(candidate) if isinstance(candidate, str) else candidate, known()
    with pytest.raises(GaafError) as error:
        explain(given, proxy, some(), seeds=seeds)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not hasattr(proxy, "calls")


def test_a_name_of_the_set_is_not_taken(known):
    pset = PrimitiveSet("taken")
    pset.addPrimitive(bowl, [Feature], Feature, name="flat_slope")
    pset.addPrimitive(lower, [Feature], Feature, name="scaled_slope")
    found = explain(parse("flat_slope(x)", pset), known(), pset, seeds=SEEDS)
    assert {"@x | flat_slope_(x)", "@x | flat_slope(scaled_slope_(x))"} <= {one.text.replace("neg(x)", "x")
                                                                           for one in found.cells}  # fmt: skip
    assert sorted(pset.mapping) == ["flat_slope", "scaled_slope", "x"]


def test_types_of_the_set_are_kept(known):
    class Special(Feature):
        pass

    pset = PrimitiveSet("typed", (Feature,), Special)
    pset.addPrimitive(bowl, [Feature], Special)
    assert len(explain(parse("bowl(x)", pset), known(), pset, seeds=SEEDS).cells) == 8


def test_an_explanation_is_read_back_and_a_damaged_one_refused(known, tmp_path):
    assert read_explanation(tmp_path) is None
    found = explain(tree("add(bowl(x), double(x))"), known(noise=0.01), some(), seeds=SEEDS)
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    (tmp_path / EXPLANATION).write_text(json.dumps(content))
    assert read_explanation(tmp_path) == found
    for name in (field for field in content if field not in ("scale", "verdict")):
        for wrong in ({key: value for key, value in content.items() if key != name}, {**content, name: -7}):
            (tmp_path / EXPLANATION).write_text(json.dumps(wrong))
            if name in ("text", "infix", "learns", "split") and name in wrong:
                continue
            with pytest.raises(GaafError, match=r"explain.json must hold an explanation, .* run gaaf-gp explain again"):
                read_explanation(tmp_path)
    (tmp_path / EXPLANATION).write_text("[")
    with pytest.raises(GaafError, match=r"explain\.json must be JSON"):
        read_explanation(tmp_path)
