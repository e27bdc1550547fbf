"""What a program or the environment has set decides nothing here, and nothing that is global is changed."""

import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gaaf_gp import Evaluator, Proxy, evolve, load_data, parse, statistics
from gaaf_gp.activations import behaviour
from gaaf_gp.binary import (
    BatchNorm,
    BinaryConv2d,
    NormalizedConvolution,
    Surrogate,
    best_kernels,
    tabulate,
    use_kernels,
)
from gaaf_gp.plots import as_svg, plot_activation, plot_tree
from gaaf_gp.util.devices import threads
from primitives import gaaf


@contextmanager
def changed(change: Callable[[], object], back: Callable[[], object]) -> Iterator[None]:
    change()
    try:
        yield
    finally:
        back()


@contextmanager
def printing() -> Iterator[None]:
    before = np.get_printoptions()
    try:
        np.set_printoptions(precision=1, threshold=2)
        torch.set_printoptions(precision=1, threshold=2)
        yield
    finally:
        np.set_printoptions(**before)
        torch.set_printoptions(profile="default")


@contextmanager
def deterministic() -> Iterator[None]:
    with changed(lambda: torch.use_deterministic_algorithms(True), lambda: torch.use_deterministic_algorithms(False)):
        yield


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic": deterministic,
    "threads": lambda: threads(2),
    "default dtype": lambda: changed(
        lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)
    ),
    "default device": lambda: torch.device("meta"),
    "errors of numpy": lambda: np.errstate(all="raise"),
    "printing": printing,
}


def everything() -> dict[str, object]:
    """Return what our functions compute and write: data, a search, a behaviour, tables, figures, a statistic."""
    pset = gaaf.free()
    proxy = Proxy(load_data("fashion10k", limit=60), batch_size=16, network_settings={"widths": (4,)})
    with Evaluator(proxy, pset) as evaluator:
        result = evolve(pset, evaluator, evaluations=4, population_size=3, seed=1)
        records = [(text, record.outcomes, record.failure) for text, record in evaluator.records.items()]
        losses = [[epoch.loss for epoch in outcome.history] for _, outcomes, _ in records for outcome in outcomes]
    tree = parse("add(sin(x), shift(x))", pset)
    tables = tabulate(torch.sin, Surrogate("clipped"))
    return {
        "search": [str(tree) for tree in result.population],
        "failures": [(text, failure) for text, _, failure in records],
        "losses": losses,
        "behaviour": behaviour(tree),
        "tables": (tables.sign.tolist(), tables.slope.tolist()),
        "figures": (as_svg(plot_tree(tree)), as_svg(plot_activation(tree))),
        "interval": str(statistics.bootstrap_interval([0.1, 0.2, 0.4], resamples=100)),
    }


def surroundings() -> dict[str, object]:
    """Return what is global in a process and may be another's."""
    kinds, numbers, *rest = np.random.get_state()
    return {
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "defaults": (torch.get_default_dtype(), str(torch.get_default_device())),
        "generators": (random.getstate(), kinds, numbers.tolist(), rest, torch.get_rng_state().cpu().tolist()),
        "numpy": (np.get_printoptions(), np.geterr()),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "process": (Path.cwd(), sys.getrecursionlimit(), sys.excepthook, sys.stdout, sys.stderr),
    }


@pytest.fixture(scope="module")
def plain() -> dict[str, object]:
    everything()  # what is imported or made once may leave traces
    return everything()


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_program_has_set_decides_nothing_and_stays(name: str, plain: dict[str, object]) -> None:
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    with SETTINGS[name]():
        before = surroundings()
        found = everything()
        after = surroundings()
    for what, value in plain.items():
        assert found[what] == value, what
    for what, value in before.items():
        assert after[what] == value, what


@pytest.mark.parametrize("name", ["default dtype", "default device"])
def test_compiled_kernels_write_in_their_own_dtype(name: str) -> None:
    torch.manual_seed(0)
    joined = NormalizedConvolution(BinaryConv2d(3, 4, 3, padding=1))
    model = nn.Sequential(joined, BinaryConv2d(4, 2, 3), BatchNorm(2))
    use_kernels(model, best_kernels())
    x = torch.randn(2, 3, 6, 6, requires_grad=True)

    def computed() -> list[torch.Tensor]:
        y = model(x)
        return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *model.parameters()])]

    plain_values = computed()
    with SETTINGS[name]():
        values = computed()
    assert all(torch.equal(one, other) for one, other in zip(plain_values, values, strict=True))


HOSTILE = """
text.usetex: True
font.family: no such font
figure.autolayout: True
figure.constrained_layout.use: True
interactive: True
savefig.dpi: 3000
savefig.format: nothing
savefig.facecolor: red
svg.fonttype: path
lines.linewidth: 9
axes.prop_cycle: cycler('color', ['r'])
"""
DRAWN = """
import json, os
from gaaf_gp import parse
from gaaf_gp.experiments.report import FIGURES
from gaaf_gp.plots import as_svg, plot_activation, plot_tree, save_figure
from primitives import gaaf
tree = parse("max(sin(x), x)", gaaf.free())
save_figure(plot_tree(tree), "tree.png")
print(json.dumps([as_svg(plot_tree(tree)), as_svg(plot_activation(tree)), tree._repr_svg_()]))
"""


def drawn(folder: Path, **settings: str) -> list[Any]:
    folder.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", DRAWN],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [*json.loads(ran.stdout), (folder / "tree.png").read_bytes()]


def test_the_environment_decides_no_figure(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(HOSTILE)
    figures = drawn(tmp_path / "plain")
    for number, backend in enumerate(["no_such_backend", "tkagg", "module://no.such.module"]):
        hostile = {"MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path), "PYTHONWARNINGS": "error", "DISPLAY": ""}
        assert drawn(tmp_path / str(number), **hostile) == figures, backend
