"""What docs/archive.md prints runs as it is, in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gaaf_gp.archive import check
from gaaf_gp.archive.connection import objects

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
EXPECTED = (
    r"^\d trainings, best .+\n",
    r"\d\d\.\d% .+, 1 seeds\n[\s\S]+\nevolve finished \[.+\n",
    r"\d\d\.\d% after 1 epochs: ",
)


def run(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_snippets_run_one_after_the_other(tmp_path):
    assert len(SNIPPETS) == len(EXPECTED)
    printed = run([sys.executable, "-c", "\n".join(SNIPPETS)], tmp_path)
    assert re.match("".join(EXPECTED), printed), printed
    again = run([sys.executable, "-c", SNIPPETS[0]], tmp_path)
    assert again.startswith("0 trainings, ")
    assert [one.name for one in tmp_path.iterdir()] == ["archive.sqlite"]


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the program sqlite3 is not installed")
def test_commands_of_sqlite_run(filled):
    asked = re.search(r'sqlite3 -readonly archive.sqlite (".+")', TEXT)[1]
    assert len(run(["sh", "-c", f"sqlite3 -readonly archive.sqlite {asked}"], filled.parent).splitlines()) == 5
    deletes = re.search(r"`sqlite3 FILE (\".+\")`", TEXT)[1].replace("worker lost", "loss not finite in epoch 2")
    run(["sh", "-c", f"sqlite3 archive.sqlite {deletes}"], filled.parent)
    report = check(filled)
    assert report.problems == ()
    assert (report.counts["evaluations"], report.counts["failed"]) == (18, 0)


def test_every_table_is_described(archive):
    tables = {name for name, sql in objects(archive.db).items() if sql.startswith("CREATE TABLE")}
    described = dict(re.findall(r"^\| ([a-z_]+) \| (.+) \|$", TEXT, re.MULTILINE))
    assert tables <= set(described)
    columns = archive.db.execute("SELECT name FROM pragma_table_info('evaluations') WHERE name <> 'id'").fetchall()
    assert all(name in described["evaluations"] for (name,) in columns)
