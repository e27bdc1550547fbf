"""The exhaustive run and its table on a corner of encoding 1, really trained: 18 genotypes of x, sin and -x."""

import hashlib
import itertools
import json

import pytest
import typer

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import TableEvaluator, load_table
from gaaf_gp.search.genetic import random_search
from gaaf_gp.util.jsonl import Journal, read_journal
from primitives import gaaf
from tests.scripts import loaded

CORNER = list(itertools.product((0, 6, 18), (0, 6, 18), (0, 1)))  # identity, sin, neg; add, sub


@pytest.fixture
def exhaustive(image_folder, tmp_path, monkeypatch):
    """Runs the script on the corner; its evaluations are kept in one folder."""
    module = loaded("runs/exhaustive_encoding1.py")
    monkeypatch.setattr(gaaf, "genotypes", lambda: iter(CORNER))
    settings = {"data": str(image_folder), "epochs": 2, "batch_size": 8, "workers": 1, "out": tmp_path / "run"}
    return lambda **changes: module.main(**{**settings, **changes})


@pytest.fixture
def table_script(monkeypatch):
    monkeypatch.setattr(gaaf, "genotypes", lambda: iter(CORNER))
    return loaded("scripts/make_encoding1_table.py")


def distinct():
    """Genotypes whose functions are live and new, by plain enumeration."""
    found = {}
    for genes in CORNER:
        known = behaviour(gaaf.from_genes(genes, gaaf.encoding1()))
        if known.failure is None:
            found.setdefault(known.signature, genes)
    return found


def test_the_best_are_refined_and_one_table_is_made_of_all(exhaustive, table_script, tmp_path, capsys, monkeypatch):
    exhaustive(refine=3, refine_seeds=3)
    printed = capsys.readouterr().out
    assert f"all are in {tmp_path / 'run' / 'evaluations.jsonl'}\n" in printed
    assert "genotypes left out: same behaviour\n" in printed
    first, evaluations = read_journal(tmp_path / "run" / "evaluations.jsonl")
    further, refined = read_journal(tmp_path / "run" / "refined.jsonl")
    failed = sum(row["failure"] is not None for row in refined)  # whether a tiny training ends well is a matter of bits
    assert f"3 distinct functions evaluated, {failed} of them failed; all are in " in printed
    assert (first.pop("seeds"), further.pop("seeds")) == ([0], [1, 2])
    assert first == further
    expected = distinct()
    assert {row["signature"]: tuple(row["genes"]) for row in evaluations} == expected
    ranked = sorted(evaluations, key=lambda row: (-row["accuracy"]["0"], row["text"]))
    assert {row["text"] for row in refined} == {row["text"] for row in ranked[:3]}
    assert all(set(row["accuracy"]) == {"1", "2"} for row in refined)

    out = tmp_path / "table.json.gz"
    table_script.main(tmp_path / "run", out)
    line = capsys.readouterr().out.splitlines()
    assert line[0] == f"{len(expected)} functions, 3 of them refined; 15 trees, 4 of them rejected"
    assert line[1].split()[0] == hashlib.sha256(out.read_bytes()).hexdigest()
    table, pset = load_table(out), gaaf.encoding1()
    for genes in CORNER:
        tree = gaaf.from_genes(genes, pset)
        known = behaviour(tree)
        assert table.behaviour(tree.canonical) == known
        entry = table.entry(tree.canonical)
        assert (None if entry is None else entry.genes) == expected.get(known.signature)
    rows = {row["text"]: row for row in refined}
    for row, entry in zip(evaluations, table.entries, strict=True):
        every = [row, rows[row["text"]]] if row["text"] in rows else [row]
        assert {str(seed): value for seed, value in entry.accuracy.items()} == {
            seed: value for one in every for seed, value in one["accuracy"].items()
        }
        assert entry.curve[0] == tuple(round(value, 4) for value in row["curve"]["0"])
        assert entry.seconds == pytest.approx(sum(one["seconds"] for one in every), abs=1e-3)
        assert (entry.text, entry.formula) == (row["text"], row["formula"])
    assert table.provenance["refined"] == {"functions": 3, "seeds": [1, 2]}
    assert table.provenance["proxy"]["epochs"] == 2
    table_script.main(tmp_path / "run", tmp_path / "again.json.gz")
    assert (tmp_path / "again.json.gz").read_bytes() == out.read_bytes()

    judge = TableEvaluator(table, pset)
    assert judge(gaaf.from_genes((6, 0, 0), pset)) == judge(gaaf.from_genes((0, 6, 0), pset))
    monkeypatch.setattr(table_script, "MOST", 100)
    with pytest.raises(GaafError, match=r"must fit into 100 bytes to be shipped, and has \d+: round its curves"):
        table_script.main(tmp_path / "run", tmp_path / "large.json.gz")
    assert not (tmp_path / "large.json.gz").exists()
    with pytest.raises(GaafError, match=r"a tree must be in the space of the table, primitives\.gaaf:encoding1"):
        random_search(pset, judge, evaluations=50)


