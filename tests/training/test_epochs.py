"""An epoch and its score over anything that gives batches: images in memory, in files, or neither."""

import math
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gaaf_gp.errors import GaafError
from gaaf_gp.training.budget import Budget, FailedError
from gaaf_gp.training.epochs import UnreadableError, accuracy, epoch, loss_failure, run_epoch, scores
from gaaf_gp.training.step import Training

ENDLESS = Budget(0.0, None)
CLASSES = ("a", "b", "c")


class Given:
    """Batches that were written down; ``broken`` is raised after them."""

    batch_size = 2

    def __init__(self, pairs: list[tuple[Tensor, Tensor]], broken: Exception | None = None) -> None:
        self.pairs = pairs
        self.broken = broken

    def __len__(self) -> int:
        return len(self.pairs)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.pairs
        if self.broken is not None:
            raise self.broken

    def scoring(self, split: Any = None, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(torch.Generator())


def read_out(logits: list[list[float]]) -> tuple[Any, Given]:
    """Return a network that returns its input, and batches of two of these logits; the right classes are 0, 1, 2, 0."""
    network = SimpleNamespace(model=nn.Identity(), logits=lambda images: images)
    rows = torch.tensor(logits)
    return network, Given(list(zip(rows.split(2), torch.tensor([0, 1, 2, 0]).split(2), strict=True)))


def test_accuracy_is_the_share_of_all_images_that_are_right() -> None:
    network, batches = read_out([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    assert accuracy(network, batches, None, CLASSES) == 0.75
    assert not network.model.training


def test_one_class_for_all_batches_fails_where_it_is_asked_for() -> None:
    network, batches = read_out([[0.0, 1.0, 0.0]] * 4)
    assert accuracy(network, batches, None, None) == 0.25
    with pytest.raises(FailedError, match="constant output: every image is called 'b'"):
        accuracy(network, batches, None, CLASSES)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_output_that_is_not_finite_fails_wherever_it_is(value: float) -> None:
    network, batches = read_out([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, value, 0.0]])
    with pytest.raises(FailedError, match="non-finite output"):
        accuracy(network, batches, None, None)


def trained(pairs: list[tuple[Tensor, Tensor]], broken: Exception | None = None) -> tuple[Training, Given]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return Training(model, learning_rate=0.1, total_steps=10, seed=0), Given(pairs, broken)


def some(number: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(2, 1, 2, 2, generator=generator), torch.tensor([0, 2])) for _ in range(number)]


def test_an_epoch_returns_the_mean_of_its_losses() -> None:
    training, batches = trained(some(3))
    twin, _ = trained([])
    losses = [float(twin.step(*pair)) for pair in batches.pairs]
    assert run_epoch(training, batches, 1, ENDLESS) == pytest.approx(sum(losses) / 3)
    assert training.steps == 3


def test_what_cannot_be_read_is_no_failure_of_the_candidate() -> None:
    training, batches = trained(some(2), GaafError("photo.JPEG is torn"))
    with pytest.raises(UnreadableError, match=r"photo\.JPEG is torn") as found:
        run_epoch(training, batches, 1, ENDLESS)
    assert isinstance(found.value, GaafError)
    with pytest.raises(UnreadableError, match="is torn"):
        accuracy(training, batches, None, None)
    training, batches = trained(some(2), IndexError("a bug"))
    with pytest.raises(IndexError, match="a bug"):
        run_epoch(training, batches, 1, ENDLESS)


def test_what_a_candidate_raises_stays_what_it_is() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise GaafError("an activation must keep the shape of its input")

    _, batches = trained(some(1))
    network: Any = SimpleNamespace(model=nn.Identity(), logits=Picky())
    with pytest.raises(GaafError, match="must keep the shape") as found:
        accuracy(network, batches, None, None)
    assert not isinstance(found.value, UnreadableError)


def test_an_exhausted_budget_ends_an_epoch_at_once() -> None:
    training, batches = trained(some(3))
    with pytest.raises(FailedError, match=r"time budget of 0\.5 s exhausted in epoch 4"):
        run_epoch(training, batches, 4, Budget(time.perf_counter() - 1, 0.5))
    assert training.steps == 0


def uneven(logits: Tensor, sizes: tuple[int, ...], labels: list[int]) -> tuple[Any, Given]:
    """Return a network that returns its input, and batches of these sizes; a first axis of the logits is candidates."""
    network = SimpleNamespace(model=nn.Identity(), logits=lambda images: images)
    parts = zip(logits.split(sizes, -2), torch.tensor(labels).split(sizes), strict=True)
    return network, Given(list(parts))


def test_a_small_last_batch_counts_by_its_images() -> None:
    logits = torch.eye(3)[[0, 1, 0]]  # right, right and wrong: of a batch of two and a batch of one
    network, batches = uneven(logits, (2, 1), [0, 1, 1])
    assert accuracy(network, batches, None, CLASSES) == 2 / 3
    network, batches = uneven(torch.eye(3)[[0, 1, 0, 0, 2, 2, 2]], (3, 3, 1), [0, 1, 0, 0, 2, 2, 0])
    assert accuracy(network, batches, None, CLASSES) == 6 / 7


def test_each_of_many_candidates_is_scored_by_itself() -> None:
    calls = torch.tensor([[0, 1, 0], [2, 2, 2], [1, 1, 1], [0, 1, 1]])
    logits = nn.functional.one_hot(calls, 3).float()
    logits[2, 1, 0] = -math.inf  # in the first batch, in a class that is not called
    network, batches = uneven(logits, (2, 1), [0, 1, 1])
    found = scores(network, batches, None, CLASSES)
    assert [one.accuracy for one in found] == [2 / 3, 0.0, 2 / 3, 1.0]
    assert [one.failure for one in found] == [
        None, "constant output: every image is called 'c'", "non-finite output", None,
    ]  # fmt: skip
    network, batches = uneven(logits, (2, 1), [0, 1, 1])
    assert [one.failure for one in scores(network, batches, None, None)] == [None, None, "non-finite output", None]


def test_an_epoch_trains_and_then_scores() -> None:
    training, batches = trained(some(2))
    before = [value.detach().clone() for value in training.model.parameters()]
    result = epoch(training, batches, None, 1, ENDLESS, None)
    assert any(not torch.equal(old, new) for old, new in zip(before, training.model.parameters(), strict=True))
    with torch.no_grad():
        hits = [training.model(images).argmax(-1) == labels for images, labels in batches.pairs]
    assert result.accuracy == torch.cat(hits).double().mean().item()
    assert math.isfinite(result.loss)
    assert not training.model.training


@pytest.mark.parametrize(("mean", "said"), [(0.0, None), (math.nan, "epoch 3"), (math.inf, "epoch 3")])
def test_a_loss_that_is_not_finite_says_in_which_epoch(mean: float, said: str | None) -> None:
    assert loss_failure(mean, 3) == (None if said is None else f"non-finite loss in {said}")
