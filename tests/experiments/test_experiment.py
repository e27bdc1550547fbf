"""A whole run on real files: what it writes, that it repeats, and that it says when nothing was gained."""

import csv
import json
from dataclasses import asdict, replace

import pytest
from PIL import Image

from gaaf_gp.data.load import load_data, open_test_split
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.experiments import experiment, run_folder
from gaaf_gp.experiments import experiment as searching
from gaaf_gp.experiments.settings import Settings
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.candidate import parse_candidate
from gaaf_gp.trees.parser import parse
from gaaf_gp.util.randomness import CONFIRMATION
from primitives import minimal


def run(settings, **how):
    """Return what result.json holds."""
    return experiment.run(settings, **how).as_json()


FILES = {
    "archive.sqlite",
    "best_tree.png",
    "checkpoint.json",
    "config.json",
    "hall_of_fame.csv",
    "history.png",
    "logbook.csv",
    "population.csv",
    "result.json",
}
PROXY = {"epochs": 2, "batch_size": 8, "learning_rate": 0.03, "pad": 0, "network_settings": {"widths": (4, 8)}}


@pytest.fixture(scope="module")
def settings(image_folder, tmp_path_factory):
    return Settings(
        out=tmp_path_factory.mktemp("runs") / "first",
        primitives="primitives.minimal:make_pset",
        data=str(image_folder),
        evaluations=7,
        workers=1,
        seed=2,
        population=4,
        fresh_seeds=3,
        proxy=PROXY,
    )


@pytest.fixture(scope="module")
def result(settings):
    return run(settings, quiet=True)


def test_every_file_is_there_and_reads(result, settings):
    assert {path.name for path in settings.out.iterdir()} == FILES
    assert json.loads((settings.out / "result.json").read_text()) == result
    config = json.loads((settings.out / "config.json").read_text())
    assert (config["evaluations"], config["seed"], config["proxy"]["data"]["train"]) == (7, 2, 30)
    with Image.open(settings.out / "best_tree.png") as tree, Image.open(settings.out / "history.png") as history:
        assert min(*tree.size, *history.size) > 100


def test_the_result_holds_both_comparisons(result, settings):
    assert result["evaluations"] == 7
    assert result["seed"] == 2
    assert result["seconds"] >= result["seconds_search"] > 0
    assert set(result["versions"]) == {"python", "gaaf-gp", "deap", "torch", "torchvision", "numpy", "scipy"}
    test = result["test"]
    assert test["seeds"] == [3 * CONFIRMATION, 3 * CONFIRMATION + 1, 3 * CONFIRMATION + 2]
    differences = [a - b for a, b in zip(test["best"], test["sign"], strict=True)]
    assert test["difference"]["mean"] == pytest.approx(sum(differences) / 3)
    assert test["difference"]["low"] <= test["difference"]["mean"] <= test["difference"]["high"]
    assert test["best_mean"] == pytest.approx(sum(test["best"]) / 3)


def test_the_reported_figures_are_those_of_training(result, settings):
    data = load_data(settings.data, seed=2)
    proxy = Proxy(data, **PROXY)
    best = parse(parse(result["best"], minimal.make_pset()).canonical, minimal.make_pset())
    assert proxy.train(best, 2).accuracy == result["validation"]["best"]
    assert proxy.train(None, 2).accuracy == result["validation"]["sign"]
    split = open_test_split(data)
    assert [proxy.train(best, seed, split).accuracy for seed in result["test"]["seeds"]] == result["test"]["best"]
    assert [proxy.train(None, seed, split).accuracy for seed in result["test"]["seeds"]] == result["test"]["sign"]


