"""Opening the file of an archive, which may be anybody's: what it is, is checked before anything in it is believed.

Nothing in a file can make code run: SQL of its schema is compared and never trusted, no extension is loaded. Whatever
SQLite says against a file or a disk becomes one line of :class:`gaaf_gp.GaafError`.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gaaf_gp.archive.evaluation import DamagedError
from gaaf_gp.errors import GaafError, one_line

APPLICATION_ID = 0x47414146
"""The letters GAAF."""
LEAST_SQLITE = (3, 37, 0)
"""The first SQLite with STRICT tables."""
WAIT = 30.0
"""Seconds that a process waits while another one writes."""
MOST_BYTES = 50_000_000
"""Longest value, or SQL, that is read from a file."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_PAGE_SIZE = slice(16, 18)
_APPLICATION_ID = slice(68, 72)
_SAID = {
    sqlite3.SQLITE_FULL: "the disk or quota is full; what was written before is kept: make room, and run it again",
    sqlite3.SQLITE_READONLY: "it or its folder is read-only: choose a folder that can be written to",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened there: choose a folder that can be written to",
    sqlite3.SQLITE_PERM: "it may not be used by this user: change its permissions",
    sqlite3.SQLITE_BUSY: f"another process has kept it locked for {WAIT:g} s: wait until that one is done",
    sqlite3.SQLITE_CONSTRAINT: "something points to what is not in it: add that first",
    sqlite3.SQLITE_IOERR: "the disk refused to be read or written, or is full; what was written before is kept: look "
    "at the disk, and run it again",
}

Migration = Sequence[str]

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE tasks (
            hash TEXT NOT NULL PRIMARY KEY,
            settings TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE environments (
            id INTEGER PRIMARY KEY,
            device TEXT NOT NULL,
            versions TEXT NOT NULL,
            UNIQUE (device, versions)
        ) STRICT""",
        """CREATE TABLE evaluations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            text TEXT NOT NULL,
            signature TEXT NOT NULL,
            task TEXT NOT NULL REFERENCES tasks (hash),
            split TEXT NOT NULL,
            seed INTEGER NOT NULL,
            epochs INTEGER NOT NULL,
            fidelity REAL NOT NULL,
            accuracy REAL,
            curve TEXT NOT NULL,
            losses TEXT NOT NULL,
            metrics TEXT NOT NULL,
            seconds REAL,
            failure TEXT,
            formula TEXT NOT NULL,
            created TEXT NOT NULL,
            environment INTEGER NOT NULL REFERENCES environments (id),
            checksum INTEGER NOT NULL,
            UNIQUE (text, task, signature, split, epochs, seed)
        ) STRICT""",
        "CREATE INDEX evaluations_by_signature ON evaluations (signature, task, split, seed)",
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            command TEXT NOT NULL,
            config TEXT NOT NULL,
            versions TEXT NOT NULL,
            started TEXT NOT NULL,
            ended TEXT,
            status TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE run_entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            text TEXT NOT NULL,
            epochs INTEGER NOT NULL,
            evaluation INTEGER REFERENCES evaluations (id) ON DELETE CASCADE,
            failure TEXT,
            CHECK ((evaluation IS NULL) <> (failure IS NULL))
        ) STRICT""",
        """CREATE UNIQUE INDEX run_entries_trained ON run_entries (run, text, epochs, evaluation)
            WHERE evaluation IS NOT NULL""",
        "CREATE UNIQUE INDEX run_entries_rejected ON run_entries (run, text) WHERE evaluation IS NULL",
        "CREATE INDEX run_entries_by_run ON run_entries (run)",
        "CREATE INDEX run_entries_by_evaluation ON run_entries (evaluation)",
    ),
    (
        """CREATE TABLE births (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            text TEXT NOT NULL,
            generation INTEGER NOT NULL,
            operation TEXT NOT NULL,
            parents TEXT NOT NULL,
            UNIQUE (run, number),
            UNIQUE (run, text)
        ) STRICT""",
        """CREATE TABLE generations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            evaluations INTEGER NOT NULL,
            population TEXT NOT NULL,
            UNIQUE (run, number)
        ) STRICT""",
    ),
)
"""The first one makes version 1 of an empty file. AUTOINCREMENT, because the number of a deleted row must not come to
mean another one."""


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 for an empty file."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Bring a file up to the newest version, step by step; several processes may do so at a time.

    Args:
        db: a connection in autocommit mode, outside a transaction.
        migrations: what makes each version of the one before.

    Raises:
        sqlite3.Error: a step failed; the file has the version that it had before it.
    """
    while version_of(db) < len(migrations):
        db.execute("BEGIN IMMEDIATE")
        try:
            version = version_of(db)  # again: another process may have been quicker
            for statement in migrations[version] if version < len(migrations) else ():
                db.execute(statement)
            if version < len(migrations):
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {version + 1}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def objects(db: sqlite3.Connection) -> dict[str, str]:
    """Return what is defined in a file: name -> its SQL, without what SQLite makes for itself."""
    found = db.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {str(name): str(sql) for name, sql in found}


@functools.cache
def expected(migrations: tuple[Migration, ...]) -> dict[str, str]:
    """Return what is defined in a file that these steps have made."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(db, migrations)
        return objects(db)
    finally:
        db.close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn every error of SQLite into one line about the file.

    Raises:
        GaafError: SQLite refused something, a value does not fit into it, or the file is damaged.
    """
    try:
        yield
    except DamagedError as error:
        raise GaafError(
            f"{path} is damaged ({error}): restore a copy of it; gaaf-gp archive check says what else is damaged"
        ) from error
    except (sqlite3.Error, OverflowError, MemoryError, UnicodeError) as error:
        raise GaafError(_message(path, error)) from error


@contextmanager
def transaction(db: sqlite3.Connection, path: Path, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Write all that is done within, or nothing; with the kind "DEFERRED", read what is there at one moment.

    Raises:
        GaafError: see :func:`translated`.
    """
    with translated(path):
        db.execute(f"BEGIN {kind}")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if db.in_transaction:  # SQLite may have given up by itself
                    db.execute("ROLLBACK")
            raise


