"""Searches compared at one budget: a hundred on a table, and four that really train and share what they trained."""

import json
import statistics

import pytest
import typer

from gaaf_gp.archive import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import TableEvaluator, save_table
from gaaf_gp.search.genetic import random_search
from gaaf_gp.training.proxy import Proxy
from tests.scripts import loaded

NAMES = ["paper, as published", "paper, repaired", "evolve()", "random search"]


@pytest.fixture
def script():
    return loaded("runs/compare_searches.py")


@pytest.fixture
def on_table(script, forced, tiny_table, tmp_path, monkeypatch):
    """Compares searches over the set "forced", whose whole table the tests have."""
    monkeypatch.setitem(script.PSETS, script.Space.ENCODING1, lambda: forced)
    monkeypatch.setattr(script, "MILESTONES", (3, 6))
    monkeypatch.setattr(script, "POPULATION", 3)
    monkeypatch.setattr(script, "CHILDREN", 2)
    save_table(tiny_table, tmp_path / "table.json.gz")

    def run(out, **changes):
        settings = {"runs": 25, "evaluations": 9, "table": tmp_path / "table.json.gz", "workers": 1}
        script.main(script.Space.ENCODING1, **{**settings, **changes}, out=out)
        return json.loads((out / "comparison.json").read_text()), json.loads((out / "curves.json").read_text())

    return run


def test_a_hundred_searches_on_a_table(on_table, forced, tiny_table, tmp_path, capsys):
    compared, curves = on_table(tmp_path / "out")
    assert list(compared["searches"]) == list(curves) == NAMES
    runs = [
        random_search(forced, TableEvaluator(tiny_table, forced), evaluations=9, seed=seed).records
        for seed in range(25)
    ]
    best = {at: [max(run[:at], key=lambda record: record.fitness) for run in runs] for at in (3, 6, 9)}
    random = compared["searches"]["random search"]
    assert random["runs"] == 25
    for at, chosen in best.items():
        row = random["after"][str(at)]
        assert row["best"] == statistics.median(one.fitness for one in chosen)
        assert row["all seeds"] == pytest.approx(statistics.median(tiny_table.value(one.text) for one in chosen))
        fresh = [tiny_table.fresh_value(one.text, 0) for one in chosen]
        assert row["other seeds"] == pytest.approx(statistics.median(fresh))
        assert curves["random search"]["median"][at - 1] == pytest.approx(row["best"])
    top = tiny_table.best(0.01, 0)[0].signature
    place = [
        next((k for k, one in enumerate(run, 1) if tiny_table.behaviour(one.text).signature == top), 99) for run in runs
    ]
    reached = random["reach"]["best 1% as seen"]
    assert reached["reached"] == sum(k < 99 for k in place)
    assert reached["median"] == (statistics.median(place) if statistics.median(place) < 99 else None)
    for name in NAMES:
        assert all(len(values) == 9 for values in curves[name].values())
        rows = zip(*(curves[name][key] for key in ("p5", "p25", "median", "p75", "p95")), strict=True)
        assert all(list(row) == sorted(row) for row in rows)
    assert compared["table"] == json.loads(json.dumps(tiny_table.provenance))
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
    assert "of 25 runs" in (tmp_path / "out" / "comparison.txt").read_text()
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5_000


def test_one_table_gives_one_result(on_table, tmp_path):
    first, second = (on_table(tmp_path / name, runs=2)[1] for name in ("a", "b"))
    assert first == second


def test_without_a_table_it_says_how_to_make_one(on_table, tmp_path):
    with pytest.raises(GaafError, match="a function table must be a file, and there is no file"):
        on_table(tmp_path / "out", table=tmp_path / "nothing.gz")
    assert not (tmp_path / "out").exists()


def test_trained_searches_share_one_archive_and_go_on_after_ctrl_c(script, image_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr(script, "FRESH_SEEDS", (1,))
    monkeypatch.setattr(script, "POPULATION", 3)

    def run():
        settings = {"runs": 1, "evaluations": 4, "data": str(image_folder), "epochs": 4, "batch_size": 8, "workers": 1}
        script.main(script.Space.ENCODING2, **settings, out=out)
        return json.loads((out / "comparison.json").read_text()), (out / "curves.json").read_text()

    with monkeypatch.context() as patch:
        add, kept = Archive.add, []

        def stop(archive, evaluation, run):
            kept.append(add(archive, evaluation, run))
            if len(kept) == 3:
                raise KeyboardInterrupt
            return kept[-1]

        patch.setattr(Archive, "add", stop)
        with pytest.raises(typer.Exit) as ended:
            run()
    assert ended.value.exit_code == 130
    assert not (out / "comparison.json").exists()
    with Archive(out / script.ARCHIVE) as archive:
        assert len(archive) == 3
    compared, curves = run()
    with Archive(out / script.ARCHIVE) as archive:
        rows = list(archive.rows())
        before, after = archive.runs()
    assert (before.status, after.status) == ("interrupted", "finished")
    assert before.config == after.config
    assert after.config["primitives"] == "primitives.gaaf:encoding2"
    assert {row.seed for row in rows} == {0, 1}
    seen = [row for row in rows if row.seed == 0]
    assert len({row.signature for row in seen}) == len(seen) <= 16
    fresh = {row.accuracy for row in rows if row.seed == 1}
    values = {row.accuracy for row in seen} | {0.0}
    assert list(compared["searches"]) == NAMES
    for row in compared["searches"].values():
        assert row["after"]["4"]["best"] in values
        assert row["after"]["4"]["other seeds"] in fresh
        assert row["reach"]["best 1% of all evaluated"]["runs"] == 1
    assert max(row["after"]["4"]["best"] for row in compared["searches"].values()) == max(values)
    capsys.readouterr()

    monkeypatch.setattr(Proxy, "train", None)
    assert run() == (compared, curves), "everything is in the archive"


def test_the_published_search_pays_for_what_the_others_reject(script, on_table, tmp_path):
    compared, _ = on_table(tmp_path / "out", runs=3, evaluations=12)
    reach = {name: row["reach"]["best 1% as seen"]["reached"] for name, row in compared["searches"].items()}
    assert reach["random search"] == reach["paper, repaired"] == 3, "ten functions, none of them twice"
    assert compared["evaluations"] == 12
    assert list(compared["searches"]["random search"]["after"]) == ["3", "6", "12"]
