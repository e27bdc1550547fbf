"""A training epoch by epoch from its file: the same bits as one that never stopped, in one stage and in two."""

import pickle

import numpy as np
import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.training.checkpoint import read_checkpoint, write_checkpoint
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.retraining.stages import STAGE_SEEDS, Schedule
from gaaf_gp.trees.parser import parse

ABOUT = {"task": ("tiny", 1)}


@pytest.fixture
def stages(tiny_data, tiny_settings):
    settings = {**tiny_settings, "epochs": 2}
    return Proxy(tiny_data, **settings, real_weights=True), Proxy(tiny_data, **{**settings, "epochs": 3})


def advanced(schedule, candidate, seed, path, times):
    return [pickle.loads(pickle.dumps(schedule)).advance(candidate, seed, path) for _ in range(times)][-1]


@pytest.mark.parametrize("text", [None, "neg(add(sin(scale(x)), const(0.1)))"])
def test_one_stage_is_a_training(stages, free, tmp_path, text):
    candidate, task, path = text and parse(text, free), stages[1], tmp_path / "one.safetensors"
    schedule = Schedule((task,), ABOUT)
    went = advanced(schedule, candidate, 4, path, 3)
    whole = task.train(candidate, 4, keep=True)
    assert went.curve == whole.history
    assert went.failure is None
    assert went.seconds > 0
    found = schedule.finished(candidate, 4, path).state
    assert all(np.array_equal(value, whole.state.model[name]) for name, value in found.model.items())
    assert found.moments == {}, "a finished training needs no optimiser"
    again = schedule.advance(candidate, 4, path)
    assert (again.curve, again.seconds) == (went.curve, went.seconds), "after the last epoch nothing is trained"


def test_the_second_stage_starts_from_the_weights_of_the_first(stages, free, tmp_path):
    candidate, path = parse("neg(sin(x))", free), tmp_path / "one.safetensors"
    schedule = Schedule(stages, ABOUT)
    assert schedule.epochs == 5
    went = advanced(schedule, candidate, 4, path, 5)
    first = stages[0].train(candidate, 4, keep=True)
    second = stages[1].train(candidate, 4 + STAGE_SEEDS, initial=first.state.model, keep=True)
    assert went.curve == first.history + second.history
    assert second.history != stages[1].train(candidate, 4 + STAGE_SEEDS).history
    found = schedule.finished(candidate, 4, path).state
    assert all(np.array_equal(value, second.state.model[name]) for name, value in found.model.items())


def test_the_score_is_that_of_the_network_in_the_file(stages, tiny_data, tmp_path):
    schedule, path = Schedule(stages, ABOUT), tmp_path / "one.safetensors"
    went = advanced(schedule, None, 0, path, 5)
    assert schedule.score(None, 0, path, tiny_data.val) == went.curve[-1].accuracy
    train = schedule.score(None, 0, path, tiny_data.train)
    assert train == schedule.score(None, 0, path, tiny_data.train)
    assert train != went.curve[-1].accuracy


def test_a_training_that_is_not_over_has_no_score(stages, tiny_data, tmp_path):
    schedule, path = Schedule(stages, ABOUT), tmp_path / "one.safetensors"
    with pytest.raises(GaafError, match="there is none at"):
        schedule.score(None, 0, path, tiny_data.val)
    advanced(schedule, None, 0, path, 2)
    with pytest.raises(GaafError, match=r"must have reached its last epoch, and that in .* has not"):
        schedule.score(None, 0, path, tiny_data.val)


def test_a_failure_ends_it_and_keeps_the_last_epoch(tiny_data, tiny_settings, free, tmp_path):
    schedule, path = Schedule((Proxy(tiny_data, **tiny_settings),), ABOUT), tmp_path / "one.safetensors"
    assert schedule.advance(parse("square(x)", free), 0, path).failure == "constant sign"
    assert not path.exists()


@pytest.mark.parametrize("other", ["candidate", "seed", "schedule", "kind"])
def test_the_file_of_another_training_is_refused(stages, free, tmp_path, other):
    path, candidate, seed, schedule = tmp_path / "one.safetensors", parse("sin(x)", free), 4, Schedule(stages, ABOUT)
    schedule.advance(candidate, seed, path)
    if other == "kind":
        write_checkpoint(path, read_checkpoint(path).state, {"of": "something else"})
    if other == "schedule":
        schedule = Schedule(stages, {"task": ["tiny", 2]})
    before = path.read_bytes()
    with pytest.raises(GaafError, match=r"must be the checkpoint of .* in this training task, and is that of Training"):
        schedule.advance(None if other == "candidate" else candidate, 5 if other == "seed" else seed, path)
    assert path.read_bytes() == before


def test_a_damaged_file_stops_with_a_line(stages, tmp_path):
    schedule, path = Schedule(stages, ABOUT), tmp_path / "one.safetensors"
    schedule.advance(None, 0, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(GaafError, match="remove the file, and its training starts again"):
        schedule.advance(None, 0, path)
    path.unlink()
    assert len(schedule.advance(None, 0, path).curve) == 1
