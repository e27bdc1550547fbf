"""What is read of a run is what its search had: a real search of a stand-in for training, and its archive."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from gaaf_gp import Evaluator, evolve
from gaaf_gp.archive import Archive
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.racing import Racing
from gaaf_gp.experiments.report.figures import (
    evolved_populations,
    fidelities,
    genealogy,
    learning_curves,
    number_of,
    populations,
    run_snapshots,
)
from gaaf_gp.experiments.run_data import find_run, read_run
from gaaf_gp.plots.progress import snapshots


@pytest.fixture(params=["generations", "islands:2", "steady"])
def searched(request, tmp_path, make_stub, pset):
    """A search with races and extra seeds, where the loop allows them, and what its archive tells."""
    proxy = make_stub(epochs=6, noise=0.01)
    proxy.data, proxy.settings = SimpleNamespace(val=object(), device=torch.device("cpu")), dict
    racing = None if request.param == "steady" else Racing()
    rows = []
    with (
        Archive(tmp_path / "archive.sqlite") as archive,
        Evaluator(proxy, pset, racing=racing, extra_seeds=2, places=2) as evaluator,
    ):
        run = archive.begin("evolve", {"seed": 0, "evaluations": 60}, {})
        evaluator.record_in(ArchivedTrainings(archive, proxy, pset, run))
        evaluator.train([None], [0])
        found = evolve(
            pset,
            evaluator,
            loop=request.param,
            evaluations=60,
            population_size=8,
            seed=5,
            on_generation=lambda now: rows.append([one.canonical for one in now.population]) and None,
        )
        archive.end(run, "finished")
    return found, rows, read_run(find_run(tmp_path / "archive.sqlite"), pset)


def test_records_are_those_of_the_search(searched):
    found, _, data = searched
    assert {*data.records} == {one.text for one in found.records}
    for record in found.records:
        own = data.records[record.text]
        assert own.accuracy == pytest.approx(record.accuracy), record.text
        assert own.fidelity == record.fidelity
        assert own.by_seed == record.by_seed
        assert own.failure == record.failure
        if record.complete:
            assert own.fitness == pytest.approx(record.fitness)
            assert own.standard_error == pytest.approx(record.standard_error)
    best = found.hall_of_fame[0].canonical
    assert data.best is not None
    assert data.best.text == best
    assert [one.text for one in data.ranked[:5]] == [one.canonical for one in found.hall_of_fame[:5]]
    assert data.sign.keys() == {0}


def test_generations_are_those_of_the_logbook(searched):
    found, rows, data = searched
    kept = populations(data)
    assert [sorted(one) for one in kept][: len(rows)] == [sorted(one) for one in rows]
    shots, expected = run_snapshots(data), snapshots(found.logbook)
    assert [one.evaluations for one in shots] == [one.evaluations for one in expected]
    assert [one.size for one in shots] == pytest.approx([one.size for one in expected])
    assert [one.size_deviation for one in shots] == pytest.approx([one.size_deviation for one in expected])
    assert shots[-1].best == pytest.approx(expected[-1].best)
    assert [one.diversity for one in shots] == [len(set(row)) / len(row) for row in kept]
    assert all(low.best <= high.best for low, high in itertools.pairwise(shots))
    assert [len(one) for one in evolved_populations(data)] == [len(one) for one in kept]


def test_the_genealogy_leads_from_the_winner_to_the_start(searched):
    _, _, data = searched
    history, number = genealogy(data), number_of(data, data.best.text)
    assert number is not None
    assert history.genealogy_history[number].canonical == data.best.text
    waiting, seen = [number], set()
    while waiting:
        one = waiting.pop()
        seen.add(one)
        assert all(parent < one for parent in history.genealogy_tree[one])
        waiting += [parent for parent in history.genealogy_tree[one] if parent not in seen]
    assert not history.genealogy_tree[min(seen)], "the oldest ancestor was drawn"


def test_fidelities_and_curves_are_those_of_full_trainings(searched):
    found, _, data = searched
    whole = [one for one in found.records if one.complete and one.same_as is None]
    short, full, first, second = fidelities(data)
    assert (short, full) == (2, 6)
    assert sorted(second) == pytest.approx(sorted(one.accuracy for one in whole))
    assert sorted(first) == pytest.approx(sorted(one.curve[1] for one in whole))
    curves, baselines, split = learning_curves(data)
    assert (baselines, split) == (["@sign"], "validation")
    best = next(one for one in found.records if one.text == data.best.text)
    assert sorted(map(len, curves[best.text])) == [6] * len(best.outcomes)
    assert sorted(rows[-1] for rows in curves[best.text]) == pytest.approx(sorted(best.by_seed.values()))


def test_where_there_is_no_run(tmp_path, make_run):
    with pytest.raises(GaafError, match=r"there is no folder .*/none"):
        find_run(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GaafError, match=r"has no archive.sqlite \(yet\): wait until it has begun"):
        find_run(tmp_path / "empty")
    with Archive(tmp_path / "empty" / "archive.sqlite"):
        pass
    with pytest.raises(GaafError, match=r"must hold a run, and it holds none \(yet\)"):
        read_run(find_run(tmp_path / "empty"))
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(GaafError, match="is no archive"):
        read_run(find_run(tmp_path / "text"))
    run = make_run(tmp_path / "run")
    with pytest.raises(GaafError, match="there is no run 'nobody'"):
        read_run(find_run(run.end(), "nobody"))


def test_of_several_runs_the_folder_names_its_own(tmp_path, make_run, fill_run):
    first = make_run(tmp_path / "run")
    fill_run(first, 10, 5)
    second = first.archive.begin("evolve", {}, {})
    folder = first.end()
    assert read_run(find_run(folder)).run.key == first.key
    assert read_run(find_run(folder / "archive.sqlite")).run.key == second
    assert read_run(find_run(folder / "archive.sqlite", first.key[:8])).run.key == first.key


def test_random_search_is_told_apart(tmp_path, make_run, fill_run):
    run = make_run(tmp_path / "run")
    fill_run(run, 10, 5)
    run.train("cos(x)", 0.9)
    data = read_run(find_run(run.end()))
    assert len(data.records) == 10
    assert list(data.drawn) == ["cos(x)"]
