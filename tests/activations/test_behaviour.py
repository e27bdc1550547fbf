"""What is judged without training, and that equal signatures train alike: bit by bit, in real trainings."""

import itertools
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gaaf_gp.activations.behaviour import (
    CONSTANT_SIGN,
    GRADIENT_NOT_FINITE,
    NOT_A_NUMBER,
    OUT_OF_MEMORY,
    ZERO_GRADIENT,
    Behaviour,
    _normal,
    behaviour,
    failure_reason,
)
from gaaf_gp.binary import Surrogate, bfloat16_inputs, binarize, table_binarize, tabulate
from gaaf_gp.trees.candidate import Baseline, parse_candidate
from gaaf_gp.trees.compile import Activation
from gaaf_gp.trees.generation import generate
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives import gaaf, template

FREE = gaaf.free()
CLIPPED = Surrogate("clipped", 1.3)
CUBED = "cube(cube(cube(x)))"


def ghost(x: Tensor, s: Tensor) -> Tensor:
    """x, whatever s is, but with a gradient of s."""
    return x + (s - s.detach())


def strong_ghost(x: Tensor, s: Tensor) -> Tensor:
    return x + 2 * (s - s.detach())


def coarse(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def steep(x: Tensor) -> Tensor:
    return torch.sqrt(torch.abs(x - 1)) - 0.5


def steep_vector(x: Tensor, s: Tensor) -> Tensor:
    return x + torch.sqrt(s)


def picky(x: Tensor) -> Tensor:
    if len(x) > 1000:
        raise MemoryError("by far")
    return x * 1


def odd_set() -> PrimitiveSet:
    pset = PrimitiveSet("odd")
    pset.addPrimitive(ghost, [Feature], Feature, learnable=(1.0,))
    pset.addPrimitive(strong_ghost, [Feature], Feature, learnable=(1.0,))
    pset.addPrimitive(coarse, [Feature], Feature)
    pset.addPrimitive(steep, [Feature], Feature, nonfinite=("gradient",))
    pset.addPrimitive(steep_vector, [Feature], Feature, learnable=(0.0,), nonfinite=("value", "gradient"))
    pset.addPrimitive(picky, [Feature], Feature)
    pset.addPrimitive(torch.sign, [Feature], Feature)
    return pset.check()


ODD = odd_set()


def of(text: str, surrogate: Surrogate = CLIPPED, negation: bool = True) -> Behaviour:
    odd = any(name in text for name in ODD.mapping if name != "x")
    candidate = parse_candidate(text, ODD if odd else FREE)
    assert candidate is not None
    return behaviour(candidate, surrogate, negation)


def is_fixed(tree: Individual) -> bool:
    return not any(node.name in FREE.traits and FREE.traits[node.name].learnable for node in tree)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("x", None),
        ("const(1.0)", CONSTANT_SIGN),
        ("square(x)", CONSTANT_SIGN),
        ("neg(square(x))", CONSTANT_SIGN),
        ("sub(x, const(64.1))", CONSTANT_SIGN),
        ("sub(x, const(63.9))", None),
        (f"sub({CUBED}, {CUBED})", NOT_A_NUMBER),
        (CUBED, None),
        ("sign(x)", ZERO_GRADIENT),
        ("div(x, zero(x))", ZERO_GRADIENT),
        ("steep(x)", GRADIENT_NOT_FINITE),
        ("picky(x)", OUT_OF_MEMORY),
        # with learnable vectors: what their gradients may repair is tried
        ("scale(x)", None),
        ("scale(square(x))", None),
        ("mix(square(x), neg(x))", None),
        ("mix(square(x), square(x))", CONSTANT_SIGN),
        ("min(zero(x), channel(x))", CONSTANT_SIGN),
        ("min(zero(x), neg(channel(x)))", None),
        ("gauss_distance(x, scale(x))", CONSTANT_SIGN),
        ("ghost(sign(x))", None),
        ("ratio(neg(x), scale(x))", ZERO_GRADIENT),
        ("div(scale(x), zero(x))", ZERO_GRADIENT),
        (f"scale(sub({CUBED}, {CUBED}))", NOT_A_NUMBER),
        ("steep_vector(x)", GRADIENT_NOT_FINITE),
        # without tables a zero that comes in meets an infinite derivative
        (f"scale({CUBED})", GRADIENT_NOT_FINITE),
    ],
)
def test_only_what_training_cannot_repair_fails(text: str, failure: str | None) -> None:
    assert of(text).failure == failure


