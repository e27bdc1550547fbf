"""The benchmark of bloat, tiny: both parts, going on after an interruption, and the report from stored results."""

from __future__ import annotations

import gzip
import json
import math
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import bloat, bloat_regression, bloat_report, bloat_search
from benchmarks.bloat_choices import BASELINE, CHOICES, EVOLVE, GPLEARN, SHOWN, TOOLBOX, UNLIMITED, USUAL
from benchmarks.bloat_figures import mean_course
from benchmarks.bloat_proxy import Judged, agreement, draw, judge
from benchmarks.bloat_results import pack, results
from benchmarks.regression import TARGETS
from gaaf_gp.archive import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.search import bloat as bloat_package
from gaaf_gp.search.bloat import CONTROLS, Bloat
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.generation import DEFAULT_LIMITS
from gaaf_gp.util.jsonl import Journal, read_journal

ROOT = Path(__file__).resolve().parents[2]
TINY = {"evaluations": 40, "population": 20, "targets": ["Nguyen-5", "Keijzer-1"]}
SOME = [BASELINE, "pareto", "gplearn 0.001, tournament 20"]
SEARCH = {"evaluations": 6, "limit": 200, "choices": [BASELINE, "tarpeian"]}


def quiet(_line):
    pass


def interrupted():
    raise KeyboardInterrupt


def untimed(entries):
    """Return what does not depend on the machine, in one order."""
    plain = [{key: value for key, value in entry.items() if "seconds" not in key} for entry in entries]
    return sorted(plain, key=lambda one: (one.get("target", ""), one["choice"], one["seed"]))


def test_all_controls_of_the_package_are_compared():
    kinds = {type(control) for choice in CHOICES.values() for control in choice.make(4)}
    assert {type(make()) for make in CONTROLS.values()} <= kinds
    for choice in CHOICES.values():
        Bloat(choice.make(4))  # they go together
    assert [name for name, choice in CHOICES.items() if choice.wide] == [UNLIMITED]
    for usual, name in ((USUAL, bloat_package.SEARCH_DEFAULT), (TOOLBOX, bloat_package.DEFAULT)):
        assert CONTROLS[name]() in CHOICES[usual].make(4)


def test_a_regression_that_was_stopped_goes_on_and_finds_the_same(tmp_path):
    def stopped(line):
        raise KeyboardInterrupt

    whole = bloat_regression.measure(tmp_path / "whole", 2, choices=SOME, **TINY, say=quiet)
    assert len(whole) == 2 * 2 * len(SOME)
    assert {entry["evaluations"] for entry in whole} == {40}
    assert {entry["side"] for entry in whole if entry["choice"] in GPLEARN} == {"gplearn"}
    with pytest.raises(KeyboardInterrupt):  # after ten of twelve runs
        bloat_regression.measure(tmp_path / "parts", 2, choices=SOME, **TINY, say=stopped)
    _, kept = read_journal(tmp_path / "parts" / bloat_regression.FILE)
    assert 0 < len(kept) < len(whole)
    again = bloat_regression.measure(tmp_path / "parts", 2, choices=SOME, **TINY, say=quiet)
    assert untimed(again) == untimed(whole)
    assert again[: len(kept)] == kept
    said = []
    assert bloat_regression.measure(tmp_path / "parts", 2, choices=SOME, **TINY, say=said.append) == again
    assert said == []


def test_runs_of_other_settings_do_not_share_a_file(tmp_path):
    bloat_regression.measure(tmp_path, 1, choices=[BASELINE], **TINY, say=quiet)
    with pytest.raises(GaafError, match=r"begun with evaluations 40, now 60"):
        bloat_regression.measure(tmp_path, 1, choices=[BASELINE], **{**TINY, "evaluations": 60}, say=quiet)
    with pytest.raises(GaafError, match=r"evaluations must be a multiple of the population of 20, got 50"):
        bloat_regression.measure(tmp_path, 1, **{**TINY, "evaluations": 50}, say=quiet)


