"""Batches are those of the plain functions: gathered by index, augmented, normalized, in channels-last memory."""

import pytest
import torch

from gaaf_gp.data import batches as batches_module
from gaaf_gp.data.augment import augment, normalize
from gaaf_gp.data.batches import Batches
from gaaf_gp.data.load import Data, Split


def data(channels, number=23, side=6):
    generator = torch.Generator().manual_seed(channels)
    images = torch.randint(256, (number, channels, side, side + 1), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.arange(number) % 3)
    mean, std = (0.4, 0.5, 0.1)[:channels], (0.3, 0.2, 0.25)[:channels]
    return Data("some", split, split, ("a", "b", "c"), mean, std, 0, 0.5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("pad", "flip"), [(2, True), (0, True), (1, False), (0, False)])
def test_an_epoch_is_that_of_the_plain_functions(channels, pad, flip):
    some = data(channels)
    found = list(Batches(some, 5, pad=pad, flip=flip).epoch(torch.Generator().manual_seed(7)))
    generator = torch.Generator().manual_seed(7)
    order = torch.randperm(23, generator=generator)
    assert len(found) == len(Batches(some, 5, pad=pad, flip=flip)) == 4
    for number, (images, labels) in enumerate(found):
        chosen = order[5 * number : 5 * number + 5]
        augmented = augment(some.train.images[chosen], pad=pad, flip=flip, generator=generator)
        assert torch.equal(images, normalize(augmented, some.mean, some.std))
        assert torch.equal(labels, some.train.labels[chosen])
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert images.dtype == torch.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_normalized_is_normalize(channels):
    some = data(channels)
    batches = Batches(some, 5, pad=0, flip=False)
    for images in (some.val.images, some.val.images[3:4], some.val.images[:0]):
        assert torch.equal(batches.normalized(images), normalize(images, some.mean, some.std))


def test_a_batch_of_the_whole_split_is_one_batch():
    batches = Batches(data(1), 23, pad=0, flip=False)
    ((_, labels),) = batches.epoch(torch.Generator().manual_seed(0))
    assert sorted(labels.tolist()) == sorted((torch.arange(23) % 3).tolist())


def test_the_data_is_left_alone():
    some = data(3)
    before = some.train.images.clone()
    list(Batches(some, 4, pad=1, flip=True).epoch(torch.Generator().manual_seed(0)))
    assert torch.equal(some.train.images, before)


def test_scoring_gives_all_images_in_their_order(monkeypatch):
    some = data(3)
    monkeypatch.setattr(batches_module, "SCORED", 10)
    other = Split(some.val.images.flip(0), some.val.labels.flip(0))
    batches = Batches(some, 5, pad=2, flip=True)
    for split, found in ((some.val, batches.scoring()), (other, batches.scoring(other))):
        images, labels = zip(*found, strict=True)
        assert [len(part) for part in labels] == [10, 10, 3]
        assert [len(part) for _, part in batches.scoring(split, 9)] == [9, 9, 5]
        assert torch.equal(torch.cat(images), normalize(split.images, some.mean, some.std))
        assert torch.equal(torch.cat(labels), split.labels)
