"""Candidates trained in stacks get the outcomes of single trainings, and each failure stays its candidate's own."""

import itertools
import math
import time
from types import SimpleNamespace

import pytest
import torch

from gaaf_gp.binary import best_kernels
from gaaf_gp.data.load import Split
from gaaf_gp.errors import GaafError
from gaaf_gp.training import stacked
from gaaf_gp.training.outcome import WORST_ACCURACY
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import Stack, train_stacked
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature


def wild(x):
    return torch.sin(1e30 * x)


def centred(x):
    return x - x.mean() if x.numel() > 100 else x * 1  # unseen when it is tried out


def broken(x):
    if len(x) > 1000:
        raise RuntimeError("no such kernel")
    return x * 1


@pytest.fixture(scope="module")
def odd():
    pset = PrimitiveSet("odd")
    pset.addPrimitive(wild, [Feature], Feature)
    pset.addPrimitive(centred, [Feature], Feature)
    pset.addPrimitive(broken, [Feature], Feature)
    pset.addPrimitive(torch.square, [Feature], Feature)
    pset.addPrimitive(torch.sin, [Feature], Feature)
    return pset.check()


@pytest.fixture
def proxy(tiny_data, torch_settings):
    return Proxy(tiny_data, **torch_settings)


@pytest.fixture
def double(tiny_data, torch_settings, make_double):
    return make_double(tiny_data, **torch_settings)


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of the stacks that were built."""
    built = []

    class Counted(Stack):
        def __init__(self, training, activations, *args, **kwargs):
            built.append(len(activations))
            super().__init__(training, activations, *args, **kwargs)

    monkeypatch.setattr(stacked, "Stack", Counted)
    return built


def agree(first, second):
    """Same fields, losses up to rounding."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one.seed, one.accuracy, one.failure) == (other.seed, other.accuracy, other.failure)
        assert [epoch.accuracy for epoch in one.history] == [epoch.accuracy for epoch in other.history]
        assert [epoch.loss for epoch in one.history] == pytest.approx([epoch.loss for epoch in other.history], rel=1e-6)


def test_outcomes_are_those_of_single_trainings(double, stackable, sizes):
    outcomes = train_stacked(double, stackable, 3)
    assert sizes == [5]
    assert len({outcome.history for outcome in outcomes}) == 5
    assert all(outcome.failure is None and outcome.state is None for outcome in outcomes)
    agree(outcomes, [double.train(tree, 3) for tree in stackable])


def test_float32_agrees_in_the_first_epoch_and_learns_as_well(proxy, stackable):
    for tree, outcome in zip(stackable, train_stacked(proxy, stackable, 0), strict=True):
        single = proxy.train(tree, 0)
        assert outcome.history[0].loss == pytest.approx(single.history[0].loss, rel=1e-3)
        assert outcome.accuracy == pytest.approx(single.accuracy, abs=0.2), "6 of 30 pictures"
        assert outcome.history[-1].loss < outcome.history[0].loss


def test_the_seed_and_the_scored_split_are_the_callers(double, stackable, tiny_data):
    easy = Split(tiny_data.train.images, tiny_data.train.labels)
    agree(train_stacked(double, stackable[:2], 1, easy), [double.train(tree, 1, easy) for tree in stackable[:2]])
    first, second = (train_stacked(double, stackable[:2], seed)[0].history for seed in (1, 2))
    assert first != second


def test_more_pictures_than_fit_into_one_pass_are_all_scored(double, stackable, tiny_data, monkeypatch):
    monkeypatch.setattr(stacked, "SCORED", 4)  # of 30 pictures 15 come at once, as many as in a step
    agree(train_stacked(double, stackable, 0), [double.train(tree, 0) for tree in stackable])


def test_neither_order_nor_the_size_of_a_stack_matters(double, stackable, sizes):
    outcomes = train_stacked(double, stackable, 0)
    agree(train_stacked(double, stackable[::-1], 0)[::-1], outcomes)
    for at_once, expected in ((2, [2, 2]), (3, [3, 2]), (1, [])):
        sizes.clear()
        agree(train_stacked(double, stackable, 0, at_once=at_once), outcomes)
        assert sizes == expected, "one that is left alone is trained alone"


