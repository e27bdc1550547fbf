"""950,000 texts: trees, candidates, constraints. Only GaafError comes out, and what is read is read back."""

from __future__ import annotations

import random

import pytest

from gaaf_gp.search.constraints import AtMost, Below, NoneInside, as_constraints
from gaaf_gp.trees.candidate import Baseline, TwoTrees, parse_candidate, text_of
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from primitives import gaaf, minimal, template
from tests.fuzz.mutators import CASES, counted, damaged_text, refused

SETS = {"minimal": minimal.make_pset, "gaaf": gaaf.free, "template": template.make_pset}
TREES = 200
PARTS = 6


def grown(pset, seed=0):
    """Return trees of many sizes."""
    rng = random.Random(seed)
    return [Individual(generate(pset, 0, rng.randint(0, 5), rng=rng), pset) for _ in range(TREES)]


def words_of(pset):
    """Return what may stand in a text of this set, and what looks so."""
    return [*pset.mapping, "x", "(", ")", ",", "0.5", "-1e-3", "sin", "nothing"]


def test_there_are_a_million_cases():
    assert sum(CASES.values()) >= 1_000_000


@pytest.mark.slow(10)
@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_trees(part):
    psets = [make() for make in SETS.values()]
    corpus = [([str(tree) for tree in grown(pset)], words_of(pset), pset) for pset in psets]

    def case(draw):
        texts, words, pset = draw.choice(corpus)
        text = damaged_text(draw, texts, words)
        tree, message = refused(lambda: parse(text, pset))
        if tree is None:
            return "refused: " + message.split()[0]
        again = str(tree)
        assert parse(again, pset) == tree
        return "read"

    counts = counted("trees", part, PARTS, case)
    assert sum(counts.values()) == CASES["trees"] / PARTS
    assert set(counts) == {"read", "refused: cannot"}
    assert min(counts.values()) > 5000, counts


def candidates_text(draw, trees):
    """Return a candidate of any kind."""
    way = draw.randrange(6)
    if way < 2:
        return str(draw.choice(trees))
    if way < 4:
        return f"{draw.choice(trees)} | {draw.choice(trees)}"
    return draw.choice(("@sign", "@rsign", "@rprelu", f"{draw.choice(trees)} | @x", f"@neg(x) | {draw.choice(trees)}"))


@pytest.mark.slow(25)
@pytest.mark.parametrize("part", range(2))
def test_damaged_candidates(part):
    pset = gaaf.free()
    draw = random.Random(part)
    texts = [candidates_text(draw, grown(pset, part)) for _ in range(300)]

    def case(draw):
        text = damaged_text(draw, texts, [*words_of(pset), "|", "@", "@x", "@sign", "@neg"])
        found, message = refused(lambda: parse_candidate(text, pset))
        if message:
            return "refused"
        canonical = text_of(found)
        again = parse_candidate(canonical, pset)
        assert text_of(again) == canonical
        assert type(again) is type(found)
        if found is not None and draw.random() < 0.2:
            assert parse_candidate(str(found), pset) == found
        return type(found).__name__

    counts = counted("candidates", part, 2, case)
    assert set(counts) == {"refused", *(kind.__name__ for kind in (Individual, TwoTrees, Baseline, type(None)))}


@pytest.mark.slow(10)
@pytest.mark.parametrize("part", range(2))
def test_damaged_constraints(part):
    pset = gaaf.free()
    names = [*pset.mapping, "periodic", "learnable", "commutative"]
    draw = random.Random(part)
    forms = ("no {} inside {}", "at most 3 {1}", "at most 2 below {1}")
    texts = [draw.choice(forms).format(draw.choice(names), draw.choice(names)) for _ in range(200)]

    def case(draw):
        text = damaged_text(draw, texts, [*names, "no", "inside", "at", "most", "below", "7", "9" * 5000, "\u0663"])
        found, message = refused(lambda: as_constraints(text, pset))
        if message:
            return "refused"
        (one,) = found
        assert all(word in names for word in one.words())
        return type(one).__name__

    counts = counted("constraints", part, 2, case)
    assert set(counts) == {"refused", *(kind.__name__ for kind in (NoneInside, AtMost, Below))}
