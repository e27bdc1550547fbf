"""Each source, on files of a few bytes in the formats that lie on real disks."""

import functools
import gzip
import hashlib
import pickle
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gaaf_gp.data import idx, registry
from gaaf_gp.data.folders import FolderSource
from gaaf_gp.data.images import SUFFIXES, read_image
from gaaf_gp.data.load import load_data, open_test_split
from gaaf_gp.data.registry import BundledSource, TorchvisionSource, find_source
from gaaf_gp.data.source import Collection, Part
from gaaf_gp.data.torchvision_compat import import_torchvision
from gaaf_gp.errors import GaafError

Pixels = NDArray[np.uint8]


def everything(collection: Collection) -> Pixels:
    return collection.read(np.arange(len(collection.labels)))


def pixels(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_folder(root: Path, per_class: int = 4, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write ``train`` and ``test`` of PNG files; the first pixel of an image is its label, then its number."""
    for part in ("train", "test"):
        for label, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for number in range(per_class):
                image = pixels(5, 6, 3, seed=number)
                image[0, 0] = label, number, part == "test"
                Image.fromarray(image).save(root / part / name / f"{number:03}.png")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets")


def test_the_bundled_set_has_the_announced_images() -> None:
    sizes: list[tuple[Part, int]] = [("search", 800), ("test", 200)]
    for part, per_class in sizes:
        collection = BundledSource().open(part)
        assert np.bincount(collection.labels).tolist() == [per_class] * 10
        assert collection.classes[0] == "T-shirt/top"
        images = everything(collection)
        assert images.shape == (10 * per_class, 1, 28, 28)
        # The published mean of Fashion-MNIST is 0.2860.
        assert images.mean() / 255 == pytest.approx(0.286, abs=0.005)


@pytest.mark.parametrize("content", [None, b"", b"no zip at all", b"PK\5\6" + bytes(18)])
def test_a_damaged_bundled_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    (tmp_path / "bundled").mkdir()
    if content is not None:
        (tmp_path / "bundled" / "fashion10k_search.npz").write_bytes(content)
    monkeypatch.setattr(registry, "files", lambda _: tmp_path)
    with pytest.raises(GaafError, match=r"fashion10k_search\.npz must be whole.*scripts/make_fashion10k\.py$"):
        BundledSource().open("search")


def test_a_folder_gives_its_images_in_the_order_of_names(folder: Path) -> None:
    collection = FolderSource(folder).open("search")
    assert collection.classes == ("cat", "dog")
    assert collection.labels.tolist() == [0] * 4 + [1] * 4
    images = everything(collection)
    assert images.shape == (8, 3, 5, 6)
    assert images[:, :, 0, 0].tolist() == [[label, number, 0] for label in (0, 1) for number in range(4)]
    expected = pixels(5, 6, 3, seed=3)
    np.testing.assert_array_equal(images[7, :, 1:], expected[1:].transpose(2, 0, 1))
    np.testing.assert_array_equal(collection.read(np.array([6, 1])), images[[6, 1]])


def test_hidden_and_foreign_files_are_ignored(folder: Path) -> None:
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "readme.txt").write_text("not a class")
    (folder / "train" / "cat" / ".hidden.png").write_text("not an image")
    (folder / "train" / "cat" / "notes.txt").write_text("not an image")
    (folder / "train" / "cat" / "deeper.png").mkdir()
    (folder / "train" / "cat" / "NOTES").write_text("not an image")
    with pytest.warns(UserWarning, match=r"2 of 6 entries of .*cat are not read \(1 without a suffix, 1 \.txt\)"):
        collection = FolderSource(folder).open("search")
    assert collection.classes == ("cat", "dog")
    assert len(everything(collection)) == 8


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_an_image_is_upright_as_its_camera_was_held(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = Image.fromarray(np.kron(pixels(2, 3, 3), np.ones((16, 16, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    image.save(path, exif=exif, quality=100)
    with Image.open(path) as reopened:
        expected = ImageOps.exif_transpose(reopened).convert("RGB")  # Pillow's own reading of the tag
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.asarray(expected))


@pytest.mark.parametrize("suffix", [".PNG", *sorted(SUFFIXES)])
def test_every_accepted_format_is_read(folder: Path, suffix: str) -> None:
    image = np.full((5, 6, 3), (200, 100, 50), np.uint8)
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    picture = Image.fromarray(image)
    grey = {".pgm": "L", ".pbm": "1"}.get(suffix)
    picture = Image.new("1", (6, 5), 1) if suffix == ".pbm" else picture
    (picture if grey is None else picture.convert(grey)).save(folder / "train" / "cat" / f"!first{suffix}", **options)
    first = FolderSource(folder).open("search").read(np.array([0, 1]))[0]
    # ITU-R 601-2 luma, which Pillow documents for its conversion to grey.
    luma = [200 * 0.299 + 100 * 0.587 + 50 * 0.114] * 3
    expected = {".pgm": luma, ".pbm": [255] * 3}.get(suffix, [200, 100, 50])
    np.testing.assert_allclose(first.reshape(3, -1).mean(axis=1), expected, atol=3)


def test_grey_images_have_one_channel_and_become_colour_beside_colour(folder: Path) -> None:
    grey = pixels(5, 6)
    for path in (folder / "train").glob("*/*.png"):
        Image.fromarray(grey).save(path)
    Image.fromarray(grey > 99).save(folder / "train" / "cat" / "001.png")
    images = everything(FolderSource(folder).open("search"))
    assert images.shape == (8, 1, 5, 6)
    np.testing.assert_array_equal(images[0, 0], grey)
    np.testing.assert_array_equal(images[1, 0], np.where(grey > 99, 255, 0))
    Image.fromarray(pixels(5, 6, 3)).save(folder / "train" / "dog" / "000.png")
    images = everything(FolderSource(folder).open("search"))
    assert images.shape == (8, 3, 5, 6)
    np.testing.assert_array_equal(images[0], np.stack([grey] * 3))


def test_palettes_and_transparency_become_plain_colour(folder: Path) -> None:
    image = np.zeros((5, 6, 4), np.uint8)
    image[:] = 10, 20, 30, 128
    Image.fromarray(image).save(folder / "train" / "cat" / "000.png")
    Image.new("RGB", (6, 5), (255, 0, 0)).convert("P").save(folder / "train" / "cat" / "001.png")
    images = FolderSource(folder).open("search").read(np.array([0, 1]))
    assert images[:, :, 2, 2].tolist() == [[10, 20, 30], [255, 0, 0]]


def test_unequal_sizes_need_image_size(folder: Path) -> None:
    Image.fromarray(pixels(9, 7, 3)).save(folder / "train" / "dog" / "001.png")
    with pytest.raises(GaafError, match=r"000\.png is 6x5 and .*001\.png is 7x9 pixels: give image_size"):
        everything(FolderSource(folder).open("search"))
    assert everything(FolderSource(folder, resize=4).open("search")).shape == (8, 3, 4, 4)


def test_resizing_is_antialiased(folder: Path) -> None:
    stripes = np.zeros((32, 32), np.uint8)
    stripes[:, ::4] = 200
    Image.fromarray(stripes).save(folder / "train" / "cat" / "000.png")
    image = FolderSource(folder, resize=8).open("search").read(np.array([0]))[0, 0]
    # One column in four is white. Taking two neighbours alone, as without antialiasing, would see none of them.
    np.testing.assert_allclose(image[:, 1:-1], 50, atol=8)


def png_with_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"never decoded") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(16_385, 1), (1, 16_385), (10_000, 10_000), (14_000, 14_000)])
def test_a_huge_image_is_refused_before_decoding(folder: Path, size: tuple[int, int]) -> None:
    (folder / "train" / "cat" / "002.png").write_bytes(png_with_size(*size))
    with pytest.raises(GaafError, match=r"at most 16384 pixels on a side .*002\.png claims more") as caught:
        everything(FolderSource(folder, resize=8).open("search"))
    assert "\n" not in str(caught.value)


def broken_images() -> dict[str, Callable[[Path], object]]:
    return {
        "header alone": lambda path: path.write_bytes(png_with_size(6, 5)),
        "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("no image"),
        "another format": lambda path: Image.fromarray(pixels(5, 6)).save(path, format="TGA"),
        "sixteen bits": lambda path: Image.fromarray(pixels(5, 6).astype(np.uint16) * 200).save(path),
    }


@pytest.mark.parametrize("how", broken_images())
def test_a_broken_image_is_named(folder: Path, how: str) -> None:
    broken_images()[how](folder / "train" / "dog" / "001.png")
    with pytest.raises(GaafError, match=r"whole 8-bit .* file, and reading .*dog.001\.png ended with") as caught:
        everything(FolderSource(folder).open("search"))
    assert "\n" not in str(caught.value)


def remove(path: Path) -> None:
    for entry in sorted(path.rglob("*"), reverse=True):
        if entry.is_dir():
            entry.rmdir()
        else:
            entry.unlink()
    path.rmdir()


def test_the_search_part_never_needs_the_test_part(folder: Path) -> None:
    remove(folder / "test")
    data = load_data(folder, val_fraction=0.25)
    assert (len(data.train), len(data.val)) == (6, 2)
    with pytest.raises(GaafError, match=r"must hold train/CLASS/ and test/CLASS/ .* no folder test/"):
        open_test_split(data)


def test_folders_that_break_a_rule_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "bird").mkdir()
    (folder / "train" / "bird" / "list.txt").touch()
    with (
        pytest.warns(UserWarning, match=r"1 of 1 entries of .*bird are not read \(1 \.txt\)"),
        pytest.raises(GaafError, match=r"every class must have an image, and in .*train there is none for bird"),
    ):
        load_data(folder)
    remove(folder / "train" / "bird")
    remove(folder / "train" / "dog")
    with pytest.raises(GaafError, match=r"at least two classes to tell apart, and .*train has only cat"):
        load_data(folder)
    remove(folder / "train" / "cat")
    (folder / "train" / "cat.png").touch()
    with pytest.raises(
        GaafError, match=r"one folder of images per class, .* it holds: cat\.png; put the images into train/CLASS/"
    ):
        load_data(folder)
    (folder / "train" / "cat.png").unlink()
    (folder / "train").rmdir()
    with pytest.raises(
        GaafError, match=r"pets must hold train/CLASS/ .* has no folder train/; it holds: test/; give the folder above"
    ):
        load_data(folder)
    for missing in ("cifar-10", str(tmp_path / "nowhere"), tmp_path / "nowhere"):
        with pytest.raises(
            GaafError, match=r"fashion10k, fashion-mnist, cifar10, cifar100, imagenet, or the path of a folder"
        ):
            load_data(missing)


def test_the_test_part_must_have_the_classes_of_train(folder: Path) -> None:
    data = load_data(folder, val_fraction=0.25)
    (folder / "test" / "cat").rename(folder / "test" / "cow")
    with pytest.raises(GaafError, match="the unknown ones are: cow; the missing ones: cat"):
        open_test_split(data)
    (folder / "test" / "cow").rename(folder / "test" / "cat")
    split = open_test_split(data)
    assert split.labels.tolist() == [0] * 4 + [1] * 4
    assert split.images[:, :, 0, 0].tolist() == [[label, number, 1] for label in (0, 1) for number in range(4)]


def test_the_test_part_must_have_the_channels_and_size_of_train(folder: Path) -> None:
    in_colour = load_data(folder, val_fraction=0.25)
    for path in (folder / "test").glob("*/*.png"):
        Image.open(path).convert("L").save(path)
    assert open_test_split(in_colour).images.shape == (8, 3, 5, 6)
    for path in (folder / "train").glob("*/*.png"):
        Image.open(path).convert("L").resize((9, 9)).save(path)
    with pytest.raises(GaafError, match=r"\(1, 9, 9\) as those of train, and .*test they are \(1, 5, 6\)"):
        open_test_split(load_data(folder, val_fraction=0.25))
    resized = load_data(folder, val_fraction=0.25, image_size=4)
    assert open_test_split(resized).images.shape == (8, 1, 4, 4)
    Image.new("RGB", (6, 5), (9, 8, 7)).save(folder / "test" / "cat" / "000.png")
    with pytest.raises(
        GaafError, match=r"\(1, 4, 4\) as those of train, and .* \(3, 4, 4\).*make all images grey or all"
    ):
        open_test_split(resized)


def test_a_name_means_the_data_set_and_a_path_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(Path("cifar10"))
    assert find_source("cifar10", tmp_path, False, None) == TorchvisionSource("cifar10", tmp_path)
    source = find_source(Path("cifar10"), tmp_path, False, None)
    assert source == FolderSource((tmp_path / "cifar10").resolve())
    assert source.name == "cifar10"
    monkeypatch.chdir("/")
    assert len(source.open("test").labels) == 8


def idx_files(count: int) -> dict[str, bytes]:
    """The four raw files of a tiny Fashion-MNIST, in which the first pixel is the label."""
    contents = {}
    for prefix in ("train", "t10k"):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = pixels(count, 28, 28, seed=len(prefix))
        images[:, 0, 0] = labels
        contents[f"{prefix}-images-idx3-ubyte"] = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
        contents[f"{prefix}-labels-idx1-ubyte"] = struct.pack(">2I", 0x801, count) + labels.tobytes()
    return contents


def write_fashion(root: Path, count: int = 40) -> Path:
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in idx_files(count).items():
        (raw / name).write_bytes(content)
    return raw


def test_fashion_mnist_is_read_and_its_test_files_stay_unread(tmp_path: Path) -> None:
    raw = write_fashion(tmp_path)
    whole = {path: path.read_bytes() for path in raw.glob("t10k*")}
    for path in whole:
        path.write_bytes(b"garbled")
    data = load_data("fashion-mnist", root=tmp_path, val_fraction=0.25, seed=2)
    assert (len(data.train), len(data.val), data.channels, data.image_size) == (30, 10, 1, (28, 28))
    assert data.classes[9] == "Ankle boot"
    for split in (data.train, data.val):
        assert torch.equal(split.images[:, 0, 0, 0].long(), split.labels)
    with pytest.raises(GaafError, match=r"IDX file must be whole .* reading .*t10k-images-idx3-ubyte ended with"):
        open_test_split(data)
    for path, content in whole.items():
        path.write_bytes(content)
    test = open_test_split(data)
    assert test.images.numpy().tobytes() == idx_files(40)["t10k-images-idx3-ubyte"][16:]
    assert test.labels.tolist() == [place % 10 for place in range(40)]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("train-images-idx3-ubyte", lambda content: content[:-1]),
        ("train-images-idx3-ubyte", lambda _: b""),
        ("train-images-idx3-ubyte", lambda content: b"\0\0\x0d" + content[3:]),
        ("train-labels-idx1-ubyte", lambda content: b"\0\0\x08\7" + content[4:]),
    ],
)
def test_a_corrupted_fashion_mnist_is_refused(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = write_fashion(tmp_path) / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(GaafError, match=rf"IDX file must .*{name}.*: remove it and fetch it anew") as caught:
        load_data("fashion-mnist", root=tmp_path)
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path) -> None:
    path = write_fashion(tmp_path) / "train-labels-idx1-ubyte"
    whole = path.read_bytes()
    path.write_bytes(struct.pack(">2I", 0x801, 39) + whole[8:-1])
    with pytest.raises(GaafError, match="has 40 images and 39 labels: it is damaged"):
        load_data("fashion-mnist", root=tmp_path)
    path.write_bytes(whole[:-1] + b"\x0b")
    with pytest.raises(GaafError, match=r"labels must be 0 to 9, and .* has 0 to 11"):
        load_data("fashion-mnist", root=tmp_path)


def packed_fashion(folder: Path) -> list[tuple[str, str]]:
    """Write the four files packed; return their names and md5 sums."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = []
    for name, content in idx_files(40).items():
        packed = gzip.compress(content)
        (folder / f"{name}.gz").write_bytes(packed)
        sums.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    return sums


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server, on this machine only, of the folder ``mirror``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "mirror").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=tmp_path / "mirror")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_download_is_torchvisions(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "SYSTEM", tmp_path / "system")
    sums = packed_fashion(tmp_path / "mirror")
    fashion = import_torchvision().datasets.FashionMNIST
    monkeypatch.setattr(fashion, "resources", sums)
    monkeypatch.setattr(fashion, "mirrors", [mirror])
    data = load_data("fashion-mnist", root=tmp_path / "root", val_fraction=0.25, download=True)
    assert len(data.train) == 30
    assert len(open_test_split(data)) == 40
    monkeypatch.setattr(fashion, "mirrors", [(tmp_path / "nowhere").as_uri() + "/"])
    with pytest.raises(GaafError, match=r"come by download into .*other.FashionMNIST, .*: check the connection"):
        load_data("fashion-mnist", root=tmp_path / "other", download=True)