def test_f_and_minus_f_have_one_outcome(double, free):
    plain, negated = (parse(text, free) for text in ("sub(sin(x), const(0.2))", "neg(sub(sin(x), const(0.2)))"))
    assert double.behaviour(plain).orientation == -double.behaviour(negated).orientation
    first, second = train_stacked(double, [plain, negated], 2)
    agree([first], [second])


def test_one_seed_gives_one_result(proxy, stackable):
    first, again = (train_stacked(proxy, stackable, 3) for _ in range(2))
    assert [one.history for one in first] == [one.history for one in again]


def test_learnable_and_other_untabled_functions_are_trained_alone(proxy, free, odd, sizes):
    given = [parse("scale(sin(x))", free), None, parse("centred(x)", odd), parse("sin(x)", free)]
    outcomes = train_stacked(proxy, given, 0)
    assert sizes == [2]
    for place in (0, 2):
        assert outcomes[place].history == proxy.train(given[place], 0).history
        assert outcomes[place].failure is None
    pair = train_stacked(proxy, [given[1], given[3]], 0)
    assert [outcomes[place].history for place in (1, 3)] == [one.history for one in pair]


@pytest.mark.parametrize("change", [{"tables": False}, {"kernels": best_kernels()}])
def test_nothing_is_stacked_where_single_trainings_compute_otherwise(
    tiny_data, torch_settings, stackable, sizes, change
):
    proxy = Proxy(tiny_data, **{**torch_settings, **change})
    if proxy.tables and proxy.kernels == "torch":
        pytest.skip("this machine has no compiled kernels")
    outcomes = train_stacked(proxy, stackable[:3], 0)
    assert sizes == []
    assert [one.history for one in outcomes] == [proxy.train(tree, 0).history for tree in stackable[:3]]


def test_a_candidate_that_diverges_leaves_the_others_bit_for_bit_alone(proxy, odd, sizes):
    sane, mad = parse("sin(x)", odd), parse("wild(x)", odd)
    assert proxy.behaviour(mad).failure is None
    first, failed, last = train_stacked(proxy, [sane, mad, None], 0)
    assert failed.failure == proxy.train(mad, 0).failure == "non-finite loss in epoch 1"
    assert (failed.accuracy, failed.history, failed.state) == (WORST_ACCURACY, (), None)
    assert sizes == [3]
    other, _, another = train_stacked(proxy, [sane, parse("sin(sin(x))", odd), None], 0)
    assert (first.history, last.history) == (other.history, another.history)
    assert first.failure is last.failure is None


def test_candidates_that_need_no_training_say_why(proxy, odd, sizes):
    given = [parse(text, odd) for text in ("square(x)", "sin(x)", "broken(x)", "sin(sin(x))")]
    outcomes = train_stacked(proxy, given, 0)
    assert [one.failure for one in outcomes] == ["constant sign", None, "RuntimeError: no such kernel", None]
    assert [one.failure for one in outcomes] == [proxy.train(tree, 0).failure for tree in given]
    assert sizes == [2]


def test_a_table_that_cannot_be_made_is_its_candidates_failure(proxy, odd, monkeypatch):
    real, bad = stacked.activation_factory, parse("sin(x)", odd)

    def fragile(individual, *args, **kwargs):
        if individual is bad:
            raise RuntimeError("no such kernel")
        return real(individual, *args, **kwargs)

    monkeypatch.setattr(stacked, "activation_factory", fragile)
    monkeypatch.setattr("gaaf_gp.training.proxy.activation_factory", fragile)
    outcomes = train_stacked(proxy, [None, bad, parse("sin(sin(x))", odd)], 0)
    assert [one.failure for one in outcomes] == [None, "RuntimeError: no such kernel", None]


