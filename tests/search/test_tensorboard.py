"""What TensorBoard shows is what logbook.csv says, read back with its own reader."""

import csv
import importlib
import json

import pytest

from gaaf_gp.archive import Archive
from gaaf_gp.cli import main
from gaaf_gp.errors import GaafError
from gaaf_gp.search.evolve import evolve
from gaaf_gp.search.tensorboard import TensorBoard, open_log


def read(folder):
    """Return scalar name -> step -> value, and the texts by their steps."""
    accumulators = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    found = accumulators.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    tags = found.Tags()
    scalars = {name: {one.step: one.value for one in found.Scalars(name)} for name in tags["scalars"]}
    texts = {one.step: one.tensor_proto.string_val[0].decode() for one in found.Tensors("best/text_summary")}
    return scalars, texts


@pytest.fixture(scope="module")
def run(tmp_path_factory, image_folder):
    root = tmp_path_factory.mktemp("tensorboard")
    small = ["--data", str(image_folder), "--workers", "1", "--epochs", "1", "--batch-size", "8", "--population", "4"]
    small += ["--evaluations", "10", "--fresh-seeds", "2", "--no-random-search", "--quiet", "--seed", "2"]
    with pytest.raises(SystemExit) as ended:
        main(["evolve", *small, "--out", str(root / "run"), "--tensorboard", str(root / "events")])
    assert ended.value.code == 0
    return root


def rows(root):
    with (root / "run" / "logbook.csv").open() as file:
        return list(csv.DictReader(file))


def test_scalars_are_those_of_the_logbook(run):
    scalars, texts = read(run / "events")
    book = rows(run)
    assert len(book) > 1
    for name, column in (("fitness/best", "best"), ("size/mean", "size_avg")):
        assert scalars[name] == pytest.approx({int(row["evaluations"]): float(row[column]) for row in book})
    steps = [int(row["evaluations"]) for row in book]
    for name in ("fitness/median", "population/diversity", "failures/all", "rate/evaluations per minute"):
        assert list(scalars[name]) == steps, name
    assert all(0 < value <= 1 for value in scalars["population/diversity"].values())
    assert all(value > 0 for value in scalars["rate/evaluations per minute"].values())
    result = json.loads((run / "run" / "result.json").read_text())
    assert scalars["failures/all"][steps[-1]] == sum(result["failures"].values())
    assert texts[max(texts)] == f"`{result['best_infix']}`"
    assert set(texts) <= set(steps)


def test_a_run_that_is_gone_on_with_leaves_one_line(run):
    before = read(run / "events")
    with pytest.raises(SystemExit) as ended:
        main(["resume", str(run / "run"), "--quiet", "--tensorboard", str(run / "events")])
    assert ended.value.code == 0
    assert len(list((run / "events").iterdir())) == 2, "another file of events"
    scalars, texts = read(run / "events")
    rate = "rate/evaluations per minute"
    assert {name: values for name, values in scalars.items() if name != rate} == {
        name: values for name, values in before[0].items() if name != rate
    }
    assert texts == before[1]
    with Archive(run / "run" / "archive.sqlite", readonly=True) as archive:
        assert [one.status for one in archive.runs()] == ["finished"]


def test_median_diversity_and_failures_by_formulas_of_their_own(minimal, tmp_path):
    log = TensorBoard(tmp_path / "events")
    populations = []

    def judged(individual):
        return float("nan") if individual.size > 4 else individual.size / 10

    def followed(found):
        log.generation(found)
        populations.append((found.logbook[-1]["evaluations"], list(found.population)))

    with log.following():
        evolve(minimal, judged, evaluations=20, population_size=5, on_evaluation=log.evaluation, on_generation=followed)
    scalars, _ = read(tmp_path / "events")
    for step, population in populations:
        fitness = sorted(one.size / 10 for one in population if one.size <= 4)
        middle = (fitness[(len(fitness) - 1) // 2] + fitness[len(fitness) // 2]) / 2
        assert scalars["fitness/median"][step] == pytest.approx(middle)
        assert scalars["population/diversity"][step] == pytest.approx(
            len({one.canonical for one in population}) / len(population)
        )
    last = populations[-1][0]
    assert scalars["failures/all"][last] == scalars["failures/fitness not finite"][last] > 0


def test_what_was_known_does_not_count_in_the_rate(minimal, tmp_path):
    log = TensorBoard(tmp_path / "events")
    with log.following(recalled=lambda _record: True):
        evolve(
            minimal, lambda one: float(one.size), evaluations=6, population_size=3, on_evaluation=log.evaluation,
            on_generation=log.generation,
        )  # fmt: skip
    assert "rate/evaluations per minute" not in read(tmp_path / "events")[0]


def test_a_folder_that_is_taken_is_refused_for_a_new_run_only(tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(GaafError, match=r"TensorBoard's folder must be new or empty for a new run"):
        open_log(tmp_path, resumed=False)
    assert open_log(tmp_path, resumed=True).folder == tmp_path
    with pytest.raises(GaafError, match="TensorBoard needs a folder"):
        open_log(tmp_path / "mine", resumed=True)
    assert open_log(None, resumed=False) is None


def test_without_the_package_it_says_how_to_get_it(monkeypatch, tmp_path, capsys, image_folder):
    real = importlib.import_module

    def missing(name, *others):
        if name == "torch.utils.tensorboard":
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return real(name, *others)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "evolve",
                "--data",
                str(image_folder),
                "--out",
                str(tmp_path / "run"),
                "--tensorboard",
                str(tmp_path / "tb"),
            ]
        )
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("pip install 'gaaf-gp[tensorboard]'\n")
    assert not (tmp_path / "run").exists()