@pytest.mark.parametrize("place", ["FashionMNIST/raw", "FashionMNIST", "fashion-mnist", ".", "system"])
def test_packed_files_are_read_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    root = tmp_path / "root"
    monkeypatch.setattr(idx, "SYSTEM", tmp_path / "system")
    packed_fashion(tmp_path / "system" if place == "system" else root / place)
    before = sorted(tmp_path.rglob("*"))
    data = load_data("fashion-mnist", root=root, val_fraction=0.25)
    assert (data.name, data.classes[9], len(data.train), len(data.val)) == ("fashion-mnist", "Ankle boot", 30, 10)
    for split in (data.train, data.val):
        assert torch.equal(split.images[:, 0, 0, 0].long(), split.labels)
    assert data.has_test_split
    assert open_test_split(data).images.numpy().tobytes() == idx_files(40)["t10k-images-idx3-ubyte"][16:]
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_missing_files_say_where_they_were_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAAF_GP_DATA", raising=False)
    monkeypatch.setattr(idx, "SYSTEM", tmp_path / "system")
    with pytest.raises(GaafError, match=rf"cifar10 must be whole in {tmp_path}/.cache/gaaf_gp/cifar-10-batches-py"):
        load_data("cifar10")
    monkeypatch.setenv("GAAF_GP_DATA", str(tmp_path / "sets"))
    with pytest.raises(
        GaafError, match=rf"in {tmp_path}/sets/FashionMNIST/raw: no such folder.*\(download=True, --dow"
    ):
        load_data("fashion-mnist")
    with pytest.raises(
        GaafError, match=rf"in {tmp_path}/given/cifar-100-python, .*no such folder.* \(download=True, --"
    ):
        load_data("cifar100", root=tmp_path / "given")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar = import_torchvision().datasets.CIFAR10
    monkeypatch.setattr(cifar, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    with pytest.raises(GaafError, match=r"cifar10 must be whole in .*: check the connection, or put the files"):
        load_data("cifar10", root=tmp_path, download=True)


def test_pickles_of_an_old_torchvision_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "SYSTEM", tmp_path / "system")
    (tmp_path / "FashionMNIST" / "processed").mkdir(parents=True)
    with pytest.raises(GaafError, match=r"without pickles of an old torchvision: remove the folder .*processed"):
        load_data("fashion-mnist", root=tmp_path, download=True)


