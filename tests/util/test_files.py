"""A file is whole at every moment, and one from anywhere is read with care."""

import os

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.util.files import MOST_BYTES, read_mapping, replacing


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "one.txt"
    for text in (b"first", b"second"):
        with replacing(path) as file:
            file.write(text)
            assert path.exists() == (text == b"second"), "what was there stays until the end"
        assert path.read_bytes() == text
    assert [one.name for one in tmp_path.iterdir()] == ["one.txt"]


def test_what_was_there_stays_if_writing_fails(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("good")

    def fail():
        with replacing(path) as file:
            file.write(b"half of")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert path.read_text() == "good"
    assert [one.name for one in tmp_path.iterdir()] == ["one.txt"]


def test_values_by_name_are_read(tmp_path):
    path = tmp_path / "one.json"
    path.write_text('{"seed": 1, "names": ["a"]}')
    assert read_mapping(path, "settings") == {"seed": 1, "names": ["a"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"seed": 1', "must be JSON"),
        (b"[1]", "must hold settings by name, got list"),
        (b'{"seed": NaN}', "NaN is no number"),
        (b'{"a": ' * 70 + b"1" + b"}" * 70, "nests deeper than 64"),
        (b" " * (MOST_BYTES + 1), "may have at most"),
    ],
    ids=["torn", "a list", "no number", "deep", "large"],
)
def test_anything_else_is_refused(content, message, tmp_path):
    path = tmp_path / "one.json"
    path.write_bytes(content)
    with pytest.raises(GaafError, match=message):
        read_mapping(path, "settings")


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_mapping(tmp_path / "none.json", "settings")
    with pytest.raises(GaafError, match="must be readable"):
        read_mapping(tmp_path, "settings")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GaafError, match="is a pipe or a device"):
        read_mapping(tmp_path / "pipe", "settings")
