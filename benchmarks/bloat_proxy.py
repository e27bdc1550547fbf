"""How far the proxy of the search part may be trusted: what a training costs, its noise, and how it ranks.

Random live functions of the search space are trained on a few seeds, in that proxy and in the default one on others.
Run ``python -m benchmarks.bloat_proxy``: a few minutes.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bloat_search import FRESH, SEEN, cheap_proxy, default_proxy
from gaaf_gp import Individual, Proxy
from gaaf_gp.statistics import RankCorrelation, pooled_deviation, rank_correlation
from gaaf_gp.trees import gen_half_and_half
from gaaf_gp.util.devices import threads
from primitives import gaaf

FUNCTIONS = 40
CHEAP_SEEDS, DEFAULT_SEEDS = range(3), FRESH


@dataclass(frozen=True)
class Judged:
    """How functions did in one proxy.

    Attributes:
        accuracies: of each function on each seed; those that failed on some seed have none.
        seconds: mean processor time of a training.
    """

    accuracies: list[list[float]]
    seconds: float

    @property
    def noise(self) -> float | None:
        """Standard deviation over seeds, pooled over the functions."""
        return pooled_deviation(self.accuracies)


def draw(proxy: Proxy, number: int) -> list[Individual]:
    """Return different live random functions, as a search begins with."""
    pset, rng, found = gaaf.free(), random.Random(0), dict[str, Individual]()
    while len(found) < number:
        tree = Individual(gen_half_and_half(pset, 1, 3, rng=rng, max_size=30), pset)
        behaviour = proxy.behaviour(tree)
        if behaviour.failure is None:
            found.setdefault(behaviour.signature, tree)
    return list(found.values())


def judge(proxy: Proxy, trees: list[Individual], seeds: Sequence[int]) -> Judged:
    """Train all functions on all seeds, in this process."""
    proxy.train(None, 0)  # warms up
    started = time.process_time()
    outcomes = [[proxy.train(tree, seed) for seed in seeds] for tree in trees]
    seconds = (time.process_time() - started) / (len(trees) * len(seeds))
    failed = [any(one.failure for one in row) for row in outcomes]
    return Judged(
        [[] if bad else [o.accuracy for o in row] for row, bad in zip(outcomes, failed, strict=True)], seconds
    )


def agreement(cheap: Judged, usual: Judged) -> RankCorrelation:
    """Return how the first seed of one proxy, which searches see, ranks functions as the mean of the other does."""
    both = [(a[0], statistics.fmean(b)) for a, b in zip(cheap.accuracies, usual.accuracies, strict=True) if a and b]
    return rank_correlation([one for one, _ in both], [other for _, other in both])


def main() -> None:
    """Print the study."""
    proxies = {"of the search": (cheap_proxy(), CHEAP_SEEDS), "default": (default_proxy(), DEFAULT_SEEDS)}
    trees = draw(proxies["default"][0], FUNCTIONS)
    with threads(1):
        found = {name: judge(proxy, trees, seeds) for name, (proxy, seeds) in proxies.items()}
    for name, one in found.items():
        alive = sum(map(bool, one.accuracies))
        print(f"{name}: {one.seconds:.2f} s a training, noise {100 * (one.noise or 0):.2f} points, {alive} functions")
    ranks = agreement(found["of the search"], found["default"])
    print(
        f"one training (seed {SEEN[0]}) against the mean of {len(FRESH)} in the default proxy: Kendall's tau "
        f"{ranks.tau:.2f} ({ranks.low:.2f} to {ranks.high:.2f})"
    )


if __name__ == "__main__":
    main()
