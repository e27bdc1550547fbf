"""The file of a long run: what was written is read back, a cut line is dropped, other settings are refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaaf_gp.errors import GaafError
from gaaf_gp.util.jsonl import Journal, read_journal

WHERE = {"seeds": (0, 1), "proxy": {"epochs": 3, "data": {"name": "tiny"}}}
ENTRIES = [{"genes": [1, 2, 3], "accuracy": {"0": 0.5}}, {"genes": [4, 5, 6], "failure": None}]


def written(path, entries=ENTRIES, provenance=WHERE):
    with Journal(path, provenance) as journal:
        for entry in entries:
            journal.append(entry)
    return path


def test_entries_come_back_and_more_are_added(tmp_path):
    path = written(tmp_path / "new" / "file.jsonl")
    with Journal(path, WHERE) as journal:
        assert journal.entries == ENTRIES
        journal.append({"genes": (7,)})
        assert journal.entries[-1] == {"genes": [7]}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"provenance": json.loads(json.dumps(WHERE))}, *ENTRIES, {"genes": [7]}]


def test_each_entry_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "file.jsonl"
    with Journal(path, WHERE) as journal:
        assert len(path.read_text().splitlines()) == 1
        journal.append(ENTRIES[0])
        assert len(path.read_text().splitlines()) == 2


@settings(max_examples=60)
@given(st.integers(0, 400), st.sampled_from([b"", b"\n", b"{", b"\x00\x00\n", b"7\n"]))
def test_wherever_it_was_cut_off_whole_lines_stay(tmp_path_factory, cut, rest):
    path = written(tmp_path_factory.mktemp("cut") / "file.jsonl")
    content = path.read_bytes()
    kept = content[: min(cut, len(content))]
    whole = kept[: kept.rfind(b"\n") + 1]
    path.write_bytes(kept + (rest if kept.endswith(b"\n") else b""))
    with Journal(path, WHERE) as journal:
        assert journal.entries == ENTRIES[: max(0, whole.count(b"\n") - 1)]
        journal.append({"again": 1})
    with Journal(path, WHERE) as journal:
        assert journal.entries[-1] == {"again": 1}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({**WHERE, "seeds": [0]}, r"file\.jsonl was begun with seeds \[0, 1\], now \[0\]: go on with its settings, or"),
        ({**WHERE, "proxy": {"epochs": 4, "data": {"name": "tiny"}}}, "begun with proxy.epochs 3, now 4:"),
        ({**WHERE, "proxy": {"epochs": 3, "data": {"name": "big"}}}, "begun with proxy.data.name 'tiny', now 'big':"),
        ({**WHERE, "more": True}, "begun with more unset, now True:"),
        ({"seeds": [0, 1]}, "proxy.data.name 'tiny', now unset, proxy.epochs 3, now unset:"),
    ],
)
def test_a_file_of_other_settings_is_refused_and_left_alone(tmp_path, other, said):
    path = written(tmp_path / "file.jsonl")
    before = path.read_bytes()
    with pytest.raises(GaafError, match=said):
        Journal(path, other)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ['{"a": 1}\n', '{"a": 1}\n{"b": 2}\n', "notes", "\n"])
def test_another_kind_of_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "file.jsonl"
    path.write_text(content)
    with pytest.raises(GaafError, match="is not a file of evaluations: its first line has no provenance"):
        Journal(path, WHERE)
    assert path.read_text() == content


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = written(tmp_path / "file.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:1], "{broken\n", *lines[1:]]))
    with pytest.raises(GaafError, match=r"line 2 of .*file\.jsonl must be a JSON object, got b'\{broken.n'"):
        Journal(path, WHERE)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GaafError, match=r"the file of evaluations must be writable, but .*x\.jsonl is not"):
        Journal(tmp_path / "file" / "x.jsonl", WHERE)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    with Journal(tmp_path / "file.jsonl", WHERE) as journal:
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.append({"accuracy": float("nan")})
        assert journal.entries == []
    with Journal(tmp_path / "file.jsonl", WHERE) as journal:
        assert journal.entries == []


def test_a_file_is_read_without_being_changed(tmp_path):
    path = written(tmp_path / "file.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"cut": ')
    assert read_journal(path) == (json.loads(json.dumps(WHERE)), ENTRIES)
    assert path.read_bytes() == whole + b'{"cut": '


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(GaafError, match=r"there is no file of evaluations .*nothing\.jsonl: begin one with the run"):
        read_journal(tmp_path / "nothing.jsonl")
    (tmp_path / "begun.jsonl").write_bytes(b'{"provenance": {"seeds')
    with pytest.raises(GaafError, match=r"begun\.jsonl holds no whole line yet: go on with the run that makes it"):
        read_journal(tmp_path / "begun.jsonl")
    (tmp_path / "other.jsonl").write_text("notes")
    with pytest.raises(GaafError, match="is not a file of evaluations"):
        read_journal(tmp_path / "other.jsonl")
