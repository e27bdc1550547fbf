"""The filter of an exhaustive search, against plain sets."""

import itertools
from collections import Counter

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.search.distinct import distinct
from gaaf_gp.trees.parser import parse

TEXTS = ("x", "sin(x)", "neg(x)", "sub(x, x)", "cos(x)", "sin(sin(x))", "sub(x, x)")


def test_each_live_behaviour_is_yielded_once_and_the_others_are_counted(free):
    trees = [parse(text, free) for text in TEXTS]
    left_out: Counter[str] = Counter()
    kept = [tree.canonical for tree in distinct(trees, behaviour, left_out)]
    live = [tree for tree in trees if behaviour(tree).failure is None]
    first: dict[str, str] = {}
    for tree in live:
        first.setdefault(behaviour(tree).signature, tree.canonical)
    assert kept == list(first.values())
    assert kept[:2] == ["x", "sin(x)"]
    assert left_out["same behaviour"] == len(live) - len(kept) >= 1
    assert left_out.total() == len(trees) - len(kept)
    assert len(left_out) == 2


def test_an_endless_stream_is_read_only_as_far_as_needed(free):
    trees = (parse("x", free) for _ in itertools.count())
    assert [tree.canonical for tree in itertools.islice(distinct(trees, behaviour), 1)] == ["x"]
