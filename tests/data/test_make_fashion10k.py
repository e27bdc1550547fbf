"""The drawing of fashion10k, on IDX files of a few dozen images."""

import gzip
import hashlib
import re
import struct
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gaaf_gp.errors import GaafError
from tests.scripts import loaded

COUNTS = {"train": 60, "t10k": 30}
script = loaded("scripts/make_fashion10k.py")


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header + values.tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four tiny files in which pixel (0,0) of every image is its place and pixel (0,1) its label."""
    made = tmp_path / "idx"
    made.mkdir()
    for prefix, count in COUNTS.items():
        labels = (np.arange(count) * 7 % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.arange(count), labels
        write_idx(made / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(made / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return made


def drawn(folder: Path, out: Path, part: str, per_class: int, seed: int = 3) -> dict[str, NDArray[np.generic]]:
    out.mkdir(exist_ok=True)
    with np.load(script.write_part(folder, out, part, per_class, seed), allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize(("part", "count", "per_class"), [("search", 60, 4), ("test", 30, 2), ("test", 30, 3)])
def test_the_draw_is_stratified_without_repetition_and_shuffled(
    folder: Path, tmp_path: Path, part: str, count: int, per_class: int
) -> None:
    content = drawn(folder, tmp_path / "out", part, per_class)
    images, labels = content["images"], content["labels"]
    assert images.shape == (10 * per_class, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [per_class] * 10
    places = images[:, 0, 0].tolist()
    assert len(set(places)) == 10 * per_class
    assert labels.tolist() == [place * 7 % 10 for place in places] == images[:, 0, 1].tolist()
    assert labels.tolist() != sorted(labels.tolist())
    assert places != sorted(places)
    assert content["classes"].tolist()[::9] == ["T-shirt/top", "Ankle boot"]
    assert content["classes"].dtype.kind == "U"


def test_each_part_comes_from_its_own_official_files(folder: Path, tmp_path: Path) -> None:
    for name in ("images-idx3", "labels-idx1"):
        (folder / f"t10k-{name}-ubyte.gz").unlink()
    assert drawn(folder, tmp_path / "out", "search", 6)["images"][:, 0, 0].max() == 59
    with pytest.raises(GaafError, match=r"t10k-images-idx3-ubyte\.gz is missing"):
        drawn(folder, tmp_path / "out", "test", 1)


def test_the_same_input_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    contents = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        out.mkdir()
        contents.append(script.write_part(folder, out, "search", 4, seed).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut gzip":
        path.write_bytes(content[:-20])
    elif how == "no gzip":
        path.write_bytes(b"plain text")
    else:
        header, body = gzip.decompress(content)[:16], gzip.decompress(content)[16:]
        other = {"short": header + body[:-1], "long": header + body + b"x", "header": b"\0\0\x0d\3" + header[4:] + body}
        path.write_bytes(gzip.compress({"empty": b"", **other}[how]))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "four gzip IDX files of Fashion-MNIST"),
        ("cut gzip", "must be a whole gzip file"),
        ("no gzip", "must be a whole gzip file"),
        ("short", "must hold 60 x 28 x 28 bytes after its header, and holds 47039"),
        ("long", "must hold 60 x 28 x 28 bytes after its header, and holds 47041"),
        ("header", "must be an IDX file of bytes with 3 dimensions"),
        ("empty", "must be an IDX file of bytes with 3 dimensions"),
    ],
)
def test_a_bad_file_ends_the_script_with_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, message: str
) -> None:
    damage(folder / "train-images-idx3-ubyte.gz", how)
    assert script.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert message in line
    assert "train-images-idx3-ubyte.gz" in line


def test_too_few_images_and_unequal_counts_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GaafError, match="at least 7 images, and 'T-shirt/top' has 6"):
        drawn(folder, tmp_path / "out", "search", 7)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(59, np.uint8))
    with pytest.raises(GaafError, match=r"one label per image, and .* has 60 and 59"):
        drawn(folder, tmp_path / "out", "search", 1)


def test_the_whole_script_writes_both_files_and_prints_their_hashes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PER_CLASS", {"search": 5, "test": 2})
    monkeypatch.setattr(sys, "argv", ["make_fashion10k.py", str(folder), "--out", str(tmp_path / "new" / "out")])
    assert script.main() == 0
    expected = [
        f"{hashlib.sha256((tmp_path / 'new' / 'out' / name).read_bytes()).hexdigest()}  {name}"
        for name in ("fashion10k_search.npz", "fashion10k_test.npz")
    ]
    assert capsys.readouterr().out.splitlines() == expected


def test_the_bundled_files_are_those_the_readme_describes() -> None:
    bundled = files("gaaf_gp.data") / "bundled"
    readme = (bundled / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"\| (fashion10k_\w+\.npz) .* \| ([0-9a-f]{64}) \|", readme))
    contents = {name: (bundled / name).read_bytes() for name in ("fashion10k_search.npz", "fashion10k_test.npz")}
    assert rows == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert sum(map(len, contents.values())) < 5_000_000
    licence = (bundled / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 2017 Zalando SE" in licence
