"""Folders of images from anywhere: bombs, strips, pipes, loops of links, files that are something else.

Each is read as it should be, or refused in one line that names the file; nothing waits, nothing warns, and memory stays
what the pixels need.
"""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from gaaf_gp.data.decoding import Stream
from gaaf_gp.data.folders import FolderSource
from gaaf_gp.data.idx import read_idx
from gaaf_gp.data.images import LARGEST_SIDE, image_names, read_image, read_images
from gaaf_gp.data.load import load_data
from gaaf_gp.data.streamed import stream_data
from gaaf_gp.errors import GaafError

SIDE = 12
MEMORY = 8 * 2**20


def png(width, height, *, depth=8, kind=0, rows=b""):
    """Return a PNG file that claims a size and holds the rows that are given."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(image, kind, **settings):
    """Return an image as a file of that kind."""
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


PIXELS = Image.fromarray(np.arange(3 * SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE, 3))
TURNED = PIXELS.rotate(90)
GREY, FEW = PIXELS.convert("L"), PIXELS.quantize(16)
WHOLE = saved(PIXELS, "PNG")
JPEG = saved(PIXELS, "JPEG")

HOSTILE = {
    "a bomb": (png(50_000, 50_000), r"at most 16384 pixels on a side .* claims more .*2500000000 pixels"),
    "a smaller bomb": (png(16_000, 16_000), r"and 89478485 in all, and .* claims more .*256000000 pixels"),
    "a bomb of zeros": (png(30_000, 30_000, rows=bytes(10**6)), "claims more"),
    "a high strip": (saved(Image.new("L", (1, 100_000)), "PNG"), "1x100000 pixels"),
    "a wide strip": (saved(Image.new("L", (100_000, 1)), "PNG"), "100000x1 pixels"),
    "no width": (png(0, 5), "must be a whole 8-bit PNG, JPEG, .*GIF, JPEG2000 file"),
    "no pixels": (png(0, 0), "must be a whole"),
    "negative width": (png(2**32 - 1, 1), "must be a whole|claims more"),
    "rows missing": (png(12, 12), "must be a whole"),
    "cut off": (WHOLE[:-60], "must be a whole"),
    "a JPEG cut off": (JPEG[: len(JPEG) // 2], "must be a whole"),
    "a wrong sum": (WHOLE.replace(WHOLE[29:33], b"\0\0\0\0"), "must be a whole"),
    "nothing": (b"", "must be a whole"),
    "text": (b"<html>not found</html>", "must be a whole"),
    "a TGA": (saved(PIXELS, "TGA"), "must be a whole"),
    "a GIF cut off": (saved(PIXELS, "GIF")[:-80], "must be a whole"),
    "a TIFF cut off": (saved(PIXELS, "TIFF")[:-80], "must be a whole"),
    "a TIFF of 16 bits": (saved(Image.new("I;16", (SIDE, SIDE)), "TIFF"), r"more than 8 bits"),
    "a TIFF of real numbers": (saved(Image.new("F", (SIDE, SIDE)), "TIFF"), r"more than 8 bits"),
    "PostScript": (saved(PIXELS, "EPS"), "must be a whole"),
    "grey in 16 bits": (saved(Image.new("I;16", (SIDE, SIDE)), "PNG"), r"more than 8 bits \(mode I;16B\)"),
    "colours in 16 bits": (
        png(2, 2, depth=16, kind=2, rows=(b"\0" + bytes(range(12))) * 2), r"more than 8 bits \(mode RGB;16B\)",
    ),
    "PGM of 16 bits": (b"P5 2 2 65535\n" + bytes(8), "more than 8 bits"),
    "a PPM bomb": (b"P6 60000 60000 255\n", "claims more"),
    "a text PPM of huge numbers": (b"P3 2 2 255\n" + b"9" * 10**6, "must be a whole"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Two classes of eight images each to search on."""
    for label in ("cat", "dog"):
        place = tmp_path / "train" / label
        place.mkdir(parents=True)
        for number in range(8):
            (place / f"{number}.png").write_bytes(WHOLE)
    return tmp_path


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_sane_image_is_refused_in_one_line(tmp_path, name, recwarn):
    content, said = HOSTILE[name]
    path = tmp_path / "one.png"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        for mode in (None, "RGB"):
            with pytest.raises(GaafError, match=said) as caught:
                read_image(path, mode)
            assert str(path) in str(caught.value)
            assert str(caught.value).isprintable()
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert not recwarn.list


