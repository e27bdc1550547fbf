"""A file is whole at every moment."""

import pytest

from gaaf_gp.files import replacing


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