def test_a_search_that_was_stopped_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    stops = iter([True, False, True, False])  # after a search, the other one, ahead of the trainings of their best

    def stopping(_line):
        if next(stops):
            raise KeyboardInterrupt

    whole = bloat_search.measure(tmp_path / "whole", 1, **SEARCH, say=quiet)
    assert [entry["choice"] for entry in whole] == SEARCH["choices"]
    for entry in whole:
        assert entry["evaluations"] == entry["behaviours"] == 6
        assert entry["course"][-1][0] == 6
        assert 0 < entry["fresh"] < 1
        assert entry["training_seconds"] > 0
        assert 0 < entry["overhead_seconds"] < 60
    real, calls = Proxy.train, iter([False] * 3 + [True])  # within the first search
    with monkeypatch.context() as patch:
        patch.setattr(Proxy, "train", lambda *args, **kwargs: interrupted() if next(calls) else real(*args, **kwargs))
        with pytest.raises(KeyboardInterrupt):
            bloat_search.measure(tmp_path / "parts", 1, **SEARCH, say=stopping)
    with Archive(tmp_path / "parts" / bloat_search.ARCHIVE) as archive:
        assert len(archive) == 3
        assert [run.status for run in archive.runs()] == ["interrupted"]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bloat_search.measure(tmp_path / "parts", 1, **SEARCH, say=stopping)
    assert untimed(bloat_search.measure(tmp_path / "parts", 1, **SEARCH, say=stopping)) == untimed(whole)
    with Archive(tmp_path / "parts" / bloat_search.ARCHIVE) as archive:
        seen = [row.signature for row in archive.rows() if row.seed == 0]
        assert len(seen) == len(set(seen)) < 12  # the first six are shared
        assert [run.status for run in archive.runs()] == ["interrupted"] * 3 + ["finished"]
    with Archive(tmp_path / "whole" / bloat_search.ARCHIVE) as archive:
        winners: dict[str, dict[int, float]] = {}
        for row in archive.rows():
            if row.seed != 0:
                winners.setdefault(row.text, {})[row.seed] = row.accuracy
    assert all(sorted(row) == [1, 2, 3] for row in winners.values())
    best = {text: statistics.fmean(row.values()) for text, row in winners.items()}
    assert any(entry["fresh"] == pytest.approx(best[entry["text"]]) for entry in whole if entry["text"] in best)


def test_what_searches_are_judged_by():
    proxy, last = bloat_search.cheap_proxy(200), bloat_search.default_proxy(200)
    assert proxy.data.image_size == (14, 14)
    assert last.data.image_size == (28, 28)
    assert proxy.epochs == last.epochs == 1
    assert not set(bloat_search.SEEN) & set(bloat_search.FRESH)
    assert bloat_search.WIDE.size > 2 * DEFAULT_LIMITS.size
    trees = draw(last, 4)
    assert len({last.behaviour(tree).signature for tree in trees}) == 4
    found = judge(proxy, trees, range(2))
    for tree, row in zip(trees, found.accuracies, strict=True):
        outcomes = [proxy.train(tree, seed) for seed in range(2)]
        assert row == ([] if any(one.failure for one in outcomes) else [one.accuracy for one in outcomes])
    alive = [row for row in found.accuracies if row]
    assert found.noise == pytest.approx(math.sqrt(statistics.fmean(map(statistics.variance, alive))))
    rising, other = ([[0.1], [0.2], [], [0.3], [0.4]], [[0.5], [0.6], [0.1], [0.8], [0.7]])
    assert agreement(Judged(rising, 1.0), Judged(other, 1.0)).tau == pytest.approx(4 / 6)


def stored(folder, seeds=4):
    """Write results of both tasks as the benchmark would, with numbers of our own."""
    rng = np.random.default_rng(1)
    with Journal(folder / bloat_regression.FILE, {"format": 1}) as journal:
        for target in ("Nguyen-5", "Keijzer-1"):
            for seed in range(seeds):
                for place, choice in enumerate([*(EVOLVE + name for name in (USUAL, BASELINE)), *CHOICES, *GPLEARN]):
                    error = 0.01 * (1 + place) * float(rng.uniform(1, 1.2))
                    journal.append({**regression_entry(choice, seed, error), "target": target})
    with (
        Journal(folder / bloat_search.FILE, {"format": 1}) as journal,
        Journal(folder / bloat_search.WORTH, {"proxy": {}, "seeds": [1, 2, 3]}) as worth,
    ):
        for seed in range(seeds):
            for place, choice in enumerate(CHOICES):
                journal.append(search_entry(choice, seed))
                worth.append({"choice": choice, "seed": seed, "fresh": 0.6 + 0.001 * place * float(rng.uniform(1, 2))})
        journal.append(search_entry(BASELINE, seeds))  # whose best was not yet trained again
    return folder


def regression_entry(choice, seed, error):
    sizes = {"mean_size": 20.0 - list(CHOICES).index(choice) if choice in CHOICES else 9.0, "size": 7}
    course = [[200, 10.0], [400 + seed, 12.0 + seed]]
    counts = {"evaluations": 400, "behaviours": 350, "seconds": 1.25, "course": course}
    return {"choice": choice, "seed": seed, "error": error, "test_error": 2 * error, **sizes, **counts}


def search_entry(choice, seed):
    sizes = {"mean_size": 8.0 + seed + 0.1 * len(choice), "size": 5, "course": [[20, 6.0], [38, 8.0 + seed]]}
    refused = {"same behaviour": 3, "constant sign": 9}
    seconds = {"overhead_seconds": 2.5, "training_seconds": 70.0}
    return {"choice": choice, "seed": seed, "best": 0.7, "behaviours": 38, "rejected": refused, **sizes, **seconds}


