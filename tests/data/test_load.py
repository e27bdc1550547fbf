"""The splitting of data and what must never be touched on the way."""

import hashlib
import json
import math
import pickle
import sys
from dataclasses import FrozenInstanceError, replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gaaf_gp.data.load import Data, Split, load_data, open_test_split
from gaaf_gp.data.registry import DATASETS
from gaaf_gp.errors import GaafError

_opened: list[str] | None = None


def _note_opened_files(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open":
        _opened.append(str(arguments[0]))


# The interpreter itself reports every file that anything opens.
sys.addaudithook(_note_opened_files)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_opened", names)
    return names


@pytest.fixture(scope="module")
def bundled() -> Data:
    return load_data()


def test_splits_are_shuffled(bundled: Data) -> None:
    for split in (bundled.train, bundled.val):
        first = np.bincount(split.labels[:500].numpy(), minlength=10)
        assert first.min() > 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_fraction": 0.0}, r"val_fraction must be above 0 and below 1, and is 0\.0"),
        ({"val_fraction": 1.0}, r"val_fraction must be above 0 and below 1, and is 1\.0"),
        ({"val_fraction": float("nan")}, "below 1, and is nan"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"image_size": 0}, "image_size must be 1 to 4096 pixels, and is 0"),
        ({"image_size": 5000}, "image_size must be 1 to 4096 pixels, and is 5000"),
        ({"device": "abacus"}, "device must be one that torch can use here, and abacus is not"),
        ({"limit": 19}, "20 for 10 classes, and is 19"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        load_data(**options)
    assert "\n" not in str(caught.value)


def test_the_bundled_set_is_the_default(bundled: Data) -> None:
    assert DATASETS == ("fashion10k", "fashion-mnist", "cifar10", "cifar100", "imagenet")
    assert (bundled.name, bundled.num_classes, bundled.channels, bundled.image_size) == ("fashion10k", 10, 1, (28, 28))
    assert (len(bundled.train), len(bundled.val)) == (6400, 1600)
    assert np.bincount(bundled.val.labels.numpy()).tolist() == [160] * 10
    assert (bundled.split_seed, bundled.val_fraction) == (0, 0.2)
    train = {image.numpy().tobytes() for image in bundled.train.images}
    assert train.isdisjoint(image.numpy().tobytes() for image in bundled.val.images)


def test_mean_and_deviation_are_of_the_training_split_only(bundled: Data) -> None:
    values = bundled.train.images.numpy().astype(np.float64) / 255
    assert bundled.mean == pytest.approx((values.mean(),), rel=1e-12)
    assert bundled.std == pytest.approx((values.std(),), rel=1e-12)


def test_loading_never_opens_the_test_file(opened: list[str]) -> None:
    data = load_data(limit=100)
    names = [Path(name).name for name in opened if name.endswith(".npz")]
    assert names == ["fashion10k_search.npz"]
    opened.clear()
    pickle.loads(pickle.dumps(data)).to("cpu").settings()
    assert not [name for name in opened if name.endswith(".npz")]
    test = open_test_split(data)
    assert [Path(name).name for name in opened if name.endswith(".npz")] == ["fashion10k_test.npz"]
    assert np.bincount(test.labels.numpy()).tolist() == [200] * 10


def write_pictures(folder: Path, parts: tuple[str, ...], per_class: int) -> Path:
    for number, path in enumerate(folder / part / name for part in parts for name in ("a", "b")):
        path.mkdir(parents=True)
        for place in range(per_class):
            Image.new("L", (3, 2), 20 * number + place).save(path / f"{place:02}.png")
    return folder


def test_loading_a_folder_opens_the_chosen_training_images_only(tmp_path: Path, opened: list[str]) -> None:
    folder = write_pictures(tmp_path / "set", ("train", "test"), 12)
    opened.clear()
    data = load_data(folder, limit=10, val_fraction=0.4)
    assert len({name for name in opened if name.endswith(".png")}) == 10
    assert not [name for name in opened if str(folder / "test") in name]
    assert (len(data.train), len(data.val)) == (6, 4)
    shades = data.train.images[:, 0, 0, 0]
    assert torch.equal(shades.long() // 20, data.train.labels)
    opened.clear()
    assert open_test_split(data).images[:, 0, 0, 0].tolist() == [*range(40, 52), *range(60, 72)]
    assert not [name for name in opened if str(folder / "train") in name]


def test_image_size_holds_for_both_splits_and_the_test_split() -> None:
    data = load_data(limit=60, image_size=14)
    assert data.image_size == (14, 14)
    assert data.val.images.shape == (10, 1, 14, 14)
    assert open_test_split(data).images.shape == (2000, 1, 14, 14)


def test_the_same_seed_gives_the_same_data_and_its_settings_say_so() -> None:
    first, again, other = (load_data(limit=200, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.train.images, again.train.images)
    assert torch.equal(first.val.labels, again.val.labels)
    assert first.settings() == again.settings()
    assert first.settings()["sha256"] != other.settings()["sha256"]
    tensors = (first.train.images, first.train.labels, first.val.images, first.val.labels)
    expected = {
        "name": "fashion10k",
        "classes": 10,
        "channels": 1,
        "image_size": [28, 28],
        "train": 160,
        "val": 40,
        "split_seed": 4,
        "val_fraction": 0.2,
        "sha256": hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest(),
    }
    assert json.loads(json.dumps(first.settings())) == expected


def test_pickling_goes_through_bytes_and_not_through_shared_memory() -> None:
    data = load_data(limit=100)
    packed = bytes(ForkingPickler.dumps(data))
    assert len(packed) > 100 * 28 * 28
    restored = pickle.loads(packed)
    for before, after in ((data.train, restored.train), (data.val, restored.val)):
        assert torch.equal(before.images, after.images)
        assert torch.equal(before.labels, after.labels)
        after.images.bitwise_not_()
    assert replace(restored, train=data.train, val=data.val) != restored
    assert restored.settings().keys() == data.settings().keys()
    assert len(open_test_split(restored)) == 2000


def test_the_test_split_is_not_in_the_data(bundled: Data) -> None:
    held = {image.tobytes() for split in (bundled.train, bundled.val) for image in split.images.numpy()}
    assert held.isdisjoint(image.tobytes() for image in open_test_split(bundled).images.numpy())
    assert len(pickle.dumps(bundled)) < 8000 * (28 * 28 + 8) + 5000


def test_data_goes_to_a_device() -> None:
    moved = load_data(limit=40).to("meta")
    assert {split.images.device.type for split in (moved.train, moved.val)} == {"meta"}
    assert {split.labels.device.type for split in (moved.train, moved.val)} == {"meta"}
    assert load_data(limit=40, device="meta").train.images.is_meta


def test_data_cannot_be_changed_and_shows_itself_briefly(bundled: Data) -> None:
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'val'"):
        bundled.val = bundled.train  # type: ignore[misc]
    assert repr(bundled.val) == "Split(1600 images 1x28x28 on cpu)"
    assert len(repr(bundled)) < 500


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64, device="meta")),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8).to_sparse(), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 0, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
        (torch.full((2, 1, 2, 2), math.nan), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8).numpy(), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), [0, 0]),
    ],
)
def test_a_split_of_other_tensors_is_refused(images: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(GaafError, match=r"images \(N,C,H,W\) uint8 and labels \(N,\) int64 on one device, and came as"):
        Split(images, labels)


def test_data_put_together_by_hand_has_no_test_split(bundled: Data) -> None:
    by_hand = replace(bundled, _source=None)
    with pytest.raises(GaafError, match="without a place: load it with load_data"):
        open_test_split(by_hand)


def test_it_is_known_without_opening_whether_there_is_a_test_split(tiny_data, image_folder, tmp_path):
    import shutil

    assert load_data().has_test_split
    assert load_data(image_folder).has_test_split
    shutil.copytree(image_folder / "train", tmp_path / "train")
    assert not load_data(tmp_path).has_test_split
    assert not tiny_data.has_test_split, "data put together by hand has no place to look in"


def own_data(**changes: Any) -> Data:
    """Three classes of two images to train on and one to validate on, with changes."""
    train = Split(torch.zeros(6, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2, 0, 1, 2]))
    val = Split(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2]))
    given = {"train": train, "val": val, "classes": ("a", "b", "c"), "mean": (0.4,), "std": (0.3,), **changes}
    return Data("own", **given, split_seed=0, val_fraction=1 / 3)