def test_reasons_are_readable() -> None:
    assert (ZERO_GRADIENT, GRADIENT_NOT_FINITE) == ("zero gradient", "gradient not finite")
    assert failure_reason(ValueError("two\nlines")) == "ValueError: two"
    assert failure_reason(RuntimeError("CUDA out of memory")) == OUT_OF_MEMORY


def test_what_raises_is_told_apart_by_its_text() -> None:
    assert of("picky(x)").signature == of("picky(x)").signature != of("picky(picky(x))").signature


def test_a_dead_vector_stays_where_it_is_in_training_and_a_living_one_moves() -> None:
    moved = {}
    for text in (
        "mix(square(x), square(x))",
        "gauss_distance(x, scale(x))",
        "scale(square(x))",
        "mix(square(x), neg(x))",
    ):
        activations: list[nn.Module] = []
        losses(parse(text, FREE), activations=activations)
        traits = [FREE.traits[node.name] for node in activations[0].tree if node.name in FREE.traits]
        (start,) = [start for trait in traits for start in trait.learnable]
        moved[text] = any(bool((p != start).any()) for a in activations for p in a.parameters())
        assert moved[text] == (of(text).failure is None)
    assert Counter(moved.values()) == {True: 2, False: 2}


def test_the_learnable_genotypes_of_the_first_encoding_that_cannot_revive() -> None:
    # 1,714 of the 5,324 genotypes learn; 911 live at the start and 755 of the dead have a gradient: 48 are left
    trees = [gaaf.from_genes(genes) for genes in itertools.product(range(22), range(22), range(11))]
    learning = [tree for tree in trees if not is_fixed(tree)]
    assert (len(trees), len(learning)) == (5324, 1714)
    found = Counter(behaviour(tree).failure for tree in learning)
    assert found[CONSTANT_SIGN] == 1714 - 911 - 755
    assert set(found) == {None, CONSTANT_SIGN, ZERO_GRADIENT}


EQUAL = [
    ("x", "identity(identity(x))"),
    ("x", "mul(add(x, x), const(0.5))"),
    ("x", "min(x, x)"),
    ("x", "max(x, x)"),
    ("x", "add(positive(x), negative(x))"),
    ("x", "neg(x)"),
    ("x", "sub(x, zero(x))"),
    ("add(sin(x), x)", "add(x, sin(x))"),
    ("add(sin(x), x)", "neg(add(x, sin(x)))"),
    ("add(sin(x), x)", "sub(sin(neg(x)), x)"),
    ("sub(cos(x), const(0.2))", "sub(const(0.2), cos(x))"),
    ("scale(x)", "mul(x, channel(x))"),
    ("scale(x)", "scale(neg(x))"),
    ("scale(sin(x))", "neg(scale(sin(x)))"),
    ("add(x, scale(sin(x)))", "sub(neg(x), scale(sin(x)))"),
    ("add(scale(sin(x)), shift(cos(x)))", "add(shift(cos(x)), scale(sin(x)))"),
]
APART = [
    ("x", "scale(x)"),
    ("scale(x)", "shift(x)"),
    ("x", "cube(x)"),
    ("x", "add(x, x)"),
    ("x", "add(sin(x), x)"),
    ("sin(x)", "cos(x)"),
    ("sin(x)", "sin(add(x, x))"),
    ("x", "shift(x)"),
    ("scale(sin(x))", "sin(scale(x))"),
    ("scale(x)", "scale(scale(x))"),
    ("add(scale(square(x)), x)", "add(scale(cube(x)), x)"),
    ("negative(x)", "neg(negative(x))"),
    ("sub(x, const(0.0078125))", "sub(const(0.0078125), x)"),
    ("ghost(x)", "strong_ghost(x)"),
]


