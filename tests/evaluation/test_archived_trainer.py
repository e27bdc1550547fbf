"""An Evaluator whose trainer asks an archive: it finds what it would have found, and trains each thing once."""

import pytest

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.archive import Archive
from gaaf_gp.binary import NETWORKS, small_network
from gaaf_gp.data.load import Split
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.cache import ArchivedFlow, ArchivedTrainer, ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.evaluation.trainer import WORKER_LOST, Job
from gaaf_gp.parallel.transfer import WorkerLost
from gaaf_gp.search.evolve import evolve
from gaaf_gp.training.outcome import WORST_ACCURACY, Outcome
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.training.stacked import Stack
from gaaf_gp.trees.candidate import Baseline, TwoTrees
from gaaf_gp.trees.parser import parse


@pytest.fixture
def stub(make_stub, tiny_data):
    """Makes proxies that stand for training, with all that an archive asks of one."""

    class Stub(make_stub):
        data = tiny_data

        def settings(self):
            return {"epochs": self.epochs, "noise": self.noise}

        def behaviour(self, individual):
            return behaviour(individual)

    return lambda: Stub(epochs=4, noise=0.02)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.sqlite") as found:
        yield found


@pytest.fixture
def behind(forced, archive):
    """Makes an Evaluator behind the archive."""
    run = archive.begin("test", {}, {"torch": "2.13.0"})

    def make(proxy, **settings):
        evaluator = Evaluator(proxy, forced, **settings)
        trainings = ArchivedTrainings(archive, proxy, forced, run, at_once=evaluator.at_once)
        evaluator.record_in(trainings)
        return evaluator

    return make


def told(records):
    """Return all of records but the times."""
    return [
        (r.text, r.fitness, r.failure, r.by_seed, r.curve, r.fidelity, r.same_as, r.standard_error) for r in records
    ]


def history(archive, run):
    archive.flush()
    return list(archive.history(run))


def test_a_run_keeps_what_it_asked_for_twins_and_rejections_too(tiny_proxy, forced, forced_trees, archive):
    asked = {"one": forced_trees[:9], "two": [*forced_trees[9:], *forced_trees[3:6]]}
    records, lengths = {}, []
    for name, trees in asked.items():
        run = archive.begin(name, {}, {})
        with Evaluator(tiny_proxy, forced) as evaluator:
            evaluator.record_in(ArchivedTrainings(archive, tiny_proxy, forced, run))
            evaluator.evaluate(trees)
            records[name] = evaluator.records
        entries = history(archive, run)
        lengths.append(len(archive))
        assert {one.text for one in entries} == {tree.canonical for tree in trees}
        for one in entries:
            record = records[name][one.text]
            assert one.failure == (record.failure if not record.outcomes else None)
            assert one.accuracy == (record.accuracy if record.outcomes else None)
    live = {found.signature for tree in forced_trees if (found := tiny_proxy.behaviour(tree)).failure is None}
    assert any(record.same_as for record in records["one"].values())
    assert any(not record.outcomes for own in records.values() for record in own.values())
    assert lengths[0] < lengths[1] == len(live), "what both asked for was trained once"


def test_a_search_that_is_started_again_trains_nothing_and_finds_the_same(tiny_proxy, forced, behind, monkeypatch):
    settings = {"evaluations": 9, "population_size": 4, "seed": 3}
    seen = []

    def stop(record):
        seen.append(record.text)
        if len(seen) == 5:
            raise KeyboardInterrupt

    assert evolve(forced, behind(tiny_proxy), on_evaluation=stop, **settings).interrupted
    whole = evolve(forced, behind(tiny_proxy), **settings)
    monkeypatch.setattr(tiny_proxy, "train", None)
    again = evolve(forced, behind(tiny_proxy), **settings)
    assert told(again.records) == told(whole.records)
    assert [record.text for record in whole.records[:5]] == seen
    assert [dict(row) for row in again.logbook] == [dict(row) for row in whole.logbook]


@pytest.mark.parametrize(("racing", "after"), [(None, 1), (Racing(rungs=(1, 2)), 4)], ids=["full", "racing"])
def test_a_search_in_stacks_goes_on_bit_for_bit(tiny_data, tiny_settings, free, tmp_path, racing, after, monkeypatch):
    sizes, real = [], Stack.__init__

    def counted(self, training, activations, *args, **kwargs):
        sizes.append(len(activations))
        real(self, training, activations, *args, **kwargs)

    monkeypatch.setattr(Stack, "__init__", counted)
    proxy = Proxy(tiny_data, **tiny_settings, kernels="torch")
    settings = {"evaluations": 12, "population_size": 6, "seed": 3}

    def search(name, stop=None):
        with Archive(tmp_path / name) as own, Evaluator(proxy, free, racing=racing, at_once=3) as evaluator:
            run = own.begin("test", {}, {})
            evaluator.record_in(ArchivedTrainings(own, proxy, free, run, at_once=3))
            keep, kept = own.add, []

            def add(evaluation, run):
                if len(kept) == stop:
                    raise KeyboardInterrupt
                kept.append(evaluation)
                return keep(evaluation, run)

            own.add = add
            return evolve(free, evaluator, **settings), len(kept)

    whole, trained = search("whole")
    assert search("cut", after)[0].interrupted
    again, rest = search("cut")
    assert told(again.records) == told(whole.records)
    assert [dict(row) for row in again.logbook] == [dict(row) for row in whole.logbook]
    assert rest == trained - after, "nothing was trained twice"
    assert set(sizes) == {3}, "the size of a stack decides how sums are rounded"


