"""Evolve two trees at once: one whose sign the network takes, and one whose derivative it learns with.

A single activation function does both, and many share one sign pattern and differ in the gradient only. Here each part
is searched for by itself; in the end either tree is also tried alone, so that the gain of each is seen: the forward
one with the clipped identity, the backward one with the plain sign. The settings are the choices; most can be given on
the command line too. Results go to out/two_trees, or the next free name. Compare with gaaf-gp evolve at the same
budget.
"""

from pathlib import Path

from gaaf_gp import Limits
from gaaf_gp.cli import finish, script
from gaaf_gp.experiments import Settings, run

SETTINGS = Settings(
    out=Path("out/two_trees"),
    primitives="primitives.gaaf:free",  # every operator of the paper, trees of any shape, evolved constants
    data="fashion10k",  # comes with the project
    two_trees=True,
    evaluations=200,  # distinct pairs that are trained
    population=20,
    limits=Limits(height=5, size=15),  # of each tree: two of them are as large as one elsewhere
    proxy={"epochs": 3},  # that a pair is trained for
    extra_seeds=2,  # where pairs cannot be told from the best
    fresh_seeds=10,  # differences of either part are small
    seed=0,
)


def main(settings: Settings = SETTINGS) -> None:
    """Search for a forward and a backward tree, and confirm the winner and its parts on fresh seeds."""
    finish(run(settings), settings.out)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