def test_a_half_fashion_mnist_says_what_was_sought_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "SYSTEM", tmp_path / "system")
    (write_fashion(tmp_path) / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(
        GaafError, match=r"train-images-idx3-ubyte\(\.gz\) and train-labels.* t10k-images-idx3-ubyte, t10k"
    ):
        load_data("fashion-mnist", root=tmp_path)


def write_cifar(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Pixels, NDArray[np.int64]]:
    """Write a tiny CIFAR of three classes and let torchvision take its md5 sums for the published ones."""
    maker: Any = getattr(import_torchvision().datasets, "CIFAR10" if name == "cifar10" else "CIFAR100")
    batches = ["data_batch_1", "data_batch_2"] if name == "cifar10" else ["train"]
    key = "labels" if name == "cifar10" else "fine_labels"
    folder = root / maker.base_folder
    folder.mkdir(parents=True)
    images, labels = pixels(24, 3, 32, 32), np.arange(24) % 3
    sums = {}

    def write(file: str, content: dict[str, Any]) -> None:
        packed = pickle.dumps(content, protocol=2)
        (folder / file).write_bytes(packed)
        sums[file] = hashlib.md5(packed).hexdigest()

    for number, file in enumerate(batches):
        mine = slice(number, None, len(batches))
        write(file, {"data": images[mine].reshape(-1, 3072), key: labels[mine].tolist()})
    test = "test_batch" if name == "cifar10" else "test"
    write(test, {"data": 255 - images[:6].reshape(-1, 3072), key: labels[:6].tolist()})
    meta = {**maker.meta}
    write(meta["filename"], {meta["key"]: ["cat", "dog", "emu"]})
    monkeypatch.setattr(maker, "train_list", [[file, sums[file]] for file in batches])
    monkeypatch.setattr(maker, "test_list", [[test, sums[test]]])
    monkeypatch.setattr(maker, "meta", {**meta, "md5": sums[meta["filename"]]})
    return folder, images, labels


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _, images, labels = write_cifar(tmp_path, name, monkeypatch)
    data = load_data(name, root=tmp_path, val_fraction=0.25)
    assert (data.name, data.classes) == (name, ("cat", "dog", "emu"))
    assert (len(data.train), len(data.val), data.channels, data.image_size) == (18, 6, 3, (32, 32))
    known = {image.tobytes(): label for image, label in zip(images, labels.tolist(), strict=True)}
    for split in (data.train, data.val):
        assert split.labels.tolist() == [known[image.numpy().tobytes()] for image in split.images]
    test = open_test_split(data)
    np.testing.assert_array_equal(test.images.numpy(), 255 - images[:6])
    assert test.labels.tolist() == labels[:6].tolist()


def test_cifar_can_be_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, "cifar10", monkeypatch)
    data = load_data("cifar10", root=tmp_path, val_fraction=0.25, image_size=16)
    assert data.image_size == (16, 16)
    assert open_test_split(data).images.shape == (6, 3, 16, 16)