IMAGES = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": Split(IMAGES, torch.tensor([1, 2, 3]))},
            "from 0 to 2 for 3 classes, and those of train go from 1 to 3",
        ),
        ({"val": Split(IMAGES, torch.tensor([-1, 0, 1]))}, "those of val go from -1 to 1: renumber the labels"),
        ({"classes": ("a", "b")}, "from 0 to 1 for 2 classes, and those of train go from 0 to 2"),
        (
            {"val": Split(IMAGES[:0], torch.zeros(0, dtype=torch.int64))},
            "val must have one image or more, and is empty",
        ),
        ({"train": Split(IMAGES[:0], torch.zeros(0, dtype=torch.int64))}, "train must have one image or more"),
        (
            {"mean": (0.1, 0.2, 0.3)},
            r"one finite number for each of the 1 channels, .* got \(0.1, 0.2, 0.3\) and \(0.3,\)",
        ),
        ({"std": (0.0,)}, "std above 0, got"),
        ({"std": (-0.1,)}, "std above 0, got"),
        ({"std": (math.nan,)}, "one finite number"),
        ({"mean": (math.inf,)}, "one finite number"),
        (
            {"val": Split(IMAGES[..., :4], torch.tensor([0, 1, 2]))},
            r"images of one size .* got \(1, 8, 8\) .* \(1, 8, 4\)",
        ),
        ({"val": IMAGES}, "val must be a Split of images and labels, got Tensor"),
        ({"mean": 0.4}, r"one finite number for each of the 1 channels, .* got 0\.4 and"),
        ({"classes": 3}, "names of two or more classes, each once, got 3: name them all"),
    ],
)
def test_data_of_ones_own_that_cannot_be_trained_on_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GaafError, match=message) as caught:
        own_data(**changes)
    assert "\n" not in str(caught.value)


def test_data_of_ones_own_are_taken() -> None:
    assert own_data().num_classes == 3
    assert own_data(classes=("a", "b", "c", "never seen")).num_classes == 4
    statistics = own_data(mean=np.array([0.5]), std=torch.tensor([0.25]), classes=["a", "b", "c"])
    assert (statistics.mean, statistics.std, statistics.classes) == ((0.5,), (0.25,), ("a", "b", "c"))