def test_one_class_for_every_image_is_a_failure_at_the_end_only(proxy, stackable, tiny_data):
    same = Split(tiny_data.val.images[:1].repeat(9, 1, 1, 1), tiny_data.val.labels[:9])
    early = train_stacked(proxy, stackable, 0, same, epochs=3)
    assert all(one.failure is None and one.epochs == 3 for one in early)
    late = train_stacked(proxy, stackable, 0, same, states=[one.state for one in early])
    for tree, one in zip(stackable, late, strict=True):
        single = proxy.train(tree, 0, same)
        assert one.failure.startswith("constant output: every image is called")
        assert single.failure.startswith("constant output: every image is called")
        assert (one.accuracy, one.epochs, single.epochs) == (WORST_ACCURACY, 3, 3)


def test_infinite_logits_are_a_failure_of_the_candidate_that_has_them(proxy, stackable, monkeypatch):
    real = Stack.logits

    def explosive(self, images):
        logits = real(self, images)
        if self.steps > 4 and not self.model.training:
            logits[1, 0, 0] = math.inf
        return logits

    expected = train_stacked(proxy, stackable, 0)
    monkeypatch.setattr(Stack, "logits", explosive)
    outcomes = train_stacked(proxy, stackable, 0)
    assert outcomes[1].failure == "non-finite output"
    assert outcomes[1].history == expected[1].history[:1]
    others = [place for place in range(len(stackable)) if place != 1]
    assert [outcomes[place].history for place in others] == [expected[place].history for place in others]


def test_an_exhausted_time_budget_fails(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings, seconds=1e-9)
    for outcome in train_stacked(proxy, stackable, 0):
        assert outcome.failure == "time budget of 1e-09 s exhausted in epoch 1"
        assert (outcome.accuracy, outcome.history) == (WORST_ACCURACY, ())
    assert all(
        one.failure is None for one in train_stacked(Proxy(tiny_data, **torch_settings, seconds=600.0), stackable, 0)
    )


def test_only_those_over_their_budget_fail(tiny_data, torch_settings, stackable):
    proxy = Proxy(tiny_data, **torch_settings)
    expected = train_stacked(proxy, stackable, 0)
    early = train_stacked(proxy, stackable, 0, epochs=1)
    slow = [one.state for one in early]
    object.__setattr__(slow[2], "seconds", 1e4)
    proxy.seconds = 600.0
    outcomes = train_stacked(proxy, stackable, 0, states=slow)
    assert outcomes[2].failure == "time budget of 600 s exhausted in epoch 2"
    assert outcomes[2].history == expected[2].history[:1]
    assert outcomes[2].seconds > 1e4
    others = [place for place in range(len(stackable)) if place != 2]
    assert [outcomes[place].history for place in others] == [expected[place].history for place in others]


def test_a_stack_is_given_up_once_all_have_failed(proxy, odd, monkeypatch):
    steps = []
    real = Stack.step

    def counted(self, *batch):
        steps.append(self.steps)
        return real(self, *batch)

    monkeypatch.setattr(Stack, "step", counted)
    outcomes = train_stacked(proxy, [parse("wild(x)", odd), parse("wild(sin(x))", odd)], 0)
    assert [one.failure for one in outcomes] == ["non-finite loss in epoch 1"] * 2
    assert len(steps) == len(proxy.batches)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_stack_too_large_for_memory_is_trained_in_halves(proxy, stackable, sizes, monkeypatch, error):
    real = Stack.step

    def small(self, *batch):
        if len(self.parameters["classifier.weight"]) > 2:
            raise error
        return real(self, *batch)

    expected = train_stacked(proxy, stackable[:4], 0, at_once=2)
    sizes.clear()
    monkeypatch.setattr(Stack, "step", small)
    outcomes = train_stacked(proxy, stackable[:4], 0)
    assert sizes == [4, 2, 2]
    assert [one.history for one in outcomes] == [one.history for one in expected]


