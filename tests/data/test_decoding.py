"""Streams of real files: the same batches with any number of workers, each image once, errors that name the file."""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gaaf_gp.data.batches import Batches, TrainingBatches
from gaaf_gp.data.decoding import Stream
from gaaf_gp.data.load import load_data, open_test_split
from gaaf_gp.data.streamed import StreamedData, stream_data
from gaaf_gp.errors import GaafError
from gaaf_gp.training.step import Training

SIZE = 14
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}
"""With these, a batch holds the values of the pixels."""


def shade(label: int, number: int) -> tuple[int, int, int]:
    return 200 * label + 20, 20 * number, 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of single-coloured PNG files of different sizes; the colour tells the label and the number."""
    for part, number in (("train", 10), ("val", 3)):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(number):
                image = Image.new("RGB", (20 + index, 30 - index), shade(label, index))
                image.save(tmp_path / part / name / f"{index}.png")
    return tmp_path


@pytest.fixture
def data(folder: Path) -> StreamedData:
    return stream_data(folder, image_size=SIZE, val_fraction=0.2, **PLAIN)  # type: ignore[arg-type]


def test_workers_that_cannot_import_the_script_are_named_in_one_line(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        f"""
from gaaf_gp.data.decoding import Stream
from gaaf_gp.data.streamed import stream_data
with Stream(stream_data({str(folder)!r}, image_size=8, val_fraction=0.3), 2, workers=2) as stream:
    print("results", len(list(stream.epoch(1))))
