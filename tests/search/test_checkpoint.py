"""The checkpoint of a run: what is in it, who comes by it, and that a search on another way is refused untrained."""

import errno
import hashlib
import importlib.metadata
import json
import math
import os
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.search import checkpoint
from gaaf_gp.search.checkpoint import AnotherWayError, read_run_checkpoint
from gaaf_gp.search.evolve import evolve
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from gaaf_gp.util import files
from tests.traces import trace

LOOPS = ["generations", "islands:2", "steady:3", "aging:3"]


def search(proxy, pset, path, **changes):
    with Evaluator(proxy, pset) as evaluator:
        chosen = {"evaluations": 40, "population_size": 8, "seed": 3, **changes}
        return evolve(pset, evaluator, checkpoint=path, **chosen)


def interrupted_after(number):
    """Return a callback that presses Ctrl-C after so many evaluations."""
    counted = iter(range(number))

    def arrived(_record):
        if next(counted, None) is None:
            raise KeyboardInterrupt

    return arrived


@pytest.mark.parametrize("loop", LOOPS)
def test_it_holds_what_the_search_held_after_its_last_whole_step(make_stub, free, tmp_path, loop):
    path, seen, halls = tmp_path / "new" / "checkpoint.json", [], []

    def look(found):
        seen.append([[str(one), list(one.fitness.values)] for one in found.population])
        halls.append([[str(one), list(one.fitness.values)] for one in found.hall_of_fame])

    found = search(make_stub(), free, path, loop=loop, on_generation=look, evaluations=45)
    content = json.loads(path.read_text())
    whole = content["step"]
    assert whole == len(seen) - loop.startswith(("steady", "aging")), "five children are no whole step"
    assert content["population"] == seen[whole - 1]
    assert content["evaluations"] == found.logbook[whole - 1]["evaluations"]
    marks = {content["bred"][start : start + 8] for start in range(0, len(content["bred"]), 8)}
    assert len(marks) >= content["evaluations"]
    assert {hashlib.sha256(text.encode()).hexdigest()[:8] for text, _ in seen[whole - 1]} <= marks
    assert len(content["generators"]) == (2 if loop.startswith("islands") else 1)
    for version, words, rest in content["generators"]:
        random.Random().setstate((version, tuple(words), rest))
    assert content["hall_of_fame"] == halls[whole - 1]
    assert [one.name for one in path.parent.iterdir()] == ["checkpoint.json"]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_search_that_was_interrupted_and_is_done_again_leaves_the_same_file(make_stub, free, tmp_path, loop):
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    expected = trace(search(make_stub(), free, whole, loop=loop))
    kept = []
    for number in (17, 25, 34):
        stopped = search(make_stub(), free, part, loop=loop, on_evaluation=interrupted_after(number))
        assert stopped.interrupted
        kept.append(part.read_bytes())
    assert len({*kept, whole.read_bytes()}) > 2, "there were several"
    assert trace(search(make_stub(), free, part, loop=loop)) == expected
    assert part.read_bytes() == whole.read_bytes()
    assert trace(search(make_stub(), free, part, loop=loop)) == expected, "one that has ended comes by it too"


@pytest.mark.parametrize("loop", LOOPS)
def test_the_generators_of_the_caller_are_no_part_of_a_search(make_stub, free, tmp_path, loop):
    """So those of the file are all that there are."""
    contents = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = (random.getstate(), torch.random.get_rng_state().tolist())
        search(make_stub(), free, tmp_path / f"{seed}.json", loop=loop)
        assert (random.getstate(), torch.random.get_rng_state().tolist()) == before
        contents.append((tmp_path / f"{seed}.json").read_bytes())
    assert contents[0] == contents[1]


def changed(path, **changes):
    """Change a file, with the checksum that belongs to it."""
    content = json.loads(path.read_text()) | changes
    del content["sha256"]
    path.write_text(json.dumps({"sha256": checkpoint._digest(content), **content}))


@pytest.fixture
def path(make_stub, minimal, tmp_path):
    """A checkpoint of two generations of 8."""
    path = tmp_path / "checkpoint.json"
    search(make_stub(), minimal, path, evaluations=14)
    return path


