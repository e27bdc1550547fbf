"""What all tests share: one torch thread, repeatable hypothesis, primitive sets built once, and a slow second opinion.

``nested`` reads a depth-first list of nodes by plain recursion. It shares no line with the package, so heights, sizes
and types of trees can be checked against it.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from torch import Tensor

from gaaf_gp.data.load import Data, Split
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.table import Entry, FunctionTable
from gaaf_gp.training.outcome import Epoch, Outcome, TrainingState
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.individual import Individual
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet
from gaaf_gp.types import Feature
from primitives import gaaf
from primitives import minimal as minimal_set
from primitives import template as template_set

torch.set_num_threads(1)
settings.register_profile("project", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin first, so that nothing long is left to one process at the end."""

    def seconds(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return 0.0 if mark is None else float(mark.args[0])

    items.sort(key=seconds, reverse=True)


class Input(Feature):
    """What goes in where types force the shape; it is not what a whole tree returns."""


class Inner(Feature):
    """What the operators on the input return."""


class Outer(Feature):
    """What the operators above those return."""


class Whole(Feature):
    """What a whole tree returns."""


class Leaf(Feature):
    """A Feature that only some operators return, and that may stand wherever a Feature is asked for."""


def forced_set() -> PrimitiveSet:
    """Return a set whose trees all are binary(unary(x), unary(x)): height 2, 5 nodes."""
    pset = PrimitiveSet("forced", [Input], Whole)
    for unary in (torch.sin, torch.cos, torch.tanh):
        pset.addPrimitive(unary, [Input], Inner)
    for binary in (torch.add, torch.sub):
        pset.addPrimitive(binary, [Inner, Inner], Whole)
    return pset.check()


def tall_set() -> PrimitiveSet:
    """Return a set whose lowest trees have height 3 and 4 nodes, such as tanh(cos(sin(x)))."""
    pset = PrimitiveSet("tall", [Input], Whole)
    pset.addPrimitive(torch.sin, [Input], Inner)
    pset.addPrimitive(torch.cos, [Inner], Outer)
    pset.addPrimitive(torch.add, [Outer, Outer], Outer)
    pset.addPrimitive(torch.tanh, [Outer], Whole)
    return pset.check()


def sum6(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor) -> Tensor:
    return a + b + c + d + e + f


def uneven_set() -> PrimitiveSet:
    """Return a set whose lowest trees, sum6(x, ...), are large, and whose smallest, sin/erf(cos(tanh(x))), are high."""
    pset = PrimitiveSet("uneven", [Input], Whole)
    pset.addPrimitive(sum6, [Input] * 6, Whole)
    pset.addPrimitive(torch.tanh, [Input], Inner)
    pset.addPrimitive(torch.cos, [Inner], Outer)
    pset.addPrimitive(torch.sin, [Outer], Whole)
    pset.addPrimitive(torch.erf, [Outer], Whole)
    pset.addPrimitive(torch.add, [Whole, Whole], Whole)
    return pset.check()


def subtyped_set() -> PrimitiveSet:
    """Return a set in which a Leaf may stand for a Feature, but not the other way round."""
    pset = PrimitiveSet("subtyped")
    pset.addPrimitive(torch.sin, [Feature], Leaf)
    pset.addPrimitive(torch.cos, [Leaf], Leaf)
    pset.addPrimitive(torch.tanh, [Feature], Feature)
    pset.addPrimitive(torch.add, [Leaf, Feature], Feature)
    pset.addPrimitive(torch.sub, [Leaf, Leaf], Feature)
    return pset.check()


MAKERS: dict[str, Callable[[], PrimitiveSet]] = {
    "minimal": minimal_set.make_pset,
    "gaaf": gaaf.free,
    "template": template_set.make_pset,
    "forced": forced_set,
    "tall": tall_set,
    "uneven": uneven_set,
    "subtyped": subtyped_set,
}


@functools.cache
def made(name: str) -> PrimitiveSet:
    return MAKERS[name]()


def set_fixture(name: str) -> Any:
    """Return a fixture of one of the sets, which is made once."""

    @pytest.fixture(scope="session")
    def fixture() -> PrimitiveSet:
        return made(name)

    return fixture


minimal, free, template, forced, tall, uneven, subtyped = map(set_fixture, MAKERS)


@pytest.fixture(scope="session", params=["minimal", "gaaf", "template"])
def pset(request: pytest.FixtureRequest) -> PrimitiveSet:
    """Each of the three sets of the project."""
    return made(request.param)


@pytest.fixture(scope="session", params=["forced", "tall", "uneven", "subtyped"])
def strict_pset(request: pytest.FixtureRequest) -> PrimitiveSet:
    """Each of the sets whose types leave few trees."""
    return made(request.param)


@dataclass(frozen=True)
class Nested:
    """A tree as nested objects, with the place that each node takes."""

    node: Any
    slot: type
    depth: int
    children: tuple[Nested, ...]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return 1 + sum(child.size for child in self.children)

    @property
    def height(self) -> int:
        """Edges on the longest branch."""
        return max((1 + child.height for child in self.children), default=0)

    @property
    def well_typed(self) -> bool:
        """Whether every node returns what its place asks for."""
        return issubclass(self.node.ret, self.slot) and all(child.well_typed for child in self.children)

    def walk(self) -> Iterator[Nested]:
        """Yield all nodes, parents before children."""
        yield self
        for child in self.children:
            yield from child.walk()


def _read(nodes: list[Any], slot: type, depth: int) -> Nested:
    node = nodes.pop(0)
    arguments = getattr(node, "args", ())
    return Nested(node, slot, depth, tuple(_read(nodes, argument, depth + 1) for argument in arguments))


def _nested(nodes: Sequence[Any], root: type) -> Nested:
    rest = list(nodes)
    tree = _read(rest, root, 0)
    assert not rest, f"{len(rest)} nodes stand after the end"
    return tree


@pytest.fixture(scope="session")
def nested() -> Callable[[Sequence[Any], type], Any]:
    """The function that reads (nodes, type of the root) into a Nested tree, or fails the test."""
    return _nested


SIDE = 8
CLASSES = ("rows", "columns", "checks")


def pictures(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``number`` noisy 8x8 pictures of stripes and checks, (N,1,8,8) uint8, and their labels (N,) int64."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(SIDE).view(-1, 1) // 2 % 2 * torch.ones(1, SIDE, dtype=torch.int64)
    patterns = torch.stack([rows, rows.T, rows ^ rows.T]) * 160
    labels = torch.arange(number) % len(CLASSES)
    noise = torch.randint(0, 95, (number, SIDE, SIDE), generator=generator)
    return (patterns[labels] + noise).to(torch.uint8).unsqueeze(1), labels


@pytest.fixture
def fresh_memory() -> Callable[[int], mmap.mmap]:
    """A function that returns so many MiB which the process did not hold before.

    An allocator may give out pages that it kept from earlier tests; then the process would not grow.
    """

    def fresh(mebibytes: int) -> mmap.mmap:
        memory = mmap.mmap(-1, mebibytes * 2**20)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
        return memory

    return fresh


@pytest.fixture(scope="session")
def tiny_data() -> Data:
    """60 pictures to train on, 30 to validate on; a network learns them in a fraction of a second."""
    train, val = Split(*pictures(60, 0)), Split(*pictures(30, 1))
    return Data("tiny", train, val, CLASSES, (0.4,), (0.3,), 0, 1 / 3)


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, Any]:
    """Arguments of a Proxy that trains in about 50 ms."""
    return {"epochs": 4, "batch_size": 15, "learning_rate": 0.03, "pad": 0, "network_settings": {"widths": (4, 8)}}


@pytest.fixture
def tiny_proxy(tiny_data: Data, tiny_settings: dict[str, Any]) -> Proxy:
    """A real training task that takes about 50 ms."""
    return Proxy(tiny_data, **tiny_settings)


class StubProxy:
    """Stands for training: the accuracy is a fixed function of the text, in no time. Search logic is tested with it.

    Args:
        epochs: of a full training; the accuracy rises to its final value, for some texts early and for others late.
        noise: standard deviation of what the seed adds, a different number for each text.
    """

    def __init__(self, epochs: int = 1, noise: float = 0.0) -> None:
        self.epochs = epochs
        self.noise = noise
        self.trained: list[tuple[str, int]] = []
        self.spent = 0

    def train(
        self,
        individual: Any,
        seed: int,
        score: Split | None = None,
        *,
        epochs: int | None = None,
        state: TrainingState | None = None,
    ) -> Outcome:
        """Return an accuracy between 0.2 and 0.8: sines help, the rest is a fixed noise of the text and the seed."""
        text = "sign" if individual is None else str(individual)
        last, done = self.epochs if epochs is None else epochs, 0 if state is None else state.epochs
        assert state is None or (state.text, state.seed) == (text, seed)
        assert done < last <= self.epochs
        if not done:
            self.trained.append((text, seed))
        self.spent += last - done
        digest = hashlib.sha256(text.encode()).digest()
        final = 0.2 + 0.05 * min(8, text.count("sin(")) + 0.1 * digest[0] / 255 + 0.001 * (seed % 7)
        final += self.noise * random.Random(f"{text} {seed}").gauss(0, 1)
        slow = digest[1] / 255
        history = tuple(
            Epoch(1.0, final * (1 - 0.3 * slow * (1 - epoch / self.epochs))) for epoch in range(1, last + 1)
        )
        kept = TrainingState(text, seed, history, 0.0, 0, {}, {}, np.zeros(0, np.uint8)) if last < self.epochs else None
        return Outcome(seed, history[-1].accuracy, history, 0.0, state=kept)


@pytest.fixture(scope="session")
def make_stub() -> type[StubProxy]:
    """See StubProxy; for other arguments than the usual ones."""
    return StubProxy


@pytest.fixture
def stub_proxy() -> StubProxy:
    """See StubProxy."""
    return StubProxy()


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real PNG files: train/CLASS/*.png (12 a class) and test/CLASS/*.png (6 a class)."""
    root = tmp_path_factory.mktemp("pictures")
    for part, number, seed in (("train", 36, 2), ("test", 18, 3)):
        images, labels = pictures(number, seed)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = root / part / CLASSES[int(label)]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(place / f"{index:03}.png")
    return root


@pytest.fixture(scope="session")
def forced_trees() -> list[Individual]:
    """Every tree of the set "forced", 18 of them."""
    units = ("sin", "cos", "tanh")
    return [parse(f"{b}({u}(x), {v}(x))", made("forced")) for b in ("add", "sub") for u in units for v in units]


@pytest.fixture(scope="session")
def tiny_table(tiny_data: Data, tiny_settings: dict[str, Any], forced_trees: list[Individual]) -> FunctionTable:
    """Every live function of the set "forced", really trained: all on seeds 0 and 3, the best two on 5 and 6 too."""
    proxy = Proxy(tiny_data, **tiny_settings)
    behaviours = {tree.canonical: proxy.behaviour(tree) for tree in forced_trees}
    first = {found.signature: text for text, found in reversed(behaviours.items()) if found.failure is None}
    trees = {tree.canonical: tree for tree in forced_trees if tree.canonical in first.values()}
    with Evaluator(proxy, made("forced"), seeds=(0, 3)) as evaluator:
        records = evaluator.evaluate(list(trees.values()))
        best = sorted(trees, key=lambda text: -evaluator.records[text].accuracy)[:2]
        further = dict(zip(best, evaluator.train([trees[text] for text in best], (5, 6)), strict=True))
    entries = []
    for place, (text, record) in enumerate(zip(trees, records, strict=True)):
        outcomes = [*record.outcomes, *further.get(text, ())]
        curve = {one.seed: tuple(epoch.accuracy for epoch in one.history) for one in outcomes}
        accuracy, seconds = {one.seed: one.accuracy for one in outcomes}, sum(one.seconds for one in outcomes)
        failure, signature = next((one.failure for one in outcomes if one.failure), None), behaviours[text].signature
        entries.append(Entry((place,), text, trees[text].infix(), signature, accuracy, curve, seconds, failure))
    return FunctionTable(entries, behaviours, {"primitives": "forced", "proxy": proxy.settings()})