@pytest.mark.parametrize("name", ["a bomb", "a high strip", "cut off", "colours in 16 bits", "text"])
def test_one_bad_file_among_good_ones_is_named_however_images_are_read(folder, name):
    content, said = HOSTILE[name]
    bad = folder / "train" / "cat" / "3.png"
    bad.write_bytes(content)
    for size in (None, 8):
        with pytest.raises(GaafError, match=said) as caught:
            load_data(folder, image_size=size)
        assert str(bad) in str(caught.value)
    stream = Stream(stream_data(folder, image_size=8, val_fraction=0.25), 4)
    with pytest.raises(GaafError, match=said) as caught:
        [*stream.epoch(0), *stream.scoring()]
    assert str(bad) in str(caught.value)


def test_workers_that_decode_name_the_file_too(folder):
    bad = folder / "train" / "dog" / "1.png"
    bad.write_bytes(HOSTILE["a bomb"][0])
    stream = Stream(stream_data(folder, image_size=8, val_fraction=0.25), 6, workers=1)
    try:
        with pytest.raises(GaafError, match="claims more") as caught:
            [*stream.epoch(0), *stream.scoring()]
    finally:
        stream.close()
    assert str(bad) in str(caught.value)


def expected(image):
    return np.asarray(image.convert("RGB"))


