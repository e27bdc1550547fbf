"""Which files a search sees, and which it must not."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gaaf_gp.data.load import open_test_split
from gaaf_gp.data.streamed import FileSplit, StreamedData, stream_data
from gaaf_gp.errors import GaafError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """ImageNet's layout: train/CLASS/*.JPEG, val/CLASS/*.JPEG, and test/ without classes. None can be decoded."""
    for part, number in (("train", 8), ("val", 3)):
        for name in ("n01440764", "n01443537", "ñandú"):
            (tmp_path / "imagenet" / part / name).mkdir(parents=True)
            for index in range(number):
                (tmp_path / "imagenet" / part / name / f"{name}_{index}.JPEG").write_bytes(b"not read")
    (tmp_path / "imagenet" / "test").mkdir()
    (tmp_path / "imagenet" / "test" / "unlabelled.JPEG").write_bytes(b"")
    return tmp_path


def paths(split: FileSplit) -> list[str]:
    return [str(split.folder / os.fsdecode(name)) for name in split.names.tolist()]


def test_train_and_val_are_drawn_from_train_and_nothing_is_opened(photos: Path) -> None:
    data = stream_data("imagenet", root=photos, val_fraction=0.25, seed=3)
    assert (data.name, data.num_classes, data.channels, data.image_size) == ("imagenet", 3, 3, (224, 224))
    assert data.classes == ("n01440764", "n01443537", "ñandú")
    assert (len(data.train), len(data.val)) == (18, 6)
    assert np.bincount(data.val.labels).tolist() == [2, 2, 2]
    both = paths(data.train) + paths(data.val)
    assert sorted(both) == sorted(str(path) for path in (photos / "imagenet" / "train").glob("*/*.JPEG"))
    for split in (data.train, data.val):
        assert [Path(path).parent.name for path in paths(split)] == [data.classes[label] for label in split.labels]


def test_the_val_folder_is_the_test_split_and_stays_closed(photos: Path) -> None:
    data = stream_data(photos / "imagenet", val_fraction=0.25)
    assert data.has_test_split
    test = open_test_split(data)
    assert paths(test) == sorted(str(path) for path in (photos / "imagenet" / "val").glob("*/*.JPEG"))
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    (photos / "imagenet" / "val").rename(photos / "away")
    assert len(stream_data(photos / "imagenet", val_fraction=0.25).train) == 18, "a search needs no val folder"
    with pytest.raises(GaafError, match=r"imagenet/test must hold .* it holds: unlabelled\.JPEG; put"):
        open_test_split(data)
    (photos / "away" / "ñandú").rename(photos / "away" / "rhea")
    (photos / "away").rename(photos / "imagenet" / "val")
    with pytest.raises(GaafError, match="the unknown ones are: rhea; the missing ones: ñandú"):
        open_test_split(data)
    with pytest.raises(GaafError, match="without a place"):
        open_test_split(replace(data, _source=None))


def test_seeds_draw_the_split_and_settings_say_so(photos: Path) -> None:
    one, same, other = (stream_data("imagenet", root=photos, val_fraction=0.25, seed=seed) for seed in (1, 1, 2))
    assert json.loads(json.dumps(one.settings())) == same.settings()
    assert one.settings()["names_sha256"] != other.settings()["names_sha256"]
    assert {"train": 18, "val": 6, "image_size": [224, 224], "split_seed": 1}.items() <= one.settings().items()
    few = stream_data("imagenet", root=photos, val_fraction=0.25, seed=1, limit=12)
    assert set(paths(few.train)) < set(paths(one.train))
    assert set(paths(few.val)) < set(paths(one.val))
    assert repr(few.train) == f"FileSplit(9 images in {photos}/imagenet/train)"


