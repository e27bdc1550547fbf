"""On a GPU: one result for any workers, devices, stacks, kills and pauses. Skipped where there is none."""

import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from gaaf_gp import load_data
from gaaf_gp.data.batches import Batches
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import Stack, train_stacked
from gaaf_gp.trees.parser import parse
from tests.archive.conftest import rows_of

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.timeout(600),
]
CLI = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli"]
SMALL = ["--limit", "1000", "--population", "12", "--fresh-seeds", "2", "--quiet", "--device", "cuda", "--seed", "5"]
TABLES = ("logbook.csv", "hall_of_fame.csv", "population.csv", "checkpoint.json")
KILLS = 5
"""Of each of two kinds of runs."""
TEXTS = [
    "sin(x)",
    "sub(cos(x), const(0.3))",
    "add(sin(x), x)",
    "max(sin(x), x)",
    "atan(x)",
    "mul(x, sin(x))",
    "erf(x)",
    "scale(sin(x))",  # learns, so it is trained alone
]


@pytest.fixture(scope="module")
def data():
    return load_data(limit=1000, device="cuda")


@pytest.fixture(scope="module")
def trees(free):
    return [parse(text, free) for text in TEXTS]


def histories(outcomes):
    assert all(one.failure is None for one in outcomes)
    return [one.history for one in outcomes]


def test_filled_stacks_give_the_same_bits_whatever_shares_them(data, trees):
    proxy, settings = Proxy(data, epochs=3), {"at_once": 32, "filled": True}
    whole = histories(train_stacked(proxy, trees, 0, **settings))
    assert histories(train_stacked(proxy, trees, 0, **settings)) == whole
    assert histories(train_stacked(proxy, trees[::-1], 0, **settings))[::-1] == whole
    assert [histories(train_stacked(proxy, [tree], 0, **settings))[0] for tree in trees] == whole
    begun = train_stacked(proxy, trees, 0, epochs=1, **settings)
    later = train_stacked(proxy, [trees[3], trees[1]], 0, states=[begun[3].state, None], **settings)
    assert histories(later) == [whole[3], whole[1]]


def test_a_single_training_gives_the_same_bits_again_and_after_a_pause(data, trees):
    proxy = Proxy(data, epochs=3)
    for tree in (trees[0], trees[-1]):
        whole = proxy.train(tree, 0).history
        assert proxy.train(tree, 0).history == whole
        assert proxy.train(tree, 0, state=proxy.train(tree, 0, epochs=1).state).history == whole


def test_a_stack_that_the_memory_of_the_device_is_too_small_for_is_trained_in_halves(data, trees, monkeypatch):
    sizes, real = [], Stack.__init__

    def counted(self, training, activations, *args, **kwargs):
        sizes.append(len(activations))
        real(self, training, activations, *args, **kwargs)

    proxy = Proxy(data, epochs=1, batch_size=500)
    expected = histories(train_stacked(proxy, trees[:4], 0, at_once=8, filled=True))
    monkeypatch.setattr(Stack, "__init__", counted)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(3 * 2**30 / torch.cuda.mem_get_info()[1])
    try:
        found = histories(train_stacked(proxy, trees[:4], 0, at_once=128, filled=True))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sizes[0] == 128
    assert sizes[-1] < 128
    assert [one[0].loss for one in found] == pytest.approx([one[0].loss for one in expected], rel=0.02)


@pytest.mark.parametrize("devices", ["cuda:0", "cuda:0,cuda:0"])
@pytest.mark.parametrize("at_once", [1, 8])
def test_workers_that_share_a_gpu_find_what_one_process_finds_and_one_may_die(data, trees, free, devices, at_once):
    proxy = Proxy(data, epochs=1)
    with Evaluator(proxy, free, seeds=(0, 1), at_once=at_once) as evaluator:
        whole = [record.by_seed for record in evaluator.evaluate(trees)]
    killed = []

    def kill(_record):
        if not killed:
            worker = next(one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline()))
            worker.kill()
            killed.append(worker.pid)

    with Evaluator(proxy, free, seeds=(0, 1), at_once=at_once, workers=2, devices=devices) as evaluator:
        first = [record.by_seed for record in evaluator.evaluate(trees[:3], on_record=kill)]
        rest = [record.by_seed for record in evaluator.evaluate(trees[3:])]
    assert first + rest == whole
    assert killed


def test_a_budget_of_memory_counts_what_is_on_the_device(data, trees, free, monkeypatch):
    proxy = Proxy(data, epochs=1, memory=6.0)
    assert proxy.train(trees[0], 0).failure is None
    held, real = [], Batches.epoch

    def greedy(self, generator):
        held.append(torch.empty(7 * 2**30, dtype=torch.uint8, device="cuda"))
        return real(self, generator)

    monkeypatch.setattr(Batches, "epoch", greedy)
    outcome = proxy.train(trees[0], 0)
    held.clear()
    assert outcome.failure is not None
    assert outcome.failure.startswith("memory budget of 6 GiB exceeded")


def _start(*arguments):
    return subprocess.Popen([*CLI, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, epochs):
    rng = random.Random(epochs)
    options = [*SMALL, "--evaluations", 60, "--epochs", epochs, "--no-random-search"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process, other = (_start("evolve", *options, "--workers", 1, "--out", one) for one in (whole, killed))
    for number in range(KILLS):
        known = rows_of(killed)
        while other.poll() is None and rows_of(killed) <= known:
            time.sleep(0.002)
        time.sleep(rng.choice((0, rng.uniform(0, 0.1), rng.uniform(0, 1))))
        other.kill()
        _, errors = other.communicate()
        assert other.returncode == -signal.SIGKILL, (number, errors)
        other = _start("resume", killed, "--quiet")
    for one in (process, other):
        _, errors = one.communicate()
        assert one.returncode == 0, errors
    for name in TABLES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert rows_of(killed) == rows_of(whole)


def test_ctrl_c_ends_a_run_on_a_gpu_within_seconds(tmp_path):
    folder = tmp_path / "run"
    options = ["--epochs", "100000", "--evaluations", "12", "--no-racing", "--workers", "2", "--out", folder]
    process = _start("evolve", *SMALL, *options)
    while not (folder / "config.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(12)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert f"go on with: gaaf-gp resume {folder}" in errors


def test_a_dask_cluster_on_a_gpu_ends_as_one_process(tmp_path):
    options = [*SMALL, "--evaluations", 24, "--epochs", 1, "--no-random-search"]
    whole, spread = tmp_path / "whole", tmp_path / "spread"
    for process in (
        _start("evolve", *options, "--workers", 1, "--out", whole),
        _start("evolve", *options, "--workers", 2, "--executor", "dask", "--out", spread),
    ):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    for name in TABLES:
        assert (spread / name).read_bytes() == (whole / name).read_bytes(), name
