"""A panel: paired differences in units of noise over several tasks, races that change no number, any workers."""

import statistics
from pathlib import Path

import pytest
from deap import base, creator, tools

from gaaf_gp.archive import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation import ArchivedTrainings, Evaluator, FitnessFunction, Panel, Scale
from gaaf_gp.search import evolve
from gaaf_gp.training import Proxy
from gaaf_gp.trees.parser import parse

TEXTS = ("sin(x)", "add(cos(x), x)", "neg(sin(x))", "square(x)", "max(x, sin(x))", "tan(x)", "add(x, scale(x))")


@pytest.fixture(scope="module")
def tasks(tiny_data, tiny_settings):
    deep = {**tiny_settings, "network": "resnet20", "network_settings": {"widths": (4, 8), "blocks": 1}, "epochs": 2}
    return {"small": Proxy(tiny_data, **tiny_settings), "deep": Proxy(tiny_data, **deep)}


@pytest.fixture(scope="module")
def trees(free):
    return [parse(text, free) for text in TEXTS]


@pytest.fixture(scope="module")
def whole(tasks, trees, free):
    panel = Panel(tasks, free, seeds=(3, 4))
    panel.evaluate(trees)
    return panel


def test_the_fitness_is_the_mean_paired_difference_to_the_plain_sign_in_units_of_noise(whole, tasks, trees, free):
    assert isinstance(whole, FitnessFunction)
    signs = [[proxy.train(None, seed).accuracy for seed in range(3, 10)] for proxy in tasks.values()]
    assert whole.scale.sign == pytest.approx([statistics.fmean(values[:2]) for values in signs])
    noise = []
    for values in signs:
        share = statistics.fmean(values[:2])
        counted = (share * (1 - share) / 30) ** 0.5
        noise.append(max(statistics.stdev(values[2:]), counted, 1 / 30 if counted == 0 else 0))
    assert whole.scale.noise == pytest.approx(noise)
    for tree in trees:
        record = whole.records[tree.canonical]
        if record.failure is None:
            means = [statistics.fmean(p.train(tree, seed).accuracy for seed in (3, 4)) for p in tasks.values()]
            assert dict(record.tasks) == pytest.approx(dict(zip(tasks, means, strict=True)))
            weights = [1 / value for value in noise]
            assert record.fitness == pytest.approx(statistics.fmean(means, weights=weights))
    order = sorted((r for r in whole.records.values() if r.failure is None), key=lambda record: record.fitness)
    units = [
        sum((dict(r.tasks)[name] - statistics.fmean(signs[i][:2])) / noise[i] for i, name in enumerate(tasks))
        for r in order
    ]
    assert units == sorted(units)


def test_one_task_is_judged_as_an_evaluator_judges_it(tiny_proxy, trees, free):
    panel, evaluator = Panel({"only": tiny_proxy}, free), Evaluator(tiny_proxy, free)
    for one, other in zip(panel.evaluate(trees), evaluator.evaluate(trees), strict=True):
        assert one.fitness == pytest.approx(other.fitness, abs=1e-12)
        assert (one.text, one.failure, one.same_as, one.complete) == (other.text, other.failure, other.same_as, True)


def test_what_fails_in_one_task_fails_and_ranks_below_all_others(whole, trees):
    record = whole.records["square(x)"]
    assert (record.failure, record.fitness, record.outcomes, record.tasks) == ("constant sign", 0.0, (), ())
    assert all(other.fitness > 0 for other in whole.records.values() if other.failure is None)
    assert whole.objectives(trees[3]) == (0.0, 0.0)


def test_candidates_that_behave_alike_everywhere_share_one_record(whole):
    assert whole.records["neg(sin(x))"].same_as == "sin(x)"
    assert whole.records["neg(sin(x))"].fitness == whole.records["sin(x)"].fitness


def test_candidates_that_behave_alike_in_one_task_only_are_both_trained(tiny_data, tiny_settings, free):
    padded = {**tiny_settings, "network_settings": {"widths": (4, 8), "pad_value": 1.0}}
    panel = Panel({"zeros": Proxy(tiny_data, **tiny_settings), "ones": Proxy(tiny_data, **padded)}, free)
    first, second = panel.evaluate([parse("sin(x)", free), parse("neg(sin(x))", free)])
    assert first.same_as is second.same_as is None
    assert dict(first.tasks)["zeros"] == dict(second.tasks)["zeros"]


def test_a_race_changes_no_accuracy_and_who_drops_out_never_ranks_above_who_went_on(tasks, trees, whole, free):
    racing = Panel(tasks, free, seeds=(3, 4), race=1 / 3)
    told = []
    racing.evaluate(trees, told.append)
    dropped = [record for record in racing.records.values() if not record.complete and record.same_as is None]
    finished = [record for record in racing.records.values() if record.complete and record.failure is None]
    assert dropped
    assert sorted(record.text for record in told) == sorted(racing.records)
    assert list(racing.records) == [tree.canonical for tree in trees]
    for record in racing.records.values():
        assert record.tasks == whole.records[record.text].tasks[: len(record.tasks)]
        if record.complete:
            assert record.fitness == whole.records[record.text].fitness
    assert all(len(record.tasks) == 1 and record.fidelity == 0.5 for record in dropped)
    assert max(record.fitness for record in dropped) <= min(record.fitness for record in finished)
    firsts = {record.text: dict(record.tasks)["small"] for record in (*dropped, *finished)}
    assert max(firsts[record.text] for record in dropped) <= min(firsts[record.text] for record in finished)