DECODED = expected(Image.open(io.BytesIO(JPEG)))
VALID = {
    "a TIFF": (saved(PIXELS, "TIFF"), np.asarray(PIXELS)),
    "a packed TIFF": (saved(PIXELS, "TIFF", compression="tiff_lzw"), np.asarray(PIXELS)),
    "a grey TIFF": (saved(GREY, "TIFF"), np.asarray(GREY)),
    "a GIF of two frames": (
        saved(FEW, "GIF", save_all=True, append_images=[FEW.rotate(90)]), np.asarray(FEW.convert("RGB")),
    ),
    "a JPEG 2000": (saved(PIXELS, "JPEG2000"), np.asarray(PIXELS)),
    "a palette": (saved(FEW, "PNG"), expected(FEW)),
    "a palette with a clear colour": (saved(FEW, "PNG", transparency=b"\0\x80"), expected(FEW)),
    "CMYK": (saved(PIXELS.convert("CMYK"), "JPEG"), None),
    "clear colours": (saved(PIXELS.convert("RGBA"), "PNG"), expected(PIXELS)),
    "clear grey": (saved(GREY.convert("LA"), "PNG"), np.asarray(GREY)),
    "two colours": (saved(GREY.convert("1"), "PNG"), np.asarray(GREY.convert("1").convert("L"))),
    "a moving PNG": (saved(PIXELS, "PNG", save_all=True, append_images=[TURNED]), expected(PIXELS)),
    "a moving WEBP": (saved(PIXELS, "WEBP", save_all=True, append_images=[TURNED], lossless=True), expected(PIXELS)),
    "a JPEG called PNG": (JPEG, DECODED),
    "a torn EXIF": (saved(PIXELS, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), DECODED),
    "more than its end": (WHOLE + b"more" * 1000, expected(PIXELS)),
    "the longest strip": (saved(Image.new("L", (LARGEST_SIDE, 1), 7), "PNG"), np.full((1, LARGEST_SIDE), 7)),
    "one pixel": (saved(Image.new("L", (1, 1), 9), "PNG"), np.full((1, 1), 9)),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_what_is_a_valid_image_is_read_as_such(tmp_path, name, recwarn):
    content, pixels = VALID[name]
    (tmp_path / "one.png").write_bytes(content)
    found = np.asarray(read_image(tmp_path / "one.png"))
    if pixels is None:  # a lossy way to a colour
        assert np.abs(found.astype(int) - expected(PIXELS)).mean() < 40
        assert found.shape == (SIDE, SIDE, 3)
    else:
        assert np.array_equal(found, pixels)
    assert not recwarn.list


def test_what_is_no_file_is_no_image(folder):
    place = folder / "train" / "cat"
    (place / "folder.png").mkdir()
    os.mkfifo(place / "pipe.png")
    (place / "nowhere.png").symlink_to(place / "missing.png")
    (place / "zero.png").symlink_to("/dev/zero")
    assert image_names(place) == [f"{number}.png" for number in range(8)]
    assert len(load_data(folder, val_fraction=0.25).train) == 12
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(GaafError, match=rf"must be a regular one, and .*{name} is a pipe or a device: name a file"):
            read_image(place / name)
    with pytest.raises(GaafError, match=r"folder\.png ended with IsADirectoryError"):
        read_image(place / "folder.png")


def test_a_link_to_itself_is_named(folder):
    place = folder / "train" / "cat"
    (place / "loop.png").symlink_to(place / "loop.png")
    for load in (load_data, stream_data):
        with pytest.raises(
            GaafError, match=r"must be readable, and .*train/cat.* is not \(Too many levels of symbolic"
        ):
            load(folder)
    (place / "loop.png").unlink()
    (folder / "train" / "loop").symlink_to(folder / "train" / "loop")
    for load in (load_data, stream_data):
        with pytest.raises(GaafError, match=r"must be readable, and .*train.* is not \(Too many levels of symbolic"):
            load(folder)


def test_a_folder_that_links_to_what_it_is_in_has_no_images(folder):
    (folder / "train" / "bird").symlink_to(folder, target_is_directory=True)
    with pytest.raises(GaafError, match=r"every class must have an image, and in .* there is none for bird"):
        load_data(folder)


def test_what_may_not_be_read_is_named(folder, monkeypatch):
    def denied(path, *_arguments):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        with pytest.raises(GaafError, match=r"reading .*0\.png ended with PermissionError"):
            load_data(folder)
    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(
        GaafError, match=r"a folder of classes must be readable, and .*train is not \(Permission denied\)"
    ):
        FolderSource(folder).files("search")
    with pytest.raises(GaafError, match=r"a folder of images must be readable, and .*cat is not \(Permission denied\)"):
        image_names(folder / "train" / "cat")


def test_a_strip_is_not_made_a_wall_of_pixels(folder):
    strip = folder / "train" / "cat" / "0.png"
    strip.write_bytes(saved(Image.new("L", (1, LARGEST_SIDE)), "PNG"))
    data = stream_data(folder, image_size=224, val_fraction=0.5)
    stream = Stream(data, 4)
    places = np.flatnonzero(data.val.names == b"cat/0.png"), np.flatnonzero(data.train.names == b"cat/0.png")
    assert len(places[0]) + len(places[1]) == 1
    with pytest.raises(
        GaafError, match=r"shorter side is resized to 256 pixels .*cat/0\.png of 1x16384 would have 1073741824"
    ):
        [*stream.scoring(data.val if len(places[0]) else data.train)]


def test_images_beyond_memory_are_refused_after_the_first(tmp_path, monkeypatch):
    (tmp_path / "one.png").write_bytes(saved(Image.new("L", (1000, 1000)), "PNG"))
    with pytest.raises(GaafError, match=r"must fit into memory, and 10000000 of 1000x1000 pixels as .*one\.png take"):
        read_images([tmp_path / "one.png"] * 10_000_000, None)


def test_names_of_files_cannot_write_on_the_terminal(folder):
    (folder / "train" / "cat" / "\x1b[2J\nerror: all is well.png").write_bytes(b"nothing")
    with pytest.raises(GaafError, match=r"\\x1b\[2J error: all is well\.png") as caught:
        load_data(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["~nobody-of-that-name/images", "a\0b", "x" * 5000, "", "/dev/null", "\ud800"])
def test_paths_that_lead_nowhere_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for load in (load_data, stream_data):
        with pytest.raises(GaafError, match=r"must (be|hold)") as caught:
            load(name)
        assert str(caught.value).isprintable()
    with pytest.raises(GaafError, match="must"):
        load_data("imagenet", root=name or "missing")


@pytest.mark.parametrize("sizes", [(2**20, 2**10, 2**10), (2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1), (2**30, 1, 1)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_file_that_announces_the_sky_takes_no_memory(tmp_path, sizes, ending):
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    content = struct.pack(">4B3I", 0, 0, 8, 3, *sizes) + bytes(50)
    path.write_bytes(zlib.compress(content, wbits=31) if ending else content)
    tracemalloc.start()
    try:
        with pytest.raises(GaafError, match=r"announces \d+ |has more") as caught:
            read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
