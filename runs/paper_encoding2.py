"""The paper's search: its genetic algorithm over its encoding 2, b1(u2(b0(u0(x), u1(x))), u3(x)): 28 million.

Source: Li et al. 2023 (arXiv 2206.03291). The algorithm is repaired where its published code is wrong; ``--published``
runs it as it was (:mod:`gaaf_gp.search.genetic`). The training is ours, so the paper's figures are not reproduced. The
arguments are the choices; most can be given on the command line too. Random search has the same budget afterwards, for
comparison; what both meet is trained once. Results go to out/paper_encoding2, or the next free name.
"""

from pathlib import Path

from gaaf_gp.cli import script
from gaaf_gp.cli.paper import PaperSearch
from gaaf_gp.training.proxy import DEFAULT_EPOCHS

SEARCH = PaperSearch(
    primitives="primitives.gaaf:encoding2",
    data="fashion10k",  # comes with the project; "cifar10" is the paper's
    evaluations=2030,  # the paper's 30, and 200 generations of 10
    population=30,
    children=10,
    threshold=0.2,  # what a first individual must exceed: twice what guessing among ten classes gets
    epochs=DEFAULT_EPOCHS,
    seed=0,
    out=Path("out/paper_encoding2"),
)

if __name__ == "__main__":  # worker processes import this file too
    script(SEARCH.command())