def test_filled_stacks_too_large_for_memory_are_filled_halves(proxy, stackable, sizes, monkeypatch):
    real = Stack.step

    def small(self, *batch):
        if len(self.parameters["classifier.weight"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, *batch)

    expected = train_stacked(proxy, stackable[:3], 0, at_once=2, filled=True)
    sizes.clear()
    monkeypatch.setattr(Stack, "step", small)
    outcomes = train_stacked(proxy, stackable[:3], 0, at_once=4, filled=True)
    assert sizes == [4, 2, 2]
    assert [one.history for one in outcomes] == [one.history for one in expected]


def test_in_filled_stacks_neither_the_others_nor_the_place_nor_a_pause_turn_a_bit(proxy, stackable, sizes):
    settings = {"at_once": 4, "filled": True}
    whole = [one.history for one in train_stacked(proxy, stackable[:4], 0, **settings)]
    backwards = train_stacked(proxy, stackable[3::-1], 0, **settings)
    assert [one.history for one in backwards[::-1]] == whole
    alone = [train_stacked(proxy, [tree], 0, **settings)[0] for tree in stackable[:4]]
    assert [one.history for one in alone] == whole
    begun = train_stacked(proxy, stackable[:4], 0, epochs=2, **settings)
    later = train_stacked(proxy, [stackable[3], stackable[1]], 0, states=[begun[3].state, None], **settings)
    assert [one.history for one in later] == [whole[3], whole[1]]
    assert set(sizes) == {4}, "also of one candidate"


@pytest.mark.parametrize("at_once", [3, 5])
@pytest.mark.parametrize("text", [None, "neg(add(sin(x), x))"])
def test_copies_in_a_filled_stack_are_alike_to_the_last_bit(proxy, free, sizes, text, at_once):
    """With sizes at which no parameter fills whole vectors of a processor."""
    tree = None if text is None else parse(text, free)
    outcomes = train_stacked(proxy, [tree] * at_once, 0, at_once=at_once, filled=True)
    assert len({one.history for one in outcomes}) == 1
    assert sizes == [at_once]


@pytest.fixture
def ticking(monkeypatch):
    """A clock that shows one second more at each look."""
    clock = itertools.count()
    monkeypatch.setattr(stacked, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))


def test_a_filled_stack_counts_its_copies_neither_as_outcomes_nor_as_seconds(proxy, stackable, odd, ticking):
    outcomes = train_stacked(proxy, [stackable[1], parse("wild(x)", odd)], 0, epochs=1, at_once=5, filled=True)
    assert [one.seconds for one in outcomes] == [0.5, 0.5]
    assert [one.failure for one in outcomes] == [None, "non-finite loss in epoch 1"]
    assert [one.state is None for one in outcomes] == [False, True]


@pytest.mark.parametrize(("share", "failure"), [(1.01, None), (0.99, "in epoch 4")])
def test_a_budget_is_that_of_a_stack_without_copies(proxy, stackable, ticking, share, failure):
    steps = proxy.epochs * len(proxy.batches)  # before each of them the clock is looked at
    proxy.seconds = share * steps / 8
    (outcome,) = train_stacked(proxy, stackable[:1], 0, at_once=8, filled=True)
    assert outcome.failure is None if failure is None else outcome.failure.endswith(failure)


def test_any_other_error_of_a_stack_is_no_candidates_fault(proxy, stackable, monkeypatch):
    def broken_step(self, *batch):
        raise ValueError("a mistake in the program")

    monkeypatch.setattr(Stack, "step", broken_step)
    with pytest.raises(ValueError, match="a mistake in the program"):
        train_stacked(proxy, stackable, 0)


@pytest.mark.parametrize("text", ["sin(x)", "scale(sin(x))"])
def test_one_and_one_and_two_epochs_are_four(proxy, free, stackable, text):
    given = [*stackable[:2], parse(text, free)]
    whole = train_stacked(proxy, given, 3)
    first = train_stacked(proxy, given, 3, epochs=1)
    second = train_stacked(proxy, given, 3, epochs=2, states=[one.state for one in first])
    rest = train_stacked(proxy, given, 3, states=[one.state for one in second])
    assert [one.history for one in rest] == [one.history for one in whole]
    assert [one.history for one in second] == [one.history[:2] for one in whole]
    assert [one.accuracy for one in first] == [one.history[0].accuracy for one in whole]
    assert all(one.state is None for one in rest)
    assert all(late.seconds > early.seconds for early, late in zip(first, rest, strict=True))


