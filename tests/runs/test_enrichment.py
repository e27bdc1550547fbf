"""The script that looks for what the best functions have in common, as a person runs it, on tables made up for it."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.evaluation.table import Entry, FunctionTable, save_table
from gaaf_gp.trees.enrichment import features
from primitives import gaaf

SCRIPT = Path(__file__).parents[2] / "runs" / "enrichment.py"


def made_up(value, number=120):
    """A table of functions of encoding 1 whose accuracy is ``value(whether f is periodic, a random number)``."""
    rng, pset = random.Random(0), gaaf.encoding1()
    entries, behaviours = {}, {}
    while len(entries) < number:
        genes = (rng.randrange(22), rng.randrange(22), rng.randrange(11))
        tree = gaaf.from_genes(genes, pset)
        found = behaviour(tree)
        if found.failure is None and found.signature not in entries:
            accuracy = value("periodic" in features(tree), rng.random())
            behaviours[tree.canonical] = found
            entries[found.signature] = Entry(
                genes, tree.canonical, tree.infix(), found.signature, {0: accuracy}, {0: (accuracy,)}, 1.0, None
            )
    return FunctionTable(list(entries.values()), behaviours, {"primitives": "encoding1"})


def run(table, tmp_path, *arguments):
    save_table(table, tmp_path / "table.json.gz")
    command = [sys.executable, str(SCRIPT), "--table", str(tmp_path / "table.json.gz"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    found = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (lambda periodic, luck: 0.5 * periodic + 0.4 * luck, "claim is confirmed here"),
        (lambda periodic, luck: 0.5 * (not periodic) + 0.4 * luck, "claim is wrong"),
        (lambda periodic, luck: luck, "claim is not confirmed here"),
    ],
)
def test_periodic_operators_are_counted_and_judged(value, verdict, tmp_path):
    table = made_up(value)
    status, printed, errors = run(table, tmp_path, "--share", "0.2")
    assert status == 0, errors
    assert verdict in printed
    found = json.loads((tmp_path / "out" / "result.json").read_text())["periodic"]
    ranked = sorted(table.entries, key=lambda entry: -entry.value)
    with_it = ["periodic" in features(gaaf.from_genes(entry.genes)) for entry in ranked]
    assert (found["best"], found["best_with"]) == (24, sum(with_it[:24]))
    assert (found["evaluated"], found["evaluated_with"]) == (120, sum(with_it))
    counts = [[sum(with_it[:24]), 24 - sum(with_it[:24])], [sum(with_it[24:]), 96 - sum(with_it[24:])]]
    assert found["p_value"] == pytest.approx(min(1.0, stats.fisher_exact(counts).pvalue))


def test_a_file_that_is_no_table_is_said_in_one_line(tmp_path):
    (tmp_path / "other.json.gz").write_bytes(b"no table")
    command = [sys.executable, str(SCRIPT), "--table", str(tmp_path / "other.json.gz")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