def test_a_cifar_with_another_md5_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, *_ = write_cifar(tmp_path, "cifar10", monkeypatch)
    witness = tmp_path / "witness"
    for file in ("batches.meta", "data_batch_2"):
        whole = (folder / file).read_bytes()
        # Unpickled, this would create the witness.
        (folder / file).write_bytes(b"cos\nmkdir\n(S'" + str(witness).encode() + b"'\ntR.")
        with pytest.raises(GaafError, match=rf"corrupted.* \(missing: none; damaged: {file}\): remove that"):
            load_data("cifar10", root=tmp_path)
        (folder / file).write_bytes(whole)
    assert not witness.exists()


def test_a_missing_cifar_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, *_ = write_cifar(tmp_path, "cifar100", monkeypatch)
    (folder / "train").unlink()
    with pytest.raises(GaafError, match=r"cifar100 must be whole .* \(missing: train; damaged: none\)"):
        load_data("cifar100", root=tmp_path)


def test_an_archive_beside_a_missing_folder_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(GaafError, match=r"cifar-10-python\.tar\.gz is there and download=True \(--download\)"):
        load_data("cifar10", root=tmp_path)


def test_val_is_the_test_part_where_test_has_no_classes(folder: Path) -> None:
    (folder / "test").rename(folder / "val")
    (folder / "test").mkdir()
    Image.fromarray(pixels(5, 6, 3)).save(folder / "test" / "unlabelled.png")
    data = load_data(folder, val_fraction=0.25)
    assert data.has_test_split
    assert {int(value) for value in data.val.images[:, 2, 0, 0]} == {0}, "validation images come from train"
    assert open_test_split(data).images[:, :, 0, 0].tolist() == [[label, n, 1] for label in (0, 1) for n in range(4)]


def test_test_goes_before_val(folder: Path) -> None:
    (folder / "val" / "cow").mkdir(parents=True)
    assert open_test_split(load_data(folder, val_fraction=0.25)).labels.tolist() == [0] * 4 + [1] * 4


def test_imagenet_is_a_folder_under_the_root(tmp_path: Path) -> None:
    with pytest.raises(
        GaafError, match=r"imagenet must be the folder .*imagenet with train/CLASS/ .*: nothing; unpack"
    ):
        load_data("imagenet", root=tmp_path)
    write_folder(tmp_path / "imagenet")
    (tmp_path / "imagenet" / "test").rename(tmp_path / "imagenet" / "val")
    data = load_data("imagenet", root=tmp_path, val_fraction=0.25, image_size=4)
    assert (data.name, data.image_size, len(open_test_split(data))) == ("imagenet", (4, 4), 8)