def test_tables_are_in_order(result, settings):
    rows = run_folder.hall_rows(settings.out)
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, len(rows) + 1)]
    accuracies = [float(row["accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert rows[0]["text"] == result["best"]
    with (settings.out / "logbook.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    assert [row["evaluations"] for row in log] == ["4", "6", "7"]
    assert {"gen", "best", "fitness_avg", "size_avg"} <= set(log[0])


def test_the_same_settings_give_the_same_run(result, settings, tmp_path):
    from dataclasses import replace

    again = run(replace(settings, out=tmp_path / "again"), quiet=True)
    timing = {"seconds", "seconds_search", "seconds_random_search"}
    assert {k: v for k, v in again.items() if k not in timing} == {k: v for k, v in result.items() if k not in timing}
    for name in ("logbook.csv", "hall_of_fame.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (settings.out / name).read_bytes()


def test_a_race_and_added_seeds_are_reported(settings, tmp_path):
    from dataclasses import replace

    proxy = {**PROXY, "epochs": 3}
    some = replace(settings, out=tmp_path / "raced", evaluations=12, population=8, extra_seeds=2, proxy=proxy)
    result = run(some, quiet=True)
    config = json.loads((some.out / "config.json").read_text())
    assert config["racing"] == {**asdict(Racing()), "rungs": [1, 3]}
    assert set(result["dropped"]) == {"1"}
    assert 0 < result["dropped"]["1"] < 12
    assert result["duplicates"] == result["rejected"].get("same behaviour", 0)
    rows = run_folder.hall_rows(some.out)
    assert {row["fidelity"] for row in rows} == {"1.0"}
    assert len(rows) == 12 - result["dropped"]["1"]
    assert [float(row["fitness"]) for row in rows] == sorted((float(row["fitness"]) for row in rows), reverse=True)
    assert max(float(row["standard_error"]) for row in rows) > 0
    assert max(int(row["seeds"]) for row in rows) > 1
    seeds = result["validation"]["seeds"]
    assert seeds == [2, 3, 4][: int(rows[0]["seeds"])]
    proxy = Proxy(load_data(some.data, seed=2), **proxy)
    best = [proxy.train(parse(result["best"], minimal.make_pset()), seed).accuracy for seed in seeds]
    sign = [proxy.train(None, seed).accuracy for seed in seeds]
    assert result["validation"]["best"] == float(rows[0]["accuracy"]) == pytest.approx(sum(best) / len(best))
    assert result["validation"]["best_standard_error"] == float(rows[0]["standard_error"])
    assert result["validation"]["sign"] == float(rows[0]["sign"]) == pytest.approx(sum(sign) / len(sign))
    trained = 12 - result["dropped"]["1"]
    extra = sum(int(row["seeds"]) - 1 for row in rows)
    assert result["epochs_trained"] == 12 + 2 * trained + 3 * extra


@pytest.mark.parametrize(
    ("racing", "epochs", "rungs"), [(None, 2, None), (None, 3, [1, 3]), (True, 2, [1, 2]), (False, 9, None)]
)
def test_races_are_held_where_they_save_something(settings, tmp_path, monkeypatch, racing, epochs, rungs):
    from dataclasses import replace

    monkeypatch.setattr(searching, "evolve", _interrupt)
    proxy = {**PROXY, "epochs": epochs}
    run(replace(settings, out=tmp_path / "out", racing=racing, proxy=proxy), quiet=True)
    held = json.loads((tmp_path / "out" / "config.json").read_text())["racing"]
    assert (held and held["rungs"]) == rungs


@pytest.mark.parametrize("loop", ["steady:3", "islands:2"])
def test_other_loops_are_run_too(settings, tmp_path, loop):
    changed = replace(settings, out=tmp_path / "run", loop=loop, random_search=False, proxy={**PROXY, "epochs": 3})
    result = run(changed, quiet=True)
    config = json.loads((changed.out / "config.json").read_text())
    assert result["evaluations"] == 7
    assert config["loop"] == loop
    assert (config["racing"] is None) == (loop == "steady:3"), "only generations race"


def test_a_race_in_steady_state_is_refused_before_anything_is_written(settings, tmp_path):
    changed = replace(settings, out=tmp_path / "run", loop="steady", racing=True)
    with pytest.raises(GaafError, match="racing needs generations, which the loop 'steady' has not"):
        run(changed, quiet=True)
    assert not changed.out.exists()


def test_the_test_split_stays_closed_until_the_search_is_over(settings, tmp_path, monkeypatch):
    from dataclasses import replace

    order = []
    real_evolve, real_open = searching.evolve, experiment.open_test_split
    monkeypatch.setattr(searching, "evolve", lambda *a, **k: (real_evolve(*a, **k), order.append("searched"))[0])
    monkeypatch.setattr(experiment, "open_test_split", lambda data: (order.append("opened"), real_open(data))[1])
    run(replace(settings, out=tmp_path / "order", evaluations=2, population=2), quiet=True)
    assert order == ["searched", "opened"]


def test_ctrl_c_leaves_what_was_found(settings, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(experiment, "_confirm", _interrupt)
    result = run(replace(settings, out=tmp_path / "stopped"), quiet=True)
    assert result["interrupted"]
    assert result["test"] is None
    assert result["evaluations"] == 7
    assert "interrupted" in result["verdict"]
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == FILES


def test_ctrl_c_before_the_first_candidate_leaves_readable_files(settings, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(searching, "evolve", _interrupt)
    result = run(replace(settings, out=tmp_path / "stopped"), quiet=True)
    assert (result["best"], result["evaluations"], result["interrupted"]) == (None, 0, True)
    assert run_folder.hall_rows(tmp_path / "stopped") == []


def test_a_folder_without_a_test_part_is_refused_before_the_search(settings, tmp_path):
    import shutil
    from dataclasses import replace

    shutil.copytree(f"{settings.data}/train", tmp_path / "pictures" / "train")
    with pytest.raises(GaafError, match=r"confirmed on the test split, but pictures has none"):
        run(replace(settings, data=str(tmp_path / "pictures"), out=tmp_path / "out"), quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_test_part_that_breaks_costs_the_comparison_only(settings, tmp_path):
    import shutil
    from dataclasses import replace

    shutil.copytree(settings.data, tmp_path / "pictures")
    next((tmp_path / "pictures" / "test" / "rows").iterdir()).write_bytes(b"torn")
    found = run(replace(settings, data=str(tmp_path / "pictures"), out=tmp_path / "out"), quiet=True)
    assert found["test"] is None
    assert not found["interrupted"]
    assert found["verdict"].startswith("Not compared on the test split: an image must be a whole 8-bit")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_the_search_is_written_before_it_is_confirmed(settings, tmp_path, monkeypatch):
    from dataclasses import replace

    def crash(*arguments):
        raise SystemError("the power went")

    monkeypatch.setattr(experiment, "_confirm", crash)
    with pytest.raises(SystemError):
        run(replace(settings, out=tmp_path / "out"), quiet=True)
    assert json.loads((tmp_path / "out" / "result.json").read_text())["evaluations"] == 7


def _interrupt(*arguments, **settings):
    raise KeyboardInterrupt


def test_a_set_without_a_live_candidate_says_so(settings, tmp_path):
    from dataclasses import replace

    path = tmp_path / "dead_primitives.py"
    path.write_text(
        "import torch\nfrom gaaf_gp import PrimitiveSet\nfrom gaaf_gp.types import Feature\n"
        "class Whole(Feature): pass\n"
        "def make_pset():\n    pset = PrimitiveSet('dead', ret_type=Whole)\n"
        "    pset.addPrimitive(torch.square, [Feature], Whole)\n    return pset\n"
    )
    with pytest.raises(GaafError, match=r"all were rejected \(\d+ constant sign\)"):
        run(replace(settings, out=tmp_path / "none", primitives=f"{path}:make_pset"), quiet=True)


def test_the_winner_meets_every_competitor(result, settings):
    test = result["test"]
    assert list(test["competitors"]) == ["sign", "rsign", "rprelu", "random"]
    proxy, split = Proxy(load_data(settings.data, seed=2), **PROXY), open_test_split(load_data(settings.data, seed=2))
    for name in ("rsign", "random"):
        candidate = parse_candidate(test["competitors"][name]["text"], minimal.make_pset())
        accuracies = [proxy.train(candidate, seed, split).accuracy for seed in test["seeds"]]
        assert test["competitors"][name]["accuracies"] == accuracies
    assert test["competitors"]["sign"]["difference"] == test["difference"]
    assert test["separation"] is None
    assert result["standing"].startswith("Against 4 competitors")


def test_random_search_has_the_same_budget(result, settings):
    drawn = result["random_search"]
    assert drawn["evaluations"] == 7
    assert drawn["of_the_search"] >= 4, "its first ones are those of the search"
    proxy = Proxy(load_data(settings.data, seed=2), **PROXY)
    best = parse(parse(drawn["best"], minimal.make_pset()).canonical, minimal.make_pset())
    assert proxy.train(best, 2).accuracy == drawn["validation"]
    config = json.loads((settings.out / "config.json").read_text())
    assert (config["random_search"], config["two_trees"]) == (True, False)


def test_random_search_can_be_left_out(settings, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(searching, "random_search", _interrupt)
    found = run(replace(settings, out=tmp_path / "out", evaluations=2, population=2, random_search=False), quiet=True)
    assert found["random_search"] is None
    assert list(found["test"]["competitors"]) == ["sign", "rsign", "rprelu"]
    assert not found["interrupted"]


def test_ctrl_c_in_random_search_leaves_the_search_as_it_was(result, settings, tmp_path, monkeypatch):
    from dataclasses import replace

    def broken_off(*arguments, **settings):
        drawn = real(*arguments, **{**settings, "evaluations": 5})
        drawn.interrupted = True
        return drawn

    real = searching.random_search
    monkeypatch.setattr(searching, "random_search", broken_off)
    found = run(replace(settings, out=tmp_path / "out"), quiet=True)
    assert found["interrupted"]
    assert found["test"] is None
    assert found["standing"] is None
    assert (found["best"], found["evaluations"]) == (result["best"], 7)
    assert found["random_search"]["evaluations"] == 5


def test_two_trees_are_searched_confirmed_and_taken_apart(settings, tmp_path):
    from dataclasses import replace

    some = replace(settings, out=tmp_path / "pairs", evaluations=6, two_trees=True)
    found = run(some, quiet=True)
    assert {path.name for path in some.out.iterdir()} == FILES
    assert found["best"].count(" | ") == 1
    assert found["best_infix"].startswith("forward: ")
    assert found["random_search"]["best"].count(" | ") == 1
    test = found["test"]
    assert list(test["competitors"]) == ["sign", "rsign", "rprelu", "random", "forward", "backward"]
    forward, backward = found["best"].split(" | ")
    pset = minimal.make_pset()
    assert parse_candidate(test["competitors"]["forward"]["text"], pset).forward == parse(
        parse(forward, pset).canonical, pset
    )
    assert str(parse_candidate(test["competitors"]["backward"]["text"], pset).backward) == str(
        parse(parse(backward, pset).canonical, pset)
    )
    proxy, split = Proxy(load_data(some.data, seed=2), **PROXY), open_test_split(load_data(some.data, seed=2))
    for name in ("forward", "backward"):
        candidate = parse_candidate(test["competitors"][name]["text"], pset)
        accuracies = [proxy.train(candidate, seed, split).accuracy for seed in test["seeds"]]
        assert test["competitors"][name]["accuracies"] == accuracies
        gain = sum(a - b for a, b in zip(accuracies, test["sign"], strict=True)) / 3
        assert test["separation"][name]["difference"]["mean"] == pytest.approx(gain)
    rows = run_folder.hall_rows(some.out)
    assert rows[0]["text"] == found["best"]
    pair = parse_candidate(rows[0]["text"], pset)
    assert (int(rows[0]["size"]), int(rows[0]["height"])) == (pair.size, pair.height)