def losses(tree: Individual, orientation: int = 1, activations: list[nn.Module] | None = None) -> list[float]:
    """Train two binary layers for 25 steps; what learns runs as it is, everything else from its tables."""
    generator = torch.Generator().manual_seed(7)
    images, labels = torch.randn(96, 12, generator=generator), torch.arange(96) % 4
    first = (torch.randn(12, 16, generator=generator) / 4).requires_grad_()
    latent = [
        (orientation * (torch.rand(*shape, generator=generator) - 0.5)).requires_grad_()
        for shape in ((16, 16), (16, 4))
    ]
    bias = torch.randn(16, generator=generator) / 5  # without it sums of signs are often exactly 0
    made = [Activation(tree, 16), Activation(tree, 16)]
    learns = any(True for _ in made[0].parameters())
    tables = None if learns else tabulate(Activation(tree, 1), CLIPPED)
    if activations is not None:
        activations.extend(made)
    optimizer = torch.optim.Adam([first, *latent, *(p for m in made for p in m.parameters())], lr=0.02)
    result = []
    for _ in range(25):
        x = images @ first
        for function, weight in zip(made, latent, strict=True):
            x = functional.batch_norm(x, None, None, bias=bias, training=True)
            signs = binarize(function(x), CLIPPED) if tables is None else table_binarize(x, tables)
            x = signs @ binarize(weight, CLIPPED)
        loss = functional.cross_entropy(x / 4, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        result.append(float(loss.detach()))
    return result


def trained(text: str) -> list[float]:
    tree = parse(text, ODD if "ghost" in text else FREE)
    return losses(tree, behaviour(tree, CLIPPED).orientation)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_signatures_train_alike(one: str, other: str) -> None:
    assert of(one).signature == of(other).signature
    history = trained(one)
    assert history == trained(other)
    assert len(set(history)) > 1, "a training that stands still would tell nothing"


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_trains_differently_is_kept_apart(one: str, other: str) -> None:
    assert of(one).signature != of(other).signature
    if "ghost" not in one:  # a ghost moves without effect
        assert trained(one) != trained(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # equal on bfloat16 values, but without tables inputs keep all their bits
        ("ghost(coarse(x))", "ghost(x)"),
        # equal where the vector is positive, as it is at the start
        ("abs(scale(sin(x)))", "scale(abs(sin(x)))"),
        # equal where the vector is as at the start
        ("mix(x, sin(x))", "mix(x, cos(x))"),
    ],
)
def test_functions_that_learn_must_agree_everywhere(one: str, other: str) -> None:
    assert of(one).signature != of(other).signature


def test_orientation() -> None:
    assert [of(text).orientation for text in ("x", "neg(x)", "scale(neg(x))", "sub(x, const(1.0))")] == [1, -1, -1, 1]
    assert of("neg(x)", negation=False).orientation == 1
    assert of("neg(x)", negation=False).signature != of("x", negation=False).signature == of("x").signature
    assert of("neg(scale(x))", negation=False).signature != of("scale(x)", negation=False).signature


def test_a_negated_function_does_not_train_alike_without_negated_weights() -> None:
    one, other = parse("sub(cos(x), const(0.2))", FREE), parse("sub(const(0.2), cos(x))", FREE)
    assert losses(one) != losses(other)
    assert losses(one) == losses(other, orientation=-1)


