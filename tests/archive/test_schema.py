"""Versions: an older file is brought up to date in whole steps, or stays what it was."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from gaaf_gp.archive import Archive, Register, check, connection
from gaaf_gp.errors import GaafError

RATED = ("ALTER TABLE evaluations ADD COLUMN rating INTEGER", "UPDATE evaluations SET rating = id * 10")
BEFORE = connection.MIGRATIONS
NEWEST = len(BEFORE)
NAMED = ("CREATE TABLE names (text TEXT NOT NULL) STRICT", "CREATE INDEX names_by_text ON names (text)")


def later(monkeypatch, *steps):
    """Make this program one of a later version."""
    monkeypatch.setattr(connection, "MIGRATIONS", (*BEFORE, *steps))


def version(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0], db.execute("PRAGMA application_id").fetchone()[0]
    finally:
        db.close()


def test_a_new_file_has_the_newest_version_and_our_mark(filled):
    assert version(filled) == (NEWEST, int.from_bytes(b"GAAF", "big"))


def test_a_writer_brings_an_older_file_up_to_date_and_keeps_its_rows(filled, monkeypatch, make):
    later(monkeypatch, RATED, NAMED)
    with Archive(filled) as archive:
        assert archive.find(make(7).text) == [make(7)]
        assert archive.db.execute("SELECT rating FROM evaluations WHERE id = 8").fetchone() == (80,)
        assert archive.db.execute("SELECT COUNT(*) FROM names").fetchone() == (0,)
    assert version(filled)[0] == NEWEST + 2
    with Archive(filled, readonly=True) as archive:
        assert len(archive) == 20
    monkeypatch.undo()
    with pytest.raises(GaafError, match=f"a newer gaaf-gp made it, version {NEWEST + 2}: update gaaf-gp"):
        Archive(filled)


def test_a_reader_changes_nothing_and_says_how(filled, monkeypatch):
    later(monkeypatch, RATED)
    before = filled.read_bytes()
    with_ = f"bring it up to date with gaaf-gp archive check --upgrade {filled}"
    said = f"an older gaaf-gp made it, version {NEWEST}: {with_}"
    for call in (lambda: Archive(filled, readonly=True), lambda: check(filled)):
        with pytest.raises(GaafError, match=said):
            call()
    assert filled.read_bytes() == before
    assert check(filled, upgrade=True).problems == ()
    assert version(filled)[0] == NEWEST + 1
    assert check(filled).counts["evaluations"] == 20


def test_a_step_that_fails_leaves_the_version_before_it(filled, monkeypatch):
    broken = ("ALTER TABLE tasks ADD COLUMN more TEXT", "INSERT INTO no_table VALUES (1)")
    later(monkeypatch, RATED, broken)
    with pytest.raises(GaafError, match="no such table: no_table"):
        Archive(filled)
    assert version(filled)[0] == NEWEST + 1
    later(monkeypatch, RATED)
    with Archive(filled) as archive:
        assert len(archive) == 20
        assert "more" not in connection.objects(archive.db)["tasks"]


def test_a_damaged_older_file_is_not_touched(filled, monkeypatch):
    content = bytearray(filled.read_bytes())
    content[8192:12288] = bytes(4096)
    filled.write_bytes(content)
    later(monkeypatch, RATED)
    with pytest.raises(GaafError, match="is damaged"):
        Archive(filled)
    assert filled.read_bytes() == content


def test_several_may_bring_it_up_to_date_at_a_time(filled, monkeypatch):
    later(monkeypatch, RATED, NAMED)

    def opened(_):
        with Archive(filled) as archive:
            return len(archive), connection.version_of(archive.db)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(opened, range(8))) == [(20, NEWEST + 2)] * 8


def test_a_file_of_version_1_gets_births_and_generations(filled):
    db = sqlite3.connect(filled)
    db.executescript("DROP TABLE births; DROP TABLE generations; PRAGMA user_version = 1")
    db.close()
    before = filled.read_bytes()
    with pytest.raises(GaafError, match="version 1: bring it up to date"):
        Archive(filled, readonly=True)
    assert filled.read_bytes() == before
    with Archive(filled) as archive:
        (run,) = archive.runs()
        register = Register(archive, run.key)
        assert (register.births(), register.generations()) == ([], [])
        assert register.born("x", 0, "random") == 1
        assert len(archive) == 20
    assert check(filled).problems == ()
