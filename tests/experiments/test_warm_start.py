"""What a search begins with from an archive: the best of the same task, whichever split, within the set and limits."""

import dataclasses
from pathlib import Path

import pytest

from gaaf_gp.archive import Archive, evaluation_of
from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.plan import rules_of
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.experiments.warm_start import begun_with_best
from gaaf_gp.training.outcome import Epoch, Outcome
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.generation import Limits

SETTINGS = Settings(Path("out"), population=6)
DEEP = "sin(sin(sin(sin(sin(sin(sin(sin(x))))))))"


def kept(archive, proxy, text, accuracy, seed=0, epochs=4, failure=None, **notes):
    """Add a training as a run would."""
    history = tuple(Epoch(1.0, accuracy) for _ in range(epochs))
    outcome = Outcome(seed, accuracy, history, 1.0, failure)
    task = archive.register({"proxy": proxy.settings(), **notes})
    archive.add(
        evaluation_of(
            outcome, text=text, signature=text, task=task, epochs=epochs, fidelity=epochs / 4, device="cpu", versions={}
        )
    )


@pytest.fixture
def other_split(tiny_data, tiny_settings):
    """The task of another --seed."""
    drawn = dataclasses.replace(tiny_data.train, images=tiny_data.train.images.flip(0))
    other = Proxy(dataclasses.replace(tiny_data, train=drawn, split_seed=7), **tiny_settings)
    assert other.settings()["data"]["sha256"] != tiny_data.settings()["sha256"]
    return other


@pytest.fixture
def path(tiny_proxy, other_split, tiny_data, tiny_settings, tmp_path):
    """An archive of all that may be in one."""
    path = tmp_path / "all.sqlite"
    with Archive(path) as archive:
        kept(archive, tiny_proxy, "sin(x)", 0.5)
        kept(archive, tiny_proxy, "cos(x)", 0.9)
        kept(archive, tiny_proxy, "cos(x)", 0.5, seed=1)
        kept(archive, other_split, "add(sin(x), x)", 0.6)
        elsewhere = dataclasses.replace(other_split, kernels="torch", threads=2, seconds=60.0)
        kept(archive, elsewhere, "sin(x)", 0.8, versions={"torch": "1"})
        kept(archive, tiny_proxy, "@sign", 0.99)
        kept(archive, tiny_proxy, "@rsign", 0.99)
        kept(archive, tiny_proxy, "mine(x)", 0.99)
        kept(archive, tiny_proxy, "sin(x) | cos(x)", 0.95)
        kept(archive, tiny_proxy, DEEP, 0.98)
        kept(archive, tiny_proxy, "erf(x)", 0.97, epochs=3)
        kept(archive, tiny_proxy, "sub(x, sin(x))", 0.0, failure="loss not finite in epoch 2")
        kept(archive, Proxy(tiny_data, **{**tiny_settings, "learning_rate": 0.1}), "neg(sin(x))", 0.99)
    return path


def begun(path, proxy, pset, tail="", **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return begun_with_best(settings, f"{path}{tail}", proxy, pset, rules_of(settings, pset)).initial


def test_the_best_of_the_same_task_come_first_by_their_mean_accuracy(path, tiny_proxy, free):
    best = ("cos(x)", "sin(x)", "add(sin(x), x)")  # 0.7, 0.65, 0.6
    assert begun(path, tiny_proxy, free) == best
    assert begun(path, tiny_proxy, free, ":2") == best[:2]
    assert begun(path, tiny_proxy, free, ":1") == best[:1]
    assert begun(path, tiny_proxy, free, ":99", population=2) == best[:2], "they have room in one population"


def test_another_seed_of_the_split_is_the_same_task(path, other_split, tiny_proxy, free):
    assert begun(path, other_split, free) == begun(path, tiny_proxy, free)


def test_what_the_run_may_hold_decides(path, tiny_proxy, free):
    assert begun(path, tiny_proxy, free, two_trees=True)[0] == "sin(x) | cos(x)"
    assert begun(path, tiny_proxy, free, limits=Limits(9, 30))[0] == DEEP
    assert (
        begun(path, tiny_proxy, free, constraints=("no periodic inside periodic",), limits=Limits(9, 30))[0] == "cos(x)"
    )
    assert begun(path, tiny_proxy, free, initial=("cos(x)",)) == ("cos(x)", "sin(x)", "add(sin(x), x)")


def test_a_file_may_have_a_colon_in_its_name(path, tiny_proxy, free, tmp_path):
    odd = tmp_path / "a:b.sqlite"
    path.rename(odd)
    assert len(begun(odd, tiny_proxy, free)) == 3
    assert len(begun(odd, tiny_proxy, free, ":1")) == 1


@pytest.mark.parametrize(
    ("tail", "message"),
    [(":0", "must be from 1 to 999999"), (":" + "9" * 5000, "must be from 1"), (".none", r"\.none")],
)
def test_a_wrong_number_or_a_missing_file_is_refused(path, tiny_proxy, free, tail, message):
    with pytest.raises(GaafError, match=message):
        begun(path, tiny_proxy, free, tail)
    assert [one.name for one in path.parent.iterdir()] == ["all.sqlite"], "looking makes no file"


def test_an_archive_that_knows_none_is_refused(path, tiny_data, tiny_settings, free):
    other = Proxy(tiny_data, **{**tiny_settings, "batch_size": 30})
    with pytest.raises(
        GaafError, match=r"must know a function of the same training task, .* and .*all\.sqlite has none"
    ):
        begun(path, other, free)