def test_surrogates_are_part_of_the_signature() -> None:
    surrogates = [CLIPPED, Surrogate("clipped", 1.0), Surrogate("triangle", 1.3), Surrogate("tanh", 1.3)]
    for text in ("x", "scale(x)", "zero(x)"):
        assert len({of(text, surrogate).signature for surrogate in surrogates}) == 4
    assert behaviour(parse("x", FREE)) == of("x"), "the paper's surrogate is the default"


def oriented_tables(tree: Individual) -> bytes:
    """The tables at 0 and from 2^-40 to 64, turned so that f(1) is not below zero; the sign of f(0) = 0 is left out."""
    function = Activation(tree, 1)
    tables = tabulate(function, CLIPPED)
    every = bfloat16_inputs().flatten()
    met = (every == 0) | ((every.abs() >= 2.0**-40) & (every.abs() <= 64))
    turn = -1.0 if float(function(torch.ones(1, 1))) < 0 else 1.0
    zero = (every == 0) & (function(every.unsqueeze(1)).flatten() == 0)
    sign = torch.where(zero, 0.0, turn * (tables.sign.float() * 2 - 1))
    slope = turn * tables.slope.float() + 0.0
    return bytes(torch.stack([sign[met], slope[met]]).view(torch.uint8).flatten().tolist())


def test_equal_signatures_are_equal_tables() -> None:
    rng = random.Random(3)
    genes = [[rng.randrange(22), rng.randrange(22), rng.randrange(11)] for _ in range(250)]
    trees = [tree for tree in map(gaaf.from_genes, genes) if is_fixed(tree)]
    trees += [tree for tree in (Individual(generate(FREE, 1, 4, rng=rng), FREE) for _ in range(150)) if is_fixed(tree)]
    groups: dict[str, set[bytes]] = defaultdict(set)
    signatures: dict[bytes, set[str]] = defaultdict(set)
    for tree in trees:
        signature, tables = behaviour(tree, CLIPPED).signature, oriented_tables(tree)
        groups[signature].add(tables)
        signatures[tables].add(signature)
    assert 50 < len(groups) < len(trees) - 20
    assert all(len(found) == 1 for found in groups.values())
    assert all(len(found) == 1 for found in signatures.values())


@pytest.mark.parametrize("pset", [FREE, template.make_pset()], ids=["free", "template"])
def test_the_canonical_form_has_the_same_behaviour(pset: PrimitiveSet) -> None:
    rng = random.Random(5)
    for _ in range(60):
        tree = Individual(generate(pset, 1, 5, rng=rng), pset)
        found = behaviour(tree)
        assert found == behaviour(parse(tree.canonical, pset))
        assert len(found.signature) == 32
        int(found.signature, 16)


def signatures_of_random_trees() -> Sequence[str]:
    rng = random.Random(11)
    return [behaviour(Individual(generate(FREE, 1, 5, rng=rng), FREE)).signature for _ in range(12)]