def test_results_are_the_same_for_any_number_of_workers(tasks, trees, whole, free):
    with Panel(tasks, free, seeds=(3, 4), workers=2) as panel:
        records = panel.evaluate(trees)
    for record in records:
        known = whole.records[record.text]
        assert (record.fitness, record.tasks, record.failure) == (known.fitness, known.tasks, known.failure)


@pytest.mark.slow(15)
def test_results_are_the_same_on_a_dask_cluster(tasks, trees, whole, free):
    with Panel(tasks, free, seeds=(3, 4), workers=1, executor="dask") as panel:
        assert [record.tasks for record in panel.evaluate(trees)] == [
            whole.records[tree.canonical].tasks for tree in trees
        ]


def test_an_archive_spares_every_training_of_every_task(tasks, trees, whole, free, tmp_path: Path):
    with Archive(tmp_path / "archive.sqlite") as archive:
        fitness = []
        for _ in range(2):
            key = archive.begin("evolve", {}, {"torch": "any"})
            panel = Panel(tasks, free, seeds=(3, 4))
            panel.record_in({name: ArchivedTrainings(archive, task, free, key) for name, task in tasks.items()})
            records = panel.evaluate(trees)
            fitness.append([record.fitness for record in records])
            again = [panel.recalled(record) for record in records if record.tasks]
        assert again == [True] * len(again)
        assert fitness[0] == fitness[1] == [whole.records[tree.canonical].fitness for tree in trees]
        assert len(list(archive.tasks())) == 2


def test_outcomes_over_all_tasks_are_weighed_and_a_split_is_scored_in_the_last_one(tasks, trees, whole, tiny_data):
    (joined,) = whole.train([trees[0]], (3,))[0]
    accuracies = [proxy.train(trees[0], 3).accuracy for proxy in tasks.values()]
    assert joined.accuracy == pytest.approx(whole.scale.fitness(accuracies))
    (scored,) = whole.train([trees[0]], (3,), tiny_data.train)[0]
    assert scored.accuracy == tasks["deep"].train(trees[0], 3, tiny_data.train).accuracy


def test_a_search_runs_on_a_panel(tasks, free):
    result = evolve(free, Panel(tasks, free, race=0.5), evaluations=12, population_size=6, seed=1)
    assert len(result.records) == 12
    assert result.hall_of_fame[0].fitness.values[0] == max(r.fitness for r in result.records if r.complete)


def test_tasks_may_be_objectives_of_their_own_under_nsga_2(tasks, trees, whole):
    creator.create("FitnessTasks", base.Fitness, weights=(1.0, 1.0))
    population = [tree for tree in trees if whole.records[tree.canonical].failure is None]
    points = []
    for tree in population:
        tree.fitness = creator.FitnessTasks(whole.objectives(tree))
        points.append(tree.fitness.values)
    chosen = tools.selNSGA2(population, len(population) - 1)
    front = [point for point in points if not any(a > point[0] and b > point[1] for a, b in points)]
    assert {tree.fitness.values for tree in chosen} & set(front)
    del creator.FitnessTasks


def test_an_estimate_from_the_first_tasks_agrees_with_the_others():
    scale = Scale((0.5, 0.8), (0.01, 0.02))
    assert scale.fitness((0.52,)) == pytest.approx(scale.fitness((0.52, 0.84)))
    assert scale.fitness((0.5, 0.8)) == pytest.approx((0.5 / 0.01 + 0.8 / 0.02) / (1 / 0.01 + 1 / 0.02))
    assert scale.differences((0.52, 0.78)) == pytest.approx((2.0, -1.0))


def test_a_plain_sign_that_fails_is_the_fault_of_the_task(tiny_data, tiny_settings, free):
    task = Proxy(tiny_data, **{**tiny_settings, "seconds": 1e-9})
    with pytest.raises(GaafError, match=r"must work for the plain sign, but hasty failed \(time budget"):
        Panel({"hasty": task}, free).evaluate([parse("sin(x)", free)])


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        ({}, {}, "needs one or more tasks by name"),
        ([1], {}, "needs one or more tasks by name"),
        ({"a": "small"}, {}, "must be a Proxy, which a is not"),
        (None, {"race": 1.0}, "keep must be a share between 0 and 1"),
        (None, {"noise_seeds": 1}, "noise_seeds must be a whole number of at least 2"),
        (None, {"seeds": ()}, "seed"),
    ],
)
def test_what_is_no_panel_is_refused(tasks, free, given, more, message):
    with pytest.raises(GaafError, match=message):
        Panel(tasks if given is None else given, free, **more)


def test_what_was_evaluated_before_ctrl_c_is_known(tasks, trees, whole, free, monkeypatch):
    panel, calls, plain = Panel(tasks, free, seeds=(3,)), [], Proxy.train
    panel.scale  # noqa: B018  the plain sign is trained now

    def train(self, individual, *args, **kwargs):
        calls.append(self.network)
        if calls.count("resnet20") == 3:
            raise KeyboardInterrupt
        return plain(self, individual, *args, **kwargs)

    monkeypatch.setattr(Proxy, "train", train)
    told = []
    with pytest.raises(KeyboardInterrupt):
        panel.evaluate(trees, told.append)
    finished = [record.text for record in panel.records.values() if len(record.tasks) == 2]
    assert finished == [TEXTS[0], TEXTS[1]]
    assert sorted(record.text for record in told) == sorted(panel.records)
    monkeypatch.undo()
    assert [record.text for record in panel.evaluate(trees)] == [tree.canonical for tree in trees]