""",
        encoding="utf-8",
    )
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, script], env=paths, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "starts its work then" in ended.stderr.strip().splitlines()[-1]
    typed = subprocess.run(
        [sys.executable, "-"], input=script.read_text(encoding="utf-8"), env=paths,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "save the script in a file" in typed.stderr.strip().splitlines()[-1]


def together(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_an_epoch_has_each_image_once_with_its_label(data: StreamedData) -> None:
    stream = Stream(data, 4)
    assert len(stream) == 4
    batches = list(stream.epoch(5))
    for images, labels in batches:
        assert (images.shape, images.dtype, labels.dtype) == ((4, 3, SIZE, SIZE), torch.float32, torch.int64)
        assert images.is_contiguous(memory_format=torch.channels_last)
    images, labels = together(batches)
    assert torch.equal(images.amin((2, 3)), images.amax((2, 3))), "a part of one colour has one colour"
    seen = [tuple(round(value) for value in colour) for colour in images[:, :, 0, 0].tolist()]
    assert len(set(seen)) == 16
    assert [red > 100 for red, _, _ in seen] == labels.bool().tolist()
    held_back = {(int(label), os.fsdecode(name)) for name, label in zip(data.val.names, data.val.labels, strict=True)}
    assert not {shade(label, int(Path(name).stem)) for label, name in held_back} & set(seen)


def test_an_incomplete_last_batch_is_left_out_in_training_only(data: StreamedData, folder: Path) -> None:
    stream = Stream(data, 5)
    assert [len(labels) for _, labels in stream.epoch(0)] == [5, 5, 5]
    assert [len(labels) for _, labels in stream.scoring()] == [4]
    assert [len(labels) for _, labels in stream.scoring(data.val, 3)] == [3, 1]
    images, labels = together(stream.scoring(open_test_split(data)))
    expected = [shade(label, number) for label in (0, 1) for number in range(3)]
    assert images[:, :, 7, 7].round().int().tolist() == [list(colour) for colour in expected]
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def pattern(seed: int, *shape: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_scored_images_are_resized_and_cropped_in_the_middle(folder: Path) -> None:
    for path in (folder / "val").glob("*/*.png"):
        pattern(int(path.stem), 40, 60, 3).save(path)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    data = stream_data(folder, image_size=SIZE, val_fraction=0.2, mean=mean, std=std)
    images, _ = together(Stream(data, 4).scoring(open_test_split(data)))
    for number in range(3):
        # The shorter side becomes 16 (256 of 224), the longer 24; the middle 14 x 14 begin at row 1 and column 5.
        whole = np.asarray(pattern(number, 40, 60, 3).resize((24, 16), Image.Resampling.BILINEAR), np.float64)
        expected = (whole[1:15, 5:19] / 255 - mean) / std
        np.testing.assert_allclose(images[number].permute(1, 2, 0), expected, atol=1e-5)


def test_training_crops_vary_with_the_seed_and_the_epoch(folder: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64, dtype=np.uint8)[None, :], 64, 0)
    for path in (folder / "train").glob("*/*.png"):
        Image.fromarray(ramp).save(path)
    data = stream_data(folder, image_size=SIZE, val_fraction=0.2, **PLAIN)  # type: ignore[arg-type]
    stream = Stream(data, 16)
    generator = torch.Generator().manual_seed(1)
    ((first, _),), ((second, _),) = list(stream.epoch(generator)), list(stream.epoch(generator))
    ((again, _),) = list(stream.epoch(torch.Generator().manual_seed(1)))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    rising = (first[:, 0, 0].diff(dim=1).mean(1) > 0).tolist()
    assert 0 < sum(rising) < 16, "some are mirrored, others are not"
    widths = (first[:, 0, 0, -1] - first[:, 0, 0, 0]).abs()
    # A part of an area of 8 % to 100 % and of 3:4 to 4:3 is 24 % to 100 % as wide as the image, rounded to pixels.
    assert 255 * 0.2 < float(widths.min()) < float(widths.max()) <= 255
    assert float(widths.max() - widths.min()) > 30


def odd_files() -> dict[str, bytes]:
    """Kinds of files that ImageNet has beside plain JPEG: four inks, grey, and a PNG under another name."""
    found = {}
    for name, image, kind in (
        ("inks", Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"),
        ("grey", Image.new("L", (20, 20), 77), "JPEG"),
        ("disguised", Image.new("RGB", (20, 20), (1, 2, 3)), "PNG"),
    ):
        stream = io.BytesIO()
        image.save(stream, kind)
        found[name] = stream.getvalue()
    return found


def test_all_become_red_green_and_blue(folder: Path) -> None:
    for number, content in enumerate(odd_files().values()):
        (folder / "val" / "cat" / f"{number}.png").unlink()
        (folder / "val" / "cat" / f"{number}.JPEG").write_bytes(content)
    data = stream_data(folder, image_size=SIZE, val_fraction=0.2, **PLAIN)  # type: ignore[arg-type]
    images, _ = together(Stream(data, 8).scoring(open_test_split(data)))
    np.testing.assert_allclose(images[:3, :, 7, 7], [[255, 0, 0], [77, 77, 77], [1, 2, 3]], atol=3)


def damaged(data: StreamedData) -> Path:
    path = data.train.folder / os.fsdecode(data.train.names.tolist()[0])
    path.write_bytes(path.read_bytes()[:40])
    return path


def test_a_damaged_file_is_named_and_the_stream_goes_on(data: StreamedData) -> None:
    path = damaged(data)
    stream = Stream(data, 4)
    with pytest.raises(GaafError, match=rf"whole 8-bit .* reading .*{path.parent.name}.{path.name} ended with"):
        list(stream.epoch(0))
    assert len(together(stream.scoring())[1]) == 4


def test_no_global_random_number_is_drawn(data: StreamedData) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    stream = Stream(data, 4)
    list(stream.epoch(0))
    list(stream.scoring())
    assert torch.equal(torch.rand(3), expected)


def test_a_pass_that_is_overtaken_says_so(data: StreamedData) -> None:
    stream = Stream(data, 4)
    first = stream.epoch(0)
    next(first)
    assert len(list(stream.scoring())) == 1
    with pytest.raises(GaafError, match="one pass at a time"):
        next(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 17}, "at most the 16 training images, got 17"),
        ({"batch_size": 4, "workers": -1}, "workers must be a whole number of at least 0, got -1"),
        ({"batch_size": 4, "workers": 1.0}, r"workers must be a whole number of at least 0, got 1\.0"),
    ],
)
def test_settings_out_of_range_are_refused(data: StreamedData, options: dict[str, int], message: str) -> None:
    with pytest.raises(GaafError, match=message):
        Stream(data, **options)


def test_workers_change_nothing_and_their_loss_is_told(data: StreamedData) -> None:
    here = Stream(data, 4)
    # A backward pass in the parent is what a forked worker would hang after.
    nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()
    before = set(multiprocessing.active_children())
    with Stream(data, 4, workers=2) as stream:
        given = stream.epoch(7)
        next(given)  # a pass that is given up must leave nothing behind
        generators = [torch.Generator().manual_seed(7) for _ in range(2)]
        for _ in range(2):
            for mine, theirs in (
                (here.epoch(generators[0]), stream.epoch(generators[1])),
                (here.scoring(), stream.scoring()),
            ):
                for one, other in zip(together(mine), together(theirs), strict=True):
                    assert torch.equal(one, other)
        workers = set(multiprocessing.active_children()) - before
        assert len(workers) == 2, "they live on from pass to pass"
        for worker in workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGINT)  # a Ctrl-C is not theirs to answer
        assert len(together(stream.scoring())[1]) == 4
        path = damaged(data)
        with pytest.raises(GaafError, match=rf"reading .*{path.name} ended with"):
            list(stream.epoch(0))
        assert len(together(stream.scoring())[1]) == 4
        assert set(multiprocessing.active_children()) - before == workers
        for worker in workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGSTOP)  # as one that waits for a disk that does not answer
        threading.Timer(0.5, lambda: [os.kill(worker.pid, signal.SIGKILL) for worker in workers if worker.pid]).start()
        with pytest.raises(GaafError, match=r"worker processes must live as long as the stream, .*DataLoader worker"):
            list(stream.epoch(0))
    del given
    assert not {child for child in multiprocessing.active_children() if child not in before and child.is_alive()}


def in_a_daemon(data: StreamedData, said: "multiprocessing.Queue[str]") -> None:
    try:
        next(Stream(data, 4).epoch(0))
    except GaafError as error:
        said.put(str(error))
    said.put(f"{len(list(Stream(data, 4, workers=0).epoch(0)))} batches")


def test_a_process_that_may_not_have_children_says_so(data: StreamedData) -> None:
    assert Stream(replace(data, workers=2), 4)._workers == 2, "as many as the data says"
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    daemon = context.Process(target=in_a_daemon, args=(replace(data, workers=2), said), daemon=True)
    daemon.start()
    assert "this one is a daemon, as those of multiprocessing.Pool are: use workers=0" in said.get(timeout=60)
    assert said.get(timeout=60) == "4 batches"
    daemon.join()


def trained_accuracy(batches: TrainingBatches, size: int) -> float:
    """Train a linear network for three epochs with what every training loop uses, and score it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(size), nn.Flatten(), nn.Linear(3, 2))
    training = Training(model, learning_rate=0.1, total_steps=3 * len(batches), seed=0)
    for _ in range(3):
        for images, labels in batches.epoch(training.generator):
            training.step(images, labels)
    right = [model(images).argmax(1) == labels for images, labels in batches.scoring()]
    return float(torch.cat(right).double().mean())


def test_a_training_loop_takes_either(folder: Path) -> None:
    streamed = stream_data(folder, image_size=SIZE, val_fraction=0.2)
    assert trained_accuracy(Stream(streamed, 4), SIZE) == 1
    held = load_data(folder, image_size=SIZE, val_fraction=0.2)
    assert trained_accuracy(Batches(held, 4, pad=0, flip=True), SIZE) == 1