def test_two_trees_and_baselines_are_kept_too(tiny_proxy, forced, behind, archive):
    pair = TwoTrees(parse("add(sin(x), tanh(x))", forced), parse("add(tanh(x), tanh(x))", forced))
    records = behind(tiny_proxy).evaluate([pair, Baseline("rsign")])
    assert told(behind(tiny_proxy).evaluate([pair, Baseline("rsign")])) == told(records)
    assert {row.text: row.formula for row in archive.rows()} == {pair.canonical: pair.infix(), "@rsign": "x + s0"}


def test_a_second_archive_is_refused(stub, forced, behind, archive):
    evaluator = behind(stub())
    trainings = ArchivedTrainings(archive, evaluator.proxy, forced, archive.begin("again", {}, {}))
    with pytest.raises(GaafError, match="records in one archive at a time, got a second one"):
        evaluator.record_in(trainings)


def test_another_task_shares_nothing(tiny_data, tiny_settings, tiny_proxy, forced, behind, archive):
    tree = parse("add(sin(x), tanh(x))", forced)
    for proxy in (tiny_proxy, Proxy(tiny_data, **{**tiny_settings, "epochs": 2})):
        behind(proxy)(tree)
    assert {row.epochs for row in archive.rows()} == {4, 2}
    assert len(archive.tasks()) == 2


