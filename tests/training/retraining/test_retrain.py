"""Retraining, for real at a tiny scale: one result for any number of workers and interruptions, the test split last.

Images are 8x8, trainings take a fraction of a second; the teacher is torchvision's SqueezeNet.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import gaaf_gp
from gaaf_gp.data.load import load_data, open_test_split
from gaaf_gp.errors import GaafError
from gaaf_gp.training.checkpoint import read_checkpoint
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.retraining import stages, teachers
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.retrain import _slug, fresh_seeds, retrain
from gaaf_gp.training.retraining.settings import RetrainSettings
from gaaf_gp.trees.candidate import Baseline, parse_candidate
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from gaaf_gp.util.randomness import CONFIRMATION

PROXY = {"batch_size": 3, "learning_rate": 0.03, "pad": 0, "network_settings": {"widths": (4, 8)}}
SETTINGS = RetrainSettings(3, two_stage=0.34, proxy=PROXY)
TAUGHT = RetrainSettings(2, distillation=Distillation("squeezenet1_1", epochs=3), proxy=PROXY)
SEEDS = fresh_seeds(2)


@pytest.fixture(scope="module")
def data(image_folder):
    return load_data(image_folder, val_fraction=0.25)


@pytest.fixture(scope="module")
def candidates(free):
    return {"sign": None, "rsign": Baseline("rsign"), "f1": parse_candidate("add(sin(x), x)", free)}


@pytest.fixture(scope="module")
def retrain_into(candidates, data, free):
    """The function that retrains these candidates into a folder, with other arguments where they are given."""

    def call(out, **others):
        arguments = {"candidates": candidates, "data": data, "settings": SETTINGS, "seeds": SEEDS, "pset": free}
        return retrain(out=out, **{**arguments, **others})

    return call


@pytest.fixture
def trained(retrain_into, tmp_path):
    """See retrain_into; folders are named, and new in each test."""
    return lambda out="out", **others: retrain_into(tmp_path / out, **others)


@pytest.fixture(scope="module")
def whole(retrain_into, tmp_path_factory):
    """A retraining that was never interrupted, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return retrain_into(folder), folder


@pytest.fixture(scope="module")
def taught(retrain_into, tmp_path_factory):
    """The same with a teacher."""
    folder = tmp_path_factory.mktemp("taught")
    return retrain_into(folder, settings=TAUGHT), folder


@pytest.fixture
def copied(whole, tmp_path):
    """A copy of the folder of a whole retraining, where ``trained()`` looks for it."""
    return Path(shutil.copytree(whole[1], tmp_path / "out"))


def numbers(found):
    """What must not depend on how it came about: all but wall time."""
    return {(one.text, one.seed): dataclasses.replace(one, seconds=0.0) for one in found.trainings}


def lines(folder):
    return [json.loads(line) for line in (folder / "retrain.jsonl").read_text().splitlines()]


def test_seeds_are_far_from_those_of_a_search():
    assert len({*fresh_seeds(5), *fresh_seeds(5, seed=1)}) == 10
    searched = set(range(1000)) | {CONFIRMATION * (seed + 1) + place for seed in range(500) for place in range(20)}
    assert searched.isdisjoint(fresh_seeds(20))
    with pytest.raises(GaafError, match="seeds must be a whole number from 2 to 1000000000, got 1"):
        fresh_seeds(1)


def test_it_is_what_the_proxy_does(whole, data):
    found, folder = whole
    assert found.complete
    assert found.seeds == SEEDS
    split = open_test_split(data)
    tasks = SETTINGS.stages(data)
    for name, candidate in found.candidates.items():
        for seed, one in found.of(name).items():
            first = tasks[0].train(candidate, seed, keep=True)
            second = tasks[1].train(candidate, seed + stages.STAGE_SEEDS, initial=first.state.model, keep=True)
            assert one.curve == first.history + second.history
            assert one.accuracy == tasks[1].score(candidate, second.state, split)
            weights = read_checkpoint(folder / one.checkpoint).weights
            assert all(np.array_equal(value.numpy(), second.state.model[key]) for key, value in weights.items())
    assert len({one.checkpoint for one in found.trainings}) == 6
    provenance, *entries = lines(folder)
    assert len(entries) == 6
    assert provenance["provenance"]["epochs"] == [1, 2]
    assert provenance["provenance"]["versions"]["torch"]


def test_workers_change_nothing(trained, whole):
    one, two = whole[0], trained(workers=2)
    assert numbers(one) == numbers(two)
    assert {name: one.compared()[name] for name in ("f1", "rsign")} == two.compared()


def interrupt_at(monkeypatch, call):
    """Let Ctrl-C come in the middle of an epoch: the given call of the function that trains one."""
    calls, real = [], Proxy.train

    def train(*arguments, **settings):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*arguments, **settings)

    monkeypatch.setattr(Proxy, "train", train)