def test_ctrl_c_in_the_refinement_loses_nothing(exhaustive, tmp_path, monkeypatch):
    exhaustive()
    file = tmp_path / "run" / "refined.jsonl"
    whole = (tmp_path / "run" / "evaluations.jsonl").read_bytes()

    append = Journal.append

    def stop(journal, entry):
        append(journal, entry)
        if journal.path == file:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", stop)
        with pytest.raises(typer.Exit) as ended:
            exhaustive(refine=3, refine_seeds=2)
    assert ended.value.exit_code == 130
    first = file.read_bytes()
    assert len(first.splitlines()) == 2
    exhaustive(refine=3, refine_seeds=2)
    assert file.read_bytes().startswith(first)
    assert len(read_journal(file)[1]) == 3
    assert (tmp_path / "run" / "evaluations.jsonl").read_bytes() == whole


def test_another_network_may_be_trained(exhaustive, tmp_path):
    exhaustive(network="resnet20", evaluations=1)
    provenance, rows = read_journal(tmp_path / "run" / "evaluations.jsonl")
    assert provenance["proxy"]["network"] == "resnet20"
    assert len(rows) == 1
    with pytest.raises(GaafError, match="was begun with proxy"):
        exhaustive()


def test_too_few_seeds_to_refine_with_are_refused_before_anything_is_trained(exhaustive, tmp_path):
    with pytest.raises(GaafError, match="refine_seeds must be more than the 1 seeds of all candidates, got 1"):
        exhaustive(refine=3, refine_seeds=1)
    assert not (tmp_path / "run").exists()


def rewritten(path, provenance=None, rows=None):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["provenance"] |= provenance or {}
    lines[1:] = lines[1:] if rows is None else rows(lines[1:])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_table_of_unlike_or_missing_evaluations_is_refused(exhaustive, table_script, tmp_path):
    folder = tmp_path / "run"
    exhaustive()
    with pytest.raises(GaafError, match=r"there is no file of evaluations .*refined\.jsonl"):
        table_script.make_table(folder)
    exhaustive(refine=1, refine_seeds=2)
    evaluations, refined = folder / "evaluations.jsonl", folder / "refined.jsonl"
    kept = evaluations.read_text(), refined.read_text()
    rewritten(refined, {"versions": {"torch": "0"}})
    with pytest.raises(GaafError, match=r"of the same settings and of different seeds, .*seeds \[0\] and \[1\]"):
        table_script.make_table(folder)
    refined.write_text(kept[1])
    rewritten(evaluations, rows=lambda rows: rows[:-1])
    with pytest.raises(GaafError, match=r"1 of \d lack one \(.*\): go on with the evaluations"):
        table_script.make_table(folder)
    evaluations.write_text(kept[0])
    rewritten(evaluations, rows=lambda rows: [{**rows[0], "signature": "f" * 32}, *rows[1:]])
    with pytest.raises(GaafError, match="make the table where its evaluations were made"):
        table_script.make_table(folder)
