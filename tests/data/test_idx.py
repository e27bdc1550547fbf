"""IDX files written by hand, byte by byte; where the loader looks for them is tested in test_data_sources.py."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gaaf_gp.data.idx import read_idx
from gaaf_gp.errors import GaafError


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@given(values=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0)), packed=st.booleans())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, packed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / ("some.gz" if packed else "some")
    path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    np.testing.assert_array_equal(read_idx(path, values.ndim), values)


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], r"announces 24 and has 23"),
        (GOOD + b"x", r"announces 24 and has more"),
        (b"", r"it begins with nothing, not 00 00 08 03"),
        (GOOD[:9], r"struct\.error|error: unpack requires"),
        (b"\0\0\x0d\3" + GOOD[4:], r"it begins with 00 00 0d 03"),
        (b"\0\0\x08\1" + GOOD[4:], r"it begins with 00 00 08 01"),
        (GOOD[:4] + b"\xff" * 12, r"announces \d+ values, and \d+ are the most"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / ("torn.gz" if packed else "torn")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(GaafError, match=rf"an IDX file must .*torn.*(?:{message})"):
        read_idx(path, 3)


def test_a_damaged_packing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "torn.gz"
    whole = gzip.compress(GOOD)
    for content in (whole[:-9], whole[:-5] + bytes(5), b"no gzip", whole[:12] + b"\xff" * 8 + whole[20:]):
        path.write_bytes(content)
        with pytest.raises(GaafError, match=r"reading .*torn\.gz ended with"):
            read_idx(path, 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GaafError, match=r"reading .*nowhere ended with FileNotFoundError"):
        read_idx(tmp_path / "nowhere", 1)