SETTINGS = {
    "plain": {},
    "racing": {"racing": Racing((1, 2))},
    "extra seeds": {"extra_seeds": 2, "places": 2},
    "two seeds": {"seeds": (0, 5)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_finds_the_same_and_trains_nothing_twice(name, stub, forced, forced_trees, behind, archive):
    settings, first, again = SETTINGS[name], stub(), stub()
    with Evaluator(stub(), forced, **settings) as evaluator:
        expected = told(evaluator.evaluate(forced_trees))
    assert told(behind(first, **settings).evaluate(forced_trees)) == expected
    rows = len(archive)
    assert rows >= len(first.trained) > 0
    evaluator = behind(again, **settings)
    assert told(evaluator.evaluate(forced_trees)) == expected
    assert again.trained == []
    assert len(archive) == rows
    assert not evaluator._trainer.trainings.differing


def test_real_trainings_are_the_same_bit_for_bit(tiny_proxy, forced, forced_trees, behind, monkeypatch):
    trees = forced_trees[::3]
    settings = {"racing": Racing((1, 2)), "extra_seeds": 1}
    with Evaluator(tiny_proxy, forced, **settings) as evaluator:
        expected = told(evaluator.evaluate(trees))
    assert told(behind(tiny_proxy, **settings).evaluate(trees)) == expected
    monkeypatch.setattr(tiny_proxy, "train", None)
    assert told(behind(tiny_proxy, **settings).evaluate(trees)) == expected


def test_a_race_profits_from_full_trainings(stub, forced_trees, behind):
    records = {record.text: record for record in behind(stub()).evaluate(forced_trees)}
    proxy = stub()
    found = behind(proxy, racing=Racing((1, 2))).evaluate(forced_trees)
    assert proxy.spent == 0
    assert {record.fidelity for record in found if record.failure is None} == {0.25, 0.5, 1.0}
    for record in found:
        assert record.curve == records[record.text].curve[: len(record.curve)]


def test_a_race_goes_on_where_the_archive_ends(stub, forced_trees, behind, archive):
    """The finalists are asked for more epochs than are known: they start again, and reach the same."""
    expected = told(behind(stub(), racing=Racing((1, 4))).evaluate(forced_trees))
    finalists = sum(row.epochs == 4 for row in archive.rows())
    archive.db.execute("DELETE FROM evaluations WHERE epochs = 4")
    proxy = stub()
    assert told(behind(proxy, racing=Racing((1, 4))).evaluate(forced_trees)) == expected
    assert proxy.spent == 4 * finalists > 0


@pytest.mark.parametrize("in_order", [True, False])
def test_a_stream_is_served_too(stub, forced_trees, behind, forced, archive, in_order):
    with Evaluator(stub(), forced) as evaluator:
        expected = told(evaluator.evaluate(forced_trees))
    trained = []
    for number in (9, 18, 18):
        proxy = stub()
        found = told(behind(proxy).stream(iter(forced_trees[:number]), in_order=in_order))
        assert sorted(found) == sorted(expected[:number])
        assert found == expected[:number] or not in_order
        trained.append(len(proxy.trained))
    assert sum(trained) == len(archive)
    assert trained[1] > 0
    assert trained[2] == 0


def test_a_stream_that_is_given_up_keeps_what_was_finished(stub, forced_trees, behind, archive):
    records = behind(stub()).stream(iter(forced_trees), ahead=4)
    seen = [next(records) for _ in range(6)]
    records.close()
    kept = {row.text for row in archive.rows()}
    assert {record.text for record in seen if record.failure is None and record.same_as is None} <= kept
    proxy = stub()
    behind(proxy).evaluate([tree for tree in forced_trees if tree.canonical in kept])
    assert proxy.trained == []


def test_workers_change_nothing(forced_trees, behind, tiny_proxy, archive, monkeypatch):
    with behind(tiny_proxy, workers=2) as both:
        assert both.workers == 2
        expected = told(both.evaluate(forced_trees[:3]))
        rows = len(archive)
        streamed = told(behind(tiny_proxy, workers=2).stream(iter(forced_trees[:3])))  # trains nothing, starts nothing
    assert streamed == expected
    assert len(archive) == rows > 0
    monkeypatch.setattr(tiny_proxy, "train", None)
    assert told(behind(tiny_proxy).evaluate(forced_trees[:3])) == expected


def test_the_plain_sign_and_the_test_split_are_kept(stub, forced_trees, behind, tiny_data):
    test = Split(tiny_data.val.images.flip(0), tiny_data.val.labels.flip(0))
    first, again, other = stub(), stub(), stub()
    expected = behind(first).train([None, forced_trees[0]], (7, 8), test)
    assert len(first.trained) == 4
    assert behind(again).train([None, forced_trees[0]], (7, 8), test) == expected
    assert again.trained == []
    behind(other).train([None], (7,))  # the validation split is another one
    assert other.trained == [("sign", 7)]


class LostFlow:
    """A flow whose workers die."""

    def __init__(self):
        self.waiting = []

    def __len__(self):
        return len(self.waiting)

    def put(self, index, arguments, first=False):
        self.waiting.append(index)

    def get(self):
        found, self.waiting = [(index, WorkerLost()) for index in self.waiting], []
        return found

    def drop(self):
        self.waiting.clear()


def test_a_lost_worker_is_kept_with_its_reason(stub, forced_trees, behind, archive):
    trainer = behind(stub())._trainer
    flow, job = ArchivedFlow(trainer, LostFlow()), Job(forced_trees[1].canonical, 3)
    flow.put(5, (job,))
    assert len(flow) == 1
    ((index, result),) = flow.get()
    assert index == 5
    assert isinstance(result, WorkerLost)
    assert [(row.text, row.seed, row.failure) for row in archive.rows()] == [(job.text, 3, WORKER_LOST)]
    flow.put(6, (job,))
    flow.put(7, (Job(job.text, 4),))
    assert len(flow) == 2
    ((index, outcome),) = flow.get()
    assert (index, outcome.failure) == (6, WORKER_LOST)
    flow.drop()
    assert len(flow) == 0
    assert len(archive) == 1


def test_signatures_that_are_known_are_not_computed_again(stub, forced_trees, forced, archive):
    proxy, run = stub(), archive.begin("test", {}, {})
    proxy.behaviour = None
    evaluator = Evaluator(stub(), forced)
    trainings = ArchivedTrainings(archive, proxy, forced, run)
    trainer = ArchivedTrainer(evaluator._trainer, trainings, lambda text: behaviours[text])
    behaviours = {tree.canonical: behaviour(tree).signature for tree in forced_trees}
    jobs = [Job(tree.canonical, 0) for tree in forced_trees]
    outcomes = dict(trainer.run(jobs))
    assert sorted(outcomes) == list(range(18))
    assert {row.signature for row in archive.rows()} == set(behaviours.values())


def test_what_a_task_is_refused_for_is_no_result_of_it(tiny_data, forced, archive, behind, monkeypatch):
    """The network is mended under its name, which no setting tells."""
    broken = [True]

    def build(num_classes, in_channels, *, activation=None, **binary):
        model = small_network(num_classes, in_channels, activation=activation, widths=(4, 8), **binary)
        if broken[0]:
            model.register_forward_pre_hook(lambda *_: 1 / 0)
        return model

    monkeypatch.setitem(NETWORKS, "own", build)
    proxy = Proxy(tiny_data, network="own", batch_size=15)
    ((failed,),) = behind(proxy).train([None], [0])
    assert "ZeroDivisionError" in failed.failure
    assert len(archive) == 0
    broken[0] = False
    ((mended,),) = behind(proxy).train([None], [0])
    assert mended.failure is None
    assert len(archive) == 1
    monkeypatch.setattr(proxy, "train", None)
    assert behind(proxy).train([None], [0])[0][0].accuracy == mended.accuracy


def test_a_failure_of_the_plain_sign_in_an_older_archive_is_not_believed(tiny_proxy, forced, archive):
    trainings = ArchivedTrainings(archive, tiny_proxy, forced, archive.begin("older", {}, {}))
    trainings.keep(None, None, None, Outcome(0, WORST_ACCURACY, (), 0.1, "ZeroDivisionError: division by zero"))
    assert trainings.lookup(None, None, 0, None) is None
    evaluator = Evaluator(tiny_proxy, forced)
    evaluator.record_in(trainings)
    assert evaluator.train([None], [0])[0][0].history == tiny_proxy.train(None, 0).history
