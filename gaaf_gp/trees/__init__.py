"""Trees: strongly typed expression trees on DEAP, from primitive set to torch module.

- ``PrimitiveSet``: what trees are made of: DEAP's ``PrimitiveSetTyped``, checked as it grows
- ``Individual``: one tree: a ``gp.PrimitiveTree`` that knows its set and its fitness
- ``Fitness``: one value to maximise, in which NaN never wins
- ``ParetoFitness``: accuracy to maximise and size to minimise, for NSGA-II
- ``TwoTrees``: a forward tree for the sign and a backward tree for the derivative
- ``Candidate``: whatever can be trained: one tree, two trees or a baseline
- ``Baseline``: a hand-made activation to compare with: RSign, RPReLU
- ``parse_candidate``: text -> tree, two trees, baseline or plain sign
- ``parse``: text -> individual; nothing is evaluated
- ``load_primitives``: ``module:function`` or ``file.py:function`` -> primitive set
- ``Activation``: a tree as a ``torch.nn.Module``
- ``evaluate``: f(x) of a tree without making a module
- ``Limits``: the greatest height and size of a tree
- ``DEFAULT_LIMITS``: those of a search
- ``generate``: a random tree within limits
- ``gen_half_and_half``: the nodes of a random tree, ramped half-and-half
- ``cx_one_point``: crossover: exchange subtrees of one type
- ``mut_any``: mutation: one random operator of several
- ``enrichment``: what is more frequent among the best trees
- ``enrichments``: the same for every operator and tag
- ``Enrichment``: what both return
"""

from gaaf_gp.trees.candidate import Baseline, Candidate, TwoTrees, parse_candidate
from gaaf_gp.trees.compile import Activation, evaluate
from gaaf_gp.trees.enrichment import Enrichment, enrichment, enrichments
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits, gen_half_and_half, generate
from gaaf_gp.trees.individual import Fitness, Individual, ParetoFitness
from gaaf_gp.trees.load import load_primitives
from gaaf_gp.trees.operators import cx_one_point, mut_any
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet

__all__ = [
    "DEFAULT_LIMITS",
    "Activation",
    "Baseline",
    "Candidate",
    "Enrichment",
    "Fitness",
    "Individual",
    "Limits",
    "ParetoFitness",
    "PrimitiveSet",
    "TwoTrees",
    "cx_one_point",
    "enrichment",
    "enrichments",
    "evaluate",
    "gen_half_and_half",
    "generate",
    "load_primitives",
    "mut_any",
    "parse",
    "parse_candidate",
]
