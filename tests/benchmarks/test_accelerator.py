"""The part that needs an accelerator: what it does without one, and what it computes from its measurements."""

import json

import pytest
import torch
from rich.console import Console

from benchmarks import accelerator
from benchmarks.harness import OURS, TEXTBOOK
from benchmarks.sizes import QUICK, Setup
from gaaf_gp.activations.factory import activation_factory
from gaaf_gp.binary import TableActivation
from gaaf_gp.training.proxy import Proxy


def test_without_an_accelerator_nothing_is_measured_and_that_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = accelerator.measure(Setup(QUICK, 1, {}))
    assert found == {"measured": False, "why": "torch sees no CUDA device"}
    accelerator.show(found, Console())
    assert "not measured, torch sees no CUDA device" in capsys.readouterr().out


def test_the_candidates_are_different_functions_that_can_be_stacked(tiny_data):
    proxy = Proxy(tiny_data, batch_size=10)
    trees = accelerator.functions(7)
    assert len({proxy.behaviour(one).signature for one in trees}) == 7
    for one in trees:
        made = activation_factory(one, proxy.surrogate, tables=True, device=torch.device("cpu"))
        assert isinstance(made(1), TableActivation)


def test_agreement_compares_each_candidate_with_itself(tiny_data):
    proxy = Proxy(tiny_data, network_settings={"widths": (4, 8)}, batch_size=10, kernels="torch")
    found = accelerator.agreement(proxy, accelerator.functions(3))
    assert len(found["stacked"]) == len(found["single"]) == len(found["other_seed"]) == 3
    distances = sorted(abs(a - b) for a, b in zip(found["stacked"], found["single"], strict=True))
    assert found["median_distance"] == distances[1]
    json.dumps(found, allow_nan=False)


def test_steps_are_timed_in_turns_and_called_equally_often():
    calls = {TEXTBOOK: [], OURS: []}
    found = accelerator.compare_steps(lambda side: calls[side].append, 16, QUICK)
    assert calls[TEXTBOOK] == calls[OURS] == [16] * 2 * accelerator.STEPS  # one turn to warm up, one timed
    assert found["ratio"] == pytest.approx(found[TEXTBOOK]["median"] / found[OURS]["median"])


def test_the_table_gives_candidates_an_hour(capsys):
    row = {"median": 0.02, "ratio": 40.0, "peak_bytes": 2**30}
    step = {"ratio": 2.0, TEXTBOOK: {"median": 0.016}, OURS: {"median": 0.008}}
    near = {"median_distance": 0.008, "mean_difference": -0.002, "median_distance_of_seeds": 0.014}
    found = {"measured": True, "device": "some", "images": {"train": 6400}, "candidates": {"32 at once": row},
             "agreement": near, "resnet18": {"ratio": 2.0, "activations": {"sign(x)": step}}}  # fmt: skip
    accelerator.show(found, Console(width=150))
    printed = capsys.readouterr().out
    assert "180,000" in printed  # 3600 / 0.02
    assert "1024" in printed
    assert "16.0" in printed
    assert "-0.20%" in printed
