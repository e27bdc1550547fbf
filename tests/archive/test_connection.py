"""Files of anybody: whatever is wrong with one is said in one line, and the file stays as it was."""

import os
import shutil
import sqlite3
import struct
from types import SimpleNamespace

import pytest

from gaaf_gp.archive import Archive, check, connection
from gaaf_gp.archive.rows import to_json
from gaaf_gp.errors import GaafError


def refused(path, said, **options):
    """Open a file in both ways; each must be refused, and leave the file alone."""
    before = path.read_bytes() if path.is_file() else None
    for call in (lambda: Archive(path, readonly=True), lambda: Archive(path, **options), lambda: check(path)):
        with pytest.raises(GaafError, match=said) as raised:
            call()
        assert "\n" not in str(raised.value)
    assert before is None or path.read_bytes() == before
    assert {one.name for one in path.parent.iterdir()} == {path.name}


def with_header(path, place, value):
    """Overwrite four bytes of the first page."""
    content = bytearray(path.read_bytes())
    content[place : place + 4] = struct.pack(">i", value)
    path.write_bytes(content)


def test_reading_makes_no_file(tmp_path):
    for call in (lambda path: Archive(path, readonly=True), check, lambda path: check(path, upgrade=True)):
        with pytest.raises(GaafError, match=r"there is no archive .*none\.sqlite: give the path of one that a run has"):
            call(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_new_to_a_writer_and_nothing_to_a_reader(path):
    path.touch()
    with pytest.raises(GaafError, match="is empty: give the path of an archive that a run has made"):
        Archive(path, readonly=True)
    assert path.stat().st_size == 0
    with Archive(path) as archive:
        assert len(archive) == 0
    assert check(path).problems == ()


@pytest.mark.parametrize(
    "content", [b"notes", b"\0" * 5000, b"SQLite format 3", b"SQLite format 2\0" + b"\0" * 4080, b"\x80\x04K\x01."]
)
def test_another_kind_of_file_is_refused(path, content):
    path.write_bytes(content)
    refused(path, "is no archive: it is not a file of SQLite: choose another")


def test_a_header_alone_is_no_archive(filled):
    filled.write_bytes(filled.read_bytes()[:100])
    refused(filled, "is damaged")


def test_the_file_of_another_program_is_refused(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE evaluations (text TEXT)")
    db.commit()
    db.close()
    refused(path, "is no archive: another program made this file of SQLite: choose another")


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(GaafError, match=r"an archive must be a file, and .* is none"):
        Archive(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "an archive must be a file")


def test_a_path_below_a_file_is_refused(filled):
    with pytest.raises(GaafError, match=r"an archive must be usable, but .* is not \((Not a directory|File exists)\)"):
        Archive(filled / "below" / "archive.sqlite")
    with pytest.raises(GaafError, match=r"the path of an archive must have no zero character, got 'with.x00zero'"):
        Archive("with\0zero")


def test_a_file_of_a_newer_version_is_refused(filled):
    with_header(filled, 60, len(connection.MIGRATIONS) + 1)
    refused(
        filled, f"must have version {len(connection.MIGRATIONS)} or an older one, and a newer gaaf-gp made it.*update"
    )


def test_a_version_that_never_was_is_refused(filled):
    with_header(filled, 60, -1)
    refused(
        filled,
        f"must have version {len(connection.MIGRATIONS)} or an older one, and a newer gaaf-gp made it, version -1",
    )


def test_tables_without_a_version_are_refused(filled):
    with_header(filled, 60, 0)
    before = filled.read_bytes()
    with pytest.raises(
        GaafError, match=r"must have the tables of an archive and nothing else, but .* is not one of an"
    ):
        Archive(filled)
    assert filled.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE VIEW more AS SELECT load_extension('evil')", "'more' is not one of an archive"),
        ("CREATE TRIGGER t AFTER INSERT ON tasks BEGIN DELETE FROM evaluations; END", "'t' is not one of an archive"),
        ("CREATE VIRTUAL TABLE v USING fts5(x)", "'v' is not one of an archive"),
        ("ALTER TABLE tasks ADD COLUMN more TEXT", "'tasks' is changed"),
        ("DROP INDEX evaluations_by_signature", "'evaluations_by_signature' is missing"),
        ("DROP TABLE run_entries", "'run_entries.*' is missing"),
    ],
)
def test_another_schema_is_refused_before_anything_in_it_is_run(filled, statement, said):
    db = sqlite3.connect(filled)
    db.execute(statement)
    db.commit()
    db.close()
    refused(filled, said)


def test_a_name_that_moves_the_cursor_is_shown_as_text(filled):
    db = sqlite3.connect(filled)
    db.execute('CREATE TABLE "a\n\x1b[2J" (x)')
    db.commit()
    db.close()
    with pytest.raises(GaafError, match=r"'a\\n\\x1b\[2J' is not one of an archive"):
        Archive(filled, readonly=True)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9, 0.999])