def test_the_device_is_where_batches_go(photos: Path) -> None:
    data = stream_data("imagenet", root=photos, val_fraction=0.25, workers=3)
    assert (data.device, data.workers) == (torch.device("cpu"), 3)
    moved = data.to("meta")
    assert (moved.device, moved.train is data.train) == (torch.device("meta"), True)
    assert moved.settings() == data.settings(), "no result depends on either"
    assert pickle.loads(pickle.dumps(moved)).device == torch.device("meta")
    with pytest.raises(GaafError, match="device must be one that torch can use here, and warp is not"):
        data.to("warp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"val_fraction": 1.0}, r"val_fraction must be above 0 and below 1, and is 1\.0"),
        ({"image_size": 0}, "image_size must be 1 to 4096 pixels, and is 0: 224"),
        ({"mean": (0.5,)}, r"one finite number for each of the 3 channels, .* got \(0\.5,\)"),
        ({"std": (0.5, 0.0, 0.5)}, r"std above 0, got .* \(0\.5, 0\.0, 0\.5\)"),
        ({"limit": 5}, "6 for 3 classes, and is 5"),
        ({"workers": -1}, "workers must be a whole number of at least 0, got -1"),
        ({"workers": True}, "workers must be a whole number of at least 0, got True"),
        ({"device": "warp"}, "device must be one that torch can use here, and warp is not"),
    ],
)
def test_settings_out_of_range_are_refused(photos: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        stream_data("imagenet", root=photos, **options)  # type: ignore[arg-type]


NAMES, LABELS = np.array([b"a.png", b"b.png"]), np.array([0, 1])


@pytest.mark.parametrize(
    ("names", "labels", "came"),
    [
        (NAMES[:1], LABELS, r"\(1,\) \|S5 of numpy and \(2,\) int64 of numpy"),
        (NAMES, LABELS.astype(float), r"\(2,\) \|S5 of numpy and \(2,\) float64 of numpy"),
        (NAMES.astype(str), LABELS, r"\(2,\) <U5 of numpy and"),
        (NAMES[:, None], LABELS[:, None], r"\(2, 1\) \|S5 of numpy and \(2, 1\) int64"),
        (["a.png", "b.png"], LABELS, r"list and \(2,\) int64"),
        (NAMES, torch.tensor([0, 1]), r"and \(2,\) torch\.int64 on cpu"),
    ],
)
def test_a_split_of_other_arrays_is_refused(names, labels, came: str) -> None:
    with pytest.raises(GaafError, match=rf"names \(N,\) bytes and labels \(N,\) int64, and came as .*{came}"):
        FileSplit(Path(), names, labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, r"names of two or more classes, each once, got \('a',\)"),
        (
            {"val": FileSplit(Path(), NAMES, LABELS + 2)},
            "from 0 to 2 for 3 classes, and those of val go from 2 to 3",
        ),
        ({"train": FileSplit(Path(), NAMES[:0], LABELS[:0])}, "train must have one image or more, and is empty"),
        ({"train": NAMES}, "train must be a FileSplit of names and labels, got ndarray"),
        ({"mean": (0.5,)}, "one finite number for each of the 3 channels"),
        ({"std": (0.2, -0.2, 0.2)}, "std above 0"),
        ({"side": 0}, "image_size must be 1 to 4096 pixels"),
    ],
)
def test_data_of_ones_own_that_cannot_be_trained_on_are_refused(changes: dict[str, object], message: str) -> None:
    split = FileSplit(Path(), NAMES, LABELS)
    given = {"train": split, "val": split, "classes": ("a", "b", "c"), "mean": (0.5,) * 3, "std": (0.2,) * 3, "side": 8}
    assert StreamedData("own", **given, split_seed=0, val_fraction=0.5).num_classes == 3  # type: ignore[arg-type]
    with pytest.raises(GaafError, match=message):
        StreamedData("own", **{**given, **changes}, split_seed=0, val_fraction=0.5)  # type: ignore[arg-type]


def test_a_wrong_folder_says_what_was_sought_and_found(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=r"no folder train/; it holds: imagenet/; give the folder above train/"):
        stream_data(photos)
    with pytest.raises(GaafError, match=r"imagenet must be the folder .*away.imagenet .* in .*away: no such folder"):
        stream_data("imagenet", root=tmp_path / "away")
    with pytest.raises(GaafError, match=r"or the path of a folder .*, and '.*nowhere' is neither"):
        stream_data(tmp_path / "nowhere")


def test_listing_does_not_decode(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("an image was opened"))
    assert len(stream_data("imagenet", root=photos, val_fraction=0.25).train) == 18