def _message(path: Path, error: BaseException) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    said = _SAID.get(code & 0xFF) if code is not None else None
    if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is damaged ({one_line(error)}): restore a copy of it"
    if said is not None:
        name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
        return f"an archive must be usable, but using {path} ended with {name}, {said}"
    return f"{path} is damaged or cannot hold this ({one_line(error)}): if it is damaged, restore a copy of it"


def open_file(path: Path, *, write: bool, verify: bool = True) -> sqlite3.Connection:
    """Return a checked connection in autocommit mode.

    Args:
        path: the file.
        write: make the file if it is missing, and bring an older one up to date; otherwise nothing is changed.
        verify: look through the whole file for damage, without its indexes.

    Raises:
        GaafError: there is no such file, it is none of this kind, damaged, of a newer version, or cannot be used.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise GaafError(f"an archive needs SQLite {least} or newer, and this Python has {sqlite3.sqlite_version}")
    try:
        _check_kind(path, write)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        if isinstance(error, GaafError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise GaafError(f"an archive must be usable, but {path} is not ({reason})") from error
    with translated(path):
        db = _connect(path, write)
        try:
            _prepare(db, path, write, verify)
        except BaseException:
            db.close()
            raise
        return db


def damages(db: sqlite3.Connection, *, thorough: bool, most: int = 1) -> list[str]:
    """Return what SQLite finds wrong with a file, at most so many lines.

    Args:
        db: a connection.
        thorough: compare every index with its table too.
        most: the number of lines after which it stops looking.
    """
    check = "integrity_check" if thorough else "quick_check"
    found = [" ".join(str(row[0]).split()) for row in db.execute(f"PRAGMA {check}({most})")]
    return [] if found == ["ok"] else found


def _check_kind(path: Path, write: bool) -> None:
    """Refuse what is no archive by its first bytes, before SQLite may touch it."""
    if "\0" in str(path):
        raise GaafError(f"the path of an archive must have no zero character, got {str(path)!r}")
    if not path.exists():
        if not write:
            raise GaafError(f"there is no archive {path}: give the path of one that a run has made")
        return
    if not path.is_file():
        raise GaafError(f"an archive must be a file, and {path} is none: give the path of one")
    if _size(path.with_name(path.name + "-journal")):
        return  # a crash while the file was made: SQLite puts it right, and then it is looked at again
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header and write:
        return
    if not header:
        raise GaafError(f"{path} is empty: give the path of an archive that a run has made")
    if not header.startswith(_MAGIC):
        raise GaafError(f"{path} is no archive: it is not a file of SQLite: choose another")
    _check_application(int.from_bytes(header[_APPLICATION_ID], "big"), path)
    page = int.from_bytes(header[_PAGE_SIZE], "big")
    torn = _size(path) % (65_536 if page == 1 else page or 1)  # SQLite would fill the last page with zeros
    if torn and not _size(path.with_name(path.name + "-wal")):  # with a log, the page is in there
        raise GaafError(f"{path} is damaged (it ends within a page): restore a copy of it")


def _check_application(found: int, path: Path) -> None:
    if found != APPLICATION_ID:
        raise GaafError(f"{path} is no archive: another program made this file of SQLite: choose another")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    """Connect; a file that cannot be written to is read where it lies."""
    mode = "mode=rwc" if write else "mode=rw"
    if not write and not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)):
        # SQLite would make a file for its lock beside this one; without a log nobody is writing, and none is needed
        mode = "mode=ro" if _size(path.with_name(path.name + "-wal")) else "immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=WAIT, isolation_level=None)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return db


def _prepare(db: sqlite3.Connection, path: Path, write: bool, verify: bool) -> None:
    """Check a file before anything in it is changed, and bring it up to date if it may be."""
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON", "cache_size = -2048"):
        db.execute(f"PRAGMA {pragma}")
    if not write:
        db.execute("PRAGMA query_only = ON")
    db.execute("BEGIN")  # all that is looked at is of one moment
    try:
        _check(db, path, write, verify)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
    if write:
        migrate(db, MIGRATIONS)  # a new file is made with a journal, so that its first page says at once what it is
        _use_log(db, path)
        db.execute("PRAGMA synchronous = FULL")


def _check(db: sqlite3.Connection, path: Path, write: bool, verify: bool) -> None:
    version = version_of(db)
    if version or not write or objects(db):
        _check_application(db.execute("PRAGMA application_id").fetchone()[0], path)
    newest = len(MIGRATIONS)
    if not 0 <= version <= newest:
        raise GaafError(
            f"{path} must have version {newest} or an older one, and a newer gaaf-gp made it, version {version}: "
            "update gaaf-gp"
        )
    if version < newest and not write:
        raise GaafError(
            f"{path} must have version {newest}, and an older gaaf-gp made it, version {version}: bring it up to date "
            f"with gaaf-gp archive check --upgrade {path}"
        )
    _check_schema(db, path, version)
    wrong = damages(db, thorough=False) if verify else []
    if wrong:
        raise DamagedError(wrong[0][:200])


def _use_log(db: sqlite3.Connection, path: Path) -> None:
    """Switch to the write-ahead log, which several processes may do at a time: SQLite does not wait for them here."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    if mode != "wal":
        raise GaafError(
            f"an archive must lie where SQLite can share memory between processes, but {path} does not: choose a "
            "folder on a disk of this machine"
        )


def _check_schema(db: sqlite3.Connection, path: Path, version: int) -> None:
    found, known = objects(db), expected(MIGRATIONS[:version])
    wrong = sorted({name for name in {*found, *known} if found.get(name) != known.get(name)})
    if wrong:
        name = wrong[0][:40]
        what = "is missing" if name not in found else "is not one of an archive" if name not in known else "is changed"
        raise GaafError(
            f"{path} must have the tables of an archive and nothing else, but {name!r} {what}: restore a copy"
        )