def refused(proxy, pset, path, **changes):
    """Return what a search was refused with; the file stays as it was, and nothing is beside it."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    with pytest.raises(GaafError) as caught:
        search(proxy, pset, path, **changes)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == (before, beside)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("loop", LOOPS)
def test_a_search_on_another_way_is_refused_before_it_trains_anything_new(make_stub, free, tmp_path, loop):
    path, known, stub = tmp_path / "checkpoint.json", make_stub(), make_stub()
    search(known, free, path, loop=loop)
    error = refused(stub, free, path, loop=loop, seed=4)
    assert isinstance(error, AnotherWayError)
    assert str(error).startswith("a run must go on the way it went, but candidate 1 is ")
    assert str(error).endswith(f"and {path} has another one: {checkpoint.REMEDY}")
    assert not stub.trained
    error = refused(stub, free, path, loop=loop, crossover=0.1)
    assert {text for text, _ in stub.trained} < {text for text, _ in known.trained}, "only what it shares was trained"
    assert len(stub.trained) > 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluations": 13}, "after step 2 it has 14 evaluations and had 13"),
        ({"generators": [[3, [0] * 625, None]]}, "after step 2 its random generators are in another state"),
        ({"population": [["sin(x)", [0.5]]] * 8}, r"after step 2 1 of its population is ['"),
        ({"population": []}, "after step 2 its population has another size"),
        ({"hall_of_fame": [["sin(x)", ["nan"]]]}, "after step 2 1 of its hall of fame is ["),
    ],
)
def test_a_search_in_another_state_is_refused(make_stub, minimal, path, change, said):
    changed(path, **change)
    error = refused(make_stub(), minimal, path, evaluations=14)
    assert str(error).startswith(f"a run must go on the way it went, but {said}")
    assert isinstance(error, AnotherWayError)


def other_set(name="minimal", function=torch.sin):
    pset = PrimitiveSet(name)
    pset.addPrimitive(function, [Feature], Feature, name="sin")
    return pset


def test_another_set_is_refused_at_once(make_stub, free, path, tmp_path):
    stub = make_stub()
    said = str(refused(stub, free, path))
    assert said.startswith(f"a run must go on with its own primitive set, but, as {path} has it, ")
    own = tmp_path / "own.json"
    search(stub, other_set(), own, evaluations=3, population_size=3)
    known = len(stub.trained)
    assert "'sin' computes something else than it did" in str(refused(stub, other_set(function=torch.cos), own))
    assert "it was 'minimal' and is 'mine' now" in str(refused(stub, other_set("mine"), own))
    assert len(stub.trained) == known


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, f"must have format 1 and be of gaaf-gp {importlib.metadata.version('gaaf-gp')}, and "),
        ({"gaaf-gp": "0.0.1"}, "has format 1 of gaaf-gp '0.0.1': go on with that version"),
        ({"step": "2"}, "ended with ValueError: it must have step"),
        ({"population": 7}, "ended with ValueError: it must have population"),
    ],
)
def test_another_version_is_refused_at_once(make_stub, minimal, path, change, said):
    changed(path, **change)
    assert said in str(refused(make_stub(), minimal, path))


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "[" * 100_000, '{"format": 1}', '{"format": [], "gaaf-gp": {}}'])
def test_what_is_none_is_refused_at_once(make_stub, minimal, tmp_path, text):
    path = tmp_path / "checkpoint.json"
    path.write_text(text)
    assert str(path) in str(refused(make_stub(), minimal, path))


def test_a_folder_or_a_pipe_in_its_place_is_refused(make_stub, minimal, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(GaafError, match="must be a whole file of this program"):
            search(make_stub(), minimal, tmp_path / name)


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_refused_or_says_the_same(tmp_path_factory, minimal, data):
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.json"
    content = bytearray(data.draw(st.just(whole_checkpoint(tmp_path_factory, minimal))))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    refused, found = "", None
    try:
        found = read_run_checkpoint(path, minimal)
    except GaafError as error:
        refused = str(error)
    assert (str(path) in refused) == (found is None)
    path.write_bytes(whole_checkpoint(tmp_path_factory, minimal))
    assert found in (None, read_run_checkpoint(path, minimal))


_WHOLE = {}


def whole_checkpoint(tmp_path_factory, pset):
    if not _WHOLE:
        path = tmp_path_factory.mktemp("whole") / "checkpoint.json"
        evolve(pset, len, evaluations=4, population_size=4, checkpoint=path)
        _WHOLE["content"] = path.read_bytes()
    return _WHOLE["content"]


@pytest.mark.parametrize("name", ["ENOSPC", "EROFS", "EACCES"])
def test_a_file_that_cannot_be_written_ends_the_search_and_stays(make_stub, minimal, tmp_path, monkeypatch, name):
    path, real, calls = tmp_path / "checkpoint.json", os.fsync, []

    def second_fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", second_fails)
    with pytest.raises(
        GaafError, match=rf"must be writable, but .*checkpoint\.json is not \({os.strerror(getattr(errno, name))}\)"
    ):
        search(make_stub(), minimal, path)
    monkeypatch.undo()
    assert json.loads(path.read_text())["step"] == 1
    assert list(tmp_path.iterdir()) == [path]
    whole = tmp_path / "whole.json"
    assert trace(search(make_stub(), minimal, path)) == trace(search(make_stub(), minimal, whole))
    assert path.read_bytes() == whole.read_bytes()


def test_ctrl_c_while_it_is_written_ends_the_search_with_what_was_found(make_stub, minimal, tmp_path, monkeypatch):
    def pressed(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", pressed)
    found = search(make_stub(), minimal, tmp_path / "checkpoint.json")
    assert found.interrupted
    assert len(found.records) == 8
    assert not list(tmp_path.iterdir())


def test_fitness_that_is_not_finite_is_written_and_compared(minimal, tmp_path):
    path = tmp_path / "checkpoint.json"

    def measure(one):
        return math.nan if "sin" in str(one) else float(len(one))

    for _ in range(2):
        found = evolve(minimal, measure, evaluations=20, population_size=10, hall_of_fame=20, checkpoint=path)
    assert any("sin" in record.text for record in found.records)
    content = json.loads(path.read_text())
    assert [one for one, _ in content["hall_of_fame"]] == [str(one) for one in found.hall_of_fame]
    assert {value for _, values in content["hall_of_fame"] for value in values} >= {"-inf"}


def test_results_in_the_order_of_arrival_are_compared_with_nothing_but_the_set(make_stub, minimal, free, tmp_path):
    path = tmp_path / "checkpoint.json"
    search(make_stub(), minimal, path, loop="arrival")
    assert json.loads(path.read_text())["repeatable"] is False
    found = search(make_stub(), minimal, path, loop="arrival", seed=4)
    assert json.loads(path.read_text())["population"] == [
        [str(one), list(one.fitness.values)] for one in found.population
    ]
    with pytest.raises(GaafError, match="with its own primitive set"):
        search(make_stub(), free, path, loop="arrival")


@pytest.mark.parametrize("part", ["population", "hall_of_fame"])
@pytest.mark.parametrize("relative", [1e-6, -1e-6, 1e-8])
def test_a_fitness_that_moved_by_more_than_rounding_is_refused(make_stub, minimal, path, part, relative):
    rows = json.loads(path.read_text())[part]
    rows[-1][1] = [rows[-1][1][0] * (1 + relative)]
    changed(path, **{part: rows})
    error = refused(make_stub(), minimal, path, evaluations=14)
    words = part.replace("_", " ")
    assert f"after step 2 {len(rows)} of its {words} is [{rows[-1][0]!r}, " in str(error)


def test_a_fitness_that_moved_by_its_last_bits_is_taken(make_stub, minimal, path):
    rows = json.loads(path.read_text())["population"]
    changed(path, population=[[text, [value * (1 + 1e-13)]] for text, (value,) in rows])
    search(make_stub(), minimal, path, evaluations=14)


def test_the_numbers_of_a_generator_are_compared_to_the_last(make_stub, minimal, path):
    generators = json.loads(path.read_text())["generators"]
    generators[0][1][-1] += 1
    changed(path, generators=generators)
    assert "its random generators are in another state" in str(refused(make_stub(), minimal, path, evaluations=14))


@pytest.mark.parametrize("loop", ["generations", "islands:2", "steady:4"])
def test_a_search_with_a_larger_budget_goes_on_as_if_it_had_it_from_the_start(free, tmp_path, loop):
    def size(individual):
        return float(len(individual))

    def searched(file, evaluations):
        return evolve(
            free, size, loop=loop, evaluations=evaluations, population_size=5, seed=3, checkpoint=tmp_path / file
        )

    searched("extended", 11)
    extended, whole = searched("extended", 30), searched("whole", 30)
    assert len(extended.records) == 30
    assert extended.records == whole.records
    assert (tmp_path / "extended").read_bytes() == (tmp_path / "whole").read_bytes()