def rows_of(table):
    return {line.split(" | ")[0].strip("| "): line.strip("|").split(" | ") for line in table.splitlines()[2:]}


def test_errors_are_compared_by_their_ratio_paired_by_target_and_seed(tmp_path):
    runs = results(stored(tmp_path))["regression"]
    rows = rows_of(bloat_report.regression_table(runs))
    assert list(rows) == list(CHOICES)
    logs = {(one["choice"], one["target"], one["seed"]): math.log(one["error"]) for one in runs}
    pairs = [(target, seed) for target in ("Nguyen-5", "Keijzer-1") for seed in range(4)]
    p_values = {}
    for name in CHOICES:
        if name == BASELINE:
            assert float(rows[name][2]) == 1
            continue
        differences = [logs[name, *pair] - logs[BASELINE, *pair] for pair in pairs]
        assert float(rows[name][2]) == pytest.approx(math.exp(statistics.fmean(differences)), abs=0.006)
        low, high = map(float, rows[name][3].split(" to "))
        assert low <= float(rows[name][2]) <= high
        p_values[name] = stats.ttest_1samp(differences, 0).pvalue
    smallest = min(p_values, key=p_values.get)
    assert float(rows[smallest][4].strip("* ")) == pytest.approx(len(p_values) * p_values[smallest], rel=0.06)
    assert rows[smallest][4].strip().startswith("**")
    assert rows["dynamic"][5].strip() == f"{20 - list(CHOICES).index('dynamic'):.1f}*"
    assert rows[UNLIMITED][5].strip() == "20.0"  # larger, not smaller
    others = rows_of(bloat_report.regression_table(runs, EVOLVE))
    assert list(others) == [BASELINE, USUAL]
    ratio = statistics.fmean(logs[EVOLVE + USUAL, *pair] - logs[EVOLVE + BASELINE, *pair] for pair in pairs)
    assert float(others[USUAL][2]) == pytest.approx(math.exp(ratio), abs=0.006)
    assert [cell.strip() for cell in rows["dynamic"][6:]] == ["13.5", "7.0", "350", "400", "1.2"]


def test_gplearn_is_compared_by_medians_at_its_best(tmp_path):
    runs = results(stored(tmp_path))["regression"]
    rows = rows_of(bloat_report.gplearn_table(runs, SHOWN))
    assert list(rows)[: len(SHOWN)] == list(SHOWN)
    usual, best = list(rows.values())[len(SHOWN) :]
    for place, target in enumerate(("Nguyen-5", "Keijzer-1"), 1):
        medians = {
            name: statistics.median(one["error"] for one in runs if (one["choice"], one["target"]) == (name, target))
            for name in (*SHOWN, *GPLEARN)
        }
        for name in SHOWN:
            assert float(rows[name][place].split(",")[0]) == pytest.approx(medians[name], abs=6e-5)
        better = min(medians["gplearn 0.001, tournament 20"], medians["gplearn auto, tournament 20"])
        assert float(usual[place].split(",")[0]) == pytest.approx(better, abs=6e-5)
        assert float(best[place].split(",")[0]) == pytest.approx(min(medians[name] for name in GPLEARN), abs=6e-5)
    assert rows[BASELINE][-1].strip() == "2 of 2, 2 of 2"
    worse = [{**one, "error": 9.0} if one["choice"] == BASELINE else one for one in runs]
    rows = rows_of(bloat_report.gplearn_table(worse, SHOWN))
    assert [rows[name][-1].strip() for name in (BASELINE, TOOLBOX)] == ["0 of 2, 0 of 2", "2 of 2, 2 of 2"]
    partial = [one for one in runs if one["target"] == "Nguyen-5" or one["choice"] != TOOLBOX]
    table = bloat_report.gplearn_table(partial, SHOWN)
    assert "Keijzer-1" not in table
    assert "1 of 1, 1 of 1" in table
    none = [one for one in runs if one["choice"] != TOOLBOX]
    assert TOOLBOX not in rows_of(bloat_report.gplearn_table(none, SHOWN))


def test_accuracies_are_compared_by_their_difference_in_points(tmp_path):
    runs = results(stored(tmp_path))["search"]
    assert len(runs) == 4 * len(CHOICES)
    rows = rows_of(bloat_report.search_table(runs))
    for name in CHOICES:
        own, plain = (np.array([one["fresh"] for one in runs if one["choice"] == which]) for which in (name, BASELINE))
        assert float(rows[name][3]) == pytest.approx(100 * own.mean(), abs=0.006)
        if name != BASELINE:
            assert float(rows[name][4]) == pytest.approx(100 * (own - plain).mean(), abs=0.006)
    assert [cell.strip() for cell in rows[BASELINE][8:]] == ["9.5", "5.0", "38", "3", "0", "2.5", "70"]