@pytest.mark.parametrize("call", [1, 2, 5, 12])
def test_interrupted_and_gone_on_with_is_never_interrupted(trained, whole, monkeypatch, tmp_path, call):
    interrupt_at(monkeypatch, call)
    part = trained("part")
    monkeypatch.undo()
    assert not part.complete
    assert len(part.trainings) == (call - 1) // SETTINGS.epochs
    journal = tmp_path / "part" / "retrain.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"text": nu')  # and the machine went down with a line half written
    epochs = []
    real = Proxy.train
    monkeypatch.setattr(Proxy, "train", lambda *a, **k: epochs.append(1) or real(*a, **k))
    again = trained("part")
    assert again.complete
    assert numbers(again) == numbers(whole[0])
    assert len(epochs) == 6 * SETTINGS.epochs - (call - 1), "no epoch that was over is trained again"


def test_what_has_ended_is_not_trained_again(trained, whole, copied, monkeypatch):
    monkeypatch.setattr(Proxy, "train", None)
    assert trained().trainings == whole[0].trainings
    assert lines(copied) == lines(whole[1])


def test_the_test_split_is_opened_after_the_last_epoch_only(trained, monkeypatch):
    events = []
    real_train, real_open = Proxy.train, open_test_split
    monkeypatch.setattr(Proxy, "train", lambda *a, **k: events.append(k["epochs"]) or real_train(*a, **k))
    monkeypatch.setattr(
        sys.modules[retrain.__module__], "_test_split", lambda data: events.append("test") or real_open(data)
    )
    trained(settings=RetrainSettings(3, proxy=PROXY))
    assert events == [1, 2, 3, "test"] * 6


@pytest.mark.usefixtures("copied")
def test_more_candidates_go_on_and_fewer_are_refused(trained, whole, candidates, free):
    more = {**candidates, "f2": parse_candidate("cos(x)", free)}
    after = trained(candidates=more)
    assert after.trainings[:6] == whole[0].trainings
    assert len(after.trainings) == 8
    with pytest.raises(GaafError, match=r"holds others too: name cos\(x\) as well, or choose another folder"):
        trained()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": RetrainSettings(4, proxy=PROXY)}, r"begun with epochs \[1, 2\], now \[4\]"),
        ({"seeds": fresh_seeds(3)}, "begun with seeds"),
        (
            {"settings": RetrainSettings(3, 0.34, proxy={**PROXY, "batch_size": 4})},
            "begun with proxy.batch_size 3, now 4",
        ),
    ],
)
@pytest.mark.usefixtures("copied")
def test_another_retraining_in_the_folder_is_refused(trained, change, message):
    with pytest.raises(GaafError, match=message):
        trained(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [1]}, r"seeds must be 2 or more different whole numbers, got \[1\]"),
        ({"seeds": [1, 1]}, r"seeds must be 2 or more different whole numbers, got \[1, 1\]"),
        ({"candidates": {}}, "a retraining needs at least one candidate, got none"),
        ({"candidates": {"a": None, "b": None}}, "each candidate is trained once, and a, b are all the plain sign"),
        ({"workers": 0}, "workers must be a whole number of at least 1, got 0"),
        (
            {"settings": RetrainSettings(1, proxy={"batch_size": 1000})},
            "batch_size must be at most the 27 training images",
        ),
        (
            {"settings": RetrainSettings(1, distillation=Distillation("resnet19"), proxy=PROXY)},
            "got 'resnet19'; known: ",
        ),
        (
            {"settings": RetrainSettings(1, distillation=Distillation("no/teacher.safetensors"), proxy=PROXY)},
            r"none at no/teacher\.safetensors",
        ),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(trained, tmp_path, change, message):
    with pytest.raises(GaafError, match=message):
        trained(**change)
    assert not (tmp_path / "out").exists()


def test_data_without_a_test_split_is_refused(trained, tiny_data):
    with pytest.raises(GaafError, match="trainings are scored on the test split, but tiny has none"):
        trained(data=tiny_data)


def test_a_candidate_that_fails_costs_only_itself(trained, candidates, free):
    found = trained(
        candidates={**candidates, "dead": parse_candidate("square(x)", free)}, settings=RetrainSettings(2, proxy=PROXY)
    )
    assert found.complete
    assert found.failures("dead") == ["constant sign"] * 2
    assert found.accuracies("dead") == {}
    assert list(found.compared()) == ["f1", "rsign"]
    assert found.trainings == trained(candidates=found.candidates, settings=RetrainSettings(2, proxy=PROXY)).trainings


def deadly(x):
    if len(x) == PROXY["batch_size"]:
        os._exit(9)
    return x * 1


def hungry(x):
    if len(x) == PROXY["batch_size"]:
        raise MemoryError
    return x * 1


@pytest.fixture(scope="module")
def bad():
    pset = PrimitiveSet("bad")
    pset.addPrimitive(deadly, [Feature], Feature)
    pset.addPrimitive(hungry, [Feature], Feature)
    return pset.check()


