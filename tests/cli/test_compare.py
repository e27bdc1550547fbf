"""``gaaf-gp compare``: real runs side by side, finished, interrupted, killed, and of several seeds."""

import csv
import json
import math
import re
import shutil
import statistics

import pytest
import scipy

from gaaf_gp.archive import INTERRUPTED, RUNNING, Archive
from gaaf_gp.cli import main

SMALL = [
    "--workers",
    "1",
    "--batch-size",
    "8",
    "--population",
    "3",
    "--fresh-seeds",
    "3",
    "--no-random-search",
    "--quiet",
]


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def documents(capsys, *folders):
    status, out, err = call(capsys, *folders, "--json")
    assert (status, err) == (0, ""), err
    return json.loads(out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, image_folder):
    """Three runs that differ in their seed, and one that trains for longer in another loop."""
    root = tmp_path_factory.mktemp("compare")
    for name, *own in (
        ("first", "--seed", "1", "--epochs", "1"),
        ("second", "--seed", "2", "--epochs", "1"),
        ("third", "--seed", "3", "--epochs", "1"),
        ("other", "--seed", "1", "--epochs", "2", "--loop", "steady"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["evolve", "--data", str(image_folder), "--evaluations", "5", *SMALL, *own, "--out", str(root / name)])
        assert ended.value.code == 0
    return root


def result(folder):
    return json.loads((folder / "result.json").read_text())


def killed(run, folder):
    """Make a copy of a run look as if its process had been killed in its search."""
    shutil.copytree(run, folder)
    for name in ("result.json", "hall_of_fame.csv", "logbook.csv", "population.csv"):
        (folder / name).unlink()
    key = json.loads((folder / "config.json").read_text())["run"]
    with Archive(folder / "archive.sqlite") as archive:
        archive.end(key, RUNNING)
    return folder


def test_each_run_is_told_as_its_result_has_it(capsys, runs):
    found = documents(capsys, runs / "first", runs / "other")
    for one, name in zip(found["runs"], ("first", "other"), strict=True):
        known = result(runs / name)
        assert one["folder"] == str(runs / name)
        assert one["status"] == "finished"
        assert (one["best"], one["formula"]) == (known["best"], known["best_infix"])
        assert (one["validation"], one["sign"]) == (known["validation"]["best"], known["validation"]["sign"])
        assert one["test"] == known["test"]["best_mean"]
        assert (one["trained"], one["budget"]) == (5, 5)
        with (runs / name / "hall_of_fame.csv").open() as file:
            assert one["size"] == int(next(csv.DictReader(file))["size"])
        for competitor, compared in one["competitors"].items():
            original = known["test"]["competitors"][competitor]
            assert compared["difference"] == original["difference"]
            assert (compared["p_value"], compared["p_holm"]) == (original["p_value"], original["p_holm"])


def test_what_differs_is_named_and_what_cannot_be_compared_is_warned_of(capsys, runs):
    found = documents(capsys, runs / "first", runs / "other")
    assert found["differ"]["loop"] == ["generations", "steady"]
    assert found["differ"]["proxy.epochs"] == [1, 2]
    assert set(found["differ"]) == {"loop", "proxy.epochs"}
    assert not found["comparable"]
    assert "the runs differ in proxy.epochs" in found["warning"]
    alike = documents(capsys, runs / "first", runs / "second")
    assert alike["differ"] == {"seed": [1, 2]}, "what follows from the seed is not counted"
    assert (alike["comparable"], alike["warning"]) == (True, None)
    status, out, err = call(capsys, runs / "first", runs / "other")
    assert (status, err) == (0, "")
    assert "Not comparable: the runs differ in proxy.epochs" in " ".join(out.split())


def test_other_images_are_warned_of(capsys, runs, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(runs / "first", folder)
    config = json.loads((folder / "config.json").read_text())
    config["proxy"]["data"]["sha256"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    assert documents(capsys, runs / "first", folder)["warning"].startswith(
        "Not comparable: the runs differ in proxy.data.sha256"
    )


def test_seeds_of_one_setting_are_put_together(capsys, runs):
    found = documents(capsys, *(runs / name for name in ("first", "second", "third", "other")))
    (group,) = found["groups"]
    assert group["seeds"] == [1, 2, 3]
    assert group["folders"] == [str(runs / name) for name in ("first", "second", "third")]
    known = [result(runs / name) for name in ("first", "second", "third")]
    columns = {
        "validation": [one["validation"]["best"] for one in known],
        "test": [one["test"]["best_mean"] for one in known],
        "over sign": [one["test"]["difference"]["mean"] for one in known],
    }
    for name, values in columns.items():
        half = scipy.stats.t.ppf(0.975, 2) * statistics.stdev(values) / math.sqrt(3)
        mean = statistics.fmean(values)
        interval = group["figures"][name]
        assert [interval[key] for key in ("low", "mean", "high")] == pytest.approx([mean - half, mean, mean + half])
        assert (interval["n"], interval["confidence"]) == (3, 0.95)
    _, out, _ = call(capsys, runs / "first", runs / "second", runs / "third")
    text = " ".join(out.split())
    mean = statistics.fmean(columns["validation"])
    assert f"validation: {100 * mean:.2f} %, 95 % interval" in text
    assert "3 seeds of one setting (1, 2, 3)" in text


def test_one_seed_counts_once(capsys, runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs / "first", copy)
    found = documents(capsys, runs / "first", copy)
    assert found["groups"] == []
    assert found["differ"] == {}
    assert "The runs have the same settings." in call(capsys, runs / "first", copy)[1]


@pytest.mark.parametrize("name", ["first", "other"])
def test_a_killed_run_is_read_from_its_archive(capsys, runs, tmp_path, name):
    folder = killed(runs / name, tmp_path / "killed")
    known, other = documents(capsys, folder, runs / name)["runs"]
    assert known["status"] == "running or killed"
    for field in ("sign", "trained", "failures"):
        assert known[field] == other[field], field
    assert known["validation"] == pytest.approx(other["validation"])
    with Archive(folder / "archive.sqlite", readonly=True) as archive:  # several may be best
        best = {one.formula for one in archive.summaries() if one.accuracy == pytest.approx(other["validation"])}
    assert {known["formula"], other["formula"]} <= best
    assert known["size"] >= 1
    assert known["test"] is None
    assert known["competitors"] == {}
    assert "not confirmed" in call(capsys, folder, runs / name)[1]


def test_an_interrupted_run_that_runs_again_is_read_from_its_archive(capsys, runs, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(runs / "first", folder)
    content = result(folder) | {"interrupted": True, "test": None, "best": None, "evaluations": 0}
    (folder / "result.json").write_text(json.dumps(content))
    key = json.loads((folder / "config.json").read_text())["run"]
    for status, trained in ((INTERRUPTED, 0), (RUNNING, 5)):
        with Archive(folder / "archive.sqlite") as archive:
            archive.end(key, status)
        one = documents(capsys, folder, runs / "second")["runs"][0]
        assert one["trained"] == trained
        assert one["status"] == ("interrupted" if status == INTERRUPTED else "running or killed")


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_the_table_fits_whatever_the_width(capsys, runs, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, _ = call(capsys, runs / "first", runs / "second", runs / "other")
    assert status == 0
    assert max(map(len, out.splitlines())) <= columns
    assert "5 of 5" in out
    assert "RSign" in out


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("first", "a comparison needs two or more runs, got 1"),
        ("first first", "each run is compared once"),
        ("first nowhere", "nowhere has none"),
        ("first empty", "must have result.json or its archive, and .*empty has neither"),
        ("first torn", "torn/result.json must be JSON"),
        ("first foreign", "must hold the results of a run of gaaf-gp evolve"),
    ],
)
def test_what_is_no_run_is_one_line(capsys, runs, tmp_path, names, message):
    for name in ("empty", "torn", "foreign"):
        (tmp_path / name).mkdir()
        shutil.copy(runs / "first" / "config.json", tmp_path / name / "config.json")
    (tmp_path / "torn" / "result.json").write_text("{")
    (tmp_path / "foreign" / "result.json").write_text('{"interrupted": false}')
    folders = [runs / name if (runs / name).exists() else tmp_path / name for name in names.split()]
    status, out, err = call(capsys, *folders)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert re.search(message, err), err