def test_targets_have_medians_on_training_and_test_points(tmp_path):
    runs = results(stored(tmp_path))["regression"]
    rows = rows_of(bloat_report.targets_table(runs))
    assert list(rows) == [*CHOICES, *GPLEARN, EVOLVE + BASELINE, EVOLVE + USUAL]
    assert [cell.strip() for cell in rows["harm"][3:]] == [f"{20 - list(CHOICES).index('harm'):.1f}", "350"]
    train, test = map(float, rows["harm"][1].split(" / "))
    errors = [one["error"] for one in runs if (one["choice"], one["target"]) == ("harm", "Nguyen-5")]
    assert (train, test) == pytest.approx((statistics.median(errors), 2 * statistics.median(errors)), abs=6e-5)


def test_courses_are_averaged_where_all_of_them_are_known():
    at, sizes = mean_course([[(10, 1.0), (20, 3.0), (40, 3.0)], [(12, 5.0), (30, 5.0)]])
    assert (at[0], at[-1]) == (12, 30)
    assert sizes[0] == pytest.approx((1.4 + 5) / 2)
    assert sizes[-1] == pytest.approx((3 + 5) / 2)


def test_the_report_draws_figures_and_is_the_same_from_packed_results(tmp_path, capsys):
    stored(tmp_path)
    assert bloat.main(["--report", "--out", str(tmp_path), "--images", str(tmp_path)]) == 0
    first = capsys.readouterr().out
    for title in ("## Regression in DEAP's loop", "## Regression in evolve()", "## gplearn", "## Search"):
        assert title in first
    for name in ("bloat_size.png", "bloat_front.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        (tmp_path / name).unlink()
    packed = tmp_path / "packed"
    packed.mkdir()
    files = pack(tmp_path, packed)
    assert [path.name for path in files] == ["bloat_regression.jsonl.gz", "bloat_search.jsonl.gz"]
    before = [path.read_bytes() for path in files]
    assert [path.read_bytes() for path in pack(tmp_path, packed)] == before
    assert json.loads(gzip.decompress(before[1]).splitlines()[0])["provenance"]["fresh"]["seeds"] == [1, 2, 3]
    assert bloat.main(["--report", "--out", str(packed), "--images", str(packed)]) == 0
    assert capsys.readouterr().out == first
    (packed / files[1].name).unlink()
    assert list(results(packed)) == ["regression"]


def test_bad_input_is_one_line(tmp_path, capsys):
    assert bloat.main(["--report", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: a report needs results, but ")
    (tmp_path / "bloat_search.jsonl.gz").write_bytes(b"no")
    assert bloat.main(["--report", "--out", str(tmp_path)]) == 2
    assert "must be packed results" in capsys.readouterr().err
    assert bloat.main(["--pack", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "results are packed into an existing folder" in capsys.readouterr().err
    wrong = [
        (["regression", "--limit", "9"], "--limit is a setting of the other task"),
        (["search", "--population", "9"], "--population is a setting of the other task"),
        (["search", "--only", EVOLVE + TOOLBOX], f"got {EVOLVE + TOOLBOX!r}: choose one of them"),
        (["regression", "--evaluations", "30"], "evaluations must be a multiple of the population of 200, got 30"),
    ]
    for options, message in wrong:
        assert bloat.main(["--out", str(tmp_path), "--task", *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(SystemExit) as ended:
        bloat.main([])
    assert ended.value.code == 2
    assert "nothing to do" in capsys.readouterr().err


def test_the_command_in_processes_of_its_own_can_be_interrupted_and_goes_on(tmp_path):
    options = ["--task", "regression", "--out", str(tmp_path), "--evaluations", "20", "--population", "20"]
    options += ["--only", BASELINE, "pareto"]
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "benchmarks.bloat",
        *options,
        "--workers",
        "2",
        "--seeds",
        "1000",
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        file, ends = tmp_path / bloat_regression.FILE, time.monotonic() + 120
        while time.monotonic() < ends and (not file.exists() or len(file.read_bytes().splitlines()) < 3):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted; what is finished is in ")
    _, kept = read_journal(file)
    assert len(kept) >= 2
    assert bloat.main([*options, "--workers", "1", "--seeds", "1"]) == 0
    _, entries = read_journal(file)
    assert entries[: len(kept)] == kept
    first = {(one["target"], one["choice"]) for one in entries if one["seed"] == 0}
    assert first == {(target, choice) for target in TARGETS for choice in (BASELINE, "pareto")}
