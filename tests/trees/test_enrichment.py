"""Enrichment against Fisher's test worked out with whole numbers, on trees of the project's own sets."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.statistics import holm
from gaaf_gp.trees.enrichment import enrichment, enrichments, features
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives import minimal

PSET = minimal.make_pset()


def nested(depth: int, first: str | None = None) -> Individual:
    """Return tanh(tanh(... x)), all different, with another function on top if there is one."""
    text = "tanh(" * depth + "x" + ")" * depth
    return parse(f"{first}({text})" if first else text, PSET)


def population(best_with: int, best: int, rest_with: int, rest: int) -> tuple[list[Individual], list[float], int]:
    """Return individuals of which so many have a sine, their fitnesses (the best last) and the number of the best."""
    has = [number < rest_with for number in range(rest)] + [number < best_with for number in range(best)]
    individuals = [nested(depth, "sin" if one else None) for depth, one in enumerate(has, start=1)]
    return individuals, [float(number) for number in range(len(has))], best


def weights(best: int, evaluated: int, with_it: int) -> dict[int, int]:
    """Return for each possible number of the best with the feature, in how many ways it comes about."""
    lowest, highest = max(0, best + with_it - evaluated), min(best, with_it)
    return {
        count: math.comb(with_it, count) * math.comb(evaluated - with_it, best - count)
        for count in range(lowest, highest + 1)
    }


def share(ways: dict[int, int], odds: float, wanted: set[int]) -> float:
    """Return the chance of the numbers wanted where the feature has these odds (Fisher 1935)."""
    scaled = {count: way * odds**count for count, way in ways.items()}
    return sum(scaled[count] for count in wanted & scaled.keys()) / sum(scaled.values())


def test_a_table_by_hand():
    # The tea lady: of 8 cups 4 had milk first, and she named 3 of them.
    found = enrichment(*population(3, 4, 1, 4), feature="sin")
    assert (found.feature, found.kind) == ("sin", "primitive")
    assert (found.best, found.best_with, found.evaluated, found.evaluated_with) == (4, 3, 8, 4)
    assert (found.share_best, found.share_evaluated) == (0.75, 0.5)
    assert found.p_value == pytest.approx(2 * 17 / 70)
    assert found.odds_ratio == pytest.approx(6.408309, rel=1e-5), "Agresti, Categorical Data Analysis, chapter 3"
    # With odds w the chances of 0 to 4 right cups are as 1 : 16 w : 36 w^2 : 16 w^3 : w^4.
    ways = {0: 1, 1: 16, 2: 36, 3: 16, 4: 1}
    assert share(ways, found.low, {3, 4}) == pytest.approx(0.025)
    assert share(ways, found.high, {0, 1, 2, 3}) == pytest.approx(0.025)
    assert found.p_holm is None


tables = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda sizes: st.tuples(st.integers(0, sizes[0]), st.just(sizes[0]), st.integers(0, sizes[1]), st.just(sizes[1]))
)


@given(tables)
@settings(max_examples=30, deadline=None)
def test_tables_are_judged_by_counting_all_of_them(table):
    best_with, best, rest_with, rest = table
    found = enrichment(*population(*table), feature="sin", confidence=0.9)
    ways = weights(best, best + rest, best_with + rest_with)
    total = sum(ways.values())
    unlikely = sum(way for way in ways.values() if way <= ways[best_with])
    assert found.p_value == pytest.approx(float(Fraction(unlikely, total)))
    if best_with + rest_with in (0, best + rest):
        assert found.odds_ratio is None
        return
    assert found.odds_ratio is not None
    if best_with == min(ways):
        assert (found.odds_ratio, found.low) == (0, 0)
    else:
        assert share(ways, found.low, {count for count in ways if count >= best_with}) == pytest.approx(0.05, rel=1e-4)
    if best_with == max(ways):
        assert found.odds_ratio == found.high == math.inf
    else:
        assert share(ways, found.high, {count for count in ways if count <= best_with}) == pytest.approx(0.05, rel=1e-4)
    if min(ways) < best_with < max(ways):
        expected = sum(count * share(ways, found.odds_ratio, {count}) for count in ways)
        assert expected == pytest.approx(best_with, rel=1e-4), "the likeliest odds make the table the expected one"


def test_an_individual_has_a_primitive_once_and_the_tags_of_its_nodes():
    assert features(parse("sin(sin(add(x, x)))", PSET)) == {"sin", "add", "periodic"}
    assert features(parse("tanh(x)", PSET)) == {"tanh"}
    assert features(parse("x", PSET)) == frozenset()


def scaled(x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return x * s


def test_learnable_primitives_are_a_tag():
    pset = PrimitiveSet("learns")
    pset.addPrimitive(scaled, [Feature], Feature, name="scaled", learnable=(1.0,))
    pset.addPrimitive(torch.cos, [Feature], Feature, periodic=True)
    assert features(parse("scaled(cos(x))", pset.check())) == {"scaled", "cos", "learnable", "periodic"}


def test_periodic_is_any_periodic_primitive():
    individuals = [nested(1), nested(2), nested(3), nested(4, "sin"), nested(5, "cos")]
    found = enrichment(individuals, [0.1, 0.2, 0.3, 0.8, 0.9], 2)
    assert (found.feature, found.kind, found.best_with, found.evaluated_with) == ("periodic", "tag", 2, 2)
    assert found.p_value == pytest.approx(1 / 10)


def test_ties_twins_and_values_that_are_no_numbers():
    twice = parse("add(x, sin(x))", PSET), parse("add(sin(x), x)", PSET)
    individuals = [*twice, nested(1), nested(2), nested(3), nested(4, "sin")]
    found = enrichment(individuals, [0.9, 0.1, 0.5, 0.5, 0.2, math.nan], 2)
    assert (found.best, found.best_with) == (3, 1), "those that equal the second are among the best"
    assert (found.evaluated, found.evaluated_with) == (5, 2), "commuted arguments make no new individual"


def test_all_features_are_corrected_together():
    individuals, fitnesses, k = population(6, 6, 2, 20)
    found = enrichments(individuals, fitnesses, k)
    assert [one.feature for one in found] == ["periodic", "sin", "tanh"]
    assert [one.p_holm for one in found] == pytest.approx(holm([one.p_value for one in found]))
    assert found[0].p_value == found[1].p_value == pytest.approx(math.comb(8, 6) / math.comb(26, 6))
    assert found[2].odds_ratio is None, "all have it"
    alone = enrichment(individuals, fitnesses, k, "sin")
    assert (found[1].odds_ratio, found[1].low, found[1].high) == (alone.odds_ratio, alone.low, alone.high)


@pytest.mark.parametrize(
    ("k", "feature", "message"),
    [
        (0, "sin", "k must leave a best and a rest among 4 distinct individuals.* got 0"),
        (4, "sin", "got 4: choose another k"),
        (3, "sin", "got 3: choose another k"),
        (1, "sine", r"got 'sine'; the primitives are add, cos, mul, sin, sub, tanh"),
    ],
)
def test_questions_without_an_answer_are_refused(k, feature, message):
    individuals = [nested(depth) for depth in range(1, 5)]
    with pytest.raises(GaafError, match=message):
        enrichment(individuals, [0.9, 0.8, 0.1, 0.1], k, feature)


def test_lengths_that_differ_are_refused():
    with pytest.raises(GaafError, match="a fitness for each individual, got 1 and 2"):
        enrichments([nested(1)], [0.1, 0.2], 1)
    with pytest.raises(GaafError, match="a fitness for each individual, got 0 and 0"):
        enrichments([], [], 1)
    with pytest.raises(GaafError, match="between 0 and 1, got 2"):
        enrichments([nested(1), nested(2)], [0.1, 0.2], 1, confidence=2)
