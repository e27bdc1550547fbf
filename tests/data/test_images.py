"""Image files to arrays; what a folder of them must look like is tested in test_data_sources.py."""

import numpy as np
import pytest
from PIL import Image

from gaaf_gp.data.images import channels_first, image_files, read_images, resized
from gaaf_gp.errors import GaafError


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / "b.png"
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path)
    return path


@pytest.fixture
def colour(tmp_path):
    path = tmp_path / "a.PNG"
    Image.fromarray(np.arange(36, dtype=np.uint8).reshape(3, 4, 3)).save(path)
    return path


def test_only_images_are_listed_in_the_order_of_their_names(grey, colour, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(grey.read_bytes())
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder").mkdir()
    with pytest.warns(UserWarning, match=r"1 of 3 entries of .* are not read \(1 \.txt\): images have names with"):
        assert image_files(tmp_path) == [colour, grey]


def test_pixels_come_channels_first_and_unchanged(grey, colour):
    assert np.array_equal(read_images([grey], None), np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4))
    expected = np.arange(36, dtype=np.uint8).reshape(3, 4, 3).transpose(2, 0, 1)
    assert np.array_equal(read_images([colour], None)[0], expected)


def test_grey_beside_colour_becomes_three_equal_channels(grey, colour):
    mixed = read_images([grey, colour], None)
    assert mixed.shape == (2, 3, 3, 4)
    assert all(np.array_equal(mixed[0, channel], mixed[0, 0]) for channel in (1, 2))


def test_a_reduction_averages(tmp_path):
    stripes = np.tile(np.array([0, 200], dtype=np.uint8), (8, 4))
    small = resized(Image.fromarray(stripes), 4)
    assert small.shape == (4, 4)
    assert abs(float(small.mean()) - 100) < 2
    assert small.std() < 60, "without antialiasing the stripes would stay 0 and 200"


def test_a_damaged_file_is_named(tmp_path, grey):
    torn = tmp_path / "torn.png"
    torn.write_bytes(grey.read_bytes()[:40])
    with pytest.raises(GaafError, match=r"must be a whole 8-bit .* file, and reading .*torn\.png ended with"):
        read_images([grey, torn], None)


def test_channels_first_takes_grey_and_colour():
    assert channels_first(np.zeros((5, 3, 4), np.uint8)).shape == (5, 1, 3, 4)
    assert channels_first(np.zeros((5, 3, 4, 3), np.uint8)).shape == (5, 3, 3, 4)