def test_a_torn_file_is_refused(filled, part):
    content = filled.read_bytes()
    filled.write_bytes(content[: int(part * len(content))])
    refused(filled, "is damaged")


def test_a_page_of_zeros_is_noticed(filled):
    content = bytearray(filled.read_bytes())
    content[8192:12288] = bytes(4096)
    filled.write_bytes(content)
    refused(filled, "is damaged")


def test_another_text_encoding_is_noticed(filled):
    with_header(filled, 56, 2)
    refused(filled, "must have the tables|is damaged")


def test_a_flipped_digit_in_a_row_is_noticed_where_it_is_read(filled, make):
    content = bytearray(filled.read_bytes())
    place = content.index(to_json(list(make(5).curve)).encode()) + 3
    content[place] = ord("0") + (content[place] - ord("0") + 1) % 10
    filled.write_bytes(content)
    with (
        Archive(filled, readonly=True) as archive,
        pytest.raises(GaafError, match=r"is damaged \(evaluation 6 has ano"),
    ):
        list(archive.rows())
    assert check(filled).problems == ("evaluation 6 has another checksum than was written",)


def test_a_value_beyond_all_measure_is_refused(filled, monkeypatch):
    monkeypatch.setattr(connection, "MOST_BYTES", 50)
    with pytest.raises(GaafError, match=r"is damaged or cannot hold this \(DataError: string or blob too big\)"):
        Archive(filled, readonly=True)


def test_an_old_library_is_refused(path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(GaafError, match=r"an archive needs SQLite 3\.37\.0 or newer, and this Python has 3\."):
        Archive(path)
    assert not path.exists()


def test_a_writer_that_keeps_it_locked_is_waited_for_and_named(filled, make, monkeypatch):
    monkeypatch.setattr(connection, "WAIT", 0.1)
    with Archive(filled) as first, Archive(filled) as second, first.transaction():
        with pytest.raises(GaafError, match="SQLITE_BUSY, another process has kept it locked for"):
            second.add(make(50))
        assert len(second) == 20  # readers never wait


def test_a_copy_without_its_log_is_whole_and_a_log_is_used(filled, make, tmp_path):
    copied = tmp_path / "copy" / filled.name
    copied.parent.mkdir()
    with Archive(filled) as archive:
        archive.add(make(50))
        for name in (filled.name, f"{filled.name}-wal"):
            shutil.copy(filled.with_name(name), copied.with_name(name))
    with Archive(copied, readonly=True) as archive:
        assert len(archive) == 21
    assert {one.name for one in copied.parent.iterdir()} == {copied.name}


def test_a_file_that_was_left_before_the_log_is_used(filled):
    db = sqlite3.connect(filled)
    assert db.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    db.close()
    with Archive(filled, readonly=True) as archive:
        assert len(archive) == 20
    with Archive(filled) as archive:
        assert archive.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert archive.db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_names_that_mean_something_in_an_address_are_names(tmp_path, make, settings_of_task):
    for name in ("a b?mode=ro", "100%#x", "é'\"", "?"):
        with Archive(tmp_path / name) as archive:
            archive.register(settings_of_task)
            archive.add(make())
        with Archive(tmp_path / name, readonly=True) as archive:
            assert len(archive) == 1
    assert len(list(tmp_path.iterdir())) == 4


class Asked:
    """A connection that answers what is written down, in turn."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def execute(self, _query):
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            error = sqlite3.OperationalError("no")
            error.sqlite_errorcode = answer
            raise error
        return SimpleNamespace(fetchone=lambda: (answer,))


BUSY_RECOVERY, BUSY_SNAPSHOT, READONLY = 261, 517, 8


def test_a_busy_file_is_asked_again_and_any_other_error_is_told(tmp_path):
    db = Asked(sqlite3.SQLITE_BUSY, BUSY_RECOVERY, BUSY_SNAPSHOT, "wal")
    connection._use_log(db, tmp_path / "a.sqlite")
    assert db.answers == []
    db = Asked(READONLY, "wal")
    with pytest.raises(sqlite3.OperationalError):
        connection._use_log(db, tmp_path / "a.sqlite")
    assert db.answers == ["wal"], "it is not asked again"
    with pytest.raises(GaafError, match="an archive must lie where SQLite can share memory between processes"):
        connection._use_log(Asked("delete"), tmp_path / "a.sqlite")


def test_a_file_that_stays_busy_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT", 0.05)
    with pytest.raises(sqlite3.OperationalError):
        connection._use_log(Asked(*[sqlite3.SQLITE_BUSY] * 1000), tmp_path / "a.sqlite")
