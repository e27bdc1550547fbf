"""How much is measured: in a short run, in a full one, and in the tests of the benchmarks themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.task import RESNET18, SMALL, Task


@dataclass(frozen=True)
class SearchSize:
    """One search problem, the same for both sides.

    Attributes:
        task: how each candidate is trained.
        images: of the bundled data, for both splits together; None for all.
        target: validation accuracy (0 to 1) after the last epoch that ends a search.
        val_fraction: part of the images to validate on; a target says more where its noise is small.
        most: full trainings whose steps a search may spend before it is given up.
        population: individuals of our generations; the paper's algorithm has its own.
        seeds: of the searches.
    """

    task: Task
    images: int | None
    target: float
    most: int
    population: int
    seeds: tuple[int, ...] = (0, 1, 2)
    val_fraction: float = 0.2


@dataclass(frozen=True)
class Sizes:
    """Repetitions and sizes of all parts.

    Attributes:
        resnet18_steps: timed turns of each side with the paper's network, see ``benchmarks.step.TURN``.
        small_steps: timed turns of each side with the small one.
        candidate_epochs: of a whole fitness evaluation.
        candidate_images: as in :class:`SearchSize`.
        candidate_seeds: timed evaluations of each side, each on a seed of its own.
        candidate_all: whether all three activations are evaluated, or one that stands for them.
        search: see there.
        overhead_candidates: of a search without training.
        overhead_repetitions: such searches, each with a seed of its own.
        overhead_sample: candidates over which its parts are timed.
        overhead_images: as in :class:`SearchSize`, of the trainings that are begun and never run.
        scaling_images: as in :class:`SearchSize`.
        scaling_rounds: timed rounds of one and of two workers.
        scaling_jobs: candidates of a round.
        tree_sizes: nodes of the trees that a step is timed with.
        batches: images of a step.
        width_factors: times the default widths.
        populations: individuals of a generation, in a search without training.
        stacks: candidates that are trained at once on an accelerator.
        gpu_rounds: timed rounds of whole evaluations there.
        rate_repetitions: timed runs of the matrix product and the convolutions.
        widths: of the small network; only tests change them, and the next.
        resnet18_widths: of the paper's network.
    """

    resnet18_steps: int
    small_steps: int
    candidate_epochs: int
    candidate_images: int | None
    candidate_seeds: int
    candidate_all: bool
    search: SearchSize
    overhead_candidates: int = 1000
    overhead_repetitions: int = 5
    overhead_sample: int = 200
    overhead_images: int | None = None
    scaling_images: int | None = None
    scaling_rounds: int = 5
    scaling_jobs: int = 4
    tree_sizes: tuple[int, ...] = (5, 20, 50, 100, 200)
    batches: tuple[int, ...] = (32, 64, 128, 256, 512)
    width_factors: tuple[float, ...] = (0.5, 1, 2, 4)
    populations: tuple[int, ...] = (10, 100, 1000, 10_000)
    stacks: tuple[int, ...] = (8, 32, 128)
    gpu_rounds: int = 5
    rate_repetitions: int = 5
    widths: tuple[int, ...] = SMALL.widths
    resnet18_widths: tuple[int, ...] = RESNET18.widths


SHORT_TARGET = 0.74
"""Two to three points above the plain sign on the textbook's side, and what it has on ours, whose learning rate
follows a cosine: 71.1 and 73.7 % (4 seeds each).

Measured on seeds from 1000 on, which no benchmark uses: of 40 random genotypes of the paper one reached it under the
textbook evaluator, and three of four of our searches did within 90 epochs of training.
"""
FULL_TARGET = 0.77
"""One to three points above the plain sign, which had 73.9 % on the textbook's side (6 seeds) and 75.8 % on ours (4).

Measured on seeds from 1000 on: the mean of sub(atan(x), exp_neg_abs(x)) was 77.5 % over three of our trainings.
"""

SHORT = Sizes(
    resnet18_steps=3,
    small_steps=45,
    candidate_epochs=1,
    candidate_images=None,
    candidate_seeds=5,
    candidate_all=False,
    search=SearchSize(
        SMALL.but(widths=(8, 16, 32), epochs=9, batch_size=32), 3000, SHORT_TARGET, 60, 20, val_fraction=0.5
    ),
    scaling_jobs=8,
    tree_sizes=(5, 200),
    batches=(32, 128, 512),
    width_factors=(0.5, 2),
    populations=(10, 100, 1000),
)
FULL = Sizes(
    resnet18_steps=7,
    small_steps=51,
    candidate_epochs=3,
    candidate_images=None,
    candidate_seeds=10,
    candidate_all=True,
    search=SearchSize(SMALL.but(epochs=3), None, FULL_TARGET, 40, 20),
    scaling_jobs=8,
    scaling_rounds=9,
)
QUICK = Sizes(
    resnet18_steps=1,
    small_steps=2,
    candidate_epochs=1,
    candidate_images=200,
    candidate_seeds=2,
    candidate_all=False,
    search=SearchSize(SMALL.but(widths=(4, 8), epochs=1, batch_size=32), 200, 0.30, 3, 3, seeds=(0,)),
    overhead_candidates=12,
    overhead_repetitions=1,
    overhead_sample=4,
    overhead_images=200,
    scaling_images=200,
    scaling_rounds=1,
    scaling_jobs=2,
    tree_sizes=(5,),
    batches=(32,),
    width_factors=(1,),
    populations=(10,),
    stacks=(2, 3),
    gpu_rounds=2,
    rate_repetitions=1,
    widths=(4, 8),
    resnet18_widths=(8, 8, 16, 16),
)
"""Far too small to measure anything; it shows that everything runs."""


@dataclass(frozen=True)
class Setup:
    """What a part of the benchmarks is given.

    Attributes:
        sizes: how much to measure.
        threads: CPU threads of each side.
        machine: what :func:`benchmarks.machine.facts` returned.
        say: shows one line of progress.
        save: keeps what the part has found so far, should the run be interrupted.
        earlier: what an interrupted run had found of this part, if it is resumed.
    """

    sizes: Sizes
    threads: int
    machine: Mapping[str, Any]
    say: Callable[[str], None] = lambda _line: None
    save: Callable[[Mapping[str, Any]], None] = lambda _result: None
    earlier: Mapping[str, Any] = field(default_factory=dict)