def test_another_process_finds_the_same() -> None:
    program = (
        "import random, torch; torch.set_num_threads(1)\n"
        "from gaaf_gp.activations.behaviour import behaviour\n"
        "from gaaf_gp.trees.generation import generate\n"
        "from gaaf_gp.trees.individual import Individual\n"
        "from primitives import gaaf\n"
        "free, rng = gaaf.free(), random.Random(11)\n"
        "for _ in range(12): print(behaviour(Individual(generate(free, 1, 5, rng=rng), free)).signature)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "123"},
    )  # fmt: skip
    here = signatures_of_random_trees()
    assert done.stdout.split() == here == signatures_of_random_trees()
    assert len(set(here)) > 8


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradients_may_be_on_or_off(mode: type[torch.no_grad]) -> None:
    with mode():
        before = torch.is_grad_enabled()
        found = of("sin(x)"), of("scale(sin(x))")
        assert torch.is_grad_enabled() == before
    assert found == (of("sin(x)"), of("scale(sin(x))"))


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("sin(x) | x", None),
        ("square(x) | x", CONSTANT_SIGN),
        ("square(x) | scale(x)", CONSTANT_SIGN),
        ("scale(square(x)) | x", None),
        ("x | const(1.0)", ZERO_GRADIENT),
        ("scale(x) | const(1.0)", ZERO_GRADIENT),
        ("x | channel(x)", None),
        (f"sub({CUBED}, {CUBED}) | x", NOT_A_NUMBER),
        (f"x | sub({CUBED}, {CUBED})", NOT_A_NUMBER),
        (f"x | scale({CUBED})", GRADIENT_NOT_FINITE),
        (f"scale({CUBED}) | x", GRADIENT_NOT_FINITE),
        # the derivative of the forward tree by x is not used
        ("steep(x) | x", None),
        ("x | steep(x)", GRADIENT_NOT_FINITE),
        ("sign(x) | x", None),
        ("x | sign(x)", ZERO_GRADIENT),
        ("picky(x) | x", OUT_OF_MEMORY),
        ("x | picky(x)", OUT_OF_MEMORY),
        ("@rsign", None),
        ("@rprelu", None),
    ],
)
def test_two_trees_fail_by_what_each_is_for(text: str, failure: str | None) -> None:
    assert of(text).failure == failure


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sin(x) | sin(x)", "sin(x)", True),
        ("x | x", "x", True),
        ("@x | @x", "x", True),
        ("cube(x) | x", "x", True),  # they share their signs
        ("x | cube(x)", "x", False),
        ("x | cube(x)", "cube(x)", True),
        ("sin(x) | x", "x | sin(x)", False),
        ("neg(sin(x)) | neg(x)", "sin(x) | x", True),
        ("neg(sin(x)) | @neg(x)", "sin(x) | @x", True),
        ("neg(sin(x)) | x", "sin(x) | x", False),
        ("sin(x) | neg(x)", "sin(x) | x", False),
        ("neg(scale(sin(x))) | neg(cos(x))", "scale(sin(x)) | cos(x)", True),
        ("neg(sin(x)) | neg(shift(x))", "sin(x) | shift(x)", True),
        ("scale(x) | x", "x | scale(x)", False),
        ("scale(x) | x", "scale(x)", False),
        ("scale(x) | shift(x)", "scale(x) | scale(x)", False),
        ("x | scale(x)", "sin(x) | scale(x)", False),
        ("x | scale(x)", "x | scale(sin(x))", False),
        ("@rsign", "@rprelu", False),
        ("@rsign", "x", False),
    ],
)
def test_signatures_of_two_trees(one: str, other: str, same: bool) -> None:
    assert (of(one).signature == of(other).signature) == same


def test_the_forward_tree_decides_the_orientation_of_both() -> None:
    texts = ("neg(x) | x", "x | neg(x)", "neg(scale(x)) | x", "@rsign")
    assert [of(text).orientation for text in texts] == [-1, 1, -1, 1]
    assert of("neg(x) | x", negation=False).orientation == 1
    assert of("neg(sin(x)) | neg(x)", negation=False).signature != of("sin(x) | x", negation=False).signature


def test_the_surrogate_is_part_of_every_signature() -> None:
    other = Surrogate("clipped", 1.0)
    for text in ("sin(x) | cos(x)", "scale(x) | x"):
        assert of(text).signature != of(text, other).signature
    assert behaviour(Baseline("rsign")).signature != behaviour(Baseline("rsign"), other).signature


def test_two_trees_are_judged_in_their_canonical_form() -> None:
    assert of("add(sin(x), x) | mul(x, cos(x))") == of("add(x, sin(x)) | mul(cos(x), x)")


def test_the_normal_points_are_the_middles_of_equal_shares():
    points = _normal().flatten().double()
    count = len(points)
    shares = torch.special.ndtr(points)
    assert torch.allclose(shares, (torch.arange(count).double() + 0.5) / count, atol=1e-6)
    assert float(points.mean()) == pytest.approx(0, abs=1e-6)
    assert float(points.std()) == pytest.approx(1, abs=0.01)