def test_single_trainings_and_stacks_go_on_from_one_another(double, stackable):
    whole = [double.train(tree, 0) for tree in stackable]
    alone = [double.train(tree, 0, epochs=2) for tree in stackable]
    agree(train_stacked(double, stackable, 0, states=[one.state for one in alone]), whole)
    together = train_stacked(double, stackable, 0, epochs=2)
    agree([double.train(tree, 0, state=one.state) for tree, one in zip(stackable, together, strict=True)], whole)


def test_only_candidates_of_one_epoch_share_a_stack(double, stackable, sizes):
    states = [double.train(tree, 0, epochs=1 + place % 2).state for place, tree in enumerate(stackable[:4])]
    outcomes = train_stacked(double, [*stackable, stackable[1]], 0, states=[*states, None, None])
    assert sizes == [2, 2, 2]
    agree(outcomes, [double.train(tree, 0) for tree in (*stackable, stackable[1])])


def test_a_failed_candidate_keeps_no_state(proxy, odd):
    outcomes = train_stacked(proxy, [parse("wild(x)", odd), None, parse("sin(x)", odd)], 0, epochs=1)
    assert [one.state is None for one in outcomes] == [True, False, False]


def test_seconds_are_shares_of_the_wall_time(proxy, stackable):
    started = time.perf_counter()
    outcomes = train_stacked(proxy, stackable, 0)
    passed = time.perf_counter() - started
    assert len({one.seconds for one in outcomes}) == 1
    assert 0 < sum(one.seconds for one in outcomes) <= passed


def test_global_random_numbers_and_threads_are_left_alone(tiny_data, torch_settings, stackable, monkeypatch):
    seen = []
    real = Stack.step

    def watched(self, *batch):
        seen.append(torch.get_num_threads())
        return real(self, *batch)

    monkeypatch.setattr(Stack, "step", watched)
    threads = torch.get_num_threads()
    proxy = Proxy(tiny_data, **{**torch_settings, "epochs": 1, "threads": threads + 1})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_stacked(proxy, stackable[:2], 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert set(seen) == {threads + 1}


def test_nothing_given_is_nothing_trained(proxy):
    assert train_stacked(proxy, [], 0) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at_once": 0}, "at_once must be a whole number of at least 1, got 0"),
        ({"at_once": True}, "at_once must be a whole number of at least 1, got True"),
        ({"at_once": 2.0}, "at_once must be a whole number"),
        ({"states": [None]}, "a state or None for each of 2 candidates, got 1"),
        ({"epochs": 5}, "epochs must be a whole number from 1 to 4, got 5"),
    ],
)
def test_bad_arguments_are_refused(proxy, stackable, sizes, change, message):
    with pytest.raises(GaafError, match=message):
        train_stacked(proxy, stackable[:2], 0, **change)
    assert sizes == []


def test_a_state_of_another_candidate_is_refused_before_anything_is_trained(proxy, stackable, sizes):
    state = proxy.train(stackable[1], 0, epochs=1).state
    with pytest.raises(GaafError, match="goes on with the candidate and the seed that it began with"):
        train_stacked(proxy, stackable[:3], 0, states=[None, None, state])
    assert sizes == []


def test_two_trees_are_stacked_and_baselines_trained_alone(double, free, sizes):
    texts = ["@rsign", "sin(x) | x", None, "neg(sin(x)) | @neg(x)", "scale(x) | x", "x | add(sin(x), x)"]
    given = [parse_candidate(text, free) for text in texts]
    outcomes = train_stacked(double, given, 1)
    assert sizes == [4]
    agree(outcomes, [double.train(one, 1) for one in given])
    assert outcomes[1].history == outcomes[3].history, "f, g and -f, -g train alike"
    early = train_stacked(double, given[:2], 1, epochs=1)
    assert [one.state.text for one in early] == texts[:2]