def test_a_lost_worker_leaves_the_others_to_their_end(trained, bad, monkeypatch, tmp_path):
    monkeypatch.setattr("gaaf_gp.parallel.executors.CALLS", 2)  # a third one takes longer and shows nothing more
    candidates = {"f1": parse_candidate("deadly(x)", bad), "sign": None}
    settings = RetrainSettings(1, proxy={**PROXY, "tables": False})
    with pytest.raises(
        GaafError, match=rf"those of f1, seed {SEEDS[0]}, f1, seed {SEEDS[1]} were killed or crashed three times"
    ):
        trained(candidates=candidates, pset=bad, settings=settings, workers=2)
    assert sorted(entry["seed"] for entry in lines(tmp_path / "out")[1:]) == list(SEEDS)


def test_memory_that_runs_out_is_no_result(trained, bad, tmp_path):
    settings = RetrainSettings(1, proxy={**PROXY, "tables": False})
    with pytest.raises(GaafError, match=r"that of hungry\(x\) ran out of it: use fewer workers"):
        trained(candidates={"sign": None, "f1": parse_candidate("hungry(x)", bad)}, pset=bad, settings=settings)
    assert [entry["text"] for entry in lines(tmp_path / "out")[1:]] == [None]


def test_a_damaged_checkpoint_stops_the_run_with_a_line(trained, whole, monkeypatch, tmp_path):
    interrupt_at(monkeypatch, 2)
    trained()
    monkeypatch.undo()
    (path,) = (tmp_path / "out" / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(GaafError, match="remove the file, and its training starts again"):
        trained()
    path.unlink()
    assert numbers(trained()) == numbers(whole[0])


def test_the_teacher_is_trained_once_and_kept(trained, taught, monkeypatch, tmp_path):
    found, folder = taught
    kept = read_checkpoint(folder / "teacher.safetensors")
    assert kept.state.epochs == 3
    assert found.teacher_curve == kept.state.history
    assert numbers(found) != numbers(trained("alone", settings=RetrainSettings(2, proxy=PROXY)))
    monkeypatch.setattr(teachers.Teaching, "train", None)
    shutil.copytree(folder, tmp_path / "out")
    assert trained(settings=TAUGHT).trainings == found.trainings
    given = Distillation(str(folder / "teacher.safetensors"))
    again = trained("given", settings=dataclasses.replace(TAUGHT, distillation=given))
    assert numbers(again) == numbers(found), "the same teacher, from its file"
    assert again.teacher_curve == found.teacher_curve
    provenance = lines(tmp_path / "given")[0]["provenance"]
    assert provenance["teacher"]["teacher"] == "squeezenet1_1"
    assert len(provenance["teacher"]["sha256"]) == 64


def test_a_student_s_file_is_no_teacher(trained, tmp_path):
    trained(settings=RetrainSettings(1, proxy=PROXY))
    (path, *_) = sorted((tmp_path / "out" / "checkpoints").iterdir())
    with pytest.raises(GaafError, match=r"must be the teacher\.safetensors of a retraining, and .* is TrainingState"):
        trained("other", settings=RetrainSettings(1, distillation=Distillation(str(path)), proxy=PROXY))


def test_an_interrupted_teacher_goes_on(trained, taught, monkeypatch, tmp_path):
    interrupt_at(monkeypatch, 2)
    part = trained("part", settings=TAUGHT)
    monkeypatch.undo()
    assert part.trainings == ()
    assert read_checkpoint(tmp_path / "part" / "teacher.safetensors").state.epochs == 1
    assert numbers(trained("part", settings=TAUGHT)) == numbers(taught[0])


def test_progress_is_shown_when_wanted(trained, capfd):
    trained(progress=True)
    assert "18/18" in capfd.readouterr().err
    trained()
    assert capfd.readouterr().err == ""


def test_only_this_and_what_judges_a_chosen_function_open_the_test_split():
    package = Path(gaaf_gp.__file__).parent
    opens = re.compile(r"^from gaaf_gp\.data(\.load)? import .*\bopen_test_split\b", re.MULTILINE)
    openers = {str(path.relative_to(package)) for path in package.rglob("*.py") if opens.search(path.read_text())}
    assert openers == {
        "data/__init__.py", "experiments/experiment.py", "experiments/explanation.py", "training/retraining/retrain.py"
    }  # fmt: skip


def test_each_candidate_has_file_names_of_its_own():
    names = {_slug(f"add(x, const({number}.0))") for number in range(3000)}
    assert len(names) == 3000
    assert all(name.isalnum() and len(name) == 12 for name in names)
    assert _slug("@rsign") == "rsign"
    assert _slug("sin(x)") == hashlib.sha256(b"sin(x)").hexdigest()[:12]
    assert _slug(None) not in names
