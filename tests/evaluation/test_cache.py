"""Single trainings behind an archive: what an Evaluator may ask before it trains, and tells after it."""

import copy

import pytest

from gaaf_gp.archive import Archive, Kept
from gaaf_gp.data.load import Split, load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.evaluation.cache import ArchivedTrainings, split_name
from gaaf_gp.trees.parser import parse

VERSIONS = {"gaaf-gp": "0.1.0", "torch": "2.13.0"}


@pytest.fixture
def tree(forced):
    return parse("add(sin(x), tanh(x))", forced)


@pytest.fixture
def trainings(tiny_proxy, forced, tmp_path):
    with Archive(tmp_path / "archive.sqlite") as archive:
        yield ArchivedTrainings(archive, tiny_proxy, forced, archive.begin("test", {}, VERSIONS))


def test_an_outcome_comes_back_exactly(trainings, tiny_proxy, tree):
    assert trainings.lookup(tree.canonical, None, 0, None) is None
    outcome = tiny_proxy.train(tree, 0)
    assert trainings.keep(tree.canonical, None, None, outcome) is Kept.NEW
    assert trainings.lookup(tree.canonical, None, 0, None) == outcome
    assert trainings.lookup(tree.canonical, tiny_proxy.behaviour(tree).signature, 0, 4) == outcome
    for other in ((0, 5), (1, None)):
        assert trainings.lookup(tree.canonical, None, *other) is None


def test_a_shorter_training_is_bit_for_bit_that_of_a_longer_one(trainings, tiny_proxy, tree):
    trainings.keep(tree.canonical, None, None, tiny_proxy.train(tree, 3))
    for epochs in (1, 2, 3):
        found, trained = trainings.lookup(tree.canonical, None, 3, epochs), tiny_proxy.train(tree, 3, epochs=epochs)
        assert (found.accuracy, found.history, found.failure) == (trained.accuracy, trained.history, trained.failure)
        assert found.state is None


def test_the_plain_sign_and_its_splits_are_kept_apart(trainings, tiny_proxy, tree):
    test = Split(tiny_proxy.data.val.images.flip(0), tiny_proxy.data.val.labels)
    plain, scored = tiny_proxy.train(None, 0), tiny_proxy.train(None, 0, test)
    trainings.keep(None, None, None, plain)
    trainings.keep(None, None, None, scored, test)
    assert trainings.lookup(None, None, 0, None) == trainings.lookup(None, None, 0, None, tiny_proxy.data.val) == plain
    assert trainings.lookup(None, None, 0, None, test) == scored
    same = Split(test.images.clone(), test.labels.clone())
    assert trainings.lookup(None, None, 0, None, same) == scored
    other = Split(test.images, test.labels.flip(0))
    assert trainings.lookup(None, None, 0, None, other) is None
    assert [(row.text, row.formula, row.split) for row in trainings.archive.rows()] == [
        ("@sign", "x", "validation"),
        ("@sign", "x", split_name(test)),
    ]


def test_files_have_a_name_too(image_folder):
    data = stream_data(image_folder, image_size=8, val_fraction=0.25)
    assert split_name(data.val).startswith("sha256:")
    assert split_name(data.val) == split_name(copy.copy(data.val)) != split_name(data.train)
    assert split_name(load_data(image_folder, val_fraction=0.25).val) != split_name(data.val)


def test_what_behaves_alike_is_one_training_whatever_the_set(trainings, tiny_proxy, tree, forced):
    other = parse("sub(tanh(x), tanh(x))", forced)
    assert tiny_proxy.behaviour(other).signature != tiny_proxy.behaviour(tree).signature
    outcome = tiny_proxy.train(tree, 0)
    trainings.keep(tree.canonical, None, None, outcome)
    twin = "add(tanh(x), sin(x))"  # not canonical, so another text of the same function
    assert trainings.lookup(twin, None, 0, None) == outcome
    assert trainings.lookup(other.canonical, None, 0, None) is None
    # a text that means something else in another set is not mistaken for it
    assert trainings.lookup(tree.canonical, tiny_proxy.behaviour(other).signature, 0, None) is None


def test_another_result_is_reported(trainings, tiny_proxy, tree):
    first, second = (tiny_proxy.train(tree, seed) for seed in (0, 1))
    trainings.keep(tree.canonical, None, None, first)
    lying = type(second)(0, second.accuracy, second.history, 1.0)
    assert trainings.keep(tree.canonical, None, None, lying) is Kept.DIFFERS
    assert [one.curve for one in trainings.differing] == [tuple(epoch.accuracy for epoch in second.history)]
    assert trainings.lookup(tree.canonical, None, 0, None) == first
