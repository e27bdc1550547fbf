"""The tables of an archive, their version, and how a file of an earlier version becomes one of this.

The version is SQLite's ``user_version``, the kind of file its ``application_id``. A migration is a list of statements;
each brings a file from one version to the next within one transaction, so that a file is never between two versions.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Sequence

APPLICATION_ID = 0x47414146
"""The letters GAAF."""
LEAST_SQLITE = (3, 37, 0)
"""The first SQLite with STRICT tables."""

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
