"""The search of runs/paper_encoding1.py in the paper's encoding 2, b1(u2(b0(u0(x), u1(x))), u3(x)): 28 million.

What is written here is all that differs. Results go to out/paper_encoding2, or the next free name.
"""

from dataclasses import replace
from pathlib import Path

import paper_encoding1
from paper_encoding1 import Published, Threshold

from gaaf_gp.cli import script
from gaaf_gp.experiments import Settings

SETTINGS = replace(paper_encoding1.SETTINGS, out=Path("out/paper_encoding2"), primitives="primitives.gaaf:encoding2")
THRESHOLD = 0.2  # what a first individual must exceed: twice what guessing among ten classes gets


def main(settings: Settings = SETTINGS, published: Published = False, threshold: Threshold = THRESHOLD) -> None:
    """Search with the paper's genetic algorithm, and confirm the winner on fresh seeds."""
    paper_encoding1.main(settings, published, threshold)


if __name__ == "__main__":  # worker processes import this file too
    script(main)
