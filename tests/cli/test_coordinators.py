"""Several coordinators, each with an archive of its own: merged, they train nothing twice and begin with the best."""

import statistics
import subprocess
import sys
from collections import defaultdict

import pytest

from gaaf_gp.activations.behaviour import behaviour
from gaaf_gp.archive import Archive
from gaaf_gp.cli import main
from gaaf_gp.trees.parser import parse
from primitives import gaaf

RUN = [sys.executable, "-m", "gaaf_gp.cli"]
SMALL = ["--limit", "500", "--epochs", "1", "--population", "6", "--evaluations", "8", "--fresh-seeds", "2"]
SMALL += ["--workers", "1", "--quiet", "--no-random-search"]
FILES = ("logbook.csv", "hall_of_fame.csv", "population.csv", "checkpoint.json")


def called(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    assert ended.value.code == 0


def rows(path):
    with Archive(path, readonly=True) as archive:
        return [repr(one) for one in archive.rows()]


def files(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def apart(texts):
    """Those that train neither as one before them nor as the plain sign, for which a search does not ask."""
    found = {behaviour(parse("x", gaaf.free())).signature: "x"}
    for text in texts:
        found.setdefault(behaviour(parse(text, gaaf.free())).signature, text)
    return list(found.values())[1:]


@pytest.fixture(scope="module")
def coordinators(tmp_path_factory):
    """Two runs at the same time, each in a process of its own that knows nothing of the other."""
    folders = [tmp_path_factory.mktemp("machine") / "run" for _ in range(2)]
    started = [
        subprocess.Popen([*RUN, "evolve", *SMALL, "--seed", str(seed), "--out", folder], stdout=subprocess.DEVNULL)
        for seed, folder in enumerate(folders, 1)
    ]
    assert [one.wait(timeout=200) for one in started] == [0, 0]
    return folders


@pytest.fixture(scope="module")
def merged(coordinators, tmp_path_factory):
    path = tmp_path_factory.mktemp("merged") / "all.sqlite"
    called("archive", "merge", path, *(folder / "archive.sqlite" for folder in coordinators))
    return path


def test_a_merged_archive_holds_what_both_trained(coordinators, merged):
    own = [rows(folder / "archive.sqlite") for folder in coordinators]
    assert sorted(rows(merged)) == sorted([*own[0], *own[1]]), "seeds 1 and 2 have splits of their own"
    with Archive(merged, readonly=True) as archive:
        assert [one.config["seed"] for one in archive.runs()] == [1, 2]


def test_runs_that_go_on_with_it_train_nothing_and_end_the_same(coordinators, merged):
    before, known = [files(folder) for folder in coordinators], rows(merged)
    for folder in coordinators:
        own = rows(folder / "archive.sqlite")
        called("resume", folder, "--archive", merged, "--quiet")
        assert rows(folder / "archive.sqlite") == own
    assert rows(merged) == known
    assert [files(folder) for folder in coordinators] == before
    with Archive(merged, readonly=True) as archive:
        assert len(archive.runs()) == 2, "they are the runs that were merged"


def test_a_run_that_was_made_elsewhere_is_made_again_without_training(coordinators, merged, tmp_path):
    known = rows(merged)
    called("evolve", *SMALL, "--seed", 2, "--archive", merged, "--out", tmp_path / "again")
    assert rows(merged) == known
    assert files(tmp_path / "again") == files(coordinators[1])


def test_a_third_run_begins_with_the_best_of_both(merged, tmp_path):
    out = tmp_path / "third"
    called("evolve", *SMALL, "--seed", 3, "--archive", merged, "--initial-from", f"{merged}:4", "--out", out)
    with Archive(merged, readonly=True) as archive:
        third = archive.runs()[-1]
        ran = [one.key for one in archive.runs()[:2]]
        accuracies = defaultdict(list)
        for key in ran:  # both may have trained one function, each on a seed of its own
            for one in archive.summaries(run=key, failed=False):
                if "@" not in one.text:
                    accuracies[one.text].append(one.accuracy)
        best = sorted(accuracies, key=lambda text: (-statistics.fmean(accuracies[text]), text))
        asked = [one.text for one in archive.history(third.key) if "@" not in one.text]
    assert third.config["initial"] == best[:4]
    begun = apart(best[:4])
    assert len(begun) >= 2
    assert asked[: len(begun)] == begun
    before = files(out)
    called("resume", out, "--quiet")
    assert files(out) == before, "its config holds the functions, and the archive is not asked again"
